/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * repair - what the timer runs: were the rules taken away or changed by
 * another program, say what is missing, and put them back.
 *
 * Only what was applied and not removed since is put back, and only what
 * somebody else changed: a new configuration waits for the apply of whoever
 * wrote it.
 */
#include <string.h>

#include "base/log.h"
#include "lock.h"
#include "rules/change.h"
#include "say.h"
#include "state.h"
#include "verbs.h"

#define LINES_MAX 8 /* of differences: the first say enough */

struct teller {
	const char *family;
	unsigned int n;
};

static void
tell_difference(void *arg, enum difference d, enum table t, const char *chain, const char *rule)
{
	struct teller *teller = arg;

	if (teller->n++ < LINES_MAX)
		log_warn("a steering rule is not as it was applied", LF_STR("difference", difference_name(d)),
		    LF_STR("family", teller->family), LF_STR("table", table_name(t)), LF_STR("chain", chain), LF_STR("rule", rule));
}

static void
tell(const struct state *s)
{
	struct teller teller = { 0 };

	if (s->taken_away)
		log_warn("the steering rules were taken away by another program: another firewall was started, reloaded or stopped");
	for (int f = 0; f < FAMILIES; f++) {
		const struct ruleset *now = s->actual.side[s->backend][f].rules;

		teller.family = family_name((enum family)f);
		if (now != NULL && !ruleset_empty(now) && s->family[f].condition == COND_DRIFT)
			change_differences(now, s->family[f].wanted, tell_difference, &teller);
	}
	if (teller.n > LINES_MAX)
		log_warn("more steering rules are not as they were applied", LF_UINT("rules", teller.n - LINES_MAX));
}

bool
repair_wanted(const struct state *s)
{
	for (int f = 0; f < FAMILIES; f++) {
		const struct ruleset *now = s->actual.side[s->backend][f].rules;
		char dump[DIGEST_TEXT];
		struct anchor anchor;

		if (now == NULL || s->family[f].condition == COND_EQUAL)
			continue;
		if (ruleset_anchor(now, &anchor) != TULLE_OK)
			return true;
		ruleset_digest(now, dump);
		if (strcmp(dump, anchor.dump) != 0)
			return true;
	}
	return false;
}

bool
repair_may(const struct config *c, const struct state *s, int *ret_status, const char **ret_word)
{
	int64_t when;

	*ret_status = EXIT_DONE;
	if (!lock_noted(&when)) {
		*ret_word = "not applied";
		return false;
	}
	if (s->condition == COND_EQUAL || (!s->residue && !repair_wanted(s))) {
		*ret_word = s->condition == COND_EQUAL ? "as applied" : "as applied; the configuration is newer";
		return false;
	}
	tell(s);
	if (c->repair)
		return true;
	log_error("steering rules were changed by another program and are not put back: steering.repair is false",
	    LF_STR("way_out", "tulle-nfrules apply"));
	*ret_status = EXIT_DRIFT;
	*ret_word = "not repaired";
	return false;
}

int
repair_verb(const struct config *c, const struct options *o)
{
	struct options repairs = *o;
	int status;

	repairs.repair = true;
	status = apply_verb(c, &repairs);
	if (status != EXIT_DONE && status != EXIT_DRIFT)
		log_error("steering rules could not be put back: new connections may pass by the mesh", LF_INT("exit", status),
		    LF_STR("way_out", "tulle rules says what is missing"));
	return status;
}
