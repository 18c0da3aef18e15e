/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * prometheus.h - a metric set as text for a scrape: the Prometheus format
 * 0.0.4, or OpenMetrics 1.0.  Pure.
 *
 * Dots become underscores, the unit becomes a suffix, counters end in
 * _total; the resource is in target_info, not on every series.
 */
#ifndef TULLE_TELEMETRY_EXPORT_PROMETHEUS_H
#define TULLE_TELEMETRY_EXPORT_PROMETHEUS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "collect/metrics.h"
#include "export/otlp.h"

#define PROMETHEUS_MAX (16u << 20) /* bytes of one scrape */
#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Does a client with this Accept (of <n> bytes) prefer OpenMetrics? */
bool prometheus_wants_openmetrics(const char *accept, size_t n);

/* Appends to <out>.  TULLE_ELIMIT, TULLE_ENOMEM. */
enum tulle_err prometheus_write(struct buf *out, const struct metric_set *s, const struct otlp_attribute *resource,
    size_t n_resource, bool openmetrics);

#endif
