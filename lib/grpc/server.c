/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server: listeners, connections, and the deadlines of both. */
#include "grpc/server.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grpc/intern.h"

#define READY_MS 10000
#define PENDING_MAX (256 * 1024) /* bytes given to the channel ahead of the socket */
#define QUEUE_MAX 1000           /* frames that wait for a client which does not read */
#define PATIENCE 1000            /* cheap frames in a burst */
#define PATIENCE_PER_S 33

/* ---- connections ---- */

static void
conn_free(struct grpc_conn *c)
{
	struct grpc_server *s = c->server;
	struct grpc_call *call;

	c->dead = true;
	while ((call = LIST_FIRST(&c->calls)) != NULL)
		call_gone(call);
	LIST_REMOVE(c, link);
	s->nconns--;
	timer_clear(s->loop, &c->later);
	timer_clear(s->loop, &c->deadline);
	nghttp2_session_del(c->h2);
	(void)channel_free(c->channel);
	free(c);
}

static void
later_due(struct timer *t)
{
	struct grpc_conn *c = CONTAINER_OF(t, struct grpc_conn, later);
	struct grpc_call *call;

	if (c->dead) {
		conn_free(c);
		return;
	}
again:
	LIST_FOREACH(call, &c->calls, link) {
		void (*sent)(void *, struct grpc_call *) = call->sent;

		if (!call->sent_due)
			continue;
		call->sent_due = false;
		call->sent = NULL;
		sent(c->server->arg, call);
		goto again; /* the list may be another now */
	}
}

void
conn_later(struct grpc_conn *c)
{
	if (!timer_active(&c->later))
		timer_set(c->server->loop, &c->later, 0, later_due);
}

void
conn_break(struct grpc_conn *c)
{
	c->dead = true;
	conn_later(c);
}

bool
conn_charge(struct grpc_conn *c)
{
	uint64_t now = loop_now(c->server->loop);
	int64_t more = (int64_t)((now - c->refilled_ms) * PATIENCE_PER_S / 1000);

	if (more > 0) {
		c->patience = c->patience + more > PATIENCE ? PATIENCE : c->patience + more;
		c->refilled_ms = now;
	}
	return --c->patience > 0;
}

static bool
waits(const struct grpc_conn *c)
{
	const struct grpc_call *call;

	if (channel_pending(c->channel) > 0 || nghttp2_session_get_outbound_queue_size(c->h2) > 0)
		return true;
	LIST_FOREACH(call, &c->calls, link)
		if (buf_len(&call->out) > 0)
			return true;
	return false;
}

static void
deadline_due(struct timer *t)
{
	struct grpc_conn *c = CONTAINER_OF(t, struct grpc_conn, deadline);

	if (c->phase == CONN_IDLE) {
		(void)nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(c->h2),
		    NGHTTP2_NO_ERROR, NULL, 0);
		conn_flush(c);
		timer_clear(c->server->loop, &c->deadline);
		channel_finish(c->channel);
		return;
	}
	conn_free(c);
}

/* Sets the deadline of what the connection waits for; none while a call is open and all is sent. */
static void
conn_watch(struct grpc_conn *c)
{
	const struct grpc_server_options *o = &c->server->limits;
	const uint64_t limits[] = { o->hello_ms, o->idle_ms, o->stall_ms };
	uint64_t now = loop_now(c->server->loop);
	enum conn_phase phase;

	if (!c->hello)
		phase = CONN_HELLO;
	else if (waits(c))
		phase = CONN_STALL;
	else
		phase = LIST_EMPTY(&c->calls) ? CONN_IDLE : CONN_REST;
	if (phase != c->phase)
		c->since = now;
	c->phase = phase;
	if (phase == CONN_REST)
		timer_clear(c->server->loop, &c->deadline);
	else
		timer_set(c->server->loop, &c->deadline, c->since + limits[phase] > now ? c->since + limits[phase] - now : 0,
		    deadline_due);
}

void
conn_flush(struct grpc_conn *c)
{
	const uint8_t *p;
	ssize_t n = 0;

	if (c->h2 == NULL || c->inside || c->dead)
		return;
	c->inside = true;
	while (channel_pending(c->channel) < PENDING_MAX && (n = nghttp2_session_mem_send(c->h2, &p)) > 0)
		if (channel_write(c->channel, p, (size_t)n) != TULLE_OK) {
			n = -1; /* bytes are lost: the connection is of no more use */
			break;
		}
	c->inside = false;
	if (n < 0)
		conn_break(c);
	else
		conn_watch(c);
}

