/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_response.c - response heads; each test is named after the rule it is about. */
#include "unit.h"
#include "vectors.h"

START_TEST(rs_01_head_204_304_and_1xx_have_no_body)
{
	ck_assert_result(response_to(HTTP1_ASKED_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
	ck_assert(head.has_length);
	ck_assert_uint_eq(head.length, 5);
	ck_assert_result(response_to(HTTP1_ASKED_HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
	ck_assert(head.keep_alive);
	ck_assert_result(response("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
	ck_assert(head.has_length);
	ck_assert_result(response("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
	ck_assert(!head.has_length);
	ck_assert_result(response("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
	/* the same head to another question has a body */
	ck_assert_result(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_LENGTH);
}
END_TEST

START_TEST(rs_02_2xx_to_connect_is_a_tunnel)
{
	ck_assert_result(response_to(HTTP1_ASKED_CONNECT, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_TUNNEL);
	ck_assert(!head.has_length);
	ck_assert_result(response_to(HTTP1_ASKED_CONNECT, "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_LENGTH);
	ck_assert_result(response("HTTP/1.1 101 Switching Protocols\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_TUNNEL);
}
END_TEST

START_TEST(rs_03_length_and_coding_together_end_trust)
{
	const char *both = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";

	ck_assert_result(response(both), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_CHUNKED);
	ck_assert(!head.has_length);
	ck_assert(!head.keep_alive);
	rules.refuse_length_and_coding = true;
	ck_assert_result(response(both), HTTP1_E_LENGTH_AND_CODING);
}
END_TEST

START_TEST(rs_04_lengths_that_are_wrong_or_differ)
{
	ck_assert_result(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), HTTP1_OK);
	ck_assert_uint_eq(head.length, 5);
	ck_assert_result(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"), HTTP1_E_LENGTH_REPEATED);
	ck_assert_result(response("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n"), HTTP1_E_LENGTH);
	ck_assert_result(response_to(HTTP1_ASKED_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), HTTP1_E_LENGTH);
	ck_assert_result(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), HTTP1_E_CODING);
	ck_assert_result(response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP1_E_CODING_PLACE);
}
END_TEST

START_TEST(rs_05_neither_means_until_the_end)
{
	ck_assert_result(response("HTTP/1.1 200 OK\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_CLOSE);
	ck_assert(!head.keep_alive);
	ck_assert_result(response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
	ck_assert(head.keep_alive);
}
END_TEST

START_TEST(rs_06_status_line_is_strict)
{
	ck_assert_result(response("HTTP/1.1 200 Fine by me\r\n\r\n"), HTTP1_OK);
	ck_assert_uint_eq(head.status, 200);
	ck_assert_text(head.reason, "Fine by me");
	ck_assert_result(response("HTTP/1.0 599 \r\n\r\n"), HTTP1_OK);
	ck_assert_uint_eq(head.reason.n, 0);
	ck_assert_result(response("HTTP/1.1 200\r\n\r\n"), HTTP1_OK);
	ck_assert_result(response("HTTP/1.1 099 x\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/1.1 600 x\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/1.1 20 x\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/1.1 2000 x\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/1.1  200 x\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/1.1 +20 x\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/1.1 200\tx\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/1.1 200 a\x01\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("\r\nHTTP/1.1 200 OK\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/2.0 200 OK\r\n\r\n"), HTTP1_E_VERSION);
	ck_assert_result(response("ICY 200 OK\r\n\r\n"), HTTP1_E_STATUS_LINE);
	ck_assert_result(response("HTTP/1.1 200 OK\n\r\n"), HTTP1_E_LINE_END);
}
END_TEST

START_TEST(h1_10_space_before_the_colon_is_removed)
{
	ck_assert_result(response("HTTP/1.1 200 OK\r\nContent-Length \t: 5\r\n\r\n"), HTTP1_OK);
	ck_assert_uint_eq(head.length, 5);
	ck_assert_text(head.fields[0].name, "Content-Length");
}
END_TEST

START_TEST(h1_12_a_folded_field_is_refused)
{
	ck_assert_result(response("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n"), HTTP1_E_FOLD);
}
END_TEST

/* A buffer that moves while the head arrives must not leave texts behind in the old one. */
START_TEST(texts_follow_bytes_that_move)
{
	const char *text = "GET http://h:1/p?q HTTP/1.1\r\nHost: other\r\nX: y\r\n\r\n";
	size_t cut = strlen("GET http://h:1/p?q HTTP/1.1\r\nHost: other\r\nX"), n = strlen(text);
	char *first = malloc(cut), *second = malloc(n);

	memcpy(first, text, cut);
	memcpy(second, text, n);
	begin(false, HTTP1_ASKED_OTHER);
	ck_assert_result(http1_parse(&parser, first, cut, &used), HTTP1_AGAIN);
	memset(first, '!', cut);
	free(first);
	ck_assert_result(http1_parse(&parser, second, n, &used), HTTP1_OK);
	ck_assert_text(head.method, "GET");
	ck_assert_text(head.authority, "h:1");
	ck_assert_text(head.path, "/p");
	ck_assert_text(head.query, "q");
	ck_assert_text(head.fields[0].value, "other");
	ck_assert_text(head.fields[1].name, "X");
	free(second);

	/* Host, seen before the move, becomes the authority after it. */
	text = "GET / HTTP/1.1\r\nHost: moved\r\nX: y\r\n\r\n";
	cut = strlen("GET / HTTP/1.1\r\nHost: moved\r\nX");
	first = malloc(cut);
	memcpy(first, text, cut);
	begin(false, HTTP1_ASKED_OTHER);
	ck_assert_result(http1_parse(&parser, first, cut, &used), HTTP1_AGAIN);
	memset(first, '!', cut);
	ck_assert_result(http1_parse(&parser, text, strlen(text), &used), HTTP1_OK);
	ck_assert_text(head.authority, "moved");
	free(first);
}
END_TEST

UNIT_MAIN("http1 response", rs_01_head_204_304_and_1xx_have_no_body,
    rs_02_2xx_to_connect_is_a_tunnel, rs_03_length_and_coding_together_end_trust,
    rs_04_lengths_that_are_wrong_or_differ, rs_05_neither_means_until_the_end,
    rs_06_status_line_is_strict, h1_10_space_before_the_colon_is_removed,
    h1_12_a_folded_field_is_refused, texts_follow_bytes_that_move)
