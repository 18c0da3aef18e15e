/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

static int out[2]; /* standard error ends here */

static void
setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, out), 0); /* one write, one datagram */
	ck_assert_int_ne(dup2(out[1], STDERR_FILENO), -1);
	log_set_threshold(LOG_LVL_INFO);
}

/* The next line as JSON; NULL if nothing was written. */
static json_t *
next_line(void)
{
	char line[16384];
	ssize_t n = recv(out[0], line, sizeof(line), MSG_DONTWAIT);
	json_error_t err;
	json_t *j;

	if (n == -1)
		return NULL;
	ck_assert_int_gt(n, 2);
	ck_assert_int_eq(line[n - 1], '\n');
	ck_assert_ptr_null(memchr(line, '\n', (size_t)n - 1)); /* one line, whatever is in the fields */
	for (ssize_t i = 0; i < n - 1; i++)
		ck_assert_int_ge((unsigned char)line[i], 0x20);
	j = json_loadb(line, (size_t)n, JSON_REJECT_DUPLICATES, &err);
	ck_assert_msg(j != NULL, "%s in %.*s", err.text, (int)n, line);
	return j;
}

static const char *
text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

START_TEST(a_line_is_one_json_object_with_its_fields)
{
	json_t *j;

	log_init("tulle-test");
	log_warn("peer refused", LF_STR("peer", "spiffe://a/b"), LF_INT("delta", -5), LF_UINT("bytes", UINT64_C(1) << 40),
	    LF_BOOL("retry", true), LF_STR("none", NULL), LF_ERR(TULLE_EDENIED));
	j = next_line();
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(text_of(j, "level"), "warn");
	ck_assert_str_eq(text_of(j, "program"), "tulle-test");
	ck_assert_str_eq(text_of(j, "message"), "peer refused");
	ck_assert_str_eq(text_of(j, "peer"), "spiffe://a/b");
	ck_assert_int_eq(json_integer_value(json_object_get(j, "delta")), -5);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "bytes")), INT64_C(1) << 40);
	ck_assert(json_is_true(json_object_get(j, "retry")));
	ck_assert(json_is_null(json_object_get(j, "none")));
	ck_assert_str_eq(text_of(j, "error"), tulle_strerror(TULLE_EDENIED));
	ck_assert_uint_eq(strlen(text_of(j, "ts")), strlen("2026-01-02T03:04:05.678901Z"));
	json_decref(j);
}
END_TEST

START_TEST(hostile_text_cannot_leave_its_field)
{
	json_t *j;

	log_info("name", LF_STR("name", "a\",\"level\":\"x\n\x1b[31m\x7f\xc2\x9b\xff\\"));
	j = next_line();
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(text_of(j, "level"), "info");
	ck_assert_str_eq(text_of(j, "name"), "a\",\"level\":\"x\n\x1b[31m\x7f\xc2\x9b\xef\xbf\xbd\\");
	json_decref(j);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_stays_valid)
{
	char *big = malloc(20000);
	json_t *j;

	ck_assert_ptr_nonnull(big);
	memset(big, 'x', 19999);
	big[19999] = '\0';
	log_error("long", LF_STR("first", "kept"), LF_STR("big", big), LF_STR("after", "lost"));
	free(big);
	j = next_line();
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(text_of(j, "first"), "kept");
	ck_assert(json_is_true(json_object_get(j, "cut")));
	ck_assert_ptr_null(json_object_get(j, "big"));
	json_decref(j);
}
END_TEST

START_TEST(levels_below_the_threshold_are_silent)
{
	enum log_level level = LOG_LVL_NOTICE;

	log_debug("no");
	ck_assert_ptr_null(next_line());
	ck_assert(log_level_parse(&level, "debug"));
	ck_assert_int_eq(level, LOG_LVL_DEBUG);
	ck_assert(!log_level_parse(&level, "loud"));
	ck_assert_int_eq(level, LOG_LVL_DEBUG);
	ck_assert_str_eq(log_level_name(LOG_LVL_ERROR), "error");
	log_set_threshold(level);
	log_debug("yes");
	json_decref(next_line());
	ck_assert_ptr_null(next_line());
}
END_TEST

START_TEST(a_pinned_threshold_stays)
{
	log_pin_threshold(LOG_LVL_ERROR);
	log_set_threshold(LOG_LVL_DEBUG);
	ck_assert_int_eq(log_threshold(), LOG_LVL_ERROR);
	log_warn("no");
	ck_assert_ptr_null(next_line());
}
END_TEST

START_TEST(errno_survives_a_line)
{
	errno = ENOSPC;
	log_error("full", LF_ERRNO);
	ck_assert_int_eq(errno, ENOSPC);
	json_decref(next_line());
	ck_assert_str_eq(log_errno_text(ENOENT), "No such file or directory");
}
END_TEST

/* A unit's standard error is a stream to the journal, and JOURNAL_STREAM says which: anything else is not. */
START_TEST(another_streams_name_does_not_open_the_journal)
{
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	log_init("tulle-test");
	log_info("here");
	json_decref(next_line());
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "nonsense", 1), 0);
	log_init("tulle-test");
	log_info("here");
	json_decref(next_line());
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_line_is_one_json_object_with_its_fields);
	tcase_add_test(tc, hostile_text_cannot_leave_its_field);
	tcase_add_test(tc, a_line_that_is_too_long_is_cut_and_stays_valid);
	tcase_add_test(tc, levels_below_the_threshold_are_silent);
	tcase_add_test(tc, a_pinned_threshold_stays);
	tcase_add_test(tc, errno_survives_a_line);
	tcase_add_test(tc, another_streams_name_does_not_open_the_journal);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
