/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hbone/session.h"

#include <string.h>

#include "base/log.h"
#include "hbone/stream.h"
#include "net/tcp.h"

#define FLUSH_TURNS 4          /* sends of one tunnel in one tick, each of some 256 KiB */
#define RESETS_BURST 10000     /* a bucket per tunnel: resets of one aborting client cost its neighbours nothing */
#define RESETS_PER_SEC 1000

static struct hbone *
hbone_of(struct tlsconn *c)
{
	return CONTAINER_OF(c, struct hbone, conn);
}

static void
finish(struct hbone *h)
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
		finish(h);
}

/* ---- sending ---------------------------------------------------------- */

/* Seals the frames gathered so far. */
static enum tulle_err
seal(struct hbone *h)
{
	struct thread *th = h->conn.th;
	enum tulle_err e = TULLE_OK;

	if (th->plain_out_len > 0)
		e = tlsconn_write(&h->conn, th->plain_out, th->plain_out_len);
	th->plain_out_len = 0;
	return e;
}

static bool
make_room(struct hbone *h, size_t n)
{
	return PLAIN_OUT_SIZE - h->conn.th->plain_out_len >= n || seal(h) == TULLE_OK;
}

static ssize_t
on_send(nghttp2_session *h2, const uint8_t *p, size_t n, int flags, void *arg)
{
	struct hbone *h = arg;
	struct thread *th = h->conn.th;
	size_t left = n, piece;

	(void)h2;
	(void)flags;
	while (left > 0) {
		piece = left < TLS_RECORD ? left : TLS_RECORD;
		if (!make_room(h, piece))
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		memcpy(th->plain_out + th->plain_out_len, p, piece);
		th->plain_out_len += piece;
		p += piece;
		left -= piece;
	}
	return (ssize_t)n;
}

/*
 * A DATA frame fills one TLS record together with its header, or four where
 * the peer takes such frames, so that a row of frames is a row of full
 * records and bulk costs one recv() for four of them.
 */
static ssize_t
on_read_length(nghttp2_session *h2, uint8_t frame, int32_t id, int32_t conn_window, int32_t stream_window,
    uint32_t max_frame, void *arg)
{
	ssize_t n = max_frame >= HBONE_FRAME ? HBONE_FRAME - 9 : TLS_RECORD - 9;

	(void)h2;
	(void)frame;
	(void)id;
	(void)arg;
	if (n > conn_window)
		n = conn_window;
	if (n > stream_window)
		n = stream_window;
	return n;
}

/* The bytes lie 9 behind the gathered ones already: stream.c read them there. */
static int
on_send_data(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *head, size_t n, nghttp2_data_source *source,
    void *arg)
{
	struct hbone *h = arg;
	struct thread *th = h->conn.th;

	(void)h2;
	(void)frame;
	(void)source;
	if (n == 0 && !make_room(h, 9)) /* an end alone: nothing was read, so no room was made */
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	memcpy(th->plain_out + th->plain_out_len, head, 9);
	th->plain_out_len += 9 + n;
	return 0;
}

/*
 * Makes and sends frames until nothing is left, the socket is full or this
 * tunnel has had its share of the tick: *ret_more is set only for the last.
 */
static enum tulle_err
flush(struct hbone *h, bool *ret_more)
{
	struct thread *th = h->conn.th;
	enum tulle_err e;
	int rv, turns = 0;

	do {
		if (tlsconn_blocked(&h->conn))
			return TULLE_OK; /* writable() brings us back */
		if (turns++ == FLUSH_TURNS) {
			*ret_more = true;
			return TULLE_OK;
		}
		th->plain_out_len = 0;
		h->inside = true;
		rv = nghttp2_session_send(h->h2);
		h->inside = false;
		if (h->failed)
			return h->error;
		if (rv != 0)
			return rv == NGHTTP2_ERR_NOMEM ? TULLE_ENOMEM : TULLE_EPEER;
		e = seal(h);
		if (e != TULLE_OK)
			return e;
		if (buf_len(&th->tx) == 0)
			break;
		e = tlsconn_flush(&h->conn);
		if (e != TULLE_OK && e != TULLE_AGAIN)
			return e;
	} while (nghttp2_session_want_write(h->h2));
	return TULLE_OK;
}

static void
flush_one(struct hbone *h)
{
	bool more = false;
	enum tulle_err e;

	if (h->h2 == NULL || h->conn.state != TLSCONN_OPEN)
		return;
	e = flush(h, &more);
	if (e != TULLE_OK) {
		h->failed = true;
		h->error = e;
		finish(h);
		return;
	}
	if (more)
		tlsconn_want_writable(&h->conn); /* the rest in the next tick, whether or not a source has more by then */
	else
		hstream_pause_starved(h);
	if (!nghttp2_session_want_read(h->h2) && !nghttp2_session_want_write(h->h2))
		hbone_fail(h, h->broken ? TULLE_EPEER : TULLE_EOF);
}

void
hbone_mark_dirty(struct hbone *h)
{
	if (h->dirty || h->closed || h->h2 == NULL)
		return;
	h->dirty = true;
	TAILQ_INSERT_TAIL(&h->conn.th->dirty, h, dirty_link);
}

void
hbone_flush_all(struct thread *th)
{
	struct hbone *h;

	while ((h = TAILQ_FIRST(&th->dirty)) != NULL) {
		TAILQ_REMOVE(&th->dirty, h, dirty_link);
		h->dirty = false;
		flush_one(h);
	}
}

/* ---- receiving -------------------------------------------------------- */

/* Header blocks never interleave (RFC 9113 4.3), so one place for a request is enough. */
static int
on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct hbone *h = arg;

	(void)h2;
	if (h->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		h->request.connect = false;
		h->request.authority[0] = '\0';
	}
	return 0;
}

