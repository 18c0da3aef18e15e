/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ttl.h - how long certificates may live (pure).
 *
 *   root 5 years  >=  6 * issuing CA 30 days  >=  6 * leaf
 *
 * Six, because only then the life of a leaf can be promised while CAs roll
 * over: a new one is used from a third of the old one's life before its end,
 * and half of that is a margin.  A relation that does not hold is an error
 * when the configuration is read, never a shorter certificate later.  All
 * times in seconds since the epoch, all lengths in seconds.
 */
#ifndef TULLE_CERTD_AUTHORITY_TTL_H
#define TULLE_CERTD_AUTHORITY_TTL_H

#include <stdint.h>

#include "base/err.h"

#define TTL_DAY INT64_C(86400)
#define TTL_ROOT (5 * 365 * TTL_DAY)
#define TTL_ISSUING (30 * TTL_DAY)
#define TTL_FACTOR 6
#define TTL_LEAF_MIN 10     /* for tests and demonstrations */
#define TTL_LEAF_SHORT 300  /* below it a start-up warning */
#define TTL_NODE (30 * TTL_DAY) /* what the authority gives a member's node */
#define TTL_BACKDATE 60     /* for clocks that are a little behind */
#define TTL_WHY 160

/* The life of an issuing CA below a root of this length: 30 days, or a sixth of a shorter root. */
int64_t ttl_issuing(int64_t root_life);

/*
 * May leaves of <leaf> seconds be issued below a root of <root_life>?
 * TULLE_EINVAL: no; <why> then says which limit gives which length.
 */
enum tulle_err ttl_check(int64_t leaf, int64_t root_life, char why[TTL_WHY]);

enum ttl_verdict {
	TTL_FULL,      /* as asked */
	TTL_SHORTENED, /* ends with its issuer: an alarm */
	TTL_REFUSED,   /* less than half of what was asked is left of the issuer */
};

/* When a certificate of <asked> seconds ends that is issued <now> below one that ends at <issuer_end>. */
enum ttl_verdict ttl_end(int64_t now, int64_t asked, int64_t issuer_end, int64_t *ret_end);

/* When it begins: TTL_BACKDATE ago, but not before its issuer does. */
int64_t ttl_begin(int64_t now, int64_t issuer_begin);

#endif
