/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * body.c - where a body ends (9112 6 and 7.1).  The chunk lines are read by
 * a state machine, byte by byte: they are short, and nothing of them has to
 * be kept.
 */
#include "http1/body.h"

#include <string.h>

#include "http1/chars.h"

#define SIZE_DIGITS 16

enum state {
	BODY_PIECES, /* of a body that is not chunked */
	BODY_SIZE,   /* in the digits of a chunk's size */
	BODY_EXT_NAME_START,
	BODY_EXT_NAME,
	BODY_EXT_VALUE_START,
	BODY_EXT_TOKEN,
	BODY_EXT_QUOTED,
	BODY_EXT_ESCAPED,
	BODY_EXT_QUOTED_END,
	BODY_SIZE_LF,
	BODY_CHUNK,
	BODY_CHUNK_CR,
	BODY_CHUNK_LF,
	BODY_TRAILERS,
	BODY_DONE,
};

void
http1_body_begin(struct http1_body *b, const struct http1_head *h, const struct http1_parser *p,
    struct http1_field *fields, size_t max)
{
	*b = (struct http1_body){ .kind = h->body, .rules = p->rules };
	switch (h->body) {
	case HTTP1_BODY_NONE:
		b->state = BODY_DONE;
		break;
	case HTTP1_BODY_LENGTH:
		b->left = h->length;
		b->state = BODY_PIECES;
		break;
	case HTTP1_BODY_CLOSE:
	case HTTP1_BODY_TUNNEL:
		b->left = UINT64_MAX;
		b->state = BODY_PIECES;
		break;
	case HTTP1_BODY_CHUNKED:
		b->state = BODY_SIZE;
		http1_trailers_begin(&b->fields, p, &b->trailers, fields, max);
		break;
	}
}

/* The next of BODY_SIZE: a digit, or what may follow the digits. */
static enum http1_result
size_byte(struct http1_body *b, char c)
{
	if (http1_is(c, HTTP1_C_HEX)) {
		if (b->digits++ >= SIZE_DIGITS || b->left > (uint64_t)INT64_MAX >> 4)
			return HTTP1_E_CHUNK_SIZE;
		b->left = b->left << 4 | http1_hex(c);
		return HTTP1_OK;
	}
	if (b->digits == 0)
		return HTTP1_E_CHUNK_SIZE;
	if (c == ';')
		b->state = BODY_EXT_NAME_START;
	else if (c == '\r')
		b->state = BODY_SIZE_LF;
	else
		return c == '\n' ? HTTP1_E_CHUNK_END : HTTP1_E_CHUNK_SIZE;
	return HTTP1_OK;
}

/* What may follow a whole extension. */
static enum http1_result
extension_end(struct http1_body *b, char c)
{
	if (c == ';')
		b->state = BODY_EXT_NAME_START;
	else if (c == '\r')
		b->state = BODY_SIZE_LF;
	else
		return c == '\n' ? HTTP1_E_CHUNK_END : HTTP1_E_CHUNK_EXTENSION;
	return HTTP1_OK;
}

/* chunk-ext without the white space that 9112 7.1.1 calls bad (H1-27). */
static enum http1_result
extension_byte(struct http1_body *b, char c)
{
	if (++b->extensions > b->rules->extensions_max)
		return HTTP1_E_EXTENSIONS_LONG;
	switch ((enum state)b->state) {
	case BODY_EXT_NAME_START:
		b->state = BODY_EXT_NAME;
		return http1_is(c, HTTP1_C_TOKEN) ? HTTP1_OK : HTTP1_E_CHUNK_EXTENSION;
	case BODY_EXT_NAME:
		if (c == '=')
			b->state = BODY_EXT_VALUE_START;
		else if (!http1_is(c, HTTP1_C_TOKEN))
			return extension_end(b, c);
		return HTTP1_OK;
	case BODY_EXT_VALUE_START:
		b->state = c == '"' ? BODY_EXT_QUOTED : BODY_EXT_TOKEN;
		return c == '"' || http1_is(c, HTTP1_C_TOKEN) ? HTTP1_OK : HTTP1_E_CHUNK_EXTENSION;
	case BODY_EXT_TOKEN:
		return http1_is(c, HTTP1_C_TOKEN) ? HTTP1_OK : extension_end(b, c);
	case BODY_EXT_QUOTED:
		if (c == '"')
			b->state = BODY_EXT_QUOTED_END;
		else if (c == '\\')
			b->state = BODY_EXT_ESCAPED;
		else if (!http1_is(c, HTTP1_C_QUOTED))
			return HTTP1_E_CHUNK_EXTENSION;
		return HTTP1_OK;
	case BODY_EXT_ESCAPED:
		b->state = BODY_EXT_QUOTED;
		return http1_is(c, HTTP1_C_VALUE) ? HTTP1_OK : HTTP1_E_CHUNK_EXTENSION;
	case BODY_EXT_QUOTED_END:
		return extension_end(b, c);
	case BODY_PIECES:
	case BODY_SIZE:
	case BODY_SIZE_LF:
	case BODY_CHUNK:
	case BODY_CHUNK_CR:
	case BODY_CHUNK_LF:
	case BODY_TRAILERS:
	case BODY_DONE:
		break;
	}
	return HTTP1_E_CHUNK_EXTENSION;
}

