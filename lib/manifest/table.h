/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table.h - a hash table that is filled once and then only read.  Within
 * lib/manifest.
 *
 * It keeps hashes and pointers; whoever asks compares the keys:
 *
 *   for (at = table_start(t, h); (v = table_next(t, h, &at)) != NULL;)
 *           if (it is the right one) ...
 *
 * Values come back in the order they were put in.  Open addressing, at most
 * half full, so a search always ends.
 */
#ifndef TULLE_MANIFEST_TABLE_H
#define TULLE_MANIFEST_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"

struct table_slot {
	uint64_t hash;
	void *value; /* NULL: free */
};

struct table { /* starts as { 0 } */
	struct table_slot *slots;
	size_t mask;
	size_t n;
};

/* False: no memory; nothing changed. */
bool table_put(struct table *t, struct arena *arena, uint64_t hash, void *value);

static inline size_t
table_start(const struct table *t, uint64_t hash)
{
	return (size_t)hash & t->mask;
}

/* The next value with this hash, NULL at the end. */
static inline void *
table_next(const struct table *t, uint64_t hash, size_t *at)
{
	const struct table_slot *s;

	if (t->slots == NULL)
		return NULL;
	for (;;) {
		s = &t->slots[*at];
		if (s->value == NULL)
			return NULL;
		*at = (*at + 1) & t->mask;
		if (s->hash == hash)
			return s->value;
	}
}

/* Address and port. */
uint64_t hash_addr(const struct addr *a);

/* FNV-1a over the bytes, going on from <seed>. */
#define HASH_SEED UINT64_C(0xcbf29ce484222325)
uint64_t hash_bytes(uint64_t seed, const void *p, size_t n);
uint64_t hash_text(uint64_t seed, const char *text);

#endif
