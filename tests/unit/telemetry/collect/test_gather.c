/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/gather.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "events/write.h"
#include "unit.h"

static int fd;
static struct events *ev;
static struct events_reader *r;
static struct metric_set set;

static void
start(uint32_t workers)
{
	ck_assert_int_eq(events_create(&fd, workers), TULLE_OK);
	ck_assert_int_eq(events_attach(&ev, fd, -1, 0, workers), TULLE_OK);
	ck_assert_int_eq(events_reader_open(&r, fd), TULLE_OK);
}

static void
stop(void)
{
	metric_set_free(&set);
	r = events_reader_free(r);
	ev = events_detach(ev);
	(void)close(fd);
}

static void
connection(uint32_t worker, const char *source, uint64_t duration_ns)
{
	struct events_writer *w = events_writer(ev, worker);
	struct series_labels labels = { .direction = EVENT_OUTBOUND, .tls = EVENT_TLS_MUTUAL };
	struct series *s;

	labels.source = events_intern(w, source);
	labels.service = events_intern(w, "cart.shop.svc.cluster.local");
	s = events_series(w, &labels);
	events_series_opened(s);
	events_series_bytes(s, 1, 2);
	events_series_closed(s, EVENT_SUCCESS, duration_ns);
}

static const struct metric_family *
family(const char *name)
{
	for (size_t i = 0; i < set.n; i++)
		if (strcmp(set.families[i].name, name) == 0)
			return &set.families[i];
	ck_abort_msg("no %s", name);
	return NULL;
}

static const char *
label(const struct metric_point *p, const char *key)
{
	for (size_t i = 0; i < p->n_labels; i++)
		if (strcmp(p->labels[i].key, key) == 0)
			return p->labels[i].value;
	return "";
}

START_TEST(workers_are_added_up_by_their_labels)
{
	const struct metric_family *f;

	start(2);
	/* The numbers of texts differ between workers; the words count. */
	(void)events_intern(events_writer(ev, 1), "something else first");
	connection(0, "mesh.example/ns/shop/sa/web", 1);
	connection(1, "mesh.example/ns/shop/sa/web", 1);
	connection(1, "mesh.example/ns/shop/sa/api", 1);
	metric_set_init(&set, clock_wall_ns());
	ck_assert_uint_eq(gather_relay(&set, r), 3); /* the overflow series too */
	f = family("tulle.connection.opened.count");
	ck_assert_uint_eq(f->n, 2);
	for (size_t i = 0; i < 2; i++) {
		bool web = strcmp(label(&f->points[i], "tulle.source.workload"), "web") == 0;

		ck_assert_double_eq(f->points[i].value, web ? 2 : 1);
		ck_assert_str_eq(label(&f->points[i], "tulle.source.namespace"), "shop");
		ck_assert_str_eq(label(&f->points[i], "direction"), "outbound");
		ck_assert_str_eq(label(&f->points[i], "tulle.destination.service"), "cart.shop.svc.cluster.local");
	}
	f = family("tulle.connection.io");
	ck_assert_uint_eq(f->n, 4);
	ck_assert_uint_eq(f->start_ns, events_reader_start(r));
	stop();
}
END_TEST

START_TEST(many_names_stay_within_the_limit_and_totals_are_right)
{
	const struct metric_family *f;
	double sum = 0;
	char name[64];

	start(2);
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "mesh.example/ns/n/sa/s%d", i);
		connection((uint32_t)i & 1, name, 1);
	}
	metric_set_init(&set, clock_wall_ns());
	ck_assert_uint_le(gather_relay(&set, r), GATHER_SERIES_MAX);
	f = family("tulle.connection.opened.count");
	ck_assert_uint_le(f->n, GATHER_SERIES_MAX);
	for (size_t i = 0; i < f->n; i++)
		sum += f->points[i].value;
	ck_assert_double_eq(sum, 20000);
	ck_assert_str_eq(label(&f->points[0], "otel.metric.overflow"), "true");
	ck_assert(!set.short_of_memory);
	stop();
}
END_TEST

START_TEST(durations_fall_into_their_buckets)
{
	const struct metric_family *f;
	bool seen = false;

	start(1);
	connection(0, "a", 1000000);      /* 1 ms: bounds are inclusive */
	connection(0, "b", 1000001);
	connection(0, "c", 86400000000000); /* a day: beyond the last bound */
	metric_set_init(&set, clock_wall_ns());
	(void)gather_relay(&set, r);
	f = family("tulle.connection.duration");
	ck_assert_uint_eq(f->n_bounds, SERIES_BOUNDS);
	for (size_t i = 0; i < f->n_bounds; i++)
		ck_assert_double_eq_tol(f->bounds[i], (double)series_bounds_ns[i] / 1e9, 1e-12);
	for (size_t i = 0; i < f->n; i++) {
		if (f->points[i].count == 0)
			continue;
		seen = true;
		ck_assert_uint_eq(f->points[i].count, 3);
		ck_assert_uint_eq(f->points[i].buckets[0], 1);
		ck_assert_uint_eq(f->points[i].buckets[1], 1);
		ck_assert_uint_eq(f->points[i].buckets[SERIES_BOUNDS], 1);
		ck_assert_double_eq_tol(f->points[i].value, 86400.002, 0.001);
	}
	ck_assert(seen);
	stop();
}
END_TEST

START_TEST(expiry_is_seconds_left_and_absent_when_unknown)
{
	const struct metric_family *f;

	start(2);
	metric_set_init(&set, 1000 * NS_PER_SEC);
	events_set(events_writer(ev, 1), COUNT_EXPIRY_LEAF, 1600);
	events_count(events_writer(ev, 0), COUNT_HANDSHAKE_IN_EXPIRED);
	(void)gather_relay(&set, r);
	f = family("tulle.certificate.expiry");
	ck_assert_uint_eq(f->n, 1);
	ck_assert_str_eq(label(&f->points[0], "role"), "own_leaf");
	ck_assert_double_eq(f->points[0].value, 600);
	f = family("tulle.tls.handshake.count");
	ck_assert_uint_eq(f->n, 3); /* succeeded in and out, and the one failure */
	ck_assert_str_eq(label(&f->points[1], "error.type"), "expired");
	ck_assert_str_eq(label(&f->points[1], "direction"), "inbound");
	stop();
}
END_TEST

UNIT_MAIN("gather", workers_are_added_up_by_their_labels, many_names_stay_within_the_limit_and_totals_are_right,
    durations_fall_into_their_buckets, expiry_is_seconds_left_and_absent_when_unknown)
