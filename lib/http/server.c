/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "http/conn.h"
#include "io/acceptor.h"
#include "io/sock.h"

#define LISTENERS_MAX 8

struct listener {
	struct http_server *server;
	int fd; /* owned */
	struct acceptor acceptor;
};

struct http_server {
	struct http_served served; /* what connections see of us */
	struct http_conn_list conns;
	size_t conns_max, peer_max;
	struct listener listeners[LISTENERS_MAX];
	size_t listeners_n;
};

/* SL-06: whoever is one too many hears so at once, instead of waiting in the queue. */
static void
turn_away(const struct http_server *s, int fd)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
				   "Content-Length: 0\r\n\r\n";

	if (s->served.tls == NULL)
		(void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

static void
on_accept(struct acceptor *a, int fd)
{
	struct http_server *s = CONTAINER_OF(a, struct listener, acceptor)->server;
	struct addr peer = { 0 };

	(void)sock_peer(fd, &peer); /* of a Unix socket: none */
	if (s->served.count >= s->conns_max || http_conn_count_from(&s->conns, &peer) >= s->peer_max) {
		turn_away(s, fd);
		return;
	}
	sock_tune(fd);
	if (http_conn_open(&s->served, &s->conns, fd, &peer) != TULLE_OK)
		(void)close(fd);
}

enum tulle_err
http_server_new(struct http_server **ret, struct loop *l, const struct http_route *routes, void *arg,
    const struct http_server_options *o)
{
	static const struct http_server_options none;
	struct http_server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return TULLE_ENOMEM;
	if (o == NULL)
		o = &none;
	LIST_INIT(&s->conns);
	s->conns_max = o->connections_max > 0 ? o->connections_max : 16;
	s->peer_max = o->peer_max > 0 ? o->peer_max : (s->conns_max + 1) / 2;
	s->served = (struct http_served){
		.loop = l,
		.routes = routes,
		.arg = arg,
		.tls = o->tls != NULL ? tls_context_ref(o->tls) : NULL,
		.busy_at = s->conns_max / 2,
		.body_max = o->body_max > 0 ? o->body_max : 65536,
		.head_ms = o->head_ms > 0 ? o->head_ms : 10000,
		.body_ms = o->body_ms > 0 ? o->body_ms : 30000,
		.idle_ms = o->idle_ms > 0 ? o->idle_ms : 60000,
	};
	*ret = s;
	return TULLE_OK;
}

enum tulle_err
http_server_listen(struct http_server *s, int fd)
{
	struct listener *l;
	enum tulle_err e;

	if (s->listeners_n == LISTENERS_MAX)
		return TULLE_ELIMIT;
	l = &s->listeners[s->listeners_n];
	*l = (struct listener){ .server = s, .fd = fd };
	e = acceptor_start(&l->acceptor, s->served.loop, fd, "http", on_accept);
	if (e != TULLE_OK)
		return e;
	s->listeners_n++;
	return TULLE_OK;
}

struct http_server *
http_server_free(struct http_server *s)
{
	if (s == NULL)
		return NULL;
	while (!LIST_EMPTY(&s->conns))
		http_conn_close(LIST_FIRST(&s->conns));
	for (size_t i = 0; i < s->listeners_n; i++) {
		acceptor_stop(&s->listeners[i].acceptor);
		(void)close(s->listeners[i].fd);
	}
	s->served.tls = tls_context_unref(s->served.tls);
	free(s);
	return NULL;
}

size_t
http_server_connections(const struct http_server *s)
{
	return s->served.count;
}
