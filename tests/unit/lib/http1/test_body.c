/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_body.c - bodies, by length and in chunks; each test is named after the rule it is about. */
#include <stdio.h>

#include "unit.h"
#include "vectors.h"

static struct http1_body body;
static struct http1_field trailers[8];
static char decoded[65536];
static size_t decoded_n, body_used;

/* Feeds <n> bytes, <step> at a time, like a caller who keeps what was not used. */
static enum http1_result
feed(const char *data, size_t n, size_t step)
{
	enum http1_result r = HTTP1_AGAIN;
	size_t from = 0, have = 0, u = 0;
	struct http1_text piece;

	decoded_n = 0;
	while (r == HTTP1_AGAIN) {
		if (have == n)
			return HTTP1_AGAIN;
		have = n - have < step ? n : have + step;
		do {
			r = http1_body_next(&body, data + from, have - from, &u, &piece);
			if (r == HTTP1_DATA) {
				ck_assert_uint_le(decoded_n + piece.n, sizeof(decoded));
				memcpy(decoded + decoded_n, piece.p, piece.n);
				decoded_n += piece.n;
			}
			if (r == HTTP1_DATA || r == HTTP1_AGAIN || r == HTTP1_OK)
				from += u;
		} while (r == HTTP1_DATA);
	}
	body_used = from;
	return r;
}

