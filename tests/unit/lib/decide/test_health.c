/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decide/health.h"

#include "unit.h"

static struct endpoint_state state;

static void
fresh(void)
{
	atomic_store(&state.failures, 0);
	atomic_store(&state.rest_until_ms, 0);
}

static uint64_t
rest_of(uint64_t now, uint64_t random)
{
	health_failed(&state, now, random);
	return atomic_load(&state.rest_until_ms) - now;
}

START_TEST(rests_double_from_a_second_to_a_minute)
{
	static const uint64_t wanted[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };
	uint64_t now = 5;

	fresh();
	ck_assert(!health_resting(&state, now));
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		ck_assert_uint_eq(rest_of(now, 0), wanted[i]);
		ck_assert(health_resting(&state, now + wanted[i] - 1));
		now += wanted[i];
		ck_assert(!health_resting(&state, now));
	}
}
END_TEST

START_TEST(chance_adds_up_to_half)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (uint64_t r = 0; r < 10000; r++) {
		uint64_t rest;

		fresh();
		rest = rest_of(0, r * UINT64_C(0x9e3779b97f4a7c15));
		least = rest < least ? rest : least;
		most = rest > most ? rest : most;
	}
	ck_assert_uint_ge(least, 1000);
	ck_assert_uint_lt(least, 1010);
	ck_assert_uint_le(most, 1500);
	ck_assert_uint_gt(most, 1490);
}
END_TEST

START_TEST(failures_of_one_moment_count_once)
{
	fresh();
	for (int i = 0; i < 50; i++)
		health_failed(&state, 100 + (uint64_t)i, 0);
	ck_assert_uint_eq(atomic_load(&state.rest_until_ms), 1100);
	ck_assert_uint_eq(rest_of(1100, 0), 2000);
}
END_TEST

START_TEST(a_success_forgives_all)
{
	fresh();
	ck_assert_uint_eq(rest_of(0, 0), 1000);
	ck_assert_uint_eq(rest_of(1000, 0), 2000);
	health_ok(&state);
	ck_assert(!health_resting(&state, 1001));
	ck_assert_uint_eq(rest_of(1001, 0), 1000);
}
END_TEST

UNIT_MAIN("health", rests_double_from_a_second_to_a_minute, chance_adds_up_to_half, failures_of_one_moment_count_once,
    a_success_forgives_all)