/* One byte of what surrounds the chunks. */
static enum http1_result
line_byte(struct http1_body *b, char c)
{
	switch ((enum state)b->state) {
	case BODY_SIZE:
		return size_byte(b, c);
	case BODY_SIZE_LF:
		b->state = b->left > 0 ? BODY_CHUNK : BODY_TRAILERS;
		return c == '\n' ? HTTP1_OK : HTTP1_E_CHUNK_END;
	case BODY_CHUNK_CR:
		b->state = BODY_CHUNK_LF;
		return c == '\r' ? HTTP1_OK : HTTP1_E_CHUNK_END;
	case BODY_CHUNK_LF:
		b->state = BODY_SIZE;
		b->digits = 0;
		return c == '\n' ? HTTP1_OK : HTTP1_E_CHUNK_END;
	case BODY_EXT_NAME_START:
	case BODY_EXT_NAME:
	case BODY_EXT_VALUE_START:
	case BODY_EXT_TOKEN:
	case BODY_EXT_QUOTED:
	case BODY_EXT_ESCAPED:
	case BODY_EXT_QUOTED_END:
	case BODY_PIECES:
	case BODY_CHUNK:
	case BODY_TRAILERS:
	case BODY_DONE:
		break;
	}
	return extension_byte(b, c);
}

/* As much of the body, or of this chunk, as is there. */
static void
take_piece(struct http1_body *b, const char *data, size_t n, size_t *ret_used, struct http1_text *ret_piece)
{
	size_t piece = n < b->left ? n : (size_t)b->left;

	*ret_piece = (struct http1_text){ data, piece };
	*ret_used = (size_t)piece;
	if (b->kind == HTTP1_BODY_CLOSE || b->kind == HTTP1_BODY_TUNNEL)
		return;
	b->left -= piece;
	if (b->left == 0)
		b->state = b->state == BODY_CHUNK ? BODY_CHUNK_CR : BODY_DONE;
}

enum http1_result
http1_body_next(struct http1_body *b, const char *data, size_t n, size_t *ret_used, struct http1_text *ret_piece)
{
	size_t at = 0, used = 0;
	enum http1_result r;

	for (;;) {
		switch ((enum state)b->state) {
		case BODY_DONE:
			*ret_used = at;
			return HTTP1_OK;
		case BODY_TRAILERS:
			/* They are read in one piece, and stay with the caller until then. */
			r = http1_parse(&b->fields, data + at, n - at, &used);
			if (r == HTTP1_OK) {
				at += used;
				b->state = BODY_DONE;
			}
			*ret_used = at;
			return r;
		case BODY_PIECES:
		case BODY_CHUNK:
			if (at == n) {
				*ret_used = at;
				return HTTP1_AGAIN;
			}
			take_piece(b, data + at, n - at, &used, ret_piece);
			*ret_used = at + used;
			return HTTP1_DATA;
		case BODY_SIZE:
		case BODY_EXT_NAME_START:
		case BODY_EXT_NAME:
		case BODY_EXT_VALUE_START:
		case BODY_EXT_TOKEN:
		case BODY_EXT_QUOTED:
		case BODY_EXT_ESCAPED:
		case BODY_EXT_QUOTED_END:
		case BODY_SIZE_LF:
		case BODY_CHUNK_CR:
		case BODY_CHUNK_LF:
			if (at == n) {
				*ret_used = at;
				return HTTP1_AGAIN;
			}
			r = line_byte(b, data[at++]);
			if (r != HTTP1_OK)
				return r;
			break;
		}
	}
}

enum http1_result
http1_body_end(struct http1_body *b)
{
	if (b->state == BODY_DONE || b->kind == HTTP1_BODY_CLOSE || b->kind == HTTP1_BODY_TUNNEL) {
		b->state = BODY_DONE;
		return HTTP1_OK;
	}
	return HTTP1_E_TRUNCATED;
}

const struct http1_head *
http1_body_trailers(const struct http1_body *b)
{
	return &b->trailers;
}
