/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "print.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <string.h>

#include "base/text.h"

void
print_safe(const char *s)
{
	char piece[TEXT_JSON_CHAR];

	while (*s != '\0') {
		if (*s == '\n' || *s == '"' || *s == '\\') {
			(void)putchar(*s == '\n' ? ' ' : *s);
			s++;
		} else {
			(void)fwrite(piece, 1, text_json_char(&s, piece), stdout);
		}
	}
}

void
print_padded(const char *s, unsigned int width)
{
	size_t len = strlen(s);

	print_safe(s);
	(void)printf("%*s", (int)(len < width ? width - len + 2 : 2), "");
}

void
print_json(const json_t *o)
{
	(void)json_dumpf(o, stdout, JSON_INDENT(2));
	(void)putchar('\n');
}

const char *
print_lifetime(int64_t seconds, char out[32])
{
	if (seconds >= 2 * 86400)
		(void)snprintf(out, 32, "%" PRId64 " days", seconds / 86400);
	else if (seconds >= 2 * 3600)
		(void)snprintf(out, 32, "%" PRId64 " hours", seconds / 3600);
	else if (seconds >= 120)
		(void)snprintf(out, 32, "%" PRId64 " minutes", seconds / 60);
	else
		(void)snprintf(out, 32, "%" PRId64 " s", seconds);
	return out;
}

const char *
print_time(int64_t at, char out[PRINT_TIME])
{
	time_t t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, PRINT_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, PRINT_TIME, "?");
	return out;
}
