/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/renew.h"
#include "authority/late.h"
#include "authority/limit.h"
#include "authority/members.h"
#include "authority/ttl.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "grpc/server.h"
#include "io/sock.h"
#include "proto/authority.pb-c.h"
#include "store/crypt.h"
#include "tls/context.h"
#include "tls/identity.h"
#include "tls/keys.h"

#define BACKLOG 64
#define CONNECTIONS 256
#define REQUEST_MAX (256u << 10)
#define ITEMS_MAX 64 /* certificates asked for in one call */
#define SELF_RETRY 10000

struct authority_server {
	struct loop *loop; /* lent */
	struct authority *authority;
	struct store *store;
	const char *td;
	int64_t leaf_max;
	struct addr at;
	struct grpc_server *grpc;
	struct timer renew; /* of our own certificate */
	struct limit strangers; /* by address: joins and late renewals */
	struct limit nodes;     /* by node: everything else */
	uint64_t joins, signs, renewals, denied;
};

/* ---- our own certificate ---- */

/* The identity by which members know the authority; its chain brings the root along for those who join. */
static enum tulle_err
own_identity(struct authority_server *s, struct identity **ret, int64_t now)
{
	struct buf public = buf_new(ISSUE_PUBLIC_KEY_MAX), chain = buf_new(DER_CHAIN_MAX), der = buf_new(4096);
	char id[SPIFFE_ID_MAX + 1];
	struct svid_facts facts;
	struct key *key = NULL;
	enum tulle_err e = key_generate(&key);

	(void)snprintf(id, sizeof(id), SPIFFE_SCHEME "%s" MEMBER_AUTHORITY_PATH, s->td);
	if (e == TULLE_OK)
		e = key_public(key, &public);
	if (e == TULLE_OK)
		e = authority_sign(s->authority,
		    &(struct authority_order){ .id = id, .public_key = buf_head(&public), .public_key_len = buf_len(&public),
		        .ttl = authority_node_life(s->authority), .node = true, .with_root = true },
		    now, &chain, &facts);
	if (e == TULLE_OK)
		e = key_export(key, &der);
	if (e == TULLE_OK)
		e = identity_new(ret, buf_head(&chain), buf_len(&chain), buf_head(&der), buf_len(&der), "authority", NULL);
	key_unref(key);
	buf_free(&public);
	buf_free(&chain);
	buf_wipe(&der);
	return e;
}

static enum tulle_err
own_trust(struct authority_server *s, struct trust **ret)
{
	struct der roots = authority_roots(s->authority);

	return trust_new(ret, &(struct trust_bundle){ .td = s->td, .roots = roots.p, .len = roots.len }, 1, 1);
}

static enum tulle_err
make_context(struct authority_server *s, struct tls_context **ret, int64_t *ret_end)
{
	struct identity *id = NULL;
	struct identity_set *set = NULL;
	struct trust *trust = NULL;
	struct verifier *v = NULL;
	enum tulle_err e = own_identity(s, &id, clock_wall_sec());

	if (e == TULLE_OK)
		e = own_trust(s, &trust);
	if (e == TULLE_OK)
		e = identity_set_of(&set, &id, 1, trust, 1);
	if (e == TULLE_OK)
		e = verifier_new(&v, trust);
	if (e == TULLE_OK)
		e = tls_context_open_server(ret, set, v, &(struct tls_options){ .alpn = "h2", .exporter = true });
	if (e == TULLE_OK)
		*ret_end = id->facts.not_after;
	identity_unref(id);
	trust_unref(trust);
	identity_set_unref(set);
	verifier_unref(v);
	return e;
}

static void
renew_self(struct timer *t)
{
	struct authority_server *s = CONTAINER_OF(t, struct authority_server, renew);
	int64_t now = (int64_t)(clock_wall_ns() / NS_PER_MS), end;
	struct tls_context *tls;
	enum tulle_err e = make_context(s, &tls, &end);

	if (e) {
		log_error("the authority's own certificate was not renewed", LF_ERR(e));
		timer_set(s->loop, t, SELF_RETRY, renew_self);
		return;
	}
	grpc_server_set_tls(s->grpc, tls);
	tls_context_unref(tls);
	timer_set(s->loop, t, (uint64_t)(renew_at(now, end * 1000, 50) - now), renew_self);
}

/* ---- answering ---- */

static void
answer(struct grpc_call *call, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t AUTO_FREE *p = malloc(n + 1);

	if (p == NULL) {
		grpc_finish(call, GRPC_UNAVAILABLE, "out of memory");
		return;
	}
	(void)protobuf_c_message_pack(m, p);
	if (grpc_send(call, p, n) != TULLE_OK)
		grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "the answer is too long");
	else
		grpc_finish(call, GRPC_OK, "");
}

