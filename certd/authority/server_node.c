/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server_node.c - Join and Renew: who may have a node's certificate, and making it. */
#include <stdio.h>
#include <stdlib.h>

#include "authority/late.h"
#include "authority/server_intern.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/crypt.h"

/* A node's certificate; <admit>: the first after joining. */
static enum tulle_err
sign_node(struct authority_server *s, const char *node, const struct issue_request *r, bool admit, struct buf *chain)
{
	char id[SPIFFE_ID_MAX + 1];
	uint8_t hash[SVID_HASH];
	struct svid_facts facts;
	enum tulle_err e = crypt_hash(hash, r->public_key, r->public_key_len);

	if (e == TULLE_OK)
		e = authority_sign(s->authority,
		    &(struct authority_order){ .id = member_id(id, s->td, node), .public_key = r->public_key,
		        .public_key_len = r->public_key_len, .ttl = authority_node_life(s->authority), .node = true },
		    clock_wall_sec(), chain, &facts);
	if (e == TULLE_OK)
		e = admit ? member_admitted(s->store, node, facts.serial, facts.not_after, hash)
		          : member_given(s->store, node, facts.serial, facts.not_after, hash);
	return e;
}

/* ---- Join ---- */

static void
answer_join(struct authority_server *s, struct grpc_call *call, const char *node, const struct issue_request *r)
{
	Tulle__V1__JoinResponse response;
	Tulle__V1__Bundle b, *bundles[1] = { &b };
	struct buf chain = buf_new(DER_CHAIN_MAX);
	char id[SPIFFE_ID_MAX + 1];
	char AUTO_FREE **list = NULL;
	enum tulle_err e = sign_node(s, node, r, true, &chain);

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

void
server_join(struct authority_server *s, struct grpc_call *call, const Tulle__V1__JoinRequest *m)
{
	struct issue_request request;
	uint8_t exporter[TOKEN_EXPORTER];
	char node[MEMBER_NODE], why[MEMBER_WHY] = "";
	enum tulle_err e;

	if (server_stranger_too_fast(s, call))
		return;
	e = tls_session_export(grpc_call_session(call), TOKEN_EXPORTER_LABEL, exporter, sizeof(exporter));
	if (e == TULLE_OK)
		e = member_join(s->store,
		    &(struct join){ .token_id = m->token_id, .proof = m->proof.data, .proof_len = m->proof.len, .csr = m->csr.data,
		        .csr_len = m->csr.len, .exporter = exporter, .host = m->host_name },
		    clock_wall_sec(), node, &request, why);
	if (e == TULLE_OK)
		answer_join(s, call, node, &request);
	else if (e == TULLE_EDENIED || e == TULLE_EINVAL)
		server_deny(s, call, "join", m->token_id, why);
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
answer_renew(struct authority_server *s, struct grpc_call *call, const char *node, const struct issue_request *r)
{
	Tulle__V1__RenewResponse response = TULLE__V1__RENEW_RESPONSE__INIT;
	Tulle__V1__Bundle b, *bundles[1] = { &b };
	struct buf chain = buf_new(DER_CHAIN_MAX);
	char AUTO_FREE **list = NULL;
	enum tulle_err e = sign_node(s, node, r, false, &chain);

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

void
server_renew(struct authority_server *s, struct grpc_call *call, const Tulle__V1__RenewRequest *m)
{
	struct issue_request request;
	char node[MEMBER_NODE] = "", why[MEMBER_WHY] = "";

	if (tls_session_peer_id(grpc_call_session(call)) == NULL && server_stranger_too_fast(s, call))
		return;
	if (!who_renews(s, call, m, node, why))
		server_deny(s, call, "renew", node, why);
	else if (server_slow_down(s, call, &s->nodes, node))
		return;
	else if (issue_request_read(&request, m->csr.data, m->csr.len) != TULLE_OK)
		server_deny(s, call, "renew", node, "the certificate request is not good");
	else
		answer_renew(s, call, node, &request);
}
