/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * report.h - questions of the parent that all workers must answer before
 * the relay process does: how are you (status), who talks to whom
 * (traffic), and are you there (ping).
 */
#ifndef TULLE_RELAYD_REPORT_H
#define TULLE_RELAYD_REPORT_H

#include <jansson.h>

#include "relay/mailbox.h"
#include "manifest/snapshot.h"
#include "tls/identity.h"
#include "relay/worker.h"

/* All workers have answered; <parts> is the callee's: an array, one element a worker. */
typedef void report_fn(void *arg, uint64_t id, json_t *parts);

/* All workers have turned. */
typedef void turned_fn(void *arg, uint64_t id);

struct reporter {
	struct worker *const *workers; /* lent */
	unsigned int n;
	struct mailbox *box; /* of the main thread, lent; its owner is <arg> */
	report_fn *report;  /* to reporter_status() */
	report_fn *traffic; /* to reporter_traffic() */
	turned_fn *turned;
	unsigned int turning; /* workers that have not answered the ping under way */
	uint64_t ping;        /* its number */
};

/* All questions come from the main thread, and so do the answers. */
void reporter_status(struct reporter *r, uint64_t id);
void reporter_traffic(struct reporter *r, uint64_t id);

/* One at a time: while a worker does not answer further ones are let go by. */
void reporter_ping(struct reporter *r, uint64_t id);

/* Parts of the status that need no worker.  Never NULL. */
json_t *report_identities(const struct identity_set *set); /* takes NULL */
json_t *report_services(const struct snapshot *s);

#endif
