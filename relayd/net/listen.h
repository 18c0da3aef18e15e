/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * listen.h - a listening socket of one worker: accepts in bounded batches,
 * and stops for a while when descriptors run out.
 */
#ifndef TULLE_RELAYD_LISTEN_H
#define TULLE_RELAYD_LISTEN_H

#include "net/thread.h"

struct listener {
	struct thread *th;
	struct watch watch; /* its descriptor is lent: the parent owns the listeners */
	struct timer pause; /* set: not accepting until it fires or a descriptor comes free */
	int fd;
	bool stopped;
	void (*accepted)(void *arg, int fd); /* takes the descriptor over */
	void (*exhausted)(void *arg);        /* no descriptor was left */
	void *arg;
};

/* Starts accepting.  TULLE_ESYS. */
enum tulle_err listener_start(struct listener *l, struct thread *th, int fd, void (*accepted)(void *arg, int fd),
    void (*exhausted)(void *arg), void *arg);

/*
 * Stops for good: who is connected already is taken, who comes later is
 * refused, and nobody is left waiting in the queue of a socket that is never
 * accepted from again.  The parent's copy of the socket is closed by that, too.
 */
void listener_stop(struct listener *l);

/*
 * Stops for good, and leaves everybody who waits to another process that has
 * the socket: only this process's descriptor is closed.
 */
void listener_leave(struct listener *l);

/* A descriptor came free: goes on if it had paused. */
void listener_resume(struct listener *l);

#endif
