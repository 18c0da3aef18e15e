/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * edit.h - a text changed in places: what is inserted or replaced, and where
 * such a place is in YAML of either style.
 *
 * New entries come first in their mapping or list: the place before a first
 * entry is known to the byte, in every style, while the end of a block
 * depends on comments, blank lines and block scalars.
 */
#ifndef TULLE_CTL_INJECT_EDIT_H
#define TULLE_CTL_INJECT_EDIT_H

#include <jansson.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "inject/tree.h"

struct edit {
	size_t at, len;  /* which bytes of the old text */
	const char *text; /* come away for this */
	size_t text_len;
	bool own; /* of the caller's choice: which one carries the status */
};

struct edits {
	struct arena *arena; /* lent; the texts live there */
	const char *data;    /* the old text, lent */
	size_t len;
	struct edit *list; /* in <arena> */
	size_t n, room;
	enum tulle_err e; /* the first error stays and makes all that follows do nothing */
};

/* No edits, of <len> bytes of <data>. */
static inline struct edits
edits_new(struct arena *arena, const char *data, size_t len)
{
	return (struct edits){ .arena = arena, .data = data, .len = len };
}

/* <len> bytes from <at> on come away for a text, which is copied. */
void edit_text(struct edits *ed, size_t at, size_t len, const char *text, size_t text_len);

/* A new first entry in a mapping.  <value> is taken. */
void edit_add_entry(struct edits *ed, const struct node *map, const char *key, json_t *value);

/* New first items of a list; <items> is an array and is taken. */
void edit_add_items(struct edits *ed, const struct node *list, json_t *items);

/* New last items of a list that has some already; <items> is taken. */
void edit_append_items(struct edits *ed, const struct node *list, json_t *items);

/* Another value for a scalar, an alias or anything in brackets, on the same line.  <value> is taken. */
void edit_replace_value(struct edits *ed, const struct node *old, json_t *value);

/* Another entry for <old>, key and all, in the mapping <map>.  <value> is taken. */
void edit_replace_entry(struct edits *ed, const struct node *map, const struct node *old, const char *key, json_t *value);

/* Puts those from <first> on in order.  TULLE_EINVAL: two of them touch the same bytes.  Else what is in <e>. */
enum tulle_err edits_sort(struct edits *ed, size_t first);

/*
 * An alias below <n> that would stand for another value, because the edits,
 * which are in order, change what has its anchor.  NULL: there is none.
 */
const struct node *edits_shared(const struct edits *ed, const struct node *n);

/* Takes those away that are marked <own>. */
void edits_drop_own(struct edits *ed);

/* Appends the new text to <out>; they are in order. */
enum tulle_err edits_apply(const struct edits *ed, struct buf *out);

#endif
