/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grpc/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/client_intern.h"

#define RESPONSE_MAX (4u << 20)
#define PENDING_MAX (256 * 1024) /* bytes given to the channel ahead of the socket */

static void
client_delete(struct grpc_client *c)
{
	nghttp2_session_del(c->h2);
	(void)channel_free(c->channel);
	free(c->authority);
	free(c);
}

void
client_enter(struct grpc_client *c)
{
	c->calling++;
}

void
client_leave(struct grpc_client *c)
{
	if (--c->calling == 0 && c->freed)
		client_delete(c);
}

void
client_flush(struct grpc_client *c)
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
		client_request_finish(r, GRPC_UNAVAILABLE, reason);
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
		client_submit(r);
		if (r->id < 0) {
			client_request_finish(r, GRPC_UNAVAILABLE, "the connection takes no more requests");
			goto again; /* the list may be another now */
		}
	}
}

static void
channel_ready(struct channel *ch, void *arg)
{
	struct grpc_client *c = arg;

	(void)ch;
	client_enter(c);
	if (client_h2_start(c) != TULLE_OK) {
		client_closed(c, "out of memory");
	} else {
		submit_all(c);
		client_flush(c);
		if (c->events.ready != NULL && !c->freed)
			c->events.ready(c->arg);
	}
	client_leave(c);
}

static void
channel_read(struct channel *ch, const uint8_t *p, size_t n, void *arg)
{
	struct grpc_client *c = arg;
	ssize_t rv;

	(void)ch;
	if (c->h2 == NULL || c->closed)
		return;
	client_enter(c);
	c->inside = true; /* nghttp2 must not be asked to send from within */
	rv = nghttp2_session_mem_recv(c->h2, p, n);
	c->inside = false;
	if (rv >= 0)
		client_flush(c);
	if (rv < 0) /* and fed no more bytes (CVE-2026-27135) */
		client_closed(c, nghttp2_strerror((int)rv));
	else if (!nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2))
		client_closed(c, "the server ended the connection");
	client_leave(c);
}

static void
channel_drained(struct channel *ch, void *arg)
{
	(void)ch;
	client_flush(arg);
}

static void
channel_closed(struct channel *ch, enum tulle_err why, void *arg)
{
	struct grpc_client *c = arg;
	char reason[256];

	(void)snprintf(reason, sizeof(reason), "%s", why == TULLE_EOF ? "the server closed the connection" : channel_error(ch));
	client_enter(c);
	client_closed(c, reason);
	client_leave(c);
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

struct grpc_client *
grpc_client_free(struct grpc_client *c)
{
	struct grpc_request *r;

	if (c == NULL)
		return NULL;
	while ((r = LIST_FIRST(&c->requests)) != NULL)
		client_request_free(r);
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
