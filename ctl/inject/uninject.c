/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uninject.c - a manifest's pods out of the mesh: by the text where that is
 * as inject left it, else by the values, which writes the document anew.
 */
#include <string.h>

#include "inject/edit.h"
#include "inject/inject.h"
#include "inject/pod.h"
#include "inject/status.h"
#include "inject/takeout.h"

#define ARENA_MAX (1024u << 20)

struct uninject {
	struct arena arena;
	struct edits edits;
	struct buf *notes;
	struct problems *problems;
	struct inject_done done;
};

static enum tulle_err
read_status(struct uninject *u, const struct pod *p, json_t **ret)
{
	struct node *n = pod_annotation(p, "status");
	const char *text = node_text(n);
	char field[POD_FIELD];

	*ret = NULL;
	if (n == NULL)
		return TULLE_OK;
	*ret = text != NULL ? status_read(text) : NULL;
	if (*ret != NULL)
		return TULLE_OK;
	problem_error(u->problems, n->place, pod_field(field, p, "metadata.annotations[\"%s\"]", STATUS_KEY),
	    "is not what tulle inject writes; take the containers tulle and tulle-init out by hand, and this annotation");
	return TULLE_EINVAL;
}

/* By the text, into an edit.  TULLE_EDAMAGED: that has been changed. */
static enum tulle_err
by_text(struct uninject *u, const struct pod *p, const json_t *status)
{
	struct buf was = buf_new(2 * TREE_MAX_BYTES);
	enum tulle_err e;

	e = status_restore(status, u->edits.data + p->start, p->end - p->start, &was);
	if (e == TULLE_OK)
		edit_text(&u->edits, p->start, p->end - p->start, buf_len(&was) > 0 ? (const char *)buf_head(&was) : "", buf_len(&was));
	buf_free(&was);
	return e == TULLE_OK ? u->edits.e : e;
}

/* All pods of a document by their values.  <next>: the document after it, or NULL. */
static enum tulle_err
by_values(struct uninject *u, const struct tree_document *d, const struct tree_document *next, struct pod *pods, size_t n)
{
	struct buf out = buf_new(2 * TREE_MAX_BYTES);
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < n && e == TULLE_OK; i++) {
		json_t *status;

		e = read_status(u, &pods[i], &status);
		if (e == TULLE_OK && status != NULL)
			e = takeout(&pods[i], status, &u->arena);
		json_decref(status);
	}
	if (e == TULLE_OK)
		e = tree_emit(&out, d);
	if (e == TULLE_OK && next != NULL && (!next->marked || u->edits.data[next->start] == '%'))
		e = buf_append(&out, "...\n", 4);
	if (e == TULLE_OK)
		edit_text(&u->edits, d->start, d->end - d->start, (const char *)buf_head(&out), buf_len(&out));
	buf_free(&out);
	if (e == TULLE_OK)
		(void)buf_printf(u->notes,
		    "the document in line %u is not as tulle inject left it: it was written anew, without comments\n", d->root->place.line);
	return e == TULLE_OK ? u->edits.e : e;
}

static enum tulle_err
document(struct uninject *u, const struct tree_document *d, const struct tree_document *next)
{
	size_t n = 0, before = u->edits.n, changed = 0;
	struct pod *pods = NULL;
	enum tulle_err e;

	e = pods_find(&pods, &n, &u->arena, d, u->problems);
	for (size_t i = 0; i < n && e == TULLE_OK; i++) {
		json_t *status;

		e = read_status(u, &pods[i], &status);
		if (e == TULLE_OK && status != NULL) {
			changed++;
			e = by_text(u, &pods[i], status);
		}
		json_decref(status);
	}
	if (e == TULLE_EDAMAGED) {
		u->edits.n = before;
		changed = 0;
		for (size_t i = 0; i < n; i++)
			changed += pod_annotation(&pods[i], "status") != NULL;
		e = by_values(u, d, next, pods, n);
	}
	u->done.changed += changed;
	u->done.left += n - changed;
	return e;
}

enum tulle_err
uninject_text(struct buf *out, struct buf *notes, struct inject_done *ret, const char *name, const char *data, size_t len,
    struct problems *problems)
{
	struct uninject u = { .arena = arena_new(ARENA_MAX), .notes = notes, .problems = problems };
	struct tree t = { 0 };
	enum tulle_err e;

	u.edits = edits_new(&u.arena, data, len);
	e = tree_parse(&t, &u.arena, name, data, len, problems);
	for (size_t i = 0; t.documents != NULL && i < t.n && e == TULLE_OK; i++)
		e = document(&u, &t.documents[i], i + 1 < t.n ? &t.documents[i + 1] : NULL);
	if (e == TULLE_OK)
		e = edits_sort(&u.edits, 0);
	if (e == TULLE_OK)
		e = edits_apply(&u.edits, out);
	if (e == TULLE_OK)
		*ret = u.done;
	arena_free(&u.arena);
	return e;
}
