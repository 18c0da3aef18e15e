/* fuzz-links: certd */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What hosts ask of the authority: Join, Renew, Sign and Manifests, on a connection with
 * a node's certificate or without one.  The TLS sessions, the store and the
 * CA are real; the gRPC server is this file, and the limits are off.
 *
 * The first byte says method and connection, the rest is the message.  A
 * field of it that is empty and needs a secret (request, token, proof,
 * voucher) is filled with the right one, so that what lies behind the checks
 * is reached too; what is filled is what may make a call succeed.
 * Invariants: every call ends once, or is one for manifests that is held; nobody joins without the proof, renews
 * without certificate or voucher, gets a certificate but for its account, or
 * manifests without being a member.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/node.h"
#include "authority/authority.h"
#include "authority/late.h"
#include "authority/limit.h"
#include "authority/members.h"
#include "authority/server.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "grpc/server.h"
#include "proto/authority.pb-c.h"
#include "tls/context.h"
#include "tls/identity.h"
#include "tls/issue.h"
#include "tls/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TD "mesh.test"
#define ACCOUNT "demo/web"
#define ID "spiffe://" TD "/ns/demo/sa/web"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* One host: its key, its token, and what it has filled in. */
struct host {
	struct key *key;
	struct token token;
	struct buf csr;
	char id[SPIFFE_ID_MAX + 1];
};

struct grpc_call {
	struct tls_session *session;
	unsigned int finished;
	enum grpc_status status;
	struct buf sent;
	void *data;
	void (*on_sent)(void *arg, struct grpc_call *call);
};

static struct loop *loop;
static struct store *store;
static struct authority *authority;
static struct published published;
static struct authority_server *server;
static struct verifier *verifier;
static struct host member, other;     /* the first has joined and has a connection, the second joins anew each time */
static struct buf workload_csr;
static struct tls_session *stranger, *node; /* the authority's ends */
static struct tls_session *stranger_far, *node_far;
static char dir[] = "/tmp/tulle-fuzz-authority-XXXXXX";

/* ---- the gRPC server, as far as the authority sees it ---- */

static const struct grpc_method *methods;
static void *methods_arg;
static struct tls_context *tls;

enum tulle_err
grpc_server_new(struct grpc_server **ret, struct loop *l, const struct grpc_method *m, void *arg,
    const struct grpc_server_options *o)
{
	(void)l;
	*ret = NULL;
	methods = m;
	methods_arg = arg;
	tls = tls_context_ref(o->tls);
	return TULLE_OK;
}

enum tulle_err
grpc_server_listen(struct grpc_server *s, int fd)
{
	(void)s;
	(void)close(fd);
	return TULLE_OK;
}

void
grpc_server_set_tls(struct grpc_server *s, struct tls_context *c)
{
	(void)s;
	(void)c;
}

struct grpc_server *
grpc_server_free(struct grpc_server *s)
{
	(void)s;
	return NULL;
}

int
grpc_call_fd(const struct grpc_call *call)
{
	(void)call;
	return -1;
}

struct tls_session *
grpc_call_session(const struct grpc_call *call)
{
	return call->session;
}

enum tulle_err
grpc_send(struct grpc_call *call, const void *p, size_t n)
{
	CHECK(call->finished == 0 && buf_len(&call->sent) == 0);
	return buf_append(&call->sent, p, n);
}

void
grpc_call_set_data(struct grpc_call *call, void *data)
{
	call->data = data;
}

void *
grpc_call_data(const struct grpc_call *call)
{
	return call->data;
}

void
grpc_call_on_sent(struct grpc_call *call, void (*on_sent)(void *arg, struct grpc_call *call))
{
	CHECK(buf_len(&call->sent) > 0);
	call->on_sent = on_sent;
}

void
grpc_finish(struct grpc_call *call, enum grpc_status status, const char *message)
{
	CHECK(message != NULL);
	call->finished++;
	call->status = status;
}

bool
limit_take(struct limit *l, const char *name, uint64_t now_ms)
{
	(void)l;
	(void)now_ms;
	return name != NULL;
}

bool
limit_may(const struct limit *l, const char *name, uint64_t now_ms)
{
	(void)l;
	(void)now_ms;
	return name != NULL;
}

