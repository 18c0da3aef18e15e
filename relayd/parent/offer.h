/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * offer.h - which configuration the relay process is given next.
 *
 * The rule:
 *
 *   1. One set of files at a time: the next is offered when the last has
 *      been answered.  Of several that came meanwhile only the newest counts.
 *   2. A new process first gets the good set, the last one that was accepted,
 *      so that traffic flows; then the newest files, if nobody has looked at
 *      them yet.
 *   3. Files that a process was looking at when it ended are not offered
 *      again: they may have been its end.  Only where there is no good set
 *      and no fall-back
 *      they are, because then there is nothing to lose.
 *   4. Where there is neither, the fall-back is given: what was good in an
 *      earlier run.  From then on it is the good set.
 *   5. If a process ended while it looked at the good set, newer files go
 *      first: they may be the cure.
 *
 * It never goes back behind a set that was accepted: whoever asked for it
 * has been told that it is in force, and no crash may loosen a policy.
 *
 * This host's addresses go along with each set, so the good one is offered
 * again when they are others.
 *
 * No process, no clock: descriptors are held and closed, never read.
 */
#ifndef TULLE_RELAYD_OFFER_H
#define TULLE_RELAYD_OFFER_H

#include <stdbool.h>
#include <stdint.h>

enum offered { OFFERED_NOTHING, OFFERED_GOOD, OFFERED_NEWEST, OFFERED_FALLBACK };

/* Descriptors are sealed files (bundle.h), owned; -1: none.  Only for offer.c and its readers' eyes. */
struct offer {
	int good;           /* the last set that was accepted */
	int looked_at;      /* the newest, or the fall-back: the process has it and has not answered */
	int newest;         /* nobody has looked at it yet */
	int fallback;       /* of an earlier run */
	uint64_t ticket;    /* of the newest files that were put here */
	uint64_t looked_at_ticket;
	uint64_t generation;/* the last one given out */
	uint64_t asked;     /* the one that is not answered yet, 0: none */
	enum offered what;  /* and what was offered as that */
	uint64_t addresses; /* counts changes */
	uint64_t asked_addresses, told_addresses; /* those that went with <asked>, and those in force */
	bool fresh;         /* the process has no configuration in force */
	bool good_is_bad;   /* a process ended while it looked at <good> */
	bool newest_is_bad; /* a process ended while it looked at <newest>; there is no good set */
};

void offer_init(struct offer *o);

/* Closes what it holds. */
void offer_done(struct offer *o);

/* New files; <fd> is taken over.  The result is a number above those of all files before, never 0. */
uint64_t offer_put(struct offer *o, int fd);

/*
 * There is nothing better than what was good in an earlier run; <fd> is
 * taken over.  Files that a process died of are not tried any more.
 */
void offer_fallback(struct offer *o, int fd);

/* The addresses of this host are others. */
void offer_addresses(struct offer *o);

/*
 * What the process is to be given now: true, *ret_fd (lent) and the
 * *ret_generation to send it as.  False: nothing.
 */
bool offer_next(struct offer *o, int *ret_fd, uint64_t *ret_generation);

/* What offer_next() returned could not be sent: it will be returned again. */
void offer_unsent(struct offer *o);

/*
 * The process has answered; the result is what that was about, nothing if
 * nobody asked.  *ret_ticket is the number (offer_put()) of newest files, else 0.
 */
enum offered offer_answered(struct offer *o, uint64_t generation, bool accepted, uint64_t *ret_ticket);

/* The process is gone.  The result is the number of the newest files, if it was looking at those; else 0. */
uint64_t offer_ended(struct offer *o);

/* Is there anything that is in force, or may be soon? */
static inline bool
offer_has_hope(const struct offer *o)
{
	return o->good != -1 || o->looked_at != -1 || (o->newest != -1 && !o->newest_is_bad) || o->fallback != -1;
}

/* Is the process looking at something? */
static inline bool
offer_busy(const struct offer *o)
{
	return o->asked != 0;
}

#endif
