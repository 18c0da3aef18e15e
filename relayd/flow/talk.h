/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * talk.h - who talks to whom, and how: one worker's bounded table, for
 * "tulle traffic".
 *
 * Metrics know callers by identity alone.  Who still comes in plaintext has
 * none, and is known by address: that is personal data, so it stays in this
 * process, for root to ask for, and never becomes a metric.
 *
 * The table is bounded, because a stranger chooses addresses.  When it is
 * full, who was silent for longest makes place, and is from then on counted
 * among the others of its kind: sums stay right, names get lost.  Who has an
 * open connection never makes place.  Pure, but for memory.
 */
#ifndef TULLE_RELAYD_FLOW_TALK_H
#define TULLE_RELAYD_FLOW_TALK_H

#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "events/vocab.h"

#define TALKS_MAX 1024 /* of a worker; some 200 bytes each, taken as they come */

enum talk_how {
	TALK_MUTUAL,    /* mutual TLS between two identities */
	TALK_PLAINTEXT, /* bytes as they are, to or from somebody whom manifests could mesh */
	TALK_LOCAL,     /* between two applications of this host: judged, and never on a wire */
	TALK_OUTSIDE,   /* outbound, to what no manifest names */
	TALK_HOWS
};

/* "mutual", "plaintext", "local", "outside". */
const char *talk_how_name(enum talk_how how);

/* What tells one talk from another.  Texts by events_intern(); whoever fills it leaves no padding undefined (memset). */
struct talk_key {
	uint8_t direction; /* enum event_direction */
	uint8_t how;       /* enum talk_how */
	uint16_t port;     /* that was dialled */
	struct addr address; /* port 0.  Inbound plaintext: the caller.  Outbound without a service: who was dialled.  Else none */
	uint32_t source, destination; /* principals */
	uint32_t service, workload;
};

struct talk_counts {
	uint64_t connections; /* all that were made, also those refused */
	uint64_t denied;      /* refused by policy, REGISTRY_ONLY or STRICT, or cut by a change of them */
	uint64_t failed;      /* the other end could not be reached */
	uint64_t audited;     /* matched a policy of action AUDIT */
	uint64_t rx, tx;      /* bytes from and to who opened it; of connections that have ended */
	uint32_t active;      /* open now */
	int64_t last_sec;     /* wall clock: the last beginning or end */
};

struct talk;
struct talks;

/* TULLE_ENOMEM.  <max> entries: TALKS_MAX, but in tests. */
enum tulle_err talks_new(struct talks **ret, uint32_t max);

/* Takes NULL.  Always returns NULL. */
struct talks *talks_free(struct talks *t);

/* A connection begins: the talk that it belongs to, lent until its talk_end().  Never NULL. */
struct talk *talk_begin(struct talks *t, const struct talk_key *key, int64_t now_sec);

/* A policy of action AUDIT matched the connection, which is not yet over. */
void talk_audited(struct talk *k);

/* Once for each talk_begin(). */
void talk_end(struct talks *t, struct talk *k, enum event_outcome outcome, uint64_t rx, uint64_t tx, int64_t now_sec);

/* Bytes of a connection that is still open, for the next talks_each() only. */
void talk_live(struct talk *k, uint64_t rx, uint64_t tx);

/*
 * Every talk, the live bytes added; <key> is NULL for the others: those of
 * <direction> and <how> that found no place or had to make it, in sum.
 */
void talks_each(struct talks *t, void (*each)(void *arg, const struct talk_key *key, enum event_direction direction,
    enum talk_how how, const struct talk_counts *counts), void *arg);

#endif
