/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs.h - plan, apply, check, remove: each returns the exit status. */
#ifndef TULLE_NFRULES_VERBS_H
#define TULLE_NFRULES_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

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
	bool if_closed;          /* apply: only with capture.failClosed */
	bool unless_closed;      /* remove: not if the rules that are there have a guard */
	uint32_t drain_sec;      /* remove: 0 does not wait and leaves nothing (--now) */
};

int plan_verb(const struct config *c, const struct options *o);
int check_verb(const struct config *c, const struct options *o);
int apply_verb(const struct config *c, const struct options *o);
int remove_verb(const struct options *o); /* by prefix: needs no configuration, so it works with a broken one */

#endif
