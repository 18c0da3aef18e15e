/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * client.h - a small HTTP/1.1 client over a loop: one server, one connection
 * that is kept open, one request at a time.
 *
 * For our own needs (OTLP export, health).  Nothing is sent again on its
 * own: what a failure means for a request is the caller's to decide.  No
 * redirects, no cookies, no proxies.
 */
#ifndef TULLE_HTTP_CLIENT_H
#define TULLE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/url.h"
#include "http1/parse.h"
#include "io/loop.h"
#include "tls/context.h"

struct http_client;

#define HTTP_RESPONSE_MAX (4u << 20) /* bytes of a body (OTLP: more cannot be retried) */

struct http_client_options {
	struct tls_context *tls; /* for https; a reference is taken.  NULL: plain only */
	uint64_t connect_ms;     /* look-up, connection and handshake; 0: 10 s */
	uint64_t idle_ms;        /* an unused connection is closed after this; 0: 30 s */
	size_t response_max;     /* 0: HTTP_RESPONSE_MAX */
};

struct http_request {
	const char *method;                /* "POST" */
	const char *path;                  /* "/v1/traces"; the URL's own path goes in front */
	const struct http1_field *fields;  /* lent for the call; neither Host nor framing */
	size_t n;
	const void *body;                  /* lent until done(); NULL: none */
	size_t len;
	uint64_t timeout_ms;               /* from now until the answer is complete; 0: 10 s */
};

/* The final answer; all lent for the call. */
struct http_response {
	unsigned int status;
	const struct http1_head *head;
	const uint8_t *body; /* with a NUL behind it */
	size_t len;
};

/*
 * The outcome of a request, once, from the loop, never from within
 * http_client_send(): TULLE_OK and a response, or NULL and
 *
 *   TULLE_ENOENT     no such host
 *   TULLE_EUNAVAIL   nobody there: refused, unreachable, no such socket
 *   TULLE_ETIMEDOUT  the request's or the connection's deadline passed
 *   TULLE_ERESET     closed before the answer was complete
 *   TULLE_EPEER      not HTTP, or TLS broken
 *   TULLE_EDENIED    the server's certificate was refused, or ours by the server
 *   TULLE_ELIMIT     the answer is larger than allowed
 *
 * http_client_error() says more.  The callback may send the next request or free the client.
 */
typedef void http_client_done(void *arg, enum tulle_err e, const struct http_response *r);

/* Makes a client for <url>, copied; connects when there is something to send.  <o> may be NULL.
 * TULLE_EINVAL: https without a TLS context.  TULLE_ENOMEM. */
enum tulle_err http_client_new(struct http_client **ret, struct loop *l, const struct http_url *url,
    const struct http_client_options *o);

/* Drops connection and request, without a callback.  Takes NULL.  Always returns NULL. */
struct http_client *http_client_free(struct http_client *c);

/*
 * Sends a request.
 *   TULLE_EBUSY   one is in flight
 *   TULLE_EINVAL  it cannot be written as HTTP
 *   TULLE_ENOMEM
 */
enum tulle_err http_client_send(struct http_client *c, const struct http_request *r, http_client_done *done, void *arg);

/* Forgets the request in flight, and the connection with it; no callback. */
void http_client_cancel(struct http_client *c);

bool http_client_busy(const struct http_client *c);

/* A phrase about the last failure; valid until the next call. */
const char *http_client_error(const struct http_client *c);

/*
 * Retry-After of a response in milliseconds from <wall_sec> (seconds since
 * the epoch): a number of seconds or a date (9110 10.2.3), at most a day.
 * False: none, or not understood.
 */
bool http_retry_after(const struct http_response *r, int64_t wall_sec, uint64_t *ret_ms);

#endif
