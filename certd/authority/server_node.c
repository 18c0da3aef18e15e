/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server_node.c - Join and Renew: who may have a node's certificate, and making it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority/late.h"
#include "authority/pods.h"
#include "authority/server_intern.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/crypt.h"

/* What is asked for, for how many seconds at most; <admit>: the first after joining. */
struct grant {
	const char *node;
	const struct issue_request *request; /* lent */
	int64_t ttl; /* 0: as long as a host's */
	bool admit;
};

static int64_t
life(const struct authority_server *s, int64_t ttl)
{
	const int64_t most = authority_node_life(s->authority);

	return ttl > 0 && ttl < most ? ttl : most;
}

/* A node's certificate. */
static enum tulle_err
sign_node(struct authority_server *s, const struct grant *g, struct buf *chain)
{
	const struct issue_request *r = g->request;
	char id[SPIFFE_ID_MAX + 1];
	uint8_t hash[SVID_HASH];
	struct svid_facts facts;
	enum tulle_err e = crypt_hash(hash, r->public_key, r->public_key_len);

	if (e == TULLE_OK)
		e = authority_sign(s->authority,
		    &(struct authority_order){ .id = member_id(id, s->td, g->node), .public_key = r->public_key,
		        .public_key_len = r->public_key_len, .ttl = life(s, g->ttl), .node = true },
		    clock_wall_sec(), chain, &facts);
	if (e == TULLE_OK)
		e = g->admit ? member_admitted(s->store, g->node, facts.serial, facts.not_after, hash)
		             : member_given(s->store, g->node, facts.serial, facts.not_after, hash);
	return e;
}

/* ---- Join ---- */

static void
answer_join(struct authority_server *s, struct grpc_call *call, const struct grant *g)
{
	const char *node = g->node;
	Tulle__V1__JoinResponse response;
	Tulle__V1__Bundle b, *bundles[1] = { &b };
	struct buf chain = buf_new(DER_CHAIN_MAX);
	char id[SPIFFE_ID_MAX + 1];
	char AUTO_FREE **list = NULL;
	enum tulle_err e = sign_node(s, g, &chain);

	tulle__v1__join_response__init(&response);
	if (e) {
		log_error("a host that joined got no certificate", LF_STR("node", node), LF_ERR(e));
		grpc_finish(call, GRPC_UNAVAILABLE, "no certificate can be made now");
		buf_free(&chain);
		return;
	}
	server_bundle(s, &b);
	list = server_accounts(s, node, &response.n_accounts);
	response.accounts = list;
	response.node_chain = (ProtobufCBinaryData){ .data = chain.data + chain.off, .len = chain.len };
	response.n_bundles = 1;
	response.bundles = bundles;
	response.trust_domain = server_text(s->td);
	response.node_id = member_id(id, s->td, node);
	response.now = clock_wall_sec();
	s->joins++;
	log_notice("host joined", LF_STR("node", node), LF_STR("host", value_text(store_get(s->store, "member", node), "host")),
	    LF_UINT("accounts", response.n_accounts));
	server_answer(call, &response.base);
	buf_free(&chain);
}

/* A token of a service account that is not good: its bearer is told why, for nobody else reads its log. */
static void
deny_pod(struct authority_server *s, struct grpc_call *call, const char *what, const char *node, enum tulle_err e,
    const char *why)
{
	if (e == TULLE_EDENIED || e == TULLE_EINVAL) {
		server_deny_saying(s, call, what, node, why);
		return;
	}
	log_warn("a pod must come back later", LF_STR("call", what), LF_STR("reason", why[0] != '\0' ? why : tulle_strerror(e)));
	grpc_finish(call, GRPC_UNAVAILABLE, why[0] != '\0' ? why : "not now");
}

/*
 * All pods of a cluster may come from one address, so only those whose token
 * is not good pay as strangers; looking at a signature costs less than the
 * handshake did.  An address that showed too many bad ones waits until one
 * more is free: then whoever has a good one passes and pays nothing for it.
 */
static void
join_pod(struct authority_server *s, struct grpc_call *call, const Tulle__V1__JoinRequest *m)
{
	struct issue_request request;
	struct pod pod;
	char node[MEMBER_NODE] = "", why[MEMBER_WHY] = "";
	enum tulle_err e;

	if (server_stranger_must_wait(s, call))
		return;
	e = issuers_judge(s->issuers, m->jwt, strlen(m->jwt), clock_wall_sec(), &pod, why);
	if (e != TULLE_OK)
		server_stranger_failed(s, call);
	else if (server_slow_down(s, call, &s->pods, pod.issuer))
		return;
	if (e == TULLE_OK) {
		e = pod_join(s->store,
		    &(struct pod_join){ .pod = &pod, .csr = m->csr.data, .csr_len = m->csr.len, .host = m->host_name },
		    clock_wall_sec(), node, &request, why);
		if (e == TULLE_EDENIED || e == TULLE_EINVAL)
			server_stranger_failed(s, call);
	}
	if (e)
		deny_pod(s, call, "join", node, e, why);
	else
		answer_join(s, call, &(struct grant){ .node = node, .request = &request, .ttl = pod.ttl, .admit = true });
}

