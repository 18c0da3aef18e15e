/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gather.h - the relay's counters as metrics: the workers' series put
 * together, the process counters of events/vocab.h.
 */
#ifndef TULLE_TELEMETRY_COLLECT_GATHER_H
#define TULLE_TELEMETRY_COLLECT_GATHER_H

#include "collect/metrics.h"
#include "events/read.h"

/* Series of one metric over all workers; what is beyond goes to the overflow series. */
#define GATHER_SERIES_MAX 2000

/* Adds the relay's families to <s>; returns how many series of connections there are. */
size_t gather_relay(struct metric_set *s, struct events_reader *r);

#endif
