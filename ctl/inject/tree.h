/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tree.h - any YAML as kubectl takes it, as a tree that knows between which
 * bytes of the text each value stands.
 *
 * lib/manifest/yaml.h is for Tulle's own files and refuses anchors, aliases,
 * merge keys and tags.  Here other people's files are read, and are changed
 * by replacing pieces of their text; so all of that is kept as it is.
 *
 * Bounds: TREE_MAX_BYTES, TREE_MAX_NODES, TREE_MAX_DEPTH.
 */
#ifndef TULLE_CTL_INJECT_TREE_H
#define TULLE_CTL_INJECT_TREE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "manifest/problem.h"

#define TREE_MAX_BYTES (16u << 20)
#define TREE_MAX_NODES 2000000
#define TREE_MAX_DEPTH 200
#define TREE_MAX_STEPS 200000 /* for what follows aliases: a small text may stand for a very large value */

enum node_kind {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP,
	NODE_ALIAS,
};

struct node {
	enum node_kind kind;
	bool plain;         /* a scalar without quotes and tag: may be a number, a boolean or null */
	bool flow;          /* a list or mapping in brackets */
	int style;          /* libyaml's, of a scalar */
	const char *text;   /* of a scalar, ends in NUL; of an alias, the anchor's name */
	size_t len;         /* of <text>, which may have NULs in it */
	const char *tag;    /* or NULL */
	const char *anchor; /* or NULL */
	struct node *key;   /* of an entry of a mapping */
	struct node *first, *next;
	struct node *target; /* of an alias; never an alias itself */
	size_t n;            /* children */
	size_t start, end;   /* in bytes of the text, anchor and tag included; of a block collection <end> means nothing */
	struct place place;
};

struct tree_document {
	struct node *root; /* NULL: nothing but comments */
	size_t start;      /* where "---" or the first value stands */
	size_t end;        /* where the next document starts, or the text ends */
	bool marked;       /* begins with "---" */
};

struct tree {
	struct tree_document *documents;
	size_t n;
};

/*
 * Parses <len> bytes of the file called <name>, which is lent for as long as
 * a place of the tree is used.  The tree lives in <arena>.
 *
 *   TULLE_EINVAL  an error was added to <problems>
 *   TULLE_ENOMEM
 */
enum tulle_err tree_parse(struct tree *ret, struct arena *arena, const char *name, const char *data, size_t len,
    struct problems *problems);

/* What an alias stands for; any other node, and NULL, as it is. */
struct node *node_value(struct node *n);

/* The entry of <key> that stands in the mapping itself: it may be an alias.  NULL: none, or <map> is no mapping. */
struct node *node_own(const struct node *map, const char *key);

/* The value of <key>, through aliases and merge keys ("<<").  NULL: none. */
struct node *node_get(struct node *map, const char *key);

/* The text of a scalar, NULL of anything else and of null. */
const char *node_text(struct node *n);

/* Absent, nothing at all, "~" or "null" without quotes. */
bool node_null(struct node *n);

/* Is it true, in any of YAML 1.1's spellings? */
bool node_true(struct node *n);
bool node_false(struct node *n);

/* Is it a text for Kubernetes?  20s is, 20 and yes are not, "20" is. */
bool node_is_text(struct node *n);

/* A whole number as kubectl would take it: decimal, octal, hexadecimal, binary, 1e3.  False: it is none. */
bool node_int(struct node *n, int64_t *ret);

/* Past the last byte of <n>; of a block scalar, past its last line. */
size_t node_end(const struct node *n);

/* The value as JSON, for the caller to json_decref(); NULL: too large, or out of memory. */
json_t *node_json(struct node *n);

/* The other way; in <arena>.  NULL: out of memory. */
struct node *node_of_json(struct arena *arena, const json_t *j);

/* The same value?  Keys must have the same order.  False too for what is too large to compare. */
bool node_equal(struct node *a, struct node *b);

/* Writes one document anew, through libyaml: comments are lost, styles of scalars stay.  TULLE_ENOMEM, TULLE_ELIMIT. */
enum tulle_err tree_emit(struct buf *out, const struct tree_document *d);

#endif
