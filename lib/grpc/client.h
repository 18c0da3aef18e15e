/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * client.h - a small gRPC client: one connection, unary calls and server
 * streams.
 *
 * Callbacks come from the loop only, never from within a function of this
 * file.  Inside any of them requests may be started and cancelled and the
 * client be freed.
 *
 * What goes wrong is a status, too: GRPC_UNAVAILABLE if the connection ends,
 * GRPC_DEADLINE_EXCEEDED, GRPC_RESOURCE_EXHAUSTED for a message that is too
 * long, and what status.h makes of resets and foreign HTTP answers.
 */
#ifndef TULLE_GRPC_CLIENT_H
#define TULLE_GRPC_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "grpc/status.h"
#include "io/loop.h"
#include "tls/channel.h"

struct grpc_client;
struct grpc_request;

struct grpc_client_events {
	void (*ready)(void *arg);                       /* connected (and TLS is up); may be NULL */
	void (*closed)(void *arg, const char *reason);  /* gone; every request has failed; the client is still to be freed */
};

struct grpc_client_options {
	struct channel_options channel;
	const char *authority; /* NULL: "localhost" */
	size_t response_max;   /* bytes of one message; 0: 4 MiB */
};

/*
 * Over a connected socket, which is taken over on success.  <events> and <o>
 * (may be NULL) are copied.  Errors as channel_new().
 */
enum tulle_err grpc_client_new(struct grpc_client **ret, struct loop *l, int fd, const struct grpc_client_options *o,
    const struct grpc_client_events *events, void *arg);

/* Connects to an address.  Errors as channel_connect(). */
enum tulle_err grpc_client_connect(struct grpc_client **ret, struct loop *l, const struct addr *to,
    const struct grpc_client_options *o, const struct grpc_client_events *events, void *arg);

/* Drops the connection and every request, without callbacks; also inside a callback.  Takes NULL.  Always returns NULL. */
struct grpc_client *grpc_client_free(struct grpc_client *c);

/* The TLS session, for the peer's identity and the exporter; NULL if plain.  Lent. */
struct tls_session *grpc_client_session(const struct grpc_client *c);

struct grpc_metadata {
	const char *name, *value;
};

struct grpc_handler {
	void (*message)(void *arg, const uint8_t *p, size_t n);                  /* one message, lent for the call */
	void (*finished)(void *arg, enum grpc_status status, const char *text);  /* once, last; the request is gone afterwards */
};

/*
 * Sends one message and listens.  Everything but <handler> is copied.
 * <deadline_ms> 0: none (streams).  May be called before ready().
 * TULLE_ENOMEM, TULLE_EUNAVAIL (the connection is gone).
 */
enum tulle_err grpc_start(struct grpc_client *c, struct grpc_request **ret, const char *path, const void *p, size_t n,
    const struct grpc_metadata *metadata, size_t n_metadata, uint64_t deadline_ms, const struct grpc_handler *handler,
    void *arg);

/* Gives a request up: no callback follows. */
void grpc_cancel(struct grpc_request *r);

#endif
