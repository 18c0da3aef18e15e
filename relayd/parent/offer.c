/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/offer.h"

#include <unistd.h>

static void
keep(int *slot, int fd)
{
	if (*slot != -1)
		(void)close(*slot);
	*slot = fd;
}

void
offer_init(struct offer *o)
{
	*o = (struct offer){ .good = -1, .looked_at = -1, .newest = -1, .fallback = -1, .fresh = true };
}

void
offer_done(struct offer *o)
{
	keep(&o->good, -1);
	keep(&o->looked_at, -1);
	keep(&o->newest, -1);
	keep(&o->fallback, -1);
}

uint64_t
offer_put(struct offer *o, int fd)
{
	keep(&o->newest, fd);
	o->newest_is_bad = false;
	return ++o->ticket;
}

void
offer_fallback(struct offer *o, int fd)
{
	keep(&o->fallback, fd);
	if (o->newest_is_bad)
		keep(&o->newest, -1);
}

void
offer_addresses(struct offer *o)
{
	o->addresses++;
}

/* Newer files bring the new addresses along; if they are refused, the good ones do. */
static bool
good_is_due(const struct offer *o)
{
	if (o->good == -1)
		return false;
	if (o->fresh)
		return o->newest == -1 || !o->good_is_bad;
	return o->newest == -1 && o->told_addresses != o->addresses;
}

/* Moves one that is on its way to the process into <looked_at>. */
static void
look_at(struct offer *o, int *slot, enum offered what)
{
	o->looked_at = *slot;
	*slot = -1;
	o->what = what;
}

bool
offer_next(struct offer *o, int *ret_fd, uint64_t *ret_generation)
{
	if (o->asked != 0)
		return false;
	if (good_is_due(o)) {
		o->what = OFFERED_GOOD;
	} else if (o->newest != -1) {
		look_at(o, &o->newest, OFFERED_NEWEST);
		o->looked_at_ticket = o->ticket;
	} else if (o->good == -1 && o->fallback != -1) {
		look_at(o, &o->fallback, OFFERED_FALLBACK);
	} else {
		return false;
	}
	o->asked_addresses = o->addresses;
	o->asked = ++o->generation;
	*ret_fd = o->what == OFFERED_GOOD ? o->good : o->looked_at;
	*ret_generation = o->asked;
	return true;
}

/* Nobody has looked at it after all, or nothing is better; something newer may have come. */
static void
put_back(struct offer *o)
{
	int *slot = o->what == OFFERED_FALLBACK ? &o->fallback : &o->newest;

	if (*slot == -1)
		*slot = o->looked_at;
	else
		keep(&o->looked_at, -1);
	o->looked_at = -1;
}

void
offer_unsent(struct offer *o)
{
	o->asked = 0;
	if (o->what != OFFERED_GOOD)
		put_back(o);
}

enum offered
offer_answered(struct offer *o, uint64_t generation, bool accepted, uint64_t *ret_ticket)
{
	*ret_ticket = 0;
	if (o->asked == 0 || generation != o->asked)
		return OFFERED_NOTHING;
	o->asked = 0;
	/* The good set is not asked about twice for the same addresses, whatever the answer. */
	if (accepted || o->what == OFFERED_GOOD) {
		o->fresh = false;
		o->good_is_bad = false;
		o->told_addresses = o->asked_addresses;
	}
	if (o->what == OFFERED_GOOD)
		return o->what;
	keep(accepted ? &o->good : &o->looked_at, accepted ? o->looked_at : -1);
	o->looked_at = -1;
	if (o->what == OFFERED_NEWEST)
		*ret_ticket = o->looked_at_ticket;
	return o->what;
}

uint64_t
offer_ended(struct offer *o)
{
	bool asked = o->asked != 0;

	o->asked = 0;
	o->fresh = true;
	if (!asked)
		return 0;
	if (o->what == OFFERED_GOOD) {
		o->good_is_bad = true;
		return 0;
	}
	if (o->what == OFFERED_NEWEST && o->good == -1 && o->newest == -1)
		o->newest_is_bad = true;
	if (o->good == -1)
		put_back(o);
	else
		keep(&o->looked_at, -1);
	return o->what == OFFERED_NEWEST ? o->looked_at_ticket : 0;
}
