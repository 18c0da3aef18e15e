/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/limit.h"

#include <stdio.h>
#include <string.h>

/* The place of <name>, else the one that it may have. */
static size_t
find(const struct limit *l, const char *name, bool *ret_there)
{
	size_t place = 0;

	for (size_t i = 0; i < LIMIT_NAMES; i++) {
		if (strncmp(l->items[i].name, name, LIMIT_NAME - 1) == 0) {
			*ret_there = true;
			return i;
		}
		if (l->items[i].full_at < l->items[place].full_at)
			place = i;
	}
	*ret_there = false;
	return place;
}

/* Is there room for one more call in a bucket that is full again at <full_at>?  Then *ret is when it is full after it. */
static bool
room(const struct limit *l, uint64_t full_at, uint64_t now_ms, uint64_t *ret)
{
	const uint64_t from = full_at > now_ms ? full_at : now_ms;

	if (from + l->per_ms > now_ms + (uint64_t)l->burst * l->per_ms)
		return false;
	*ret = from + l->per_ms;
	return true;
}

bool
limit_may(const struct limit *l, const char *name, uint64_t now_ms)
{
	uint64_t full_at;
	bool there;
	const size_t place = find(l, name, &there);

	return room(l, there ? l->items[place].full_at : 0, now_ms, &full_at);
}

bool
limit_take(struct limit *l, const char *name, uint64_t now_ms)
{
	bool there;
	const size_t place = find(l, name, &there);

	if (!there) {
		(void)snprintf(l->items[place].name, LIMIT_NAME, "%s", name);
		l->items[place].full_at = 0;
	}
	return room(l, l->items[place].full_at, now_ms, &l->items[place].full_at);
}
