/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "live/firewalls.h"
#include "live/sockets.h"
#include "lock.h"
#include "rules/firewall.h"
#include "rules/lacking.h"
#include "rules/render.h"
#include "say.h"

const char *
condition_name(enum condition c)
{
	switch (c) {
	case COND_EQUAL:
		return "equal";
	case COND_DRIFT:
		return "drift";
	case COND_ABSENT:
		return "absent";
	case COND_RESIDUE:
		return "residue";
	}
	return "unknown";
}

static enum condition
judge(enum condition c, char why[XTABLES_WHY], const char *sentence)
{
	(void)snprintf(why, XTABLES_WHY, "%s", sentence);
	return c;
}

enum condition
state_of(const struct ruleset *now, const struct ruleset *wanted, const char *plan, enum backend b, char why[XTABLES_WHY])
{
	char dump[DIGEST_TEXT];
	struct anchor anchor;
	enum tulle_err e;

	if (ruleset_empty(wanted)) {
		if (ruleset_hooked(now))
			return judge(COND_DRIFT, why, "is steered and should not be");
		return judge(COND_EQUAL, why, "is left alone, as configured");
	}
	if (ruleset_empty(now))
		return judge(COND_ABSENT, why, "has no rules of Tulle");
	e = ruleset_anchor(now, &anchor);
	if (e == TULLE_ENOENT && !ruleset_hooked(now) && ruleset_hooked(wanted))
		return judge(COND_ABSENT, why, "has what a remove left for live connections: nothing is steered");
	if (e == TULLE_EINVAL && anchor.format != 0 && anchor.format != ANCHOR_FORMAT)
		return judge(COND_RESIDUE, why, "has rules of another version of Tulle");
	if (e != TULLE_OK)
		return judge(COND_DRIFT, why, "has rules whose record (the anchor's comment) is missing or damaged");
	if (anchor.dump[0] == '\0')
		return judge(COND_DRIFT, why, "is half applied: the last apply did not finish");
	if (anchor.legacy != (b == BACKEND_OF_LEGACY))
		return judge(COND_DRIFT, why, "has rules that were recorded for the other backend");
	ruleset_digest(now, dump);
	if (strcmp(dump, anchor.dump) != 0)
		return judge(COND_DRIFT, why, "was changed after it was applied");
	if (strcmp(plan, anchor.plan) != 0)
		return judge(COND_DRIFT, why, "is as it was applied, but the configuration has changed since");
	return judge(COND_EQUAL, why, "is as planned");
}

static enum tulle_err
want(struct state *s, const struct steering *steering, enum family f)
{
	struct plan *plan = NULL;
	enum tulle_err e = plan_make(&plan, steering, (uint8_t)family_number(f));

	if (e == TULLE_OK)
		e = render_plan(&s->family[f].wanted, plan);
	plan_free(plan);
	if (e == TULLE_OK)
		ruleset_digest(s->family[f].wanted, s->family[f].plan);
	else if (e == TULLE_ELIMIT)
		say("capture.exclude: at most %d entries a list", STEERING_EXCLUDE_MAX);
	else if (e == TULLE_EINVAL)
		say("ports.outbound and ports.inbound must be two different ports, and capture.exclude.ports between 1 and 65535");
	return e == TULLE_ELIMIT ? TULLE_EINVAL : e;
}

void
state_compare(struct state *s)
{
	enum backend other = s->backend == BACKEND_OF_NFT ? BACKEND_OF_LEGACY : BACKEND_OF_NFT;
	size_t n[COND_RESIDUE + 1] = { 0 };
	char name[32];
	int64_t when;

	s->residue = actual_has_own(&s->actual, other);
	for (int f = 0; f < FAMILIES; f++) {
		const struct actual_side *side = &s->actual.side[s->backend][f];

		s->family[f].unused = f == FAMILY_V6 && !sockets_ipv6_in_use(name);
		if (side->rules == NULL && ruleset_empty(s->family[f].wanted))
			s->family[f].condition = judge(COND_EQUAL, s->family[f].why, "is left alone, as configured");
		else if (side->rules == NULL)
			s->family[f].condition = judge(COND_ABSENT, s->family[f].why, side->why);
		else
			s->family[f].condition = state_of(side->rules, s->family[f].wanted, s->family[f].plan, s->backend,
			    s->family[f].why);
		if (s->family[f].condition == COND_ABSENT && s->family[f].unused)
			continue; /* it does not matter: nothing can use it */
		if (s->family[f].condition == COND_ABSENT && side->rules != NULL && lock_noted(&when)) {
			s->taken_away = true;
			s->family[f].condition = judge(COND_DRIFT, s->family[f].why,
			    "has no rules of Tulle, though they were applied and not removed: another program took them away");
		}
		n[s->family[f].condition]++;
	}
	if (s->residue || n[COND_RESIDUE] > 0)
		s->condition = COND_RESIDUE;
	else if (n[COND_DRIFT] > 0 || (n[COND_ABSENT] > 0 && n[COND_EQUAL] > 0 && !ruleset_empty(s->family[FAMILY_V6].wanted)))
		s->condition = COND_DRIFT;
	else
		s->condition = n[COND_ABSENT] > 0 ? COND_ABSENT : COND_EQUAL;
}

static enum tulle_err
look_at_kernel(struct state *s, const struct config *c)
{
	enum tulle_err e = actual_read(&s->actual);
	char text[LACKING_TEXT];
	const struct actual_side *v4;

	if (e != TULLE_OK)
		return e;
	s->backend = c->any_backend ? actual_choose(&s->actual) : c->backend;
	s->backend_found = c->any_backend;
	v4 = &s->actual.side[s->backend][FAMILY_V4];
	if (v4->rules == NULL) {
		say("%s", v4->why);
		if (lacking(v4->why, text) != NULL)
			say("%s", text);
		return TULLE_EUNAVAIL;
	}
	state_compare(s);
	if (firewall_matters(&c->steering))
		s->firewalls = firewalls_seen(&s->actual);
	return TULLE_OK;
}

enum tulle_err
state_read(struct state **ret, const struct config *c, bool look)
{
	struct state *s = calloc(1, sizeof(*s));
	enum tulle_err e = s == NULL ? TULLE_ENOMEM : TULLE_OK;

	for (int f = 0; f < FAMILIES && e == TULLE_OK; f++)
		e = want(s, &c->steering, (enum family)f);
	if (e == TULLE_OK && look) {
		e = look_at_kernel(s, c);
	} else if (e == TULLE_OK) {
		s->wanted_only = true;
		s->backend = c->backend;
	}
	if (e != TULLE_OK) {
		state_free(s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

struct state *
state_free(struct state *s)
{
	if (s != NULL) {
		actual_free(&s->actual);
		for (int f = 0; f < FAMILIES; f++)
			ruleset_free(s->family[f].wanted);
	}
	free(s);
	return NULL;
}
