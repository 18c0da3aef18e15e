/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/probes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* What tulle-sidecar(8) takes. */
#define TABLE_MAX (64u << 10) /* bytes */
#define ENTRIES_MAX 256
#define HEADERS_MAX 32
#define SERVICE_MAX 127
#define TIMEOUT_MAX 300

static const struct probe_name {
	const char *field, *path;
} probe_names[] = { { "livenessProbe", "livez" }, { "readinessProbe", "readyz" }, { "startupProbe", "startupz" } };

static const char *const handlers[] = { "httpGet", "tcpSocket", "grpc" };

struct rewrite {
	const struct pod *pod;
	struct edits *edits;
	struct problems *problems;
	struct probes out;
	struct node *container; /* at hand */
	const char *list, *name;
	size_t index;
	const struct probe_name *kind;
};

static enum tulle_err
wrong(struct rewrite *w, struct node *at, const char *rest, const char *what)
{
	char field[POD_FIELD];

	problem_error(w->problems, at->place, pod_field(field, w->pod, "spec.%s[%zu].%s%s", w->list, w->index, w->kind->field, rest),
	    "%s", what);
	return TULLE_EINVAL;
}

/* A number, or the name of a port of the container.  0: it is none. */
static int64_t
port_of(struct rewrite *w, struct node *port)
{
	struct node *ports = node_get(w->container, "ports");
	const char *name = node_text(port), *other;
	int64_t n = 0;

	if (name != NULL && node_int(port, &n))
		return n > 0 && n <= 65535 ? n : 0;
	for (struct node *c = ports != NULL && ports->kind == NODE_LIST ? ports->first : NULL; c != NULL && name != NULL; c = c->next) {
		other = node_text(node_get(c, "name"));
		if (other != NULL && strcmp(other, name) == 0 && node_int(node_get(c, "containerPort"), &n) && n > 0 && n <= 65535)
			return n;
	}
	return 0;
}

/* As kubelet writes a path into a request: what is no plain character becomes its code. */
static json_t *
coded_path(const char *path)
{
	struct buf b = buf_new(3 * strlen(path) + 1);
	enum tulle_err e = TULLE_OK;
	json_t *out = NULL;

	for (; *path != '\0' && e == TULLE_OK; path++)
		e = *path > ' ' && *path <= '~' ? buf_append(&b, path, 1) : buf_printf(&b, "%%%02X", (unsigned char)*path);
	if (e == TULLE_OK)
		out = json_stringn(buf_len(&b) > 0 ? (const char *)buf_head(&b) : "", buf_len(&b));
	buf_free(&b);
	return out;
}

/* No field is null: what says nothing is not there. */
static void
drop_nulls(json_t *o)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe (o, next, key, value)
		if (json_is_null(value))
			(void)json_object_del(o, key);
}

/* Makes a handler such as tulle-sidecar(8) takes of one such as kubelet does.  NULL, or what it will not take. */
static const char *
fit_handler(json_t *h)
{
	const char *path, *service;
	json_t *headers, *one;
	size_t i;

	drop_nulls(h);
	headers = json_object_get(h, "httpHeaders");
	path = json_string_value(json_object_get(h, "path"));
	service = json_string_value(json_object_get(h, "service"));
	if (path != NULL && json_object_set_new(h, "path", coded_path(path)) != 0)
		return "out of memory";
	if (service != NULL && strlen(service) > SERVICE_MAX)
		return "service is longer than 127 bytes, which the sidecar does not take";
	if (json_array_size(headers) > HEADERS_MAX)
		return "has more than 32 httpHeaders, which the sidecar does not take";
	json_array_foreach (headers, i, one) {
		if (!json_is_object(one) || !json_is_string(json_object_get(one, "name")))
			return "httpHeaders needs a list of names and values";
		drop_nulls(one);
		if (json_object_get(one, "value") == NULL)
			(void)json_object_set_new(one, "value", json_string(""));
	}
	return NULL;
}

