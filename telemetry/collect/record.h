/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * record.h - one connection event with its texts, and what becomes of it:
 * a log record, a span, both or neither.  Pure.
 */
#ifndef TULLE_TELEMETRY_COLLECT_RECORD_H
#define TULLE_TELEMETRY_COLLECT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events/layout.h"

/* Lent text, not NUL-terminated. */
struct slice {
	const char *p;
	size_t n;
};

/* "TD/ns/NS/sa/SA" in parts; all empty if it has another shape. */
struct principal {
	struct slice namespace, workload;
};

struct principal principal_parse(const char *text);

/* All texts are lent and never NULL; "" is none. */
struct record {
	struct conn_event ev;
	const char *source, *destination; /* principals */
	const char *service, *workload, *policy, *reason;
	bool tail_hint; /* the span is here because of how it ended, not because it was sampled */
};

/* Shortens the addresses that belong to people: see the note in record.c. */
void record_redact(struct record *r);

/* A token bucket; zeroed is one that is full at its first use. */
struct rate_cap {
	uint64_t tokens_milli; /* thousandths */
	uint64_t last_ms;      /* 0: never used */
};

/*
 * May one more pass?  <rate> a second, at most <burst> at once; the first
 * <reserve> of the burst only for <important> ones.  <now_ms> is above zero.
 */
bool rate_cap_take(struct rate_cap *c, uint64_t now_ms, uint32_t rate, uint32_t burst, uint32_t reserve,
    bool important);

enum access_level { LEVEL_OFF, LEVEL_ERRORS, LEVEL_ALL, LEVEL_DEBUG };

enum record_fate { FATE_EMIT, FATE_SAMPLED_OUT, FATE_RATE_CAP };

struct record_caps {
	struct rate_cap logs, spans, hints;
};

/* A log record of this event?  DEBUG adds the opening of connections. */
enum record_fate record_log_fate(const struct record *r, enum access_level level, struct record_caps *caps,
    uint64_t now_ms);

/* A span?  Only a close is one.  Sets r->tail_hint. */
enum record_fate record_span_fate(struct record *r, bool tracing, struct record_caps *caps, uint64_t now_ms);

#endif
