/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server_intern.h - what the files of server.h share.
 *
 *   server.c         the methods, unpacked; start and stop
 *   server_self.c    the authority's own certificate
 *   server_answer.c  answers, refusals, and what each answer has in it
 *   server_node.c    Join and Renew: certificates of nodes
 *   server_sign.c    Sign: certificates of their workloads
 *   server_manifests.c  Manifests: what is published, to whom has something else
 */
#ifndef TULLE_CERTD_AUTHORITY_SERVER_INTERN_H
#define TULLE_CERTD_AUTHORITY_SERVER_INTERN_H

#include <sys/queue.h>

#include "authority/issuers.h"
#include "authority/limit.h"
#include "authority/members.h"
#include "authority/server.h"
#include "base/addr.h"
#include "grpc/server.h"
#include "proto/authority.pb-c.h"
#include "tls/context.h"

/* Members that hear of the next generation at once; the others come again and again (server_manifests.c). */
#define SERVER_HELD_MAX 2048
#define SERVER_HELD_PEER_MAX 128 /* from one address: a NAT */

TAILQ_HEAD(askers, asked);

struct authority_server {
	struct loop *loop; /* lent */
	struct authority *authority;
	struct store *store;
	struct issuers *issuers; /* lent */
	const char *td;
	int64_t leaf_max;
	struct addr at;
	struct grpc_server *grpc;
	struct timer renew; /* of our own certificate */
	struct limit strangers; /* by address: joins and late renewals; of joins with a pod's token only those that fail */
	struct limit pods;      /* by issuer: joins with its tokens, which are good */
	struct limit nodes;     /* by node: everything else */
	struct published *published; /* lent */
	struct askers held, due, sending; /* calls for manifests */
	size_t n_held, n_sending;
	struct timer look;      /* at those that are held */
	uint64_t looks;
	json_t *have;           /* owned: node -> {"number","asked","trouble"} as members said, since the start */
	bool closing;
	uint64_t joins, signs, renewals, denied, sets;
};

/* ---- server_self.c ---- */

/* The context of the server with a new certificate, which ends at *ret_end (seconds). */
enum tulle_err server_context(struct authority_server *s, struct tls_context **ret, int64_t *ret_end);

/* Sets the timer for the renewal of our own certificate, which ends at <end> (seconds). */
void server_renew_at(struct authority_server *s, int64_t end);

/* ---- server_answer.c: each answers <call>, which is gone afterwards ---- */

void server_answer(struct grpc_call *call, const ProtobufCMessage *m);

/* What is told to the peer is less than what is logged.  <node>: whom it says it is; "" if nobody. */
void server_refuse(struct authority_server *s, struct grpc_call *call, enum grpc_status status, const char *what,
    const char *node, const char *why);

/* The same with PERMISSION_DENIED. */
void server_deny(struct authority_server *s, struct grpc_call *call, const char *what, const char *node, const char *why);

/* The same for who is told: what it showed is its own, and nobody else's secret is in <why>. */
void server_deny_saying(struct authority_server *s, struct grpc_call *call, const char *what, const char *node,
    const char *why);

/* True: <name> calls too often, and was told so; false: go on, the call is not answered. */
bool server_slow_down(struct authority_server *s, struct grpc_call *call, struct limit *l, const char *name);

/* The same for somebody without a certificate, by address. */
bool server_stranger_too_fast(struct authority_server *s, struct grpc_call *call);

/* The same, but this call costs nothing yet ... */
bool server_stranger_must_wait(struct authority_server *s, struct grpc_call *call);

/* ... unless what it showed is not good.  Answers nothing. */
void server_stranger_failed(struct authority_server *s, struct grpc_call *call);

/* ---- server_answer.c: parts of answers ---- */

/* Without const, which protobuf-c does not know. */
char *server_text(const char *s);

/* The bundle of the one trust domain that we speak for; its texts and bytes are lent by <s>. */
void server_bundle(const struct authority_server *s, Tulle__V1__Bundle *ret);

/* "ns/sa" of what a node may ask for; the array is the caller's to free(), the texts are the store's. */
char **server_accounts(const struct authority_server *s, const char *node, size_t *ret_n);

/* ---- the calls; the message is lent, the call answered ---- */

void server_join(struct authority_server *s, struct grpc_call *call, const Tulle__V1__JoinRequest *m);
void server_renew(struct authority_server *s, struct grpc_call *call, const Tulle__V1__RenewRequest *m);
void server_sign(struct authority_server *s, struct grpc_call *call, const Tulle__V1__SignRequest *m);

/* This one may be answered later. */
void server_manifests(struct authority_server *s, struct grpc_call *call, const Tulle__V1__ManifestsRequest *m);
void server_manifests_ended(void *arg, struct grpc_call *call);

/* Before the first call, and after the last. */
void server_manifests_start(struct authority_server *s);
void server_manifests_stop(struct authority_server *s);

#endif
