/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "budget.h"

#include <stddef.h>

void
budget_init(struct budget *b, unsigned int max_connections)
{
	b->max = max_connections;
	atomic_init(&b->overloaded, false);
	for (size_t i = 0; i < BUDGET_WORKERS; i++)
		atomic_init(&b->held[i], 0);
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
