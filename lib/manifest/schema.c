/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define PATH_ROOM 256
#define FIELDS_MAX 64
#define LIST_MAX 100000

/* Writes the path as people write it: spec.ports[0].name.  Cut at the front if it is long. */
static size_t
path_format(const struct path *path, char out[PATH_ROOM])
{
	char key[PROBLEM_SHOWN], piece[PROBLEM_SHOWN + 16];
	size_t len = 0, n;

	out[0] = '\0';
	if (path == NULL)
		return 0;
	len = path_format(path->up, out);
	if (path->key == NULL) {
		(void)snprintf(piece, sizeof(piece), "[%zu]", path->index);
	} else {
		(void)problem_show(key, path->key);
		key[strlen(key) - 1] = '\0'; /* escaped and cut, but without the quotes */
		(void)snprintf(piece, sizeof(piece), "%s%s", len > 0 ? "." : "", key + 1);
	}
	n = strlen(piece);
	if (len + n >= PATH_ROOM)
		return len;
	memcpy(out + len, piece, n + 1);
	return len + n;
}

static void
report(struct decode *d, bool warning, struct place at, const struct path *path, const char *name, const char *fmt,
    va_list ap)
{
	const struct path leaf = { .up = path, .key = name };
	char where[PATH_ROOM], what[768];

	(void)path_format(name != NULL ? &leaf : path, where);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	if (warning)
		problem_warn(d->problems, at, where, "%s", what);
	else
		problem_error(d->problems, at, where, "%s", what);
}

void
decode_error(struct decode *d, struct place at, const struct path *path, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(d, false, at, path, name, fmt, ap);
	va_end(ap);
}

void
decode_warn(struct decode *d, struct place at, const struct path *path, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(d, true, at, path, name, fmt, ap);
	va_end(ap);
}

struct place
decode_place(const struct yaml_node *node, const char *name)
{
	const struct yaml_node *child = yaml_get(node, name);

	return child != NULL ? child->key_place : node->place;
}

/* ---- what would be right, in words ------------------------------------------ */

static void
right_word(const struct word *words, char *out, size_t room)
{
	size_t len = 0;
	int n;

	out[0] = '\0';
	for (; words->name != NULL; words++) {
		if (words->refused != NULL)
			continue;
		n = snprintf(out + len, room - len, "%s%s", len > 0 ? ", " : "one of ", words->name);
		if (n < 0 || (size_t)n >= room - len)
			return;
		len += (size_t)n;
	}
}

static void
right_for(const struct field *f, char *out, size_t room)
{
	switch (f->type) {
	case FIELD_TEXT:
		(void)snprintf(out, room, "%s", f->rule != NULL ? f->rule->right : "a text");
		break;
	case FIELD_BOOL:
		(void)snprintf(out, room, "true or false");
		break;
	case FIELD_NUMBER:
		(void)snprintf(out, room, "a number from %u to %u", f->min, f->max > 0 ? f->max : UINT32_MAX);
		break;
	case FIELD_WORD:
		right_word(f->words, out, room);
		break;
	case FIELD_VALUE:
		(void)snprintf(out, room, "%s", f->value->right);
		break;
	case FIELD_LIST:
		(void)snprintf(out, room, "a list%s%s", f->all != NULL ? " or the word " : "", f->all != NULL ? f->all : "");
		break;
	case FIELD_OBJECT:
	case FIELD_MAP:
	case FIELD_IGNORED:
	case FIELD_REFUSED:
		(void)snprintf(out, room, "a mapping");
		break;
	}
}

static bool
wrong(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node)
{
	char shown[PROBLEM_SHOWN], right[400];
	const char *is = yaml_kind_name(node);

	right_for(f, right, sizeof(right));
	if (node->kind != YAML_SCALAR || yaml_is_null(node))
		decode_error(d, node->place, path, NULL, "is %s; %s is needed", is, right);
	else if (f->type == FIELD_OBJECT || f->type == FIELD_LIST || f->type == FIELD_MAP)
		decode_error(d, node->place, path, NULL, "is %s, %s; %s is needed", is, problem_show(shown, node->text),
		    right);
	else
		decode_error(d, node->place, path, NULL, "is %s; %s is needed", problem_show(shown, node->text), right);
	return false;
}

/* ---- scalars ---------------------------------------------------------------- */

static bool
has_control(const char *s)
{
	for (; *s != '\0'; s++) {
		const unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s[1] < 0xa0))
			return true;
	}
	return false;
}

static bool
decode_text(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node, void *out)
{
	const char *is = yaml_kind_name(node), *copy;
	char shown[PROBLEM_SHOWN];
	size_t len = strlen(node->text);

	if (node->plain && !f->quotes_ok && strcmp(is, "a text") != 0) {
		decode_error(d, node->place, path, NULL, "is %s; a text is needed: write \"%.60s\"", is, node->text);
		return false;
	}
	if (has_control(node->text)) {
		decode_error(d, node->place, path, NULL, "is %s; a text without control characters is needed",
		    problem_show(shown, node->text));
		return false;
	}
	if (f->rule != NULL && !f->rule->ok(node->text))
		return wrong(d, path, f, node);
	if (len < f->min || (f->max > 0 && len > f->max)) {
		decode_error(d, node->place, path, NULL, "is %zu bytes long; %u to %u are needed", len, f->min,
		    f->max > 0 ? f->max : UINT32_MAX);
		return false;
	}
	copy = arena_text(d->arena, node->text, len);
	if (copy == NULL) {
		d->no_memory = true;
		return false;
	}
	memcpy(out, &copy, sizeof(copy));
	return true;
}

