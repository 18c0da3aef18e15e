/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server.h - a small HTTP/1.1 server over a loop: /metrics, /healthz, and
 * whatever else a program of ours answers.
 *
 * Handlers answer before they return, or say that they will answer later.  Bounded in everything: connections,
 * head, body, and the time each of them may take.  Requests that break a
 * rule of http1/parse.h get its status and the connection is closed.
 * Answers that the server makes itself are fixed text and reflect nothing
 * (RS-12).
 */
#ifndef TULLE_HTTP_SERVER_H
#define TULLE_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "http1/parse.h"
#include "io/loop.h"
#include "tls/context.h"

struct http_server;

/* One request being handled; lives for the handler's call only. */
struct http_exchange;

struct http_route {
	const char *method; /* "GET" answers HEAD too */
	const char *path;   /* the whole path, without the query; NULL ends the table */
	/* Must answer with http_reply() or http_reply_with(), once, or take it up with http_later(); else the client gets 500. */
	void (*handle)(void *arg, struct http_exchange *x);
};

struct http_server_options {
	struct tls_context *tls;  /* NULL: plain; a reference is taken */
	size_t connections_max;   /* 0: 16.  One more is answered 503 and closed (SL-06) */
	size_t peer_max;          /* of these from one IP address, Unix sockets not counted; 0: half.  One more as above */
	size_t body_max;          /* bytes of a request's body; 0: 64 KiB.  More is 413 (SL-07) */
	uint64_t head_ms;         /* from the first byte to the end of the head; 0: 10 s (SL-01) */
	uint64_t body_ms;         /* for the whole body, and for the answer to be taken; 0: 30 s (SL-02, SL-03) */
	uint64_t idle_ms;         /* without a request; 0: 60 s (SL-05) */
};

/* <routes> and <arg> are lent for the server's life, <o> (may be NULL) for the call.  TULLE_ENOMEM. */
enum tulle_err http_server_new(struct http_server **ret, struct loop *l, const struct http_route *routes, void *arg,
    const struct http_server_options *o);

/* Accepts from <fd> too, a listening TCP or Unix socket, which is taken over on success.  Up to 8.  TULLE_ELIMIT, TULLE_ESYS. */
enum tulle_err http_server_listen(struct http_server *s, int fd);

/* Drops all connections and listeners.  Not from within a handler.  Takes NULL.  Always returns NULL. */
struct http_server *http_server_free(struct http_server *s);

/* Open connections. */
size_t http_server_connections(const struct http_server *s);

/* The request's head, and its body, decoded; lent for the handler's call. */
const struct http1_head *http_exchange_head(const struct http_exchange *x);
const uint8_t *http_exchange_body(const struct http_exchange *x, size_t *ret_len);

/* Who asks, and which of our addresses it asked; family 0 for a Unix socket.  Lent for the handler's call. */
const struct addr *http_exchange_peer(const struct http_exchange *x);
struct addr http_exchange_local(const struct http_exchange *x);

/*
 * Answers; everything is copied.  <type> is a Content-Type, NULL: no body
 * type.  A failure to send is the connection's end, nothing that a handler
 * need know about.
 */
void http_reply(struct http_exchange *x, unsigned int status, const char *type, const void *body, size_t len);

/* The same with more fields (lent); a field that cannot be written makes the answer a 500. */
void http_reply_with(struct http_exchange *x, unsigned int status, const char *type, const struct http1_field *fields,
    size_t n, const void *body, size_t len);

/*
 * The answer comes later: from http_later_reply(), once, within the server's
 * body_ms, after which the connection is closed.  Call it from the handler
 * instead of http_reply().  <gone> is told if the connection ends before the
 * answer, whatever ended it; neither it nor the later answer may then be
 * used any more.  The other end's going is not always noticed at once.
 */
struct http_later;
struct http_later *http_later(struct http_exchange *x, void (*gone)(void *arg), void *arg);

/* From the loop, not from within the handler.  As http_reply(); <l> is gone afterwards. */
void http_later_reply(struct http_later *l, unsigned int status, const char *type, const void *body, size_t len);

#endif
