/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tlsconn.h - one TLS connection over one socket: what a tunnel lies on.
 *
 * Reading: one recv() into the thread's scratch, every record of it opened
 * into the plaintext scratch, one call of input().  Writing: records are
 * sealed into the thread's transmit scratch, one send(); what the socket does
 * not take is kept here and the connection is blocked until writable().
 */
#ifndef TULLE_RELAYD_TLSCONN_H
#define TULLE_RELAYD_TLSCONN_H

#include <stdbool.h>

#include "base/addr.h"
#include "net/thread.h"
#include "tls/session.h"

struct tlsconn;

struct tlsconn_events {
	void (*ready)(struct tlsconn *c);                                 /* the handshake is done */
	void (*input)(struct tlsconn *c, const uint8_t *p, size_t n);     /* plaintext, lent for the call */
	void (*writable)(struct tlsconn *c);                              /* no longer blocked */
	void (*closed)(struct tlsconn *c, enum tulle_err e);              /* by the peer, an error or a deadline */
};

enum tlsconn_state { TLSCONN_CONNECTING, TLSCONN_HANDSHAKE, TLSCONN_OPEN, TLSCONN_CLOSED };

struct tlsconn {
	struct thread *th;
	const struct tlsconn_events *events;
	enum tlsconn_state state;
	int fd;                  /* owned */
	int sys_errno;           /* of a closed() with TULLE_ESYS */
	bool heard;              /* something has come */
	bool not_tls;            /* and it did not begin as a record of TLS does */
	struct watch watch;
	struct timer deadline;   /* of connecting, then of the handshake */
	struct tls_session *tls; /* owned */
	struct buf pending;      /* ciphertext that the socket did not take */
	struct addr peer;
	uint64_t began_ns;
	uint64_t connected_ns;   /* loop time */
	uint64_t ready_ns;       /* loop time */
};

#define TLSCONN_CONNECT_MS 10000
#define TLSCONN_HANDSHAKE_MS 10000

/* Starts connecting; ready() or closed() follows, never from within.  Errors leave nothing behind; errno is set for TULLE_ESYS. */
enum tulle_err tlsconn_connect(struct tlsconn *c, struct thread *th, const struct addr *to, struct tls_context *ctx,
    const struct tls_session_options *options, const struct tlsconn_events *events);

/* Takes over an accepted socket.  On an error the descriptor stays the caller's. */
enum tulle_err tlsconn_accept(struct tlsconn *c, struct thread *th, int fd, struct tls_context *ctx,
    const struct tls_session_options *options, const struct tlsconn_events *events);

/* Seals <n> bytes; tlsconn_flush() sends them.  Only while open and not blocked. */
enum tulle_err tlsconn_write(struct tlsconn *c, const uint8_t *p, size_t n);

/* Sends what was sealed, with one system call if the socket takes it.  TULLE_AGAIN: blocked now.  TULLE_ERESET, TULLE_ESYS. */
enum tulle_err tlsconn_flush(struct tlsconn *c);

static inline bool
tlsconn_blocked(const struct tlsconn *c)
{
	return buf_len(&c->pending) > 0;
}

/* Raises writable() in the next tick, if the socket takes anything then. */
void tlsconn_want_writable(struct tlsconn *c);

/* Ends it without any further event; <notify> says goodbye first if it is open.  Does nothing on a closed one. */
void tlsconn_close(struct tlsconn *c, bool notify);

#endif
