/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * As whom does the application of an outbound flow speak?
 *
 * The kernel says whose socket it is, identities.yaml says who that is.  Only
 * where an entry with a unit may decide the unit is asked for: the kernel
 * knows a number for it, the parent process knows which unit that is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "decide/owner.h"
#include "flow/flow.h"

#define UNITS_KNOWN 4096 /* cgroups whose unit is remembered; then all are forgotten */
#define UNIT_WAIT_MS 5000

struct unit_of {
	UT_hash_handle hh;
	uint64_t cgroup;
	char unit[];
};

/* ---- units of cgroups: neither number nor unit of a cgroup ever changes ------- */

static void
forget_units(struct owners *o)
{
	struct unit_of *u = o->units, *next;

	HASH_CLEAR(hh, o->units); /* the table; its entries stay chained */
	for (; u != NULL; u = next) {
		next = u->hh.next;
		free(u);
	}
}

static void
remember_unit(struct owners *o, uint64_t cgroup, const char *unit)
{
	const size_t room = strlen(unit) + 1;
	struct unit_of *u;

	HASH_FIND(hh, o->units, &cgroup, sizeof(cgroup), u);
	if (u != NULL)
		return;
	if (HASH_COUNT(o->units) >= UNITS_KNOWN)
		forget_units(o);
	u = calloc(1, sizeof(*u) + room);
	if (u == NULL)
		return; /* it will be asked for again */
	u->cgroup = cgroup;
	memcpy(u->unit, unit, room);
	HASH_ADD(hh, o->units, cgroup, sizeof(u->cgroup), u);
}

void
owners_done(struct owners *o)
{
	forget_units(o);
	o->diag = diag_close(o->diag);
}

/* ---- one flow ------------------------------------------------------------------- */

static enum tulle_err
unknown(struct flow *f, const char *why)
{
	char peer[ADDR_TEXT], original[ADDR_TEXT];

	if (flow_may_log(f->flows))
		log_warn("outbound connection failed", LF_STR("reason", event_detail_name(EVENT_DETAIL_OWNER_UNKNOWN)),
		    LF_STR("why", why), LF_STR("peer", addr_format(&f->event.peer, peer)),
		    LF_STR("destination", addr_format(&f->event.original, original)));
	flow_end(f, EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_OWNER_UNKNOWN);
	return TULLE_EDENIED;
}

/* What the kernel knows of the socket at the application's end.  Its addresses there: its own, and where it meant to go. */
static enum tulle_err
ask_kernel(struct flow *f, struct diag_owner *ret)
{
	struct owners *o = &f->flows->owners;
	enum tulle_err e = o->diag == NULL ? diag_open(&o->diag) : TULLE_OK;

	if (e == TULLE_OK)
		e = diag_find(o->diag, &f->event.peer, &f->event.original, ret);
	return e;
}

void
flow_forget_owner(struct flow *f)
{
	if (f->dial->cgroup == 0)
		return;
	f->dial->cgroup = 0;
	LIST_REMOVE(f->dial, waiting);
	timer_clear(f->flows->th->loop, &f->timer);
}

static void
wait_over(struct timer *t)
{
	(void)unknown(CONTAINER_OF(t, struct flow, timer), "its unit was asked for, without an answer");
}

static enum tulle_err
wait_for_unit(struct flow *f, const struct diag_owner *owner)
{
	struct owners *o = &f->flows->owners;
	const struct dialling *d;
	bool asked = false;

	LIST_FOREACH(d, &o->waiting, waiting)
		asked = asked || d->cgroup == owner->cgroup;
	f->dial->owner = *owner;
	f->dial->cgroup = owner->cgroup;
	LIST_INSERT_HEAD(&o->waiting, f->dial, waiting);
	timer_set(f->flows->th->loop, &f->timer, UNIT_WAIT_MS, wait_over);
	if (!asked)
		o->ask_unit(o->arg, owner->cgroup);
	return TULLE_AGAIN;
}

/* <unit>: NULL as long as it is not known. */
static enum owner_choice
choose(struct flow *f, const struct diag_owner *found, const char *unit)
{
	const struct owner owner = { .uid_known = found->uid_known, .uid = found->uid, .unit = unit };

	return owner_choose(f->dial->snapshot->identities, &owner, &f->dial->entry);
}

enum tulle_err
flow_find_owner(struct flow *f)
{
	const struct identities *ids = f->dial->snapshot->identities;
	struct owners *o = &f->flows->owners;
	struct diag_owner found = { 0 };
	struct unit_of *u;
	enum tulle_err e;

	if (ids == NULL || ids->n == 0)
		return TULLE_OK;
	e = ask_kernel(f, &found);
	if (e != TULLE_OK)
		return unknown(f, e == TULLE_ENOENT ? "the application has closed it already" :
		                  e == TULLE_ESYS   ? log_errno_text(errno) :
		                                      tulle_strerror(e));
	if (choose(f, &found, NULL) != OWNER_UNDECIDED)
		return TULLE_OK;
	HASH_FIND(hh, o->units, &found.cgroup, sizeof(found.cgroup), u);
	if (u != NULL && choose(f, &found, u->unit) != OWNER_UNDECIDED)
		return TULLE_OK;
	if (u != NULL)
		return unknown(f, "the application has closed it already");
	if (found.cgroup == 0 || o->ask_unit == NULL)
		return unknown(f, "its unit cannot be told");
	return wait_for_unit(f, &found);
}

void
flows_unit(struct flows *fs, uint64_t cgroup, const char *unit)
{
	struct dialling *d, *next;

	if (unit != NULL)
		remember_unit(&fs->owners, cgroup, unit);
	for (d = LIST_FIRST(&fs->owners.waiting); d != NULL; d = next) {
		struct flow *f = d->flow;

		next = LIST_NEXT(d, waiting);
		if (d->cgroup != cgroup)
			continue;
		flow_forget_owner(f);
		if (choose(f, &d->owner, unit) == OWNER_UNDECIDED)
			(void)unknown(f, "its unit cannot be told");
		else
			flow_owner_found(f);
	}
}