static enum http1_result
chunked(const char *text)
{
	enum http1_result cut, whole;

	ck_assert_result(request("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), HTTP1_OK);
	http1_body_begin(&body, &head, &parser, trailers, 8);
	cut = feed(text, strlen(text), 1);
	http1_body_begin(&body, &head, &parser, trailers, 8);
	whole = feed(text, strlen(text), strlen(text));
	ck_assert_msg(whole == cut, "whole: %s, byte by byte: %s", http1_phrase(whole), http1_phrase(cut));
	return whole;
}

#define ck_assert_decoded(want)                                     \
	do {                                                        \
		ck_assert_uint_eq(decoded_n, strlen(want));         \
		ck_assert_mem_eq(decoded, want, strlen(want));      \
	} while (0)

START_TEST(h1_25_chunk_size_is_hexadecimal)
{
	static const char *const bad[] = { "+5", "-5", "0x5", "5_", " 5", "5 ", "", "g", "5\t", "8000000000000000",
		"ffffffffffffffff", "00000000000000005" };
	char text[64];

	ck_assert_result(chunked("5\r\nhello\r\nA\r\n0123456789\r\n0000000000000002\r\nab\r\n0\r\n\r\n"), HTTP1_OK);
	ck_assert_decoded("hello0123456789ab");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s\r\nhello\r\n0\r\n\r\n", bad[i]);
		ck_assert_result(chunked(text), HTTP1_E_CHUNK_SIZE);
	}
	ck_assert_result(chunked("7fffffffffffffff\r\nx"), HTTP1_AGAIN);
}
END_TEST

START_TEST(h1_26_every_line_ends_in_crlf)
{
	ck_assert_result(chunked("5\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_END);
	ck_assert_result(chunked("5\rhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_END);
	ck_assert_result(chunked("5\r\nhello\n0\r\n\r\n"), HTTP1_E_CHUNK_END);
	ck_assert_result(chunked("5\r\nhelloXX0\r\n\r\n"), HTTP1_E_CHUNK_END);
	ck_assert_result(chunked("5\r\nhello\rX0\r\n\r\n"), HTTP1_E_CHUNK_END);
	ck_assert_result(chunked("5;a\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_END);
	ck_assert_result(chunked("5;a=\"b\"\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_END);
	ck_assert_result(chunked("0\n\r\n"), HTTP1_E_CHUNK_END);
	ck_assert_result(chunked("0\r\n\n"), HTTP1_E_LINE_END);
	ck_assert_result(chunked("0\r\nX: y\n\r\n"), HTTP1_E_LINE_END);
}
END_TEST

START_TEST(h1_27_extensions_are_checked_counted_and_gone)
{
	char *text = malloc(10000);
	size_t n = 0;

	ck_assert_result(chunked("5;a;b=c;d=\"e\\\"\t;\xff\"\r\nhello\r\n0;x\r\n\r\n"), HTTP1_OK);
	ck_assert_decoded("hello");
	ck_assert_result(chunked("5;\r\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_EXTENSION);
	ck_assert_result(chunked("5;=a\r\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_EXTENSION);
	ck_assert_result(chunked("5;a=\r\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_EXTENSION);
	ck_assert_result(chunked("5;a b\r\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_EXTENSION);
	ck_assert_result(chunked("5;a=\"b\r\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_EXTENSION);
	ck_assert_result(chunked("5;a=\"b\\\x01\"\r\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_EXTENSION);
	ck_assert_result(chunked("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"), HTTP1_E_CHUNK_EXTENSION);

	/* 4096 in total, however many chunks they are spread over */
	for (int i = 0; i < 3; i++) {
		n += (size_t)sprintf(text + n, "1;");
		memset(text + n, 'e', 2000);
		n += 2000;
		n += (size_t)sprintf(text + n, "\r\nx\r\n");
	}
	(void)sprintf(text + n, "0\r\n\r\n");
	ck_assert_result(chunked(text), HTTP1_E_EXTENSIONS_LONG);
	free(text);
}
END_TEST

START_TEST(h1_29_trailers_are_read_and_told_apart)
{
	const struct http1_head *t;

	ck_assert_result(chunked("0\r\nGrpc-Status: 0\r\nContent-Length: 5\r\nCookie: x\r\n\r\nrest"), HTTP1_OK);
	ck_assert_uint_eq(body_used, strlen("0\r\nGrpc-Status: 0\r\nContent-Length: 5\r\nCookie: x\r\n\r\n"));
	t = http1_body_trailers(&body);
	ck_assert_uint_eq(t->n, 3);
	ck_assert_text(t->fields[0].value, "0");
	ck_assert(http1_trailer_allowed(&t->fields[0]));
	ck_assert(!http1_trailer_allowed(&t->fields[1]));
	ck_assert(!http1_trailer_allowed(&t->fields[2]));
	for (const char *const *name = (const char *const[]){ "Host", "te", "Trailer", "Transfer-Encoding", "Authorization",
	         "Set-Cookie", "Content-Type", "X-Forwarded-For", "content_length", NULL };
	     *name != NULL; name++) {
		struct http1_field f = { .name = { *name, strlen(*name) } };

		ck_assert_msg(!http1_trailer_allowed(&f), "%s", *name);
	}
	ck_assert_result(chunked("0\r\nX : y\r\n\r\n"), HTTP1_E_NAME);
	ck_assert_result(chunked("0\r\n X: y\r\n\r\n"), HTTP1_E_FOLD); /* Host and TE came before */
	ck_assert_result(chunked("0\r\nX: \x01\r\n\r\n"), HTTP1_E_VALUE);
}
END_TEST

START_TEST(h1_29_trailers_fall_under_the_heads_limits)
{
	rules = http1_rules_default;
	rules.fields_max = 4; /* Host and Transfer-Encoding are two of them */
	ck_assert_result(chunked("0\r\nA: 1\r\nB: 2\r\n\r\n"), HTTP1_OK);
	ck_assert_result(chunked("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"), HTTP1_E_FIELDS_MANY);
	rules.fields_max = 100;
	rules.fields_max_bytes = 60;
	ck_assert_result(chunked("0\r\nA: 1\r\n\r\n"), HTTP1_OK);
	ck_assert_result(chunked("0\r\nA: 1234567890123456789\r\n\r\n"), HTTP1_E_FIELDS_LONG);
}
END_TEST

START_TEST(h1_30_a_body_has_exactly_its_length)
{
	ck_assert_result(request("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"), HTTP1_OK);
	http1_body_begin(&body, &head, &parser, NULL, 0);
	ck_assert_result(feed("hel", 3, 1), HTTP1_AGAIN);
	ck_assert_result(http1_body_end(&body), HTTP1_E_TRUNCATED);
	http1_body_begin(&body, &head, &parser, NULL, 0);
	ck_assert_result(feed("helloGET /", 10, 10), HTTP1_OK);
	ck_assert_uint_eq(body_used, 5); /* the rest is the next message */
	ck_assert_decoded("hello");
	ck_assert_result(http1_body_end(&body), HTTP1_OK);
}
END_TEST

START_TEST(rs_05_truncation_shows)
{
	ck_assert_result(chunked("5\r\nhello\r\n"), HTTP1_AGAIN);
	ck_assert_result(http1_body_end(&body), HTTP1_E_TRUNCATED);
	ck_assert_result(chunked("5\r\nhello\r\n0\r\n"), HTTP1_AGAIN);
	ck_assert_result(http1_body_end(&body), HTTP1_E_TRUNCATED);
	ck_assert_result(response("HTTP/1.1 200 OK\r\n\r\n"), HTTP1_OK);
	http1_body_begin(&body, &head, &parser, NULL, 0);
	ck_assert_result(feed("to the end", 10, 3), HTTP1_AGAIN);
	ck_assert_decoded("to the end");
	ck_assert_result(http1_body_end(&body), HTTP1_OK);
}
END_TEST

START_TEST(no_body_is_complete_at_once)
{
	struct http1_text piece;
	size_t u = 99;

	ck_assert_result(request("GET / HTTP/1.1\r\n" HOST "\r\n"), HTTP1_OK);
	http1_body_begin(&body, &head, &parser, NULL, 0);
	ck_assert_result(http1_body_next(&body, "GET", 3, &u, &piece), HTTP1_OK);
	ck_assert_uint_eq(u, 0);
}
END_TEST

UNIT_MAIN("http1 body", h1_25_chunk_size_is_hexadecimal, h1_26_every_line_ends_in_crlf,
    h1_27_extensions_are_checked_counted_and_gone, h1_29_trailers_are_read_and_told_apart,
    h1_29_trailers_fall_under_the_heads_limits, h1_30_a_body_has_exactly_its_length,
    rs_05_truncation_shows, no_body_is_complete_at_once)
