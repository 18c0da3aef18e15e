/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "otlp/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"

static void
put(struct json *j, const void *p, size_t n)
{
	if (j->e == TULLE_OK)
		j->e = buf_append(j->out, p, n);
}

static void
before_value(struct json *j)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
}

void
json_open(struct json *j, char bracket)
{
	before_value(j);
	put(j, &bracket, 1);
	j->comma = false;
}

void
json_close(struct json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

static void
put_text(struct json *j, const char *s)
{
	char c[TEXT_JSON_CHAR];

	put(j, "\"", 1);
	while (*s != '\0' && j->e == TULLE_OK) {
		/* Runs of plain ASCII go in one piece. */
		size_t n = 0;

		while (s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
			n++;
		put(j, s, n);
		s += n;
		if (*s != '\0')
			put(j, c, text_json_char(&s, c));
	}
	put(j, "\"", 1);
}

void
json_key(struct json *j, const char *key)
{
	before_value(j);
	put_text(j, key != NULL ? key : "");
	put(j, ":", 1);
	j->comma = false;
}

void
json_text(struct json *j, const char *s)
{
	before_value(j);
	if (s != NULL)
		put_text(j, s);
	else
		put(j, "null", 4);
}

void
json_hex(struct json *j, const uint8_t *p, size_t n)
{
	char two[3];

	before_value(j);
	put(j, "\"", 1);
	for (size_t i = 0; i < n && j->e == TULLE_OK; i++)
		put(j, text_hex(p + i, 1, two), 2);
	put(j, "\"", 1);
}

#define PRINTED(j, fmt, v)                                            \
	do {                                                          \
		before_value(j);                                      \
		if ((j)->e == TULLE_OK)                               \
			(j)->e = buf_printf((j)->out, fmt, v);        \
	} while (0)

void
json_int(struct json *j, int64_t v)
{
	PRINTED(j, "%" PRId64, v);
}

void
json_uint(struct json *j, uint64_t v)
{
	PRINTED(j, "%" PRIu64, v);
}

void
json_double(struct json *j, double v)
{
	if (isnan(v))
		json_text(j, "NaN");
	else if (isinf(v))
		json_text(j, v > 0 ? "Infinity" : "-Infinity");
	else
		PRINTED(j, "%.17g", v);
}

void
json_bool(struct json *j, bool v)
{
	PRINTED(j, "%s", v ? "true" : "false");
}

void
json_raw(struct json *j, const void *p, size_t n)
{
	before_value(j);
	put(j, p, n);
}
