/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * schema.h - tables that say what may stand in a file, and the one decoder
 * that follows them.
 *
 * A table names every field of a mapping, its type, its bounds and where its
 * value goes in a C structure.  The same tables carry the help texts of
 * "tulle explain" and what a JSON Schema needs.  A field that is known but
 * does nothing in this version has type FIELD_REFUSED and a reason: using it
 * is an error.
 */
#ifndef TULLE_MANIFEST_SCHEMA_H
#define TULLE_MANIFEST_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "manifest/problem.h"
#include "manifest/yaml.h"

/* What a field is in the file, and in brackets what it becomes. */
enum field_type {
	FIELD_TEXT,    /* [const char *]: no control characters, <min> to <max> bytes */
	FIELD_BOOL,    /* [bool] */
	FIELD_NUMBER,  /* [uint32_t]: decimal, <min> to <max> */
	FIELD_WORD,    /* [int]: one of <words>, by index */
	FIELD_VALUE,   /* [what <parse> makes of the text] */
	FIELD_OBJECT,  /* [the structure of <schema>, in place] */
	FIELD_LIST,    /* [{ items, n }]: of <item>, <min> to <max> of them; with <all> [{ items, n, bool }] */
	FIELD_MAP,     /* [{ items, n }]: an item starts with const char *key, checked by <key> */
	FIELD_IGNORED, /* an API server writes it; it means nothing here */
	FIELD_REFUSED, /* known, but not carried out; <refused> says why */
};

struct word {
	const char *name;    /* NULL ends the table */
	const char *refused; /* known, but not carried out, and why; else NULL */
};

/* How a text is judged: a function and the words for what would be right. */
struct text_rule {
	bool (*ok)(const char *text);
	const char *right; /* "a DNS label (a-z, 0-9, -)" */
};

struct value_rule {
	/* Fills *out (zero before) from <text>; texts it keeps go to <arena>.  False: not right. */
	bool (*parse)(void *out, const char *text, struct arena *arena);
	const char *right; /* "an IP address, such as 10.0.0.2" */
};

struct field {
	const char *name; /* NULL ends the table */
	enum field_type type;
	size_t offset;
	bool required;
	bool quotes_ok; /* a number may be written as a text, or a text as a number */
	uint32_t min, max; /* max 0: no bound but the decoder's own */
	const struct word *words;
	const struct text_rule *rule; /* FIELD_TEXT; NULL: any text */
	const struct value_rule *value;
	const struct schema *schema;
	const struct field *item; /* its <offset> is within the item */
	const struct text_rule *key;
	size_t item_size;
	const char *all; /* FIELD_LIST: this word may stand in its place; the list is empty then, and the bool true */
	const char *refused;
	const char *help;
};

struct decode;
struct path;

struct schema {
	const char *name; /* what one is called: "a port of a service" */
	size_t size;      /* of the structure */
	const void *defaults; /* a whole structure to start from; NULL: zero bytes */
	bool inside;      /* a section of its parent's structure: no size or defaults of its own, its
	                     fields' offsets are the parent's */
	const struct field *fields;
	bool has_place;   /* the structure has a struct place at <place_offset> */
	size_t place_offset;
	bool not_empty;   /* at least one field must be given */
	/* Rules between fields; called if every field was good.  NULL: none. */
	void (*check)(struct decode *d, const struct path *path, const struct yaml_node *node, void *object);
};

struct decode {
	struct arena *arena; /* texts and lists are copied here */
	struct problems *problems;
	bool no_memory;
};

/* Where the decoder is: a chain on the stack. */
struct path {
	const struct path *up; /* NULL at the top */
	const char *key;       /* NULL: <index> counts */
	size_t index;
};

/*
 * Decodes <node> into <out> as <schema> says.  False: errors were added or
 * memory ran out (d->no_memory); <out> is then half filled, but safe to read.
 */
bool schema_decode(struct decode *d, const struct path *path, const struct schema *schema,
    const struct yaml_node *node, void *out);

/* An error at the field <name> below <path>; <name> may be NULL.  For check functions. */
void decode_error(struct decode *d, struct place at, const struct path *path, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void decode_warn(struct decode *d, struct place at, const struct path *path, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Where the field <name> of <node> stands, or <node> if it is not there. */
struct place decode_place(const struct yaml_node *node, const char *name);

#endif
