/* SPDX-License-Identifier: GPL-3.0-or-later */
/* node.c - what a node of tree.h means, and nodes compared. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "inject/tree.h"

#define MERGE_STEPS 100 /* mappings that are looked into for one key */

struct node *
node_value(struct node *n)
{
	return n != NULL && n->kind == NODE_ALIAS ? n->target : n;
}

static bool
is_key(struct node *child, const char *key)
{
	struct node *k = node_value(child->key);

	return k != NULL && k->kind == NODE_SCALAR && k->len == strlen(key) && memcmp(k->text, key, k->len) == 0;
}

struct node *
node_own(const struct node *map, const char *key)
{
	if (map == NULL || map->kind != NODE_MAP)
		return NULL;
	for (struct node *c = map->first; c != NULL; c = c->next)
		if (is_key(c, key))
			return c;
	return NULL;
}

static struct node *
get(struct node *map, const char *key, unsigned int *steps)
{
	struct node *found, *merge;

	map = node_value(map);
	found = node_own(map, key);
	merge = node_value(node_own(map, "<<"));
	if (found != NULL || merge == NULL || ++*steps > MERGE_STEPS)
		return node_value(found);
	if (merge->kind != NODE_LIST)
		return get(merge, key, steps);
	for (struct node *c = merge->first; c != NULL && found == NULL; c = c->next)
		found = get(c, key, steps);
	return found;
}

struct node *
node_get(struct node *map, const char *key)
{
	unsigned int steps = 0;

	return get(map, key, &steps);
}

bool
node_null(struct node *n)
{
	n = node_value(n);
	return n == NULL ||
	    (n->kind == NODE_SCALAR && n->plain &&
		(*n->text == '\0' || strcmp(n->text, "~") == 0 || strcasecmp(n->text, "null") == 0));
}

const char *
node_text(struct node *n)
{
	n = node_value(n);
	return n != NULL && n->kind == NODE_SCALAR && !node_null(n) && strlen(n->text) == n->len ? n->text : NULL;
}

static bool
is_word(struct node *n, const char *const *words)
{
	n = node_value(n);
	if (n == NULL || n->kind != NODE_SCALAR || !n->plain)
		return false;
	for (; *words != NULL; words++)
		if (strcasecmp(n->text, *words) == 0)
			return true;
	return false;
}

bool
node_true(struct node *n)
{
	static const char *const words[] = { "true", "yes", "on", "y", NULL };

	return is_word(n, words);
}

bool
node_false(struct node *n)
{
	static const char *const words[] = { "false", "no", "off", "n", NULL };

	return is_word(n, words);
}

bool
node_int(struct node *n, int64_t *ret)
{
	char digits[40], *p = digits, *end;
	const char *t = node_text(n);
	int base = 0;
	double d;
	long long v;

	if (t == NULL || strlen(t) >= sizeof(digits))
		return false;
	for (; *t != '\0'; t++)
		if (*t != '_') /* 15_001 */
			*p++ = *t;
	*p = '\0';
	p = digits;
	if ((*p < '0' || *p > '9') && *p != '-' && *p != '+')
		return false;
	if (p[0] == '0' && (p[1] == 'b' || p[1] == 'o')) {
		base = p[1] == 'b' ? 2 : 8;
		p += 2;
	}
	errno = 0;
	v = strtoll(p, &end, base);
	if (*p != '\0' && *end == '\0' && errno == 0) {
		*ret = v;
		return true;
	}
	d = strtod(digits, &end);
	if (*end != '\0' || !(fabs(d) < 1e15) || d != floor(d))
		return false;
	*ret = (int64_t)d;
	return true;
}

size_t
node_end(const struct node *n)
{
	while ((n->kind == NODE_LIST || n->kind == NODE_MAP) && !n->flow) {
		const struct node *last = n->first;

		if (last == NULL)
			return n->start;
		while (last->next != NULL)
			last = last->next;
		n = last;
	}
	return n->end;
}

/* ---- JSON --------------------------------------------------------------------- */

static json_t *
scalar_json(struct node *n)
{
	char *end;
	int64_t v;
	double d;

	if (node_null(n))
		return json_null();
	if (node_true(n) || node_false(n))
		return json_boolean(node_true(n));
	if (n->plain && node_int(n, &v))
		return json_integer(v);
	if (n->plain && *n->text != '\0' && strpbrk(n->text, "xXnN") == NULL) {
		d = strtod(n->text, &end);
		if (*end == '\0' && isfinite(d))
			return json_real(d);
	}
	return json_stringn(n->text, n->len);
}

