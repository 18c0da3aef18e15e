/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * result.h - what an answer means for the batch that was sent, and when to
 * try again (OTLP/HTTP, "Failures").  Pure.
 */
#ifndef TULLE_TELEMETRY_EXPORT_RESULT_H
#define TULLE_TELEMETRY_EXPORT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum export_verdict {
	EXPORT_DELIVERED, /* all but <rejected> of it; never to be sent again */
	EXPORT_RETRY,     /* later, the same */
	EXPORT_PAUSE,     /* nothing was sent and nothing will be: TLS says no.  Try later, the same */
	EXPORT_DROP,      /* the server will never take this one */
	EXPORT_FAULT,     /* nor the next one, until somebody mends it: drop this, hold the others */
	EXPORT_SPLIT,     /* too large */
};

#define EXPORT_TEXT 160

struct export_result {
	enum export_verdict verdict;
	uint64_t rejected;      /* DELIVERED: records that the server did not take */
	char text[EXPORT_TEXT]; /* what the server said, or "" */
};

/*
 * Judges the outcome of a request: <e> as lib/http gives it, and if it is
 * TULLE_OK the status and the body, of any content whatever.
 */
void export_judge(struct export_result *ret, enum tulle_err e, unsigned int status, const uint8_t *body, size_t len);

/* Is the answer to an empty probe a sign that the server does not know the coding? */
bool export_coding_refused(enum tulle_err e, unsigned int status);

#define BACKOFF_BASE_MS 1000u
#define BACKOFF_MAX_MS 60000u

/*
 * How long to wait after the <failures>th failure in a row (from 1): full
 * jitter, <random> chooses between 0 and min(60 s, 1 s * 2^(failures - 1)).
 * <retry_after_ms> (0: none was given) is the least, plus up to a fifth.
 */
uint64_t backoff_ms(unsigned int failures, uint64_t retry_after_ms, uint32_t random);

#endif
