/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "events/attach.h"
#include "events/read.h"
#include "events/write.h"
#include "unit.h"

static const struct events_sizes small = { .workers = 2, .slots = 64, .texts = 8, .text_bytes = 1024, .series = 4 };

static int fd, bell;
static struct events *ev;
static struct events_writer *w;
static struct events_reader *r;

static void
start(const struct events_sizes *sizes)
{
	ck_assert_int_eq(events_create_sized(&fd, sizes), TULLE_OK);
	ck_assert_int_eq(events_doorbell(&bell), TULLE_OK);
	ck_assert_int_eq(events_attach(&ev, fd, bell, 0, sizes->workers), TULLE_OK);
	ck_assert_int_eq(events_reader_open(&r, fd), TULLE_OK);
	w = events_writer(ev, 0);
}

static void
stop(void)
{
	r = events_reader_free(r);
	ev = events_detach(ev);
	(void)close(fd);
	(void)close(bell);
}

static bool
rung(void)
{
	uint64_t n;

	return read(bell, &n, sizeof(n)) == sizeof(n);
}

static struct conn_event
some_event(uint64_t id)
{
	return (struct conn_event){ .conn_id = id, .direction = EVENT_OUTBOUND, .rx_bytes = id * 2 };
}

START_TEST(what_is_pushed_is_read_in_order)
{
	struct conn_event e;

	start(&small);
	for (uint64_t i = 0; i < 10; i++) {
		e = some_event(i);
		ck_assert(events_push(w, &e));
	}
	for (uint64_t i = 0; i < 10; i++) {
		ck_assert_int_eq(events_read(r, 0, &e), TULLE_OK);
		ck_assert_uint_eq(e.conn_id, i);
		ck_assert_uint_eq(e.seq, i);
		ck_assert_uint_eq(e.rx_bytes, i * 2);
	}
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_AGAIN);
	ck_assert_int_eq(events_read(r, 1, &e), TULLE_AGAIN);
	stop();
}
END_TEST

START_TEST(a_full_ring_drops_and_counts_and_keeps_an_eighth_for_failures)
{
	struct conn_event good = some_event(1), bad = some_event(2);
	int n = 0, m = 0;

	bad.outcome = EVENT_DENIED;
	start(&small);
	events_set_consumer(ev, true);
	while (events_push(w, &good))
		n++;
	while (events_push(w, &bad))
		m++;
	ck_assert_int_eq(n, 56);
	ck_assert_int_eq(m, 8);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_EVENT_RING_FULL), 2);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_EVENT_NO_CONSUMER), 0);
	events_set_consumer(ev, false);
	ck_assert(!events_push(w, &bad));
	ck_assert_uint_eq(events_reader_counter(r, COUNT_EVENT_NO_CONSUMER), 1);
	ck_assert_uint_eq(events_reader_emitted(r), 67);
	/* Read is not yet free: only a release makes room. */
	ck_assert_int_eq(events_read(r, 0, &good), TULLE_OK);
	ck_assert(!events_push(w, &bad));
	events_reader_release(r);
	ck_assert(events_push(w, &bad));
	stop();
}
END_TEST

START_TEST(a_new_reader_gets_again_what_was_not_released)
{
	struct conn_event e = some_event(7);

	start(&small);
	ck_assert(events_push(w, &e));
	ck_assert(events_push(w, &e));
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_OK);
	events_reader_release(r);
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_OK);
	r = events_reader_free(r);
	ck_assert_int_eq(events_reader_open(&r, fd), TULLE_OK);
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_OK);
	ck_assert_uint_eq(e.seq, 1);
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_AGAIN);
	stop();
}
END_TEST

START_TEST(the_doorbell_rings_once_and_only_for_a_sleeper)
{
	struct conn_event e = some_event(1);

	start(&small);
	ck_assert(events_push(w, &e));
	ck_assert(!rung());
	ck_assert(!events_reader_sleep(r)); /* there is one: do not sleep */
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_OK);
	ck_assert(events_reader_sleep(r));
	ck_assert(events_push(w, &e));
	ck_assert(events_push(events_writer(ev, 1), &e));
	ck_assert(rung());
	ck_assert(!rung());
	stop();
}
END_TEST

