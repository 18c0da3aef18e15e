/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "inject/render.h"

#define TEXT_MAX (8u << 20)

static enum tulle_err
make_room(struct edits *ed)
{
	size_t room = ed->room > 0 ? 2 * ed->room : 16;
	struct edit *more;

	if (ed->n < ed->room)
		return TULLE_OK;
	more = arena_array(ed->arena, room, sizeof(*more));
	if (more == NULL)
		return TULLE_ENOMEM;
	if (ed->n > 0)
		memcpy(more, ed->list, ed->n * sizeof(*more));
	ed->list = more;
	ed->room = room;
	return TULLE_OK;
}

void
edit_text(struct edits *ed, size_t at, size_t len, const char *text, size_t text_len)
{
	const char *copy = NULL;

	if (ed->e == TULLE_OK)
		ed->e = make_room(ed);
	if (ed->e == TULLE_OK) {
		copy = arena_text(ed->arena, text, text_len);
		if (copy == NULL)
			ed->e = TULLE_ENOMEM;
	}
	if (ed->e == TULLE_OK)
		ed->list[ed->n++] = (struct edit){ .at = at, .len = len, .text = copy, .text_len = text_len };
}

/* Takes what was written to <b>, whatever became of it. */
static void
add(struct edits *ed, size_t at, size_t len, struct buf *b, enum tulle_err e)
{
	if (ed->e == TULLE_OK)
		ed->e = e;
	edit_text(ed, at, len, buf_len(b) > 0 ? (const char *)buf_head(b) : "", buf_len(b));
	buf_free(b);
}

/* ---- where -------------------------------------------------------------------- */

static size_t
line_start(const struct edits *ed, size_t at)
{
	while (at > 0 && ed->data[at - 1] != '\n')
		at--;
	return at;
}

/* The start of the next line, or the end of the text. */
static size_t
line_after(const struct edits *ed, size_t at)
{
	const char *nl = memchr(ed->data + at, '\n', ed->len - at);

	return nl != NULL ? (size_t)(nl - ed->data) + 1 : ed->len;
}

/* Nothing but blanks between <from> and <to>? */
static bool
blank(const struct edits *ed, size_t from, size_t to)
{
	while (from < to && (ed->data[from] == ' ' || ed->data[from] == '\t' || ed->data[from] == '\r' || ed->data[from] == '\n'))
		from++;
	return from >= to;
}

static bool
blank_or_comment(const struct edits *ed, size_t from, size_t to)
{
	while (from < to && (ed->data[from] == ' ' || ed->data[from] == '\t'))
		from++;
	return blank(ed, from, to) || ed->data[from] == '#';
}

/* The place of a first entry, before the comments that belong to it. */
static size_t
above_comments(const struct edits *ed, size_t start)
{
	for (size_t at = start; at > 0;) {
		at = line_start(ed, at - 1);
		if (!blank_or_comment(ed, at, start))
			break;
		start = at;
	}
	return start;
}

/* Past anchor and tag: where the "-" of a block list stands. */
static size_t
first_dash(const struct edits *ed, const struct node *list)
{
	size_t at = list->start;

	while (at < ed->len && ed->data[at] != '-') {
		if (ed->data[at] == '&' || ed->data[at] == '!')
			while (at < ed->len && strchr(" \t\r\n", ed->data[at]) == NULL)
				at++;
		else if (ed->data[at] == '#')
			at = line_after(ed, at);
		else
			at++;
	}
	return at;
}

/* In characters: how far in the block that begins at <at> is. */
static unsigned int
column(const struct edits *ed, size_t at)
{
	unsigned int n = 0;

	for (size_t i = line_start(ed, at); i < at; i++)
		n += ((unsigned char)ed->data[i] & 0xc0) != 0x80;
	return n;
}

static const char *
line_break(const struct edits *ed)
{
	const char *nl = memchr(ed->data, '\n', ed->len);

	return nl != NULL && nl > ed->data && nl[-1] == '\r' ? "\r\n" : "\n";
}

