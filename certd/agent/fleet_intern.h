/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fleet_intern.h - what the files of fleet.h share: the structure, and the
 * steps that they leave to each other.
 *
 *   fleet.c        what is due: looks at everything, starts the rest
 *   fleet_link.c   one connection at a time, made for one purpose
 *   fleet_join.c   Join: this host becomes a member
 *   fleet_sign.c   Sign: certificates that the keeper ordered
 *   fleet_renew.c  Renew: the node's own certificate
 *   fleet_auto.c   joining without being told to
 *   fleet_manifests.c  Manifests: what the authority has published
 */
#ifndef TULLE_CERTD_AGENT_FLEET_INTERN_H
#define TULLE_CERTD_AGENT_FLEET_INTERN_H

#include <sys/queue.h>

#include "agent/fleet.h"
#include "agent/node.h"
#include "base/addr.h"
#include "base/buf.h"
#include "grpc/client.h"
#include "http/resolve.h"
#include "proto/authority.pb-c.h"

#define FLEET_CALL_MS 10000 /* one call, and making a connection */
#define FLEET_CSR_MAX 16384
#define FLEET_WHY 320 /* a reason in words */

/* A certificate that the keeper wants. */
struct order {
	TAILQ_ENTRY(order) link;
	char *id;
	int64_t ttl;
	struct buf csr;
};
TAILQ_HEAD(orders, order);

enum purpose { FOR_WORK, FOR_JOIN, FOR_LATE };

struct fleet {
	struct loop *loop; /* lent */
	const struct fleet_handler *handler;
	void *arg;
	struct node node;
	struct timer tick; /* flush of orders, renewal of the node, tidying */

	/* One connection at a time, made for one purpose. */
	struct grpc_client *client;
	enum purpose purpose;
	bool dead;             /* to be freed at the next tick */
	struct addr peer;      /* where it goes */
	char error[FLEET_WHY]; /* why the last call or connection failed */

	struct orders waiting, asked; /* asked: the call under way is for these */

	struct token token; /* being redeemed */
	char *jwt;          /* shown instead; owned, NULL: none */
	bool joining;
	char expected_td[SPIFFE_TD_MAX + 1]; /* of the join; "": any */
	void (*join_done)(void *arg, const char *error);
	void *join_arg;

	struct key *next; /* of the join or renewal under way */
	bool renewing;
	unsigned int failures; /* of renewals */
	int64_t retry_at;
	int64_t last_success; /* seconds; 0: never */
	int64_t skew;         /* the authority's clock minus ours */
	bool skew_at_least;   /* it may be more: told by a certificate that was refused for its dates */
	char join_error[FLEET_WHY]; /* why the last join failed; "" */

	/* Joining by itself. */
	struct {
		char *host, *file; /* owned; NULL: it does not */
		uint16_t port;
		uint8_t pin[TOKEN_PIN];
		char td[SPIFFE_TD_MAX + 1]; /* "": any */
		struct resolve *resolve;    /* under way */
		bool again;                 /* a member whose authority does not know it any more */
		unsigned int failures;
		int64_t at;                 /* milliseconds since the epoch: not before */
		char failure[FLEET_WHY];
	} self;
	/* Manifests: one call at a time, which the authority may hold. */
	bool follows;
	bool asking;
	uint64_t have;
	uint8_t have_digest[GENERATION_DIGEST];
	char trouble[GENERATION_WHY];
	int64_t ask_at;       /* milliseconds since the epoch */
	unsigned int refused; /* sets in a row that this host did not take */
	unsigned int mute;    /* calls in a row that came to nothing */
	int64_t heard;        /* seconds; 0: never */
	char mute_why[FLEET_WHY];
};

/* ---- fleet.c ---- */

int64_t fleet_now_ms(void);

/* Looks what is due, from the loop: safe in the middle of a callback. */
void fleet_soon(struct fleet *f);

/* ---- fleet_link.c ---- */

/* Ends the connection, if there is one; nobody is told. */
void fleet_hang_up(struct fleet *f);

/* Connects; f->client is valid on success.  FOR_JOIN goes to the token's authority, the others to the node's. */
enum tulle_err fleet_dial(struct fleet *f, enum purpose purpose);

/* Calls <path>, for at most <deadline_ms>; what happens next comes through <h>, with <f>. */
enum tulle_err fleet_call(struct fleet *f, const char *path, const ProtobufCMessage *m, uint64_t deadline_ms,
    const struct grpc_handler *h);

/* An answer came, and by the authority's clock it is <theirs>, seconds. */
void fleet_note_clock(struct fleet *f, int64_t theirs);

/* What a call that failed says, for people. */
void fleet_status_text(char out[FLEET_WHY], enum grpc_status status, const char *text);

/* The roots of trust domain <td> in an answer.  NULL: none.  Lent by <bundles>. */
const Tulle__V1__Bundle *fleet_own_bundle(Tulle__V1__Bundle **bundles, size_t n, const char *td);

/* Lent by <b>. */
static inline ProtobufCBinaryData
fleet_bytes(const struct buf *b)
{
	return (ProtobufCBinaryData){ .data = b->data + b->off, .len = b->len };
}

/* ---- fleet_join.c ---- */

/* As fleet_join(), but with the token <jwt> of a service account; of <t> only pin and authority count. */
enum tulle_err fleet_join_jwt(struct fleet *f, const struct token *t, const char *jwt, const char *td,
    void (*done)(void *arg, const char *error), void *arg);

/* The connection FOR_JOIN is there. */
void fleet_join_ready(struct fleet *f);

/* Ends the join under way, if there is one, and tells who asked; <error> NULL: it worked. */
void fleet_finish_join(struct fleet *f, const char *error);

/* Wipes what the join under way shows. */
void fleet_forget_token(struct fleet *f);

/* ---- fleet_sign.c ---- */

/* Asks for what waits, BATCH at a time. */
enum tulle_err fleet_ask_certificates(struct fleet *f);

/* Empties <list>.  The keeper hears <why> of each; NULL: it hears nothing, for it is gone. */
void fleet_fail_orders(struct fleet *f, struct orders *list, const char *why);

/* ---- fleet_renew.c ---- */

/* Asks on the connection that is there; <late>: it is FOR_LATE and ready. */
enum tulle_err fleet_ask_renewal(struct fleet *f, bool late);

/* The connection FOR_LATE is there. */
void fleet_late_ready(struct fleet *f);

/* Ends the renewal under way, if there is one; it is tried again later. */
void fleet_renewal_failed(struct fleet *f, const char *why);

/* ---- fleet_auto.c ---- */

/* The token of a service account that tokenFile holds now; the caller's to wipe and free().  NULL: none, or of the other kind. */
char *fleet_auto_jwt(const struct fleet *f);

/* Is it time to join? */
bool fleet_auto_due(const struct fleet *f, int64_t now);

/* Joins; what comes of it is kept in f->self. */
void fleet_auto_start(struct fleet *f);

/* The authority refuses the node's certificate: joining again may help. */
void fleet_auto_again(struct fleet *f);

void fleet_auto_clear(struct fleet *f);
/* ---- fleet_manifests.c ---- */

/* Asks for manifests if that is due: never while a renewal is.  Returns when to look again, milliseconds since the epoch. */
int64_t fleet_look_at_manifests(struct fleet *f, int64_t now, bool may_ask);

/* The connection is gone, and the call for manifests with it, if there was one. */
void fleet_manifests_failed(struct fleet *f, const char *why);

#endif
