/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grpc/client.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define RESPONSE_MAX (4u << 20)
#define METADATA_MAX 16
#define PENDING_MAX (256 * 1024) /* bytes given to the channel ahead of the socket */
#define STREAM_WINDOW (1 << 20)
#define CONNECTION_WINDOW (4 << 20)
#define HEADERS_MAX 16384

struct grpc_request {
	LIST_ENTRY(grpc_request) link;
	struct grpc_client *client;
	int32_t id;                 /* 0 until the connection is ready */
	char *path;                 /* owned */
	struct buf out;             /* the framed request */
	struct buf in;
	struct grpc_handler handler;
	void *arg;
	struct timer deadline;
	uint64_t deadline_ms;
	int status;                 /* from the trailers; -1: none yet */
	char text[GRPC_TEXT_MAX];
	int http_status;
	bool is_grpc;               /* by its content type */
	size_t header_bytes;
	size_t n_metadata;
	char *metadata[2 * METADATA_MAX]; /* names and values in turn; owned */
};

struct grpc_client {
	struct loop *loop;
	struct channel *channel;    /* owned */
	nghttp2_session *h2;        /* owned; NULL until ready */
	struct grpc_client_events events;
	void *arg;
	char *authority;
	size_t response_max;
	LIST_HEAD(, grpc_request) requests;
	bool closed;
	bool inside;                /* nghttp2 is calling us */
	unsigned int calling;       /* callbacks of the channel and timers under way */
	bool freed;                 /* by its user, in one of those */
};

static void
request_free(struct grpc_request *r)
{
	LIST_REMOVE(r, link);
	timer_clear(r->client->loop, &r->deadline);
	if (r->id > 0 && r->client->h2 != NULL)
		(void)nghttp2_session_set_stream_user_data(r->client->h2, r->id, NULL);
	for (size_t i = 0; i < 2 * r->n_metadata; i++)
		free(r->metadata[i]);
	buf_wipe(&r->in); /* responses carry keys */
	buf_wipe(&r->out);
	free(r->path);
	free(r);
}

static void
request_finish(struct grpc_request *r, enum grpc_status status, const char *text)
{
	struct grpc_handler h = r->handler;
	char copy[GRPC_TEXT_MAX];
	void *arg = r->arg;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	request_free(r);
	h.finished(arg, status, copy);
}

/*
 * Between enter() and leave() the user may be called, who may free the
 * client: that is then put off until nobody stands in it any more.
 */
static void
enter(struct grpc_client *c)
{
	c->calling++;
}

static void client_delete(struct grpc_client *c);

static void
leave(struct grpc_client *c)
{
	if (--c->calling == 0 && c->freed)
		client_delete(c);
}

/* What nghttp2 has goes to the channel, which sends it at the end of the tick. */
static void
flush(struct grpc_client *c)
{
	const uint8_t *p;
	ssize_t n;

	if (c->h2 == NULL || c->inside || c->closed)
		return;
	c->inside = true;
	while (channel_pending(c->channel) < PENDING_MAX && (n = nghttp2_session_mem_send(c->h2, &p)) > 0)
		if (channel_write(c->channel, p, (size_t)n) != TULLE_OK) {
			channel_finish(c->channel); /* bytes are lost: it is of no more use */
			break;
		}
	c->inside = false;
}

/* Tells the server that the answer is not wanted; nghttp2 forgets the request. */
static void
abandon(struct grpc_request *r)
{
	struct grpc_client *c = r->client;

	if (r->id <= 0 || c->h2 == NULL)
		return;
	(void)nghttp2_session_set_stream_user_data(c->h2, r->id, NULL);
	(void)nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_CANCEL);
	r->id = 0;
}

/* ---- callbacks of nghttp2 ------------------------------------------------------- */

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

static bool
is(const uint8_t *name, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(name, want, len) == 0;
}

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
	if (r->header_bytes > HEADERS_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (is(name, namelen, ":status")) {
		memcpy(digits, value, valuelen < 3 ? valuelen : 3);
		r->http_status = atoi(digits);
	} else if (is(name, namelen, "content-type")) {
		r->is_grpc = grpc_content_type((const char *)value, valuelen);
	} else if (is(name, namelen, "grpc-status")) {
		r->status = (int)grpc_status_parse((const char *)value, valuelen);
	} else if (is(name, namelen, "grpc-message")) {
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
		abandon(r);
		request_finish(r, GRPC_RESOURCE_EXHAUSTED, e == TULLE_EPEER ? "a compressed message came" : "a message is too long");
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
		request_finish(r, grpc_status_of_http(r->http_status), text);
	} else if (r->http_status != 0 && !r->is_grpc) {
		request_finish(r, GRPC_UNKNOWN, "the answer is not gRPC");
	} else if (r->status < 0) {
		(void)snprintf(text, sizeof(text), "the stream ended without a status: %s", nghttp2_http2_strerror(error));
		request_finish(r, error != NGHTTP2_NO_ERROR ? grpc_status_of_reset(error) : GRPC_UNKNOWN, text);
	} else if (r->status == GRPC_OK && buf_len(&r->in) > 0) {
		request_finish(r, GRPC_INTERNAL, "the last message is not whole");
	} else {
		request_finish(r, (enum grpc_status)r->status, r->text);
	}
	return 0;
}

