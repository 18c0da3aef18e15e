/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * channel.h - a connection on an event loop, plain or TLS: for the control
 * plane (lib/grpc, lib/http), where ease counts more than the last
 * microsecond.  The relay's data path does not use it.
 *
 * This is the one file of lib/tls that also stands on lib/io.
 *
 * Callbacks come from the loop only, never from within a channel_*() call
 * that the user makes.  A user may call channel_free() inside any of them.
 */
#ifndef TULLE_TLS_CHANNEL_H
#define TULLE_TLS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "tls/context.h"
#include "tls/session.h"

struct loop;
struct channel;

struct channel_handler {
	/* Connected, and the handshake (if any) was good; once.  May be NULL. */
	void (*ready)(struct channel *c, void *arg);
	/* Bytes arrived; lent for the call. */
	void (*read)(struct channel *c, const uint8_t *p, size_t n, void *arg);
	/* All that was written is with the kernel.  May be NULL. */
	void (*drained)(struct channel *c, void *arg);
	/*
	 * It is over; once, and no other callback follows.
	 *
	 *   TULLE_EOF        the peer finished (and what waited was sent), or channel_finish() is through
	 *   TULLE_ERESET     it broke off, or ended TLS without saying so
	 *   TULLE_EDENIED    its certificate was refused, or ours
	 *   TULLE_EPEER      it broke the protocol
	 *   TULLE_ETIMEDOUT  not ready in time, or idle for too long
	 *   TULLE_ESYS, TULLE_ENOMEM, TULLE_ECRYPTO
	 *
	 * channel_error() says more.  The user still calls channel_free(), here or later.
	 */
	void (*closed)(struct channel *c, enum tulle_err why, void *arg);
};

struct channel_options {
	struct tls_context *tls; /* NULL: plain; a reference is taken */
	struct tls_session_options session;
	size_t out_max;          /* bytes of plaintext and ciphertext that may wait; 0: 1 MiB */
	uint64_t ready_ms;       /* deadline until ready(); 0: 10 s */
	uint64_t idle_ms;        /* closed when this long nothing came in or went out; 0: never */
};

/*
 * Makes a channel over a connected stream socket (TCP or Unix), which it takes
 * on success and sets to non-blocking.  <o> may be NULL; the handler is lent
 * until channel_free().  TULLE_ENOMEM, TULLE_ESYS, and what tls_session_new() says.
 */
enum tulle_err channel_new(struct channel **ret, struct loop *loop, int fd, const struct channel_options *o,
    const struct channel_handler *h, void *arg);

/* The same over a connection still to be made, to <to>.  TULLE_ESYS: refused at once. */
enum tulle_err channel_connect(struct channel **ret, struct loop *loop, const struct addr *to,
    const struct channel_options *o, const struct channel_handler *h, void *arg);

/* The same to a Unix stream socket at <path>. */
enum tulle_err channel_connect_unix(struct channel **ret, struct loop *loop, const char *path,
    const struct channel_options *o, const struct channel_handler *h, void *arg);

/*
 * Queues <n> bytes, all or nothing; they are sent in the next tick, together.
 *   TULLE_ELIMIT  more than out_max would wait: try again after drained()
 *   TULLE_EPEER   closed, or not ready yet
 *   TULLE_ENOMEM, TULLE_ECRYPTO
 */
enum tulle_err channel_write(struct channel *c, const void *p, size_t n);

/* Bytes that wait to be sent. */
size_t channel_pending(const struct channel *c);

/*
 * Sends what waits, says close_notify, shuts down our direction.  read() still
 * comes; closed() follows once the peer is done too, 5 s later at most.
 */
void channel_finish(struct channel *c);

/* Stops and resumes read(): back-pressure.  What was taken from the socket already, 16 KiB at most, still comes. */
void channel_pause(struct channel *c, bool paused);

/* Drops it now.  No callback.  Takes NULL.  Always returns NULL. */
struct channel *channel_free(struct channel *c);

/* NULL: plain.  Lent: for the peer's ID and the like. */
struct tls_session *channel_session(const struct channel *c);

/* The socket, lent: for peer credentials and addresses.  -1 once closed. */
int channel_fd(const struct channel *c);

/* A phrase about why it closed; valid until this thread asks again. */
const char *channel_error(const struct channel *c);

#endif
