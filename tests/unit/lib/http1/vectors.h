/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vectors.h - one-line ways to parse a message in a test, whole and byte by byte; both must agree. */
#ifndef TULLE_TESTS_HTTP1_VECTORS_H
#define TULLE_TESTS_HTTP1_VECTORS_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "http1/body.h"
#include "http1/parse.h"

static struct http1_head head;
static struct http1_field fields[HTTP1_FIELDS];
static struct http1_parser parser;
static struct http1_rules rules;
static size_t used;

static void
begin(bool response, enum http1_asked asked)
{
	if (rules.start_line_max == 0)
		rules = http1_rules_default;
	if (response)
		http1_response_begin(&parser, &rules, asked, &head, fields, HTTP1_FIELDS);
	else
		http1_request_begin(&parser, &rules, &head, fields, HTTP1_FIELDS);
}

/* The result for <n> bytes; afterwards head, parser and used are those of one call with all bytes. */
static enum http1_result
parse_bytes(bool response, enum http1_asked asked, const char *data, size_t n)
{
	enum http1_result whole, cut = HTTP1_AGAIN;

	begin(response, asked);
	for (size_t i = 1; i <= n && cut == HTTP1_AGAIN; i++) {
		/* Each time at another place in memory, exactly as long, so that a sanitizer sees a byte too far. */
		char *copy = malloc(i);

		memcpy(copy, data, i);
		cut = http1_parse(&parser, copy, i, &used);
		free(copy);
	}
	begin(response, asked);
	whole = http1_parse(&parser, data, n, &used);
	ck_assert_msg(whole == cut, "whole: %s, byte by byte: %s", http1_phrase(whole), http1_phrase(cut));
	return whole;
}

static inline enum http1_result
request(const char *text)
{
	return parse_bytes(false, HTTP1_ASKED_OTHER, text, strlen(text));
}

static inline enum http1_result
response_to(enum http1_asked asked, const char *text)
{
	return parse_bytes(true, asked, text, strlen(text));
}

static inline enum http1_result
response(const char *text)
{
	return response_to(HTTP1_ASKED_OTHER, text);
}

#define ck_assert_result(expr, want)                                                                        \
	do {                                                                                                \
		enum http1_result r_ = (expr);                                                              \
		ck_assert_msg(r_ == (want), "%s is '%s', not '%s'", #expr, http1_phrase(r_), http1_phrase(want)); \
	} while (0)

#define ck_assert_text(text, want)                                                                      \
	do {                                                                                            \
		struct http1_text t_ = (text);                                                          \
		ck_assert_msg(http1_text_is(t_, want), "%s is '%.*s'", #text, (int)t_.n, t_.p ? t_.p : ""); \
	} while (0)

#define HOST "Host: a\r\n"

#endif
