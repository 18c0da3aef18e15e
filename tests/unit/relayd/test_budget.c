/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "budget.h"

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

UNIT_MAIN("budget", the_limit_is_that_of_all_workers_however_they_share, memory_comes_first)