/* ---- what ----------------------------------------------------------------------- */

/* <value> in block style before the first entry, which stands at <first>; as lines of their own if that one has its own. */
static void
insert_block(struct edits *ed, size_t first, json_t *value)
{
	struct buf b = buf_new(TEXT_MAX);
	struct render r = { &b, line_break(ed), column(ed, first) };
	enum tulle_err e;

	if (blank(ed, line_start(ed, first), first)) {
		e = render_block(&r, value, true);
		add(ed, above_comments(ed, line_start(ed, first)), 0, &b, e);
	} else {
		e = render_block(&r, value, false);
		if (e == TULLE_OK)
			e = render_indent(&r);
		add(ed, first, 0, &b, e);
	}
	json_decref(value);
}

/* Inside brackets, behind the first of them; <value> in JSON without its own brackets. */
static void
insert_flow(struct edits *ed, size_t at, bool before, bool after, json_t *value)
{
	char AUTO_FREE *text = json_dumps(value, JSON_ENSURE_ASCII);
	struct buf b = buf_new(TEXT_MAX);
	enum tulle_err e = TULLE_ENOMEM;

	if (text != NULL)
		e = buf_printf(&b, "%s%.*s%s", before ? ", " : "", (int)strlen(text) - 2, text + 1, after ? ", " : "");
	add(ed, at, 0, &b, e);
	json_decref(value);
}

/* Behind the bracket that opens <n>. */
static size_t
behind_bracket(const struct edits *ed, const struct node *n)
{
	const char bracket = n->kind == NODE_LIST ? '[' : '{';
	size_t at = n->start;

	while (at < n->end && ed->data[at] != bracket) /* past anchor and tag, which have no brackets in them */
		at = ed->data[at] == '#' ? line_after(ed, at) : at + 1;
	return at < n->end ? at + 1 : n->end;
}

void
edit_add_entry(struct edits *ed, const struct node *map, const char *key, json_t *value)
{
	json_t *entry = json_pack("{s:o}", key, value);

	if (entry == NULL)
		ed->e = ed->e != TULLE_OK ? ed->e : TULLE_ENOMEM;
	else if (map->flow || map->first == NULL)
		insert_flow(ed, behind_bracket(ed, map), false, map->first != NULL, entry);
	else
		insert_block(ed, map->first->key->start, entry);
}

void
edit_add_items(struct edits *ed, const struct node *list, json_t *items)
{
	if (list->flow || list->first == NULL)
		insert_flow(ed, behind_bracket(ed, list), false, list->first != NULL, items);
	else
		insert_block(ed, first_dash(ed, list), items);
}

void
edit_append_items(struct edits *ed, const struct node *list, json_t *items)
{
	const struct node *last = list->first;
	struct buf b = buf_new(TEXT_MAX);
	struct render r = { &b, line_break(ed), 0 };
	enum tulle_err e = TULLE_OK;
	size_t at;

	while (last->next != NULL)
		last = last->next;
	at = node_end(last);
	if (list->flow) {
		insert_flow(ed, at, true, false, items);
		return;
	}
	r.indent = column(ed, first_dash(ed, list));
	if (at == 0 || ed->data[at - 1] != '\n') /* else it was a block scalar */
		at = line_after(ed, at);
	if (at > 0 && ed->data[at - 1] != '\n')
		e = buf_printf(&b, "%s", r.line_break);
	if (e == TULLE_OK)
		e = render_block(&r, items, true);
	add(ed, at, 0, &b, e);
	json_decref(items);
}

void
edit_replace_value(struct edits *ed, const struct node *old, json_t *value)
{
	struct buf b = buf_new(TEXT_MAX);
	size_t end = node_end(old);
	enum tulle_err e;

	e = old->start == end ? buf_append(&b, " ", 1) : TULLE_OK;
	if (e == TULLE_OK)
		e = render_flow(&b, value);
	add(ed, old->start, end - old->start, &b, e);
	json_decref(value);
}

