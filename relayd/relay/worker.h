/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker.h - one thread that moves bytes: its loop, its listeners, its
 * tunnels and flows.  Workers share nothing but what they are handed.
 */
#ifndef TULLE_RELAYD_WORKER_H
#define TULLE_RELAYD_WORKER_H

#include <jansson.h>
#include <pthread.h>

#include "relay/budget.h"
#include "events/write.h"
#include "manifest/host.h"
#include "manifest/snapshot.h"
#include "tls/identity.h"

struct worker;

/* Listening sockets of one worker; lent. */
struct worker_sockets {
	int outbound, inbound, hbone; /* -1: that side is off */
};

struct worker_start {
	const struct host_config *config;     /* lent for the life of the worker */
	const struct worker_sockets *sockets; /* copied */
	struct events_writer *events;         /* lent */
	struct budget *budget;                /* lent; shared with the other workers */
	bool hands_over;                      /* another relay goes on with the sockets: a drain does not shut them */
	void (*drained)(void *arg);           /* called in the worker's thread when a drain is over */
	void (*ask_unit)(void *arg, uint64_t cgroup); /* the same, to be answered by worker_unit() */
	void *arg;
};

/* Starts a thread.  TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err worker_start(struct worker **ret, unsigned int index, const struct worker_start *start);

/* From any thread: what follows is done by the worker, soon, in the order of the calls. */
void worker_configure(struct worker *w, const struct snapshot *snapshot); /* takes a reference of its own */
void worker_identify(struct worker *w, struct identity_set *set);         /* takes a reference of its own */

/* The unit of a cgroup, copied; "": it is in none; NULL: nobody knows. */
void worker_unit(struct worker *w, uint64_t cgroup, const char *unit);

/* Accepts no more, says GOAWAY; drained() when the last flow has ended or <deadline_ms> have passed. */
void worker_drain(struct worker *w, uint64_t deadline_ms);

/* Accepts no more from others, says GOAWAY; this host's own connections are served as before. */
void worker_turn_away(struct worker *w);

/* Describes itself, also when it has drained; done(arg, result) runs in the worker's thread, <result> is the callee's. */
void worker_report(struct worker *w, void (*done)(void *arg, json_t *result), void *arg);

/* Who talks to whom: as worker_report(), <result> as flows_traffic() has it. */
void worker_traffic(struct worker *w, void (*done)(void *arg, json_t *result), void *arg);

/* done(arg, NULL) runs in the worker's thread as soon as its loop turns: proof that it does. */
void worker_turn(struct worker *w, void (*done)(void *arg, json_t *nothing), void *arg);

#endif
