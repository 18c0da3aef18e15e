/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * reader.h - one message after the other out of a stream of bytes, each
 * gathered whole: what client and server have in common.  Private to
 * lib/http.
 */
#ifndef TULLE_HTTP_READER_H
#define TULLE_HTTP_READER_H

#include "base/buf.h"
#include "base/err.h"
#include "http1/body.h"
#include "http1/parse.h"

#define READER_TRAILERS 16

enum reader_event {
	READER_MORE,   /* wants more bytes */
	READER_HEAD,   /* the head is complete; once a message, ask again */
	READER_DONE,   /* the message is complete */
	READER_BROKEN, /* reader.why says which rule */
	READER_LARGE,  /* the body is longer than allowed */
	READER_NOMEM,
};

struct http_reader {
	struct buf in;   /* bytes not looked at, or not finished with */
	struct buf kept; /* the bytes of the head, which its texts point into */
	struct buf body;
	size_t body_max;
	struct http1_parser parser;
	struct http1_head head;
	struct http1_body framing;
	enum { READER_IN_HEAD, READER_IN_BODY, READER_COMPLETE } stage;
	enum http1_result why;
	struct http1_field fields[HTTP1_FIELDS];
	struct http1_field trailers[READER_TRAILERS];
};

/* A reader of bodies up to <body_max> bytes; begin with one of the two below. */
void reader_init(struct http_reader *r, size_t body_max);
void reader_free(struct http_reader *r);

/* Goes on to the next message; bytes that follow the last one stay. */
void reader_begin_request(struct http_reader *r);
void reader_begin_response(struct http_reader *r, enum http1_asked asked);

/* Adds bytes, copied: at most a piece of 64 KiB after READER_MORE.  TULLE_ELIMIT, TULLE_ENOMEM. */
enum tulle_err reader_add(struct http_reader *r, const void *p, size_t n);

enum reader_event reader_step(struct http_reader *r);

/* The stream ended: does that complete the message? */
bool reader_end(struct http_reader *r);

/* The body, with a NUL behind it; NULL only if there is no memory for that one byte. */
const uint8_t *reader_body(struct http_reader *r, size_t *ret_len);

#endif
