/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * buf.h - a bounded byte buffer with a head and a count.
 *
 *   data            data+off        data+off+len          data+cap
 *   | given back    | waiting       | free                |
 *
 * Invariants: off + len <= cap <= max.  A buffer that has become empty
 * keeps its memory until buf_free() or buf_release(); one that is set to
 * zero bytes is a valid empty buffer with no room.
 */
#ifndef TULLE_BASE_BUF_H
#define TULLE_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
	uint8_t *data; /* owned */
	size_t off;
	size_t len;
	size_t cap;
	size_t max; /* never grows beyond this many bytes */
};

/* An empty buffer that may grow to <max> bytes; takes no memory yet. */
static inline struct buf
buf_new(size_t max)
{
	return (struct buf){ .max = max };
}

/* Gives the memory back; the bound stays. */
void buf_free(struct buf *b);

/* Like buf_free(), but overwrites the bytes first: for keys. */
void buf_wipe(struct buf *b);

/*
 * Makes room for at least <n> more bytes behind the waiting ones.
 *
 *   TULLE_OK      *ret_p points to the room; the caller writes there and
 *                 calls buf_commit()
 *   TULLE_ELIMIT  len + n would exceed max; nothing changed
 *   TULLE_ENOMEM  nothing changed
 */
enum tulle_err buf_reserve(struct buf *b, size_t n, uint8_t **ret_p);

/* <n> bytes were written into the room; n <= what was reserved. */
void buf_commit(struct buf *b, size_t n);

/* Copies <n> bytes behind the waiting ones.  Errors as buf_reserve(). */
enum tulle_err buf_append(struct buf *b, const void *p, size_t n);

/* Appends formatted text, without its NUL.  Errors as buf_reserve(). */
enum tulle_err buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static inline const uint8_t *
buf_head(const struct buf *b)
{
	return b->data + b->off;
}

static inline size_t
buf_len(const struct buf *b)
{
	return b->len;
}

/* Takes <n> bytes off the front; n <= buf_len(). */
void buf_consume(struct buf *b, size_t n);

#endif
