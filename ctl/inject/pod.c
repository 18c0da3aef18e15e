/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/pod.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define KEYS_MAX 2000
#define LISTS_MAX 8 /* a List in a List */

static const struct place_of_pod {
	const char *kind, *group; /* the API group: a Job may be somebody else's */
	const char *steps[4];     /* to what has metadata and spec */
} kinds[] = {
	{ "Pod", "", { NULL } },
	{ "Deployment", "apps", { "spec", "template", NULL } },
	{ "StatefulSet", "apps", { "spec", "template", NULL } },
	{ "DaemonSet", "apps", { "spec", "template", NULL } },
	{ "ReplicaSet", "apps", { "spec", "template", NULL } },
	{ "Job", "batch", { "spec", "template", NULL } },
	{ "CronJob", "batch", { "spec", "jobTemplate", "spec", "template" } },
};

struct find {
	struct arena *arena;
	struct problems *problems;
	struct pod *list;
	size_t n, room;
};

static enum tulle_err
wrong(struct find *f, struct node *at, const char *field, const char *what)
{
	problem_error(f->problems, at->place, field, "%s", what);
	return TULLE_EINVAL;
}

/* Which pod an object has, if any. */
static const struct place_of_pod *
kind_of(struct node *object)
{
	const char *kind = node_text(node_get(object, "kind")), *version = node_text(node_get(object, "apiVersion")), *slash;
	size_t group;

	if (kind == NULL || version == NULL)
		return NULL;
	slash = strchr(version, '/');
	group = slash != NULL ? (size_t)(slash - version) : 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0 && strlen(kinds[i].group) == group && strncmp(version, kinds[i].group, group) == 0)
			return &kinds[i];
	return NULL;
}

static bool
is_list(struct node *object)
{
	const char *kind = node_text(node_get(object, "kind")), *version = node_text(node_get(object, "apiVersion"));

	return kind != NULL && version != NULL && strcmp(kind, "List") == 0 && strcmp(version, "v1") == 0;
}

/* A key that stands twice kubectl refuses, or takes the last: neither is a ground to build on. */
static enum tulle_err
check_keys(struct find *f, struct node *n)
{
	char shown[PROBLEM_SHOWN];

	if (n->kind == NODE_MAP && n->n > KEYS_MAX)
		return wrong(f, n, NULL, "too many keys in one mapping of a pod");
	for (struct node *c = n->first; c != NULL; c = c->next) {
		const char *key = n->kind == NODE_MAP ? node_text(c->key) : NULL;

		if (n->kind == NODE_MAP && key == NULL)
			return wrong(f, c->key, NULL, "a key must be a text; is this a template that has not been rendered?");
		if (key != NULL && node_own(n, key) != c) {
			problem_error(f->problems, c->key->place, NULL, "%s stands here a second time; the first is in line %u",
			    problem_show(shown, key), node_own(n, key)->key->place.line);
			return TULLE_EINVAL;
		}
		if (check_keys(f, c) != TULLE_OK)
			return TULLE_EINVAL;
	}
	return TULLE_OK;
}

/* The mapping <key> in <map>, which must stand there itself, or be absent. */
static enum tulle_err
own_map(struct find *f, struct node *map, const char *prefix, const char *key, struct node **ret)
{
	struct node *n = node_own(map, key);
	char field[POD_FIELD];

	(void)snprintf(field, sizeof(field), "%s%s", prefix, key);
	if (n != NULL && n->kind == NODE_ALIAS)
		return wrong(f, n, field, "stands elsewhere (*name) and has to be changed here; write it out");
	if (n == NULL && node_get(map, key) != NULL)
		return wrong(f, map, field, "comes from a merge key (<<) and has to be changed here; write it out");
	if (n != NULL && !node_null(n) && n->kind != NODE_MAP)
		return wrong(f, n, field, "must be a mapping");
	*ret = n != NULL && n->kind == NODE_MAP ? n : NULL;
	return TULLE_OK;
}

static enum tulle_err
find_frame(struct find *f, const struct place_of_pod *k, struct pod *p)
{
	enum tulle_err e;

	p->frame = p->object;
	for (size_t i = 0; i < ARRAY_LEN(k->steps) && k->steps[i] != NULL; i++) {
		struct node *below = NULL, *at = p->frame;
		size_t len = strlen(p->path);

		e = own_map(f, at, p->path, k->steps[i], &below);
		if (e != TULLE_OK)
			return e;
		(void)snprintf(p->path + len, sizeof(p->path) - len, "%s", k->steps[i]);
		if (below == NULL)
			return wrong(f, at, p->path, "is missing");
		p->frame = below;
		len = strlen(p->path);
		(void)snprintf(p->path + len, sizeof(p->path) - len, ".");
	}
	return TULLE_OK;
}

