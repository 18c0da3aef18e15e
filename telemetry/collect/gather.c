/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/gather.h"

#include <string.h>

#include "base/clock.h"
#include "collect/record.h"

/* One series of connections, its workers' counters added up. */
struct total {
	uint8_t direction, tls;
	bool overflow;
	const char *source, *destination, *service, *workload;
	struct series sum;
};

struct totals {
	struct total *list; /* in the arena; the first is the overflow series */
	size_t n;
	uint32_t *places; /* hash table of numbers + 1, in the arena */
	uint32_t mask;
};

static uint32_t
hash_add(uint32_t h, const char *s)
{
	do {
		h = (h ^ (uint8_t)*s) * 16777619u;
	} while (*s++ != '\0');
	return h;
}

static bool
total_is(const struct total *a, const struct total *b)
{
	return a->direction == b->direction && a->tls == b->tls && strcmp(a->source, b->source) == 0 &&
	    strcmp(a->destination, b->destination) == 0 && strcmp(a->service, b->service) == 0 &&
	    strcmp(a->workload, b->workload) == 0;
}

/* The total with the same labels as <like>, new if need be; the overflow series past the limit. */
static struct total *
total_find(struct totals *t, const struct total *like)
{
	uint32_t h = hash_add(hash_add(2166136261u ^ like->direction ^ (uint32_t)like->tls << 4, like->source), like->service);
	uint32_t i;

	h = hash_add(hash_add(h, like->destination), like->workload);
	for (i = h & t->mask; t->places[i] != 0; i = (i + 1) & t->mask)
		if (total_is(&t->list[t->places[i] - 1], like))
			return &t->list[t->places[i] - 1];
	if (t->n >= GATHER_SERIES_MAX)
		return &t->list[0];
	t->list[t->n] = *like;
	t->places[i] = (uint32_t)++t->n;
	return &t->list[t->n - 1];
}

static void
series_add(struct series *to, const struct series *s)
{
	to->opened += s->opened;
	for (int i = 0; i < EVENT_OUTCOMES; i++)
		to->closed[i] += s->closed[i];
	to->active += s->active;
	to->rx_bytes += s->rx_bytes;
	to->tx_bytes += s->tx_bytes;
	to->duration_ns += s->duration_ns;
	for (int i = 0; i <= SERIES_BOUNDS; i++)
		to->buckets[i] += s->buckets[i];
}

static bool
totals_init(struct totals *t, struct metric_set *s, uint32_t n)
{
	uint32_t room = 16;

	n = n < GATHER_SERIES_MAX ? n : GATHER_SERIES_MAX;
	while (room < 2 * n + 2)
		room *= 2;
	t->list = arena_array(&s->arena, n + 1, sizeof(*t->list));
	t->places = arena_array(&s->arena, room, sizeof(*t->places));
	t->mask = room - 1;
	if (t->list == NULL || t->places == NULL) {
		s->short_of_memory = true;
		return false;
	}
	t->list[0] = (struct total){ .overflow = true, .source = "", .destination = "", .service = "", .workload = "" };
	t->n = 1;
	return true;
}

static bool
totals_gather(struct totals *t, struct metric_set *s, struct events_reader *r)
{
	uint32_t all = 0;

	for (uint32_t w = 0; w < events_reader_workers(r); w++)
		all += events_reader_series_count(r, w);
	if (!totals_init(t, s, all))
		return false;
	for (uint32_t w = 0; w < events_reader_workers(r); w++) {
		uint32_t n = events_reader_series_count(r, w);

		/* It may have grown since <all>; the next time will do. */
		for (uint32_t i = 0; i < n && all > 0; i++, all--) {
			struct series one;
			struct total like = { 0 };

			if (events_reader_series(r, w, i, &one) != TULLE_OK)
				continue;
			if (i == EVENTS_SERIES_OVERFLOW) {
				series_add(&t->list[0].sum, &one);
				continue;
			}
			like.direction = one.labels.direction;
			like.tls = one.labels.tls;
			like.source = events_reader_text(r, w, one.labels.source);
			like.destination = events_reader_text(r, w, one.labels.destination);
			like.service = events_reader_text(r, w, one.labels.service);
			like.workload = events_reader_text(r, w, one.labels.workload);
			series_add(&total_find(t, &like)->sum, &one);
		}
	}
	return true;
}

