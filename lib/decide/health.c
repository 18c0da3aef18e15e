/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decide/health.h"

#define DOUBLINGS 6 /* 1 s << 6 is beyond 60 s */

bool
health_resting(const struct endpoint_state *s, uint64_t now_ms)
{
	return atomic_load_explicit(&s->rest_until_ms, memory_order_relaxed) > now_ms;
}

void
health_failed(struct endpoint_state *s, uint64_t now_ms, uint64_t random)
{
	unsigned int failures = atomic_load_explicit(&s->failures, memory_order_relaxed);
	uint64_t rest = (uint64_t)HEALTH_REST_MIN_MS << (failures < DOUBLINGS ? failures : DOUBLINGS);

	if (health_resting(s, now_ms))
		return; /* began before the rest did */
	if (rest > HEALTH_REST_MAX_MS)
		rest = HEALTH_REST_MAX_MS;
	rest += random % (rest / 2 + 1);
	if (failures < DOUBLINGS)
		atomic_store_explicit(&s->failures, failures + 1, memory_order_relaxed);
	atomic_store_explicit(&s->rest_until_ms, now_ms + rest, memory_order_relaxed);
}

void
health_ok(struct endpoint_state *s)
{
	/* Look first: a line that every thread writes for every flow would wander between cores. */
	if (atomic_load_explicit(&s->failures, memory_order_relaxed) != 0)
		atomic_store_explicit(&s->failures, 0, memory_order_relaxed);
	if (atomic_load_explicit(&s->rest_until_ms, memory_order_relaxed) != 0)
		atomic_store_explicit(&s->rest_until_ms, 0, memory_order_relaxed);
}
