/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tcp.h - a TCP socket as a stream.
 *
 * Read when somebody pulls, one recv() per readiness; written with one
 * sendmsg() per flush.  failed()'s detail is the errno.
 */
#ifndef TULLE_RELAYD_TCP_H
#define TULLE_RELAYD_TCP_H

#include "base/addr.h"
#include "base/buf.h"
#include "net/stream.h"
#include "net/thread.h"

struct tcp {
	struct stream stream;
	struct thread *th;
	struct watch watch; /* its descriptor is owned */
	struct buf out;     /* waits for the socket; empty most of the time */
	TAILQ_ENTRY(tcp) lent_link;
	int16_t lent_first; /* pieces of this tick in th->lent, or -1 */
	int16_t lent_last;
	int fd;             /* the watch's, kept also while it is not watched; -1: closed */
	bool connecting;
	bool reading;       /* readable() is wanted */
	bool readable;      /* the kernel said so and recv() has not said otherwise */
	bool at_eof;        /* recv() returned 0 */
	bool broken;        /* a send failed; what the peer had sent before is still read */
	bool shut_wanted;
	bool shut_done;
};

/* Takes over a connected socket.  Not reading yet: resume() it.  TULLE_ESYS leaves the descriptor with the caller. */
enum tulle_err tcp_adopt(struct tcp *t, struct thread *th, int fd, const struct stream_events *events);

/*
 * Starts connecting to <to>; opened() or failed() follows, never from
 * within.  Bytes written meanwhile are kept.  TULLE_ESYS: errno tells why,
 * nothing follows.
 */
enum tulle_err tcp_connect(struct tcp *t, struct thread *th, const struct addr *to, const struct stream_events *events);

/* Sends all lent pieces of this thread; called before the scratch they lie in is used again. */
void tcp_flush_lent(struct thread *th);

static inline bool
stream_is_tcp_open(const struct tcp *t)
{
	return t->fd != -1;
}

#endif
