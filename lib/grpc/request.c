/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests: headers, the one message, its deadline, and the handler. */
#include <stdlib.h>

#include "grpc/intern.h"

static const struct grpc_method *
find_method(const struct grpc_server *s, const char *path, size_t len)
{
	for (const struct grpc_method *m = s->methods; m->path != NULL; m++)
		if (strlen(m->path) == len && memcmp(m->path, path, len) == 0)
			return m;
	return NULL;
}

static void
deadline_passed(struct timer *t)
{
	struct grpc_call *call = CONTAINER_OF(t, struct grpc_call, deadline);
	struct grpc_server *s = call->conn->server;

	if (!call->running) {
		grpc_finish(call, GRPC_DEADLINE_EXCEEDED, "the request did not come in time");
		return;
	}
	call->running = false;
	if (call->method->ended != NULL)
		call->method->ended(s->arg, call);
	grpc_finish(call, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
}

static void
refuse_message(struct grpc_call *call, enum tulle_err e)
{
	if (e == TULLE_EPEER)
		grpc_finish(call, GRPC_UNIMPLEMENTED, "compression is not supported");
	else if (e == TULLE_ELIMIT)
		grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "the request is too long");
	else
		grpc_finish(call, GRPC_INTERNAL, "exactly one message is expected");
}

/* The request is whole. */
static void
dispatch(struct grpc_call *call)
{
	struct grpc_server *s = call->conn->server;
	const uint8_t *p;
	enum tulle_err e;
	size_t n;

	if (call->running || call->finishing)
		return;
	timer_clear(s->loop, &call->deadline);
	e = grpc_unframe(&call->in, s->limits.request_max, &p, &n);
	if (e != TULLE_OK || buf_len(&call->in) != GRPC_PREFIX + n) {
		refuse_message(call, e);
		return;
	}
	call->running = true;
	if (call->has_timeout)
		timer_set(s->loop, &call->deadline, call->timeout_ms, deadline_passed);
	call->method->run(s->arg, call, p, n);
}

/* The headers are whole: what can be refused now need not be read. */
static void
judge_headers(struct grpc_call *call)
{
	if (call->finishing)
		return;
	if (!call->is_post || call->bad_type)
		call_http(call, call->is_post ? "415" : "405");
	else if (call->method == NULL)
		grpc_finish(call, GRPC_UNIMPLEMENTED, "no such method");
	else if (call->bad_timeout)
		grpc_finish(call, GRPC_INTERNAL, "grpc-timeout is malformed");
	else if (call->has_timeout && call->timeout_ms == 0)
		grpc_finish(call, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
}

static int
on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *c = arg;
	struct grpc_server *s = c->server;
	struct grpc_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	*call = (struct grpc_call){ .conn = c, .id = frame->hd.stream_id, .bad_type = true,
		.in = buf_new(s->limits.request_max + GRPC_PREFIX + 1), .out = buf_new(s->limits.response_max + GRPC_PREFIX) };
	LIST_INSERT_HEAD(&c->calls, call, link);
	s->ncalls++;
	timer_set(s->loop, &call->deadline, s->limits.request_ms, deadline_passed);
	(void)nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, call);
	return 0;
}

static int
keep_metadata(struct grpc_call *call, const uint8_t *name, size_t namelen, const uint8_t *value, size_t valuelen)
{
	size_t i = call->n_metadata;
	char *n, *v;

	if (i == METADATA_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = strndup((const char *)name, namelen);
	v = strndup((const char *)value, valuelen);
	if (n == NULL || v == NULL) {
		free(n);
		free(v);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	call->names[i] = n;
	call->values[i] = v;
	call->n_metadata++;
	return 0;
}

static int
on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t namelen, const uint8_t *value,
    size_t valuelen, uint8_t flags, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	struct grpc_conn *c = arg;

	(void)flags;
	if (call == NULL || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	/* nghttp2 keeps the bound that we announced but does not enforce it. */
	call->metadata_bytes += namelen + valuelen + 32;
	if (call->metadata_bytes > METADATA_BYTES)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; /* trailers: gRPC has none in requests */
	if (grpc_is(name, namelen, ":path")) {
		call->method = find_method(c->server, (const char *)value, valuelen);
	} else if (grpc_is(name, namelen, ":method")) {
		call->is_post = grpc_is(value, valuelen, "POST");
	} else if (grpc_is(name, namelen, "content-type")) {
		call->bad_type = !grpc_content_type((const char *)value, valuelen);
	} else if (grpc_is(name, namelen, "grpc-timeout")) {
		call->has_timeout = true;
		call->bad_timeout = grpc_timeout((const char *)value, valuelen, &call->timeout_ms) != TULLE_OK;
	} else if (namelen > 0 && name[0] != ':') {
		return keep_metadata(call, name, namelen, value, valuelen);
	}
	return 0;
}

static int
on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(h2, id);

	(void)flags;
	(void)arg;
	if (call == NULL || call->finishing || call->running)
		return 0;
	if (buf_append(&call->in, p, n) != TULLE_OK)
		grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "the request is too long");
	return 0;
}

/* Frames that cost their sender nothing; honest clients need few. */
static bool
is_cheap(const nghttp2_frame *frame)
{
	switch (frame->hd.type) {
	case NGHTTP2_PING:
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PRIORITY:
	case NGHTTP2_RST_STREAM:
		return true;
	case NGHTTP2_DATA:
		return frame->hd.length == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
	default:
		return false;
	}
}

static int
on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *c = arg;
	struct grpc_call *call;

	if (frame->hd.type == NGHTTP2_SETTINGS)
		c->hello = true;
	if (is_cheap(frame) && !conn_charge(c))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	call = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (call == NULL)
		return 0;
	call->whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		judge_headers(call);
	if (call->whole)
		dispatch(call);
	return 0;
}

/* What makes us reset a stream is charged like a reset of the client's own (CVE-2025-8671). */
static int
on_invalid_frame(nghttp2_session *h2, const nghttp2_frame *frame, int error, void *arg)
{
	(void)h2;
	(void)frame;
	(void)error;
	return conn_charge(arg) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int
on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(h2, id);

	(void)error;
	(void)arg;
	if (call != NULL)
		call_gone(call);
	return 0;
}

void
request_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
}