static bool
decode_bool(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node, void *out)
{
	bool yes = strcmp(node->text, "true") == 0;

	if (!node->plain || (!yes && strcmp(node->text, "false") != 0))
		return wrong(d, path, f, node);
	memcpy(out, &yes, sizeof(yes));
	return true;
}

static bool
decode_number(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node, void *out)
{
	char shown[PROBLEM_SHOWN], right[64];
	uint64_t v;
	uint32_t v32;

	/* A leading zero would be octal to some readers of YAML and decimal to others. */
	if (text_uint(node->text, f->max > 0 ? f->max : UINT32_MAX, &v) != TULLE_OK || v < f->min ||
	    (node->text[0] == '0' && node->text[1] != '\0'))
		return wrong(d, path, f, node);
	if (!node->plain && !f->quotes_ok) {
		right_for(f, right, sizeof(right));
		decode_error(d, node->place, path, NULL, "is the text %s; %s is needed, without quotes",
		    problem_show(shown, node->text), right);
		return false;
	}
	v32 = (uint32_t)v;
	memcpy(out, &v32, sizeof(v32));
	return true;
}

static bool
decode_word(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node, void *out)
{
	char shown[PROBLEM_SHOWN], right[300];
	const char *names[FIELDS_MAX], *near;
	size_t n = 0;
	int i;

	for (i = 0; f->words[i].name != NULL; i++) {
		if (strcmp(f->words[i].name, node->text) != 0) {
			if (f->words[i].refused == NULL && n < FIELDS_MAX - 1)
				names[n++] = f->words[i].name;
			continue;
		}
		if (f->words[i].refused != NULL) {
			decode_error(d, node->place, path, NULL, "%s is known, but not carried out: %s",
			    f->words[i].name, f->words[i].refused);
			return false;
		}
		memcpy(out, &i, sizeof(i));
		return true;
	}
	names[n] = NULL;
	near = problem_nearest(node->text, names);
	right_for(f, right, sizeof(right));
	if (near != NULL)
		decode_error(d, node->place, path, NULL, "is %s; did you mean \"%s\"?", problem_show(shown, node->text),
		    near);
	else
		decode_error(d, node->place, path, NULL, "is %s; %s is needed", problem_show(shown, node->text), right);
	return false;
}

static bool
decode_value(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node, void *out)
{
	if (!f->value->parse(out, node->text, d->arena))
		return wrong(d, path, f, node);
	return true;
}

/* ---- lists and mappings ----------------------------------------------------- */

static bool decode_field(struct decode *d, const struct path *path, const struct field *f,
    const struct yaml_node *node, void *out);

/* What FIELD_LIST and FIELD_MAP fill: the structures of objects.h look so, with a type of their own. */
static void
put_items(void *out, void *items, size_t n)
{
	memcpy(out, &items, sizeof(items));
	memcpy((char *)out + sizeof(items), &n, sizeof(n));
}

static bool
decode_key(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node, void *out)
{
	char shown[PROBLEM_SHOWN];
	const char *copy;

	if (has_control(node->key) || (f->key != NULL && !f->key->ok(node->key))) {
		decode_error(d, node->key_place, path, NULL, "has the key %s; %s is needed",
		    problem_show(shown, node->key), f->key != NULL ? f->key->right : "a text");
		return false;
	}
	copy = arena_text(d->arena, node->key, strlen(node->key));
	if (copy == NULL) {
		d->no_memory = true;
		return false;
	}
	memcpy(out, &copy, sizeof(copy));
	return true;
}

static bool
decode_items(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node, void *out)
{
	const bool map = f->type == FIELD_MAP;
	const size_t max = f->max > 0 ? f->max : LIST_MAX;
	const struct yaml_node *child;
	const bool all = true;
	bool good = true;
	size_t i = 0;
	char *items;

	if (f->all != NULL && node->kind == YAML_SCALAR && strcmp(node->text, f->all) == 0) {
		put_items(out, NULL, 0);
		memcpy((char *)out + sizeof(items) + sizeof(node->n), &all, sizeof(all));
		return true;
	}
	if (node->kind != (map ? YAML_MAP : YAML_LIST))
		return wrong(d, path, f, node);
	if (node->n < f->min || node->n > max) {
		decode_error(d, node->place, path, NULL, "has %zu entries; %u to %zu are needed", node->n, f->min, max);
		return false;
	}
	items = arena_array(d->arena, node->n, f->item_size);
	if (items == NULL) {
		d->no_memory = true;
		return false;
	}
	for (child = node->first; child != NULL; child = child->next, i++) {
		const struct path at = { .up = path, .key = child->key, .index = i };
		char *item = items + i * f->item_size;

		if (map && !decode_key(d, path, f, child, item))
			good = false;
		else if (yaml_is_null(child)) /* "-" with nothing behind it is a slip, never a value */
			good = wrong(d, &at, f->item, child);
		else if (!decode_field(d, &at, f->item, child, item + f->item->offset))
			good = false;
	}
	if (good)
		put_items(out, items, node->n);
	return good;
}

