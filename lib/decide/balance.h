/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * balance.h - which endpoint gets the next flow.
 *
 * Two candidates are drawn by weight, the one with fewer active flows for
 * its weight wins; a tie goes to the first, so an idle service is split
 * exactly by weight.  Endpoints that rest (health.h) are drawn only when no
 * other is left.  Pure: time and chance are passed in.
 */
#ifndef TULLE_DECIDE_BALANCE_H
#define TULLE_DECIDE_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "manifest/snapshot.h"

#define BALANCE_TRIES 8 /* endpoints that one flow tries at most */

/* What a flow has tried already; starts as { 0 }. */
struct balance_tried {
	const struct endpoint *e[BALANCE_TRIES];
	size_t n;
};

/*
 * An endpoint among the <n> of <list> that is not in <tried>, and adds it
 * there.  NULL only if there is none left to try (or BALANCE_TRIES were).
 */
const struct endpoint *balance_choose(const struct endpoint *const *list, size_t n, struct balance_tried *tried,
    uint64_t now_ms, uint64_t random);

/* A flow to the endpoint begins and ends: what "active" counts. */
void balance_begin(const struct endpoint *e);
void balance_end(const struct endpoint *e);

#endif
