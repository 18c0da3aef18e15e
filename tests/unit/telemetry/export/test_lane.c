/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A lane against a server that is a variable, and a clock that is another. */
#include "export/lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "unit.h"

static struct lane *lane;
static struct zstd *z;
static struct {
	unsigned int requests;
	bool busy, zstd;
	size_t len;
	uint64_t waits;   /* times a pause was asked for */
	uint64_t wait_ms; /* the last one; 0: none is running */
	uint64_t now_ns;
} net;

static enum tulle_err
net_send(void *arg, const uint8_t *body, size_t len, bool zstd)
{
	(void)arg;
	(void)body;
	ck_assert(!net.busy);
	net.requests++;
	net.busy = true;
	net.zstd = zstd;
	net.len = len;
	return TULLE_OK;
}

static void
net_wait(void *arg, uint64_t ms)
{
	(void)arg;
	net.waits++;
	net.wait_ms = ms;
}

static const struct lane_ops ops = { .send = net_send, .wait = net_wait };

static void
start(enum signal signal, bool compress)
{
	memset(&net, 0, sizeof(net));
	net.now_ns = NS_PER_SEC;
	log_set_threshold(LOG_LVL_ERROR);
	ck_assert_int_eq(zstd_new(&z), TULLE_OK);
	ck_assert_int_eq(lane_new(&lane, signal, "http://test", compress, z, &ops, NULL), TULLE_OK);
}

static void
stop(void)
{
	lane = lane_free(lane, DROP_SHUTDOWN);
	z = zstd_free(z);
}

static struct lane_status
status(void)
{
	struct lane_status s;

	lane_status(lane, &s);
	ck_assert(lane_account_holds(&s.account, s.queued)); /* at every look */
	return s;
}

/* <n> records of <size> bytes that do not compress. */
static struct payload *
some_payload(enum signal signal, unsigned int n, size_t size)
{
	const struct envelope around = { (const uint8_t *)"", 0, (const uint8_t *)"", 0 };
	uint8_t *records = malloc(n * (size + PAYLOAD_RECORD_HEAD)), *p = records;
	struct payload *payload = NULL;

	ck_assert_ptr_nonnull(records);
	for (unsigned int i = 0; i < n; i++) {
		p += payload_record_head(p, size);
		for (size_t k = 0; k < size; k++)
			*p++ = (uint8_t)rand();
	}
	ck_assert_int_eq(payload_new(&payload, z, signal, &around, records, (size_t)(p - records), n), TULLE_OK);
	free(records);
	return payload;
}

static void
push(unsigned int n, size_t size)
{
	struct payload *p = some_payload(SIGNAL_LOGS, n, size);

	lane_push(lane, p);
	payload_unref(p);
}

static void
answer_with(unsigned int code, const void *body, size_t len, uint64_t retry_after_ms)
{
	ck_assert(net.busy);
	net.busy = false;
	net.wait_ms = 0;
	lane_done(lane, code == 0 ? TULLE_EUNAVAIL : TULLE_OK, code, body, len, retry_after_ms, net.now_ns, UINT32_MAX);
}

static void
answer(unsigned int code)
{
	answer_with(code, NULL, 0, 0);
}

/* The pause passes. */
static void
due(void)
{
	ck_assert_uint_gt(net.wait_ms, 0);
	net.now_ns += net.wait_ms * NS_PER_MS;
	net.wait_ms = 0;
	lane_due(lane);
}

START_TEST(the_first_request_is_an_empty_probe_in_zstd)
{
	start(SIGNAL_LOGS, true);
	ck_assert_uint_eq(net.requests, 0);
	push(3, 100);
	ck_assert_int_eq(status().state, LANE_PROBING);
	ck_assert(net.zstd);
	ck_assert_uint_eq(net.len, 9);
	answer(200);
	ck_assert_int_eq(status().state, LANE_SENDING);
	ck_assert(net.zstd);
	ck_assert_uint_eq(status().queued, 3);
	answer(200);
	ck_assert_int_eq(status().state, LANE_IDLE);
	ck_assert_uint_eq(status().account.delivered, 3);
	ck_assert_uint_eq(status().attempts, 2);
	ck_assert(lane_empty(lane));
	stop();
}
END_TEST

