/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "http/reader.h"
#include "http/resolve.h"
#include "http1/write.h"
#include "tls/channel.h"

#define DEFAULT_MS 10000
#define IDLE_MS 30000
#define OUT_MAX (256u << 10) /* bytes that wait in the channel */
#define SEND_PIECE (64u << 10)
#define HEAD_MAX 16384   /* of a request that we send */
#define INTERIM_MAX 16   /* 1xx answers to one request (RS-07) */

struct http_client {
	struct loop *loop; /* lent */
	struct http_url url;
	struct tls_context *tls; /* a reference, or NULL */
	uint64_t connect_ms;
	uint64_t idle_ms;
	size_t response_max;

	struct resolve *resolve; /* owned; NULL unless under way */
	struct addr addrs[RESOLVE_ADDRS];
	size_t addrs_n;
	size_t addr_next;         /* the one to try when this one fails */
	struct channel *channel;  /* owned; NULL: not connected */
	bool ready;               /* the channel is open */
	struct timer connecting;  /* look-up, all addresses, handshake */
	struct timer idle;

	/* The request in flight: */
	http_client_done *done; /* NULL: none */
	void *arg;
	struct timer deadline;
	struct timer later;      /* a failure found inside http_client_send() is told from here */
	enum tulle_err later_why;
	struct buf head;         /* not yet given to the channel */
	const uint8_t *body;     /* lent */
	size_t body_len;
	size_t body_sent;
	enum http1_asked asked;
	unsigned int interims;
	struct http_reader *reader; /* owned */
	char error[320];
};

static void try_address(struct http_client *c);

static void
say(struct http_client *c, const char *what, const char *detail)
{
	(void)snprintf(c->error, sizeof(c->error), "%s%s%s", what, detail != NULL ? ": " : "",
	    detail != NULL ? detail : "");
}

static void
disconnect(struct http_client *c)
{
	c->resolve = resolve_free(c->resolve);
	c->channel = channel_free(c->channel);
	c->ready = false;
	timer_clear(c->loop, &c->connecting);
	timer_clear(c->loop, &c->idle);
}

/* Takes the request apart; its reader goes to the caller. */
static struct http_reader *
forget(struct http_client *c)
{
	struct http_reader *r = c->reader;

	c->done = NULL;
	c->reader = NULL;
	c->body = NULL;
	buf_free(&c->head);
	timer_clear(c->loop, &c->deadline);
	timer_clear(c->loop, &c->later);
	return r;
}

static void
reader_delete(struct http_reader *r)
{
	if (r != NULL)
		reader_free(r);
	free(r);
}

/* Tells the outcome.  <c> may be gone afterwards. */
static void
finish(struct http_client *c, enum tulle_err e)
{
	http_client_done *done = c->done;
	void *arg = c->arg;
	struct http_reader *r = forget(c);
	struct http_response answer = { 0 };

	if (e == TULLE_OK) {
		answer.status = r->head.status;
		answer.head = &r->head;
		answer.body = reader_body(r, &answer.len);
		if (answer.body == NULL)
			e = TULLE_ENOMEM;
	}
	done(arg, e, e == TULLE_OK ? &answer : NULL);
	reader_delete(r);
}

static void
fail(struct http_client *c, enum tulle_err e)
{
	disconnect(c);
	if (c->done != NULL)
		finish(c, e);
}

static void
on_later(struct timer *t)
{
	struct http_client *c = CONTAINER_OF(t, struct http_client, later);

	fail(c, c->later_why);
}

static void
fail_later(struct http_client *c, enum tulle_err e)
{
	c->later_why = e;
	timer_set(c->loop, &c->later, 0, on_later);
}

static void
on_deadline(struct timer *t)
{
	struct http_client *c = CONTAINER_OF(t, struct http_client, deadline);

	say(c, c->ready ? "no answer in time" : "no connection in time", NULL);
	fail(c, TULLE_ETIMEDOUT);
}

static void
on_connect_deadline(struct timer *t)
{
	struct http_client *c = CONTAINER_OF(t, struct http_client, connecting);

	say(c, c->resolve != NULL ? "the name was not looked up in time" : "no connection in time", NULL);
	fail(c, TULLE_ETIMEDOUT);
}

static void
on_idle(struct timer *t)
{
	disconnect(CONTAINER_OF(t, struct http_client, idle));
}

/* Gives the channel as much of the request as it takes.  Errors show up as closed(). */
static void
send_more(struct http_client *c)
{
	if (buf_len(&c->head) > 0) {
		if (channel_write(c->channel, buf_head(&c->head), buf_len(&c->head)) != TULLE_OK)
			return;
		buf_consume(&c->head, buf_len(&c->head));
	}
	while (c->body_sent < c->body_len) {
		size_t n = c->body_len - c->body_sent < SEND_PIECE ? c->body_len - c->body_sent : SEND_PIECE;

		if (channel_write(c->channel, c->body + c->body_sent, n) != TULLE_OK)
			return;
		c->body_sent += n;
	}
}

