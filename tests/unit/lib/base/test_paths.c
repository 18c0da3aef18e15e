/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/paths.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "unit.h"

START_TEST(a_root_goes_before_everything)
{
	ck_assert_str_eq(paths_root(), "");
	ck_assert_str_eq(paths_etc("tulle.yaml"), "/etc/tulle/tulle.yaml");
	ck_assert_int_eq(paths_init("/tmp/host-a//"), TULLE_OK);
	ck_assert_str_eq(paths_root(), "/tmp/host-a");
	ck_assert_str_eq(paths_etc("mesh.d"), "/tmp/host-a/etc/tulle/mesh.d");
	ck_assert_str_eq(paths_run("certd.sock"), "/tmp/host-a/run/tulle/certd.sock");
	ck_assert_str_eq(paths_var("certd"), "/tmp/host-a/var/lib/tulle/certd");
	ck_assert_int_eq(paths_init("/"), TULLE_OK);
	ck_assert_str_eq(paths_run("x"), "/run/tulle/x");
}
END_TEST

START_TEST(a_bad_root_changes_nothing)
{
	char longest[200] = "/";

	memset(longest + 1, 'a', 150);
	ck_assert_int_eq(paths_init("/good"), TULLE_OK);
	ck_assert_int_eq(paths_init("relative"), TULLE_EINVAL);
	ck_assert_int_eq(paths_init(longest), TULLE_EINVAL);
	ck_assert_str_eq(paths_root(), "/good");
}
END_TEST

START_TEST(every_error_has_a_phrase_of_its_own)
{
	for (int a = TULLE_OK; a <= TULLE_EDAMAGED; a++) {
		ck_assert_str_ne(tulle_strerror((enum tulle_err)a), "");
		for (int b = TULLE_OK; b < a; b++)
			ck_assert_str_ne(tulle_strerror((enum tulle_err)a), tulle_strerror((enum tulle_err)b));
	}
	ck_assert_ptr_nonnull(tulle_strerror((enum tulle_err)9999));
}
END_TEST

START_TEST(clocks_agree_with_each_other)
{
	uint64_t a = clock_mono_ns(), ms = clock_mono_ms(), b = clock_mono_ns();
	uint64_t wall = clock_wall_ns();
	int64_t sec = clock_wall_sec();

	ck_assert_uint_le(a, b);
	ck_assert_uint_le(a / NS_PER_MS, ms);
	ck_assert_uint_le(ms, b / NS_PER_MS);
	ck_assert_int_ge(sec, (int64_t)(wall / NS_PER_SEC));
	ck_assert_int_gt(sec, 1700000000);
}
END_TEST

UNIT_MAIN("paths", a_root_goes_before_everything, a_bad_root_changes_nothing, every_error_has_a_phrase_of_its_own,
    clocks_agree_with_each_other)
