/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conn.c - requests come in, a handler answers, the answer goes out; the
 * next request is looked at when the answer has left (H1-38).
 */
#include "http/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "http/reader.h"
#include "http1/write.h"
#include "io/sock.h"
#include "tls/channel.h"

#define ANSWER_MAX (32u << 20) /* bytes of head and body */
#define BUSY_IDLE_MS 10000     /* SL-05 */
#define FIELDS_EXTRA 8         /* Date, Content-Type, Connection and some of the handler's */

enum conn_state {
	CONN_IDLE,    /* no byte of a request yet */
	CONN_HEAD,
	CONN_BODY,
	CONN_LATER,   /* the handler will answer */
	CONN_ANSWER,  /* being sent */
	CONN_CLOSING, /* the last answer is being sent; what comes in is dropped */
};

struct http_conn {
	LIST_ENTRY(http_conn) link;
	struct http_served *served;
	struct channel *channel; /* owned */
	struct addr peer;
	struct timer deadline;   /* of the state */
	enum conn_state state;
	struct http_reader reader;
	/* In CONN_LATER: */
	void (*gone)(void *arg);
	void *gone_arg;
	bool later_head_only, later_close;
};

struct http_exchange {
	struct http_conn *conn;
	const struct http1_head *head;
	bool head_only; /* HEAD: length, but no body */
	bool close;
	bool replied;
	bool later;
	struct buf out;
};

static void on_deadline(struct timer *t);

static void
enter(struct http_conn *c, enum conn_state state)
{
	const struct http_served *s = c->served;
	uint64_t ms = s->body_ms;

	c->state = state;
	if (state == CONN_IDLE)
		ms = s->count > s->busy_at && s->idle_ms > BUSY_IDLE_MS ? BUSY_IDLE_MS : s->idle_ms;
	else if (state == CONN_HEAD)
		ms = s->head_ms;
	timer_set(s->loop, &c->deadline, ms, on_deadline);
}

void
http_conn_close(struct http_conn *c)
{
	if (c->state == CONN_LATER)
		c->gone(c->gone_arg);
	LIST_REMOVE(c, link);
	c->served->count--;
	timer_clear(c->served->loop, &c->deadline);
	channel_free(c->channel);
	reader_free(&c->reader);
	free(c);
}

/* ---- answers --------------------------------------------------------------- */

static struct http1_text
text_of(const char *s)
{
	return (struct http1_text){ s, strlen(s) };
}

static enum tulle_err
write_answer(struct http_exchange *x, unsigned int status, const char *type, const struct http1_field *more, size_t n,
    const void *body, size_t len)
{
	struct http1_field fields[HTTP1_FIELDS];
	struct http1_head h = { .status = status, .fields = fields };
	time_t now = (time_t)clock_wall_sec();
	char date[32];
	struct tm tm;
	enum tulle_err e;

	if (n > HTTP1_FIELDS - FIELDS_EXTRA)
		return TULLE_EINVAL;
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	fields[h.n++] = (struct http1_field){ .name = HTTP1_TEXT("Date"), .value = text_of(date) };
	if (type != NULL)
		fields[h.n++] = (struct http1_field){ .name = HTTP1_TEXT("Content-Type"), .value = text_of(type) };
	if (x->close)
		fields[h.n++] = (struct http1_field){ .name = HTTP1_TEXT("Connection"), .value = HTTP1_TEXT("close") };
	else if (x->head != NULL && x->head->minor == 0)
		fields[h.n++] = (struct http1_field){ .name = HTTP1_TEXT("Connection"), .value = HTTP1_TEXT("keep-alive") };
	if (n > 0)
		memcpy(&fields[h.n], more, n * sizeof(*more));
	h.n += n;
	h.reason = text_of(http1_reason(status));
	h.has_length = true;
	h.length = len;
	e = http1_write_response(&x->out, &h);
	if (e == TULLE_OK && !x->head_only && status != 304 && status != 204)
		e = buf_append(&x->out, body, len);
	if (e != TULLE_OK)
		buf_free(&x->out);
	return e;
}

void
http_reply_with(struct http_exchange *x, unsigned int status, const char *type, const struct http1_field *fields,
    size_t n, const void *body, size_t len)
{
	static const char text[] = "the answer could not be made\n";

	if (x->replied)
		return;
	x->replied = true;
	if (status < 200 || write_answer(x, status, type, fields, n, body, len) != TULLE_OK)
		(void)write_answer(x, 500, "text/plain", NULL, 0, text, sizeof(text) - 1);
}