static void
on_ready(struct channel *ch, void *arg)
{
	struct http_client *c = arg;

	(void)ch;
	c->ready = true;
	timer_clear(c->loop, &c->connecting);
	if (c->done != NULL)
		send_more(c);
}

static void
on_drained(struct channel *ch, void *arg)
{
	struct http_client *c = arg;

	(void)ch;
	if (c->done != NULL)
		send_more(c);
}

static void
answered(struct http_client *c)
{
	const struct http_reader *r = c->reader;

	/* H1-41: used again only if both sides said all they announced, and nothing more. */
	if (r->head.keep_alive && buf_len(&r->in) == 0 && buf_len(&c->head) == 0 && c->body_sent == c->body_len &&
	    r->head.body != HTTP1_BODY_CLOSE)
		timer_set(c->loop, &c->idle, c->idle_ms, on_idle);
	else
		disconnect(c);
	finish(c, TULLE_OK);
}

static void
on_read(struct channel *ch, const uint8_t *p, size_t n, void *arg)
{
	struct http_client *c = arg;
	struct http_reader *r = c->reader;

	(void)ch;
	if (c->done == NULL) {
		disconnect(c); /* nobody asked (H1-40) */
		return;
	}
	if (reader_add(r, p, n) != TULLE_OK) {
		say(c, "out of memory", NULL);
		fail(c, TULLE_ENOMEM);
		return;
	}
	for (;;) {
		switch (reader_step(r)) {
		case READER_MORE:
			return;
		case READER_HEAD:
			if (r->head.body == HTTP1_BODY_TUNNEL || (r->head.status < 200 && ++c->interims > INTERIM_MAX)) {
				say(c, "unexpected answer", "1xx");
				fail(c, TULLE_EPEER);
				return;
			}
			break;
		case READER_DONE:
			if (r->head.status >= 200) {
				answered(c);
				return;
			}
			reader_begin_response(r, c->asked); /* 100, 103: the answer is still to come */
			break;
		case READER_BROKEN:
			say(c, "malformed answer", http1_phrase(r->why));
			fail(c, TULLE_EPEER);
			return;
		case READER_LARGE:
			say(c, "the answer is too large", NULL);
			fail(c, TULLE_ELIMIT);
			return;
		case READER_NOMEM:
			say(c, "out of memory", NULL);
			fail(c, TULLE_ENOMEM);
			return;
		}
	}
}

static void
on_closed(struct channel *ch, enum tulle_err why, void *arg)
{
	struct http_client *c = arg;
	bool was_ready = c->ready;

	say(c, was_ready ? "connection lost" : "cannot connect", channel_error(ch));
	c->channel = channel_free(c->channel);
	c->ready = false;
	if (c->done == NULL) {
		disconnect(c);
	} else if (was_ready && why == TULLE_EOF && reader_end(c->reader)) {
		answered(c);
	} else if (was_ready) {
		fail(c, why == TULLE_EOF || why == TULLE_ESYS ? TULLE_ERESET : why);
	} else if (why == TULLE_ESYS || why == TULLE_ERESET || why == TULLE_EOF) {
		try_address(c);
	} else {
		fail(c, why);
	}
}

static const struct channel_handler handler = {
	.ready = on_ready,
	.read = on_read,
	.drained = on_drained,
	.closed = on_closed,
};

/* The next address, until one connects; without one left the request has failed. */
static void
try_address(struct http_client *c)
{
	struct channel_options o = { .tls = c->url.tls ? c->tls : NULL, .out_max = OUT_MAX, .ready_ms = c->connect_ms };
	enum tulle_err e;

	o.session.server_name = c->url.host;
	while (c->addr_next < c->addrs_n) {
		e = channel_connect(&c->channel, c->loop, &c->addrs[c->addr_next++], &o, &handler, c);
		if (e == TULLE_OK)
			return;
		if (e != TULLE_ESYS) {
			say(c, "cannot connect", tulle_strerror(e));
			fail_later(c, e);
			return;
		}
		say(c, "cannot connect", log_errno_text(errno));
	}
	fail_later(c, TULLE_EUNAVAIL);
}

static void
on_resolved(void *arg, enum tulle_err e, const struct addr *addrs, size_t n)
{
	struct http_client *c = arg;

	c->resolve = resolve_free(c->resolve);
	if (e != TULLE_OK) {
		say(c, "no such host", c->url.host);
		fail(c, e);
		return;
	}
	memcpy(c->addrs, addrs, n * sizeof(*addrs));
	c->addrs_n = n;
	c->addr_next = 0;
	try_address(c);
}

