/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * limit.h - token buckets by name, in a table of fixed size (pure).
 *
 * A name that finds no free place takes that of the one that has been quiet
 * for longest: memory is bounded, and whoever floods the table with names
 * only makes others' buckets full again.
 */
#ifndef TULLE_CERTD_AUTHORITY_LIMIT_H
#define TULLE_CERTD_AUTHORITY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_NAMES 256
#define LIMIT_NAME 64

struct limit {
	uint32_t burst;  /* calls at once */
	uint32_t per_ms; /* one more call every so many milliseconds */
	struct {
		char name[LIMIT_NAME];
		uint64_t full_at; /* when the bucket is full again */
	} items[LIMIT_NAMES];
};

/* May <name> make one more call at <now_ms>? */
bool limit_take(struct limit *l, const char *name, uint64_t now_ms);

/* The same without making it. */
bool limit_may(const struct limit *l, const char *name, uint64_t now_ms);

#endif
