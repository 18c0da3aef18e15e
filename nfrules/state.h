/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * state.h - the plan beside the kernel: what is wanted, what is there, and
 * how the two compare.  plan, apply and check all start from this.
 */
#ifndef TULLE_NFRULES_STATE_H
#define TULLE_NFRULES_STATE_H

#include <stdbool.h>

#include "base/err.h"
#include "config.h"
#include "live/actual.h"
#include "rules/ruleset.h"

enum condition {
	COND_EQUAL,   /* as planned */
	COND_DRIFT,   /* changed since, or half applied, or the plan has changed */
	COND_ABSENT,  /* nothing steers */
	COND_RESIDUE, /* ours, but of another version or in the other backend */
};

struct state {
	struct actual actual;
	enum backend backend;
	bool backend_found; /* not named by the operator */
	struct {
		struct ruleset *wanted;   /* owned; without the anchor's comment */
		char plan[DIGEST_TEXT];   /* digest of <wanted> */
		enum condition condition; /* never COND_RESIDUE for the other backend */
		bool unused;              /* IPv6, and no interface has an address of it */
		char why[XTABLES_WHY];    /* one sentence on the condition */
	} family[FAMILIES];
	bool taken_away;          /* they were applied, nobody removed them, and they are not there */
	unsigned int firewalls;   /* bits of rules/firewall.h: they act, and what arrives is steered at every port */
	bool residue;             /* something of ours is in the other backend */
	enum condition condition; /* of all */
	bool wanted_only;         /* the kernel was not looked at */
};

/*
 * Makes the plan and, if <look>, compares it with the kernel.
 *
 *   TULLE_OK       *ret is the caller's, to release with state_free()
 *   TULLE_EINVAL   no plan can be made of <c>; what is wrong has been said
 *   TULLE_EUNAVAIL the rules of a backend that is needed cannot be read; said, too
 *   TULLE_ENOMEM
 */
enum tulle_err state_read(struct state **ret, const struct config *c, bool look);

/* Takes NULL.  Always returns NULL. */
struct state *state_free(struct state *s);

/* Compares again after something was read anew. */
void state_compare(struct state *s);

/* Pure.  One family: what is there against what is wanted.  <why> gets one sentence. */
enum condition state_of(const struct ruleset *now, const struct ruleset *wanted, const char *plan, enum backend b,
    char why[XTABLES_WHY]);

const char *condition_name(enum condition c);

#endif