static struct grpc_call
call(const char *name, struct tls_session *session, const uint8_t *p, size_t n)
{
	struct grpc_call c = { .session = session, .sent = buf_new(4 << 20) };
	char path[64];

	c.status = GRPC_UNKNOWN;

	(void)snprintf(path, sizeof(path), "/tulle.v1.Authority/%s", name);
	for (const struct grpc_method *m = methods; m->path != NULL; m++)
		if (strcmp(m->path, path) == 0) {
			m->run(methods_arg, &c, p, n);
			if (c.on_sent != NULL)
				c.on_sent(methods_arg, &c);
			if (c.finished == 0 && m->ended != NULL) { /* held, until the client has had enough */
				CHECK(buf_len(&c.sent) == 0);
				m->ended(methods_arg, &c);
				c.finished = 1;
				c.status = GRPC_CANCELLED;
			}
		}
	CHECK(c.finished == 1);
	CHECK(c.status == GRPC_OK || buf_len(&c.sent) == 0);
	return c;
}

/* ---- hosts ---- */

static void
step(struct tls_session *s, struct buf *in, struct buf *out)
{
	tls_session_output(s, out);
	tls_session_input(s, buf_len(in) > 0 ? buf_head(in) : NULL, buf_len(in));
	if (!tls_session_done(s)) {
		enum tulle_err e = tls_session_handshake(s);

		CHECK(e == TULLE_OK || e == TULLE_AGAIN);
	}
	buf_consume(in, buf_len(in) - tls_session_input_left(s));
	tls_session_input(s, NULL, 0);
}

static void
connect_with(struct tls_context *client, struct tls_session **ret_near, struct tls_session **ret_far)
{
	static struct buf there, back;

	there = buf_new(1 << 20);
	back = buf_new(1 << 20);
	CHECK(tls_session_new(ret_near, tls, NULL) == TULLE_OK);
	CHECK(tls_session_new(ret_far, client, NULL) == TULLE_OK);
	for (int i = 0; i < 20; i++) {
		step(*ret_far, &back, &there);
		step(*ret_near, &there, &back);
	}
	CHECK(tls_session_done(*ret_near) && tls_session_done(*ret_far));
	tls_context_unref(client);
	buf_free(&there);
	buf_free(&back);
	tls_session_output(*ret_near, &back);
	tls_session_output(*ret_far, &there);
}

static void
host_new(struct host *h)
{
	static const char *const accounts[] = { ACCOUNT };
	struct token_order o = { .accounts = accounts, .n_accounts = 1, .ttl = TOKEN_TTL_MAX, .uses = 1 };
	char why[MEMBER_WHY];

	CHECK(addr_parse(&o.authority, "127.0.0.1:15012") == TULLE_OK);
	CHECK(token_create(store, &o, authority_pin(authority), clock_wall_sec(), &h->token, why) == TULLE_OK);
	CHECK(key_generate(&h->key) == TULLE_OK);
	h->csr = buf_new(65536);
	CHECK(issue_request(&h->csr, ID, h->key) == TULLE_OK);
}

static void
exporter(struct tls_session *s, uint8_t ret[TOKEN_EXPORTER])
{
	CHECK(tls_session_export(s, TOKEN_EXPORTER_LABEL, ret, TOKEN_EXPORTER) == TULLE_OK);
}

static void
prove(const struct host *h, const ProtobufCBinaryData *csr, uint8_t ret[32])
{
	uint8_t key[TOKEN_KEY], bound[TOKEN_EXPORTER];

	exporter(stranger, bound);
	CHECK(token_key(key, &h->token) == TULLE_OK);
	CHECK(token_proof(ret, key, h->token.id, csr->data, csr->len, bound) == TULLE_OK);
}

static ProtobufCBinaryData
bytes_of(const struct buf *b)
{
	return (ProtobufCBinaryData){ .data = b->data + b->off, .len = b->len };
}

static void
join_first(struct host *h)
{
	Tulle__V1__JoinRequest m = TULLE__V1__JOIN_REQUEST__INIT;
	Tulle__V1__JoinResponse *r;
	struct buf der = buf_new(4096);
	struct identity *id;
	struct tls_context *client;
	uint8_t proof[32], packed[4096];
	struct grpc_call c;

	m.token_id = h->token.id;
	m.csr = bytes_of(&h->csr);
	prove(h, &m.csr, proof);
	m.proof = (ProtobufCBinaryData){ .data = proof, .len = sizeof(proof) };
	c = call("Join", stranger, packed, tulle__v1__join_request__pack(&m, packed));
	CHECK(c.status == GRPC_OK);
	r = tulle__v1__join_response__unpack(NULL, buf_len(&c.sent), buf_head(&c.sent));
	CHECK(r != NULL && r->n_accounts == 1);
	(void)snprintf(h->id, sizeof(h->id), "%s", r->node_id);
	if (h == &member) {
		CHECK(key_export(h->key, &der) == TULLE_OK);
		CHECK(identity_new(&id, r->node_chain.data, r->node_chain.len, buf_head(&der), buf_len(&der), "", NULL) == TULLE_OK);
		CHECK(tls_context_mesh_client(&client, id, verifier, &(struct tls_options){ .alpn = "h2", .exporter = true }) ==
		    TULLE_OK);
		connect_with(client, &node, &node_far);
		identity_unref(id);
	}
	tulle__v1__join_response__free_unpacked(r, NULL);
	buf_free(&c.sent);
	buf_free(&der);
}

