/* SPDX-License-Identifier: GPL-3.0-or-later */
/* check - compares the kernel with the plan, and says in words what differs. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/change.h"
#include "rules/firewall.h"
#include "say.h"
#include "state.h"
#include "verbs.h"

/* Where differences go: lines on standard output, or a JSON list. */
struct report {
	json_t *list; /* NULL: lines */
	enum family family;
};

static void
report_difference(void *arg, enum difference d, enum table t, const char *chain, const char *rule)
{
	struct report *r = arg;

	if (r->list == NULL) {
		(void)printf("  %-10s  %s %s%s%s\n", difference_name(d), table_name(t), chain, *rule != '\0' ? " " : "", rule);
		return;
	}
	(void)json_array_append_new(r->list,
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "family", family_name(r->family), "difference", difference_name(d), "table",
	        table_name(t), "chain", chain, "rule", rule));
}

static void
differences(const struct state *s, struct report *r)
{
	const struct ruleset *now = s->actual.side[s->backend][r->family].rules;

	if (now != NULL && s->family[r->family].condition != COND_EQUAL)
		change_differences(now, s->family[r->family].wanted, report_difference, r);
}

static const char *
advice(const struct state *s)
{
	switch (s->condition) {
	case COND_EQUAL:
		return "";
	case COND_DRIFT:
		return s->taken_away ? "tulle-nfrules apply puts them back (tulle-rules-check.timer does, unless steering.repair is false); see "
				       "that the other program leaves chains that begin with TULLE_ alone" :
				       "tulle-nfrules apply repairs it";
	case COND_ABSENT:
		return "tulle-nfrules apply steers";
	case COND_RESIDUE:
		return s->residue ? "rules of Tulle are in both backends, or in the one that is not used here: tulle-nfrules remove "
				    "clears both, then apply" :
				    "tulle-nfrules apply replaces the rules of the other version";
	}
	return "";
}

/* One sentence for each firewall of the host that does not go with what is captured. */
static json_t *
firewalls(const struct config *c, const struct state *s)
{
	json_t *list = json_array();
	char text[FIREWALL_TEXT];

	for (unsigned int i = 0; i < FIREWALLS; i++)
		if ((s->firewalls & 1u << i) != 0)
			(void)json_array_append_new(list, json_string(firewall_sentence(1u << i, c->steering.inbound_port, text)));
	return list;
}

static int
status_of(enum condition c)
{
	switch (c) {
	case COND_EQUAL:
		return EXIT_DONE;
	case COND_DRIFT:
		return EXIT_DRIFT;
	case COND_ABSENT:
		return EXIT_ABSENT;
	case COND_RESIDUE:
		return EXIT_RESIDUE;
	}
	return EXIT_FAILED;
}

static void
print_lines(const struct config *c, const struct state *s)
{
	json_t *walls = firewalls(c, s), *one;
	size_t i;

	for (int f = 0; f < FAMILIES; f++) {
		struct report r = { .family = (enum family)f };

		(void)printf("%s (%s): %s: %s\n", family_name(r.family), backend_name(s->backend),
		    condition_name(s->family[f].condition), s->family[f].why);
		if (s->family[f].condition == COND_ABSENT && s->family[f].unused)
			(void)printf("  no interface has an IPv6 address, so it does not matter\n");
		if (s->family[f].condition != COND_ABSENT)
			differences(s, &r);
	}
	if (*advice(s) != '\0')
		(void)printf("%s\n", advice(s));
	json_array_foreach(walls, i, one)
		(void)printf("%s\n", json_string_value(one));
	json_decref(walls);
}

static void
print_json(const struct config *c, const struct state *s)
{
	struct report r = { .list = json_array() };
	json_t *families = json_object(), *all;
	char *text;

	for (int f = 0; f < FAMILIES; f++) {
		r.family = (enum family)f;
		(void)json_object_set_new(families, family_name(r.family),
		    json_pack("{s:s, s:s, s:s}", "state", condition_name(s->family[f].condition), "why", s->family[f].why, "plan",
		        s->family[f].plan));
		differences(s, &r);
	}
	all = json_pack("{s:s, s:i, s:s, s:b, s:b, s:s, s:o, s:o, s:o}", "state", condition_name(s->condition), "exit",
	    status_of(s->condition), "backend", backend_name(s->backend), "otherBackend", s->residue, "takenAway", s->taken_away, "advice", advice(s),
	    "families", families, "differences", r.list, "firewalls", firewalls(c, s));
	text = json_dumps(all, JSON_INDENT(2));
	if (text != NULL)
		(void)puts(text);
	free(text);
	json_decref(all);
}

int
check_verb(const struct config *c, const struct options *o)
{
	struct state *s = NULL;
	int status;

	if (state_read(&s, c, true) != TULLE_OK)
		return EXIT_REFUSED;
	if (o->json)
		print_json(c, s);
	else
		print_lines(c, s);
	status = status_of(s->condition);
	state_free(s);
	return status;
}
