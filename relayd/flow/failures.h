/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failures.h - the last connections of a worker that were refused or came to
 * nothing, for tulle status and tulle doctor: who wanted to reach what, and
 * why it did not.  A fixed number each way, the oldest goes; what comes in
 * cannot push out what this host's own applications met.
 */
#ifndef TULLE_RELAYD_FLOW_FAILURES_H
#define TULLE_RELAYD_FLOW_FAILURES_H

#include <jansson.h>
#include <stdint.h>

#include "events/layout.h"

#define FAILURES_KEPT 16 /* each way */
#define FAILURE_WHO 256
#define FAILURE_POLICY 256

struct failed_flow {
	int64_t at;               /* seconds since the epoch */
	struct addr peer;         /* where the connection came from */
	struct addr original;     /* where it was to go; family 0: not known */
	struct addr upstream;     /* which endpoint was tried last; family 0: none */
	uint8_t outcome, detail;  /* enum event_outcome, enum event_detail */
	char who[FAILURE_WHO];    /* outbound: whom the relay expected; inbound: who asked; "" if not known */
	char policy[FAILURE_POLICY]; /* "FILE:LINE: NAMESPACE/NAME" that denied it, or "" */
};

struct failures {
	struct failed_flow kept[2][FAILURES_KEPT]; /* by enum event_direction */
	uint64_t n[2];                             /* how many there were */
	char policy[FAILURE_POLICY], who[FAILURE_WHO]; /* of the refusal that is being told; taken by the next failure */
};

/* <ev> ended in anything but success; <who> may be NULL.  Aborted ones are not kept. */
void failures_note(struct failures *f, const struct conn_event *ev, const char *who);

/* What a policy refuses: said just before its flow is ended.  <peer_id> may be NULL. */
void failures_policy(struct failures *f, const char *file, unsigned int line, const char *ns, const char *name,
    const char *peer_id);

/* {"outbound":[...], "inbound":[...]}, the oldest first.  Never NULL. */
json_t *failures_json(const struct failures *f);

#endif
