/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * health.h - an endpoint whose connect failed rests for a growing while.
 *
 * 1 s after the first failure, doubling to 60 s, each up to half longer by
 * chance so that a fleet does not come back at once.  Failures of flows that
 * were under way together count as one.  Resting is advice: balance.h still
 * takes a resting endpoint when no other is left.
 *
 * The state is the endpoint's, shared by all threads with relaxed atomics:
 * two threads that report at the same moment may count as one.  Time is
 * clock_mono_ms(), chance is any 64 random bits.
 */
#ifndef TULLE_DECIDE_HEALTH_H
#define TULLE_DECIDE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "manifest/snapshot.h"

#define HEALTH_REST_MIN_MS 1000
#define HEALTH_REST_MAX_MS 60000

/*
 * A connect to the endpoint failed, or its handshake, by the endpoint's own
 * doing: never report what this host ran out of (descriptors, memory).
 */
void health_failed(struct endpoint_state *s, uint64_t now_ms, uint64_t random);

/* A connect succeeded: all is forgiven. */
void health_ok(struct endpoint_state *s);

bool health_resting(const struct endpoint_state *s, uint64_t now_ms);

#endif
