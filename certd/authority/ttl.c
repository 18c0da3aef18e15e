/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/ttl.h"

#include <inttypes.h>
#include <stdio.h>

int64_t
ttl_issuing(int64_t root_life)
{
	int64_t sixth = root_life / TTL_FACTOR;

	return sixth < TTL_ISSUING ? sixth : TTL_ISSUING;
}

enum tulle_err
ttl_check(int64_t leaf, int64_t root_life, char why[TTL_WHY])
{
	int64_t issuing = ttl_issuing(root_life);

	if (leaf < TTL_LEAF_MIN) {
		(void)snprintf(why, TTL_WHY, "%" PRId64 "s is too short: at least %ds", leaf, TTL_LEAF_MIN);
		return TULLE_EINVAL;
	}
	if (leaf > issuing / TTL_FACTOR) {
		(void)snprintf(why, TTL_WHY,
		    "%" PRId64 "s is too long: at most %" PRId64 "s, a sixth of the issuing CA's %" PRId64
		    "s (the root lives %" PRId64 "s)",
		    leaf, issuing / TTL_FACTOR, issuing, root_life);
		return TULLE_EINVAL;
	}
	return TULLE_OK;
}

enum ttl_verdict
ttl_end(int64_t now, int64_t asked, int64_t issuer_end, int64_t *ret_end)
{
	if (asked <= issuer_end - now) {
		*ret_end = now + asked;
		return TTL_FULL;
	}
	if (issuer_end - now < asked / 2 || issuer_end <= now)
		return TTL_REFUSED;
	*ret_end = issuer_end;
	return TTL_SHORTENED;
}

int64_t
ttl_begin(int64_t now, int64_t issuer_begin)
{
	return now - TTL_BACKDATE > issuer_begin ? now - TTL_BACKDATE : issuer_begin;
}
