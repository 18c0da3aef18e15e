/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "look/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

const char *
health_mark(enum health h)
{
	static const char *const marks[] = { "ok", "-", "warn", "FAIL" };

	return marks[h];
}

void
report_add(struct report *r, enum health h, const char *what, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (h > r->worst)
		r->worst = h;
	if (r->n == r->cap && r->n < REPORT_MAX) {
		size_t cap = r->cap == 0 ? 32 : 2 * r->cap;
		struct finding *more = realloc(r->items, cap * sizeof(*more));

		if (more != NULL) {
			r->items = more;
			r->cap = cap;
		}
	}
	va_start(ap, fmt);
	if (r->n >= r->cap || r->n >= REPORT_MAX || vasprintf(&text, fmt, ap) == -1)
		r->dropped++;
	else
		r->items[r->n++] = (struct finding){ h, what, text };
	va_end(ap);
}

int
report_is_bad(const struct report *r, const char *what)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].health > UNKNOWN && strcmp(r->items[i].what, what) == 0)
			return 1;
	return 0;
}

void
report_free(struct report *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->items[i].text);
	free(r->items);
	*r = (struct report){ .items = NULL };
}

void
report_print(const struct report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		(void)printf("%-5s %-10s ", health_mark(r->items[i].health), r->items[i].what);
		print_safe(r->items[i].text);
		(void)putchar('\n');
	}
	if (r->dropped > 0)
		(void)printf("... and %zu more\n", r->dropped);
}

json_t *
report_json(const struct report *r)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->n; i++) {
		static const char *const words[] = { "ok", "unknown", "warning", "broken" };
		const struct finding *f = &r->items[i];

		(void)json_array_append_new(all, json_pack("{ss ss ss+}", "health", words[f->health], "what", f->what, "text",
		    f->text, ""));
	}
	return all;
}

int
report_status(const struct report *r)
{
	return r->worst > UNKNOWN ? EXIT_FAILURE : EXIT_SUCCESS;
}
