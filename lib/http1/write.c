/* SPDX-License-Identifier: GPL-3.0-or-later */
/* write.c - heads are checked and measured first, then written in one go. */
#include "http1/write.h"

#include <string.h>

#include "base/cleanup.h"
#include "http1/body.h"
#include "http1/chars.h"

#define MADE_HERE (HTTP1_BIT(HTTP1_HOST) | HTTP1_BIT(HTTP1_CONTENT_LENGTH) | HTTP1_BIT(HTTP1_TRANSFER_ENCODING))
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define LENGTH "Content-Length: "
#define DECIMAL_MAX 20

/* A value is legal if it reads back as it is: no controls, nothing that trimming takes away. */
static bool
field_valid(const struct http1_field *f)
{
	struct http1_text t;

	if (f->name.n == 0 || f->name.n > HTTP1_NAME_MAX || !http1_all(f->name.p, f->name.n, HTTP1_C_TOKEN))
		return false;
	if (f->value.n == 0)
		return true;
	t = http1_trim(f->value.p, f->value.n);
	return t.n == f->value.n && http1_value_valid(t.p, t.n);
}

/* The bytes that the fields take, or 0 with *ret_bad set. */
static size_t
fields_size(const struct http1_field *fields, size_t n, bool *ret_bad)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++) {
		const struct http1_field *f = &fields[i];

		if (!field_valid(f) || (HTTP1_BIT(http1_name_of(f->name.p, f->name.n)) & MADE_HERE) != 0) {
			*ret_bad = true;
			return 0;
		}
		size += f->name.n + 2 + f->value.n + 2;
	}
	return size;
}

static char *
put(char *at, const char *p, size_t n)
{
	if (n > 0)
		memcpy(at, p, n);
	return at + n;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *
put_decimal(char *at, uint64_t v)
{
	char digits[DECIMAL_MAX];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return put(at, digits + i, sizeof(digits) - i);
}

static char *
put_fields(char *at, const struct http1_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		at = put(at, fields[i].name.p, fields[i].name.n);
		at = PUT(at, ": ");
		at = put(at, fields[i].value.p, fields[i].value.n);
		at = PUT(at, "\r\n");
	}
	return at;
}

/* 1xx and 204 have neither content nor a length (RS-01). */
static bool
never_content(const struct http1_head *h)
{
	return h->status >= 100 && (h->status < 200 || h->status == 204);
}

/* The field about the body, if there is one, and the empty line. */
static char *
put_framing(char *at, const struct http1_head *h)
{
	if (h->body == HTTP1_BODY_CHUNKED) {
		at = PUT(at, CHUNKED);
	} else if (h->body == HTTP1_BODY_LENGTH || (h->body == HTTP1_BODY_NONE && h->has_length && !never_content(h))) {
		at = PUT(at, LENGTH);
		at = put_decimal(at, h->length);
		at = PUT(at, "\r\n");
	}
	return PUT(at, "\r\n");
}

#define FRAMING_MAX (sizeof(LENGTH) + DECIMAL_MAX + sizeof(CHUNKED) + 4)

enum tulle_err
http1_write_request(struct buf *out, const struct http1_head *h)
{
	struct http1_head again = { .method = h->method, .target = h->target };
	bool bad = false;
	uint8_t *room;
	char *at;
	size_t size;
	enum tulle_err e;

	if (h->method.n == 0 || h->method.n > HTTP1_METHOD_MAX || !http1_all(h->method.p, h->method.n, HTTP1_C_TOKEN) ||
	    h->target.p == NULL || http1_target_parse(&again) != HTTP1_OK || !http1_authority_valid(h->authority, false))
		return TULLE_EINVAL;
	if (h->body == HTTP1_BODY_CLOSE || h->body == HTTP1_BODY_TUNNEL || h->length > INT64_MAX ||
	    (h->body == HTTP1_BODY_NONE && h->length > 0) ||
	    (again.form == HTTP1_FORM_AUTHORITY && h->body != HTTP1_BODY_NONE))
		return TULLE_EINVAL; /* a request has no such body */
	size = fields_size(h->fields, h->n, &bad);
	if (bad)
		return TULLE_EINVAL;
	size += h->method.n + 1 + h->target.n + sizeof(" HTTP/1.1\r\nHost: ") + h->authority.n + 2 + FRAMING_MAX;
	e = buf_reserve(out, size, &room);
	if (e != TULLE_OK)
		return e;
	at = put((char *)room, h->method.p, h->method.n);
	at = PUT(at, " ");
	at = put(at, h->target.p, h->target.n);
	at = PUT(at, " HTTP/1.1\r\nHost: ");
	at = put(at, h->authority.p, h->authority.n);
	at = PUT(at, "\r\n");
	at = put_fields(at, h->fields, h->n);
	at = put_framing(at, h);
	buf_commit(out, (size_t)(at - (char *)room));
	return TULLE_OK;
}

