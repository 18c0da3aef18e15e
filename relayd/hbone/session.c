/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hbone/session.h"

#include "hbone/intern.h"
#include "hbone/stream.h"
#include "net/tcp.h"

static struct hbone *
hbone_of(struct tlsconn *c)
{
	return CONTAINER_OF(c, struct hbone, conn);
}

void
hbone_finish(struct hbone *h)
{
	struct hstream *s;
	enum tulle_err e = h->error;

	if (h->closed)
		return;
	h->closed = true;
	if (h->dirty) {
		TAILQ_REMOVE(&h->conn.th->dirty, h, dirty_link);
		h->dirty = false;
	}
	timer_clear(h->conn.th->loop, &h->ping);
	while ((s = TAILQ_FIRST(&h->streams)) != NULL)
		hstream_gone(s, e, NGHTTP2_NO_ERROR);
	nghttp2_session_del(h->h2);
	h->h2 = NULL;
	/* The owner reads peer and error from the connection, so close it last. */
	h->events->closed(h, e);
	tlsconn_close(&h->conn, true);
}

void
hbone_fail(struct hbone *h, enum tulle_err e)
{
	if (h->failed || h->closed)
		return;
	h->failed = true;
	h->error = e;
	if (!h->inside)
		hbone_finish(h);
}

static void
conn_input(struct tlsconn *c, const uint8_t *p, size_t n)
{
	struct hbone *h = hbone_of(c);
	ssize_t rv;

	if (h->h2 == NULL)
		return;
	h->inside = true;
	rv = nghttp2_session_mem_recv(h->h2, p, n);
	h->inside = false;
	tcp_flush_lent(c->th);
	if (rv < 0 && !h->failed) {
		h->failed = true;
		h->broken = rv == NGHTTP2_ERR_NOMEM ? NULL : nghttp2_strerror((int)rv);
		h->error = rv == NGHTTP2_ERR_NOMEM ? TULLE_ENOMEM : TULLE_EPEER;
	}
	if (h->failed) {
		hbone_finish(h);
		return;
	}
	hbone_mark_dirty(h);
}

/* ---- life ------------------------------------------------------------- */

static void
ping_due(struct timer *t)
{
	struct hbone *h = CONTAINER_OF(t, struct hbone, ping);
	uint64_t now = loop_now(h->conn.th->loop), silent = now - h->heard_ms;

	if (h->ping_out && silent >= HBONE_PING_LATE_MS) {
		hbone_fail(h, TULLE_ETIMEDOUT);
		return;
	}
	if (!h->ping_out && silent >= HBONE_PING_MS &&
	    nghttp2_submit_ping(h->h2, NGHTTP2_FLAG_NONE, NULL) == 0) {
		h->ping_out = true;
		hbone_mark_dirty(h);
	}
	timer_set(h->conn.th->loop, t, HBONE_PING_MS, ping_due);
}

/* The callbacks and options are the same for every tunnel: made once. */
static nghttp2_session_callbacks *
callbacks(void)
{
	static _Thread_local nghttp2_session_callbacks *cb;

	if (cb != NULL || nghttp2_session_callbacks_new(&cb) != 0)
		return cb;
	hbone_out_callbacks(cb);
	hbone_in_callbacks(cb);
	return cb;
}

static nghttp2_option *
options(void)
{
	static _Thread_local nghttp2_option *o;

	if (o != NULL || nghttp2_option_new(&o) != 0)
		return o;
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_peer_max_concurrent_streams(o, HBONE_STREAMS_CLIENT);
	nghttp2_option_set_max_deflate_dynamic_table_size(o, 4096);
	/* The library's bucket counts for a whole tunnel, that is, for many people's flows: ours is raised (too_many_resets). */
	nghttp2_option_set_stream_reset_rate_limit(o, 4 * RESETS_BURST, 4 * RESETS_PER_SEC);
	return o;
}

static enum tulle_err
start_h2(struct hbone *h)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HBONE_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HBONE_HEADER_LIST },
		{ NGHTTP2_SETTINGS_MAX_FRAME_SIZE, HBONE_FRAME },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HBONE_STREAMS_SERVER },
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 }, /* clients only: a server may not send it with any meaning */
	};
	int rv;

	if (callbacks() == NULL || options() == NULL)
		return TULLE_ENOMEM;
	rv = h->server ? nghttp2_session_server_new2(&h->h2, callbacks(), h, options())
	               : nghttp2_session_client_new2(&h->h2, callbacks(), h, options());
	if (rv != 0 ||
	    nghttp2_submit_settings(h->h2, NGHTTP2_FLAG_NONE, settings, h->server ? 4 : 5) != 0 ||
	    nghttp2_session_set_local_window_size(h->h2, NGHTTP2_FLAG_NONE, 0, HBONE_CONN_WINDOW) != 0)
		return TULLE_ENOMEM;
	return TULLE_OK;
}

