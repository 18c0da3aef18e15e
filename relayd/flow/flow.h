/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * flow.h - one application connection from accept to close.
 *
 *   DIALING   the other end is being reached, by a deadline
 *   OPEN      bytes go both ways
 *   ENDED     both ends are closed, its record is written; freed when the
 *             tick is over
 *
 * "down" is the end that opened the connection, "up" the one that was
 * reached for it.  outbound.c and inbound.c decide where up is, admit.c
 * whether it may be; this file joins the two and ends them; record.c tells
 * about it.
 */
#ifndef TULLE_RELAYD_FLOW_H
#define TULLE_RELAYD_FLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "decide/balance.h"
#include "events/write.h"
#include "flow/failures.h"
#include "flow/talk.h"
#include "hbone/pool.h"
#include "manifest/snapshot.h"
#include "net/tcp.h"
#include "owner/diag.h"

#define FLOW_DIAL_MS 15000      /* CONNECT answers and plain connects; each attempt */
#define FLOW_IDLE_MS 3600000    /* no byte either way */

enum flow_state { FLOW_DIALING, FLOW_OPEN, FLOW_ENDED };

union flow_end {
	struct stream stream;
	struct tcp tcp;
	struct hstream tunnel;
};

/* What is needed only until the other end is reached. */
struct dialling {
	const struct snapshot *snapshot;  /* one reference */
	const struct identity_entry *entry; /* of the snapshot, whose identity the application has; NULL: the host's default */
	const struct service_port *port;  /* of the snapshot; NULL: the address itself */
	struct balance_tried tried;
	struct flow *flow;
	LIST_ENTRY(dialling) waiting;     /* for the unit of <cgroup>, if that is not 0 */
	uint64_t cgroup;
	struct diag_owner owner;          /* while it waits */
	bool refused_once;                /* an unprocessed stream was asked for again */
	const struct hbone *refused_by;   /* through another tunnel than this; may be gone */
};

struct flow {
	struct flows *flows;
	TAILQ_ENTRY(flow) link;
	union flow_end down, up;
	struct timer timer;               /* deadline of dialling, then idle */
	struct dialling *dial;            /* owned; NULL once open */
	const struct endpoint *endpoint;  /* one reference; NULL: no endpoint of ours */
	char *own_id;                     /* within this host: who the caller is; owned; NULL: nobody, or not within it */
	struct series *series;            /* NULL until counted as opened */
	struct talk *talk;                /* the same; NULL as well if its destination is not known */
	enum flow_state state;
	bool inbound;
	bool by_tunnel;                   /* inbound: came through HBONE */
	bool audited;                     /* a policy of action AUDIT matched */
	bool down_eof, up_eof;            /* that source has ended */
	bool down_done, up_done;          /* that sink has sent all and its end */
	bool has_up;                      /* up is a stream that must be closed */
	uint64_t active_ms;               /* when a byte last moved */
	uint64_t began_ns;                /* loop time */
	uint64_t tried_ns;                /* when the last attempt to reach the other end began */
	struct conn_event event;          /* filled as things become known */
};

struct unit_of;

/* What one worker knows about the programs that connections belong to (owner.c). */
struct owners {
	struct diag *diag;                /* owned; NULL until it was needed */
	struct unit_of *units;            /* owned, a hash table: cgroup to unit */
	LIST_HEAD(, dialling) waiting;    /* until the unit of their cgroup is known */
	void (*ask_unit)(void *arg, uint64_t cgroup); /* flows_unit() is the answer; NULL: nobody can be asked */
	void *arg;
};

/* All flows of one worker, and what they share. */
struct flows {
	struct thread *th;
	struct creds *creds;
	struct pool *pool;
	struct events_writer *events;
	struct talks *talks;                 /* lent */
	struct owners owners;                /* whose connections they are */
	const struct snapshot *snapshot;     /* one reference; NULL until configured */
	struct {
		uint16_t outbound, inbound, hbone, health, authority;
	} ports;
	uint32_t traces_ppm;
	TAILQ_HEAD(, flow) all;
	TAILQ_HEAD(, flow) ended;
	unsigned int n;
	uint64_t next_id;
	uint64_t log_ms;                     /* bucket of log lines about refusals */
	unsigned int log_left;
	unsigned int log_dropped;
	struct failures failures;            /* the last ones, for status */
};

void flows_init(struct flows *fs, struct thread *th, struct creds *creds, struct pool *pool,
    struct events_writer *events, struct talks *talks);

/* Puts another snapshot in force, judges live flows again, and cuts those that it denies.  Takes a reference of its own. */
void flows_configure(struct flows *fs, const struct snapshot *snapshot);

/* Gives back what all of them share; no flow is left. */
void flows_done(struct flows *fs);