/* ---- families -------------------------------------------------------------- */

static void
label_principal(struct metric_set *s, struct metric_point *p, const char *const keys[3], const char *principal,
    const char *workload)
{
	struct principal parts = principal_parse(principal);

	metric_label(p, keys[0], principal);
	metric_label_n(s, p, keys[1], parts.namespace.p, parts.namespace.n);
	if (workload[0] != '\0')
		metric_label(p, keys[2], workload);
	else
		metric_label_n(s, p, keys[2], parts.workload.p, parts.workload.n);
}

/* Who, to whom, which service, how. */
static void
label_total(struct metric_set *s, struct metric_point *p, const struct total *t)
{
	static const char *const source[3] = { "tulle.source.principal", "tulle.source.namespace",
		"tulle.source.workload" };
	static const char *const destination[3] = { "tulle.destination.principal", "tulle.destination.namespace",
		"tulle.destination.workload" };

	if (t->overflow) {
		metric_label(p, "otel.metric.overflow", "true");
		return;
	}
	metric_label(p, "direction", event_direction_name(t->direction));
	metric_label(p, "tulle.tls.mode", event_tls_name(t->tls));
	label_principal(s, p, source, t->source, "");
	label_principal(s, p, destination, t->destination, t->workload);
	metric_label(p, "tulle.destination.service", t->service);
}

/* The overflow series is there only if something overflowed. */
static bool
total_shown(const struct total *t)
{
	return !t->overflow || t->sum.opened > 0;
}

static void
put_total(struct metric_set *s, struct metric_family *f, const struct total *t, const char *key, const char *value,
    uint64_t number)
{
	struct metric_point *p = metric_point_add(s, f);

	if (p == NULL)
		return;
	label_total(s, p, t);
	if (key != NULL)
		metric_label(p, key, value);
	p->value = (double)number;
}

static void
put_counts(struct metric_set *s, const struct totals *t, uint64_t start)
{
	struct metric_family *f = metric_family_add(s, "tulle.connection.opened.count", METRIC_COUNTER, "{connection}",
	    "Connections that were accepted and judged.", SCOPE_RELAY, start);

	for (size_t i = 0; i < t->n; i++)
		if (total_shown(&t->list[i]))
			put_total(s, f, &t->list[i], NULL, NULL, t->list[i].sum.opened);
	f = metric_family_add(s, "tulle.connection.count", METRIC_COUNTER, "{connection}",
	    "Connections that ended, by outcome.", SCOPE_RELAY, start);
	for (size_t i = 0; i < t->n; i++)
		for (unsigned int k = 0; k < EVENT_OUTCOMES; k++)
			if (t->list[i].sum.closed[k] > 0)
				put_total(s, f, &t->list[i], "outcome", event_outcome_name(k), t->list[i].sum.closed[k]);
	f = metric_family_add(s, "tulle.connection.io", METRIC_COUNTER, "By",
	    "Bytes from (receive) and to (transmit) who opened the connection.", SCOPE_RELAY, start);
	for (size_t i = 0; i < t->n; i++) {
		if (!total_shown(&t->list[i]))
			continue;
		put_total(s, f, &t->list[i], "network.io.direction", "receive", t->list[i].sum.rx_bytes);
		put_total(s, f, &t->list[i], "network.io.direction", "transmit", t->list[i].sum.tx_bytes);
	}
}

