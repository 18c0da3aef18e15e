/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/table.h"

#include <string.h>

#define TABLE_FIRST 16

static void
insert(struct table_slot *slots, size_t mask, uint64_t hash, void *value)
{
	size_t i = (size_t)hash & mask;

	while (slots[i].value != NULL)
		i = (i + 1) & mask;
	slots[i] = (struct table_slot){ hash, value };
}

/* Old slots stay behind in the arena: all sizes together are less than twice the last. */
static bool
grow(struct table *t, struct arena *arena)
{
	size_t cap = t->slots == NULL ? TABLE_FIRST : 2 * (t->mask + 1), i, old;
	struct table_slot *slots = arena_array(arena, cap, sizeof(*slots));

	if (slots == NULL)
		return false;
	if (t->slots != NULL) {
		/* Begin behind a free slot, so that values of one hash keep their order round the end. */
		for (old = 0; t->slots[old].value != NULL; old++)
			continue;
		for (i = 0; i <= t->mask; i++) {
			const struct table_slot *s = &t->slots[(old + i) & t->mask];

			if (s->value != NULL)
				insert(slots, cap - 1, s->hash, s->value);
		}
	}
	t->slots = slots;
	t->mask = cap - 1;
	return true;
}

bool
table_put(struct table *t, struct arena *arena, uint64_t hash, void *value)
{
	if ((t->slots == NULL || 2 * (t->n + 1) > t->mask + 1) && !grow(t, arena))
		return false;
	insert(t->slots, t->mask, hash, value);
	t->n++;
	return true;
}

/* The finalizer of MurmurHash3: every bit of the input reaches every bit of the mask. */
static uint64_t
mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

uint64_t
hash_addr(const struct addr *a)
{
	uint64_t part[2];

	memcpy(part, a->ip, sizeof(part));
	return mix(part[0] ^ mix(part[1] ^ mix((uint64_t)a->family << 16 | a->port)));
}

uint64_t
hash_bytes(uint64_t seed, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		seed = (seed ^ b[i]) * UINT64_C(0x100000001b3);
	return seed;
}

uint64_t
hash_text(uint64_t seed, const char *text)
{
	return hash_bytes(seed, text, strlen(text) + 1); /* the NUL keeps "a","bc" and "ab","c" apart */
}