/* A relay process that starts slowly hears late that there was nobody, when telemetryd has come and sleeps. */
START_TEST(late_news_of_consumers_does_not_wake_a_sleeper_in_silence)
{
	struct conn_event e = some_event(1);

	start(&small);
	ck_assert(events_reader_sleep(r));
	events_set_consumer(ev, false);
	events_set_consumer(ev, true);
	ck_assert(events_push(w, &e));
	ck_assert(rung());
	stop();
}
END_TEST

START_TEST(the_same_text_has_the_same_number_and_a_full_table_says_other)
{
	uint32_t a, b;
	char text[16];

	start(&small);
	a = events_intern(w, "mesh.example/ns/shop/sa/cart");
	ck_assert_uint_eq(events_intern(w, "mesh.example/ns/shop/sa/cart"), a);
	b = events_intern(w, "b");
	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(events_intern(w, NULL), EVENTS_TEXT_NONE);
	ck_assert_uint_eq(events_intern(w, ""), EVENTS_TEXT_NONE);
	ck_assert_str_eq(events_reader_text(r, 0, a), "mesh.example/ns/shop/sa/cart");
	ck_assert_str_eq(events_reader_text(r, 1, a), "");
	ck_assert_str_eq(events_reader_text(r, 0, 7), "");
	ck_assert_str_eq(events_reader_text(r, 0, 4000000000), "");
	for (int i = 0; i < 10; i++) {
		(void)snprintf(text, sizeof(text), "t%d", i);
		b = events_intern(w, text);
	}
	ck_assert_uint_eq(b, EVENTS_TEXT_OTHER);
	ck_assert_str_eq(events_reader_text(r, 0, b), "_other");
	ck_assert_uint_eq(events_reader_counter(r, COUNT_STRINGS_OVERFLOW), 6);
	stop();
}
END_TEST

START_TEST(long_texts_are_cut_between_characters)
{
	char text[300];

	memset(text, 'x', sizeof(text));
	memcpy(text + 255, "\xc3\xa9", 2); /* its second byte would be the 257th */
	start(&small);
	ck_assert_uint_eq(strlen(events_reader_text(r, 0, events_intern_n(w, text, sizeof(text)))), 255);
	stop();
}
END_TEST

START_TEST(control_characters_in_texts_become_question_marks)
{
	start(&small);
	ck_assert_str_eq(events_reader_text(r, 0, events_intern(w, "a\nb\x1b[2J\xc2\x9b" "c")), "a?b?[2J??c");
	ck_assert_str_eq(events_reader_text(r, 0, events_intern(w, "\xff\xfe")), "??");
	stop();
}
END_TEST

START_TEST(series_are_found_again_and_overflow_keeps_the_totals)
{
	struct series_labels labels = { .direction = EVENT_INBOUND, .tls = EVENT_TLS_MUTUAL };
	struct series *s[5], copy;

	start(&small);
	for (uint32_t i = 0; i < 5; i++) {
		labels.source = i;
		s[i] = events_series(w, &labels);
		events_series_opened(s[i]);
		events_series_bytes(s[i], 10, 20);
		events_series_closed(s[i], EVENT_SUCCESS, 2000000);
	}
	labels.source = 1;
	ck_assert_ptr_eq(events_series(w, &labels), s[1]);
	ck_assert_ptr_eq(s[3], s[4]); /* three fit beside the overflow series */
	ck_assert_uint_eq(events_reader_series_count(r, 0), 4);
	ck_assert_int_eq(events_reader_series(r, 0, EVENTS_SERIES_OVERFLOW, &copy), TULLE_OK);
	ck_assert_uint_eq(copy.opened, 2);
	ck_assert_uint_eq(copy.rx_bytes, 20);
	ck_assert_uint_eq(copy.active, 0);
	ck_assert_uint_eq(copy.closed[EVENT_SUCCESS], 2);
	ck_assert_uint_eq(copy.buckets[1], 2); /* over 1 ms, up to 5 ms */
	ck_assert_int_eq(events_reader_series(r, 0, 4, &copy), TULLE_ENOENT);
	stop();
}
END_TEST