void
server_join(struct authority_server *s, struct grpc_call *call, const Tulle__V1__JoinRequest *m)
{
	struct issue_request request;
	uint8_t exporter[TOKEN_EXPORTER];
	char node[MEMBER_NODE], why[MEMBER_WHY] = "";
	enum tulle_err e;

	if (m->jwt[0] != '\0') {
		join_pod(s, call, m);
		return;
	}
	if (server_stranger_too_fast(s, call))
		return;
	e = tls_session_export(grpc_call_session(call), TOKEN_EXPORTER_LABEL, exporter, sizeof(exporter));
	if (e == TULLE_OK)
		e = member_join(s->store,
		    &(struct join){ .token_id = m->token_id, .proof = m->proof.data, .proof_len = m->proof.len, .csr = m->csr.data,
		        .csr_len = m->csr.len, .exporter = exporter, .host = m->host_name },
		    clock_wall_sec(), node, &request, why);
	if (e == TULLE_OK)
		answer_join(s, call, &(struct grant){ .node = node, .request = &request, .admit = true });
	else if (e == TULLE_EDENIED || e == TULLE_EINVAL)
		server_deny(s, call, "join", m->token_id, why);
	else if (e == TULLE_EEXIST) /* whoever hears this has proved that he holds the token */
		server_refuse(s, call, GRPC_ALREADY_EXISTS, "join", m->token_id, why);
	else
		grpc_finish(call, GRPC_UNAVAILABLE, "not now");
}

/* ---- Renew ---- */

/* Who is it?  By TLS, or by the voucher of an expired key. */
static bool
who_renews(struct authority_server *s, struct grpc_call *call, const Tulle__V1__RenewRequest *m, char node[MEMBER_NODE],
    char why[MEMBER_WHY])
{
	struct tls_session *tls = grpc_call_session(call);
	uint8_t exporter[TOKEN_EXPORTER], key[SVID_HASH];

	if (tls_session_peer_id(tls) != NULL) {
		if (!member_of_id(tls_session_peer_id(tls), s->td, node)) {
			(void)snprintf(why, MEMBER_WHY, "its certificate is not a node's");
			return false;
		}
		return member_seen(s->store, node, tls_session_peer_serial(tls), why) == TULLE_OK;
	}
	if (!member_of_id(m->node_id, s->td, node)) {
		(void)snprintf(why, MEMBER_WHY, "no certificate, and no node named");
		return false;
	}
	if (tls_session_export(tls, TOKEN_EXPORTER_LABEL, exporter, sizeof(exporter)) != TULLE_OK ||
	    late_check(m->voucher.data, m->voucher.len, s->td, m->csr.data, m->csr.len, exporter, key) != TULLE_OK) {
		(void)snprintf(why, MEMBER_WHY, "the voucher is not good");
		return false;
	}
	return member_late(s->store, node, key, clock_wall_sec(), why) == TULLE_OK;
}

static void
answer_renew(struct authority_server *s, struct grpc_call *call, const struct grant *g)
{
	const char *node = g->node;
	Tulle__V1__RenewResponse response = TULLE__V1__RENEW_RESPONSE__INIT;
	Tulle__V1__Bundle b, *bundles[1] = { &b };
	struct buf chain = buf_new(DER_CHAIN_MAX);
	char AUTO_FREE **list = NULL;
	enum tulle_err e = sign_node(s, g, &chain);

	if (e) {
		log_error("a node's certificate was not renewed", LF_STR("node", node), LF_ERR(e));
		grpc_finish(call, GRPC_UNAVAILABLE, "no certificate can be made now");
	} else {
		server_bundle(s, &b);
		list = server_accounts(s, node, &response.n_accounts);
		response.accounts = list;
		response.node_chain = (ProtobufCBinaryData){ .data = chain.data + chain.off, .len = chain.len };
		response.n_bundles = 1;
		response.bundles = bundles;
		response.now = clock_wall_sec();
		s->renewals++;
		server_answer(call, &response.base);
	}
	buf_free(&chain);
}

/* A pod renews only while its cluster vouches for it: with a fresh token, of itself. */
static enum tulle_err
judge_renewal(struct authority_server *s, const char *node, const char *jwt, int64_t *ret_ttl, char why[MEMBER_WHY])
{
	struct pod pod;
	enum tulle_err e;

	*ret_ttl = 0;
	if (!member_is_pod(s->store, node))
		return TULLE_OK;
	if (*jwt == '\0') {
		(void)snprintf(why, MEMBER_WHY, "a pod must show its token to renew");
		return TULLE_EDENIED;
	}
	e = issuers_judge(s->issuers, jwt, strlen(jwt), clock_wall_sec(), &pod, why);
	if (e == TULLE_OK)
		e = pod_is(s->store, node, &pod, why);
	if (e == TULLE_OK)
		*ret_ttl = pod.ttl;
	return e;
}

void
server_renew(struct authority_server *s, struct grpc_call *call, const Tulle__V1__RenewRequest *m)
{
	struct issue_request request;
	char node[MEMBER_NODE] = "", why[MEMBER_WHY] = "";
	int64_t ttl = 0;
	enum tulle_err e;

	if (tls_session_peer_id(grpc_call_session(call)) == NULL && server_stranger_too_fast(s, call))
		return;
	if (!who_renews(s, call, m, node, why)) {
		server_deny(s, call, "renew", node, why);
		return;
	}
	if (server_slow_down(s, call, &s->nodes, node))
		return;
	e = judge_renewal(s, node, m->jwt, &ttl, why);
	if (e)
		deny_pod(s, call, "renew", node, e, why);
	else if (issue_request_read(&request, m->csr.data, m->csr.len) != TULLE_OK)
		server_deny(s, call, "renew", node, "the certificate request is not good");
	else
		answer_renew(s, call, &(struct grant){ .node = node, .request = &request, .ttl = ttl });
}
