/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grpc/server.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/channel.h"

#define LISTENERS_MAX 4
#define METADATA_MAX 32       /* fields kept of a request */
#define METADATA_BYTES 8192   /* and their bytes */
#define READY_MS 10000

struct grpc_call {
	LIST_ENTRY(grpc_call) link;
	struct grpc_conn *conn;
	const struct grpc_method *method; /* NULL: unknown path */
	int32_t id;
	struct buf in;       /* the request, framed */
	struct buf out;      /* responses, framed */
	struct timer deadline;
	uint64_t timeout_ms;
	void *data;
	void (*sent)(void *arg, struct grpc_call *call);
	bool bad_type, bad_timeout, is_post;
	bool running;        /* the handler has it */
	bool answered;       /* HEADERS are submitted */
	bool finishing;
	bool deferred;       /* nghttp2 waits for more to send */
	enum grpc_status status;
	char text[GRPC_TEXT_MAX];
	char *names[METADATA_MAX], *values[METADATA_MAX]; /* owned */
	size_t n_metadata, metadata_bytes;
};

struct grpc_conn {
	LIST_ENTRY(grpc_conn) link;
	struct grpc_server *server;
	struct channel *channel;
	nghttp2_session *h2;
	LIST_HEAD(, grpc_call) calls;
	bool inside;         /* nghttp2 is calling us */
	bool dead;
};

struct listener {
	struct grpc_server *server;
	struct watch watch;
};

struct grpc_server {
	struct loop *loop;
	const struct grpc_method *methods;
	void *arg;
	struct tls_context *tls;
	size_t connections_max, streams_max, request_max, response_max;
	struct listener listeners[LISTENERS_MAX];
	size_t nlisteners;
	LIST_HEAD(, grpc_conn) conns;
	size_t nconns;
	size_t ncalls;
};

static void
call_free(struct grpc_call *call)
{
	LIST_REMOVE(call, link);
	call->conn->server->ncalls--;
	timer_clear(call->conn->server->loop, &call->deadline);
	for (size_t i = 0; i < call->n_metadata; i++) {
		free(call->names[i]);
		free(call->values[i]);
	}
	buf_wipe(&call->in);
	buf_wipe(&call->out); /* answers carry keys */
	free(call);
}

/* The client has gone: whoever runs the call is told. */
static void
call_gone(struct grpc_call *call)
{
	struct grpc_server *s = call->conn->server;

	if (call->running && !call->finishing && call->method != NULL && call->method->ended != NULL)
		call->method->ended(s->arg, call);
	call_free(call);
}

static void
conn_free(struct grpc_conn *c)
{
	struct grpc_call *call;

	while ((call = LIST_FIRST(&c->calls)) != NULL)
		call_gone(call);
	LIST_REMOVE(c, link);
	c->server->nconns--;
	nghttp2_session_del(c->h2);
	(void)channel_free(c->channel);
	free(c);
}

static void
flush(struct grpc_conn *c)
{
	const uint8_t *p;
	ssize_t n;

	if (c->h2 == NULL || c->inside || c->dead)
		return;
	c->inside = true;
	while (channel_pending(c->channel) < 256 * 1024 && (n = nghttp2_session_mem_send(c->h2, &p)) > 0)
		if (channel_write(c->channel, p, (size_t)n) != TULLE_OK)
			break;
	c->inside = false;
}

/* ---- answers --------------------------------------------------------------------------- */

static nghttp2_nv
nv(const char *name, const char *value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
		.value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value) };
}

static void
submit_trailers(struct grpc_call *call)
{
	char status[16], text[GRPC_TEXT_MAX];
	nghttp2_nv all[2];

	(void)snprintf(status, sizeof(status), "%d", (int)call->status);
	grpc_encode_text(call->text, text);
	all[0] = nv("grpc-status", status);
	all[1] = nv("grpc-message", text);
	(void)nghttp2_submit_trailer(call->conn->h2, call->id, all, text[0] != '\0' ? 2 : 1);
}

