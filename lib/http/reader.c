/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http/reader.h"

#include <string.h>

#define PIECE_MAX 65536

void
reader_init(struct http_reader *r, size_t body_max)
{
	memset(r, 0, sizeof(*r));
	r->in = buf_new(http1_head_max(&http1_rules_default) + 2 * PIECE_MAX);
	r->kept = buf_new(r->in.max);
	r->body = buf_new(body_max + 1);
	r->body_max = body_max;
}

void
reader_free(struct http_reader *r)
{
	buf_free(&r->in);
	buf_free(&r->kept);
	buf_free(&r->body);
}

static void
begin(struct http_reader *r)
{
	buf_free(&r->kept);
	buf_free(&r->body);
	r->stage = READER_IN_HEAD;
}

void
reader_begin_request(struct http_reader *r)
{
	begin(r);
	http1_request_begin(&r->parser, &http1_rules_default, &r->head, r->fields, HTTP1_FIELDS);
}

void
reader_begin_response(struct http_reader *r, enum http1_asked asked)
{
	begin(r);
	http1_response_begin(&r->parser, &http1_rules_default, asked, &r->head, r->fields, HTTP1_FIELDS);
}

enum tulle_err
reader_add(struct http_reader *r, const void *p, size_t n)
{
	return buf_append(&r->in, p, n);
}

static enum reader_event
broken(struct http_reader *r, enum http1_result why)
{
	r->why = why;
	return READER_BROKEN;
}

static enum reader_event
step_head(struct http_reader *r)
{
	struct buf rest = buf_new(r->in.max);
	enum http1_result e;
	size_t used = 0;

	if (buf_len(&r->in) == 0)
		return READER_MORE;
	e = http1_parse(&r->parser, (const char *)buf_head(&r->in), buf_len(&r->in), &used);
	if (e == HTTP1_AGAIN)
		return READER_MORE;
	if (e != HTTP1_OK)
		return broken(r, e);
	/* The head keeps the memory that it points into; what follows it moves on. */
	if (buf_append(&rest, buf_head(&r->in) + used, buf_len(&r->in) - used) != TULLE_OK)
		return READER_NOMEM;
	r->kept = r->in;
	r->in = rest;
	http1_body_begin(&r->framing, &r->head, &r->parser, r->trailers, READER_TRAILERS);
	r->stage = READER_IN_BODY;
	return READER_HEAD;
}

static enum reader_event
step_body(struct http_reader *r)
{
	struct http1_text piece;
	enum http1_result e;
	const char *p;
	size_t used;

	if (r->head.has_length && r->head.body == HTTP1_BODY_LENGTH && r->head.length > r->body_max)
		return READER_LARGE;
	for (;;) {
		used = 0;
		p = buf_len(&r->in) > 0 ? (const char *)buf_head(&r->in) : "";
		e = http1_body_next(&r->framing, p, buf_len(&r->in), &used, &piece);
		if (e == HTTP1_DATA) {
			if (piece.n > r->body_max - buf_len(&r->body))
				return READER_LARGE;
			if (buf_append(&r->body, piece.p, piece.n) != TULLE_OK)
				return READER_NOMEM;
		}
		if (e != HTTP1_DATA && e != HTTP1_AGAIN && e != HTTP1_OK)
			return broken(r, e);
		buf_consume(&r->in, used);
		if (e == HTTP1_AGAIN)
			return READER_MORE;
		if (e == HTTP1_OK) {
			r->stage = READER_COMPLETE;
			return READER_DONE;
		}
	}
}

enum reader_event
reader_step(struct http_reader *r)
{
	switch (r->stage) {
	case READER_IN_HEAD:
		return step_head(r);
	case READER_IN_BODY:
		return step_body(r);
	case READER_COMPLETE:
		break;
	}
	return READER_DONE;
}

bool
reader_end(struct http_reader *r)
{
	return r->stage == READER_COMPLETE || (r->stage == READER_IN_BODY && http1_body_end(&r->framing) == HTTP1_OK);
}

const uint8_t *
reader_body(struct http_reader *r, size_t *ret_len)
{
	uint8_t *room;

	if (buf_reserve(&r->body, 1, &room) != TULLE_OK)
		return NULL;
	*room = '\0';
	*ret_len = buf_len(&r->body);
	return buf_head(&r->body);
}