START_TEST(a_server_without_zstd_gets_plain_bodies)
{
	for (int code = 400; code <= 415; code += 15) {
		start(SIGNAL_LOGS, true);
		push(3, 100);
		answer((unsigned int)code);
		ck_assert(net.busy);
		ck_assert(!net.zstd);
		ck_assert_uint_gt(net.len, 300);
		answer(200);
		ck_assert_uint_eq(status().account.delivered, 3);
		ck_assert_int_eq(status().coding, CODING_NONE);
		stop();
	}
}
END_TEST

START_TEST(compression_can_be_off_from_the_start)
{
	start(SIGNAL_LOGS, false);
	push(3, 100);
	ck_assert_int_eq(status().state, LANE_SENDING);
	ck_assert(!net.zstd);
	stop();
}
END_TEST

START_TEST(an_outage_loses_nothing_and_the_pauses_grow)
{
	uint64_t last = 0;

	start(SIGNAL_LOGS, true);
	push(3, 100);
	answer(200);
	for (int i = 0; i < 10; i++) {
		answer(i % 2 == 0 ? 0 : 503);
		ck_assert_uint_ge(net.wait_ms, last);
		last = net.wait_ms;
		push(1, 10);
		ck_assert(!net.busy); /* a pause is a pause */
		due();
	}
	ck_assert_uint_eq(last, 60000);
	ck_assert_uint_eq(status().failures, 10);
	ck_assert_str_eq(status().last_error, "HTTP 503");
	while (net.busy)
		answer(200);
	ck_assert_uint_eq(status().account.delivered, 13);
	ck_assert_uint_eq(status().failures, 0);
	stop();
}
END_TEST

START_TEST(retry_after_is_kept)
{
	start(SIGNAL_LOGS, true);
	push(1, 10);
	answer(200);
	answer_with(429, NULL, 0, 45000);
	ck_assert_uint_eq(net.wait_ms, 54000); /* and a fifth, as chance is at its highest here */
	stop();
}
END_TEST

START_TEST(a_partial_success_is_never_sent_again)
{
	static const uint8_t two[] = { 0x0a, 0x02, 0x08, 0x02 };
	static const uint8_t too_many[] = { 0x0a, 0x03, 0x08, 0xff, 0x7f };

	start(SIGNAL_LOGS, true);
	push(5, 10);
	answer(200);
	answer_with(200, two, sizeof(two), 0);
	ck_assert(!net.busy);
	ck_assert_uint_eq(status().account.delivered, 3);
	ck_assert_uint_eq(status().account.rejected, 2);
	push(5, 10);
	answer_with(200, too_many, sizeof(too_many), 0); /* a liar cannot break the books */
	ck_assert_uint_eq(status().account.rejected, 7);
	stop();
}
END_TEST

START_TEST(what_a_server_will_never_take_is_dropped_and_counted)
{
	start(SIGNAL_LOGS, true);
	push(5, 10);
	push(4, 10);
	answer(200);
	answer(500);
	ck_assert_uint_eq(status().account.dropped[DROP_NON_RETRYABLE], 5);
	due();
	answer(200);
	ck_assert_uint_eq(status().account.delivered, 4);
	stop();
}
END_TEST

START_TEST(a_wrong_token_costs_one_batch_and_then_only_probes)
{
	start(SIGNAL_LOGS, true);
	push(5, 10);
	answer(200);
	push(4, 10);
	answer(401);
	ck_assert_uint_eq(status().account.rejected, 5);
	ck_assert(status().fault);
	for (int i = 0; i < 20; i++) {
		due();
		ck_assert_int_eq(status().state, LANE_PROBING);
		answer(401);
	}
	ck_assert_uint_eq(status().account.rejected, 5);
	due();
	answer(200); /* mended */
	ck_assert(!status().fault);
	answer(200);
	ck_assert_uint_eq(status().account.delivered, 4);
	stop();
}
END_TEST

START_TEST(too_large_is_halved_once_and_later_ones_before_they_are_sent)
{
	start(SIGNAL_LOGS, true);
	push(10, 1000);
	answer(200);
	push(10, 1000);
	answer(413);
	ck_assert_uint_eq(status().queued, 20);
	for (int i = 0; i < 4; i++) { /* two halves of each */
		ck_assert(net.busy);
		ck_assert_uint_lt(net.len, 7000);
		answer(200);
	}
	ck_assert(!net.busy);
	ck_assert_uint_eq(status().account.delivered, 20);
	push(1, 20000); /* one record cannot be halved */
	ck_assert_uint_eq(status().account.dropped[DROP_TOO_LARGE], 1);
	stop();
}
END_TEST

