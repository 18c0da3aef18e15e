/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_intern.h - the relay process's main thread from inside: for relay*.c only.
 *
 *   relay.c         its life: start, what the parent says, drain, memory
 *   relay_force.c   configuration and identities: taken into force, handed to the workers
 *   relay_tell.c    what the parent is told: readiness, status, traffic
 */
#ifndef TULLE_RELAYD_RELAY_INTERN_H
#define TULLE_RELAYD_RELAY_INTERN_H

#include "events/write.h"
#include "io/loop.h"
#include "msg/msg.h"
#include "relay/budget.h"
#include "relay/health.h"
#include "relay/identity.h"
#include "relay/loader.h"
#include "relay/mailbox.h"
#include "relay/relay.h"
#include "relay/report.h"
#include "relay/self.h"
#include "relay/worker.h"

struct relay {
	const struct relay_start *start;
	struct loop *loop;
	struct watch channel;
	struct mailbox box;
	struct events *events;
	struct events_writer *counters; /* of the main thread: the one behind the workers' */
	struct worker **workers;
	unsigned int nworkers;
	unsigned int drained;
	struct identity_client *identity;
	struct health *health;
	struct self self;
	struct timer memory;
	struct budget budget;             /* of all workers together */
	struct loader loader;             /* has the snapshot in force */
	struct reporter reporter;
	struct identity_set *set;         /* in force */
	bool ready;
	bool draining;
	int status;
	struct msg msg;                   /* scratch: 64 KiB */
	int64_t in_force_since; /* when this process took the configuration; seconds since the epoch */
};

/* One message to the parent (wire.h); a parent that does not listen is only logged. */
void relay_tell(struct relay *r, uint32_t type, const void *body, size_t len);

/* Tells the parent and the health port if readiness is another than before: new connections would be treated as configured. */
void relay_update_ready(struct relay *r);

/* WIRE_CONFIG: in force as a whole, or not at all; the parent hears which.  TULLE_EPEER, TULLE_ENOMEM: it cannot be taken. */
enum tulle_err relay_on_config(struct relay *r, struct msg *m);

/* Callbacks of the Workload API client (identity.h); <arg> is the relay. */
void relay_on_identity(void *arg, struct identity_set *set);
void relay_on_dial(void *arg);

/* Callbacks of the reporter (report.h): the parent gets the answer; <arg> is the relay, <workers> is taken over. */
void relay_send_report(void *arg, uint64_t id, json_t *workers);
void relay_send_traffic(void *arg, uint64_t id, json_t *workers);
void relay_send_pong(void *arg, uint64_t id);

#endif
