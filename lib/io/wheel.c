/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/wheel.h"

#include <limits.h>

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	w->tick = now_ms / WHEEL_SLOT_MS;
	w->count = 0;
	for (int level = 0; level < WHEEL_LEVELS; level++)
		for (int i = 0; i < WHEEL_SLOTS; i++)
			LIST_INIT(&w->slot[level][i]);
}

/* Slots of level 0 that one slot of <level> spans, as a power of two. */
static unsigned int
level_shift(int level)
{
	return 8u * (unsigned int)level;
}

static void
place(struct wheel *w, struct timer *t)
{
	uint64_t at = (t->due + WHEEL_SLOT_MS - 1) / WHEEL_SLOT_MS; /* round up: never early */
	uint64_t span = (uint64_t)WHEEL_SLOTS << level_shift(WHEEL_LEVELS - 1);
	uint64_t ahead;
	int level = 0;

	if (at <= w->tick)
		at = w->tick + 1;
	ahead = at - w->tick;
	if (ahead >= span)
		at = w->tick + span - 1; /* looked at again when that slot comes */
	while (level < WHEEL_LEVELS - 1 && ahead > (uint64_t)WHEEL_SLOTS << level_shift(level))
		level++;
	LIST_INSERT_HEAD(&w->slot[level][at >> level_shift(level) & (WHEEL_SLOTS - 1)], t, link);
}

void
wheel_add(struct wheel *w, struct timer *t, uint64_t due_ms)
{
	t->due = due_ms > 0 ? due_ms : 1; /* 0 means "not set" */
	w->count++;
	place(w, t);
}

void
wheel_remove(struct wheel *w, struct timer *t)
{
	LIST_REMOVE(t, link);
	t->due = 0;
	w->count--;
}

/* Spreads one slot of a higher level over the levels below. */
static void
cascade(struct wheel *w, int level)
{
	struct timer_list moving;
	struct timer *t;
	unsigned int i = (unsigned int)(w->tick >> level_shift(level)) & (WHEEL_SLOTS - 1);

	LIST_INIT(&moving);
	while ((t = LIST_FIRST(&w->slot[level][i])) != NULL) {
		LIST_REMOVE(t, link);
		LIST_INSERT_HEAD(&moving, t, link);
	}
	w->tick--; /* so that a timer due in this very slot may go into it */
	while ((t = LIST_FIRST(&moving)) != NULL) {
		LIST_REMOVE(t, link);
		place(w, t);
	}
	w->tick++;
}

void
wheel_advance(struct wheel *w, uint64_t now_ms)
{
	uint64_t target = now_ms / WHEEL_SLOT_MS;
	struct timer *t;

	if (w->count == 0 && target > w->tick) {
		w->tick = target;
		return;
	}
	while (w->tick < target) {
		struct timer_list *slot;

		w->tick++;
		for (int level = WHEEL_LEVELS - 1; level > 0; level--)
			if ((w->tick & ((UINT64_C(1) << level_shift(level)) - 1)) == 0)
				cascade(w, level);
		slot = &w->slot[0][w->tick & (WHEEL_SLOTS - 1)];
		while ((t = LIST_FIRST(slot)) != NULL) {
			wheel_remove(w, t);
			t->fire(t);
		}
	}
}

int
wheel_wait(const struct wheel *w, uint64_t now_ms)
{
	uint64_t tick, wake;
	unsigned int i;

	if (w->count == 0)
		return -1;
	/* The next slot in use, or the next turn of level 0, when others come down. */
	for (i = 1; i < WHEEL_SLOTS; i++) {
		tick = w->tick + i;
		if (!LIST_EMPTY(&w->slot[0][tick & (WHEEL_SLOTS - 1)]) || (tick & (WHEEL_SLOTS - 1)) == 0)
			break;
	}
	wake = (w->tick + i) * WHEEL_SLOT_MS;
	if (wake <= now_ms)
		return 0;
	return wake - now_ms > INT_MAX ? INT_MAX : (int)(wake - now_ms);
}