/* What the sidecar has to do: the handler with its port as a number, and how long it may take. */
static enum tulle_err
table_entry(struct rewrite *w, struct node *probe, const char *handler, json_t *was, const char *path)
{
	struct node *value = node_get(probe, handler), *port = node_get(value, "port");
	int64_t number = port_of(w, port), timeout = 1;
	json_t *entry, *copy;
	const char *why;
	char rest[40];

	(void)snprintf(rest, sizeof(rest), ".%s.port", handler);
	if (port == NULL)
		return wrong(w, value, rest, "is missing");
	if (number == 0)
		return wrong(w, port, rest, "is neither a port from 1 to 65535 nor the name of a port of this container");
	if (!node_int(node_get(probe, "timeoutSeconds"), &timeout) || timeout < 1)
		timeout = 1;
	if (timeout > TIMEOUT_MAX)
		timeout = TIMEOUT_MAX; /* kubelet's own is as it was */
	copy = json_deep_copy(was);
	why = fit_handler(copy);
	if (why != NULL) {
		json_decref(copy);
		(void)snprintf(rest, sizeof(rest), ".%s", handler);
		return wrong(w, value, rest, why);
	}
	entry = json_pack("{s:o, s:I}", handler, copy, "timeoutSeconds", (json_int_t)timeout);
	if (entry == NULL || json_object_set_new(json_object_get(entry, handler), "port", json_integer(number)) != 0 ||
	    json_object_set(w->out.table, path, entry) != 0) {
		json_decref(entry);
		return TULLE_ENOMEM;
	}
	json_decref(entry);
	return TULLE_OK;
}

static enum tulle_err
remember(struct rewrite *w, const char *handler, json_t *was)
{
	json_t *of = json_object_get(w->out.were, w->name);

	if (of == NULL) {
		of = json_object();
		if (of == NULL || json_object_set_new(w->out.were, w->name, of) != 0)
			return TULLE_ENOMEM;
	}
	return json_object_set_new(of, w->kind->field, json_pack("{s:O}", handler, was)) == 0 ? TULLE_OK : TULLE_ENOMEM;
}

/* In the text: the handler alone, where the probe stands here; the whole probe where an alias stood for it. */
static enum tulle_err
change_text(struct rewrite *w, struct node *own, struct node *probe, const char *handler, const char *path)
{
	json_t *to = json_pack("{s:s, s:i}", "path", path, "port", PROBES_PORT), *whole, *copy;
	struct node *entry = node_own(probe, handler);
	const char *key;
	json_t *value;

	if (to == NULL)
		return TULLE_ENOMEM;
	if (own->kind != NODE_ALIAS) {
		edit_replace_entry(w->edits, probe, entry, "httpGet", to);
		return w->edits->e;
	}
	whole = node_json(own);
	copy = json_object();
	json_object_foreach (whole, key, value) /* in the same order */
		if (strcmp(key, handler) == 0)
			(void)json_object_set(copy, "httpGet", to);
		else
			(void)json_object_set(copy, key, value);
	json_decref(whole);
	json_decref(to);
	edit_replace_value(w->edits, own, copy);
	return w->edits->e;
}

static enum tulle_err
rewrite_handler(struct rewrite *w, struct node *own, struct node *probe, const char *handler)
{
	struct node *value = node_get(probe, handler);
	char path[200];
	json_t *was;
	enum tulle_err e;

	if (value->kind != NODE_MAP)
		return wrong(w, value, "", "is not made as a probe is: its handler must be a mapping");
	if (node_text(node_get(value, "host")) != NULL)
		return TULLE_OK;
	was = node_json(value);
	if (was == NULL)
		return wrong(w, value, "", "is too large");
	(void)snprintf(path, sizeof(path), "/app-health/%s/%s", w->name, w->kind->path);
	e = table_entry(w, probe, handler, was, path);
	if (e == TULLE_OK)
		e = remember(w, handler, was);
	json_decref(was);
	return e == TULLE_OK ? change_text(w, own, probe, handler, path) : e;
}

static enum tulle_err
rewrite_probe(struct rewrite *w)
{
	struct node *own = node_own(w->container, w->kind->field), *probe = node_get(w->container, w->kind->field);
	size_t n = 0, which = 0;

	if (node_null(probe))
		return TULLE_OK;
	if (probe->kind != NODE_MAP)
		return wrong(w, probe, "", "must be a mapping");
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		if (!node_null(node_get(probe, handlers[i]))) {
			which = i;
			n++;
		}
	if (n == 0)
		return TULLE_OK; /* exec, or nothing */
	if (n > 1 || !node_null(node_get(probe, "exec")))
		return wrong(w, probe, "", "has more than one handler; one of httpGet, tcpSocket, grpc and exec is needed");
	if (node_own(probe, "<<") != NULL || node_own(node_get(probe, handlers[which]), "<<") != NULL)
		return wrong(w, probe, "", "has a merge key (<<) and has to be changed here; write it out");
	if (own == NULL)
		return wrong(w, w->container, "", "comes from a merge key (<<) and has to be changed here; write it out");
	return rewrite_handler(w, own, probe, handlers[which]);
}