static ssize_t
read_response(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t max, uint32_t *flags, nghttp2_data_source *source,
    void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(h2, id);
	size_t n;

	(void)source;
	(void)arg;
	if (call == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = buf_len(&call->out);
	if (n == 0 && !call->finishing) {
		call->deferred = true;
		if (call->sent != NULL) {
			void (*sent)(void *, struct grpc_call *) = call->sent;

			call->sent = NULL;
			sent(call->conn->server->arg, call);
			if (buf_len(&call->out) > 0) /* more at once: the resume inside grpc_send() does nothing yet */
				return read_response(h2, id, buf, max, flags, source, arg);
		}
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > max)
		n = max;
	if (n > 0)
		memcpy(buf, buf_head(&call->out), n);
	buf_consume(&call->out, n);
	if (buf_len(&call->out) == 0) {
		buf_wipe(&call->out);
		if (call->finishing) {
			*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
			submit_trailers(call);
		}
	}
	return (ssize_t)n;
}

static enum tulle_err
submit_headers(struct grpc_call *call)
{
	const nghttp2_data_provider data = { .read_callback = read_response };
	const nghttp2_nv all[] = { nv(":status", "200"), nv("content-type", "application/grpc") };

	if (call->answered)
		return TULLE_OK;
	if (nghttp2_submit_response(call->conn->h2, call->id, all, 2, &data) != 0)
		return TULLE_ENOMEM;
	call->answered = true;
	return TULLE_OK;
}

static void
resume(struct grpc_call *call)
{
	if (call->deferred) {
		call->deferred = false;
		(void)nghttp2_session_resume_data(call->conn->h2, call->id);
	}
	flush(call->conn);
}

enum tulle_err
grpc_send(struct grpc_call *call, const void *p, size_t n)
{
	enum tulle_err e;

	if (n > call->conn->server->response_max)
		return TULLE_ELIMIT;
	if (buf_len(&call->out) > 0)
		return TULLE_EBUSY;
	e = grpc_frame(&call->out, p, n);
	if (e == TULLE_OK)
		e = submit_headers(call);
	if (e == TULLE_OK)
		resume(call);
	return e;
}

void
grpc_call_on_sent(struct grpc_call *call, void (*sent)(void *arg, struct grpc_call *call))
{
	call->sent = sent;
}

void
grpc_finish(struct grpc_call *call, enum grpc_status status, const char *message)
{
	char code[16], text[GRPC_TEXT_MAX];
	struct grpc_conn *c = call->conn;

	call->finishing = true;
	call->status = status;
	(void)snprintf(call->text, sizeof(call->text), "%s", message != NULL ? message : "");
	if (call->answered) {
		resume(call);
		return;
	}
	/* Nothing was sent: status and all in one HEADERS frame (trailers-only). */
	(void)snprintf(code, sizeof(code), "%d", (int)status);
	grpc_encode_text(call->text, text);
	{
		const nghttp2_nv all[] = { nv(":status", "200"), nv("content-type", "application/grpc"), nv("grpc-status", code),
			nv("grpc-message", text) };

		(void)nghttp2_submit_response(c->h2, call->id, all, text[0] != '\0' ? 4 : 3, NULL);
	}
	call->answered = true;
	flush(c);
}

static void
answer_http(struct grpc_call *call, const char *status)
{
	const nghttp2_nv all[] = { nv(":status", status) };

	call->finishing = true;
	call->answered = true;
	(void)nghttp2_submit_response(call->conn->h2, call->id, all, 1, NULL);
}

/* ---- requests ------------------------------------------------------------------------------ */

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

	if (call->running && call->method->ended != NULL)
		call->method->ended(s->arg, call);
	call->running = false;
	grpc_finish(call, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
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
	if (!call->is_post || call->bad_type) {
		answer_http(call, call->is_post ? "415" : "405");
		return;
	}
	if (call->method == NULL) {
		grpc_finish(call, GRPC_UNIMPLEMENTED, "no such method");
		return;
	}
	if (call->bad_timeout) {
		grpc_finish(call, GRPC_INTERNAL, "grpc-timeout is malformed");
		return;
	}
	e = grpc_unframe(&call->in, s->request_max, &p, &n);
	if (e != TULLE_OK || buf_len(&call->in) != GRPC_PREFIX + n) {
		grpc_finish(call, e == TULLE_EPEER ? GRPC_UNIMPLEMENTED : e == TULLE_ELIMIT ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL,
		    e == TULLE_EPEER ? "compression is not supported" : e == TULLE_ELIMIT ? "the request is too long"
		                                                              : "exactly one message is expected");
		return;
	}
	call->running = true;
	if (call->timeout_ms > 0)
		timer_set(s->loop, &call->deadline, call->timeout_ms, deadline_passed);
	call->method->run(s->arg, call, p, n);
}

static int
on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *c = arg;
	struct grpc_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	*call = (struct grpc_call){ .conn = c, .id = frame->hd.stream_id, .in = buf_new(c->server->request_max + GRPC_PREFIX + 1),
		.out = buf_new(c->server->response_max + GRPC_PREFIX), .bad_type = true };
	LIST_INSERT_HEAD(&c->calls, call, link);
	c->server->ncalls++;
	(void)nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, call);
	return 0;
}