/* The unit of a cgroup, lent; "": in none; NULL: it cannot be told.  Flows that waited for it go on, or end. */
void flows_unit(struct flows *fs, uint64_t cgroup, const char *unit);

/* Frees what ended in this tick. */
void flows_reap(struct flows *fs);

/* Ends every flow. */
void flows_end_all(struct flows *fs, enum event_detail detail);

/* ---- beginnings (outbound.c, inbound.c); the descriptor is taken over ---- */

void flow_outbound(struct flows *fs, int fd);

/* The same for a connection whose destination is known. */
void flow_outbound_to(struct flows *fs, int fd, const struct addr *original);

void flow_inbound_plain(struct flows *fs, int fd);
void flow_inbound_tunnel(struct flows *fs, struct hbone *h, int32_t id, bool connect, const char *authority);

/* ---- for outbound.c and inbound.c ---------------------------------------- */

/* A flow that is not joined yet, its record begun.  NULL when out of memory. */
struct flow *flow_new(struct flows *fs, bool inbound);

/* Sets or moves the deadline of dialling. */
void flow_set_deadline(struct flow *f);

/* Is the other end, once begun, a stream of a tunnel? */
static inline bool
flow_dials_tunnel(const struct flow *f)
{
	return !f->inbound && f->endpoint != NULL && f->endpoint->meshed && !f->endpoint->local;
}

/* Counts the flow as opened under the labels that its event has by now. */
void flow_count_opened(struct flow *f);

/* Ends a flow in any state. */
void flow_end(struct flow *f, enum event_outcome outcome, enum event_flag flag, enum event_detail detail);

/* What the ends of flows raise: each end is made with its own table. */
extern const struct stream_events flow_down_events, flow_up_events;

/* outbound.c: an attempt failed; the next endpoint, or the end. */
void outbound_attempt_failed(struct flow *f, enum tulle_err e, int detail);

/* inbound.c: the application did not take it. */
void inbound_connect_failed(struct flow *f, int err);

/* inbound.c: may this live flow go on under the snapshot in force? */
bool inbound_still_allowed(struct flow *f);

/* outbound.c: the same for one between two applications of this host, where both sides are ours. */
bool outbound_still_allowed(struct flow *f);

/* outbound.c: false if this live flow goes out in plain bytes to where REGISTRY_ONLY, in force now, lets nobody go. */
bool outbound_still_in_registry(const struct flow *f);

/* ---- admit.c -------------------------------------------------------------- */

/*
 * May <peer_id> (NULL: nobody known), connecting from f->event.peer, reach
 * <to>?  Judged by <snapshot>, counted, its policy recorded; what audits or
 * denies it is logged.
 */
bool flow_admitted(struct flow *f, const struct snapshot *snapshot, const char *peer_id, const struct addr *to);

/* The same by the snapshot in force, for one that is live: nothing is counted or told. */
bool flow_may_be(const struct flow *f, const char *peer_id, const struct addr *to);

/* False: there is no snapshot yet; that is counted and logged, and the flow is to be ended as EVENT_DETAIL_NO_CONFIGURATION. */
bool flow_configured(struct flow *f);

/* One line, if there is one left: with peer, identity (NULL: none), destination, and the place of a policy (NULL: none). */
void flow_log_refusal(struct flow *f, const char *message, const char *reason, const char *peer_id,
    const struct place *place);

/* ---- owner.c -------------------------------------------------------------- */

/*
 * Finds out as whom the application of an outbound flow speaks (decide/owner.h):
 * f->dial->entry.
 *
 *   TULLE_OK
 *   TULLE_AGAIN    somebody was asked: flow_owner_found() follows, or the flow has ended
 *   TULLE_EDENIED  it cannot be known: the flow has ended as EVENT_DETAIL_OWNER_UNKNOWN, which was logged
 */
enum tulle_err flow_find_owner(struct flow *f);

/* outbound.c: f->dial->entry is known now. */
void flow_owner_found(struct flow *f);

/* The flow waits no more; nothing if it does not. */
void flow_forget_owner(struct flow *f);

void owners_done(struct owners *o);

/* record.c */
void record_begin(struct flow *f);
void record_text(struct flow *f, uint32_t *ret_index, const char *text);
void record_principal(struct flow *f, uint32_t *ret_index, const char *spiffe_id);

/* The other end is there: how long that took. */
void record_opened(struct flow *f);

void record_end(struct flow *f, enum event_outcome outcome, enum event_flag flag, enum event_detail detail);

/* Counts the flow among those of its kind (talk.h), by the labels that its event has by now. */
void record_talk(struct flow *f);

/* Who talks to whom (traffic.c): an array, one object a talk; what it says is doc/relay.md's "traffic".  NULL: out of memory. */
json_t *flows_traffic(struct flows *fs);

/* Is there a line left for this refusal?  At most 20 a second, in bursts of 100. */
bool flow_may_log(struct flows *fs);

#endif