static bool
name_is(const uint8_t *name, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(name, want, len) == 0;
}

static int
on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t namelen, const uint8_t *value,
    size_t valuelen, uint8_t flags, void *arg)
{
	struct hbone *h = arg;
	struct hstream *s;

	(void)flags;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (!h->server) {
		/* The answer, behind a 1xx or not: nghttp2 has checked that :status is three digits and nowhere else. */
		s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
		if (s != NULL && name_is(name, namelen, ":status") && valuelen == 3)
			hstream_answered(s, (value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0');
		return 0;
	}
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	/* baggage, forwarded and their like are claims of whoever holds a certificate: never used to decide */
	if (name_is(name, namelen, ":method")) {
		h->request.connect = name_is(value, valuelen, "CONNECT");
	} else if (name_is(name, namelen, ":authority") && valuelen <= HBONE_AUTHORITY_MAX) {
		memcpy(h->request.authority, value, valuelen);
		h->request.authority[valuelen] = '\0';
	}
	return 0;
}

static void
headers_complete(struct hbone *h, const nghttp2_frame *frame)
{
	if (h->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		h->events->request(h, frame->hd.stream_id, h->request.connect, h->request.authority);
}

/* Counts what a peer resets; an endless row of resets ends the tunnel, a burst does not. */
static bool
too_many_resets(struct hbone *h)
{
	uint64_t now = loop_now(h->conn.th->loop), gained = (now - h->resets_ms) * RESETS_PER_SEC / 1000;

	if (gained > 0) {
		h->resets = gained + h->resets > RESETS_BURST ? RESETS_BURST : (uint32_t)(h->resets + gained);
		h->resets_ms = now;
	}
	if (h->resets == 0)
		return true;
	h->resets--;
	return false;
}

static void
learn_settings(struct hbone *h)
{
	uint32_t allowed = nghttp2_session_get_remote_settings(h->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	h->streams_max = allowed < HBONE_STREAMS_CLIENT ? allowed : HBONE_STREAMS_CLIENT;
	if (h->events->slots != NULL)
		h->events->slots(h);
}

static int
on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct hbone *h = arg;
	struct hstream *s;

	h->heard_ms = loop_now(h->conn.th->loop);
	if (frame->hd.type == NGHTTP2_HEADERS)
		headers_complete(h, frame);
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
		if (s != NULL)
			hstream_ended(s);
	}
	if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
		h->ping_out = false;
	if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
		learn_settings(h);
	if (frame->hd.type == NGHTTP2_GOAWAY)
		h->draining = true;
	if (frame->hd.type == NGHTTP2_RST_STREAM && too_many_resets(h)) {
		log_warn("tunnel ended: too many resets",
		    LF_STR("peer", h->conn.tls != NULL ? tls_session_peer_id(h->conn.tls) : NULL));
		(void)nghttp2_session_terminate_session(h2, NGHTTP2_ENHANCE_YOUR_CALM);
	}
	return 0;
}

static int
on_data_chunk(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	struct hstream *s = nghttp2_session_get_stream_user_data(h2, id);

	(void)flags;
	(void)arg;
	/* The connection's window comes back at once; the stream's as its bytes leave (stream.c). */
	(void)nghttp2_session_consume_connection(h2, n);
	if (s != NULL)
		hstream_input(s, p, n);
	else
		(void)nghttp2_session_consume_stream(h2, id, n);
	return 0;
}

static int
on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	struct hstream *s = nghttp2_session_get_stream_user_data(h2, id);
	struct hbone *h = arg;

	if (s != NULL)
		hstream_gone(s, error == NGHTTP2_NO_ERROR ? TULLE_EOF : TULLE_ERESET, error);
	if (h->events->slots != NULL && !h->failed)
		h->events->slots(h);
	return 0;
}

static int
on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct hbone *h = arg;
	struct hstream *s;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
		log_info("tunnel broken by its peer", LF_STR("reason", nghttp2_http2_strerror(frame->goaway.error_code)),
		    LF_STR("peer", h->conn.tls != NULL ? tls_session_peer_id(h->conn.tls) : NULL));
		h->broken = true;
		return 0;
	}
	if (h->server && frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		/* An error status is out; the request's side is still open: a reset without an error ends it (RFC 9113 8.1). */
		(void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
		return 0;
	}
	if (frame->hd.type != NGHTTP2_DATA || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (s != NULL)
		hstream_sent_end(s);
	return 0;
}

/* A request that never became a stream of ours must not keep its memory. */
static int
on_frame_not_sent(nghttp2_session *h2, const nghttp2_frame *frame, int error, void *arg)
{
	struct hstream *s;

	(void)arg;
	(void)error;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (s != NULL)
		s->retryable = true; /* on_stream_close follows */
	return 0;
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
		log_info("tunnel broken by its peer", LF_STR("reason", nghttp2_strerror((int)rv)),
		    LF_STR("peer", c->tls != NULL ? tls_session_peer_id(c->tls) : NULL));
		h->failed = true;
		h->error = rv == NGHTTP2_ERR_NOMEM ? TULLE_ENOMEM : TULLE_EPEER;
	}
	if (h->failed) {
		finish(h);
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
	nghttp2_session_callbacks_set_send_callback(cb, on_send);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_read_length);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_sent);
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
		finish(h);
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
hbone_accept(struct hbone *h, struct thread *th, int fd, struct tls_context *ctx, const struct hbone_events *events)
{
	init(h, true, events);
	return tlsconn_accept(&h->conn, th, fd, ctx, &conn_events);
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