static void
end(void)
{
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
}

static void
set_up(void)
{
	struct addr at;
	struct trust *trust;
	struct tls_context *client;
	struct der roots;
	char why[GENERATION_WHY];
	bool changed;

	log_set_threshold(LOG_LVL_ERROR + 1);
	CHECK(mkdtemp(dir) != NULL);
	(void)atexit(end);
	CHECK(tls_init() == TULLE_OK && loop_new(&loop) == TULLE_OK);
	CHECK(store_open(&store, dir) == TULLE_OK && authority_open(&authority, store, dir, TD) == TULLE_OK);
	CHECK(authority_create(authority, clock_wall_sec()) == TULLE_OK);
	(void)authority_advance(authority, 86400, clock_wall_sec());
	CHECK(addr_parse(&at, "127.0.0.1:1") == TULLE_OK);
	at.port = 0;
	CHECK(publish_open(&published, store, authority, dir, TD) == TULLE_OK);
	CHECK(publish_files(&published, &(struct manifest_files){ .n = 0 }, 1000, &changed, why) == TULLE_OK);
	CHECK(authority_server_new(&server, loop, &at, authority, store, NULL, TD, 86400, &published) == TULLE_OK);
	roots = authority_roots(authority);
	CHECK(trust_new(&trust, &(struct trust_bundle){ .td = TD, .roots = roots.p, .len = roots.len }, 1, 1) == TULLE_OK);
	CHECK(verifier_new(&verifier, trust) == TULLE_OK);
	trust_unref(trust);
	CHECK(node_join_tls(authority_pin(authority), &client) == TULLE_OK);
	connect_with(client, &stranger, &stranger_far);
	host_new(&member);
	host_new(&other);
	workload_csr = buf_new(65536);
	CHECK(issue_request(&workload_csr, ID, other.key) == TULLE_OK);
	join_first(&member);
	join_first(&other);
}

/* ---- calls ---- */

static uint8_t *
packed(const ProtobufCMessage *m, size_t *ret_n)
{
	uint8_t *p = malloc(protobuf_c_message_get_packed_size(m) + 1);

	CHECK(p != NULL);
	*ret_n = protobuf_c_message_pack(m, p);
	return p;
}

static void
try_join(const uint8_t *data, size_t size, bool as_node)
{
	Tulle__V1__JoinRequest *m = tulle__v1__join_request__unpack(NULL, size, data), filled;
	bool proven = false;
	uint8_t proof[32], *p;
	struct grpc_call c;
	size_t n;

	if (m == NULL) {
		c = call("Join", stranger, data, size);
		CHECK(c.status == GRPC_INVALID_ARGUMENT);
		return;
	}
	filled = *m;
	if (filled.csr.len == 0)
		filled.csr = bytes_of(&other.csr);
	if (filled.token_id[0] == '\0')
		filled.token_id = other.token.id;
	if (filled.proof.len == 0) {
		prove(&other, &filled.csr, proof);
		filled.proof = (ProtobufCBinaryData){ .data = proof, .len = sizeof(proof) };
		proven = true;
	}
	p = packed(&filled.base, &n);
	c = call("Join", as_node ? node : stranger, p, n);
	CHECK(c.status != GRPC_OK || (proven && !as_node && strcmp(filled.token_id, other.token.id) == 0));
	CHECK(json_object_size(store_table(store, "member")) == 2);
	buf_free(&c.sent);
	free(p);
	tulle__v1__join_request__free_unpacked(m, NULL);
}

