/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chars.h - the classes of characters of RFC 9110 and RFC 3986, and the few
 * checks that reading and writing share.  Private to lib/http1.
 */
#ifndef TULLE_HTTP1_CHARS_H
#define TULLE_HTTP1_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http1/parse.h"

#define HTTP1_C_TOKEN 0x01  /* tchar, 9110 5.6.2 */
#define HTTP1_C_VALUE 0x02  /* in a field value or a reason: VCHAR, obs-text, SP, HTAB */
#define HTTP1_C_TARGET 0x04 /* in a request target: visible ASCII but '#' */
#define HTTP1_C_HOST 0x08   /* unreserved and sub-delims of RFC 3986, but no comma (H1-07) */
#define HTTP1_C_HEX 0x10
#define HTTP1_C_QUOTED 0x20 /* qdtext, 9110 5.6.4 */

extern const uint8_t http1_class[256];

static inline bool
http1_is(char c, unsigned int class)
{
	return (http1_class[(uint8_t)c] & class) != 0;
}

/* Are all <n> bytes of <class>? */
static inline bool
http1_all(const char *p, size_t n, unsigned int class)
{
	for (size_t i = 0; i < n; i++)
		if (!http1_is(p[i], class))
			return false;
	return true;
}

static inline bool
http1_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The value of a digit of class HTTP1_C_HEX. */
static inline unsigned int
http1_hex(char c)
{
	return http1_is_digit(c) ? (unsigned int)(c - '0') : ((unsigned int)c | 0x20u) - 'a' + 10;
}

/* May all of it stand in a field value: no controls but HTAB (H1-13)?  Fast: eight bytes at a time. */
bool http1_value_valid(const char *p, size_t n);

/* Cuts SP and HTAB, and nothing else, off both ends (H1-14). */
struct http1_text http1_trim(const char *p, size_t n);

/* Is this a name that an underscore makes look like one of framing or identity (H1-17)? */
bool http1_lookalike(const char *name, size_t n);

/* Reads the target of a request and what is derived from it into <h> (H1-06); h->method is set. */
enum http1_result http1_target_parse(struct http1_head *h);

/* Decides about body and connection when all fields are there (H1-18 to H1-24, RS-01 to RS-05). */
enum http1_result http1_framing(struct http1_parser *p);

/* What a field with an id says about framing is noted in the parser. */
void http1_note(struct http1_parser *p, const struct http1_field *f);

/* Makes a parser that reads only field lines, up to the empty one: a trailer section. */
void http1_trailers_begin(struct http1_parser *p, const struct http1_parser *head, struct http1_head *h,
    struct http1_field *fields, size_t max);

#endif
