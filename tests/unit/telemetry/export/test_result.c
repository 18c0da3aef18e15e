/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/result.h"

#include <string.h>

#include "unit.h"

static struct export_result r;

static enum export_verdict
judged(unsigned int status, const void *body, size_t len)
{
	export_judge(&r, TULLE_OK, status, body, len);
	return r.verdict;
}

/* What OTLP/HTTP wants of a sender, status by status. */
START_TEST(each_status_has_its_verdict)
{
	static const struct {
		unsigned int status;
		enum export_verdict verdict;
	} table[] = {
		{ 200, EXPORT_DELIVERED }, { 202, EXPORT_DELIVERED }, { 204, EXPORT_DELIVERED },
		{ 429, EXPORT_RETRY }, { 502, EXPORT_RETRY }, { 503, EXPORT_RETRY }, { 504, EXPORT_RETRY },
		{ 301, EXPORT_DROP }, { 400, EXPORT_DROP }, { 408, EXPORT_DROP }, { 500, EXPORT_DROP },
		{ 501, EXPORT_DROP }, { 599, EXPORT_DROP },
		{ 401, EXPORT_FAULT }, { 403, EXPORT_FAULT }, { 404, EXPORT_FAULT }, { 405, EXPORT_FAULT },
		{ 415, EXPORT_FAULT },
		{ 413, EXPORT_SPLIT },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_msg(judged(table[i].status, NULL, 0) == table[i].verdict, "%u", table[i].status);
}
END_TEST

START_TEST(no_answer_is_tried_again_and_a_refused_certificate_too)
{
	static const struct {
		enum tulle_err e;
		enum export_verdict verdict;
	} table[] = {
		{ TULLE_EUNAVAIL, EXPORT_RETRY }, { TULLE_ERESET, EXPORT_RETRY }, { TULLE_ETIMEDOUT, EXPORT_RETRY },
		{ TULLE_ENOENT, EXPORT_RETRY }, { TULLE_EPEER, EXPORT_RETRY }, { TULLE_EDENIED, EXPORT_PAUSE },
		{ TULLE_ELIMIT, EXPORT_DROP },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		export_judge(&r, table[i].e, 0, NULL, 0);
		ck_assert_int_eq(r.verdict, table[i].verdict);
		ck_assert_str_ne(r.text, "");
	}
}
END_TEST

START_TEST(a_partial_success_tells_how_many_were_rejected)
{
	/* {1: {1: 3, 2: "old"}} */
	static const uint8_t some[] = { 0x0a, 0x07, 0x08, 0x03, 0x12, 0x03, 'o', 'l', 'd' };
	static const uint8_t warning[] = { 0x0a, 0x04, 0x12, 0x02, 'h', 'm' };
	static const uint8_t negative[] = { 0x0a, 0x0b, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0x01 };

	ck_assert_int_eq(judged(200, some, sizeof(some)), EXPORT_DELIVERED);
	ck_assert_uint_eq(r.rejected, 3);
	ck_assert_str_eq(r.text, "old");
	ck_assert_int_eq(judged(200, warning, sizeof(warning)), EXPORT_DELIVERED);
	ck_assert_uint_eq(r.rejected, 0);
	ck_assert_str_eq(r.text, "hm");
	ck_assert_int_eq(judged(200, negative, sizeof(negative)), EXPORT_DELIVERED);
	ck_assert_uint_eq(r.rejected, 0);
}
END_TEST

START_TEST(an_answer_that_cannot_be_read_changes_no_verdict)
{
	static const char html[] = "<html>\x1b[2Jsorry</html>";
	/* google.rpc.Status {2: "no"} */
	static const uint8_t status[] = { 0x12, 0x02, 'n', 'o' };
	uint8_t rubbish[64];

	memset(rubbish, 0xff, sizeof(rubbish));
	ck_assert_int_eq(judged(200, rubbish, sizeof(rubbish)), EXPORT_DELIVERED);
	ck_assert_uint_eq(r.rejected, 0);
	ck_assert_int_eq(judged(503, html, strlen(html)), EXPORT_RETRY);
	ck_assert_str_eq(r.text, "<html>?[2Jsorry</html>");
	ck_assert_int_eq(judged(400, status, sizeof(status)), EXPORT_DROP);
	ck_assert_str_eq(r.text, "no");
}
END_TEST

START_TEST(only_400_and_415_mean_that_a_coding_is_unknown)
{
	ck_assert(export_coding_refused(TULLE_OK, 400));
	ck_assert(export_coding_refused(TULLE_OK, 415));
	ck_assert(!export_coding_refused(TULLE_OK, 404));
	ck_assert(!export_coding_refused(TULLE_OK, 200));
	ck_assert(!export_coding_refused(TULLE_ERESET, 400));
}
END_TEST

START_TEST(the_pause_doubles_up_to_a_minute_and_chance_takes_any_part_of_it)
{
	ck_assert_uint_eq(backoff_ms(1, 0, UINT32_MAX), 1000);
	ck_assert_uint_eq(backoff_ms(2, 0, UINT32_MAX), 2000);
	ck_assert_uint_eq(backoff_ms(6, 0, UINT32_MAX), 32000);
	ck_assert_uint_eq(backoff_ms(7, 0, UINT32_MAX), 60000);
	ck_assert_uint_eq(backoff_ms(4000000000, 0, UINT32_MAX), 60000);
	ck_assert_uint_eq(backoff_ms(5, 0, 0), 0);
	ck_assert_uint_eq(backoff_ms(5, 0, UINT32_MAX / 2), 7999);
}
END_TEST

START_TEST(retry_after_is_the_least_and_chance_adds_up_to_a_fifth)
{
	ck_assert_uint_eq(backoff_ms(1, 30000, 0), 30000);
	ck_assert_uint_eq(backoff_ms(1, 30000, UINT32_MAX), 36000);
	ck_assert_uint_eq(backoff_ms(7, 1000, UINT32_MAX), 60000);
}
END_TEST

UNIT_MAIN("result", each_status_has_its_verdict, no_answer_is_tried_again_and_a_refused_certificate_too,
    a_partial_success_tells_how_many_were_rejected, an_answer_that_cannot_be_read_changes_no_verdict,
    only_400_and_415_mean_that_a_coding_is_unknown, the_pause_doubles_up_to_a_minute_and_chance_takes_any_part_of_it,
    retry_after_is_the_least_and_chance_adds_up_to_a_fifth)
