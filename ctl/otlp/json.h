/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * json.h - JSON written straight into a buffer.  The first error stays and
 * makes all that follows do nothing, so callers ask once, at the end.
 */
#ifndef TULLE_CTL_OTLP_JSON_H
#define TULLE_CTL_OTLP_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct json {
	struct buf *out; /* lent */
	bool comma;      /* one belongs before the next element */
	enum tulle_err e;
};

void json_open(struct json *j, char bracket);  /* '{' or '[' */
void json_close(struct json *j, char bracket); /* '}' or ']' */
void json_key(struct json *j, const char *key); /* a value follows; NULL is "" */
void json_text(struct json *j, const char *s); /* escaped; NULL is null */
void json_hex(struct json *j, const uint8_t *p, size_t n);
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
void json_double(struct json *j, double v); /* what is no number in JSON is "NaN", "Infinity", "-Infinity" */
void json_bool(struct json *j, bool v);
void json_raw(struct json *j, const void *p, size_t n); /* already JSON: one value */

#endif