static void
refused(struct timer *t)
{
	struct grpc_request *r = CONTAINER_OF(t, struct grpc_request, deadline);
	struct grpc_client *c = r->client;

	enter(c);
	request_finish(r, GRPC_UNAVAILABLE, "the connection takes no more requests");
	leave(c);
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
			timer_set(c->loop, &r->deadline, 0, refused);
			break;
		}
	return 0;
}

static enum tulle_err
h2_start(struct grpc_client *c)
{
	const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0 }, { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADERS_MAX },
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

/* ---- requests --------------------------------------------------------------------- */

static nghttp2_nv
nv(const char *name, const char *value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
		.value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value) };
}

static void
submit(struct grpc_request *r)
{
	struct grpc_client *c = r->client;
	const nghttp2_data_provider data = { .read_callback = read_request };
	nghttp2_nv all[8 + METADATA_MAX] = { nv(":method", "POST"), nv(":scheme", "http"), nv(":path", r->path),
		nv(":authority", c->authority), nv("content-type", "application/grpc"), nv("te", "trailers"),
		nv("user-agent", "tulle-grpc/" TULLE_VERSION) };
	char timeout[16];
	size_t n = 7;

	if (r->deadline_ms > 0 && r->deadline_ms < 100000000) {
		(void)snprintf(timeout, sizeof(timeout), "%um", (unsigned int)r->deadline_ms);
		all[n++] = nv("grpc-timeout", timeout);
	}
	for (size_t i = 0; i < r->n_metadata; i++)
		all[n++] = nv(r->metadata[2 * i], r->metadata[2 * i + 1]);
	r->id = nghttp2_submit_request(c->h2, NULL, all, n, &data, r);
}

static void
deadline_passed(struct timer *t)
{
	struct grpc_request *r = CONTAINER_OF(t, struct grpc_request, deadline);
	struct grpc_client *c = r->client;

	enter(c);
	abandon(r);
	flush(c);
	request_finish(r, GRPC_DEADLINE_EXCEEDED, "no answer in time");
	leave(c);
}

enum tulle_err
grpc_start(struct grpc_client *c, struct grpc_request **ret, const char *path, const void *p, size_t n,
    const struct grpc_metadata *metadata, size_t n_metadata, uint64_t deadline_ms, const struct grpc_handler *handler,
    void *arg)
{
	struct grpc_request *r;
	bool complete = true;

	if (c->closed || c->freed)
		return TULLE_EUNAVAIL;
	if (c->h2 != NULL && !nghttp2_session_check_request_allowed(c->h2))
		return TULLE_EUNAVAIL; /* GOAWAY, or no stream id is left */
	if (n_metadata > METADATA_MAX)
		return TULLE_ELIMIT;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return TULLE_ENOMEM;
	*r = (struct grpc_request){ .client = c, .out = buf_new(n + GRPC_PREFIX), .in = buf_new(c->response_max + 65536),
		.handler = *handler, .arg = arg, .deadline_ms = deadline_ms, .status = -1, .n_metadata = n_metadata };
	LIST_INSERT_HEAD(&c->requests, r, link);
	r->path = strdup(path);
	for (size_t i = 0; i < n_metadata; i++) {
		r->metadata[2 * i] = strdup(metadata[i].name);
		r->metadata[2 * i + 1] = strdup(metadata[i].value);
		complete = complete && r->metadata[2 * i] != NULL && r->metadata[2 * i + 1] != NULL;
	}
	if (r->path == NULL || !complete || grpc_frame(&r->out, p, n) != TULLE_OK) {
		request_free(r);
		return TULLE_ENOMEM;
	}
	if (deadline_ms > 0)
		timer_set(c->loop, &r->deadline, deadline_ms, deadline_passed);
	if (c->h2 != NULL) {
		submit(r);
		if (r->id < 0) {
			request_free(r);
			return TULLE_EUNAVAIL;
		}
		flush(c);
	}
	*ret = r;
	return TULLE_OK;
}

void
grpc_cancel(struct grpc_request *r)
{
	struct grpc_client *c = r->client;

	abandon(r);
	request_free(r);
	flush(c);
}

/* ---- the connection ------------------------------------------------------------------ */

