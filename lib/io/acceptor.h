/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * acceptor.h - accepts from a listening socket, and rests where that fails
 * for want of descriptors or memory.
 *
 * The connection that could not be accepted stays in the queue and keeps the
 * socket readable: whoever goes on watching it is woken again and again, and
 * uses a whole core until somebody hangs up.  So nothing is watched for
 * ACCEPTOR_REST_MS, and then it is tried again.
 */
#ifndef TULLE_IO_ACCEPTOR_H
#define TULLE_IO_ACCEPTOR_H

#include "base/err.h"
#include "io/loop.h"

#define ACCEPTOR_REST_MS 100
#define ACCEPTOR_BURST 16 /* accepted in one tick: others have their turn too */

struct acceptor {
	struct loop *loop;  /* lent */
	struct watch watch; /* its descriptor is lent */
	struct timer rest;  /* set while nothing is accepted */
	uint64_t told;      /* when the log last heard of it, loop_now(); 0: never */
	const char *what;   /* lent */
	void (*accepted)(struct acceptor *a, int fd);
};

/*
 * Accepts from <fd>, a listening socket that does not block and stays the
 * caller's.  Every connection goes to <accepted>, which takes it over
 * (non-blocking, close-on-exec); <a> must outlive that call.  <what> says in
 * the log who could not accept, at most once a minute.  TULLE_ESYS.
 */
enum tulle_err acceptor_start(struct acceptor *a, struct loop *l, int fd, const char *what,
    void (*accepted)(struct acceptor *a, int fd));

/* Accepts no more; call it before closing the descriptor.  Also from within <accepted>.  Takes a zeroed one. */
void acceptor_stop(struct acceptor *a);

#endif