static enum tulle_err
read_pod(struct find *f, const struct place_of_pod *k, struct pod *p)
{
	char field[POD_FIELD];
	enum tulle_err e;

	e = check_keys(f, p->object);
	if (e == TULLE_OK)
		e = find_frame(f, k, p);
	if (e == TULLE_OK)
		e = own_map(f, p->frame, p->path, "metadata", &p->metadata);
	if (e == TULLE_OK)
		e = own_map(f, p->frame, p->path, "spec", &p->spec);
	if (e == TULLE_OK && p->spec == NULL)
		e = wrong(f, p->frame, pod_field(field, p, "spec"), "is missing");
	if (e == TULLE_OK && p->frame == p->object && p->metadata == NULL)
		e = wrong(f, p->object, "metadata", "is missing: a pod has a name");
	if (e == TULLE_OK && p->metadata != NULL)
		e = own_map(f, p->metadata, pod_field(field, p, "metadata."), "annotations", &p->annotations);
	return e;
}

static enum tulle_err
add_pod(struct find *f, const struct pod *p)
{
	if (f->n == f->room) {
		size_t room = f->room > 0 ? 2 * f->room : 4;
		struct pod *more = arena_array(f->arena, room, sizeof(*more));

		if (more == NULL)
			return TULLE_ENOMEM;
		if (f->n > 0)
			memcpy(more, f->list, f->n * sizeof(*more));
		f->list = more;
		f->room = room;
	}
	f->list[f->n++] = *p;
	return TULLE_OK;
}

static enum tulle_err
look(struct find *f, struct node *object, size_t start, size_t end, unsigned int depth)
{
	const struct place_of_pod *k = kind_of(object);
	struct pod p = { .object = object, .start = start, .end = end };
	struct node *items, *n;
	enum tulle_err e;

	if (is_list(object) && depth < LISTS_MAX) {
		items = node_own(object, "items");
		for (n = items != NULL && items->kind == NODE_LIST ? items->first : NULL; n != NULL; n = n->next) {
			if (n->kind == NODE_ALIAS && kind_of(n->target) != NULL)
				return wrong(f, n, "items", "stands elsewhere (*name) and has to be changed here; write it out");
			e = look(f, n, n->start, n->next != NULL ? n->next->start : end, depth + 1);
			if (e != TULLE_OK)
				return e;
		}
		return TULLE_OK;
	}
	if (k == NULL || object->kind != NODE_MAP)
		return TULLE_OK;
	p.kind = k->kind;
	p.name = node_text(node_get(node_get(object, "metadata"), "name"));
	p.namespace = node_text(node_get(node_get(object, "metadata"), "namespace"));
	e = read_pod(f, k, &p);
	return e == TULLE_OK ? add_pod(f, &p) : e;
}

enum tulle_err
pods_find(struct pod **ret, size_t *ret_n, struct arena *arena, const struct tree_document *d, struct problems *problems)
{
	struct find f = { .arena = arena, .problems = problems };
	enum tulle_err e = TULLE_OK;

	if (d->root != NULL)
		e = look(&f, d->root, d->start, d->end, 0);
	if (e != TULLE_OK)
		return e;
	*ret = f.list;
	*ret_n = f.n;
	return TULLE_OK;
}

struct node *
pod_annotation(const struct pod *p, const char *name)
{
	char key[100];

	(void)snprintf(key, sizeof(key), "tulle.mesh/%s", name);
	return node_get(p->annotations, key);
}

bool
pod_ends(const struct pod *p)
{
	const char *policy = node_text(node_get(p->spec, "restartPolicy"));

	return strcmp(p->kind, "Job") == 0 || strcmp(p->kind, "CronJob") == 0 ||
	    (policy != NULL && (strcmp(policy, "Never") == 0 || strcmp(policy, "OnFailure") == 0));
}

const char *
pod_title(char out[PROBLEM_SHOWN], const struct pod *p)
{
	char shown[PROBLEM_SHOWN];

	if (p->name == NULL)
		(void)snprintf(out, PROBLEM_SHOWN, "%s in line %u", p->kind, p->object->place.line);
	else
		(void)snprintf(out, PROBLEM_SHOWN, "%s %.*s", p->kind, PROBLEM_SHOWN - 20, problem_show(shown, p->name));
	return out;
}

const char *
pod_field(char out[POD_FIELD], const struct pod *p, const char *fmt, ...)
{
	size_t n = strlen(p->path);
	va_list ap;

	memcpy(out, p->path, n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(out + n, POD_FIELD - n, fmt, ap);
	va_end(ap);
	return out;
}