/* What is told to the peer is less than what is logged. */
static void
deny(struct authority_server *s, struct grpc_call *call, const char *what, const char *node, const char *why)
{
	struct addr peer;
	char text[ADDR_TEXT] = "-";

	s->denied++;
	if (sock_peer(grpc_call_fd(call), &peer) == TULLE_OK)
		(void)addr_format_ip(&peer, text);
	log_warn("refused a host", LF_STR("call", what), LF_STR("peer", text), LF_STR("node", node), LF_STR("reason", why));
	grpc_finish(call, GRPC_PERMISSION_DENIED, "denied");
}

static bool
slow_down(struct authority_server *s, struct grpc_call *call, struct limit *l, const char *name)
{
	if (limit_take(l, name, loop_now(s->loop)))
		return false;
	s->denied++;
	grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many calls: come back later");
	return true;
}

static bool
stranger_too_fast(struct authority_server *s, struct grpc_call *call)
{
	struct addr peer;
	char text[ADDR_TEXT] = "-";

	if (sock_peer(grpc_call_fd(call), &peer) == TULLE_OK)
		(void)addr_format_ip(&peer, text);
	return slow_down(s, call, &s->strangers, text);
}

static char *
text_of(const char *s)
{
	return (char *)(uintptr_t)s; /* protobuf-c has no const */
}

/* The bundle of the one trust domain that we speak for; <ret> and its list are the caller's. */
static void
bundle(const struct authority_server *s, Tulle__V1__Bundle *ret)
{
	struct der roots = authority_roots(s->authority);

	tulle__v1__bundle__init(ret);
	ret->trust_domain = text_of(s->td);
	ret->roots = (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)roots.p, .len = roots.len };
}

/* "ns/sa" of what a node may ask for; the array is the caller's to free(), the texts are the store's. */
static char **
accounts(const struct authority_server *s, const char *node, size_t *ret_n)
{
	const json_t *list = json_object_get(store_get(s->store, "member", node), "accounts");
	size_t n = json_array_size(list);
	char **texts = calloc(n + 1, sizeof(*texts));

	for (size_t i = 0; texts != NULL && i < n; i++)
		texts[i] = text_of(json_string_value(json_array_get(list, i)));
	*ret_n = texts != NULL ? n : 0;
	return texts;
}

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
	bundle(s, &b);
	list = accounts(s, node, &response.n_accounts);
	response.accounts = list;
	response.node_chain = (ProtobufCBinaryData){ .data = chain.data + chain.off, .len = chain.len };
	response.n_bundles = 1;
	response.bundles = bundles;
	response.trust_domain = text_of(s->td);
	response.node_id = member_id(id, s->td, node);
	response.now = clock_wall_sec();
	s->joins++;
	log_notice("host joined", LF_STR("node", node), LF_STR("host", value_text(store_get(s->store, "member", node), "host")),
	    LF_UINT("accounts", response.n_accounts));
	answer(call, &response.base);
	buf_free(&chain);
}

static void
join(struct authority_server *s, struct grpc_call *call, const Tulle__V1__JoinRequest *m)
{
	struct issue_request request;
	uint8_t exporter[TOKEN_EXPORTER];
	char node[MEMBER_NODE], why[MEMBER_WHY] = "";
	enum tulle_err e;

	if (stranger_too_fast(s, call))
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
		deny(s, call, "join", m->token_id, why);
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
		bundle(s, &b);
		list = accounts(s, node, &response.n_accounts);
		response.accounts = list;
		response.node_chain = (ProtobufCBinaryData){ .data = chain.data + chain.off, .len = chain.len };
		response.n_bundles = 1;
		response.bundles = bundles;
		response.now = clock_wall_sec();
		s->renewals++;
		answer(call, &response.base);
	}
	buf_free(&chain);
}

static void
renew(struct authority_server *s, struct grpc_call *call, const Tulle__V1__RenewRequest *m)
{
	struct issue_request request;
	char node[MEMBER_NODE] = "", why[MEMBER_WHY] = "";

	if (tls_session_peer_id(grpc_call_session(call)) == NULL && stranger_too_fast(s, call))
		return;
	if (!who_renews(s, call, m, node, why))
		deny(s, call, "renew", node, why);
	else if (slow_down(s, call, &s->nodes, node))
		return;
	else if (issue_request_read(&request, m->csr.data, m->csr.len) != TULLE_OK)
		deny(s, call, "renew", node, "the certificate request is not good");
	else
		answer_renew(s, call, node, &request);
}

/* ---- Sign ---- */

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
		errors[i] = text_of(error != NULL ? error : "");
		chains[i] = (ProtobufCBinaryData){ 0 };
		if (error == NULL)
			chains[i] = (ProtobufCBinaryData){ .data = data[i].data + data[i].off, .len = data[i].len };
	}
	bundle(s, &b);
	response.n_chains = response.n_errors = m->n_items;
	response.chains = chains;
	response.errors = errors;
	response.n_bundles = 1;
	response.bundles = bundles;
	response.generation = 1;
	response.now = clock_wall_sec();
	answer(call, &response.base);
	for (size_t i = 0; i < m->n_items; i++)
		buf_free(&data[i]);
}

