/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/proof.h"

#include <string.h>

#include "inject/inject.h"
#include "inject/pod.h"
#include "inject/status.h"
#include "inject/takeout.h"

#define ARENA_MAX (1024u << 20)

/* Is <now> without what was put in the same as <was>, value by value? */
static bool
same_values(struct arena *arena, const struct tree *was, const struct tree *now, struct problems *problems)
{
	if (was->n != now->n)
		return false;
	for (size_t i = 0; i < now->n; i++) {
		struct pod *pods = NULL;
		size_t n = 0;

		if (pods_find(&pods, &n, arena, &now->documents[i], problems) != TULLE_OK)
			return false;
		for (size_t k = 0; k < n; k++) {
			const char *text = node_text(pod_annotation(&pods[k], "status"));
			json_t *status = text != NULL ? status_read(text) : NULL;
			bool ok = text == NULL || (status != NULL && takeout(&pods[k], status, arena) == TULLE_OK);

			json_decref(status);
			if (!ok)
				return false;
		}
		if (!node_equal(was->documents[i].root, now->documents[i].root))
			return false;
	}
	return true;
}

enum tulle_err
proof_shared(const struct edits *ed, const struct tree *t, struct problems *problems)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct node *alias = edits_shared(ed, t->documents[i].root);
		char shown[PROBLEM_SHOWN];

		if (alias != NULL) {
			problem_error(problems, alias->place, NULL,
			    "the alias %s stands for something in line %u that has to be changed there and not here; write it out",
			    problem_show(shown, alias->text), alias->target->place.line);
			return TULLE_EINVAL;
		}
	}
	return TULLE_OK;
}

enum tulle_err
proof_back(const struct edits *ed, const char *name, const struct tree *was, const struct buf *made, struct problems *problems)
{
	const char *data = (const char *)buf_head(made);
	struct buf back = buf_new(INJECT_OUT_MAX), notes = buf_new(4096);
	struct problems unused; /* of the new text: nobody knows its lines */
	struct arena arena = arena_new(ARENA_MAX);
	struct inject_done done;
	struct tree now = { 0 };
	bool ok;

	problems_init(&unused);
	ok = tree_parse(&now, &arena, name, data, buf_len(made), &unused) == TULLE_OK && same_values(&arena, was, &now, &unused) &&
	    uninject_text(&back, &notes, &done, name, data, buf_len(made), &unused) == TULLE_OK &&
	    buf_len(&back) == ed->len && (ed->len == 0 || memcmp(buf_head(&back), ed->data, ed->len) == 0);
	problems_free(&unused);
	buf_free(&back);
	buf_free(&notes);
	arena_free(&arena);
	if (ok)
		return TULLE_OK;
	problem_error(problems, (struct place){ name, 1, 0 }, NULL,
	    "cannot be changed in place without changing something else; write out what stands in it by anchors and aliases (&name, *name), "
	    "and end the file with a line break");
	return TULLE_EINVAL;
}
