/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * otlp.h - records and metrics as protobuf messages of OTLP, and the open
 * batch they are gathered in.
 */
#ifndef TULLE_TELEMETRY_EXPORT_OTLP_H
#define TULLE_TELEMETRY_EXPORT_OTLP_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "collect/metrics.h"
#include "collect/record.h"

#define BATCH_RECORDS 1000
#define BATCH_RAW (1u << 20)
#define BATCH_MS 1000

/* Encoded records, each with tag and length, one behind the other. */
struct batch {
	struct buf bytes; /* owned */
	uint64_t n;       /* records; metrics: data points */
};

void batch_init(struct batch *b);
void batch_free(struct batch *b);
void batch_clear(struct batch *b); /* keeps no memory */
bool batch_full(const struct batch *b);

/* Appends one LogRecord.  TULLE_ENOMEM: nothing was added. */
enum tulle_err otlp_log(struct batch *b, const struct record *r, uint64_t observed_ns);

/* Appends one Span; ids that are all zero are made up. */
enum tulle_err otlp_span(struct batch *b, const struct record *r);

/*
 * Appends one family as one Metric with up to <max> of its points from
 * <first> on.  A family without points is nothing.
 */
enum tulle_err otlp_metric(struct batch *b, const struct metric_set *s, const struct metric_family *f, size_t first,
    size_t max);

struct otlp_attribute {
	const char *key, *value;
};

/* An encoded Resource; *ret is the caller's, to free().  TULLE_ENOMEM. */
enum tulle_err otlp_resource(const struct otlp_attribute *attributes, size_t n, uint8_t **ret, size_t *ret_len);

/* An encoded InstrumentationScope. */
enum tulle_err otlp_scope(const char *name, const char *version, uint8_t **ret, size_t *ret_len);

#endif