/* Fails every request, then tells the user. */
static void
client_closed(struct grpc_client *c, const char *reason)
{
	struct grpc_request *r;

	if (c->closed)
		return;
	c->closed = true;
	while ((r = LIST_FIRST(&c->requests)) != NULL) {
		r->id = 0;
		request_finish(r, GRPC_UNAVAILABLE, reason);
	}
	if (!c->freed)
		c->events.closed(c->arg, reason);
}

static void
submit_all(struct grpc_client *c)
{
	struct grpc_request *r;
again:
	LIST_FOREACH(r, &c->requests, link) {
		if (r->id != 0)
			continue;
		submit(r);
		if (r->id < 0) {
			request_finish(r, GRPC_UNAVAILABLE, "the connection takes no more requests");
			goto again; /* the list may be another now */
		}
	}
}

static void
channel_ready(struct channel *ch, void *arg)
{
	struct grpc_client *c = arg;

	(void)ch;
	enter(c);
	if (h2_start(c) != TULLE_OK) {
		client_closed(c, "out of memory");
	} else {
		submit_all(c);
		flush(c);
		if (c->events.ready != NULL && !c->freed)
			c->events.ready(c->arg);
	}
	leave(c);
}

static void
channel_read(struct channel *ch, const uint8_t *p, size_t n, void *arg)
{
	struct grpc_client *c = arg;
	ssize_t rv;

	(void)ch;
	if (c->h2 == NULL || c->closed)
		return;
	enter(c);
	c->inside = true; /* nghttp2 must not be asked to send from within */
	rv = nghttp2_session_mem_recv(c->h2, p, n);
	c->inside = false;
	if (rv >= 0)
		flush(c);
	if (rv < 0) /* and fed no more bytes (CVE-2026-27135) */
		client_closed(c, nghttp2_strerror((int)rv));
	else if (!nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2))
		client_closed(c, "the server ended the connection");
	leave(c);
}

static void
channel_drained(struct channel *ch, void *arg)
{
	(void)ch;
	flush(arg);
}

static void
channel_closed(struct channel *ch, enum tulle_err why, void *arg)
{
	struct grpc_client *c = arg;
	char reason[256];

	(void)snprintf(reason, sizeof(reason), "%s", why == TULLE_EOF ? "the server closed the connection" : channel_error(ch));
	enter(c);
	client_closed(c, reason);
	leave(c);
}

static const struct channel_handler channel_handler = { .ready = channel_ready, .read = channel_read,
	.drained = channel_drained, .closed = channel_closed };

static struct grpc_client *
client_alloc(struct loop *l, const struct grpc_client_options *o, const struct grpc_client_events *events, void *arg)
{
	struct grpc_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = (struct grpc_client){ .loop = l, .events = *events, .arg = arg,
		.response_max = o != NULL && o->response_max > 0 ? o->response_max : RESPONSE_MAX };
	LIST_INIT(&c->requests);
	c->authority = strdup(o != NULL && o->authority != NULL ? o->authority : "localhost");
	if (c->authority == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

enum tulle_err
grpc_client_new(struct grpc_client **ret, struct loop *l, int fd, const struct grpc_client_options *o,
    const struct grpc_client_events *events, void *arg)
{
	struct grpc_client *c = client_alloc(l, o, events, arg);
	enum tulle_err e;

	if (c == NULL)
		return TULLE_ENOMEM;
	e = channel_new(&c->channel, l, fd, o != NULL ? &o->channel : NULL, &channel_handler, c);
	if (e != TULLE_OK)
		return grpc_client_free(c), e;
	*ret = c;
	return TULLE_OK;
}

enum tulle_err
grpc_client_connect(struct grpc_client **ret, struct loop *l, const struct addr *to, const struct grpc_client_options *o,
    const struct grpc_client_events *events, void *arg)
{
	struct grpc_client *c = client_alloc(l, o, events, arg);
	enum tulle_err e;

	if (c == NULL)
		return TULLE_ENOMEM;
	e = channel_connect(&c->channel, l, to, o != NULL ? &o->channel : NULL, &channel_handler, c);
	if (e != TULLE_OK)
		return grpc_client_free(c), e;
	*ret = c;
	return TULLE_OK;
}

static void
client_delete(struct grpc_client *c)
{
	nghttp2_session_del(c->h2);
	(void)channel_free(c->channel);
	free(c->authority);
	free(c);
}

struct grpc_client *
grpc_client_free(struct grpc_client *c)
{
	struct grpc_request *r;

	if (c == NULL)
		return NULL;
	while ((r = LIST_FIRST(&c->requests)) != NULL)
		request_free(r);
	c->freed = true;
	if (c->calling == 0)
		client_delete(c);
	return NULL;
}

struct tls_session *
grpc_client_session(const struct grpc_client *c)
{
	return channel_session(c->channel);
}
