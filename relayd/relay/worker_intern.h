/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker_intern.h - a worker from inside: for worker*.c only.
 *
 *   worker.c          its life: start, the end of a tick, the end of a drain
 *   worker_accept.c   whom it lets in: listeners, limits
 *   worker_tunnels.c  what its tunnels tell: counters and log lines
 *   worker_asked.c    what other threads ask of it, through its mailbox
 *
 * All of it runs in the worker's thread, but for what worker.h says of its own functions.
 */
#ifndef TULLE_RELAYD_WORKER_INTERN_H
#define TULLE_RELAYD_WORKER_INTERN_H

#include "flow/flow.h"
#include "hbone/pool.h"
#include "hbone/server.h"
#include "net/listen.h"
#include "relay/mailbox.h"
#include "relay/worker.h"

enum { OUTBOUND, INBOUND, HBONE, LISTENERS };

struct worker {
	struct thread th;
	struct loop *loop;
	struct creds creds;
	struct pool *pool;
	struct server *server;
	struct flows flows;
	struct talks *talks;
	struct listener listeners[LISTENERS];
	struct hook flush;
	struct mailbox box;
	pthread_t id;
	struct worker_sockets sockets;
	bool hands_over;
	bool listening;
	struct timer grace;        /* for identity and configuration to come */
	bool draining;
	bool turned_away; /* no inbound connections, from the moment that it listens */
	struct timer drain_deadline;
	bool drained_now;          /* the drain is over: from now on it only answers questions */
	struct budget *budget;
	void (*drained)(void *arg);
	void *arg;
};
/* Tells the others how many connections this worker holds: flows, and tunnels of others that have proved who they are. */
void worker_hold(const struct worker *w);

/* The name of the limit that lets nobody new in now, static; NULL if there is room. */
const char *worker_reached_limit(const struct worker *w);

/* Counts and logs a connection that <limit> refused.  <peer>: NULL where it is not to blame. */
void worker_refused(struct worker *w, const char *limit, const struct addr *peer);

/* Starts to accept, unless it does already or drains.  A listener that cannot be started is logged. */
void worker_listen(struct worker *w);

/* The same, once there are an identity and a configuration. */
void worker_listen_if_ready(struct worker *w);

/* Neither came in time (grace). */
void worker_grace_over(struct timer *t);

/* Accepts no more from others; who is in a queue is told the truth as well. */
void worker_stop_inbound(struct worker *w);

/* Accepts no more from anybody; the sockets are shut, or left to the next relay (hands_over). */
void worker_stop_listening(struct worker *w);

/* A descriptor came free: listeners that paused for want of one go on. */
void worker_socket_closed(struct thread *th);

/* The time of a drain is over (drain_deadline): connections that are left are ended. */
void worker_drain_late(struct timer *t);

extern const struct server_events worker_server_events; /* their argument is the worker */
extern const struct pool_events worker_pool_events;     /* the same */

#endif