/* What has few labels: summed over all identities. */
static void
put_by_mode(struct metric_set *s, const struct totals *t, uint64_t start)
{
	static const double bounds[SERIES_BOUNDS] = { 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60,
		300, 1800, 10800 };
	struct series by[EVENT_DIRECTIONS][EVENT_TLS_MODES] = { 0 };
	struct metric_family *active, *duration;
	struct metric_point *p;

	for (size_t i = 0; i < t->n; i++)
		series_add(&by[t->list[i].direction][t->list[i].tls], &t->list[i].sum);
	active = metric_family_add(s, "tulle.connection.active", METRIC_LEVEL, "{connection}",
	    "Connections that are open now.", SCOPE_RELAY, start);
	for (unsigned int d = 0; d < EVENT_DIRECTIONS; d++)
		for (unsigned int m = 0; m < EVENT_TLS_MODES; m++) {
			p = metric_point_add(s, active);
			if (p == NULL)
				return;
			metric_label(p, "direction", event_direction_name(d));
			metric_label(p, "tulle.tls.mode", event_tls_name(m));
			p->value = (double)by[d][m].active;
		}
	duration = metric_family_add(s, "tulle.connection.duration", METRIC_HISTOGRAM, "s",
	    "How long connections lasted.", SCOPE_RELAY, start);
	if (duration == NULL)
		return;
	duration->bounds = bounds;
	duration->n_bounds = SERIES_BOUNDS;
	for (unsigned int d = 0; d < EVENT_DIRECTIONS; d++)
		for (unsigned int m = 0; m < EVENT_TLS_MODES; m++) {
			uint64_t *buckets = arena_array(&s->arena, SERIES_BOUNDS + 1, sizeof(*buckets));

			p = metric_point_add(s, duration);
			if (p == NULL || buckets == NULL)
				return;
			memcpy(buckets, by[d][m].buckets, sizeof(by[d][m].buckets));
			metric_label(p, "direction", event_direction_name(d));
			metric_label(p, "tulle.tls.mode", event_tls_name(m));
			p->buckets = buckets;
			for (int i = 0; i <= SERIES_BOUNDS; i++)
				p->count += buckets[i];
			p->value = (double)by[d][m].duration_ns / 1e9;
		}
}

/* "key=value,key=value" as labels. */
static void
label_list(struct metric_set *s, struct metric_point *p, const char *list)
{
	while (*list != '\0') {
		size_t key = strcspn(list, "="), value = strcspn(list + key + 1, ",");
		char *name = arena_text(&s->arena, list, key);

		if (name != NULL)
			metric_label_n(s, p, name, list + key + 1, value);
		list += key + 1 + value;
		list += *list == ',';
	}
}

static void
put_counters(struct metric_set *s, const struct events_reader *r, uint64_t start)
{
	static const enum metric_type types[] = { [COUNTER_SUM] = METRIC_COUNTER, [COUNTER_LEVEL] = METRIC_LEVEL,
		[COUNTER_LATEST] = METRIC_GAUGE, [COUNTER_EXPIRY] = METRIC_GAUGE, [COUNTER_STAMP] = METRIC_GAUGE };
	struct metric_family *f = NULL;

	for (int i = 0; i < COUNTERS; i++) {
		const struct counter_about *about = counter_about((enum counter_id)i);
		uint64_t v = events_reader_counter(r, (enum counter_id)i);
		struct metric_point *p;

		if (f == NULL || strcmp(f->name, about->name) != 0)
			f = metric_family_add(s, about->name, types[about->kind], about->unit, about->help, SCOPE_RELAY,
			    start);
		/* A time that is not known is no time; a reason that never was would be a series for nothing. */
		if (v == 0 && (about->kind == COUNTER_EXPIRY || about->kind == COUNTER_STAMP ||
		                  strstr(about->attributes, "error.type=") != NULL))
			continue;
		p = metric_point_add(s, f);
		if (p == NULL)
			return;
		label_list(s, p, about->attributes);
		p->value = (double)v;
		if (about->kind == COUNTER_LEVEL)
			p->value = (double)(int64_t)v; /* a worker may give back what another took */
		if (about->kind == COUNTER_EXPIRY)
			p->value -= (double)(s->now_ns / NS_PER_SEC);
	}
}

size_t
gather_relay(struct metric_set *s, struct events_reader *r)
{
	uint64_t start = events_reader_start(r);
	struct totals t = { 0 };

	if (totals_gather(&t, s, r)) {
		put_counts(s, &t, start);
		put_by_mode(s, &t, start);
	}
	put_counters(s, r, start);
	return t.n;
}
