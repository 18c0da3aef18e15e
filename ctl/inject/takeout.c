/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/takeout.h"

#include <stdint.h>
#include <string.h>

#include "inject/added.h"
#include "inject/probes.h"
#include "inject/status.h"

/* Takes <child> out of the children of <n>. */
static void
unlink_child(struct node *n, const struct node *child)
{
	for (struct node **at = &n->first; *at != NULL; at = &(*at)->next)
		if (*at == child) {
			*at = child->next;
			n->n--;
			return;
		}
}

static bool
is_ours(const char *name, bool volume)
{
	if (!volume)
		return strcmp(name, ADDED_SIDECAR) == 0 || strcmp(name, ADDED_INIT) == 0;
	for (const struct added_mount *m = added_mounts; m->volume != NULL; m++)
		if (strcmp(m->volume, name) == 0)
			return true;
	return false;
}

static bool
was_made(const json_t *status, const char *key)
{
	json_t *name;
	size_t i;

	json_array_foreach (json_object_get(status, "made"), i, name)
		if (json_is_string(name) && strcmp(json_string_value(name), key) == 0)
			return true;
	return false;
}

static void
remove_made(struct node *map, const char *key)
{
	struct node *n = node_own(map, key);

	if (n != NULL)
		unlink_child(map, n);
}

/* The entry <key> of <map> gets the value <j>, in its place. */
static enum tulle_err
set_value(struct node *map, const char *key, const json_t *j, struct arena *arena)
{
	struct node *now = node_own(map, key), *made;

	if (now == NULL)
		return TULLE_OK;
	made = node_of_json(arena, j);
	if (made == NULL)
		return TULLE_ENOMEM;
	made->key = now->key;
	made->next = now->next;
	*now = *made;
	return TULLE_OK;
}

/* A list loses what is ours; an empty one becomes what it was. */
static enum tulle_err
clear_list(struct pod *p, const json_t *status, const char *key, struct arena *arena)
{
	const json_t *was = json_object_get(json_object_get(status, "was"), key);
	struct node *list = node_own(p->spec, key);

	if (list == NULL || list->kind != NODE_LIST)
		return TULLE_OK;
	for (struct node *n = list->first, *next; n != NULL; n = next) {
		const char *name = node_text(node_get(n, "name"));

		next = n->next;
		if (name != NULL && is_ours(name, strcmp(key, "volumes") == 0))
			unlink_child(list, n);
	}
	if (list->n > 0)
		return TULLE_OK;
	if (was_made(status, key))
		remove_made(p->spec, key);
	else if (was != NULL)
		return set_value(p->spec, key, was, arena);
	return TULLE_OK;
}

/* A field is what it was, if it still is what it was set to. */
static enum tulle_err
clear_field(struct pod *p, const json_t *status, const char *key, struct arena *arena)
{
	const json_t *was = json_object_get(json_object_get(status, "was"), key);
	const json_t *set = json_object_get(json_object_get(status, "set"), key);
	struct node *n = node_own(p->spec, key);
	int64_t v;

	if (n == NULL || (json_is_integer(set) && (!node_int(n, &v) || v != json_integer_value(set))))
		return TULLE_OK;
	if (was_made(status, key))
		remove_made(p->spec, key);
	else if (was != NULL)
		return set_value(p->spec, key, was, arena);
	return TULLE_OK;
}

static enum tulle_err
clear_annotations(struct pod *p, const json_t *status, struct arena *arena)
{
	const json_t *was = json_object_get(status, "was");
	const json_t *metadata = json_object_get(was, "metadata"), *annotations = json_object_get(was, "annotations");
	enum tulle_err e = TULLE_OK;

	remove_made(p->annotations, STATUS_KEY);
	if (p->annotations->n > 0)
		return TULLE_OK;
	if (was_made(status, "annotations"))
		remove_made(p->metadata, "annotations");
	else if (annotations != NULL)
		e = set_value(p->metadata, "annotations", annotations, arena);
	if (e != TULLE_OK || p->metadata->n > 0)
		return e;
	if (was_made(status, "metadata"))
		remove_made(p->frame, "metadata");
	else if (metadata != NULL)
		e = set_value(p->frame, "metadata", metadata, arena);
	return e;
}

enum tulle_err
takeout(struct pod *p, const json_t *status, struct arena *arena)
{
	static const char *const lists[] = { "initContainers", "containers", "volumes", NULL };
	static const char *const fields[] = { "terminationGracePeriodSeconds", "shareProcessNamespace", NULL };
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; lists[i] != NULL && e == TULLE_OK; i++)
		e = clear_list(p, status, lists[i], arena);
	for (size_t i = 0; fields[i] != NULL && e == TULLE_OK; i++)
		e = clear_field(p, status, fields[i], arena);
	if (e == TULLE_OK)
		e = probes_restore(p, json_object_get(status, "probes"), arena);
	if (e == TULLE_OK && p->annotations != NULL)
		e = clear_annotations(p, status, arena);
	return e;
}
