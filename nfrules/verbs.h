/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs.h - plan, apply, check, repair, remove: each returns the exit status. */
#ifndef TULLE_NFRULES_VERBS_H
#define TULLE_NFRULES_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "state.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,  /* and rolled back */
	EXIT_REFUSED = 2, /* nothing was tried: bad input, or not safe */
	EXIT_DRIFT = 3,
	EXIT_ABSENT = 4,
	EXIT_RESIDUE = 5,
};

struct options {
	bool json;
	uint32_t wait_relay_sec; /* apply: 0 does not wait */
	bool repair;             /* apply, as repair does it */
	bool if_closed;          /* apply: only with capture.failClosed */
	bool unless_closed;      /* remove: not if the rules that are there have a guard */
	uint32_t drain_sec;      /* remove: 0 does not wait and leaves nothing (--now) */
};

int plan_verb(const struct config *c, const struct options *o);
int check_verb(const struct config *c, const struct options *o);
int apply_verb(const struct config *c, const struct options *o);
int repair_verb(const struct config *c, const struct options *o);

/*
 * Is there something that repair should put back, and may?  What differs has
 * been logged.  If not, *ret_status is the exit status and *ret_word the
 * result.
 */
bool repair_may(const struct config *c, const struct state *s, int *ret_status, const char **ret_word);

/* Has somebody changed what was applied?  A configuration that is newer than the rules is not that. */
bool repair_wanted(const struct state *s);

int remove_verb(const struct options *o); /* by prefix: needs no configuration, so it works with a broken one */

#endif