START_TEST(a_new_relay_process_goes_on_counting)
{
	struct series_labels labels = { .direction = EVENT_INBOUND };
	struct conn_event e = some_event(1);
	struct series copy;
	uint32_t number;

	start(&small);
	number = labels.source = events_intern(w, "alice");
	events_series_opened(events_series(w, &labels));
	events_count(w, COUNT_AUTHZ_ALLOW);
	events_add(w, COUNT_MEMORY, 4096);
	ck_assert(events_push(w, &e));
	ev = events_detach(ev); /* kill -9, as far as the segment knows */
	ck_assert_int_eq(events_attach(&ev, fd, bell, 0, 2), TULLE_OK);
	w = events_writer(ev, 0);
	ck_assert_uint_eq(events_intern(w, "alice"), number);
	ck_assert_uint_eq(events_intern(w, "bob"), number + 1);
	events_series_opened(events_series(w, &labels));
	events_count(w, COUNT_AUTHZ_ALLOW);
	ck_assert(events_push(w, &e));
	ck_assert_uint_eq(events_reader_series_count(r, 0), 2);
	ck_assert_int_eq(events_reader_series(r, 0, 1, &copy), TULLE_OK);
	ck_assert_uint_eq(copy.opened, 2);
	ck_assert_uint_eq(copy.active, 1);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_CONNECTIONS_LOST), 1);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_AUTHZ_ALLOW), 2);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_MEMORY), 0);
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_OK);
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_OK);
	ck_assert_uint_eq(e.seq, 1);
	stop();
}
END_TEST

START_TEST(attaching_to_one_part_leaves_the_others_alone)
{
	struct series_labels labels = { .direction = EVENT_INBOUND };
	struct events *parent = NULL;

	start(&small);
	events_series_opened(events_series(w, &labels));
	ck_assert_int_eq(events_attach(&parent, fd, -1, 1, 1), TULLE_OK);
	events_count(events_writer(parent, 1), COUNT_RELAY_STARTS);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_CONNECTIONS_LOST), 0);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_RELAY_STARTS), 1);
	events_detach(parent);
	ck_assert_int_eq(events_attach(&parent, fd, -1, 1, 2), TULLE_EINVAL);
	stop();
}
END_TEST

START_TEST(workers_become_one_as_the_kind_says)
{
	start(&small);
	events_add(w, COUNT_ACCEPT_HBONE, 2);
	events_add(events_writer(ev, 1), COUNT_ACCEPT_HBONE, 3);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_ACCEPT_HBONE), 5);
	events_set(w, COUNT_CONFIG_VERSION, 4);
	events_set(events_writer(ev, 1), COUNT_CONFIG_VERSION, 3);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_CONFIG_VERSION), 4);
	events_set(events_writer(ev, 1), COUNT_EXPIRY_LEAF, 900);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_EXPIRY_LEAF), 900);
	events_set(w, COUNT_EXPIRY_LEAF, 800);
	ck_assert_uint_eq(events_reader_counter(r, COUNT_EXPIRY_LEAF), 800);
	stop();
}
END_TEST

START_TEST(segments_of_another_layout_vocabulary_or_size_are_refused)
{
	static const size_t at[] = { offsetof(struct events_header, magic), offsetof(struct events_header, version),
		offsetof(struct events_header, vocab), offsetof(struct events_header, sizes.slots),
		offsetof(struct events_header, sizes.workers) };
	struct events_reader *none = NULL;
	struct events *nobody = NULL;

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		uint8_t byte;

		start(&small);
		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at[i]), 1);
		byte ^= 0x40;
		ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at[i]), 1);
		ck_assert_int_eq(events_reader_open(&none, fd), i == 1 || i == 2 ? TULLE_EINVAL : TULLE_EPEER);
		ck_assert_int_eq(events_attach(&nobody, fd, -1, 0, 1), TULLE_EPEER);
		stop();
	}
	fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	ck_assert_int_eq(events_reader_open(&none, fd), TULLE_EPEER);
	(void)close(fd);
}
END_TEST

