/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/callers.h"

#include <stdlib.h>

struct waiting {
	LIST_ENTRY(waiting) link;
	struct callers *callers;
	struct ctl_call *call;
	struct timer late;
	enum wait what;
	uint64_t id;
};

void
callers_init(struct callers *c, struct loop *loop, callers_late_fn *late, void *arg)
{
	LIST_INIT(&c->list);
	c->loop = loop;
	c->late = late;
	c->arg = arg;
}

static struct ctl_call *
take(struct waiting *w)
{
	struct ctl_call *call = w->call;

	LIST_REMOVE(w, link);
	timer_clear(w->callers->loop, &w->late);
	free(w);
	return call;
}

static void
answer_late(struct timer *t)
{
	struct waiting *w = CONTAINER_OF(t, struct waiting, late);

	struct callers *c = w->callers;
	enum wait what = w->what;

	c->late(c->arg, take(w), what);
}

void
callers_wait(struct callers *c, struct ctl_call *call, enum wait what, uint64_t id, uint64_t ms)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		ctl_fail(call, "out of memory");
		return;
	}
	*w = (struct waiting){ .callers = c, .call = call, .what = what, .id = id };
	LIST_INSERT_HEAD(&c->list, w, link);
	timer_set(c->loop, &w->late, ms, answer_late);
}

struct ctl_call *
callers_take(struct callers *c, enum wait what, uint64_t id)
{
	struct waiting *w;

	LIST_FOREACH(w, &c->list, link)
		if (w->what == what && w->id == id)
			return take(w);
	return NULL;
}

void
callers_reloaded(struct callers *c, uint64_t ticket, json_t *result, const char *error)
{
	struct waiting *w, *next;

	for (w = LIST_FIRST(&c->list); w != NULL; w = next) {
		next = LIST_NEXT(w, link); /* answering removes this one alone */
		if (w->what != WAIT_RELOAD || w->id > ticket)
			continue;
		if (result != NULL)
			ctl_ok(take(w), json_incref(result));
		else
			ctl_fail(take(w), "%s", error);
	}
}

void
callers_give_up(struct callers *c, const char *error)
{
	struct waiting *w, *next;

	for (w = LIST_FIRST(&c->list); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		if (w->what != WAIT_RELOAD)
			ctl_fail(take(w), "%s", error);
	}
}