static void
try_renew(const uint8_t *data, size_t size, bool as_node)
{
	Tulle__V1__RenewRequest *m = tulle__v1__renew_request__unpack(NULL, size, data), filled;
	struct buf voucher = buf_new(65536);
	uint8_t bound[TOKEN_EXPORTER], *p;
	bool vouched = false;
	struct grpc_call c;
	size_t n;

	if (m == NULL) {
		c = call("Renew", stranger, data, size);
		CHECK(c.status == GRPC_INVALID_ARGUMENT);
		return;
	}
	filled = *m;
	if (filled.csr.len == 0)
		filled.csr = as_node ? bytes_of(&member.csr) : bytes_of(&other.csr);
	if (filled.node_id[0] == '\0')
		filled.node_id = other.id;
	if (filled.voucher.len == 0) {
		exporter(stranger, bound);
		CHECK(late_voucher(&voucher, TD, filled.csr.data, filled.csr.len, bound, other.key) == TULLE_OK);
		filled.voucher = bytes_of(&voucher);
		vouched = true;
	}
	p = packed(&filled.base, &n);
	c = call("Renew", as_node ? node : stranger, p, n);
	CHECK(c.status != GRPC_OK || as_node || (vouched && strcmp(filled.node_id, other.id) == 0));
	buf_free(&c.sent);
	free(p);
	buf_free(&voucher);
	tulle__v1__renew_request__free_unpacked(m, NULL);
}

/* What was signed is good, and for the account that this host may ask for. */
static void
check_chain(const ProtobufCBinaryData *chain, const Tulle__V1__SignItem *item)
{
	static struct svid_facts facts;
	struct der certs[8];
	size_t n;

	CHECK(strcmp(item->account, ACCOUNT) == 0);
	CHECK(der_split(chain->data, chain->len, certs, 8, &n) == TULLE_OK);
	CHECK(verifier_check(verifier, certs, n, SVID_TLS_CLIENT, &facts) == SVID_OK);
	CHECK(strcmp(facts.id, ID) == 0);
	CHECK(facts.not_after <= clock_wall_sec() + 86400);
}

static void
try_sign(const uint8_t *data, size_t size, bool as_node)
{
	Tulle__V1__SignRequest *m = tulle__v1__sign_request__unpack(NULL, size, data);
	Tulle__V1__SignResponse *r;
	struct grpc_call c;
	uint8_t *p;
	size_t n;

	if (m == NULL) {
		c = call("Sign", node, data, size);
		CHECK(c.status == GRPC_INVALID_ARGUMENT);
		return;
	}
	for (size_t i = 0; i < m->n_items; i++)
		if (m->items[i]->csr.len == 0)
			m->items[i]->csr = bytes_of(&workload_csr);
	p = packed(&m->base, &n);
	c = call("Sign", as_node ? node : stranger, p, n);
	CHECK(c.status != GRPC_OK || as_node);
	if (c.status == GRPC_OK) {
		r = tulle__v1__sign_response__unpack(NULL, buf_len(&c.sent), buf_head(&c.sent));
		CHECK(r != NULL && r->n_chains == m->n_items && r->n_errors == m->n_items);
		for (size_t i = 0; i < r->n_chains; i++)
			if (r->chains[i].len > 0)
				check_chain(&r->chains[i], m->items[i]);
			else
				CHECK(r->errors[i][0] != '\0');
		tulle__v1__sign_response__free_unpacked(r, NULL);
	}
	buf_free(&c.sent);
	free(p);
	for (size_t i = 0; i < m->n_items; i++)
		if (m->items[i]->csr.data == workload_csr.data + workload_csr.off)
			m->items[i]->csr = (ProtobufCBinaryData){ 0 };
	tulle__v1__sign_request__free_unpacked(m, NULL);
}

static void
try_manifests(const uint8_t *data, size_t size, bool as_node)
{
	Tulle__V1__ManifestsRequest *m = tulle__v1__manifests_request__unpack(NULL, size, data);
	struct grpc_call c = call("Manifests", as_node ? node : stranger, data, size);

	if (m == NULL)
		CHECK(c.status == GRPC_INVALID_ARGUMENT);
	else if (!as_node)
		CHECK(c.status == GRPC_PERMISSION_DENIED);
	else if (m->number != published.number)
		CHECK(c.status == GRPC_OK && buf_len(&c.sent) > buf_len(&published.message));
	else
		CHECK(c.status == GRPC_OK || c.status == GRPC_CANCELLED);
	CHECK(buf_len(&c.sent) == 0 || as_node);
	buf_free(&c.sent);
	tulle__v1__manifests_request__free_unpacked(m, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (loop == NULL)
		set_up();
	if (size < 1)
		return 0;
	if (data[0] & 0x40) {
		try_manifests(data + 1, size - 1, data[0] & 0x80);
		return 0;
	}
	switch (data[0] % 3) {
	case 0:
		try_join(data + 1, size - 1, data[0] & 0x80);
		break;
	case 1:
		try_renew(data + 1, size - 1, data[0] & 0x80);
		break;
	case 2:
		try_sign(data + 1, size - 1, data[0] & 0x80);
		break;
	}
	return 0;
}
