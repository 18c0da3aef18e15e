/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/wheel.h"

#include <limits.h>
#include <string.h>

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	w->tick = now_ms / WHEEL_SLOT_MS;
	w->count = 0;
	memset(w->near, 0, sizeof(w->near));
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
	unsigned int i;
	int level = 0;

	if (at <= w->tick)
		at = w->tick + 1;
	ahead = at - w->tick;
	if (ahead >= span)
		at = w->tick + span - 1; /* looked at again when that slot comes */
	while (level < WHEEL_LEVELS - 1 && ahead > (uint64_t)WHEEL_SLOTS << level_shift(level))
		level++;
	i = (unsigned int)(at >> level_shift(level)) & (WHEEL_SLOTS - 1);
	LIST_INSERT_HEAD(&w->slot[level][i], t, link);
	if (level == 0)
		w->near[i / 64] |= UINT64_C(1) << i % 64;
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

/* Moves all timers of one list to another, which was empty. */
static void
take_all(struct timer_list *from, struct timer_list *to)
{
	*to = *from;
	if (LIST_FIRST(to) != NULL)
		LIST_FIRST(to)->link.le_prev = &LIST_FIRST(to);
	LIST_INIT(from);
}

/* Spreads one slot of a higher level over the levels below. */
static void
cascade(struct wheel *w, int level)
{
	struct timer_list moving;
	struct timer *t;
	unsigned int i = (unsigned int)(w->tick >> level_shift(level)) & (WHEEL_SLOTS - 1);

	take_all(&w->slot[level][i], &moving);
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
	struct timer_list due;
	struct timer *t;

	if (w->count == 0 && target > w->tick) {
		w->tick = target;
		return;
	}
	while (w->tick < target) {
		w->tick++;
		for (int level = WHEEL_LEVELS - 1; level > 0; level--)
			if ((w->tick & ((UINT64_C(1) << level_shift(level)) - 1)) == 0)
				cascade(w, level);
		/* Taken out first: what is set meanwhile for a whole turn ahead goes into this very slot. */
		take_all(&w->slot[0][w->tick & (WHEEL_SLOTS - 1)], &due);
		w->near[(w->tick & (WHEEL_SLOTS - 1)) / 64] &= ~(UINT64_C(1) << w->tick % 64);
		while ((t = LIST_FIRST(&due)) != NULL) {
			wheel_remove(w, t);
			t->fire(t);
		}
	}
}

int
wheel_wait(const struct wheel *w, uint64_t now_ms)
{
	uint64_t wake;
	unsigned int i;

	if (w->count == 0)
		return -1;
	/* The next slot in use, or the next turn of level 0, when others come down. */
	for (i = 1; (w->tick + i) % WHEEL_SLOTS != 0; i++) {
		uint64_t bits = w->near[(w->tick + i) % WHEEL_SLOTS / 64] >> (w->tick + i) % 64;

		if (bits != 0) {
			i += (unsigned int)__builtin_ctzll(bits);
			break;
		}
		i += 63 - (unsigned int)((w->tick + i) % 64); /* to the end of this word */
	}
	wake = (w->tick + i) * WHEEL_SLOT_MS;
	if (wake <= now_ms)
		return 0;
	return wake - now_ms > INT_MAX ? INT_MAX : (int)(wake - now_ms);
}