START_TEST(a_half_that_is_still_too_large_is_dropped)
{
	start(SIGNAL_LOGS, true);
	push(4, 1000);
	answer(200);
	answer(413);
	answer(413);
	answer(200);
	ck_assert_uint_eq(status().account.dropped[DROP_TOO_LARGE], 2);
	ck_assert_uint_eq(status().account.delivered, 2);
	stop();
}
END_TEST

START_TEST(a_full_queue_drops_the_oldest_in_records)
{
	struct lane_status s;

	start(SIGNAL_LOGS, true);
	push(7, 10);
	answer(200); /* the 7 are in flight now and safe */
	for (int i = 0; i < 20; i++)
		push(2, 500000);
	s = status();
	ck_assert_uint_le(s.queued_bytes, LANE_BYTES_LOGS);
	ck_assert_uint_eq(s.account.dropped[DROP_QUEUE_FULL], 2 * (20 - 8));
	ck_assert_uint_eq(s.queued, 7 + 2 * 8);
	stop();
}
END_TEST

START_TEST(six_hours_of_outage_keep_memory_flat_and_counts_exact)
{
	struct payload *p;
	uint64_t now_s = 0, next_s = 0;

	start(SIGNAL_LOGS, true);
	p = some_payload(SIGNAL_LOGS, 100, 100);
	for (; now_s < 6 * 3600; now_s++) {
		lane_push(lane, p); /* 100 records a second */
		ck_assert_uint_le(status().queued_bytes, LANE_BYTES_LOGS);
		if (net.busy)
			answer(0);
		if (net.wait_ms != 0 && next_s == 0)
			next_s = now_s + net.wait_ms / 1000;
		if (next_s != 0 && now_s >= next_s) {
			next_s = 0;
			due();
		}
	}
	ck_assert_uint_eq(status().account.accepted, UINT64_C(100) * 6 * 3600);
	ck_assert_uint_lt(net.requests, 500); /* about one a minute */
	if (!net.busy)
		due();
	while (net.busy)
		answer(200);
	ck_assert_uint_eq(status().account.delivered + status().account.dropped[DROP_QUEUE_FULL],
	    UINT64_C(100) * 6 * 3600);
	payload_unref(p);
	stop();
}
END_TEST

START_TEST(old_metrics_make_room_as_superseded)
{
	start(SIGNAL_METRICS, true);
	for (int i = 0; i < 5; i++) {
		struct payload *p = some_payload(SIGNAL_METRICS, 1, 500000);

		lane_push(lane, p);
		payload_unref(p);
	}
	ck_assert_uint_eq(status().account.dropped[DROP_SUPERSEDED], 1);
	ck_assert_uint_eq(status().account.dropped[DROP_QUEUE_FULL], 0);
	stop();
}
END_TEST

START_TEST(a_refused_certificate_loses_nothing)
{
	start(SIGNAL_LOGS, true);
	push(5, 10);
	net.busy = false;
	lane_done(lane, TULLE_EDENIED, 0, NULL, 0, 0, net.now_ns, 0);
	ck_assert_int_eq(status().state, LANE_WAITING);
	ck_assert_uint_eq(status().queued, 5);
	stop();
}
END_TEST

UNIT_MAIN("lane", the_first_request_is_an_empty_probe_in_zstd, a_server_without_zstd_gets_plain_bodies,
    compression_can_be_off_from_the_start, an_outage_loses_nothing_and_the_pauses_grow, retry_after_is_kept,
    a_partial_success_is_never_sent_again, what_a_server_will_never_take_is_dropped_and_counted,
    a_wrong_token_costs_one_batch_and_then_only_probes,
    too_large_is_halved_once_and_later_ones_before_they_are_sent, a_half_that_is_still_too_large_is_dropped,
    a_full_queue_drops_the_oldest_in_records, six_hours_of_outage_keep_memory_flat_and_counts_exact,
    old_metrics_make_room_as_superseded, a_refused_certificate_loses_nothing)