enum tulle_err
http1_write_response(struct buf *out, const struct http1_head *h)
{
	bool bad = false;
	uint8_t *room;
	char *at;
	size_t size;
	enum tulle_err e;

	if (h->status < 100 || h->status > 599 || !http1_value_valid(h->reason.p, h->reason.n) || h->length > INT64_MAX)
		return TULLE_EINVAL;
	if (never_content(h) && (h->body == HTTP1_BODY_LENGTH || h->body == HTTP1_BODY_CHUNKED))
		return TULLE_EINVAL;
	size = fields_size(h->fields, h->n, &bad);
	/* Host has no meaning in a response, but it breaks nothing; one rule for both is simpler. */
	if (bad)
		return TULLE_EINVAL;
	size += sizeof("HTTP/1.1 ") + 4 + h->reason.n + 2 + FRAMING_MAX;
	e = buf_reserve(out, size, &room);
	if (e != TULLE_OK)
		return e;
	at = PUT((char *)room, "HTTP/1.1 ");
	at = put_decimal(at, h->status);
	at = PUT(at, " ");
	at = put(at, h->reason.p, h->reason.n);
	at = PUT(at, "\r\n");
	at = put_fields(at, h->fields, h->n);
	at = put_framing(at, h);
	buf_commit(out, (size_t)(at - (char *)room));
	return TULLE_OK;
}

size_t
http1_chunk_head(char out[HTTP1_CHUNK_HEAD], uint64_t n)
{
	static const char hex[] = "0123456789abcdef";
	char digits[16];
	size_t i = sizeof(digits);

	do {
		digits[--i] = hex[n & 15];
		n >>= 4;
	} while (n > 0);
	memcpy(out, digits + i, sizeof(digits) - i);
	memcpy(out + sizeof(digits) - i, "\r\n", 2);
	return sizeof(digits) - i + 2;
}

enum tulle_err
http1_write_chunk(struct buf *out, const void *p, size_t n)
{
	char head[HTTP1_CHUNK_HEAD];
	size_t head_len;
	uint8_t *room;
	enum tulle_err e;

	if (n == 0)
		return TULLE_OK;
	if (n > SIZE_MAX - sizeof(head) - 2)
		return TULLE_ELIMIT;
	head_len = http1_chunk_head(head, n);
	e = buf_reserve(out, head_len + n + 2, &room);
	if (e != TULLE_OK)
		return e;
	memcpy(room, head, head_len);
	memcpy(room + head_len, p, n);
	memcpy(room + head_len + n, "\r\n", 2);
	buf_commit(out, head_len + n + 2);
	return TULLE_OK;
}

enum tulle_err
http1_write_last(struct buf *out, const struct http1_field *trailers, size_t n)
{
	size_t size = sizeof("0\r\n\r\n");
	uint8_t *room;
	char *at;
	enum tulle_err e;

	for (size_t i = 0; i < n; i++) {
		if (!field_valid(&trailers[i]))
			return TULLE_EINVAL;
		size += trailers[i].name.n + 2 + trailers[i].value.n + 2;
	}
	e = buf_reserve(out, size, &room);
	if (e != TULLE_OK)
		return e;
	at = PUT((char *)room, "0\r\n");
	for (size_t i = 0; i < n; i++)
		if (http1_trailer_allowed(&trailers[i]))
			at = put_fields(at, &trailers[i], 1);
	at = PUT(at, "\r\n");
	buf_commit(out, (size_t)(at - (char *)room));
	return TULLE_OK;
}

const char *
http1_reason(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *reason;
	} reasons[] = {
		{ 100, "Continue" }, { 101, "Switching Protocols" }, { 103, "Early Hints" }, { 200, "OK" }, { 201, "Created" },
		{ 202, "Accepted" }, { 204, "No Content" }, { 206, "Partial Content" }, { 301, "Moved Permanently" },
		{ 302, "Found" }, { 303, "See Other" }, { 304, "Not Modified" }, { 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 409, "Conflict" },
		{ 411, "Length Required" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" }, { 417, "Expectation Failed" }, { 421, "Misdirected Request" },
		{ 426, "Upgrade Required" }, { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
		{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
		{ 508, "Loop Detected" },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}
