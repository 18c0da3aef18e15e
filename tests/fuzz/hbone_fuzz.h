/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hbone_fuzz.h - a tunnel without TLS and without a socket: these functions
 * stand in for net/tlsconn.c, and applications are counters.
 *
 * An input is a row of steps.  A byte below 0x80 feeds that many bytes and
 * one more to the tunnel; one above is something that happens here (enum
 * step).  After every step the tunnel is flushed, as at the end of a tick.
 */
#ifndef TULLE_FUZZ_HBONE_H
#define TULLE_FUZZ_HBONE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hbone/stream.h"

#define APPS_MAX 256

enum step {
	STEP_APP_WRITES = 0x80, /* every application has some bytes more */
	STEP_APP_ENDS,
	STEP_APP_RESETS,        /* the first that is open */
	STEP_APP_READS,         /* what they were given is taken: windows open */
	STEP_APP_APPEARS,       /* servers: answers every request that waits */
	STEP_BLOCK,             /* the socket takes no more */
	STEP_UNBLOCK,
	STEP_DRAIN,
	STEP_TIME,              /* ten seconds */
	STEP_OPEN,              /* clients: another stream */
	STEP_REST = 0xff,       /* feeds all that is left */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- time -------------------------------------------------------------------- */

static uint64_t now_ns = 1000 * NS_PER_SEC;

uint64_t
clock_mono_ns(void)
{
	return now_ns;
}

uint64_t
clock_mono_ms(void)
{
	return now_ns / NS_PER_MS;
}

uint64_t
clock_wall_ns(void)
{
	return now_ns;
}

int64_t
clock_wall_sec(void)
{
	return (int64_t)(now_ns / NS_PER_SEC);
}

/* ---- the connection: in place of net/tlsconn.c ---------------------------------- */

static struct tlsconn *conn;
static struct thread thread;
static bool full;          /* the socket takes no more */
static bool want_writable;

static enum tulle_err
conn_begin(struct tlsconn *c, struct thread *th, const struct tlsconn_events *events)
{
	*c = (struct tlsconn){ .th = th, .events = events, .fd = -1, .watch = WATCH_INIT, .pending = buf_new(1u << 24),
		.state = TLSCONN_OPEN, .ready_ns = 1 };
	conn = c;
	return TULLE_OK;
}

enum tulle_err
tlsconn_connect(struct tlsconn *c, struct thread *th, const struct addr *to, struct tls_context *ctx,
    const struct tls_session_options *options, const struct tlsconn_events *events)
{
	(void)to;
	(void)ctx;
	(void)options;
	return conn_begin(c, th, events);
}

enum tulle_err
tlsconn_accept(struct tlsconn *c, struct thread *th, int fd, struct tls_context *ctx,
    const struct tls_session_options *options, const struct tlsconn_events *events)
{
	(void)fd;
	(void)ctx;
	(void)options;
	return conn_begin(c, th, events);
}

enum tulle_err
tlsconn_write(struct tlsconn *c, const uint8_t *p, size_t n)
{
	assert(c->state == TLSCONN_OPEN && !tlsconn_blocked(c));
	return buf_append(&c->th->tx, p, n);
}

enum tulle_err
tlsconn_flush(struct tlsconn *c)
{
	size_t n = buf_len(&c->th->tx);

	if (full && n > 0)
		assert(buf_append(&c->pending, buf_head(&c->th->tx), n) == TULLE_OK);
	buf_consume(&c->th->tx, n);
	return full ? TULLE_AGAIN : TULLE_OK;
}

void
tlsconn_want_writable(struct tlsconn *c)
{
	(void)c;
	want_writable = true;
}

void
tlsconn_close(struct tlsconn *c, bool notify)
{
	(void)notify;
	if (c->state == TLSCONN_CLOSED)
		return;
	c->state = TLSCONN_CLOSED;
	buf_consume(&c->th->tx, buf_len(&c->th->tx));
	buf_free(&c->pending);
	conn = NULL;
}

/* ---- applications -------------------------------------------------------------------- */

struct app {
	struct stream source; /* what it writes */
	struct hstream tunnel;
	size_t has, owed;     /* bytes to send; bytes that came and were not taken yet */
	bool ends, resets, open;
};

static struct app *apps[APPS_MAX];
static size_t napps;

static struct app *
app_of(struct stream *s)
{
	return CONTAINER_OF(s, struct app, tunnel.stream);
}

static void
app_close(struct app *a, bool reset)
{
	a->open = false;
	a->tunnel.stream.ops->close(&a->tunnel.stream, reset);
}

static enum tulle_err
source_read(struct stream *s, uint8_t *p, size_t n, size_t *ret_n)
{
	struct app *a = CONTAINER_OF(s, struct app, source);

	if (a->resets)
		return TULLE_ERESET;
	if (a->has == 0)
		return a->ends ? TULLE_EOF : TULLE_AGAIN;
	*ret_n = n < a->has ? n : a->has;
	memset(p, 'x', *ret_n);
	a->has -= *ret_n;
	return TULLE_OK;
}

static void
source_nothing(struct stream *s)
{
	(void)s;
}

static void
source_consumed(struct stream *s, size_t n)
{
	(void)s;
	(void)n;
}

static void
source_ended(struct stream *s)
{
	struct app *a = CONTAINER_OF(s, struct app, source);

	a->tunnel.stream.ops->shut(&a->tunnel.stream);
}

static void
source_failed(struct stream *s, enum tulle_err e, int detail)
{
	(void)e;
	(void)detail;
	app_close(CONTAINER_OF(s, struct app, source), true);
}

static const struct stream_ops source_ops = { .read = source_read, .pause = source_nothing, .resume = source_nothing,
	.consumed = source_consumed };
static const struct stream_events source_events = { .eof = source_ended, .failed = source_failed };

static void
tunnel_nothing(struct stream *s)
{
	(void)s;
}

/* A reader that takes nothing is given a window and not a byte more. */
static void
tunnel_data(struct stream *s, const uint8_t *p, size_t n)
{
	struct app *a = app_of(s);

	assert(a->open && n > 0 && p[0] == p[0] && p[n - 1] == p[n - 1]);
	a->owed += n;
	assert(a->owed <= HBONE_WINDOW);
}

static void
tunnel_drained(struct stream *s, size_t n)
{
	(void)s;
	(void)n;
}

/* Both ways are over: whichever came last. */
static void
tunnel_over(struct stream *s)
{
	struct app *a = app_of(s);

	if (a->open && a->tunnel.end_received && a->tunnel.end_sent)
		app_close(a, false);
}

static void
tunnel_failed(struct stream *s, enum tulle_err e, int detail)
{
	assert(e != TULLE_OK && e != TULLE_AGAIN);
	(void)detail;
	assert(app_of(s)->open);
	app_close(app_of(s), false);
}

static const struct stream_events tunnel_events = { .opened = tunnel_nothing, .readable = tunnel_nothing,
	.data = tunnel_data, .eof = tunnel_over, .drained = tunnel_drained, .finished = tunnel_over,
	.failed = tunnel_failed };

static struct app *
app_new(void)
{
	struct app *a;

	if (napps == APPS_MAX || (a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->source = (struct stream){ .ops = &source_ops, .events = &source_events };
	a->open = true;
	apps[napps++] = a;
	return a;
}

static void
apps_free(void)
{
	while (napps > 0) {
		assert(!apps[napps - 1]->open); /* whoever was open has heard of the end */
		free(apps[--napps]);
	}
}

static void
app_pull(struct app *a)
{
	if (a->open)
		a->tunnel.stream.ops->pull(&a->tunnel.stream, &a->source);
}

/* What an application does in this step. */
static void
app_step(struct app *a, enum step step)
{
	if (!a->open)
		return;
	if (step == STEP_APP_WRITES && !a->ends)
		a->has += 30000;
	if (step == STEP_APP_ENDS)
		a->ends = true;
	if (step == STEP_APP_READS) {
		a->tunnel.stream.ops->consumed(&a->tunnel.stream, a->owed);
		a->owed = 0;
	}
	if (step == STEP_APP_APPEARS && a->tunnel.h->server)
		(void)hstream_accept(&a->tunnel);
	if (step == STEP_APP_WRITES || step == STEP_APP_ENDS)
		app_pull(a);
}

/* ---- steps ------------------------------------------------------------------------------ */

/* Takes one step off the input; <h> is alive when it begins. */
static void
step(struct hbone *h, const uint8_t **p, size_t *left)
{
	uint8_t what = *(*p)++;
	size_t n;

	(*left)--;
	if (what < 0x80 || what == STEP_REST) {
		n = what == STEP_REST || *left < (size_t)what + 1 ? *left : (size_t)what + 1;
		if (n > 0)
			h->conn.events->input(&h->conn, *p, n);
		*p += n;
		*left -= n;
		return;
	}
	for (size_t i = 0; i < napps && conn != NULL; i++) {
		if (what == STEP_APP_RESETS && apps[i]->open) {
			apps[i]->resets = true;
			app_pull(apps[i]);
			break;
		}
		app_step(apps[i], what);
	}
	if (conn == NULL)
		return;
	if (what == STEP_BLOCK)
		full = true;
	if (what == STEP_DRAIN)
		hbone_drain(h);
	if (what == STEP_TIME) {
		now_ns += 10 * NS_PER_SEC;
		(void)loop_tick(thread.loop, 0);
	}
	if (what == STEP_UNBLOCK && (full || want_writable)) {
		full = want_writable = false;
		buf_consume(&conn->pending, buf_len(&conn->pending));
		conn->events->writable(conn);
	}
}

/* Walks the input; whatever of it is left when the tunnel ends is not looked at. */
static void
steps(struct hbone *h, const uint8_t *p, size_t left, void (*extra)(struct hbone *h, uint8_t what))
{
	unsigned int open;

	while (left > 0 && conn != NULL) {
		uint8_t what = *p;

		step(h, &p, &left);
		if (conn != NULL && extra != NULL)
			extra(h, what);
		hbone_flush_all(&thread);
		if (conn == NULL)
			break;
		open = 0;
		for (size_t i = 0; i < napps; i++)
			open += apps[i]->open;
		assert(h->nstreams == open);
		assert(buf_len(&conn->pending) < (2u << 20)); /* blocked is blocked */
	}
}

static void
begin(void)
{
	log_set_threshold(LOG_LVL_ERROR);
	if (thread.loop == NULL) {
		struct loop *loop;

		assert(loop_new(&loop) == TULLE_OK);
		thread_init(&thread, loop, 0);
	}
	full = want_writable = false;
	conn = NULL;
}

#endif
