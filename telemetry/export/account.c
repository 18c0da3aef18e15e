/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/account.h"

static const char *const names[] = {
#define X(symbol, name, path) [symbol] = (name),
	SIGNAL_TABLE(X)
#undef X
};

static const char *const paths[] = {
#define X(symbol, name, path) [symbol] = (path),
	SIGNAL_TABLE(X)
#undef X
};

static const char *const reasons[] = {
#define X(symbol, name) [symbol] = (name),
	DROP_TABLE(X)
#undef X
};

const char *
signal_name(enum signal s)
{
	return names[s];
}

const char *
signal_path(enum signal s)
{
	return paths[s];
}

const char *
drop_name(enum drop_reason r)
{
	return reasons[r];
}

uint64_t
dropped_sum(const uint64_t dropped[DROP_REASONS])
{
	uint64_t sum = 0;

	for (int i = 0; i < DROP_REASONS; i++)
		sum += dropped[i];
	return sum;
}

bool
stage_account_holds(const struct stage_account *a, uint64_t in_batch)
{
	return a->emitted == dropped_sum(a->dropped) + in_batch + a->handed_on;
}

bool
lane_account_holds(const struct lane_account *a, uint64_t queued)
{
	return a->accepted == a->delivered + a->rejected + dropped_sum(a->dropped) + queued;
}