void
edit_replace_entry(struct edits *ed, const struct node *map, const struct node *old, const char *key, json_t *value)
{
	json_t *entry = json_pack("{s:o}", key, value);
	struct buf b = buf_new(TEXT_MAX);
	size_t start = old->key->start, end = node_end(old);
	struct render r = { &b, line_break(ed), column(ed, start) };
	char AUTO_FREE *text = NULL;
	enum tulle_err e = TULLE_ENOMEM;

	if (entry != NULL && map->flow) {
		text = json_dumps(entry, JSON_ENSURE_ASCII);
		if (text != NULL)
			e = buf_append(&b, text + 1, strlen(text) - 2);
	} else if (entry != NULL) {
		while (end > start && strchr(" \t\r\n", ed->data[end - 1]) != NULL) /* a block scalar was last */
			end--;
		e = render_block(&r, entry, false);
		while (e == TULLE_OK && buf_len(&b) > 0 && strchr("\r\n", buf_head(&b)[buf_len(&b) - 1]) != NULL)
			b.len--; /* the line's own stays */
	}
	add(ed, start, end - start, &b, e);
	json_decref(entry);
}

/* ---- all together ------------------------------------------------------------------ */

/* Stable: what was added first at one place comes first.  There are few. */
enum tulle_err
edits_sort(struct edits *ed, size_t first)
{
	if (ed->e != TULLE_OK)
		return ed->e;
	for (size_t i = first + 1; i < ed->n; i++) {
		struct edit one = ed->list[i];
		size_t j = i;

		for (; j > first && ed->list[j - 1].at > one.at; j--)
			ed->list[j] = ed->list[j - 1];
		ed->list[j] = one;
	}
	for (size_t i = first + 1; i < ed->n; i++)
		if (ed->list[i - 1].at + ed->list[i - 1].len > ed->list[i].at)
			return TULLE_EINVAL;
	return TULLE_OK;
}

/* Is a byte of <from> to <to>, or a place beside one, changed?  <within>: only by an edit that takes all of them away. */
static bool
is_touched(const struct edits *ed, size_t from, size_t to, bool within)
{
	size_t low = 0, high = ed->n;

	while (low < high) { /* the first edit that ends at <from> or later */
		size_t middle = low + (high - low) / 2;

		if (ed->list[middle].at + ed->list[middle].len < from)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < ed->n && ed->list[low].at <= to; low++)
		if (!within || (ed->list[low].at <= from && ed->list[low].at + ed->list[low].len >= to && ed->list[low].len > 0))
			return true;
	return false;
}

const struct node *
edits_shared(const struct edits *ed, const struct node *n)
{
	const struct node *found = NULL;

	if (n == NULL)
		return NULL;
	if (n->kind == NODE_ALIAS)
		return is_touched(ed, n->target->start, line_after(ed, node_end(n->target)), false) && !is_touched(ed, n->start, n->end, true) ? n :
																		NULL;
	for (const struct node *c = n->first; c != NULL && found == NULL; c = c->next)
		found = edits_shared(ed, c);
	return found;
}

void
edits_drop_own(struct edits *ed)
{
	size_t n = 0;

	for (size_t i = 0; i < ed->n; i++)
		if (!ed->list[i].own)
			ed->list[n++] = ed->list[i];
	ed->n = n;
}

enum tulle_err
edits_apply(const struct edits *ed, struct buf *out)
{
	enum tulle_err e = TULLE_OK;
	size_t at = 0;

	for (size_t i = 0; i < ed->n && e == TULLE_OK; i++) {
		const struct edit *one = &ed->list[i];

		e = buf_append(out, ed->data + at, one->at - at);
		if (e == TULLE_OK)
			e = buf_append(out, one->text, one->text_len);
		at = one->at + one->len;
	}
	return e == TULLE_OK ? buf_append(out, ed->data + at, ed->len - at) : e;
}
