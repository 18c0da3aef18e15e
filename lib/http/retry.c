/* SPDX-License-Identifier: GPL-3.0-or-later */
/* retry.c - Retry-After (9110 10.2.3): seconds, or one of the three forms of a date (9110 5.6.7). */
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "http/client.h"

#define DAY_SEC 86400

static bool
parse_date(const char *text, int64_t *ret)
{
	static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y" };

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, forms[i], &tm);

		if (end != NULL && *end == '\0') {
			*ret = timegm(&tm);
			return true;
		}
	}
	return false;
}

bool
http_retry_after(const struct http_response *r, int64_t wall_sec, uint64_t *ret_ms)
{
	const struct http1_field *f = http1_find(r->head, "retry-after");
	char text[64];
	uint64_t sec;
	int64_t at;
	enum tulle_err e;

	if (f == NULL || f->value.n == 0 || f->value.n >= sizeof(text))
		return false;
	memcpy(text, f->value.p, f->value.n);
	text[f->value.n] = '\0';
	e = text_uint(text, DAY_SEC, &sec);
	if (e == TULLE_ELIMIT)
		sec = DAY_SEC;
	if (e == TULLE_EINVAL) {
		if (!parse_date(text, &at))
			return false;
		sec = at > wall_sec ? (uint64_t)(at - wall_sec) : 0;
	}
	*ret_ms = (sec < DAY_SEC ? sec : DAY_SEC) * 1000;
	return true;
}