static void
connect_unix(struct http_client *c)
{
	struct channel_options o = { .out_max = OUT_MAX, .ready_ms = c->connect_ms };
	enum tulle_err e = channel_connect_unix(&c->channel, c->loop, c->url.host, &o, &handler, c);

	if (e == TULLE_OK)
		return;
	say(c, "cannot connect", tulle_strerror(e));
	fail_later(c, e == TULLE_ENOMEM ? e : TULLE_EUNAVAIL);
}

static void
open_connection(struct http_client *c)
{
	enum tulle_err e;

	c->addrs_n = c->addr_next = 0;
	timer_set(c->loop, &c->connecting, c->connect_ms, on_connect_deadline);
	if (c->url.unix_socket) {
		connect_unix(c);
		return;
	}
	e = resolve_start(&c->resolve, c->loop, c->url.host, c->url.port, on_resolved, c);
	if (e != TULLE_OK) {
		say(c, "cannot look up the name", tulle_strerror(e));
		fail_later(c, e == TULLE_EBUSY || e == TULLE_ESYS ? TULLE_EUNAVAIL : e);
	}
}

enum tulle_err
http_client_new(struct http_client **ret, struct loop *l, const struct http_url *url,
    const struct http_client_options *o)
{
	static const struct http_client_options none;
	struct http_client *c;

	if (o == NULL)
		o = &none;
	if (url->tls && o->tls == NULL)
		return TULLE_EINVAL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return TULLE_ENOMEM;
	c->loop = l;
	c->url = *url;
	c->tls = o->tls != NULL ? tls_context_ref(o->tls) : NULL;
	c->connect_ms = o->connect_ms > 0 ? o->connect_ms : DEFAULT_MS;
	c->idle_ms = o->idle_ms > 0 ? o->idle_ms : IDLE_MS;
	c->response_max = o->response_max > 0 ? o->response_max : HTTP_RESPONSE_MAX;
	c->head = buf_new(HEAD_MAX);
	*ret = c;
	return TULLE_OK;
}

struct http_client *
http_client_free(struct http_client *c)
{
	if (c == NULL)
		return NULL;
	disconnect(c);
	reader_delete(forget(c));
	c->tls = tls_context_unref(c->tls);
	free(c);
	return NULL;
}

static enum tulle_err
write_head(struct http_client *c, const struct http_request *r)
{
	char target[1024];
	struct http1_field fields[HTTP1_FIELDS];
	struct http1_head h = { .fields = fields };
	int n = snprintf(target, sizeof(target), "%s%s", c->url.unix_socket ? "" : c->url.path, r->path);

	if (n < 0 || (size_t)n >= sizeof(target) || r->n > HTTP1_FIELDS)
		return TULLE_EINVAL;
	if (r->n > 0)
		memcpy(fields, r->fields, r->n * sizeof(fields[0]));
	h.n = r->n;
	h.method = (struct http1_text){ r->method, strlen(r->method) };
	h.target = (struct http1_text){ target, (size_t)n };
	h.authority = (struct http1_text){ c->url.authority, strlen(c->url.authority) };
	/* A method that usually has a body says so when there is none (9110 8.6). */
	h.has_length = r->len > 0 || http1_text_is(h.method, "POST") || http1_text_is(h.method, "PUT");
	h.length = r->len;
	h.body = r->len > 0 ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
	c->asked = http1_asked_of(h.method);
	if (c->asked == HTTP1_ASKED_CONNECT)
		return TULLE_EINVAL;
	return http1_write_request(&c->head, &h);
}

enum tulle_err
http_client_send(struct http_client *c, const struct http_request *r, http_client_done *done, void *arg)
{
	struct http_reader *reader;
	enum tulle_err e;

	if (c->done != NULL)
		return TULLE_EBUSY;
	e = write_head(c, r);
	if (e != TULLE_OK)
		return e == TULLE_ELIMIT ? TULLE_EINVAL : e;
	reader = malloc(sizeof(*reader));
	if (reader == NULL) {
		buf_free(&c->head);
		return TULLE_ENOMEM;
	}
	reader_init(reader, c->response_max);
	reader_begin_response(reader, c->asked);
	c->reader = reader;
	c->done = done;
	c->arg = arg;
	c->body = r->body;
	c->body_len = r->len;
	c->body_sent = 0;
	c->interims = 0;
	c->error[0] = '\0';
	timer_clear(c->loop, &c->idle);
	timer_set(c->loop, &c->deadline, r->timeout_ms > 0 ? r->timeout_ms : DEFAULT_MS, on_deadline);
	if (c->ready)
		send_more(c);
	else if (c->channel == NULL && c->resolve == NULL)
		open_connection(c);
	return TULLE_OK;
}

void
http_client_cancel(struct http_client *c)
{
	if (c->done == NULL)
		return;
	reader_delete(forget(c));
	disconnect(c);
}

bool
http_client_busy(const struct http_client *c)
{
	return c->done != NULL;
}

const char *
http_client_error(const struct http_client *c)
{
	return c->error;
}
