/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/inject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "inject/added.h"
#include "inject/edit.h"
#include "inject/pod.h"
#include "inject/probes.h"
#include "inject/proof.h"
#include "inject/refuse.h"
#include "inject/status.h"

#define ARENA_MAX (1024u << 20)
#define GRACE_KUBERNETES 30 /* where a pod says nothing */
#define GRACE_MAX 3600      /* what the sidecar takes */
#define DRAIN_SIDECAR 5     /* where nothing is said */
#define FLUSH 5             /* what the sidecar's own stop needs beside the drain */

struct inject {
	const struct inject_options *options;
	struct arena arena;
	struct edits edits;
	struct buf *notes;
	struct problems *problems;
	struct inject_done done;
};

/* One pod at work. */
struct work {
	struct inject *in;
	struct pod *pod;
	struct probes probes;
	struct added_pod added;
	json_t *status; /* owned */
	char grace[32];
};

static enum tulle_err
wrong(struct work *w, struct node *at, const char *field, const char *what)
{
	char whole[POD_FIELD];

	problem_error(w->in->problems, at->place, pod_field(whole, w->pod, "%s", field), "%s", what);
	return TULLE_EINVAL;
}

static void
note(struct work *w, const char *what)
{
	char title[PROBLEM_SHOWN];

	(void)buf_printf(w->in->notes, "%s: %s\n", pod_title(title, w->pod), what);
}

/* ---- fields of the spec --------------------------------------------------------- */

static void
remember_made(struct work *w, const char *key)
{
	(void)json_array_append_new(json_object_get(w->status, "made"), json_string(key));
}

static void
remember_was(struct work *w, const char *key, struct node *n)
{
	(void)json_object_set_new(json_object_get(w->status, "was"), key, node_json(n));
}

/* The entry <key> of <map> becomes <value>, which is taken: where there is none, or nothing in it, or a scalar. */
static enum tulle_err
put_value(struct work *w, struct node *map, const char *field, json_t *value)
{
	const char *dot = strrchr(field, '.'), *key = dot != NULL ? dot + 1 : field;
	struct node *n = node_own(map, key);

	if (n == NULL && node_get(map, key) != NULL) {
		json_decref(value);
		return wrong(w, map, field, "comes from a merge key (<<) and has to be changed here; write it out");
	}
	if (n == NULL) {
		remember_made(w, key);
		edit_add_entry(&w->in->edits, map, key, value);
	} else {
		remember_was(w, key, n);
		edit_replace_value(&w->in->edits, n, value);
	}
	return w->in->edits.e;
}

/* <items>, which are taken, into the list <key> of the spec: first of all, or <last>. */
static enum tulle_err
put_items(struct work *w, const char *key, json_t *items, bool last)
{
	struct node *n = node_own(w->pod->spec, key);
	char field[60];

	(void)snprintf(field, sizeof(field), "spec.%s", key);
	if (items == NULL)
		return TULLE_ENOMEM;
	if (n == NULL || node_null(n))
		return put_value(w, w->pod->spec, field, items);
	if (n->kind == NODE_ALIAS) {
		json_decref(items);
		return wrong(w, n, field, "stands elsewhere (*name) and has to be changed here; write it out");
	}
	if (last && n->first != NULL)
		edit_append_items(&w->in->edits, n, items);
	else
		edit_add_items(&w->in->edits, n, items);
	return w->in->edits.e;
}

static enum tulle_err
put_containers(struct work *w)
{
	const struct inject_options *o = w->in->options;
	json_t *init = added_init(o, &w->added), *sidecar = added_sidecar(o, &w->added);
	enum tulle_err e;

	if (!o->classic)
		return put_items(w, "initContainers", json_pack("[oo]", init, sidecar), false);
	/* Init containers that ran after the rules are there and before the sidecar is would have no network. */
	e = put_items(w, "initContainers", json_pack("[o]", init), true);
	if (e != TULLE_OK) {
		json_decref(sidecar);
		return e;
	}
	return put_items(w, "containers", json_pack("[o]", sidecar), false);
}

/* ---- how long a stop takes --------------------------------------------------------- */

static const char *
chosen(const struct pod *p, const char *annotation, const char *option)
{
	const char *text = node_text(pod_annotation(p, annotation));

	return text != NULL ? text : option;
}

/* In whole seconds, rounded up. */
static int64_t
seconds(const char *duration)
{
	uint64_t ms = 0;

	(void)text_duration(duration, &ms);
	return (int64_t)((ms + 999) / 1000);
}

/*
 * The sidecar's time for a stop is the pod's, unless somebody says another;
 * and the pod's is never less than the sidecar's.
 */
