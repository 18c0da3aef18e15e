/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * actual.h - what is in the kernel now, in both backends and both families,
 * and which backend is ours.  Only looks.
 */
#ifndef TULLE_NFRULES_LIVE_ACTUAL_H
#define TULLE_NFRULES_LIVE_ACTUAL_H

#include <stdbool.h>

#include "base/err.h"
#include "live/xtables.h"
#include "rules/ruleset.h"

struct actual_side {
	struct ruleset *rules; /* owned; NULL: it could not be read, and <why> tells */
	char why[XTABLES_WHY];
	bool absent; /* <rules> is NULL because this machine cannot have any there */
};

struct actual {
	struct actual_side side[BACKENDS][FAMILIES];
};

/* Never fails for a tool: a side that cannot be read says why.  TULLE_ENOMEM.  Release with actual_free(). */
enum tulle_err actual_read(struct actual *ret);

/* Reads one side again.  TULLE_EUNAVAIL: not now; what was known of it is kept.  TULLE_ENOENT: absent.  TULLE_ENOMEM. */
enum tulle_err actual_read_side(struct actual *a, enum backend b, enum family f);

void actual_free(struct actual *a);

/* Was each side read, or is absent? */
bool actual_complete(const struct actual *a);

/* Is anything of ours in this backend? */
bool actual_has_own(const struct actual *a, enum backend b);

/*
 * The backend to use if the operator names none: the one that holds our
 * rules already; else legacy if somebody else uses that; else nft, unless
 * its tools do not work here.
 */
enum backend actual_choose(const struct actual *a);

#endif
