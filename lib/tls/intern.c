/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/intern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define HEADS 256

struct text {
	struct text *next;
	size_t refs;
	size_t len;
	uint32_t hash;
	char bytes[];
};

static _Thread_local struct text *heads[HEADS];
static _Thread_local size_t texts;

/* FNV-1a.  A peer that makes IDs collide slows its own handshakes: it needs a signature for each. */
static uint32_t
hash_of(const char *p, size_t len)
{
	uint32_t h = 2166136261u;

	while (len-- > 0)
		h = (h ^ (uint8_t)*p++) * 16777619u;
	return h;
}

const char *
intern_get(const char *text, size_t len)
{
	uint32_t hash = hash_of(text, len);
	struct text **head = &heads[hash % HEADS], *t;

	for (t = *head; t != NULL; t = t->next) {
		if (t->hash == hash && t->len == len && memcmp(t->bytes, text, len) == 0) {
			t->refs++;
			return t->bytes;
		}
	}
	t = malloc(sizeof(*t) + len + 1);
	if (t == NULL)
		return NULL;
	*t = (struct text){ .next = *head, .refs = 1, .len = len, .hash = hash };
	memcpy(t->bytes, text, len);
	t->bytes[len] = '\0';
	*head = t;
	texts++;
	return t->bytes;
}

const char *
intern_put(const char *text)
{
	struct text *t, **link;

	if (text == NULL)
		return NULL;
	t = (struct text *)((uintptr_t)text - offsetof(struct text, bytes));
	if (--t->refs > 0)
		return NULL;
	for (link = &heads[t->hash % HEADS]; *link != t; link = &(*link)->next)
		;
	*link = t->next;
	free(t);
	texts--;
	return NULL;
}

size_t
intern_count(void)
{
	return texts;
}