static enum tulle_err
put_grace(struct work *w)
{
	const struct inject_options *o = w->in->options;
	const char *given = chosen(w->pod, "termination-grace", o->grace), *key = "terminationGracePeriodSeconds";
	struct node *n = node_get(w->pod->spec, key);
	int64_t has = GRACE_KUBERNETES, need, drain = DRAIN_SIDECAR;
	char text[200];

	w->added.drain = chosen(w->pod, "drain", o->drain);
	if (w->added.drain != NULL)
		drain = seconds(w->added.drain);
	if (!node_null(n) && (!node_int(n, &has) || has < 0))
		return wrong(w, n, "spec.terminationGracePeriodSeconds", "a number of seconds is needed");
	need = given != NULL ? seconds(given) : drain + FLUSH;
	if (need < drain + FLUSH || need > GRACE_MAX) {
		(void)snprintf(text, sizeof(text), "a drain of %llds needs a termination grace of %llds or more, at most %ds; it is %llds",
		    (long long)drain, (long long)drain + FLUSH, GRACE_MAX, (long long)need);
		return wrong(w, w->pod->spec, "spec.terminationGracePeriodSeconds", text);
	}
	if (has >= need) {
		int64_t grace = has < GRACE_MAX ? has : GRACE_MAX;

		(void)snprintf(w->grace, sizeof(w->grace), "%llds", given != NULL ? (long long)need : (long long)grace);
		w->added.grace = w->grace;
		return TULLE_OK;
	}
	(void)snprintf(w->grace, sizeof(w->grace), "%llds", (long long)need);
	w->added.grace = w->grace;
	(void)snprintf(text, sizeof(text), "terminationGracePeriodSeconds is raised from %lld to %lld: less would cut the sidecar's drain",
	    (long long)has, (long long)need);
	note(w, text);
	(void)json_object_set_new(json_object_get(w->status, "set"), key, json_integer(need));
	return put_value(w, w->pod->spec, "spec.terminationGracePeriodSeconds", json_integer(need));
}

/* ---- the status ----------------------------------------------------------------------- */

static void
put_status_text(struct work *w, json_t *text)
{
	struct edits *ed = &w->in->edits;
	struct pod *p = w->pod;
	struct node *annotations = p->metadata != NULL ? node_own(p->metadata, "annotations") : NULL, *metadata = node_own(p->frame, "metadata");

	if (p->annotations != NULL)
		edit_add_entry(ed, p->annotations, STATUS_KEY, text);
	else if (annotations != NULL)
		edit_replace_value(ed, annotations, json_pack("{s:o}", STATUS_KEY, text));
	else if (p->metadata != NULL)
		edit_add_entry(ed, p->metadata, "annotations", json_pack("{s:o}", STATUS_KEY, text));
	else if (metadata != NULL)
		edit_replace_value(ed, metadata, json_pack("{s:{s:o}}", "annotations", STATUS_KEY, text));
	else
		edit_add_entry(ed, p->frame, "metadata", json_pack("{s:{s:o}}", "annotations", STATUS_KEY, text));
}

/* As put_status_text() does it. */
static void
remember_annotations(struct work *w)
{
	struct pod *p = w->pod;
	struct node *annotations = p->metadata != NULL ? node_own(p->metadata, "annotations") : NULL, *metadata = node_own(p->frame, "metadata");

	if (p->annotations != NULL)
		return;
	if (annotations != NULL)
		remember_was(w, "annotations", annotations);
	else
		remember_made(w, "annotations");
	if (p->metadata == NULL && metadata != NULL)
		remember_was(w, "metadata", metadata);
	else if (p->metadata == NULL)
		remember_made(w, "metadata");
}

/*
 * The status tells of all edits, its own place included: so it is put in
 * empty first, and filled when all are in order.
 */
static enum tulle_err
put_status(struct work *w, size_t first)
{
	struct edits *ed = &w->in->edits;
	char AUTO_FREE *text = NULL;
	enum tulle_err e;

	remember_annotations(w);
	put_status_text(w, json_string(""));
	if (ed->e != TULLE_OK)
		return ed->e;
	ed->list[ed->n - 1].own = true;
	e = edits_sort(ed, first);
	if (e == TULLE_OK)
		e = status_undo(w->status, ed, first, w->pod->start, w->pod->end);
	if (e != TULLE_OK)
		return e;
	text = json_dumps(w->status, JSON_COMPACT | JSON_ENSURE_ASCII);
	put_status_text(w, text != NULL ? json_string(text) : NULL);
	if (ed->e != TULLE_OK || text == NULL)
		return TULLE_ENOMEM;
	ed->n--;
	for (size_t i = first; i < ed->n; i++)
		if (ed->list[i].own) {
			ed->list[i].text = ed->list[ed->n].text;
			ed->list[i].text_len = ed->list[ed->n].text_len;
		}
	return TULLE_OK;
}

/* ---- a pod ------------------------------------------------------------------------------ */

static void
note_hooks(struct work *w)
{
	static const char *const hooks[] = { "postStart", "preStop" };

	POD_EACH_CONTAINER (w->pod, "containers", n)
		for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
			struct node *hook = node_get(node_get(n, "lifecycle"), hooks[i]);

			if (node_get(hook, "httpGet") != NULL || node_get(hook, "tcpSocket") != NULL)
				note(w, "a lifecycle hook goes over the network and stays as it is: kubelet's plaintext is refused under STRICT");
		}
}