/* Writes <n> bytes of <value> over the segment at <off>. */
static void
scribble(size_t off, int value, size_t n)
{
	uint8_t *p = mmap(NULL, off + n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	memset(p + off, value, n);
	(void)munmap(p, off + n);
}

START_TEST(a_hostile_head_costs_events_not_the_reader)
{
	struct events_layout l;
	struct conn_event e = some_event(1);

	start(&small);
	ck_assert_int_eq(events_layout_of(&l, &small), TULLE_OK);
	ck_assert(events_push(w, &e));
	scribble(events_layout_worker(&l, 0), 0xff, 8); /* head */
	ck_assert_int_eq(events_read(r, 0, &e), TULLE_AGAIN);
	ck_assert_uint_eq(events_reader_corrupt(r), 1);
	/* Slots with values outside the tables are skipped one by one. */
	scribble(events_layout_worker(&l, 1) + l.ring, 0xff, 64 * sizeof(struct conn_event));
	scribble(events_layout_worker(&l, 1), 0x05, 1);
	ck_assert_int_eq(events_read(r, 1, &e), TULLE_AGAIN);
	ck_assert_uint_eq(events_reader_corrupt(r), 6);
	stop();
}
END_TEST

START_TEST(a_hostile_tail_never_lets_the_relay_overwrite)
{
	struct events_layout l;
	struct conn_event e = some_event(1);

	start(&small);
	ck_assert_int_eq(events_layout_of(&l, &small), TULLE_OK);
	scribble(events_layout_worker(&l, 0) + offsetof(struct events_control, tail), 0x77, 8);
	ck_assert(!events_push(w, &e));
	stop();
}
END_TEST

START_TEST(scribbled_texts_and_series_are_not_believed_by_a_new_relay)
{
	struct events_layout l;
	struct series_labels labels = { .direction = EVENT_INBOUND };

	start(&small);
	ck_assert_int_eq(events_layout_of(&l, &small), TULLE_OK);
	labels.source = events_intern(w, "alice");
	(void)events_series(w, &labels);
	ev = events_detach(ev);
	scribble(events_layout_worker(&l, 0) + l.places, 0xff, l.bytes - l.places);
	scribble(events_layout_worker(&l, 0) + l.series, 0xff, 4 * sizeof(struct series));
	scribble(events_layout_worker(&l, 0) + offsetof(struct events_control, texts), 0xff, 8);
	ck_assert_int_eq(events_attach(&ev, fd, bell, 0, 2), TULLE_OK);
	w = events_writer(ev, 0);
	ck_assert_uint_lt(events_intern(w, "bob"), 8);
	(void)events_series(w, &labels);
	stop();
}
END_TEST

#define THREAD_EVENTS 200000

static void *
produce(void *arg)
{
	struct events_writer *mine = arg;
	struct series_labels labels = { .direction = EVENT_OUTBOUND };
	struct series *s = events_series(mine, &labels);

	for (uint64_t i = 0; i < THREAD_EVENTS; i++) {
		struct conn_event e = some_event(i);

		e.source = events_intern(mine, (i & 1) != 0 ? "odd" : "even");
		e.outcome = EVENT_ABORTED;
		events_series_opened(s);
		events_series_closed(s, EVENT_SUCCESS, i);
		(void)events_push(mine, &e);
	}
	return NULL;
}

START_TEST(two_threads_and_a_reader_lose_nothing_uncounted)
{
	pthread_t t[2];
	uint64_t got[2] = { 0, 0 }, last[2] = { 0, 0 };
	struct conn_event e;
	bool more = true;
	struct series copy;

	start(&small);
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, produce, events_writer(ev, i)), 0);
	while (more) {
		more = events_reader_emitted(r) < 2 * THREAD_EVENTS || events_reader_waiting(r) > 0;
		for (uint32_t i = 0; i < 2; i++)
			while (events_read(r, i, &e) == TULLE_OK) {
				ck_assert(got[i] == 0 || e.conn_id > last[i]);
				ck_assert_uint_eq(e.rx_bytes, e.conn_id * 2);
				ck_assert_str_eq(events_reader_text(r, i, e.source),
				    (e.conn_id & 1) != 0 ? "odd" : "even");
				last[i] = e.conn_id;
				got[i]++;
			}
		events_reader_release(r);
		if (events_reader_sleep(r))
			events_reader_wake(r);
	}
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	ck_assert_uint_eq(events_reader_corrupt(r), 0);
	ck_assert_uint_eq(got[0] + got[1] + events_reader_counter(r, COUNT_EVENT_NO_CONSUMER), 2 * THREAD_EVENTS);
	ck_assert_int_eq(events_reader_series(r, 1, 1, &copy), TULLE_OK);
	ck_assert_uint_eq(copy.closed[EVENT_SUCCESS], THREAD_EVENTS);
	stop();
}
END_TEST

