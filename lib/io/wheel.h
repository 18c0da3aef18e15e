/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wheel.h - a hashed timer wheel of three levels, 10 ms a slot (pure: the
 * time comes in).
 *
 *   level 0   256 slots of 10 ms      up to 2.56 s
 *   level 1   256 slots of 2.56 s     up to 10.9 min
 *   level 2   256 slots of 10.9 min   up to 46 h; later ones wait in its last slot
 *
 * Setting and clearing are constant time; each timer is moved at most twice.
 */
#ifndef TULLE_IO_WHEEL_H
#define TULLE_IO_WHEEL_H

#include "io/loop.h"

#define WHEEL_SLOT_MS 10
#define WHEEL_SLOTS 256
#define WHEEL_LEVELS 3

LIST_HEAD(timer_list, timer);

struct wheel {
	uint64_t tick; /* slots passed since time 0; everything before it has fired */
	unsigned int count;
	uint64_t near[WHEEL_SLOTS / 64]; /* slots of level 0 that may hold timers, a bit each: asked before every wait */
	struct timer_list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ms);

/* <t> must not be set. */
void wheel_add(struct wheel *w, struct timer *t, uint64_t due_ms);
void wheel_remove(struct wheel *w, struct timer *t);

/* Fires what is due at <now_ms>; a timer set meanwhile for a past time waits for the next call. */
void wheel_advance(struct wheel *w, uint64_t now_ms);

/* Milliseconds until something may be due; -1: nothing is set. */
int wheel_wait(const struct wheel *w, uint64_t now_ms);

#endif
