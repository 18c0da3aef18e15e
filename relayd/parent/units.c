/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/units.h"

#include <stdio.h>

#include "base/log.h"
#include "wire.h"

void
units_init(struct units *u, struct loop *loop, const char *root)
{
	*u = (struct units){ .loop = loop, .root = root, .channel = -1 };
}

void
units_begin(struct units *u, int channel)
{
	u->channel = channel;
	u->n_waiting = 0;
	timer_clear(u->loop, &u->look);
}

static void
answer(const struct units *u, uint64_t cgroup)
{
	const char *unit = cgroups_unit(u->cgroups, cgroup);
	struct wire_unit w = { .cgroup = cgroup, .known = unit != NULL };

	(void)snprintf(w.unit, sizeof(w.unit), "%s", unit != NULL ? unit : "");
	(void)msg_send(u->channel, WIRE_UNIT, &w, sizeof(w), NULL, 0);
}

/* What was known stays if it cannot be read now.  Said once when it begins and once when it is over. */
static void
look(struct units *u)
{
	struct cgroups *fresh = NULL;
	enum tulle_err e = cgroups_read(&fresh, u->root);

	u->looked_ms = loop_now(u->loop);
	if (fresh != NULL) {
		(void)cgroups_free(u->cgroups);
		u->cgroups = fresh;
	}
	if (e != TULLE_OK && !u->trouble)
		log_error("the units of this host cannot be told: connections that depend on them fail", LF_ERR(e), LF_ERRNO,
		    LF_STR("reason", e == TULLE_ENOENT  ? "no unified cgroup hierarchy is mounted" :
		                     e == TULLE_ELIMIT ? "there are too many cgroups" :
		                                         NULL));
	else if (e == TULLE_OK && u->trouble)
		log_info("the units of this host can be told again");
	u->trouble = e != TULLE_OK;
}

static void
look_due(struct timer *t)
{
	struct units *u = CONTAINER_OF(t, struct units, look);

	look(u);
	for (size_t i = 0; i < u->n_waiting; i++)
		answer(u, u->waiting[i]);
	u->n_waiting = 0;
}

enum tulle_err
units_asked(struct units *u, const struct msg *m)
{
	struct wire_cgroup q;
	uint64_t now = loop_now(u->loop), next = u->looked_ms + UNITS_LOOK_MS;
	enum tulle_err e = wire_take(m, &q, sizeof(q));

	if (e != TULLE_OK)
		return e;
	if (cgroups_unit(u->cgroups, q.id) != NULL) {
		answer(u, q.id);
		return TULLE_OK;
	}
	if (u->n_waiting == UNITS_WAITING)
		return TULLE_OK; /* the relay does not wait for ever */
	u->waiting[u->n_waiting++] = q.id;
	if (!timer_active(&u->look))
		timer_set(u->loop, &u->look, u->looked_ms == 0 || now >= next ? 0 : next - now, look_due);
	return TULLE_OK;
}