static void
sign(struct authority_server *s, struct grpc_call *call, const Tulle__V1__SignRequest *m)
{
	struct tls_session *tls = grpc_call_session(call);
	char node[MEMBER_NODE] = "", why[MEMBER_WHY] = "its certificate is not a node's";

	if (!member_of_id(tls_session_peer_id(tls), s->td, node) ||
	    member_seen(s->store, node, tls_session_peer_serial(tls), why) != TULLE_OK)
		deny(s, call, "sign", node, why);
	else if (slow_down(s, call, &s->nodes, node))
		return;
	else if (m->n_items == 0 || m->n_items > ITEMS_MAX)
		grpc_finish(call, GRPC_INVALID_ARGUMENT, "1 to 64 certificates a call");
	else
		answer_sign(s, call, node, m);
}

/* ---- the methods, unpacked ---- */

static void
malformed(struct authority_server *s, struct grpc_call *call)
{
	s->denied++;
	grpc_finish(call, GRPC_INVALID_ARGUMENT, "not such a message");
}

static void
run_join(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	Tulle__V1__JoinRequest *m = tulle__v1__join_request__unpack(NULL, n, p);

	if (m == NULL)
		malformed(arg, call);
	else
		join(arg, call, m);
	tulle__v1__join_request__free_unpacked(m, NULL);
}

static void
run_renew(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	Tulle__V1__RenewRequest *m = tulle__v1__renew_request__unpack(NULL, n, p);

	if (m == NULL)
		malformed(arg, call);
	else
		renew(arg, call, m);
	tulle__v1__renew_request__free_unpacked(m, NULL);
}

static void
run_sign(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	Tulle__V1__SignRequest *m = tulle__v1__sign_request__unpack(NULL, n, p);

	if (m == NULL)
		malformed(arg, call);
	else
		sign(arg, call, m);
	tulle__v1__sign_request__free_unpacked(m, NULL);
}

static const struct grpc_method methods[] = {
	{ "/tulle.v1.Authority/Join", run_join, NULL },
	{ "/tulle.v1.Authority/Renew", run_renew, NULL },
	{ "/tulle.v1.Authority/Sign", run_sign, NULL },
	{ NULL, NULL, NULL },
};

/* ---- start and stop ---- */

static enum tulle_err
start(struct authority_server *s)
{
	int AUTO_FD fd = -1;
	struct tls_context *tls;
	int64_t now = (int64_t)(clock_wall_ns() / NS_PER_MS), end;
	enum tulle_err e = make_context(s, &tls, &end);

	if (e)
		return e;
	e = grpc_server_new(&s->grpc, s->loop, methods, s,
	    &(struct grpc_server_options){ .tls = tls, .connections_max = CONNECTIONS, .streams_max = 8,
	        .request_max = REQUEST_MAX });
	tls_context_unref(tls);
	if (e == TULLE_OK)
		e = sock_listen(&fd, &s->at, BACKLOG, false);
	if (e == TULLE_OK)
		e = grpc_server_listen(s->grpc, fd);
	if (e)
		return e;
	(void)fd_take(&fd);
	timer_set(s->loop, &s->renew, (uint64_t)(renew_at(now, end * 1000, 50) - now), renew_self);
	return TULLE_OK;
}

enum tulle_err
authority_server_new(struct authority_server **ret, struct loop *l, const struct addr *at, struct authority *a,
    struct store *store, const char *td, int64_t leaf_max)
{
	struct authority_server *s = calloc(1, sizeof(*s));
	enum tulle_err e;

	if (s == NULL)
		return TULLE_ENOMEM;
	s->loop = l;
	s->authority = a;
	s->store = store;
	s->td = td;
	s->leaf_max = leaf_max;
	s->at = *at;
	if (s->at.family == 0)
		s->at.family = AF_INET6; /* every address of both families */
	s->strangers = (struct limit){ .burst = 10, .per_ms = 2000 };
	s->nodes = (struct limit){ .burst = 60, .per_ms = 250 };
	e = start(s);
	if (e) {
		int saved = errno;

		authority_server_free(s);
		errno = saved;
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

struct authority_server *
authority_server_free(struct authority_server *s)
{
	if (s == NULL)
		return NULL;
	timer_clear(s->loop, &s->renew);
	s->grpc = grpc_server_free(s->grpc);
	free(s);
	return NULL;
}

void
authority_server_leaf_max(struct authority_server *s, int64_t leaf_max)
{
	s->leaf_max = leaf_max;
}

json_t *
authority_server_status(const struct authority_server *s)
{
	char text[ADDR_TEXT];

	return json_pack("{ss sI sI sI sI}", "address", addr_format(&s->at, text), "joins", (json_int_t)s->joins,
	    "certificates", (json_int_t)s->signs, "renewals", (json_int_t)s->renewals, "denied", (json_int_t)s->denied);
}
