/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * kinds.h - one table entry per kind of object, and the fields that all of
 * them share.  Within lib/manifest.
 */
#ifndef TULLE_MANIFEST_KINDS_H
#define TULLE_MANIFEST_KINDS_H

#include "manifest/objects.h"
#include "manifest/schema.h"

struct kind {
	const char *name;        /* "Service"; NULL ends the table */
	const char *api_version; /* the one that is right */
	const char *refused;     /* known, but not carried out, and why; else NULL */
	enum object_kind kind;
	const struct schema *schema; /* its structure starts with a struct meta */
};

extern const struct schema schema_service;
extern const struct schema schema_endpoint_slice;
extern const struct schema schema_workload_entry;
extern const struct schema schema_authorization_policy;
extern const struct schema schema_peer_authentication;

/* metadata; a section whose offsets count from the struct meta at the start of every object. */
extern const struct schema schema_metadata;

/* "selector: {matchLabels: {...}}", decoded into a struct labels at offset 0. */
extern const struct schema schema_selector;

extern const struct field item_label;      /* of a map of labels */
extern const struct field item_annotation; /* the same, any value */
extern const struct word words_protocol[]; /* enum port_protocol */

#define FIELDS_END { .name = NULL }

/* The first three fields of every table. */
#define FIELDS_OF_ALL                                                                                       \
	{ .name = "apiVersion", .type = FIELD_IGNORED }, { .name = "kind", .type = FIELD_IGNORED },         \
	    { .name = "metadata", .type = FIELD_OBJECT, .required = true, .schema = &schema_metadata,       \
	      .help = "name, namespace, labels and annotations" },                                          \
	{ .name = "status", .type = FIELD_IGNORED }

#define FIELD_LABELS(nm, at, hlp)                                                                        \
	{ .name = nm, .type = FIELD_MAP, .offset = at, .item = &item_label, .key = &rule_label_key,      \
	  .item_size = sizeof(struct label), .max = 256, .help = hlp }

#define FIELD_NOT_YET(nm, why) { .name = nm, .type = FIELD_REFUSED, .refused = why }

#endif
