/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hbone/server.h"

#include <stdlib.h>
#include <unistd.h>


struct served {
	struct hbone h;
	struct server *server;
	bool up;
	LIST_ENTRY(served) link;
};

struct server {
	struct thread *th;
	struct creds *creds;
	const struct server_events *events;
	void *arg;
	LIST_HEAD(, served) tunnels;
	LIST_HEAD(, served) ended;
	unsigned int n, handshakes;
};

enum tulle_err
server_new(struct server **ret, struct thread *th, struct creds *creds, const struct server_events *events, void *arg)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return TULLE_ENOMEM;
	*s = (struct server){ .th = th, .creds = creds, .events = events, .arg = arg };
	*ret = s;
	return TULLE_OK;
}

struct server *
server_free(struct server *s)
{
	if (s == NULL)
		return NULL;
	while (!LIST_EMPTY(&s->tunnels))
		hbone_fail(&LIST_FIRST(&s->tunnels)->h, TULLE_EUNAVAIL);
	server_reap(s);
	free(s);
	return NULL;
}

static struct served *
served_of(struct hbone *h)
{
	return CONTAINER_OF(h, struct served, h);
}

static void
tunnel_ready(struct hbone *h)
{
	struct served *v = served_of(h);
	struct server *s = v->server;

	v->up = true;
	s->handshakes--;
	s->events->up(s->arg, h);
}

static void
tunnel_request(struct hbone *h, int32_t id, bool connect, const char *authority)
{
	struct server *s = served_of(h)->server;

	s->events->request(s->arg, h, id, connect, authority);
}

static void
tunnel_closed(struct hbone *h, enum tulle_err e)
{
	struct served *v = served_of(h);
	struct server *s = v->server;

	s->events->down(s->arg, h, e);
	LIST_REMOVE(v, link);
	s->n--;
	s->handshakes -= !v->up;
	LIST_INSERT_HEAD(&s->ended, v, link);
}

static const struct hbone_events served_events = {
	.ready = tunnel_ready,
	.request = tunnel_request,
	.closed = tunnel_closed,
};

bool
server_accept(struct server *s, int fd, const struct addr *peer, const char *own)
{
	const struct tls_session_options o = { .own = own };
	struct served *v;

	if (s->creds->server == NULL || (v = calloc(1, sizeof(*v))) == NULL) {
		(void)close(fd);
		return false;
	}
	v->server = s;
	if (hbone_accept(&v->h, s->th, fd, s->creds->server, &o, &served_events) != TULLE_OK) {
		(void)close(fd);
		free(v);
		return false;
	}
	v->h.conn.peer = *peer; /* asked for once: a socket that is reset in between has none any more */
	LIST_INSERT_HEAD(&s->tunnels, v, link);
	s->n++;
	s->handshakes++;
	return true;
}

void
server_drain(struct server *s)
{
	struct served *v, *next;

	for (v = LIST_FIRST(&s->tunnels); v != NULL; v = next) {
		next = LIST_NEXT(v, link);
		hbone_drain(&v->h);
	}
}

void
server_reap(struct server *s)
{
	struct served *v;

	while ((v = LIST_FIRST(&s->ended)) != NULL) {
		LIST_REMOVE(v, link);
		free(v);
	}
}

unsigned int
server_tunnels(const struct server *s)
{
	return s->n;
}

unsigned int
server_handshakes(const struct server *s)
{
	return s->handshakes;
}

void
server_each(const struct server *s, void (*visit)(void *arg, const struct hbone *h), void *arg)
{
	const struct served *v;

	LIST_FOREACH(v, &s->tunnels, link)
		visit(arg, &v->h);
}
