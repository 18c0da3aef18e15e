/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_portlist.c - ports that a pod's annotation leaves alone. */
#include "portlist.h"
#include "unit.h"

static struct port_range ports[8];
static size_t n;

START_TEST(ports_and_ranges_are_read)
{
	ck_assert_int_eq(portlist_parse(ports, 8, &n, "8443, 9000-9003,22"), TULLE_OK);
	ck_assert_uint_eq(n, 3);
	ck_assert(ports[0].from == 8443 && ports[0].to == 8443);
	ck_assert(ports[1].from == 9000 && ports[1].to == 9003);
	ck_assert(ports[2].from == 22 && ports[2].to == 22);
	ck_assert_int_eq(portlist_parse(ports, 8, &n, "1024-65535"), TULLE_OK);
	ck_assert(n == 1 && ports[0].from == 1024 && ports[0].to == 65535);
}
END_TEST

START_TEST(anything_else_is_refused)
{
	static const char *const wrong[] = { "", "a", "0", "65536", "1,", ",1", "9-8", "1-", "-1", "1;2", "99999999999999999999", "1 2" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(portlist_parse(ports, 8, &n, wrong[i]) == TULLE_EINVAL, "\"%s\"", wrong[i]);
	ck_assert_int_eq(portlist_parse(ports, 8, &n, "1,2,3,4,5,6,7,8,9"), TULLE_ELIMIT);
	ck_assert_int_eq(portlist_parse(ports, 8, &n, "1,2,3,4,5,6,7,8-9"), TULLE_OK);
}
END_TEST

UNIT_MAIN("portlist", ports_and_ranges_are_read, anything_else_is_refused)
