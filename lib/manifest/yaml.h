/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * yaml.h - YAML as a tree that knows where everything stands in its file.
 *
 * A strict subset of YAML 1.1: no anchors, aliases, tags or merge keys, and
 * a key stands only once in its mapping.  Bounds: YAML_MAX_BYTES a file,
 * YAML_MAX_DEPTH levels, YAML_MAX_NODES nodes, YAML_MAX_KEYS keys a
 * mapping, YAML_MAX_DOCUMENTS documents.
 * A text must be UTF-8 without NUL.
 */
#ifndef TULLE_MANIFEST_YAML_H
#define TULLE_MANIFEST_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "manifest/problem.h"

#define YAML_MAX_BYTES (4u << 20)
#define YAML_MAX_DEPTH 64
#define YAML_MAX_NODES 200000
#define YAML_MAX_KEYS 512 /* in one mapping */
#define YAML_MAX_DOCUMENTS 10000

enum yaml_kind {
	YAML_SCALAR,
	YAML_LIST,
	YAML_MAP,
};

struct yaml_node {
	enum yaml_kind kind;
	bool plain;             /* a scalar without quotes: may be a number, a boolean or null */
	struct place place;
	const char *text;       /* of a scalar, ends in NUL; else NULL */
	const char *key;        /* of an entry of a mapping; else NULL */
	struct place key_place; /* where that key stands */
	struct yaml_node *first; /* children, in the order of the file */
	struct yaml_node *next;  /* the next child of the same parent */
	size_t n;                /* how many children */
};

struct yaml_documents {
	struct yaml_node **roots;
	size_t n;
};

/*
 * Parses <len> bytes of the file called <name>, which is lent for as long as
 * any place of the tree is used; <data> may be NULL if <len> is 0.  The trees live in <arena>.  Empty documents
 * are left out.
 *
 *   TULLE_EINVAL  one or more errors were added to <problems>
 *   TULLE_ENOMEM
 */
enum tulle_err yaml_parse(struct yaml_documents *ret, struct arena *arena, const char *name, const char *data,
    size_t len, struct problems *problems);

/* The value of <key> in a mapping, NULL if it is not there or <map> is no mapping. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* Nothing at all, "~" or "null" without quotes: a field that is as good as absent. */
bool yaml_is_null(const struct yaml_node *node);

/* "a text", "a number", "a list", ... as people would say it. */
const char *yaml_kind_name(const struct yaml_node *node);

#endif