void
http_reply(struct http_exchange *x, unsigned int status, const char *type, const void *body, size_t len)
{
	http_reply_with(x, status, type, NULL, 0, body, len);
}

static void
reply_text(struct http_exchange *x, unsigned int status, const char *text)
{
	char line[160];
	int n = snprintf(line, sizeof(line), "%u %s\n", status, text);

	http_reply(x, status, "text/plain", line, n > 0 ? (size_t)n : 0);
}

const struct http1_head *
http_exchange_head(const struct http_exchange *x)
{
	return x->head;
}

const uint8_t *
http_exchange_body(const struct http_exchange *x, size_t *ret_len)
{
	return reader_body(&x->conn->reader, ret_len);
}

const struct addr *
http_exchange_peer(const struct http_exchange *x)
{
	return &x->conn->peer;
}

struct addr
http_exchange_local(const struct http_exchange *x)
{
	struct addr a = { 0 };

	(void)sock_local(channel_fd(x->conn->channel), &a);
	return a;
}

/* Puts the answer on its way.  False: the connection is gone. */
static bool
send_answer(struct http_conn *c, struct http_exchange *x)
{
	enum tulle_err e = channel_write(c->channel, buf_head(&x->out), buf_len(&x->out));

	buf_free(&x->out);
	if (e != TULLE_OK) {
		http_conn_close(c);
		return false;
	}
	enter(c, x->close ? CONN_CLOSING : CONN_ANSWER);
	if (x->close)
		channel_finish(c->channel);
	return true;
}

/* Answers what is not to be handled, and closes (H1-39). */
static void
refuse(struct http_conn *c, unsigned int status, const char *text)
{
	struct http_exchange x = { .conn = c, .close = true, .out = buf_new(ANSWER_MAX) };

	reply_text(&x, status, text);
	(void)send_answer(c, &x);
}

/* ---- requests -------------------------------------------------------------- */

static bool
route_takes(const struct http_route *r, const struct http1_head *h)
{
	return http1_text_is(h->method, r->method) ||
	    (http1_text_is(h->method, "HEAD") && strcmp(r->method, "GET") == 0);
}

