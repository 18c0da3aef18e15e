/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/render.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define TRY(call)                       \
	do {                            \
		enum tulle_err e_ = (call); \
		if (e_ != TULLE_OK)     \
			return e_;      \
	} while (0)

enum tulle_err
render_indent(const struct render *r)
{
	return r->indent > 0 ? buf_printf(r->out, "%*s", (int)r->indent, "") : TULLE_OK;
}

enum tulle_err
render_flow(struct buf *out, const json_t *value)
{
	char AUTO_FREE *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	return text != NULL ? buf_append(out, text, strlen(text)) : TULLE_ENOMEM;
}

/* May it stand without quotes?  Quantities such as 64Mi, and words that are no boolean. */
static bool
is_plain(const char *s)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on", "off", "y", "n", "null" };
	size_t n = strlen(s), digits = strspn(s, "0123456789");

	if (digits > 0)
		return strcmp(s + digits, "Mi") == 0 || strcmp(s + digits, "Gi") == 0 || strcmp(s + digits, "m") == 0 ||
		    strcmp(s + digits, "s") == 0;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return false;
	if (n == 0 || strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-") != n)
		return false;
	return s[0] != '-' && s[0] != '.' && s[0] != ':' && s[n - 1] != ':';
}

static bool
is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s > 0x7e)
			return false;
	return true;
}

static enum tulle_err
render_text(struct buf *out, const json_t *value)
{
	const char *s = json_string_value(value);

	if (is_plain(s))
		return buf_append(out, s, strlen(s));
	if (!is_ascii(s))
		return render_flow(out, value);
	TRY(buf_append(out, "'", 1)); /* JSON reads best in these: only a ' of its own is written twice */
	for (; *s != '\0'; s++)
		TRY(*s == '\'' ? buf_append(out, "''", 2) : buf_append(out, s, 1));
	return buf_append(out, "'", 1);
}

static bool
is_nested(const json_t *value)
{
	const json_t *item;
	size_t i;

	if (json_is_object(value))
		return json_object_size(value) > 0;
	json_array_foreach ((json_t *)(uintptr_t)value, i, item)
		if (json_is_object(item) || json_is_array(item))
			return true;
	return false;
}

/* What stands behind "key:" or "-" on the same line. */
static enum tulle_err
render_leaf(const struct render *r, const json_t *value)
{
	TRY(json_is_string(value) ? render_text(r->out, value) : render_flow(r->out, value));
	return buf_printf(r->out, "%s", r->line_break);
}

static enum tulle_err
render_map(const struct render *r, const json_t *map, bool first)
{
	struct render below = *r;
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)map, key, value) {
		if (first)
			TRY(render_indent(r));
		first = true;
		TRY(buf_printf(r->out, "%s:", key));
		if (!is_nested(value)) {
			TRY(buf_append(r->out, " ", 1));
			TRY(render_leaf(r, value));
			continue;
		}
		TRY(buf_printf(r->out, "%s", r->line_break));
		below.indent = json_is_object(value) ? r->indent + 2 : r->indent;
		TRY(render_block(&below, value, true));
	}
	return TULLE_OK;
}

enum tulle_err
render_block(const struct render *r, const json_t *value, bool first)
{
	struct render below = { r->out, r->line_break, r->indent + 2 };
	json_t *item;
	size_t i;

	if (json_is_object(value))
		return render_map(r, value, first);
	json_array_foreach ((json_t *)(uintptr_t)value, i, item) {
		if (first)
			TRY(render_indent(r));
		first = true;
		TRY(buf_append(r->out, "- ", 2));
		TRY(is_nested(item) ? render_block(&below, item, false) : render_leaf(r, item));
	}
	return TULLE_OK;
}