static void
conn_is_ready(struct tlsconn *c)
{
	struct hbone *h = hbone_of(c);
	struct hstream *s, *next;
	enum tulle_err e = start_h2(h);

	if (e != TULLE_OK) {
		hbone_fail(h, e);
		return;
	}
	h->heard_ms = h->resets_ms = loop_now(c->th->loop);
	timer_set(c->th->loop, &h->ping, HBONE_PING_MS, ping_due);
	if (h->events->ready != NULL)
		h->events->ready(h);
	for (s = TAILQ_FIRST(&h->streams); s != NULL && !h->failed; s = next) {
		next = TAILQ_NEXT(s, link);
		hstream_asked(s);
	}
	hbone_mark_dirty(h);
}

static void
conn_writable(struct tlsconn *c)
{
	hbone_mark_dirty(hbone_of(c));
}

static void
conn_closed(struct tlsconn *c, enum tulle_err e)
{
	struct hbone *h = hbone_of(c);

	if (!h->failed) {
		h->failed = true;
		h->error = e;
	}
	if (!h->inside)
		hbone_finish(h);
}

static const struct tlsconn_events conn_events = {
	.ready = conn_is_ready,
	.input = conn_input,
	.writable = conn_writable,
	.closed = conn_closed,
};

static void
init(struct hbone *h, bool server, const struct hbone_events *events)
{
	*h = (struct hbone){ .events = events, .server = server, .streams_max = HBONE_STREAMS_CLIENT,
		.resets = RESETS_BURST };
	TAILQ_INIT(&h->streams);
	TAILQ_INIT(&h->starved);
}

enum tulle_err
hbone_connect(struct hbone *h, struct thread *th, const struct addr *to, struct tls_context *ctx,
    const struct tls_session_options *o, const struct hbone_events *events)
{
	init(h, false, events);
	return tlsconn_connect(&h->conn, th, to, ctx, o, &conn_events);
}

enum tulle_err
hbone_accept(struct hbone *h, struct thread *th, int fd, struct tls_context *ctx,
    const struct tls_session_options *o, const struct hbone_events *events)
{
	init(h, true, events);
	return tlsconn_accept(&h->conn, th, fd, ctx, o, &conn_events);
}

unsigned int
hbone_free_streams(const struct hbone *h)
{
	if (h->draining || h->failed || h->closed)
		return 0;
	if (h->h2 != NULL && nghttp2_session_get_next_stream_id(h->h2) > 0x7ffffff0u)
		return 0; /* the ids are used up */
	return h->nstreams < h->streams_max ? h->streams_max - h->nstreams : 0;
}

bool
hbone_is_bulk(const struct hbone *h)
{
	return h->bulk_until_ms > loop_now(h->conn.th->loop);
}

static void
drain_last(struct timer *t)
{
	struct hbone *h = CONTAINER_OF(t, struct hbone, ping);

	/* What was asked for between the two has been answered; now the true last id. */
	(void)nghttp2_submit_goaway(h->h2, NGHTTP2_FLAG_NONE,
	    nghttp2_session_get_last_proc_stream_id(h->h2), NGHTTP2_NO_ERROR, NULL, 0);
	hbone_mark_dirty(h);
	timer_set(h->conn.th->loop, t, HBONE_PING_MS, ping_due);
}

void
hbone_drain(struct hbone *h)
{
	if (h->draining || h->closed)
		return;
	h->draining = true;
	if (h->h2 == NULL) {
		hbone_fail(h, TULLE_EUNAVAIL);
		return;
	}
	if (h->server) {
		(void)nghttp2_submit_shutdown_notice(h->h2);
		timer_set(h->conn.th->loop, &h->ping, 1000, drain_last); /* far above a round trip */
	} else {
		(void)nghttp2_submit_goaway(h->h2, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
	}
	hbone_mark_dirty(h);
}

void
hbone_reply_error(struct hbone *h, int32_t id, unsigned int status)
{
	uint8_t text[3] = { (uint8_t)('0' + status / 100), (uint8_t)('0' + status / 10 % 10), (uint8_t)('0' + status % 10) };
	uint8_t name[] = ":status";
	const nghttp2_nv nv = { .name = name, .value = text, .namelen = 7, .valuelen = 3 };

	if (nghttp2_submit_response(h->h2, id, &nv, 1, NULL) != 0)
		(void)nghttp2_submit_rst_stream(h->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
	hbone_mark_dirty(h);
}