static enum tulle_err
put_all(struct work *w)
{
	const struct inject_options *o = w->in->options;
	size_t first = w->in->edits.n;
	enum tulle_err e;

	e = probes_rewrite(&w->probes, w->pod, &w->in->edits, w->in->problems);
	if (e != TULLE_OK)
		return e;
	w->added.probes = w->probes.table;
	w->status = status_new(o, w->probes.were);
	if (w->status == NULL)
		return TULLE_ENOMEM;
	e = put_grace(w);
	if (e == TULLE_OK && o->classic && w->added.ends && !node_true(node_get(w->pod->spec, "shareProcessNamespace")))
		e = put_value(w, w->pod->spec, "spec.shareProcessNamespace", json_true());
	if (e == TULLE_OK)
		e = put_containers(w);
	if (e == TULLE_OK)
		e = put_items(w, "volumes", added_volumes(o), false);
	if (e == TULLE_OK)
		e = put_status(w, first);
	return e;
}

static enum tulle_err
one_pod(struct inject *in, struct pod *p)
{
	struct work w = { .in = in, .pod = p };
	size_t errors = in->problems->errors;
	enum tulle_err e;

	if (refuse_unwanted(p)) {
		note(&w, "left as it is: tulle.mesh/inject is \"false\"");
		in->done.left++;
		return TULLE_OK;
	}
	refuse_pod(p, in->options, in->problems);
	if (in->problems->errors > errors)
		return TULLE_OK; /* the others are looked at, too */
	w.added.exclude_inbound = node_text(pod_annotation(p, "exclude-inbound-ports"));
	w.added.exclude_outbound = node_text(pod_annotation(p, "exclude-outbound-ports"));
	w.added.service = p->name;
	w.added.namespace = p->namespace;
	w.added.ends = pod_ends(p);
	e = put_all(&w);
	note_hooks(&w);
	probes_free(&w.probes);
	json_decref(w.status);
	in->done.changed++;
	return e == TULLE_EINVAL && in->problems->errors > errors ? TULLE_OK : e;
}

static enum tulle_err
all_pods(struct inject *in, const struct tree *t)
{
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < t->n && e == TULLE_OK; i++) {
		struct pod *pods = NULL;
		size_t n = 0;

		e = pods_find(&pods, &n, &in->arena, &t->documents[i], in->problems);
		for (size_t k = 0; k < n && e == TULLE_OK; k++)
			e = one_pod(in, &pods[k]);
		if (e == TULLE_EINVAL && in->problems->errors > 0)
			e = TULLE_OK; /* the other documents are looked at, too; then nothing is printed */
	}
	return e == TULLE_OK && in->problems->errors > 0 ? TULLE_EINVAL : e;
}

enum tulle_err
inject_text(struct buf *out, struct buf *notes, struct inject_done *ret, const char *name, const char *data, size_t len,
    const struct inject_options *o, struct problems *problems)
{
	struct inject in = { .options = o, .arena = arena_new(ARENA_MAX), .notes = notes, .problems = problems };
	struct buf made = buf_new(INJECT_OUT_MAX);
	struct tree t = { 0 };
	enum tulle_err e;

	in.edits = edits_new(&in.arena, data, len);
	e = tree_parse(&t, &in.arena, name, data, len, problems);
	if (e == TULLE_OK)
		e = all_pods(&in, &t);
	if (e == TULLE_OK)
		e = edits_sort(&in.edits, 0);
	if (e == TULLE_OK)
		e = proof_shared(&in.edits, &t, problems);
	if (e == TULLE_OK)
		e = edits_apply(&in.edits, &made);
	if (e == TULLE_ELIMIT || (e == TULLE_OK && buf_len(&made) > TREE_MAX_BYTES)) { /* uninject would not read it */
		problem_error(problems, (struct place){ name, 1, 0 }, NULL, "would become larger than %u MiB; divide it", TREE_MAX_BYTES >> 20);
		e = TULLE_EINVAL;
	}
	if (e == TULLE_OK && in.edits.n > 0)
		e = proof_back(&in.edits, name, &t, &made, problems);
	if (e == TULLE_OK && o->no_status) { /* only now: the proof needs it */
		edits_drop_own(&in.edits);
		buf_consume(&made, buf_len(&made));
		e = edits_apply(&in.edits, &made);
	}
	if (e == TULLE_OK && buf_len(&made) > 0)
		e = buf_append(out, buf_head(&made), buf_len(&made));
	if (e == TULLE_OK)
		*ret = in.done;
	if (e == TULLE_EINVAL && problems->errors == 0)
		problem_error(problems, (struct place){ name, 1, 0 }, NULL, "has parts that overlap; write them out");
	buf_free(&made);
	arena_free(&in.arena);
	return e;
}
