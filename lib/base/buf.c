/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 256

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void
buf_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

enum tulle_err
buf_reserve(struct buf *b, size_t n, uint8_t **ret_p)
{
	size_t cap, want;
	uint8_t *p;

	if (n > b->max || b->len > b->max - n)
		return TULLE_ELIMIT;
	if (b->cap - b->off - b->len >= n)
		goto done;
	if (b->off > 0 && b->cap - b->len >= n) {
		memmove(b->data, b->data + b->off, b->len);
		b->off = 0;
		goto done;
	}
	want = b->len + n;
	cap = b->cap > 0 ? b->cap : BUF_FIRST;
	while (cap < want)
		cap = cap <= b->max / 2 ? cap * 2 : b->max;
	if (cap > b->max)
		cap = b->max;
	p = malloc(cap > 0 ? cap : 1);
	if (p == NULL)
		return TULLE_ENOMEM;
	if (b->len > 0)
		memcpy(p, b->data + b->off, b->len);
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap); /* it may have held a key */
	free(b->data);
	b->data = p;
	b->off = 0;
	b->cap = cap;
done:
	*ret_p = b->data + b->off + b->len;
	return TULLE_OK;
}

void
buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->off - b->len);
	b->len += n;
}

enum tulle_err
buf_append(struct buf *b, const void *p, size_t n)
{
	uint8_t *room;
	enum tulle_err e;

	if (n == 0)
		return TULLE_OK;
	e = buf_reserve(b, n, &room);
	if (e != TULLE_OK)
		return e;
	memcpy(room, p, n);
	buf_commit(b, n);
	return TULLE_OK;
}

enum tulle_err
buf_printf(struct buf *b, const char *fmt, ...)
{
	uint8_t *room;
	enum tulle_err e;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return TULLE_EINVAL;
	e = buf_reserve(b, (size_t)n + 1, &room); /* the NUL needs room, too */
	if (e != TULLE_OK)
		return e;
	va_start(ap, fmt);
	(void)vsnprintf((char *)room, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf_commit(b, (size_t)n);
	return TULLE_OK;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->off += n;
	b->len -= n;
	if (b->len == 0)
		b->off = 0;
}
