/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/limit.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

#define SOON 1000000

static struct limit limit;

static void
set_up(void)
{
	memset(&limit, 0, sizeof(limit));
	limit.burst = 3;
	limit.per_ms = 1000;
}

/* How many calls at once <name> gets at <now>. */
static unsigned int
burst_of(const char *name, uint64_t now)
{
	unsigned int n = 0;

	while (limit_take(&limit, name, now))
		ck_assert_uint_lt(++n, 100);
	return n;
}

START_TEST(a_burst_and_then_one_by_one)
{
	set_up();
	ck_assert_uint_eq(burst_of("a", SOON), 3);
	ck_assert(!limit_take(&limit, "a", SOON + 999));
	ck_assert(limit_take(&limit, "a", SOON + 1000));
	ck_assert(!limit_take(&limit, "a", SOON + 1000));
	/* Silence fills the bucket again, and no fuller than it was. */
	ck_assert_uint_eq(burst_of("a", SOON + 100000), 3);
}
END_TEST

START_TEST(it_works_from_the_first_millisecond_on)
{
	set_up();
	ck_assert_uint_eq(burst_of("a", 0), 3);
	ck_assert(!limit_take(&limit, "a", 1));
}
END_TEST

START_TEST(names_do_not_pay_for_each_other)
{
	set_up();
	ck_assert_uint_eq(burst_of("a", SOON), 3);
	ck_assert_uint_eq(burst_of("b", SOON), 3);
	ck_assert_uint_eq(burst_of("", SOON), 3);
	ck_assert(!limit_take(&limit, "a", SOON));
	ck_assert(!limit_take(&limit, "", SOON));
}
END_TEST

START_TEST(a_refusal_costs_nothing)
{
	set_up();
	ck_assert_uint_eq(burst_of("a", SOON), 3);
	for (int i = 0; i < 1000; i++)
		ck_assert(!limit_take(&limit, "a", SOON + 500));
	ck_assert(limit_take(&limit, "a", SOON + 1000));
}
END_TEST

START_TEST(a_name_that_is_too_long_is_one_with_its_beginning)
{
	char a[200], b[200];

	set_up();
	memset(a, 'x', sizeof(a));
	a[199] = '\0';
	memcpy(b, a, sizeof(a));
	b[100] = 'y'; /* beyond what is kept */
	ck_assert_uint_eq(burst_of(a, SOON), 3);
	ck_assert_uint_eq(burst_of(b, SOON), 0);
	b[10] = 'y';
	ck_assert_uint_eq(burst_of(b, SOON), 3);
}
END_TEST

START_TEST(a_flood_of_names_takes_the_places_of_the_quiet_ones)
{
	char name[32];

	set_up();
	ck_assert_uint_eq(burst_of("busy", SOON), 3);
	ck_assert(limit_take(&limit, "quiet", SOON));
	for (int i = 0; i < LIMIT_NAMES - 1; i++) {
		(void)snprintf(name, sizeof(name), "flood %d", i);
		ck_assert(limit_take(&limit, name, SOON + 1));
	}
	/* One place had to go: the one whose bucket is full first. */
	ck_assert(!limit_take(&limit, "busy", SOON + 2));
	ck_assert_uint_eq(burst_of("quiet", SOON + 2), 3);
}
END_TEST

START_TEST(to_ask_costs_nothing_and_says_what_would_be)
{
	set_up();
	for (int i = 0; i < 1000; i++)
		ck_assert(limit_may(&limit, "a", SOON));
	ck_assert_uint_eq(burst_of("a", SOON), 3);
	ck_assert(!limit_may(&limit, "a", SOON + 999));
	ck_assert(limit_may(&limit, "a", SOON + 1000));
	ck_assert(limit_may(&limit, "b", SOON));
	ck_assert(limit_take(&limit, "a", SOON + 1000));
	ck_assert(!limit_may(&limit, "a", SOON + 1000));
}
END_TEST

UNIT_MAIN("limit", to_ask_costs_nothing_and_says_what_would_be, a_burst_and_then_one_by_one, it_works_from_the_first_millisecond_on, names_do_not_pay_for_each_other,
    a_refusal_costs_nothing, a_name_that_is_too_long_is_one_with_its_beginning,
    a_flood_of_names_takes_the_places_of_the_quiet_ones)
