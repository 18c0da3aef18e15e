/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pulse.h - does the relay process still answer?
 *
 * The parent asks in rounds, and counts rounds without an answer.  Rounds
 * rather than time: where the whole machine stood still, or the parent got
 * no processor either, few rounds have passed and nobody is blamed.
 */
#ifndef TULLE_RELAYD_PULSE_H
#define TULLE_RELAYD_PULSE_H

#include <stdbool.h>
#include <stdint.h>

#define PULSE_MS 2000 /* a round */

/* Rounds without an answer, until it counts as hung.  Many, while it looks at a configuration: that may be a large one. */
#ifdef TULLE_SANITIZED
#define PULSE_ROUNDS 30
#define PULSE_ROUNDS_BUSY 180
#else
#define PULSE_ROUNDS 5
#define PULSE_ROUNDS_BUSY 30
#endif

struct pulse {
	uint64_t id;        /* of the question */
	unsigned int waits; /* rounds since it was asked first */
	bool asked;
};

/* A new process. */
void pulse_start(struct pulse *p);

/*
 * A round has begun: true, *ret_id is to be asked (for the first time or
 * again; one answer is enough).  False: it has not answered for so long
 * that it never will.
 */
bool pulse_round(struct pulse *p, bool busy, uint64_t *ret_id);

/* An answer. */
void pulse_answered(struct pulse *p, uint64_t id);

#endif
