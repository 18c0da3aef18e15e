/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * account.h - where every record went.  Two sums hold at any moment, per
 * signal:
 *
 *   stage:  emitted  = dropped{reason} + in the open batch + handed on
 *   lane:   accepted = delivered + rejected + dropped{reason} + queued
 *
 * A lane is one signal on its way to one destination; what a stage hands on
 * each lane accepts.  Counted in records (metrics: data points).
 */
#ifndef TULLE_TELEMETRY_EXPORT_ACCOUNT_H
#define TULLE_TELEMETRY_EXPORT_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#define SIGNAL_TABLE(X)                                    \
	X(SIGNAL_TRACES, "traces", "/v1/traces")           \
	X(SIGNAL_METRICS, "metrics", "/v1/metrics")        \
	X(SIGNAL_LOGS, "logs", "/v1/logs")

#define DROP_TABLE(X)                                                                  \
	X(DROP_SAMPLED_OUT, "sampled_out")     /* not wanted: access level, sampling */ \
	X(DROP_RATE_CAP, "rate_cap")           /* more a second than allowed */        \
	X(DROP_NO_MEMORY, "no_memory")                                                 \
	X(DROP_NO_DESTINATION, "no_destination") /* none is configured */              \
	X(DROP_QUEUE_FULL, "queue_full")       /* the oldest made room */              \
	X(DROP_SUPERSEDED, "superseded")       /* metrics: a newer sum says the same */ \
	X(DROP_NON_RETRYABLE, "non_retryable") /* the server said no for good */       \
	X(DROP_TOO_LARGE, "too_large")                                                 \
	X(DROP_REMOVED, "destination_removed") /* by a reload */                       \
	X(DROP_SHUTDOWN, "shutdown")           /* still queued when we had to go */

enum signal {
#define X(symbol, name, path) symbol,
	SIGNAL_TABLE(X)
#undef X
	SIGNALS
};

enum drop_reason {
#define X(symbol, name) symbol,
	DROP_TABLE(X)
#undef X
	DROP_REASONS
};

const char *signal_name(enum signal s);      /* "logs" */
const char *signal_path(enum signal s);      /* "/v1/logs" */
const char *drop_name(enum drop_reason r);   /* "queue_full" */

struct stage_account {
	uint64_t emitted;
	uint64_t handed_on;
	uint64_t dropped[DROP_REASONS];
};

struct lane_account {
	uint64_t accepted;
	uint64_t delivered;
	uint64_t rejected;
	uint64_t dropped[DROP_REASONS];
};

uint64_t dropped_sum(const uint64_t dropped[DROP_REASONS]);

/* Do the sums hold? */
bool stage_account_holds(const struct stage_account *a, uint64_t in_batch);
bool lane_account_holds(const struct lane_account *a, uint64_t queued);

#endif
