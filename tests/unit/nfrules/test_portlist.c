/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_portlist.c - ports that a pod's annotation leaves alone. */
#include "portlist.h"
#include "unit.h"

static uint32_t ports[8];
static size_t n;

START_TEST(ports_and_ranges_are_read)
{
	ck_assert_int_eq(portlist_parse(ports, 8, &n, "8443, 9000-9003,22"), TULLE_OK);
	ck_assert_uint_eq(n, 6);
	ck_assert_uint_eq(ports[0], 8443);
	ck_assert_uint_eq(ports[4], 9003);
	ck_assert_uint_eq(ports[5], 22);
}
END_TEST

START_TEST(anything_else_is_refused)
{
	static const char *const wrong[] = { "", "a", "0", "65536", "1,", ",1", "9-8", "1-", "-1", "1;2", "99999999999999999999", "1 2" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(portlist_parse(ports, 8, &n, wrong[i]) == TULLE_EINVAL, "\"%s\"", wrong[i]);
	ck_assert_int_eq(portlist_parse(ports, 8, &n, "1-9"), TULLE_ELIMIT);
	ck_assert_int_eq(portlist_parse(ports, 8, &n, "1-8"), TULLE_OK);
}
END_TEST

UNIT_MAIN("portlist", ports_and_ranges_are_read, anything_else_is_refused)