static json_t *
to_json(struct node *n, unsigned int depth, size_t *steps)
{
	json_t *out, *value;

	n = node_value(n);
	if (n == NULL || depth > TREE_MAX_DEPTH || ++*steps > TREE_MAX_STEPS)
		return NULL;
	if (n->kind == NODE_SCALAR)
		return scalar_json(n);
	out = n->kind == NODE_LIST ? json_array() : json_object();
	for (struct node *c = n->first; c != NULL && out != NULL; c = c->next) {
		const char *key = n->kind == NODE_MAP ? node_text(c->key) : "";

		value = key != NULL ? to_json(c, depth + 1, steps) : NULL;
		if (value == NULL ||
		    (n->kind == NODE_LIST ? json_array_append_new(out, value) : json_object_set_new(out, key, value)) != 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

bool
node_is_text(struct node *n)
{
	json_t *j;
	bool text;

	n = node_value(n);
	if (n == NULL || n->kind != NODE_SCALAR)
		return false;
	j = scalar_json(n);
	text = json_is_string(j);
	json_decref(j);
	return text;
}

json_t *
node_json(struct node *n)
{
	size_t steps = 0;

	return to_json(n, 0, &steps);
}

static struct node *
text_node(struct arena *arena, const char *text, size_t len, bool plain)
{
	struct node *n = arena_alloc(arena, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->kind = NODE_SCALAR;
	n->plain = plain;
	n->style = plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	n->text = arena_text(arena, text, len);
	n->len = len;
	return n->text != NULL ? n : NULL;
}

static struct node *
scalar_of_json(struct arena *arena, const json_t *j)
{
	char AUTO_FREE *text = NULL;

	if (json_is_string(j))
		return text_node(arena, json_string_value(j), json_string_length(j), false);
	text = json_dumps(j, JSON_ENCODE_ANY);
	return text != NULL ? text_node(arena, text, strlen(text), true) : NULL;
}

struct node *
node_of_json(struct arena *arena, const json_t *j)
{
	struct node *n, **tail, *c;
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_array(j) && !json_is_object(j))
		return scalar_of_json(arena, j);
	n = arena_alloc(arena, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->kind = json_is_array(j) ? NODE_LIST : NODE_MAP;
	tail = &n->first;
	json_array_foreach (j, i, value) {
		c = node_of_json(arena, value);
		if (c == NULL)
			return NULL;
		*tail = c;
		tail = &c->next;
		n->n++;
	}
	json_object_foreach ((json_t *)(uintptr_t)j, key, value) {
		c = node_of_json(arena, value);
		if (c == NULL)
			return NULL;
		c->key = text_node(arena, key, strlen(key), true);
		if (c->key == NULL)
			return NULL;
		*tail = c;
		tail = &c->next;
		n->n++;
	}
	return n;
}

/* ---- compared ------------------------------------------------------------------ */

/* Also "0x1F" and 31, and a text with quotes and without. */
static bool
same_scalar(struct node *a, struct node *b)
{
	json_t *j, *k;
	bool equal;

	if (a->len == b->len && a->plain == b->plain && memcmp(a->text, b->text, a->len) == 0)
		return true;
	if (a->len > 100 && a->len != b->len)
		return false;
	j = scalar_json(a);
	k = scalar_json(b);
	equal = j != NULL && k != NULL && json_equal(j, k);
	json_decref(j);
	json_decref(k);
	return equal;
}

static bool
same(struct node *a, struct node *b, unsigned int depth, size_t *steps)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (depth > 2 * TREE_MAX_DEPTH || ++*steps > 2 * TREE_MAX_NODES)
		return false;
	/* Two aliases of one name stand for the same, if the anchors' values are the same, which are compared where they stand. */
	if (a->kind == NODE_ALIAS && b->kind == NODE_ALIAS)
		return strcmp(a->text, b->text) == 0;
	a = node_value(a);
	b = node_value(b);
	if (a->kind != b->kind)
		return false;
	if (a->kind == NODE_SCALAR)
		return same_scalar(a, b);
	if (a->n != b->n)
		return false;
	for (struct node *c = a->first, *d = b->first; c != NULL; c = c->next, d = d->next)
		if ((a->kind == NODE_MAP && !same(c->key, d->key, depth + 1, steps)) || !same(c, d, depth + 1, steps))
			return false;
	return true;
}

bool
node_equal(struct node *a, struct node *b)
{
	size_t steps = 0;

	return same(a, b, 0, &steps);
}
