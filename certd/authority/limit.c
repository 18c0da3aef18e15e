/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/limit.h"

#include <stdio.h>
#include <string.h>

bool
limit_take(struct limit *l, const char *name, uint64_t now_ms)
{
	size_t place = 0;
	uint64_t full_at;

	for (size_t i = 0; i < LIMIT_NAMES; i++) {
		if (strncmp(l->items[i].name, name, LIMIT_NAME - 1) == 0) {
			place = i;
			break;
		}
		if (l->items[i].full_at < l->items[place].full_at)
			place = i;
	}
	if (strncmp(l->items[place].name, name, LIMIT_NAME - 1) != 0) {
		(void)snprintf(l->items[place].name, LIMIT_NAME, "%s", name);
		l->items[place].full_at = 0;
	}
	full_at = l->items[place].full_at > now_ms ? l->items[place].full_at : now_ms;
	if (full_at + l->per_ms > now_ms + (uint64_t)l->burst * l->per_ms)
		return false;
	l->items[place].full_at = full_at + l->per_ms;
	return true;
}
