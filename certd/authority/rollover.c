/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/rollover.h"

#include <stdbool.h>

const char *
ca_state_name(enum ca_state s)
{
	static const char *const names[] = { [CA_PREPARED] = "prepared", [CA_ACTIVE] = "active", [CA_OLD] = "old",
		[CA_GONE] = "gone" };

	return names[s];
}

static const struct ca_times *
find(const struct ca_times *cas, size_t n, enum ca_state state)
{
	for (size_t i = 0; i < n; i++)
		if (cas[i].state == state)
			return &cas[i];
	return NULL;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

struct rollover
rollover_next(const struct ca_times *cas, size_t n, int64_t life, int64_t leaf, int64_t now)
{
	const struct ca_times *active = find(cas, n, CA_ACTIVE);
	const struct ca_times *prepared = find(cas, n, CA_PREPARED);
	int64_t prepare_at = active == NULL ? now : active->end - (active->end - active->begin) / 2;
	int64_t activate_at = active == NULL ? now : active->end - (active->end - active->begin) / 3;
	int64_t at = INT64_MAX;

	for (size_t i = 0; i < n; i++) {
		/* One that waited so long that it cannot serve any more is useless. */
		bool useless = cas[i].state == CA_PREPARED && cas[i].end - now < leaf;
		bool spent = cas[i].state == CA_OLD && cas[i].last_leaf <= now;

		if (useless || spent)
			return (struct rollover){ .what = ROLLOVER_FORGET, .which = i };
		if (cas[i].state == CA_OLD)
			at = earlier(at, cas[i].last_leaf);
	}
	if (prepared == NULL) {
		/* A root near its end may leave no room for one that could ever be activated. */
		if (prepare_at <= now && life >= leaf)
			return (struct rollover){ .what = ROLLOVER_PREPARE };
		at = earlier(at, prepare_at > now ? prepare_at : now + leaf);
	} else {
		if (activate_at <= now)
			return (struct rollover){ .what = ROLLOVER_ACTIVATE, .which = (size_t)(prepared - cas) };
		at = earlier(at, activate_at);
	}
	return (struct rollover){ .what = ROLLOVER_WAIT, .at = at };
}