static bool
is(const uint8_t *name, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(name, want, len) == 0;
}

static int
keep_metadata(struct grpc_call *call, const uint8_t *name, size_t namelen, const uint8_t *value, size_t valuelen)
{
	size_t i = call->n_metadata;

	call->metadata_bytes += namelen + valuelen + 32; /* RFC 9113 6.5.2 */
	if (i == METADATA_MAX || call->metadata_bytes > METADATA_BYTES)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	call->names[i] = strndup((const char *)name, namelen);
	call->values[i] = strndup((const char *)value, valuelen);
	if (call->names[i] == NULL || call->values[i] == NULL) {
		free(call->names[i]);
		free(call->values[i]);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
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
	if (is(name, namelen, ":path"))
		call->method = find_method(c->server, (const char *)value, valuelen);
	else if (is(name, namelen, ":method"))
		call->is_post = is(value, valuelen, "POST");
	else if (is(name, namelen, "content-type"))
		/* "application/grpc", "application/grpc+proto", "application/grpc;..." */
		call->bad_type = valuelen < 16 || memcmp(value, "application/grpc", 16) != 0 ||
		    (valuelen > 16 && value[16] != '+' && value[16] != ';');
	else if (is(name, namelen, "grpc-timeout"))
		call->bad_timeout = grpc_timeout((const char *)value, valuelen, &call->timeout_ms) != TULLE_OK;
	else if (namelen > 0 && name[0] != ':')
		return keep_metadata(call, name, namelen, value, valuelen);
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

static int
on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_call *call;

	(void)arg;
	if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (call != NULL)
		dispatch(call);
	return 0;
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

/* ---- connections ------------------------------------------------------------------------------ */

static bool
h2_start(struct grpc_conn *c)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)c->server->streams_max },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, METADATA_BYTES } };
	nghttp2_session_callbacks *cb;
	nghttp2_option *o;
	int rv;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return false;
	if (nghttp2_option_new(&o) != 0) {
		nghttp2_session_callbacks_del(cb);
		return false;
	}
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	rv = nghttp2_session_server_new2(&c->h2, cb, c, o);
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(o);
	return rv == 0 && nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, 2) == 0;
}

static void
conn_ready(struct channel *ch, void *arg)
{
	struct grpc_conn *c = arg;

	(void)ch;
	if (!h2_start(c)) {
		conn_free(c);
		return;
	}
	flush(c);
}

static void
conn_read(struct channel *ch, const uint8_t *p, size_t n, void *arg)
{
	struct grpc_conn *c = arg;
	ssize_t rv;

	(void)ch;
	if (c->dead)
		return;
	c->inside = true;
	rv = nghttp2_session_mem_recv(c->h2, p, n);
	c->inside = false;
	flush(c);
	if (rv < 0) {
		c->dead = true; /* fed no more bytes (CVE-2026-27135) */
		channel_finish(c->channel);
		return;
	}
	/* A peer that makes us answer and does not read would fill our memory. */
	if (!nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2))
		channel_finish(c->channel);
	else if (nghttp2_session_get_outbound_queue_size(c->h2) > 1000)
		conn_free(c);
}

static void
conn_drained(struct channel *ch, void *arg)
{
	(void)ch;
	flush(arg);
}

static void
conn_closed(struct channel *ch, enum tulle_err why, void *arg)
{
	(void)ch;
	(void)why;
	conn_free(arg);
}

