/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server_sign.c - Sign: certificates of a node's workloads, for the accounts that its token named. */
#include <string.h>

#include "authority/server_intern.h"
#include "authority/ttl.h"
#include "base/clock.h"
#include "base/log.h"

#define ITEMS_MAX 64 /* certificates asked for in one call */

/* One certificate for a workload of the node; a phrase if not. */
static const char *
sign_item(struct authority_server *s, const char *node, const Tulle__V1__SignItem *item, struct buf *chain)
{
	char account[2 * SPIFFE_TD_MAX + 2], id[SPIFFE_ID_MAX + 1];
	char *slash = strchr(item->account, '/');
	struct issue_request request;
	struct svid_facts facts;
	int64_t ttl = item->ttl_seconds == 0 || item->ttl_seconds > s->leaf_max ? s->leaf_max : item->ttl_seconds;
	enum tulle_err e;

	if (slash == NULL || strlen(item->account) >= sizeof(account))
		return "not an account";
	memcpy(account, item->account, strlen(item->account) + 1);
	account[slash - item->account] = '\0';
	if (!member_may(s->store, node, account, account + (slash - item->account) + 1))
		return "this host's token did not allow the account";
	if (issue_request_read(&request, item->csr.data, item->csr.len) != TULLE_OK)
		return "the certificate request is not good";
	if (spiffe_build(id, sizeof(id), s->td, account, account + (slash - item->account) + 1) != TULLE_OK)
		return "not an account";
	if (strcmp(request.uri, id) != 0)
		return "the request names another identity than the account's";
	if (ttl < TTL_LEAF_MIN)
		ttl = TTL_LEAF_MIN;
	e = authority_sign(s->authority,
	    &(struct authority_order){ .id = id, .public_key = request.public_key, .public_key_len = request.public_key_len,
	        .ttl = ttl },
	    clock_wall_sec(), chain, &facts);
	return e ? "no certificate can be made now" : NULL;
}

static void
answer_sign(struct authority_server *s, struct grpc_call *call, const char *node, const Tulle__V1__SignRequest *m)
{
	Tulle__V1__SignResponse response = TULLE__V1__SIGN_RESPONSE__INIT;
	Tulle__V1__Bundle b, *bundles[1] = { &b };
	ProtobufCBinaryData chains[ITEMS_MAX];
	struct buf data[ITEMS_MAX];
	char *errors[ITEMS_MAX];

	for (size_t i = 0; i < m->n_items; i++) {
		const char *error;

		data[i] = buf_new(DER_CHAIN_MAX);
		error = sign_item(s, node, m->items[i], &data[i]);
		if (error != NULL)
			log_warn("refused a certificate", LF_STR("node", node), LF_STR("account", m->items[i]->account),
			    LF_STR("reason", error));
		s->signs += error == NULL;
		errors[i] = server_text(error != NULL ? error : "");
		chains[i] = (ProtobufCBinaryData){ 0 };
		if (error == NULL)
			chains[i] = (ProtobufCBinaryData){ .data = data[i].data + data[i].off, .len = data[i].len };
	}
	server_bundle(s, &b);
	response.n_chains = response.n_errors = m->n_items;
	response.chains = chains;
	response.errors = errors;
	response.n_bundles = 1;
	response.bundles = bundles;
	response.generation = 1;
	response.now = clock_wall_sec();
	server_answer(call, &response.base);
	for (size_t i = 0; i < m->n_items; i++)
		buf_free(&data[i]);
}

void
server_sign(struct authority_server *s, struct grpc_call *call, const Tulle__V1__SignRequest *m)
{
	struct tls_session *tls = grpc_call_session(call);
	char node[MEMBER_NODE] = "", why[MEMBER_WHY] = "its certificate is not a node's";

	if (!member_of_id(tls_session_peer_id(tls), s->td, node) ||
	    member_seen(s->store, node, tls_session_peer_serial(tls), why) != TULLE_OK)
		server_deny(s, call, "sign", node, why);
	else if (server_slow_down(s, call, &s->nodes, node))
		return;
	else if (m->n_items == 0 || m->n_items > ITEMS_MAX)
		grpc_finish(call, GRPC_INVALID_ARGUMENT, "1 to 64 certificates a call");
	else
		answer_sign(s, call, node, m);
}
