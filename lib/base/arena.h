/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * arena.h - memory that is taken in small pieces and given back as a whole.
 *
 * For trees that live and die together: a parsed file, a snapshot.  Pieces
 * are aligned for any type and start as zero bytes.
 */
#ifndef TULLE_BASE_ARENA_H
#define TULLE_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* owned; the newest first */
	size_t used;                /* bytes handed out so far */
	size_t max;                 /* never more than this */
};

/* An empty arena that hands out at most <max> bytes; takes no memory yet. */
static inline struct arena
arena_new(size_t max)
{
	return (struct arena){ .max = max };
}

/* Gives everything back; the bound stays. */
void arena_free(struct arena *a);

/* <size> zero bytes, or NULL if memory or the bound is exhausted.  A size of 0 is fine. */
void *arena_alloc(struct arena *a, size_t size);

/* <n> times <size> bytes; NULL also if the product overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);

/* A copy of <n> bytes with a NUL behind them, or NULL. */
char *arena_text(struct arena *a, const char *p, size_t n);

/* Formatted text, or NULL. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
