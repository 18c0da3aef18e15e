/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "unit.h"

static char dir[] = "/tmp/tulle-test-file-XXXXXX";

/* Static storage: the path of <name> in the test's folder. */
static const char *
in_dir(const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
teardown(void)
{
	static const char *const names[] = { "a/b/c", "a/b", "a", "f", "" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)remove(in_dir(names[i]));
}

START_TEST(what_is_written_is_read_back)
{
	char AUTO_FREE *data = NULL;
	struct stat st;
	size_t len = 0;

	ck_assert_int_eq(file_replace(in_dir("f"), "old", 3, 0600), TULLE_OK);
	ck_assert_int_eq(file_replace(in_dir("f"), "one\0two", 7, 0640), TULLE_OK);
	ck_assert_int_eq(stat(in_dir("f"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(file_read(in_dir("f"), 7, &data, &len), TULLE_OK);
	ck_assert_uint_eq(len, 7);
	ck_assert_mem_eq(data, "one\0two", 8); /* with the NUL behind it */
}
END_TEST

START_TEST(a_long_file_is_read_whole_and_the_bound_holds)
{
	static char big[100000];
	char AUTO_FREE *data = NULL;
	size_t len = 42;

	memset(big, 'y', sizeof(big));
	ck_assert_int_eq(file_replace(in_dir("f"), big, sizeof(big), 0600), TULLE_OK);
	ck_assert_int_eq(file_read(in_dir("f"), sizeof(big) - 1, &data, &len), TULLE_ELIMIT);
	ck_assert_ptr_null(data);
	ck_assert_uint_eq(len, 42);
	ck_assert_int_eq(file_read(in_dir("f"), sizeof(big), &data, &len), TULLE_OK);
	ck_assert_uint_eq(len, sizeof(big));
	ck_assert_mem_eq(data, big, sizeof(big));
}
END_TEST

START_TEST(failures_have_names_and_leave_nothing_behind)
{
	char AUTO_FREE *data = NULL;
	size_t len = 0;

	ck_assert_int_eq(file_read(in_dir("none"), 10, &data, &len), TULLE_ENOENT);
	ck_assert_int_eq(file_read(dir, 10, &data, &len), TULLE_ESYS);
	ck_assert_int_eq(errno, EISDIR);
	ck_assert_int_eq(file_replace(in_dir("no/such/folder"), "x", 1, 0600), TULLE_ESYS);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(mkdir(in_dir("a"), 0700), 0);
	ck_assert_int_eq(file_replace(in_dir("a"), "x", 1, 0600), TULLE_ESYS); /* a folder is not replaced */
	ck_assert_int_eq(errno, EISDIR);
	ck_assert_int_eq(rmdir(in_dir("a")), 0);
	ck_assert_int_eq(rmdir(dir), 0); /* so no temporary file is left */
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	ck_assert_int_eq(file_write_all(-1, "x", 1), TULLE_ESYS);
}
END_TEST

START_TEST(folders_are_made_down_to_the_last)
{
	char longest[PATH_MAX + 1];
	struct stat st;

	ck_assert_int_eq(file_mkdirs(in_dir("a/b/c"), 0750), TULLE_OK);
	ck_assert_int_eq(stat(in_dir("a/b/c"), &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	ck_assert_int_eq(file_mkdirs(in_dir("a/b/c"), 0750), TULLE_OK);
	ck_assert_int_eq(file_replace(in_dir("f"), "x", 1, 0600), TULLE_OK);
	ck_assert_int_eq(file_mkdirs(in_dir("f/g"), 0750), TULLE_ESYS);
	ck_assert_int_eq(errno, ENOTDIR);
	memset(longest, 'a', PATH_MAX);
	longest[PATH_MAX] = '\0';
	ck_assert_int_eq(file_mkdirs(longest, 0750), TULLE_ESYS);
	ck_assert_int_eq(file_mkdirs("", 0750), TULLE_ESYS);
}
END_TEST

START_TEST(a_scope_gives_its_descriptor_back)
{
	int seen, kept = -1;

	{
		int AUTO_FD fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		int AUTO_FD other = open("/dev/null", O_RDONLY | O_CLOEXEC);

		seen = fd;
		kept = fd_take(&other);
	}
	ck_assert_int_eq(fcntl(seen, F_GETFD), -1);
	ck_assert_int_ne(fcntl(kept, F_GETFD), -1);
	ck_assert_int_eq(close(kept), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("file");
	TCase *tc = tcase_create("file");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_written_is_read_back);
	tcase_add_test(tc, a_long_file_is_read_whole_and_the_bound_holds);
	tcase_add_test(tc, failures_have_names_and_leave_nothing_behind);
	tcase_add_test(tc, folders_are_made_down_to_the_last);
	tcase_add_test(tc, a_scope_gives_its_descriptor_back);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
