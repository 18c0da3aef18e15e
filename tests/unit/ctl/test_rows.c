/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rows.h"

#include <check.h>
#include <string.h>

#define ROW(direction, how, address, conns, denied, failed)                                                     \
	"{\"direction\":\"" direction "\",\"how\":\"" how "\",\"address\":\"" address "\",\"port\":80,"          \
	"\"connections\":" #conns ",\"denied\":" #denied ",\"failed\":" #failed ",\"audited\":1,"               \
	"\"active\":0,\"received\":10,\"sent\":20,\"last\":7}"
#define SINCE(n, workers) "{\"since\":" #n ",\"workers\":" workers "}"

static struct rows
take(const char *text)
{
	json_t *answer = json_loads(text, 0, NULL);
	struct rows r;

	ck_assert_ptr_nonnull(answer);
	ck_assert_int_eq(rows_take(&r, answer), TULLE_OK);
	return r;
}

START_TEST(workers_are_added_up)
{
	struct rows r = take(SINCE(5, "[[" ROW("inbound", "plaintext", "10.0.0.9", 3, 1, 0) "],["
	                              ROW("inbound", "plaintext", "10.0.0.9", 4, 0, 0) ","
	                              ROW("inbound", "plaintext", "10.0.0.8", 1, 0, 0) "]]"));

	ck_assert_uint_eq(r.n, 2);
	rows_sort(&r);
	ck_assert_str_eq(r.list[0].address, "10.0.0.9");
	ck_assert_int_eq(r.list[0].connections, 7);
	ck_assert_int_eq(r.list[0].denied, 1);
	ck_assert_int_eq(r.list[0].sent, 40);
	ck_assert_int_eq(r.since, 5);
	rows_free(&r);
}
END_TEST

START_TEST(the_share_counts_what_got_through)
{
	struct rows r = take(SINCE(5, "[[" ROW("inbound", "plaintext", "10.0.0.9", 5, 2, 0) ","
	                              ROW("inbound", "mutual", "", 10, 0, 1) ","
	                              ROW("outbound", "mutual", "", 100, 0, 0) ","
	                              ROW("outbound", "outside", "9.9.9.9", 50, 0, 0) "]]"));
	struct rows_sum in = rows_sum(&r, true), out = rows_sum(&r, false);

	ck_assert_int_eq(in.carried, 12);
	ck_assert_int_eq(in.plaintext, 3);
	ck_assert_int_eq(in.mutual, 9);
	ck_assert_int_eq(in.callers, 1);
	ck_assert_int_eq(rows_share(&in), 750);
	ck_assert_int_eq(rows_share(&out), 1000); /* what no manifest names could not be mutual TLS */
	ck_assert_int_eq(out.outside, 50);
	rows_free(&r);
	r = take(SINCE(5, "[[]]"));
	in = rows_sum(&r, true);
	ck_assert_int_eq(rows_share(&in), -1);
	rows_free(&r);
}
END_TEST

START_TEST(a_difference_has_only_what_happened)
{
	struct rows before = take(SINCE(5, "[[" ROW("inbound", "plaintext", "10.0.0.9", 5, 0, 0) ","
	                                   ROW("inbound", "plaintext", "10.0.0.8", 5, 0, 0) "]]"));
	struct rows now = take(SINCE(5, "[[" ROW("inbound", "plaintext", "10.0.0.7", 2, 0, 0) ","
	                                ROW("inbound", "plaintext", "10.0.0.9", 9, 1, 0) ","
	                                ROW("inbound", "plaintext", "10.0.0.8", 5, 0, 0) "]]"));

	rows_subtract(&now, &before);
	rows_sort(&now);
	ck_assert_uint_eq(now.n, 2);
	ck_assert_str_eq(now.list[0].address, "10.0.0.9");
	ck_assert_int_eq(now.list[0].connections, 4);
	ck_assert_int_eq(now.list[0].denied, 1);
	ck_assert_int_eq(now.list[1].connections, 2);
	rows_free(&now);
	now = take(SINCE(6, "[[" ROW("inbound", "plaintext", "10.0.0.9", 1, 0, 0) "]]")); /* another process since */
	rows_subtract(&now, &before);
	ck_assert_int_eq(now.list[0].connections, 1);
	rows_free(&now);
	rows_free(&before);
}
END_TEST

START_TEST(another_answer_is_refused)
{
	static const char *const wrong[] = { "{}", "{\"workers\":{}}", "{\"workers\":[[3]]}", "[]", "{\"workers\":[[{\"how\":\"\\u001b[2J\"}]]}" };
	struct rows r;

	ck_assert_int_eq(rows_take(&r, json_loads(wrong[_i], 0, NULL)), TULLE_EPEER);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("rows");
	TCase *tc = tcase_create("rows");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, workers_are_added_up);
	tcase_add_test(tc, the_share_counts_what_got_through);
	tcase_add_test(tc, a_difference_has_only_what_happened);
	tcase_add_loop_test(tc, another_answer_is_refused, 0, 5);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
