/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * budget.h - limits.connections and limits.memory, shared by all workers:
 * which worker a connection falls to is chance, so no worker has a share of
 * its own.
 *
 * Each worker says how many it holds, in a word of its own; whoever wants to
 * let one in adds the words up.  Two that look at the same moment may both
 * let one in: the limit is passed by one a worker at most.
 *
 * Tunnels whose peer has not proved yet who it is are counted apart: anybody
 * who reaches the port can make those, and must not crowd out connections of
 * members and of this host.  They may be a quarter of limits.connections,
 * but 64 in any case; an eighth of that, but 16 in any case, from one source:
 * an IPv4 address or an IPv6 /64.  Sources are told apart by a secret hash
 * into a table of counters; the two that meet in one share its room.
 */
#ifndef TULLE_RELAYD_BUDGET_H
#define TULLE_RELAYD_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

#define BUDGET_WORKERS 64       /* relay.workers at most */
#define BUDGET_SOURCES 4096     /* a power of two */
#define BUDGET_HANDSHAKES_MIN 64
#define BUDGET_SOURCE_MIN 16

struct budget {
	unsigned int max;
	atomic_bool overloaded; /* memory is short */
	atomic_uint held[BUDGET_WORKERS];
	unsigned int handshakes_max, source_max;
	atomic_uint handshakes;
	atomic_uint sources[BUDGET_SOURCES];
	uint64_t secret;
};

void budget_init(struct budget *b, unsigned int max_connections);

/* Worker number <worker> holds <n> connections now.  From its own thread. */
void budget_hold(struct budget *b, unsigned int worker, unsigned int n);

/* limits.memory is reached, or no longer. */
void budget_overload(struct budget *b, bool on);
bool budget_overloaded(const struct budget *b);

/* The name of the limit that lets nobody new in now; NULL: there is room. */
const char *budget_reached(const struct budget *b);

/*
 * A handshake with <peer> begins: NULL, and then budget_handshake_end() is due once with the same address; or the name of
 * the limit that refuses it.  From any thread.
 */
const char *budget_handshake_begin(struct budget *b, const struct addr *peer);
void budget_handshake_end(struct budget *b, const struct addr *peer);

#endif
