/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a tunnel sends: frames of nghttp2's making, gathered, sealed and sent once a tick. */
#include <string.h>

#include "hbone/intern.h"
#include "hbone/stream.h"

#define FLUSH_TURNS 4 /* sends of one tunnel in one tick, each of some 256 KiB */

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

static int
on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct hbone *h = arg;
	struct hstream *s;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
		if (h->broken == NULL)
			h->broken = nghttp2_http2_strerror(frame->goaway.error_code);
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

void
hbone_out_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_send_callback(cb, on_send);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_read_length);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_sent);
}

/* ---- the flush --------------------------------------------------------- */

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
		hbone_finish(h);
		return;
	}
	if (more)
		tlsconn_want_writable(&h->conn); /* the rest in the next tick, whether or not a source has more by then */
	else
		hstream_pause_starved(h);
	if (!nghttp2_session_want_read(h->h2) && !nghttp2_session_want_write(h->h2))
		hbone_fail(h, h->broken != NULL ? TULLE_EPEER : TULLE_EOF);
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
