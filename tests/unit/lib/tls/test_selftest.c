/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/context.h"

#include "unit.h"

START_TEST(this_build_of_the_library_passes)
{
	const char *what = "";

	ck_assert_int_eq(tls_init(), TULLE_OK);
	ck_assert_msg(tls_selftest(&what) == TULLE_OK, "%s", what);
}
END_TEST

UNIT_MAIN("selftest", this_build_of_the_library_passes)
