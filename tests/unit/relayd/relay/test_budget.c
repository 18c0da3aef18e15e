/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/budget.h"

#include "unit.h"

static struct budget b;

START_TEST(the_limit_is_that_of_all_workers_however_they_share)
{
	budget_init(&b, 100);
	budget_hold(&b, 0, 99); /* chance gave this one nearly all */
	ck_assert_ptr_null(budget_reached(&b));
	budget_hold(&b, 63, 1);
	ck_assert_str_eq(budget_reached(&b), "limits.connections");
	budget_hold(&b, 0, 50);
	ck_assert_ptr_null(budget_reached(&b));
	budget_hold(&b, 1, 49);
	ck_assert_str_eq(budget_reached(&b), "limits.connections");
}
END_TEST

START_TEST(memory_comes_first)
{
	budget_init(&b, 1);
	budget_hold(&b, 0, 1);
	budget_overload(&b, true);
	ck_assert_str_eq(budget_reached(&b), "limits.memory");
	budget_hold(&b, 0, 0);
	budget_overload(&b, false);
	ck_assert_ptr_null(budget_reached(&b));
}
END_TEST

START_TEST(one_source_has_a_part_of_the_handshakes_and_those_have_their_own_room)
{
	struct addr bad = { .family = AF_INET, .ip = { 10, 0, 0, 1 } }, other = { .family = AF_INET };
	unsigned int began = 0;

	budget_init(&b, 8000);
	for (int i = 0; i < 5000; i++)
		began += budget_handshake_begin(&b, &bad) == NULL;
	ck_assert_uint_eq(began, 250);
	ck_assert_str_eq(budget_handshake_begin(&b, &bad), "handshakes of one source");
	for (unsigned int i = 0; i < 60000; i++) { /* everybody else together */
		other.ip[0] = 11;
		other.ip[1] = (uint8_t)(i >> 8);
		other.ip[2] = (uint8_t)i;
		began += budget_handshake_begin(&b, &other) == NULL;
	}
	ck_assert_uint_eq(began, 2000);
	ck_assert_ptr_null(budget_reached(&b)); /* they take nothing from connections */
	budget_handshake_end(&b, &bad);
	ck_assert_ptr_null(budget_handshake_begin(&b, &bad));
	ck_assert_ptr_nonnull(budget_handshake_begin(&b, &bad));
}
END_TEST

START_TEST(a_small_limit_still_has_room_to_prove_who_one_is)
{
	struct addr a = { .family = AF_INET6, .ip = { 0xfd, 0 } };
	unsigned int began = 0;

	budget_init(&b, 16);
	for (unsigned int i = 0; i < 100; i++) {
		a.ip[15] = (uint8_t)i; /* whoever has an IPv6 address has its /64 */
		began += budget_handshake_begin(&b, &a) == NULL;
	}
	ck_assert_uint_eq(began, 16);
}
END_TEST

UNIT_MAIN("budget", the_limit_is_that_of_all_workers_however_they_share, memory_comes_first,
    one_source_has_a_part_of_the_handshakes_and_those_have_their_own_room, a_small_limit_still_has_room_to_prove_who_one_is)
