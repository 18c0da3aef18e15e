/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * budget.h - limits.connections and limits.memory, shared by all workers:
 * which worker a connection falls to is chance, so no worker has a share of
 * its own.
 *
 * Each worker says how many it holds, in a word of its own; whoever wants to
 * let one in adds the words up.  Two that look at the same moment may both
 * let one in: the limit is passed by one a worker at most.
 */
#ifndef TULLE_RELAYD_BUDGET_H
#define TULLE_RELAYD_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>

#define BUDGET_WORKERS 64 /* relay.workers at most */

struct budget {
	unsigned int max;
	atomic_bool overloaded; /* memory is short */
	atomic_uint held[BUDGET_WORKERS];
};

void budget_init(struct budget *b, unsigned int max_connections);

/* Worker number <worker> holds <n> connections now.  From its own thread. */
void budget_hold(struct budget *b, unsigned int worker, unsigned int n);

/* limits.memory is reached, or no longer. */
void budget_overload(struct budget *b, bool on);
bool budget_overloaded(const struct budget *b);

/* The name of the limit that lets nobody new in now; NULL: there is room. */
const char *budget_reached(const struct budget *b);

#endif