START_TEST(the_segment_travels_over_a_socket)
{
	struct events_offer got = { .segment = -1 };
	struct events_reader *other = NULL;
	struct conn_event e = some_event(42);
	int s[2];

	start(&small);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	ck_assert_int_eq(events_take_offer(s[1], &got), TULLE_AGAIN);
	ck_assert_int_eq(events_offer(s[0], fd, bell, -1), TULLE_OK);
	ck_assert_int_eq(events_take_offer(s[1], &got), TULLE_OK);
	ck_assert_int_eq(got.pidfd, -1);
	ck_assert(events_push(w, &e));
	ck_assert_int_eq(events_reader_open(&other, got.segment), TULLE_OK);
	ck_assert_int_eq(events_read(other, 0, &e), TULLE_OK);
	ck_assert_uint_eq(e.conn_id, 42);
	ck_assert_int_eq(write(s[0], "nonsense, 16 byte", 16), 16);
	ck_assert_int_eq(events_take_offer(s[1], &got), TULLE_EPEER);
	(void)close(s[0]);
	ck_assert_int_eq(events_take_offer(s[1], &got), TULLE_EOF);
	(void)close(s[1]);
	(void)close(got.segment);
	(void)close(got.doorbell);
	events_reader_free(other);
	stop();
}
END_TEST

START_TEST(counters_of_one_metric_stand_together_and_agree)
{
	for (int i = 1; i < COUNTERS; i++) {
		const struct counter_about *a = counter_about((enum counter_id)i);

		for (int k = 0; k < i; k++) {
			const struct counter_about *b = counter_about((enum counter_id)k);

			if (strcmp(a->name, b->name) != 0)
				continue;
			ck_assert_str_ne(a->attributes, b->attributes);
			ck_assert_str_eq(a->unit, b->unit);
			ck_assert_str_eq(a->help, b->help);
			ck_assert_str_eq(counter_about((enum counter_id)(i - 1))->name, a->name);
		}
	}
}
END_TEST

UNIT_MAIN("events", what_is_pushed_is_read_in_order,
    a_full_ring_drops_and_counts_and_keeps_an_eighth_for_failures,
    a_new_reader_gets_again_what_was_not_released,
    the_doorbell_rings_once_and_only_for_a_sleeper,
    late_news_of_consumers_does_not_wake_a_sleeper_in_silence,
    the_same_text_has_the_same_number_and_a_full_table_says_other,
    long_texts_are_cut_between_characters, control_characters_in_texts_become_question_marks,
    series_are_found_again_and_overflow_keeps_the_totals,
    a_new_relay_process_goes_on_counting, attaching_to_one_part_leaves_the_others_alone,
    workers_become_one_as_the_kind_says,
    segments_of_another_layout_vocabulary_or_size_are_refused,
    a_hostile_head_costs_events_not_the_reader, a_hostile_tail_never_lets_the_relay_overwrite,
    scribbled_texts_and_series_are_not_believed_by_a_new_relay,
    two_threads_and_a_reader_lose_nothing_uncounted, the_segment_travels_over_a_socket,
    counters_of_one_metric_stand_together_and_agree)