static const struct channel_handler conn_handler = { .ready = conn_ready, .read = conn_read, .drained = conn_drained,
	.closed = conn_closed };

static void
listener_ready(struct watch *w, uint32_t events)
{
	struct grpc_server *s = CONTAINER_OF(w, struct listener, watch)->server;
	int AUTO_FD fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	const struct channel_options o = { .tls = s->tls, .out_max = 2 * s->response_max, .ready_ms = READY_MS };
	struct grpc_conn *c;

	(void)events;
	if (fd == -1 || s->nconns == s->connections_max)
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return;
	c->server = s;
	LIST_INIT(&c->calls);
	if (channel_new(&c->channel, s->loop, fd, &o, &conn_handler, c) != TULLE_OK) {
		free(c);
		return;
	}
	(void)fd_take(&fd);
	LIST_INSERT_HEAD(&s->conns, c, link);
	s->nconns++;
}

/* ---- the server ----------------------------------------------------------------------------------- */

enum tulle_err
grpc_server_new(struct grpc_server **ret, struct loop *l, const struct grpc_method *methods, void *arg,
    const struct grpc_server_options *o)
{
	const struct grpc_server_options none = { 0 }, *opt = o != NULL ? o : &none;
	struct grpc_server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return TULLE_ENOMEM;
	*s = (struct grpc_server){ .loop = l, .methods = methods, .arg = arg,
		.connections_max = opt->connections_max > 0 ? opt->connections_max : 256,
		.streams_max = opt->streams_max > 0 ? opt->streams_max : 64,
		.request_max = opt->request_max > 0 ? opt->request_max : 16384,
		.response_max = opt->response_max > 0 ? opt->response_max : 4u << 20 };
	if (opt->tls != NULL)
		s->tls = tls_context_ref(opt->tls);
	LIST_INIT(&s->conns);
	*ret = s;
	return TULLE_OK;
}

enum tulle_err
grpc_server_listen(struct grpc_server *s, int fd)
{
	struct listener *l = &s->listeners[s->nlisteners];
	enum tulle_err e;

	if (s->nlisteners == LISTENERS_MAX)
		return TULLE_ELIMIT;
	*l = (struct listener){ .server = s, .watch = WATCH_INIT };
	e = loop_add(s->loop, &l->watch, fd, EPOLLIN, listener_ready);
	if (e == TULLE_OK)
		s->nlisteners++;
	return e;
}

void
grpc_server_set_tls(struct grpc_server *s, struct tls_context *tls)
{
	struct tls_context *old = s->tls;

	s->tls = tls_context_ref(tls);
	(void)tls_context_unref(old);
}

struct grpc_server *
grpc_server_free(struct grpc_server *s)
{
	struct grpc_conn *c;

	if (s == NULL)
		return NULL;
	while ((c = LIST_FIRST(&s->conns)) != NULL)
		conn_free(c);
	for (size_t i = 0; i < s->nlisteners; i++) {
		int fd = s->listeners[i].watch.fd;

		loop_del(s->loop, &s->listeners[i].watch);
		(void)close(fd);
	}
	(void)tls_context_unref(s->tls);
	free(s);
	return NULL;
}

void
grpc_call_set_data(struct grpc_call *call, void *data)
{
	call->data = data;
}

void *
grpc_call_data(const struct grpc_call *call)
{
	return call->data;
}

const char *
grpc_call_metadata(const struct grpc_call *call, const char *name)
{
	for (size_t i = 0; i < call->n_metadata; i++)
		if (strcmp(call->names[i], name) == 0)
			return call->values[i];
	return NULL;
}

unsigned int
grpc_call_metadata_count(const struct grpc_call *call, const char *name)
{
	unsigned int n = 0;

	for (size_t i = 0; i < call->n_metadata; i++)
		n += strcmp(call->names[i], name) == 0;
	return n;
}

int
grpc_call_fd(const struct grpc_call *call)
{
	return channel_fd(call->conn->channel);
}

struct tls_session *
grpc_call_session(const struct grpc_call *call)
{
	return channel_session(call->conn->channel);
}

size_t
grpc_server_calls(const struct grpc_server *s)
{
	return s->ncalls;
}
