/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_request.c - request heads; each test is named after the rule it is about. */
#include <stdio.h>

#include "unit.h"
#include "vectors.h"

#define GET(rest) "GET / HTTP/1.1\r\n" HOST rest "\r\n"

/* "GET / HTTP/1.1, Host: a, and a field of <n> bytes." */
static char *
with_field(size_t name, size_t value)
{
	char *text = malloc(name + value + 64), *at;

	ck_assert_ptr_nonnull(text);
	at = stpcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n");
	memset(at, 'n', name);
	at += name;
	*at++ = ':';
	memset(at, 'v', value);
	at += value;
	(void)stpcpy(at, "\r\n\r\n");
	return text;
}

START_TEST(h1_01_request_line_is_exact)
{
	ck_assert_result(request(GET("")), HTTP1_OK);
	ck_assert_text(head.method, "GET");
	ck_assert_text(head.target, "/");
	ck_assert_uint_eq(head.minor, 1);
	ck_assert(head.keep_alive);
	ck_assert_result(request("GET  / HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_START_LINE);
	ck_assert_result(request("GET /  HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_START_LINE);
	ck_assert_result(request("GET / HTTP/1.1 \r\n" HOST "\r\n"), HTTP1_E_START_LINE);
	ck_assert_result(request(" GET / HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_START_LINE);
	ck_assert_result(request("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_METHOD);
	ck_assert_result(request("GET /\tHTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_START_LINE);
	ck_assert_result(request("GET / HTTP/1.1\n" HOST "\r\n"), HTTP1_E_LINE_END);
	ck_assert_result(request("GET / HTTP/1.1\r\r\n" HOST "\r\n"), HTTP1_E_START_LINE);
	ck_assert_result(request("GET / HTTP/1.1\r\nHost: a\n\r\n"), HTTP1_E_LINE_END);
	ck_assert_result(request("GET / HTTP/1.1\r\nHost: a\r\n\n"), HTTP1_E_LINE_END);
	ck_assert_result(request("GET\r\n" HOST "\r\n"), HTTP1_E_START_LINE);
}
END_TEST

START_TEST(h1_02_two_empty_lines_may_come_first)
{
	ck_assert_result(request("\r\n\r\n" GET("")), HTTP1_OK);
	ck_assert_result(request("\r\n\r\n\r\n" GET("")), HTTP1_E_EMPTY_LINES);
	ck_assert_result(request("\n" GET("")), HTTP1_E_LINE_END);
}
END_TEST

START_TEST(h1_03_method_is_a_token_of_32)
{
	ck_assert_result(request("BREW-IT / HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert_text(head.method, "BREW-IT");
	ck_assert_result(request("ABCDEFGHIJKLMNOPABCDEFGHIJKLMNOP / HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert_result(request("ABCDEFGHIJKLMNOPABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_METHOD);
	ck_assert_result(request("GE(T / HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_METHOD);
	/* never by its beginning: this is not OPTIONS */
	ck_assert_result(request("OPTIONSX * HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
}
END_TEST

START_TEST(h1_04_version_is_one_dot_something)
{
	ck_assert_result(request("GET / HTTP/1.0\r\n\r\n"), HTTP1_OK);
	ck_assert_uint_eq(head.minor, 0);
	ck_assert(!head.keep_alive);
	ck_assert_result(request("GET / HTTP/1.9\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert_uint_eq(head.minor, 1);
	ck_assert_result(request("GET / HTTP/2.0\r\n" HOST "\r\n"), HTTP1_E_VERSION);
	ck_assert_result(request("GET / HTTP/1.10\r\n" HOST "\r\n"), HTTP1_E_VERSION);
	ck_assert_result(request("GET / HTTP/1.\r\n" HOST "\r\n"), HTTP1_E_VERSION);
	ck_assert_result(request("GET / http/1.1\r\n" HOST "\r\n"), HTTP1_E_VERSION);
	ck_assert_uint_eq(http1_status_for(HTTP1_E_VERSION), 505);
	ck_assert_result(request("GET /\r\n" HOST "\r\n"), HTTP1_E_START_LINE); /* no 0.9 */
}
END_TEST

START_TEST(h1_06_targets_have_four_forms)
{
	ck_assert_result(request("GET /a/b?c=d?e HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.form, HTTP1_FORM_ORIGIN);
	ck_assert_text(head.path, "/a/b");
	ck_assert_text(head.query, "c=d?e");
	ck_assert_result(request("GET http://h:8/x?y HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.form, HTTP1_FORM_ABSOLUTE);
	ck_assert_text(head.path, "/x");
	ck_assert_text(head.query, "y");
	ck_assert_result(request("GET HTTPS://h?y HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert(head.https);
	ck_assert_text(head.path, "/");
	ck_assert_text(head.query, "y");
	ck_assert_result(request("OPTIONS http://h HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert_text(head.path, "*");
	ck_assert_result(request("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.form, HTTP1_FORM_AUTHORITY);
	ck_assert_text(head.authority, "h:443");
	ck_assert_ptr_null(head.path.p);
	ck_assert_result(request("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.form, HTTP1_FORM_ASTERISK);

	ck_assert_result(request("GET * HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("GET h:443 HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("CONNECT /x HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("CONNECT h HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("GET /\x7f HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("GET /\x01 HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("GET http:/// HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
	ck_assert_result(request("GET http://u@h/ HTTP/1.1\r\n" HOST "\r\n"), HTTP1_E_TARGET);
}
END_TEST

START_TEST(h1_07_exactly_one_host)
{
	ck_assert_result(request("GET / HTTP/1.1\r\nHOST: a\r\n\r\n"), HTTP1_OK);
	ck_assert_text(head.authority, "a");
	ck_assert_result(request("GET / HTTP/1.1\r\n\r\n"), HTTP1_E_HOST_MISSING);
	ck_assert_result(request("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), HTTP1_E_HOST_REPEATED);
	ck_assert_result(request("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), HTTP1_E_HOST_REPEATED);
	ck_assert_result(request("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), HTTP1_E_HOST);
	ck_assert_result(request("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), HTTP1_E_HOST);
	ck_assert_result(request("GET / HTTP/1.1\r\nHost:\r\n\r\n"), HTTP1_E_HOST);
}
END_TEST

START_TEST(h1_08_the_targets_authority_wins)
{
	ck_assert_result(request("GET http://real/ HTTP/1.1\r\nHost: other\r\n\r\n"), HTTP1_OK);
	ck_assert_text(head.authority, "real");
	ck_assert_result(request("GET http://real/ HTTP/1.1\r\nHost: b@d\r\n\r\n"), HTTP1_E_HOST);
}
END_TEST

START_TEST(h1_09_host_is_a_name_or_an_address)
{
	static const char *const good[] = { "example.com", "example.com:8080", "10.0.0.1:1", "[::1]", "[fd00::2]:65535",
		"my_service", "a%20b" };
	static const char *const bad[] = { "u@h", "h/p", "a b", "h:", "h:0", "h:65536", "h:8a", "h:080808", "::1", "[::1",
		"[::g]", "[fe80::1%25eth0]", "[::1]x", ":80", "h%2", "h%zz", "h\x80", "a\"b" };
	char text[128];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
		ck_assert_result(request(text), HTTP1_OK);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
		ck_assert_result(request(text), HTTP1_E_HOST);
	}
	rules.refuse_host_underscore = true;
	ck_assert_result(request("GET / HTTP/1.1\r\nHost: my_service\r\n\r\n"), HTTP1_E_HOST);
}
END_TEST

START_TEST(h1_10_name_is_a_token_right_before_the_colon)
{
	ck_assert_result(request(GET("X!#$%&'*+-.^`|~9: y\r\n")), HTTP1_OK);
	ck_assert_result(request(GET("X : y\r\n")), HTTP1_E_NAME);
	ck_assert_result(request(GET("X\t: y\r\n")), HTTP1_E_NAME);
	ck_assert_result(request(GET("X(y): z\r\n")), HTTP1_E_NAME);
	ck_assert_result(request(GET("Transfer-Encoding\x0b: chunked\r\n")), HTTP1_E_NAME);
	ck_assert_result(request(GET("X\x80: z\r\n")), HTTP1_E_NAME);
}
END_TEST

START_TEST(h1_11_no_name_no_colon_no_space_first)
{
	ck_assert_result(request(GET(": y\r\n")), HTTP1_E_NAME);
	ck_assert_result(request(GET("Xy\r\n")), HTTP1_E_NO_COLON);
	ck_assert_result(request("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), HTTP1_E_LEADING_SPACE);
	ck_assert_result(request("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"), HTTP1_E_LEADING_SPACE);
}
END_TEST

START_TEST(h1_12_a_folded_field_is_refused)
{
	ck_assert_result(request(GET("X: y\r\n z\r\n")), HTTP1_E_FOLD);
	ck_assert_result(request(GET("Transfer-Encoding:\r\n\tchunked\r\n")), HTTP1_E_FOLD);
}
END_TEST

START_TEST(h1_13_no_controls_in_values)
{
	static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: longer\0than\r\n\r\n";
	char text[64];

	ck_assert_result(request(GET("X: a\tb \xc3\xa9\xff\r\n")), HTTP1_OK);
	ck_assert_result(parse_bytes(false, HTTP1_ASKED_OTHER, nul, sizeof(nul) - 1), HTTP1_E_VALUE);
	for (int c = 1; c < 0x20; c++) {
		if (c == '\t' || c == '\n')
			continue;
		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: abcdefgh%cij\r\n\r\n", c);
		ck_assert_result(request(text), HTTP1_E_VALUE);
		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: abc%cdefghij\r\n\r\n", c);
		ck_assert_result(request(text), HTTP1_E_VALUE);
	}
	ck_assert_result(request(GET("X: a\x7f" "bcdefghij\r\n")), HTTP1_E_VALUE);
}
END_TEST

START_TEST(h1_14_only_space_and_tab_are_trimmed)
{
	ck_assert_result(request(GET("X: \t y \t \r\n")), HTTP1_OK);
	ck_assert_text(http1_find(&head, "x")->value, "y");
	ck_assert_result(request(GET("X: \xa0y\x85\r\n")), HTTP1_OK);
	ck_assert_text(http1_find(&head, "X")->value, "\xa0y\x85");
	ck_assert_result(request(GET("X: \x0by\r\n")), HTTP1_E_VALUE);
	ck_assert_result(request(GET("X:\r\n")), HTTP1_OK);
	ck_assert_uint_eq(http1_find(&head, "X")->value.n, 0);
}
END_TEST

START_TEST(h1_15_names_have_at_most_256_bytes)
{
	char *text = with_field(256, 1);

	ck_assert_result(request(text), HTTP1_OK);
	ck_assert_uint_eq(head.fields[1].name.n, 256);
	free(text);
	text = with_field(257, 1);
	ck_assert_result(request(text), HTTP1_E_NAME_LONG);
	free(text);
	/* 256 + 14: "content-length" for whoever keeps lengths in a byte (CVE-2021-40346) */
	text = with_field(270, 1);
	ck_assert_result(request(text), HTTP1_E_NAME_LONG);
	free(text);
}
END_TEST

START_TEST(h1_16_limits_are_exact)
{
	char line[10000], *text, *at;

	(void)snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1\r\n" HOST "\r\n", 8192 - 14, 0);
	ck_assert_result(request(line), HTTP1_OK);
	(void)snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1\r\n" HOST "\r\n", 8192 - 13, 0);
	ck_assert_result(request(line), HTTP1_E_START_LINE_LONG);
	ck_assert_uint_eq(http1_status_for(HTTP1_E_START_LINE_LONG), 414);

	text = with_field(10, 16384 - 11);
	ck_assert_result(request(text), HTTP1_OK);
	free(text);
	text = with_field(10, 16384 - 10);
	ck_assert_result(request(text), HTTP1_E_FIELD_LONG);
	ck_assert_uint_eq(http1_status_for(HTTP1_E_FIELD_LONG), 431);
	free(text);

	/* 100 fields with Host, then one more */
	text = malloc(4096);
	for (int n = 99; n <= 100; n++) {
		at = stpcpy(text, "GET / HTTP/1.1\r\n" HOST);
		for (int i = 0; i < n; i++)
			at = stpcpy(at, "X: y\r\n");
		(void)stpcpy(at, "\r\n");
		ck_assert_result(request(text), n == 99 ? HTTP1_OK : HTTP1_E_FIELDS_MANY);
	}
	free(text);

	/* 61440 bytes of fields: Host has 9, four of 15000 and one to the brim */
	text = malloc(70000);
	for (int more = 0; more <= 1; more++) {
		at = stpcpy(text, "GET / HTTP/1.1\r\n" HOST);
		for (int i = 0; i < 5; i++) {
			size_t n = i < 4 ? 15000 : 61440 - 9 - 60000 + (size_t)more;

			at = stpcpy(at, "X:");
			memset(at, 'v', n - 4);
			at += n - 4;
			at = stpcpy(at, "\r\n");
		}
		(void)stpcpy(at, "\r\n");
		ck_assert_result(request(text), more ? HTTP1_E_FIELDS_LONG : HTTP1_OK);
	}
	free(text);
	ck_assert_uint_eq(http1_head_max(&http1_rules_default), 4 + 8192 + 2 + 61440 + 2);
}
END_TEST

START_TEST(h1_16_the_callers_array_is_a_limit_too)
{
	const char *text = "GET / HTTP/1.1\r\n" HOST "X: y\r\n\r\n";

	http1_request_begin(&parser, &http1_rules_default, &head, fields, 1);
	ck_assert_result(http1_parse(&parser, text, strlen(text), &used), HTTP1_E_FIELDS_MANY);
}
END_TEST

START_TEST(h1_17_underscores_that_look_like_hyphens)
{
	ck_assert_result(request(GET("my_field: 1\r\n")), HTTP1_OK);
	ck_assert_result(request(GET("Content_Length: 1\r\n")), HTTP1_E_UNDERSCORE);
	ck_assert_result(request(GET("TRANSFER_ENCODING: chunked\r\n")), HTTP1_E_UNDERSCORE);
	ck_assert_result(request(GET("x-forwarded_for: 1\r\n")), HTTP1_E_UNDERSCORE);
	ck_assert_result(request(GET("X_Forwarded_Client_Cert: 1\r\n")), HTTP1_E_UNDERSCORE);
	rules.underscore = HTTP1_UNDERSCORE_REFUSE;
	ck_assert_result(request(GET("my_field: 1\r\n")), HTTP1_E_UNDERSCORE);
	rules.underscore = HTTP1_UNDERSCORE_DROP;
	ck_assert_result(request(GET("my_field: 1\r\nX: 2\r\n")), HTTP1_OK);
	ck_assert_ptr_null(http1_find(&head, "my_field"));
	ck_assert_ptr_nonnull(http1_find(&head, "x"));
	rules.underscore = HTTP1_UNDERSCORE_PASS;
	ck_assert_result(request(GET("Content_Length: 1\r\n")), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
}
END_TEST

START_TEST(h1_18_content_length_is_digits)
{
	static const char *const bad[] = { "", "+1", "-1", "0x1", "1_0", "1 0", "9223372036854775808", "99999999999999999999",
		"1;2", "\"1\"", "1.0" };
	char text[128];

	ck_assert_result(request(GET("Content-Length: 9223372036854775807\r\n")), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_LENGTH);
	ck_assert_uint_eq(head.length, INT64_MAX);
	ck_assert_result(request(GET("Content-Length: 0\r\n")), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
	ck_assert(head.has_length);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), GET("Content-Length: %s\r\n"), bad[i]);
		ck_assert_result(request(text), HTTP1_E_LENGTH);
	}
	ck_assert_result(request(GET("Content-Length: 5,\r\n")), HTTP1_E_LENGTH);
}
END_TEST

START_TEST(h1_19_repeated_lengths)
{
	ck_assert_result(request(GET("Content-Length: 5\r\nContent-Length: 5\r\n")), HTTP1_E_LENGTH_REPEATED);
	ck_assert_result(request(GET("Content-Length: 5, 5\r\n")), HTTP1_E_LENGTH_REPEATED);
	ck_assert_result(request(GET("Content-Length: 5\r\nContent-Length: 6\r\n")), HTTP1_E_LENGTH_REPEATED);
	rules.join_equal_lengths = true;
	ck_assert_result(request(GET("Content-Length: 5\r\nContent-Length: 5, 5\r\n")), HTTP1_OK);
	ck_assert_uint_eq(head.length, 5);
	ck_assert_result(request(GET("Content-Length: 5, 6\r\n")), HTTP1_E_LENGTH_REPEATED);
	ck_assert_result(request(GET("Content-Length: 5\r\ncontent-length: 6\r\n")), HTTP1_E_LENGTH_REPEATED);
}
END_TEST

START_TEST(h1_20_length_and_coding_together)
{
	ck_assert_result(request(GET("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), HTTP1_E_LENGTH_AND_CODING);
	ck_assert_result(request(GET("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")), HTTP1_E_LENGTH_AND_CODING);
}
END_TEST

START_TEST(h1_21_the_only_coding_is_chunked)
{
	ck_assert_result(request(GET("Transfer-Encoding: CHUNKED\r\n")), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_CHUNKED);
	ck_assert_result(request(GET("Transfer-Encoding: gzip, chunked\r\n")), HTTP1_E_CODING);
	ck_assert_result(request(GET("Transfer-Encoding: chunked, identity\r\n")), HTTP1_E_CODING);
	ck_assert_result(request(GET("Transfer-Encoding: chunked;a=b\r\n")), HTTP1_E_CODING);
	ck_assert_result(request(GET("Transfer-Encoding: xchunked\r\n")), HTTP1_E_CODING);
	ck_assert_result(request(GET("Transfer-Encoding: \"chunked\"\r\n")), HTTP1_E_CODING);
	ck_assert_result(request(GET("Transfer-Encoding:\r\n")), HTTP1_E_CODING);
	ck_assert_result(request(GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")), HTTP1_E_CODING_REPEATED);
	ck_assert_uint_eq(http1_status_for(HTTP1_E_CODING), 501);
	ck_assert_uint_eq(http1_status_for(HTTP1_E_CODING_REPEATED), 400);
}
END_TEST

START_TEST(h1_22_no_coding_in_1_0_or_on_connect)
{
	ck_assert_result(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP1_E_CODING_PLACE);
	ck_assert_result(request("CONNECT a:1 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), HTTP1_E_CODING_PLACE);
	ck_assert_result(request("CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n"), HTTP1_E_CODING_PLACE);
	ck_assert_result(request("CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
}
END_TEST

START_TEST(h1_23_without_length_or_coding_there_is_no_body)
{
	ck_assert_result(request("POST / HTTP/1.1\r\n" HOST "\r\nGET /next"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_NONE);
	ck_assert(!head.has_length);
	ck_assert_uint_eq(used, strlen("POST / HTTP/1.1\r\n" HOST "\r\n"));
}
END_TEST

START_TEST(h1_24_any_method_may_have_a_body)
{
	ck_assert_result(request("GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_LENGTH);
	ck_assert_result(request("DELETE / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), HTTP1_OK);
	ck_assert_int_eq(head.body, HTTP1_BODY_CHUNKED);
}
END_TEST

START_TEST(rs_10_expect_is_100_continue_or_nothing)
{
	ck_assert_result(request(GET("Expect: 100-Continue\r\n")), HTTP1_OK);
	ck_assert(head.expect_continue);
	ck_assert_result(request("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), HTTP1_OK);
	ck_assert(!head.expect_continue); /* RS-11 */
	ck_assert_result(request(GET("Expect: 200-ok\r\n")), HTTP1_E_EXPECT);
	ck_assert_result(request(GET("Expect: 100-continue, x\r\n")), HTTP1_E_EXPECT);
	ck_assert_result(request(GET("Expect: 100-continue\r\nExpect: 100-continue\r\n")), HTTP1_E_EXPECT_REPEATED);
	ck_assert_uint_eq(http1_status_for(HTTP1_E_EXPECT), 417);
}
END_TEST

START_TEST(connection_says_whether_another_message_may_follow)
{
	ck_assert_result(request(GET("Connection: x, Close\r\n")), HTTP1_OK);
	ck_assert(!head.keep_alive);
	ck_assert_result(request(GET("Connection: x\r\nConnection: ,close\r\n")), HTTP1_OK); /* H1-31: all lines */
	ck_assert(!head.keep_alive);
	ck_assert_result(request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), HTTP1_OK);
	ck_assert(head.keep_alive);
	ck_assert_result(request(GET("Connection: Upgrade\r\nUpgrade: websocket\r\n")), HTTP1_OK);
	ck_assert(head.upgrade);
	ck_assert_result(request(GET("Upgrade: websocket\r\n")), HTTP1_OK);
	ck_assert(!head.upgrade);
}
END_TEST

START_TEST(drop_takes_out_what_is_named)
{
	ck_assert_result(request(GET("A: 1\r\nConnection: x\r\nContent-Length: 0\r\nB: 2\r\n")), HTTP1_OK);
	http1_drop(&head, HTTP1_BIT(HTTP1_HOST) | HTTP1_BIT(HTTP1_CONTENT_LENGTH) | HTTP1_BIT(HTTP1_CONNECTION));
	ck_assert_uint_eq(head.n, 2);
	ck_assert_text(head.fields[0].name, "A");
	ck_assert_text(head.fields[1].value, "2");
}
END_TEST

START_TEST(every_refusal_has_a_phrase_that_names_its_rule)
{
	for (int r = HTTP1_E_START_LINE; r < HTTP1_RESULTS; r++) {
		const char *phrase = http1_phrase((enum http1_result)r);

		ck_assert_msg(strstr(phrase, "(H1-") != NULL || strstr(phrase, "(RS-") != NULL, "%s", phrase);
		ck_assert_uint_ge(http1_status_for((enum http1_result)r), 400);
	}
}
END_TEST

UNIT_MAIN("http1 request", h1_01_request_line_is_exact, h1_02_two_empty_lines_may_come_first,
    h1_03_method_is_a_token_of_32, h1_04_version_is_one_dot_something,
    h1_06_targets_have_four_forms, h1_07_exactly_one_host,
    h1_08_the_targets_authority_wins, h1_09_host_is_a_name_or_an_address,
    h1_10_name_is_a_token_right_before_the_colon, h1_11_no_name_no_colon_no_space_first,
    h1_12_a_folded_field_is_refused, h1_13_no_controls_in_values,
    h1_14_only_space_and_tab_are_trimmed, h1_15_names_have_at_most_256_bytes,
    h1_16_limits_are_exact, h1_16_the_callers_array_is_a_limit_too,
    h1_17_underscores_that_look_like_hyphens, h1_18_content_length_is_digits,
    h1_19_repeated_lengths, h1_20_length_and_coding_together,
    h1_21_the_only_coding_is_chunked, h1_22_no_coding_in_1_0_or_on_connect,
    h1_23_without_length_or_coding_there_is_no_body, h1_24_any_method_may_have_a_body,
    rs_10_expect_is_100_continue_or_nothing, connection_says_whether_another_message_may_follow,
    drop_takes_out_what_is_named, every_refusal_has_a_phrase_that_names_its_rule)
