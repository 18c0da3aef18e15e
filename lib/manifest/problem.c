/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define LINE_ROOM 1024
#define WORD_MAX_LEN 48 /* longer words are never near anything */

void
problems_init(struct problems *p)
{
	memset(p, 0, sizeof(*p));
	p->arena = arena_new(256 * 1024);
}

void
problems_free(struct problems *p)
{
	arena_free(&p->arena);
	problems_init(p);
}

/* A file name is the operator's, but a hostile archive may have made it. */
static void
escape(char *out, size_t room, const char *text)
{
	char piece[TEXT_JSON_CHAR];
	size_t len = 0, n;

	while (*text != '\0') {
		n = text_json_char(&text, piece);
		if (len + n >= room)
			break;
		memcpy(out + len, piece, n);
		len += n;
	}
	out[len] = '\0';
}

static void
add(struct problems *p, bool warning, struct place at, const char *field, const char *fmt, va_list ap)
{
	char what[LINE_ROOM], file[256], where[32] = "";
	struct problem *new;
	const char *gap = field != NULL && *field != '\0' ? ": " : "";

	if (warning)
		p->warnings++;
	else
		p->errors++;
	if (p->n == PROBLEMS_MAX)
		return;
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	escape(file, sizeof(file), at.file != NULL ? at.file : "-");
	if (at.line > 0 && at.column > 0)
		(void)snprintf(where, sizeof(where), "%u:%u:", at.line, at.column);
	else if (at.line > 0)
		(void)snprintf(where, sizeof(where), "%u:", at.line);
	new = &p->list[p->n];
	*new = (struct problem){ .warning = warning, .place = at };
	new->place.file = arena_printf(&p->arena, "%s", file);
	new->line = arena_printf(&p->arena, "%s:%s %s%s%s", file, where, field != NULL ? field : "", gap, what);
	if (new->place.file == NULL || new->line == NULL)
		return; /* it stays counted: a load with errors is never taken for a good one */
	p->n++;
}

void
problem_error(struct problems *p, struct place at, const char *field, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, false, at, field, fmt, ap);
	va_end(ap);
}

void
problem_warn(struct problems *p, struct place at, const char *field, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, true, at, field, fmt, ap);
	va_end(ap);
}

void
problems_print(struct buf *out, const struct problems *p)
{
	size_t found = p->errors + p->warnings, shown = 0;

	while (shown < p->n && buf_printf(out, "%s%s\n", p->list[shown].warning ? "warning: " : "", p->list[shown].line) == TULLE_OK)
		shown++;
	if (shown < found)
		(void)buf_printf(out, "and %zu more\n", found - shown);
}

char *
problem_show(char out[PROBLEM_SHOWN], const char *text)
{
	char piece[TEXT_JSON_CHAR];
	size_t len = 1, n;

	out[0] = '"';
	while (*text != '\0') {
		n = text_json_char(&text, piece);
		if (len + n > PROBLEM_SHOWN - 6) {
			memcpy(out + len, "...", 3);
			len += 3;
			break;
		}
		memcpy(out + len, piece, n);
		len += n;
	}
	memcpy(out + len, "\"", 2);
	return out;
}

static unsigned int
least(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters must be put in, taken out, changed or swapped with their neighbour (optimal string alignment). */
static unsigned int
distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned int rows[3][WORD_MAX_LEN + 1], *before = rows[0], *last = rows[1], *now = rows[2], *t;
	size_t i, j;

	for (j = 0; j <= nb; j++)
		last[j] = (unsigned int)j;
	for (i = 1; i <= na; i++) {
		now[0] = (unsigned int)i;
		for (j = 1; j <= nb; j++) {
			now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1, now[j]);
		}
		t = before;
		before = last;
		last = now;
		now = t;
	}
	return last[nb];
}

const char *
problem_nearest(const char *text, const char *const *words)
{
	size_t na = strlen(text), nb;
	const char *best = NULL;
	unsigned int best_d = 3, d;

	if (na > WORD_MAX_LEN)
		return NULL;
	for (; *words != NULL; words++) {
		if (strcasecmp(text, *words) == 0)
			return *words;
		nb = strlen(*words);
		if (nb > WORD_MAX_LEN)
			continue;
		d = distance(text, na, *words, nb);
		if (d < best_d && 2 * d < nb) { /* in a short word two wrong letters are another word */
			best_d = d;
			best = *words;
		}
	}
	return best;
}