/* Does this container have probes, here?  Of init containers only those that go on running do. */
static enum tulle_err
rewrite_container(struct rewrite *w, struct node *n)
{
	size_t errors = w->problems->errors;
	enum tulle_err e = TULLE_OK;

	w->container = node_value(n);
	w->name = node_text(node_get(n, "name"));
	for (size_t i = 0; i < ARRAY_LEN(probe_names) && (e == TULLE_OK || e == TULLE_EINVAL); i++) {
		size_t before = w->edits->n;

		w->kind = &probe_names[i];
		e = rewrite_probe(w);
		if (e == TULLE_OK && w->edits->n > before && n->kind == NODE_ALIAS)
			e = wrong(w, n, "", "stands elsewhere (*name) and has to be changed here; write it out");
	}
	return e == TULLE_OK && w->problems->errors > errors ? TULLE_EINVAL : e;
}

/* All of them go into one variable. */
static enum tulle_err
check_size(struct rewrite *w)
{
	char AUTO_FREE *text = json_dumps(w->out.table, JSON_COMPACT | JSON_ENSURE_ASCII);
	char field[POD_FIELD];

	if (text == NULL)
		return TULLE_ENOMEM;
	if (json_object_size(w->out.table) <= ENTRIES_MAX && strlen(text) <= TABLE_MAX)
		return TULLE_OK;
	problem_error(w->problems, w->pod->spec->place, pod_field(field, w->pod, "spec"),
	    "has more than %d probes over the network, or more than %u KiB of them, which the sidecar does not take", ENTRIES_MAX,
	    TABLE_MAX >> 10);
	return TULLE_EINVAL;
}

enum tulle_err
probes_rewrite(struct probes *ret, const struct pod *p, struct edits *ed, struct problems *problems)
{
	static const char *const lists[] = { "initContainers", "containers" };
	struct rewrite w = { .pod = p, .edits = ed, .problems = problems };
	size_t errors = problems->errors;
	enum tulle_err e = TULLE_OK;

	w.out = (struct probes){ json_object(), json_object() };
	if (w.out.table == NULL || w.out.were == NULL)
		e = TULLE_ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		w.list = lists[i];
		w.index = 0;
		POD_EACH_CONTAINER (p, w.list, n) {
			if (e != TULLE_OK && e != TULLE_EINVAL)
				break;
			e = rewrite_container(&w, n);
			w.index++;
		}
	}
	if (e == TULLE_OK && problems->errors > errors)
		e = TULLE_EINVAL;
	if (e == TULLE_OK)
		e = check_size(&w);
	if (e == TULLE_OK)
		*ret = w.out;
	else
		probes_free(&w.out);
	return e;
}

void
probes_free(struct probes *p)
{
	json_decref(p->table);
	json_decref(p->were);
	*p = (struct probes){ NULL, NULL };
}

/* ---- back ----------------------------------------------------------------------- */

/* The entry "httpGet" of a probe becomes the handler that was there, in its place. */
static enum tulle_err
restore_probe(struct node *probe, const json_t *was, struct arena *arena)
{
	struct node *made = node_of_json(arena, was), *now = node_own(probe, "httpGet");

	if (made == NULL)
		return TULLE_ENOMEM;
	if (now == NULL || made->first == NULL)
		return TULLE_OK;
	made = made->first;
	made->next = now->next;
	*now = *made;
	return TULLE_OK;
}

static enum tulle_err
restore_container(struct node *container, const json_t *probes, struct arena *arena)
{
	struct node *probe;
	const char *field;
	json_t *was;
	enum tulle_err e = TULLE_OK;

	json_object_foreach ((json_t *)(uintptr_t)probes, field, was) {
		probe = node_value(node_own(container, field));
		if (probe != NULL && e == TULLE_OK)
			e = restore_probe(probe, was, arena);
	}
	return e;
}

enum tulle_err
probes_restore(const struct pod *p, const json_t *were, struct arena *arena)
{
	static const char *const lists[] = { "initContainers", "containers" };
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		POD_EACH_CONTAINER (p, lists[i], n) {
			const char *name = node_text(node_get(n, "name"));
			const json_t *probes = name != NULL ? json_object_get(were, name) : NULL;

			if (probes != NULL && e == TULLE_OK)
				e = restore_container(node_value(n), probes, arena);
		}
	return e;
}
