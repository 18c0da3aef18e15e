/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics.h - metrics as values, before any wire format: families of points
 * with labels.  Gathered for one scrape or one export and then thrown away;
 * both the OTLP encoder and the Prometheus writer read it.
 */
#ifndef TULLE_TELEMETRY_COLLECT_METRICS_H
#define TULLE_TELEMETRY_COLLECT_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* All texts, arrays and points live in the set's arena or are constants. */
#define METRIC_SET_MAX (16u << 20) /* bytes of one set */
#define METRIC_LABELS 12

struct metric_label {
	const char *key; /* with dots: "tulle.tls.mode" */
	const char *value;
};

enum metric_type { METRIC_COUNTER, METRIC_LEVEL, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_point {
	struct metric_label labels[METRIC_LABELS];
	size_t n_labels;
	double value;
	/* histograms: <bounds> + 1 counts, not cumulated; value is their sum */
	uint64_t count;
	const uint64_t *buckets;
};

/* Whose metric it is: the relay's, or telemetryd's own. */
enum metric_scope { SCOPE_RELAY, SCOPE_SELF, METRIC_SCOPES };

struct metric_family {
	const char *name; /* "tulle.connection.io" */
	const char *help;
	const char *unit; /* UCUM */
	enum metric_type type;
	enum metric_scope scope;
	uint64_t start_ns; /* when its counters were zero; 0: not known */
	const double *bounds; /* histograms */
	size_t n_bounds;
	struct metric_point *points;
	size_t n, room;
};

struct metric_set {
	struct arena arena;
	struct metric_family *families; /* in the arena */
	size_t n, room;
	uint64_t now_ns; /* wall clock */
	bool short_of_memory; /* something is missing */
};

void metric_set_init(struct metric_set *s, uint64_t now_ns);
void metric_set_free(struct metric_set *s);

/* A new family with the given constants (lent); valid until the next call.  NULL when out of memory. */
struct metric_family *metric_family_add(struct metric_set *s, const char *name, enum metric_type type,
    const char *unit, const char *help, enum metric_scope scope, uint64_t start_ns);

/* A new point, zeroed; takes a NULL family.  NULL when out of memory. */
struct metric_point *metric_point_add(struct metric_set *s, struct metric_family *f);

/* Adds a label unless <value> is empty; both are lent.  Takes a NULL point. */
void metric_label(struct metric_point *p, const char *key, const char *value);

/* The same with a copy of <n> bytes. */
void metric_label_n(struct metric_set *s, struct metric_point *p, const char *key, const char *value, size_t n);

/* A point with one number and up to one label (key NULL: none), for short. */
void metric_simple(struct metric_set *s, struct metric_family *f, const char *key, const char *value, double number);

#endif