static void
dispatch(struct http_served *s, struct http_exchange *x)
{
	const struct http_route *r;
	char allow[128] = "";
	size_t used = 0;

	for (r = s->routes; r->path != NULL; r++) {
		int n;

		if (x->head->path.p == NULL || !http1_text_is(x->head->path, r->path))
			continue;
		if (route_takes(r, x->head)) {
			r->handle(s->arg, x);
			if (!x->replied && !x->later)
				reply_text(x, 500, "no answer");
			return;
		}
		n = snprintf(allow + used, sizeof(allow) - used, "%s%s%s", used > 0 ? ", " : "", r->method,
		    strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
		if (n > 0 && (size_t)n < sizeof(allow) - used)
			used += (size_t)n;
	}
	if (used > 0) {
		struct http1_field f = { .name = HTTP1_TEXT("Allow"), .value = { allow, used } };
		static const char text[] = "405 method not allowed\n";

		http_reply_with(x, 405, "text/plain", &f, 1, text, sizeof(text) - 1);
	} else {
		reply_text(x, 404, "not found");
	}
}

/* The request is complete.  False: the connection is gone. */
static bool
handle(struct http_conn *c)
{
	struct http_exchange x = {
		.conn = c,
		.head = &c->reader.head,
		.head_only = http1_text_is(c->reader.head.method, "HEAD"),
		.close = !c->reader.head.keep_alive,
		.out = buf_new(ANSWER_MAX),
	};

	dispatch(c->served, &x);
	if (!x.later)
		return send_answer(c, &x);
	c->later_head_only = x.head_only;
	c->later_close = x.close;
	enter(c, CONN_LATER);
	channel_pause(c->channel, true);
	return true;
}

/* A connection that waits for its handler is all that there is to know. */
struct http_later *
http_later(struct http_exchange *x, void (*gone)(void *arg), void *arg)
{
	x->later = true;
	x->conn->gone = gone;
	x->conn->gone_arg = arg;
	return (struct http_later *)(void *)x->conn;
}

void
http_later_reply(struct http_later *l, unsigned int status, const char *type, const void *body, size_t len)
{
	struct http_conn *c = (struct http_conn *)(void *)l;
	struct http_exchange x = { .conn = c, .head = &c->reader.head, .head_only = c->later_head_only, .close = c->later_close,
		.out = buf_new(ANSWER_MAX) };

	c->state = CONN_ANSWER; /* from here on nobody asks whether it is gone */
	http_reply(&x, status, type, body, len);
	(void)send_answer(c, &x);
}

/* The head is complete: is the body worth waiting for?  False: refused, or gone. */
static bool
expect_body(struct http_conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const struct http1_head *h = &c->reader.head;

	if (h->body == HTTP1_BODY_LENGTH && h->length > c->served->body_max) {
		refuse(c, 413, "the body is too large");
		return false;
	}
	enter(c, CONN_BODY);
	if (h->expect_continue && h->body != HTTP1_BODY_NONE && buf_len(&c->reader.in) == 0 &&
	    channel_write(c->channel, go_on, sizeof(go_on) - 1) != TULLE_OK) {
		http_conn_close(c);
		return false;
	}
	return true;
}

/* Goes through what has arrived.  <c> may be gone afterwards. */
static void
process(struct http_conn *c)
{
	while (c->state < CONN_LATER) {
		if (c->state == CONN_IDLE && buf_len(&c->reader.in) > 0)
			enter(c, CONN_HEAD); /* from the first byte; more bytes do not move it (SL-01) */
		switch (reader_step(&c->reader)) {
		case READER_MORE:
			return;
		case READER_HEAD:
			if (!expect_body(c))
				return;
			break;
		case READER_DONE:
			if (!handle(c))
				return;
			break;
		case READER_BROKEN:
			refuse(c, http1_status_for(c->reader.why), http1_phrase(c->reader.why));
			return;
		case READER_LARGE:
			refuse(c, 413, "the body is too large");
			return;
		case READER_NOMEM:
			http_conn_close(c);
			return;
		}
	}
	if (c->state == CONN_ANSWER)
		channel_pause(c->channel, true);
}

static void
on_read(struct channel *ch, const uint8_t *p, size_t n, void *arg)
{
	struct http_conn *c = arg;

	(void)ch;
	if (c->state == CONN_CLOSING)
		return;
	if (reader_add(&c->reader, p, n) != TULLE_OK) {
		http_conn_close(c);
		return;
	}
	process(c);
}

static void
on_drained(struct channel *ch, void *arg)
{
	struct http_conn *c = arg;

	if (c->state != CONN_ANSWER)
		return; /* "100 Continue" has left */
	reader_begin_request(&c->reader);
	enter(c, CONN_IDLE);
	channel_pause(ch, false);
	process(c);
}

static void
on_closed(struct channel *ch, enum tulle_err why, void *arg)
{
	(void)ch;
	(void)why;
	http_conn_close(arg);
}

static void
on_deadline(struct timer *t)
{
	struct http_conn *c = CONTAINER_OF(t, struct http_conn, deadline);

	if (c->state == CONN_HEAD || c->state == CONN_BODY)
		refuse(c, 408, "the request took too long");
	else
		http_conn_close(c);
}

size_t
http_conn_count_from(const struct http_conn_list *list, const struct addr *peer)
{
	const struct http_conn *c;
	size_t n = 0;

	LIST_FOREACH(c, list, link)
		n += peer->family != 0 && addr_equal_ip(&c->peer, peer);
	return n;
}

enum tulle_err
http_conn_open(struct http_served *s, struct http_conn_list *list, int fd, const struct addr *peer)
{
	static const struct channel_handler handler = { .read = on_read, .drained = on_drained, .closed = on_closed };
	struct channel_options o = { .tls = s->tls, .out_max = ANSWER_MAX };
	struct http_conn *c = calloc(1, sizeof(*c));
	enum tulle_err e;

	if (c == NULL)
		return TULLE_ENOMEM;
	c->served = s;
	c->peer = *peer;
	reader_init(&c->reader, s->body_max);
	reader_begin_request(&c->reader);
	e = channel_new(&c->channel, s->loop, fd, &o, &handler, c);
	if (e != TULLE_OK) {
		reader_free(&c->reader);
		free(c);
		return e;
	}
	LIST_INSERT_HEAD(list, c, link);
	s->count++;
	enter(c, CONN_IDLE);
	return TULLE_OK;
}