static bool
h2_start(struct grpc_conn *c)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)c->server->limits.streams_max },
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
	request_callbacks(cb);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, call_frame_sent);
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
	c->since = loop_now(c->server->loop);
	conn_flush(c);
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
	if (rv < 0) {
		conn_free(c); /* fed no more bytes (CVE-2026-27135) */
		return;
	}
	conn_flush(c);
	if (c->dead)
		return;
	/* A client that makes us answer and does not read would fill our memory. */
	if (nghttp2_session_get_outbound_queue_size(c->h2) > QUEUE_MAX)
		conn_free(c);
	else if (!nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2))
		channel_finish(c->channel);
}

static void
conn_drained(struct channel *ch, void *arg)
{
	struct grpc_conn *c = arg;

	(void)ch;
	c->since = loop_now(c->server->loop);
	conn_flush(c);
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

/* ---- accepting ---- */

static bool
same_peer(const struct grpc_conn *a, const struct grpc_conn *b)
{
	if (a->is_unix != b->is_unix)
		return false;
	return a->is_unix ? a->cred.uid == b->cred.uid : addr_equal_ip(&a->peer, &b->peer);
}

/* Nobody takes all the room, nor do many together, but for root, who could take it anyway. */
static bool
has_room(const struct grpc_server *s, const struct grpc_conn *fresh)
{
	const struct grpc_conn *c;
	size_t n = 0;

	if (s->nconns >= s->limits.connections_max)
		return false;
	if (fresh->is_unix && fresh->cred.uid == 0)
		return true;
	if (fresh->is_unix && fresh->cred.uid != s->kept_uid && s->nconns + s->kept >= s->limits.connections_max)
		return false;
	LIST_FOREACH(c, &s->conns, link)
		n += same_peer(c, fresh);
	return n < s->limits.connections_peer_max;
}

static void
serve(struct acceptor *a, int accepted)
{
	struct grpc_server *s = CONTAINER_OF(a, struct listener, acceptor)->server;
	const struct channel_options o = { .tls = s->tls, .out_max = PENDING_MAX + 65536, .ready_ms = READY_MS };
	struct grpc_conn *c = calloc(1, sizeof(*c));
	int AUTO_FD fd = accepted;

	if (c == NULL)
		return;
	c->server = s;
	c->patience = PATIENCE;
	c->refilled_ms = c->since = loop_now(s->loop);
	LIST_INIT(&c->calls);
	c->is_unix = sock_peer(fd, &c->peer) != TULLE_OK;
	if ((c->is_unix && sock_cred(fd, &c->cred) != TULLE_OK) || !has_room(s, c) ||
	    channel_new(&c->channel, s->loop, fd, &o, &conn_handler, c) != TULLE_OK) {
		free(c);
		return;
	}
	(void)fd_take(&fd);
	LIST_INSERT_HEAD(&s->conns, c, link);
	s->nconns++;
}

/* ---- the server ---- */

#define DEFAULT(field, value)            \
	do {                             \
		if (s->limits.field == 0) \
			s->limits.field = (value); \
	} while (0)

enum tulle_err
grpc_server_new(struct grpc_server **ret, struct loop *l, const struct grpc_method *methods, void *arg,
    const struct grpc_server_options *o)
{
	struct grpc_server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return TULLE_ENOMEM;
	s->loop = l;
	s->methods = methods;
	s->arg = arg;
	if (o != NULL)
		s->limits = *o;
	DEFAULT(connections_max, 256);
	DEFAULT(connections_peer_max, s->limits.connections_max / 4 > 0 ? s->limits.connections_max / 4 : 1);
	DEFAULT(streams_max, 64);
	DEFAULT(request_max, 16384);
	DEFAULT(response_max, 4u << 20);
	DEFAULT(hello_ms, 10000);
	DEFAULT(request_ms, 10000);
	DEFAULT(idle_ms, 300000);
	DEFAULT(stall_ms, 60000);
	if (s->limits.tls != NULL)
		s->tls = tls_context_ref(s->limits.tls);
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
	*l = (struct listener){ .server = s, .fd = fd };
	e = acceptor_start(&l->acceptor, s->loop, fd, "grpc", serve);
	if (e == TULLE_OK)
		s->nlisteners++;
	return e;
}

void
grpc_server_keep(struct grpc_server *s, size_t n, uid_t uid)
{
	s->kept = n;
	s->kept_uid = uid;
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
		acceptor_stop(&s->listeners[i].acceptor);
		(void)close(s->listeners[i].fd);
	}
	(void)tls_context_unref(s->tls);
	free(s);
	return NULL;
}

size_t
grpc_server_calls(const struct grpc_server *s)
{
	return s->ncalls;
}
