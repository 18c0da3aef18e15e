/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rollover.h - when an issuing CA is made, used, laid down and forgotten
 * (pure).
 *
 *   prepared -> active -> old -> gone
 *
 * With L the life of an issuing CA and E its end: the next one is prepared
 * at E - L/2 and becomes active at E - L/3, so that the active one always
 * outlives the longest leaf (L/6) with a margin.  Validators know only the
 * root, so there is nothing to wait for in between; the time between is a
 * chance to notice that no new one could be made.  An old one is forgotten,
 * key and all, once the last leaf that it signed has expired.
 */
#ifndef TULLE_CERTD_AUTHORITY_ROLLOVER_H
#define TULLE_CERTD_AUTHORITY_ROLLOVER_H

#include <stddef.h>
#include <stdint.h>

enum ca_state { CA_PREPARED, CA_ACTIVE, CA_OLD, CA_GONE };

const char *ca_state_name(enum ca_state s);

/* One issuing CA, as the schedule sees it. */
struct ca_times {
	enum ca_state state;
	int64_t begin, end; /* seconds since the epoch */
	int64_t last_leaf;  /* when the last leaf expires that it may have signed; of an old one */
};

enum rollover_what {
	ROLLOVER_WAIT,     /* nothing to do until <at> */
	ROLLOVER_PREPARE,  /* make a new one, to be prepared */
	ROLLOVER_ACTIVATE, /* number <which> becomes active; the active one, if any, old */
	ROLLOVER_FORGET,   /* number <which> is gone */
};

struct rollover {
	enum rollover_what what;
	size_t which;
	int64_t at;
};

/*
 * What to do next at <now>.  <life> is what a new one would get, <leaf> the
 * longest leaf: one with less than that left is never made active.  Ask
 * again after doing it.
 */
struct rollover rollover_next(const struct ca_times *cas, size_t n, int64_t life, int64_t leaf, int64_t now);

#endif
