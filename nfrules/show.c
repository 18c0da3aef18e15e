/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plan - prints the rules that are wanted, as input for iptables-restore,
 * and how what is there differs.  Touches nothing.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "rules/change.h"
#include "state.h"
#include "verbs.h"

/* The whole plan of a family, from nothing.  NUL at the end; to free(). */
static char *
restore_text(const struct state *s, enum family f)
{
	struct ruleset *nothing = ruleset_new();
	struct buf text = buf_new(CHANGE_MAX);
	enum tulle_err e = nothing == NULL ? TULLE_ENOMEM : TULLE_OK;

	for (int t = 0; t < TABLES && e == TULLE_OK; t++)
		e = change_table(&text, (enum table)t, nothing, s->family[f].wanted);
	if (e == TULLE_OK)
		e = buf_append(&text, "", 1);
	ruleset_free(nothing);
	if (e != TULLE_OK) {
		buf_free(&text);
		return NULL;
	}
	return (char *)text.data; /* nothing was taken off its front */
}

static void
print_difference(void *arg, enum difference d, enum table t, const char *chain, const char *rule)
{
	(void)arg;
	(void)printf("#   %-10s  %s %s%s%s\n", difference_name(d), table_name(t), chain, *rule != '\0' ? " " : "", rule);
}

static int
print_lines(const struct state *s)
{
	for (int f = 0; f < FAMILIES; f++) {
		const struct ruleset *now = s->actual.side[s->backend][f].rules;
		char *text = restore_text(s, (enum family)f);

		if (text == NULL)
			return EXIT_FAILED;
		(void)printf("# %s: plan %s\n%s", family_name((enum family)f), s->family[f].plan,
		    *text != '\0' ? text : "# no rules: IPv6 is off\n");
		free(text);
		if (s->wanted_only)
			continue;
		(void)printf("# now (%s): %s: %s\n", backend_name(s->backend), condition_name(s->family[f].condition),
		    s->family[f].why);
		if (now != NULL && s->family[f].condition != COND_EQUAL)
			change_differences(now, s->family[f].wanted, print_difference, NULL);
	}
	if (s->wanted_only)
		(void)printf("# what is there now was not looked at: that needs root\n");
	return EXIT_DONE;
}

static int
print_json(const struct state *s)
{
	json_t *families = json_object(), *all;
	char *out;

	for (int f = 0; f < FAMILIES; f++) {
		char *text = restore_text(s, (enum family)f);
		json_t *one = json_pack("{s:s, s:s}", "plan", s->family[f].plan, "restore", text != NULL ? text : "");

		if (!s->wanted_only)
			(void)json_object_set_new(one, "state", json_string(condition_name(s->family[f].condition)));
		(void)json_object_set_new(families, family_name((enum family)f), one);
		free(text);
	}
	all = json_pack("{s:o}", "families", families);
	if (!s->wanted_only)
		(void)json_object_set_new(all, "backend", json_string(backend_name(s->backend)));
	out = json_dumps(all, JSON_INDENT(2));
	if (out != NULL)
		(void)puts(out);
	free(out);
	json_decref(all);
	return out != NULL ? EXIT_DONE : EXIT_FAILED;
}

int
plan_verb(const struct config *c, const struct options *o)
{
	struct state *s = NULL;
	int status;

	if (state_read(&s, c, geteuid() == 0) != TULLE_OK)
		return EXIT_REFUSED;
	status = o->json ? print_json(s) : print_lines(s);
	state_free(s);
	return status;
}
