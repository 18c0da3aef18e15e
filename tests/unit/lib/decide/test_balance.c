/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decide/balance.h"

#include <math.h>
#include <stdlib.h>

#include "decide/health.h"
#include "unit.h"

#define N 5

static struct endpoint_state states[N];
static struct endpoint endpoints[N];
static const struct endpoint *list[N];
static uint64_t seed;

static uint64_t
chance(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void
setup(const uint32_t weights[N])
{
	seed = 42;
	for (size_t i = 0; i < N; i++) {
		atomic_store(&states[i].active, 0);
		atomic_store(&states[i].failures, 0);
		atomic_store(&states[i].rest_until_ms, 0);
		endpoints[i] = (struct endpoint){ .weight = weights[i], .state = &states[i] };
		list[i] = &endpoints[i];
	}
}

static const uint32_t equal[N] = { 1, 1, 1, 1, 1 };

static size_t
index_of(const struct endpoint *e)
{
	return (size_t)(e - endpoints);
}

START_TEST(an_idle_service_is_split_exactly_by_weight)
{
	static const uint32_t weights[N] = { 1, 9, 40, 25, 25 };
	const double picks = 200000;
	size_t count[N] = { 0 };

	setup(weights);
	for (int i = 0; i < (int)picks; i++) {
		struct balance_tried tried = { .n = 0 };

		count[index_of(balance_choose(list, N, &tried, 0, chance()))]++;
	}
	for (size_t i = 0; i < N; i++) {
		const double p = weights[i] / 100.0, sigma = sqrt(picks * p * (1 - p));

		ck_assert_msg(fabs((double)count[i] - picks * p) < 4 * sigma, "%zu: %zu of %.0f", i, count[i], picks * p);
	}
}
END_TEST

START_TEST(flows_spread_by_weight_when_they_stay)
{
	static const uint32_t weights[N] = { 1, 1, 2, 4, 2 };

	setup(weights);
	for (int i = 0; i < 1000; i++) {
		struct balance_tried tried = { .n = 0 };

		balance_begin(balance_choose(list, N, &tried, 0, chance()));
	}
	for (size_t i = 0; i < N; i++) {
		const unsigned int active = atomic_load(&states[i].active);

		ck_assert_msg(active > 90 * weights[i] && active < 110 * weights[i], "%zu: %u", i, active);
	}
	balance_end(&endpoints[0]);
	ck_assert_uint_gt(atomic_load(&states[0].active), 89);
}
END_TEST

START_TEST(a_slow_endpoint_with_many_flows_gets_few_more)
{
	int count = 0;

	setup(equal);
	atomic_store(&states[2].active, 100);
	for (int i = 0; i < 10000; i++) {
		struct balance_tried tried = { .n = 0 };

		count += balance_choose(list, N, &tried, 0, chance()) == &endpoints[2];
	}
	ck_assert_int_eq(count, 0); /* it loses every comparison */
}
END_TEST

START_TEST(a_flow_tries_each_endpoint_once_and_then_gives_up)
{
	setup(equal);
	for (int round = 0; round < 100; round++) {
		struct balance_tried tried = { .n = 0 };
		unsigned int seen = 0;

		for (size_t i = 0; i < N; i++)
			seen |= 1u << index_of(balance_choose(list, N, &tried, 0, chance()));
		ck_assert_uint_eq(seen, 31);
		ck_assert_ptr_null(balance_choose(list, N, &tried, 0, chance()));
		ck_assert_uint_eq(tried.n, N);
	}
}
END_TEST

START_TEST(tries_are_bounded)
{
	static struct endpoint many[2 * BALANCE_TRIES];
	const struct endpoint *all[2 * BALANCE_TRIES];
	struct balance_tried tried = { .n = 0 };

	setup(equal);
	for (size_t i = 0; i < 2 * BALANCE_TRIES; i++) {
		many[i] = (struct endpoint){ .weight = 1, .state = &states[0] };
		all[i] = &many[i];
	}
	for (size_t i = 0; i < BALANCE_TRIES; i++)
		ck_assert_ptr_nonnull(balance_choose(all, 2 * BALANCE_TRIES, &tried, 0, chance()));
	ck_assert_ptr_null(balance_choose(all, 2 * BALANCE_TRIES, &tried, 0, chance()));
}
END_TEST

START_TEST(resting_endpoints_are_last)
{
	setup(equal);
	for (size_t i = 0; i < N - 1; i++)
		health_failed(&states[i], 1000, 0);
	for (int i = 0; i < 1000; i++) {
		struct balance_tried tried = { .n = 0 };

		ck_assert_ptr_eq(balance_choose(list, N, &tried, 1500, chance()), &endpoints[4]);
		ck_assert_ptr_nonnull(balance_choose(list, N, &tried, 1500, chance())); /* the next try may be one of them */
	}
	health_failed(&states[4], 1000, 0);
	for (int i = 0; i < 100; i++) {
		struct balance_tried tried = { .n = 0 };

		ck_assert_ptr_nonnull(balance_choose(list, N, &tried, 1500, chance())); /* all rest: never empty */
	}
}
END_TEST

START_TEST(no_endpoint_and_one_endpoint)
{
	struct balance_tried tried = { .n = 0 };

	setup(equal);
	ck_assert_ptr_null(balance_choose(list, 0, &tried, 0, 7));
	ck_assert_ptr_eq(balance_choose(list, 1, &tried, 0, 7), &endpoints[0]);
	ck_assert_ptr_null(balance_choose(list, 1, &tried, 0, 7));
}
END_TEST

UNIT_MAIN("balance", an_idle_service_is_split_exactly_by_weight, flows_spread_by_weight_when_they_stay,
    a_slow_endpoint_with_many_flows_gets_few_more, a_flow_tries_each_endpoint_once_and_then_gives_up, tries_are_bounded,
    resting_endpoints_are_last, no_endpoint_and_one_endpoint)
