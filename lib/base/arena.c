/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_FIRST 1024
#define ARENA_BLOCK (64 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t len;
	size_t cap;
	alignas(max_align_t) unsigned char data[];
};

void
arena_free(struct arena *a)
{
	while (a->blocks != NULL) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	a->used = 0;
}

/* Blocks grow with the arena, so that a small one stays small. */
static struct arena_block *
new_block(struct arena *a, size_t size)
{
	size_t cap = a->blocks == NULL ? ARENA_FIRST : a->blocks->cap * 2;
	struct arena_block *b;

	if (cap > ARENA_BLOCK)
		cap = ARENA_BLOCK;
	if (cap < size)
		cap = size;
	b = calloc(1, sizeof(*b) + cap);
	if (b == NULL)
		return NULL;
	b->cap = cap;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct arena_block *b = a->blocks;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = size == 0 ? align : (size + align - 1) / align * align;
	if (size > a->max || a->used > a->max - size)
		return NULL;
	if (b == NULL || b->cap - b->len < size) {
		b = new_block(a, size);
		if (b == NULL)
			return NULL;
	}
	p = b->data + b->len;
	b->len += size;
	a->used += size;
	return p;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	return arena_alloc(a, n * size);
}

char *
arena_text(struct arena *a, const char *p, size_t n)
{
	char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (copy != NULL && n > 0)
		memcpy(copy, p, n);
	return copy;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *out;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	out = arena_alloc(a, (size_t)n + 1);
	if (out == NULL)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(out, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return out;
}
