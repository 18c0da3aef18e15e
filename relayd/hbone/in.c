/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a tunnel receives: frames, as nghttp2 has understood them, become requests, answers and bytes of streams. */
#include <string.h>

#include "hbone/intern.h"
#include "hbone/stream.h"

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
		h->broken = "too many resets";
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

void
hbone_in_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
}
