/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/lastgood.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/paths.h"
#include "bundle.h"
#include "msg/msg.h"
#include "unit.h"

static char root[] = "/tmp/tulle-lastgood-XXXXXX";
static const struct manifest_file files[] = { { "tulle.yaml", "abc", 3 }, { "mesh.d/a.yaml", "defg", 4 } };

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(paths_init(root), TULLE_OK);
	ck_assert_int_eq(lastgood_prepare(geteuid(), getegid()), TULLE_OK);
}

static void
teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

static void
keep_files(int64_t when)
{
	int fd;

	ck_assert_int_eq(bundle_pack(&fd, files, 2), TULLE_OK);
	ck_assert_int_eq(lastgood_keep(fd, when), TULLE_OK);
	close(fd);
}

START_TEST(what_was_kept_comes_back_whole_and_sealed)
{
	struct bundle b;
	int64_t when = 0;
	struct stat st;
	int fd = -1;

	ck_assert_int_eq(lastgood_open(&fd, &when), TULLE_ENOENT);
	keep_files(1000);
	keep_files(2000);
	ck_assert_int_eq(lastgood_open(&fd, &when), TULLE_OK);
	ck_assert_int_eq(when, 2000);
	ck_assert_int_eq(bundle_unpack(&b, fd), TULLE_OK); /* which takes sealed files alone */
	ck_assert_uint_eq(b.n, 2);
	ck_assert_str_eq(b.files[1].name, "mesh.d/a.yaml");
	ck_assert_str_eq(b.files[1].data, "defg");
	bundle_free(&b);
	close(fd);
	ck_assert_int_eq(stat(paths_var("relayd"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(paths_var("relayd/last-good"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(half_of_the_files_do_not_pass_for_all)
{
	int64_t when = 7;
	char *bytes;
	size_t len;
	int fd = -1;

	keep_files(1000);
	ck_assert_int_eq(file_read(paths_var("relayd/last-good"), 1 << 20, &bytes, &len), TULLE_OK);
	for (size_t cut = 0; cut < len; cut++) {
		ck_assert_int_eq(file_replace(paths_var("relayd/last-good"), bytes, cut, 0600), TULLE_OK);
		ck_assert_int_eq(lastgood_open(&fd, &when), TULLE_EPEER);
	}
	bytes[0] ^= 1;
	ck_assert_int_eq(file_replace(paths_var("relayd/last-good"), bytes, len, 0600), TULLE_OK);
	ck_assert_int_eq(lastgood_open(&fd, &when), TULLE_EPEER);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(when, 7);
	free(bytes);
}
END_TEST

START_TEST(a_time_as_people_read_it)
{
	char out[LASTGOOD_WHEN];

	ck_assert_str_eq(lastgood_when(0, out), "1970-01-01T00:00:00Z");
	ck_assert_str_eq(lastgood_when(1795523432, out), "2026-11-24T12:30:32Z");
	ck_assert_ptr_nonnull(lastgood_when(INT64_MAX, out));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("lastgood");
	TCase *tc = tcase_create("lastgood");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_kept_comes_back_whole_and_sealed);
	tcase_add_test(tc, half_of_the_files_do_not_pass_for_all);
	tcase_add_test(tc, a_time_as_people_read_it);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
