/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/wheel.h"

#include "unit.h"

#define N 5000

static struct probe {
	struct timer timer;
	uint64_t due;
	int fired;
} probes[N];
static uint64_t now;

static void
fire(struct timer *t)
{
	struct probe *p = CONTAINER_OF(t, struct probe, timer);

	ck_assert_msg(now >= p->due, "early: due %lu, now %lu", (unsigned long)p->due, (unsigned long)now);
	ck_assert_msg(now <= p->due + 2 * WHEEL_SLOT_MS, "late: due %lu, now %lu", (unsigned long)p->due,
	    (unsigned long)now);
	p->fired++;
}

START_TEST(timers_fire_once_and_never_early)
{
	static struct wheel w;
	unsigned int seed = 1;
	uint64_t latest = 0;

	now = 123456;
	wheel_init(&w, now);
	for (int i = 0; i < N; i++) {
		/* from one millisecond to two days, so that every level is used */
		seed = seed * 1103515245 + 12345;
		probes[i].due = now + (UINT64_C(1) << (seed >> 8) % 28) + (seed >> 4) % 1000;
		probes[i].timer.fire = fire;
		wheel_add(&w, &probes[i].timer, probes[i].due);
		if (probes[i].due > latest)
			latest = probes[i].due;
	}
	while (w.count > 0) {
		int wait = wheel_wait(&w, now);

		ck_assert_int_ge(wait, 0);
		now += (uint64_t)wait > 0 ? (uint64_t)wait : 1;
		wheel_advance(&w, now);
		ck_assert_uint_le(now, latest + 3 * WHEEL_SLOT_MS);
	}
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(probes[i].fired, 1);
}
END_TEST

START_TEST(a_cleared_timer_does_not_fire)
{
	static struct wheel w;
	struct probe p = { .due = 100 };

	now = 0;
	wheel_init(&w, 0);
	p.timer.fire = fire;
	wheel_add(&w, &p.timer, 100);
	wheel_remove(&w, &p.timer);
	ck_assert_int_eq(wheel_wait(&w, 0), -1);
	wheel_advance(&w, 1000);
	ck_assert_int_eq(p.fired, 0);
	ck_assert(!timer_active(&p.timer));
}
END_TEST

static struct wheel again_wheel;
static struct probe again;
static uint64_t period;

static void
fire_again(struct timer *t)
{
	ck_assert_msg(now >= again.due, "early: due %lu, now %lu", (unsigned long)again.due, (unsigned long)now);
	again.fired++;
	again.due = now + period;
	wheel_add(&again_wheel, t, again.due);
}

START_TEST(a_timer_that_sets_itself_again_keeps_its_period)
{
	/* a whole turn of level 0 is 2,560 ms: the slot is the one that is being emptied */
	for (period = 2540; period <= 2580; period += 5) {
		now = 1000;
		wheel_init(&again_wheel, now);
		again = (struct probe){ .due = now + period };
		again.timer.fire = fire_again;
		wheel_add(&again_wheel, &again.timer, again.due);
		while (now < 1000 + 10 * period + 9 * 2 * WHEEL_SLOT_MS) {
			int wait = wheel_wait(&again_wheel, now);

			ck_assert_int_ge(wait, 0);
			now += wait > 0 ? (uint64_t)wait : 1;
			wheel_advance(&again_wheel, now);
		}
		ck_assert_int_ge(again.fired, 9);
		ck_assert_int_le(again.fired, 11);
	}
}
END_TEST

UNIT_MAIN("wheel", a_timer_that_sets_itself_again_keeps_its_period, timers_fire_once_and_never_early, a_cleared_timer_does_not_fire)
