/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/budget.h"

#include <stddef.h>
#include <string.h>
#include <sys/random.h>

void
budget_init(struct budget *b, unsigned int max_connections)
{
	b->max = max_connections;
	atomic_init(&b->overloaded, false);
	for (size_t i = 0; i < BUDGET_WORKERS; i++)
		atomic_init(&b->held[i], 0);
	b->handshakes_max = max_connections / 4 > BUDGET_HANDSHAKES_MIN ? max_connections / 4 : BUDGET_HANDSHAKES_MIN;
	b->source_max = b->handshakes_max / 8 > BUDGET_SOURCE_MIN ? b->handshakes_max / 8 : BUDGET_SOURCE_MIN;
	atomic_init(&b->handshakes, 0);
	for (size_t i = 0; i < BUDGET_SOURCES; i++)
		atomic_init(&b->sources[i], 0);
	if (getrandom(&b->secret, sizeof(b->secret), GRND_NONBLOCK) != sizeof(b->secret))
		b->secret = (uintptr_t)b; /* at a boot too early for randomness; still not the same everywhere */
}

void
budget_hold(struct budget *b, unsigned int worker, unsigned int n)
{
	/* The word is this worker's alone, but its neighbours' are on the same line: left in peace if nothing changed. */
	if (atomic_load_explicit(&b->held[worker], memory_order_relaxed) != n)
		atomic_store_explicit(&b->held[worker], n, memory_order_relaxed);
}

void
budget_overload(struct budget *b, bool on)
{
	atomic_store_explicit(&b->overloaded, on, memory_order_relaxed);
}

bool
budget_overloaded(const struct budget *b)
{
	return atomic_load_explicit(&b->overloaded, memory_order_relaxed);
}

const char *
budget_reached(const struct budget *b)
{
	unsigned int sum = 0;

	if (budget_overloaded(b))
		return "limits.memory";
	for (size_t i = 0; i < BUDGET_WORKERS; i++)
		sum += atomic_load_explicit(&b->held[i], memory_order_relaxed);
	return sum >= b->max ? "limits.connections" : NULL;
}

/* Whoever has an IPv6 address has its /64.  The mixing is that of SplitMix64. */
static atomic_uint *
source_of(struct budget *b, const struct addr *peer)
{
	uint64_t x;

	memcpy(&x, peer->ip, sizeof(x));
	x ^= b->secret;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	x ^= x >> 31;
	return &b->sources[x % BUDGET_SOURCES];
}

/* Adds one unless there are <max> already. */
static bool
take(atomic_uint *counter, unsigned int max)
{
	if (atomic_fetch_add_explicit(counter, 1, memory_order_relaxed) < max)
		return true;
	atomic_fetch_sub_explicit(counter, 1, memory_order_relaxed);
	return false;
}

const char *
budget_handshake_begin(struct budget *b, const struct addr *peer)
{
	atomic_uint *source = source_of(b, peer);

	if (!take(source, b->source_max))
		return "handshakes of one source";
	if (take(&b->handshakes, b->handshakes_max))
		return NULL;
	atomic_fetch_sub_explicit(source, 1, memory_order_relaxed);
	return "handshakes";
}

void
budget_handshake_end(struct budget *b, const struct addr *peer)
{
	atomic_fetch_sub_explicit(source_of(b, peer), 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&b->handshakes, 1, memory_order_relaxed);
}
