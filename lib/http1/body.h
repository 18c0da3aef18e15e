/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * body.h - the bytes behind a head: what belongs to the body, where it ends.
 *
 * Pure, incremental, no copy: pieces point into the caller's bytes.  Sizes
 * and extensions of chunks never reach the caller, who frames what it sends
 * by itself (H1-27, H1-28).
 */
#ifndef TULLE_HTTP1_BODY_H
#define TULLE_HTTP1_BODY_H

#include "http1/parse.h"

/* Private to lib/http1 but for its size. */
struct http1_body {
	enum http1_body_kind kind;
	unsigned int state;
	unsigned int digits;    /* of a chunk's size so far */
	uint64_t left;          /* of the body or of this chunk */
	size_t extensions;      /* bytes so far */
	const struct http1_rules *rules;
	struct http1_parser fields; /* for trailers */
	struct http1_head trailers;
};

/*
 * Starts on the body of <h>; <p> is the parser that read the head and lends
 * its rules and counts: trailers fall under the same limits.  Up to <max>
 * trailers are kept in <fields>, which is lent; with fewer places than
 * trailers the message is refused.
 */
void http1_body_begin(struct http1_body *b, const struct http1_head *h, const struct http1_parser *p,
    struct http1_field *fields, size_t max);

/*
 * Looks at <n> bytes that follow what was used before; <data> is not NULL.
 *
 *   HTTP1_DATA   *ret_piece is the next piece of the body; *ret_used bytes are done with; ask again
 *   HTTP1_AGAIN  *ret_used bytes are done with; the rest (part of a trailer section, else nothing)
 *                must be given again with more behind it
 *   HTTP1_OK     the body is complete; *ret_used bytes are done with, the rest is the next message
 *   others       refused
 *
 * A tunnel's bytes, like those of a body that ends with the connection, are pieces without end.
 */
enum http1_result http1_body_next(struct http1_body *b, const char *data, size_t n, size_t *ret_used,
    struct http1_text *ret_piece);

/* The connection ended: HTTP1_OK if the body was complete by that, else HTTP1_E_TRUNCATED (H1-30, RS-05). */
enum http1_result http1_body_end(struct http1_body *b);

/* After HTTP1_OK: the trailers; valid as long as the bytes of the last call. */
const struct http1_head *http1_body_trailers(const struct http1_body *b);

/* May this field be passed on as a trailer (H1-29)?  Not framing, routing, credentials, or what describes content. */
bool http1_trailer_allowed(const struct http1_field *f);

#endif
