/* SPDX-License-Identifier: GPL-3.0-or-later */
/* client_h2.c - the client's side of HTTP/2: what nghttp2 is given, and what it calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/client_intern.h"

#define STREAM_WINDOW (1 << 20)
#define CONNECTION_WINDOW (4 << 20)

/* ---- what came ---- */

static int
on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t namelen, const uint8_t *value,
    size_t valuelen, uint8_t flags, void *arg)
{
	struct grpc_request *r = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	char digits[4] = { 0 };

	(void)flags;
	(void)arg;
	if (r == NULL)
		return 0;
	r->header_bytes += namelen + valuelen + 32;
	if (r->header_bytes > CLIENT_HEADERS_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (grpc_is(name, namelen, ":status")) {
		memcpy(digits, value, valuelen < 3 ? valuelen : 3);
		r->http_status = atoi(digits);
	} else if (grpc_is(name, namelen, "content-type")) {
		r->is_grpc = grpc_content_type((const char *)value, valuelen);
	} else if (grpc_is(name, namelen, "grpc-status")) {
		r->status = (int)grpc_status_parse((const char *)value, valuelen);
	} else if (grpc_is(name, namelen, "grpc-message")) {
		grpc_decode_text((const char *)value, valuelen, r->text);
	}
	return 0;
}

static int
on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	struct grpc_request *r = nghttp2_session_get_stream_user_data(h2, id);
	struct grpc_client *c = arg;
	const uint8_t *msg;
	enum tulle_err e;
	size_t len;

	(void)flags;
	if (r == NULL || r->http_status != 200 || !r->is_grpc)
		return 0; /* a page of somebody else's */
	e = buf_append(&r->in, p, n);
	while (e == TULLE_OK) {
		e = grpc_unframe(&r->in, c->response_max, &msg, &len);
		if (e != TULLE_OK)
			break;
		r->handler.message(r->arg, msg, len);
		r = nghttp2_session_get_stream_user_data(h2, id);
		if (r == NULL)
			return 0; /* cancelled from within */
		buf_consume(&r->in, GRPC_PREFIX + len);
	}
	if (buf_len(&r->in) == 0)
		buf_wipe(&r->in);
	if (e != TULLE_AGAIN) {
		client_abandon(r);
		client_request_finish(r, GRPC_RESOURCE_EXHAUSTED, e == TULLE_EPEER ? "a compressed message came" : "a message is too long");
	}
	return 0;
}

static int
on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	struct grpc_request *r = nghttp2_session_get_stream_user_data(h2, id);
	char text[128];

	(void)arg;
	if (r == NULL)
		return 0;
	r->id = 0; /* nghttp2 has done with it */
	if (r->http_status != 0 && r->http_status != 200) {
		(void)snprintf(text, sizeof(text), "HTTP status %d", r->http_status);
		client_request_finish(r, grpc_status_of_http(r->http_status), text);
	} else if (r->http_status != 0 && !r->is_grpc) {
		client_request_finish(r, GRPC_UNKNOWN, "the answer is not gRPC");
	} else if (r->status < 0) {
		(void)snprintf(text, sizeof(text), "the stream ended without a status: %s", nghttp2_http2_strerror(error));
		client_request_finish(r, error != NGHTTP2_NO_ERROR ? grpc_status_of_reset(error) : GRPC_UNKNOWN, text);
	} else if (r->status == GRPC_OK && buf_len(&r->in) > 0) {
		client_request_finish(r, GRPC_INTERNAL, "the last message is not whole");
	} else {
		client_request_finish(r, (enum grpc_status)r->status, r->text);
	}
	return 0;
}

/* A request that waited for its turn and never left, because of a GOAWAY.  This may be inside grpc_start(), so: later. */
static int
on_not_sent(nghttp2_session *h2, const nghttp2_frame *frame, int error, void *arg)
{
	struct grpc_client *c = arg;
	struct grpc_request *r;

	(void)h2;
	(void)error;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	LIST_FOREACH(r, &c->requests, link)
		if (r->id == frame->hd.stream_id) {
			r->id = 0;
			client_request_refuse(r);
			break;
		}
	return 0;
}

enum tulle_err
client_h2_start(struct grpc_client *c)
{
	const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0 }, { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CLIENT_HEADERS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW } };
	nghttp2_session_callbacks *cb;
	int rv;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return TULLE_ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
	rv = nghttp2_session_client_new(&c->h2, cb, c);
	nghttp2_session_callbacks_del(cb);
	if (rv == 0)
		rv = nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, 4);
	if (rv == 0)
		rv = nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
	return rv == 0 ? TULLE_OK : TULLE_ENOMEM;
}

/* ---- what goes ---- */

static ssize_t
read_request(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t max, uint32_t *flags, nghttp2_data_source *source,
    void *arg)
{
	struct grpc_request *r = nghttp2_session_get_stream_user_data(h2, id);
	size_t n;

	(void)source;
	(void)arg;
	if (r == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = buf_len(&r->out);
	if (n > max)
		n = max;
	memcpy(buf, buf_head(&r->out), n);
	buf_consume(&r->out, n);
	if (buf_len(&r->out) == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

void
client_submit(struct grpc_request *r)
{
	struct grpc_client *c = r->client;
	const nghttp2_data_provider data = { .read_callback = read_request };
	nghttp2_nv all[8 + CLIENT_METADATA_MAX] = { grpc_nv(":method", "POST"), grpc_nv(":scheme", "http"), grpc_nv(":path", r->path),
		grpc_nv(":authority", c->authority), grpc_nv("content-type", "application/grpc"), grpc_nv("te", "trailers"),
		grpc_nv("user-agent", "tulle-grpc/" TULLE_VERSION) };
	char timeout[16];
	size_t n = 7;

	if (r->deadline_ms > 0 && r->deadline_ms < 100000000) {
		(void)snprintf(timeout, sizeof(timeout), "%um", (unsigned int)r->deadline_ms);
		all[n++] = grpc_nv("grpc-timeout", timeout);
	}
	for (size_t i = 0; i < r->n_metadata; i++)
		all[n++] = grpc_nv(r->metadata[2 * i], r->metadata[2 * i + 1]);
	r->id = nghttp2_submit_request(c->h2, NULL, all, n, &data, r);
}

void
client_abandon(struct grpc_request *r)
{
	struct grpc_client *c = r->client;

	if (r->id <= 0 || c->h2 == NULL)
		return;
	(void)nghttp2_session_set_stream_user_data(c->h2, r->id, NULL);
	(void)nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_CANCEL);
	r->id = 0;
}
