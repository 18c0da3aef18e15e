/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/change.h"

#include <stdbool.h>
#include <string.h>

#define TRY(call)                      \
	do {                           \
		e = (call);            \
		if (e != TULLE_OK)     \
			return e;      \
	} while (0)

static enum tulle_err
put_rules(struct buf *out, const struct ruleset_table *wanted)
{
	enum tulle_err e;

	for (size_t i = 0; i < wanted->chains_n; i++)
		for (size_t k = 0; k < wanted->chains[i].n; k++)
			TRY(buf_printf(out, "-A %s %s\n", wanted->chains[i].name, wanted->chains[i].rules[k]));
	return TULLE_OK;
}

static enum tulle_err
put_jumps(struct buf *out, const struct ruleset_table *wanted)
{
	enum tulle_err e;

	for (size_t i = 0; i < wanted->jumps_n; i++) {
		const struct ruleset_jump *j = &wanted->jumps[i];

		if (j->position == 0)
			TRY(buf_printf(out, "-A %s %s\n", j->chain, j->rule));
		else
			TRY(buf_printf(out, "-I %s %u %s\n", j->chain, j->position, j->rule));
	}
	return TULLE_OK;
}

enum tulle_err
change_table(struct buf *out, enum table t, const struct ruleset *now, const struct ruleset *wanted)
{
	const struct ruleset_table *from = &now->tables[t], *to = &wanted->tables[t];
	enum tulle_err e;

	if (from->chains_n + from->jumps_n + to->chains_n + to->jumps_n == 0)
		return TULLE_OK;
	TRY(buf_printf(out, "*%s\n", table_name(t)));
	for (size_t i = 0; i < to->chains_n; i++)
		TRY(buf_printf(out, ":%s - [0:0]\n", to->chains[i].name));
	for (size_t i = 0; i < from->chains_n; i++)
		if (ruleset_chain(wanted, t, from->chains[i].name) == NULL)
			TRY(buf_printf(out, ":%s - [0:0]\n", from->chains[i].name));
	for (size_t i = 0; i < from->jumps_n; i++)
		TRY(buf_printf(out, "-D %s %s\n", from->jumps[i].chain, from->jumps[i].rule));
	TRY(put_rules(out, to));
	TRY(put_jumps(out, to));
	for (size_t i = 0; i < from->chains_n; i++)
		if (ruleset_chain(wanted, t, from->chains[i].name) == NULL)
			TRY(buf_printf(out, "-X %s\n", from->chains[i].name));
	return buf_printf(out, "COMMIT\n");
}

/* ---- in words ---- */

const char *
difference_name(enum difference d)
{
	switch (d) {
	case DIFF_MISSING:
		return "missing";
	case DIFF_UNEXPECTED:
		return "unexpected";
	case DIFF_ORDER:
		return "order";
	case DIFF_NOT_FIRST:
		return "not-first";
	case DIFF_REPEATED:
		return "repeated";
	}
	return "unknown";
}

/* Are two rules of <chain> the same?  The anchor's comment says which plan, not what it does. */
static bool
same_rule(const char *chain, const char *a, const char *b)
{
	static const char comment[] = " -m comment --comment ";
	const char *ea, *eb;

	if (strcmp(chain, CHAIN_ANCHOR) != 0)
		return strcmp(a, b) == 0;
	ea = strstr(a, comment);
	eb = strstr(b, comment);
	return (ea != NULL ? (size_t)(ea - a) : strlen(a)) == (eb != NULL ? (size_t)(eb - b) : strlen(b)) &&
	    strncmp(a, b, ea != NULL ? (size_t)(ea - a) : strlen(a)) == 0;
}

static size_t
count_rule(const struct ruleset_chain *c, const char *rule, size_t before)
{
	size_t n = 0;

	for (size_t i = 0; i < before; i++)
		n += same_rule(c->name, c->rules[i], rule);
	return n;
}

/* Every rule of <a> that stands there more often than in <b>. */
static bool
surplus(const struct ruleset_chain *a, const struct ruleset_chain *b, enum difference d, enum table t,
    change_report_fn *report, void *arg)
{
	bool any = false;

	for (size_t i = 0; i < a->n; i++) {
		if (count_rule(a, a->rules[i], i) < count_rule(b, a->rules[i], b->n))
			continue;
		report(arg, d, t, a->name, a->rules[i]);
		any = true;
	}
	return any;
}

static void
compare_chain(const struct ruleset_chain *now, const struct ruleset_chain *wanted, enum table t, change_report_fn *report,
    void *arg)
{
	bool any = surplus(wanted, now, DIFF_MISSING, t, report, arg);

	any |= surplus(now, wanted, DIFF_UNEXPECTED, t, report, arg);
	for (size_t i = 0; !any && i < wanted->n; i++) {
		if (same_rule(wanted->name, now->rules[i], wanted->rules[i]))
			continue;
		report(arg, DIFF_ORDER, t, wanted->name, "");
		return;
	}
}

static void
compare_jumps(const struct ruleset_table *now, const struct ruleset_table *wanted, enum table t, change_report_fn *report,
    void *arg)
{
	for (size_t i = 0; i < wanted->jumps_n; i++) {
		const struct ruleset_jump *w = &wanted->jumps[i];
		size_t found = 0;
		bool in_place = w->position == 0;

		for (size_t k = 0; k < now->jumps_n; k++) {
			if (strcmp(now->jumps[k].chain, w->chain) != 0 || strcmp(now->jumps[k].rule, w->rule) != 0)
				continue;
			found++;
			in_place |= now->jumps[k].position == w->position;
		}
		if (found == 0)
			report(arg, DIFF_MISSING, t, w->chain, w->rule);
		else if (found > 1)
			report(arg, DIFF_REPEATED, t, w->chain, w->rule);
		else if (!in_place)
			report(arg, DIFF_NOT_FIRST, t, w->chain, w->rule);
	}
	for (size_t k = 0; k < now->jumps_n; k++) {
		size_t i;

		for (i = 0; i < wanted->jumps_n; i++)
			if (strcmp(now->jumps[k].chain, wanted->jumps[i].chain) == 0 &&
			    strcmp(now->jumps[k].rule, wanted->jumps[i].rule) == 0)
				break;
		if (i == wanted->jumps_n)
			report(arg, DIFF_UNEXPECTED, t, now->jumps[k].chain, now->jumps[k].rule);
	}
}

void
change_differences(const struct ruleset *now, const struct ruleset *wanted, change_report_fn *report, void *arg)
{
	for (int t = 0; t < TABLES; t++) {
		const struct ruleset_table *from = &now->tables[t], *to = &wanted->tables[t];

		for (size_t i = 0; i < to->chains_n; i++) {
			const struct ruleset_chain *c = ruleset_chain(now, (enum table)t, to->chains[i].name);

			if (c == NULL)
				report(arg, DIFF_MISSING, (enum table)t, to->chains[i].name, "");
			else
				compare_chain(c, &to->chains[i], (enum table)t, report, arg);
		}
		for (size_t i = 0; i < from->chains_n; i++)
			if (ruleset_chain(wanted, (enum table)t, from->chains[i].name) == NULL)
				report(arg, DIFF_UNEXPECTED, (enum table)t, from->chains[i].name, "");
		compare_jumps(from, to, (enum table)t, report, arg);
	}
}