static bool
decode_field(struct decode *d, const struct path *path, const struct field *f, const struct yaml_node *node, void *out)
{
	switch (f->type) {
	case FIELD_OBJECT:
		return schema_decode(d, path, f->schema, node, out);
	case FIELD_LIST:
	case FIELD_MAP:
		return decode_items(d, path, f, node, out);
	case FIELD_IGNORED:
		return true;
	case FIELD_REFUSED:
		decode_error(d, node->key != NULL ? node->key_place : node->place, path, NULL,
		    "known, but not carried out: %s", f->refused);
		return false;
	case FIELD_TEXT:
	case FIELD_BOOL:
	case FIELD_NUMBER:
	case FIELD_WORD:
	case FIELD_VALUE:
		break;
	}
	if (node->kind != YAML_SCALAR)
		return wrong(d, path, f, node);
	switch (f->type) {
	case FIELD_TEXT:
		return decode_text(d, path, f, node, out);
	case FIELD_BOOL:
		return decode_bool(d, path, f, node, out);
	case FIELD_NUMBER:
		return decode_number(d, path, f, node, out);
	case FIELD_WORD:
		return decode_word(d, path, f, node, out);
	case FIELD_VALUE:
	case FIELD_OBJECT:
	case FIELD_LIST:
	case FIELD_MAP:
	case FIELD_IGNORED:
	case FIELD_REFUSED:
		break;
	}
	return decode_value(d, path, f, node, out);
}

/* ---- one mapping ------------------------------------------------------------ */

static void
unknown_field(struct decode *d, const struct path *path, const struct schema *s, const struct yaml_node *child)
{
	const char *names[FIELDS_MAX], *near;
	char known[400] = "";
	size_t n = 0, len = 0;
	const struct field *f;

	for (f = s->fields; f->name != NULL && n < FIELDS_MAX - 1; f++) {
		if (f->type == FIELD_REFUSED || f->type == FIELD_IGNORED)
			continue;
		names[n++] = f->name;
		if (len + strlen(f->name) + 3 < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", len > 0 ? ", " : "", f->name);
	}
	names[n] = NULL;
	near = problem_nearest(child->key, names);
	if (near != NULL)
		decode_error(d, child->key_place, path, child->key, "unknown field; did you mean \"%s\"?", near);
	else
		decode_error(d, child->key_place, path, child->key, "unknown field; known here: %s", known);
}

static const struct field *
find_field(const struct schema *s, const char *name)
{
	const struct field *f;

	for (f = s->fields; f->name != NULL; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static bool
check_required(struct decode *d, const struct path *path, const struct schema *s, const struct yaml_node *node)
{
	const struct yaml_node *child;
	const struct field *f;
	bool good = true, any = false;
	char right[400];

	for (f = s->fields; f->name != NULL; f++) {
		child = yaml_get(node, f->name);
		if (child != NULL && !yaml_is_null(child)) {
			any = true;
		} else if (f->required) {
			right_for(f, right, sizeof(right));
			decode_error(d, child != NULL ? child->key_place : node->place, path, f->name,
			    "is missing; %s is needed", right);
			good = false;
		}
	}
	if (good && !any && s->not_empty) {
		decode_error(d, node->place, path, NULL, "is empty; %s needs at least one field", s->name);
		good = false;
	}
	return good;
}

bool
schema_decode(struct decode *d, const struct path *path, const struct schema *s, const struct yaml_node *node,
    void *out)
{
	static const struct field as_mapping = { .type = FIELD_OBJECT };
	const struct yaml_node *child;
	const struct field *f;
	bool good = true;

	if (s->defaults != NULL)
		memcpy(out, s->defaults, s->size);
	else if (!s->inside)
		memset(out, 0, s->size);
	if (s->has_place)
		memcpy((char *)out + s->place_offset, &node->place, sizeof(struct place));
	if (node->kind != YAML_MAP)
		return wrong(d, path, &as_mapping, node);
	for (child = node->first; child != NULL; child = child->next) {
		const struct path at = { .up = path, .key = child->key };

		f = find_field(s, child->key);
		if (f == NULL) {
			unknown_field(d, path, s, child);
			good = false;
		} else if (yaml_is_null(child) && f->type != FIELD_REFUSED) {
			continue; /* as if it were not there */
		} else if (!decode_field(d, &at, f, child, (char *)out + f->offset)) {
			good = false;
		}
	}
	if (!check_required(d, path, s, node))
		good = false;
	if (good && s->check != NULL) {
		size_t errors = d->problems->errors;

		s->check(d, path, node, out);
		good = d->problems->errors == errors && !d->no_memory;
	}
	return good;
}
