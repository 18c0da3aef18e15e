/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "agent/node.h"
#include "agent/renew.h"
#include "authority/late.h"
#include "authority/members.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "grpc/client.h"
#include "proto/authority.pb-c.h"
#include "store/crypt.h"
#include "tls/issue.h"
#include "tls/spiffe.h"

#define CALL_MS 10000
#define IDLE_MS 60000  /* a connection that nobody needs is dropped */
#define BATCH 64       /* certificates asked for in one call */
#define CSR_MAX 16384
#define SKEW_MAX 60    /* seconds */
#define JOIN_PLACEHOLDER SPIFFE_SCHEME "join/tulle/node" /* the authority names the node */

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
	bool dead;           /* to be freed at the next tick */
	struct addr peer;    /* where it goes */
	char error[160];     /* why the last call or connection failed */

	struct orders waiting, asked; /* asked: the call under way is for these */

	struct token token; /* being redeemed */
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
};

static int64_t
now_ms(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_MS);
}

static void look(struct fleet *f);

static void
due(struct timer *t)
{
	look(CONTAINER_OF(t, struct fleet, tick));
}

static void
soon(struct fleet *f)
{
	timer_set(f->loop, &f->tick, 1, due);
}

/* ---- orders ---- */

static void
order_free(struct order *o)
{
	buf_free(&o->csr);
	free(o->id);
	free(o);
}

static void
fail_orders(struct fleet *f, struct orders *list, const char *why)
{
	struct order *o;

	while ((o = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, o, link);
		f->handler->failed(f->arg, o->id, why);
		order_free(o);
	}
}

void
fleet_order(struct fleet *f, const char *id, int64_t ttl, const uint8_t *csr, size_t len)
{
	struct order *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return; /* the keeper does not wait for ever */
	o->csr = buf_new(CSR_MAX);
	o->id = strdup(id);
	o->ttl = ttl;
	if (o->id == NULL || buf_append(&o->csr, csr, len) != TULLE_OK) {
		order_free(o);
		return;
	}
	TAILQ_INSERT_TAIL(&f->waiting, o, link);
	soon(f);
}

/* ---- the connection ---- */

static void
hang_up(struct fleet *f)
{
	f->client = grpc_client_free(f->client);
	f->dead = false;
}

static void
note_clock(struct fleet *f, int64_t theirs)
{
	int64_t skew = theirs - clock_wall_sec();

	if ((skew > SKEW_MAX || skew < -SKEW_MAX) && (f->skew <= SKEW_MAX && f->skew >= -SKEW_MAX))
		log_warn("this host's clock and the authority's differ: certificates may be refused", LF_INT("seconds", skew));
	f->skew = skew;
	f->last_success = clock_wall_sec();
	if (f->error[0] != '\0') {
		f->error[0] = '\0';
		f->handler->back(f->arg);
	}
}

static void finish_join(struct fleet *f, const char *error);

static void
renewal_failed(struct fleet *f, const char *why)
{
	uint32_t draw = 0;
	int64_t now = now_ms(), left;

	if (!f->renewing)
		return;
	left = f->node.identity->facts.not_after * 1000 - now;
	f->renewing = false;
	f->next = key_unref(f->next);
	f->failures++;
	(void)crypt_random(&draw, sizeof(draw));
	f->retry_at = now + renew_retry(f->failures, left + now - f->node.issued, left, draw);
	LOG_AT(!renew_worth_saying(f->failures) ? LOG_LVL_DEBUG : left <= 0 ? LOG_LVL_ERROR : LOG_LVL_WARN, "the node's certificate was not renewed", LF_STR("reason", why),
	    LF_UINT("failures", f->failures), LF_INT("remaining", left / 1000));
}

/* The connection, or the call on it, came to nothing. */
static void
all_failed(struct fleet *f, const char *why)
{
	(void)snprintf(f->error, sizeof(f->error), "%s", why);
	if (f->joining)
		finish_join(f, why);
	renewal_failed(f, why);
	fail_orders(f, &f->asked, why);
	fail_orders(f, &f->waiting, why);
	soon(f);
}

static void
closed(void *arg, const char *reason)
{
	struct fleet *f = arg;
	bool busy = f->joining || f->renewing || !TAILQ_EMPTY(&f->asked);
	char why[160], where[ADDR_TEXT];

	f->dead = true;
	soon(f);
	if (!busy)
		return;
	(void)snprintf(why, sizeof(why), "authority %s: %s", addr_format(&f->peer, where), reason);
	all_failed(f, why);
}

static void join_ready(struct fleet *f);
static void late_ready(struct fleet *f);

static void
ready(void *arg)
{
	struct fleet *f = arg;

	/* What depends on the exporter can be said only now. */
	if (f->purpose == FOR_JOIN)
		join_ready(f);
	else if (f->purpose == FOR_LATE)
		late_ready(f);
}

static enum tulle_err
dial(struct fleet *f, enum purpose purpose)
{
	const char *expected[] = { f->node.authority_id };
	struct grpc_client_options o = { .channel = { .idle_ms = IDLE_MS, .ready_ms = CALL_MS } };
	enum tulle_err e;

	if (purpose == FOR_JOIN) {
		e = node_join_tls(f->token.pin, &o.channel.tls);
		f->peer = f->token.authority;
	} else {
		e = node_tls(&f->node, purpose == FOR_WORK, &o.channel.tls);
		o.channel.session.expected = expected;
		o.channel.session.expected_n = 1;
		f->peer = f->node.authority;
	}
	if (e)
		return e;
	f->purpose = purpose;
	f->dead = false;
	e = grpc_client_connect(&f->client, f->loop, &f->peer, &o, &(struct grpc_client_events){ ready, closed }, f);
	tls_context_unref(o.channel.tls);
	return e;
}

/* Calls <path>; what happens next comes through <h>. */
static enum tulle_err
call(struct fleet *f, const char *path, const ProtobufCMessage *m, const struct grpc_handler *h)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t AUTO_FREE *p = malloc(n + 1);
	struct grpc_request *r;

	if (p == NULL)
		return TULLE_ENOMEM;
	(void)protobuf_c_message_pack(m, p);
	return grpc_start(f->client, &r, path, p, n, NULL, 0, CALL_MS, h, f);
}

static void
status_text(char *out, size_t size, enum grpc_status status, const char *text)
{
	(void)snprintf(out, size, "the authority says %s%s%.80s", grpc_status_name((int)status), *text != '\0' ? ": " : "",
	    text);
}

static ProtobufCBinaryData
bytes(const struct buf *b)
{
	return (ProtobufCBinaryData){ .data = b->data + b->off, .len = b->len };
}

/* The roots of our own trust domain in an answer. */
static const Tulle__V1__Bundle *
own_bundle(Tulle__V1__Bundle **bundles, size_t n, const char *td)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(bundles[i]->trust_domain, td) == 0 && bundles[i]->roots.len > 0)
			return bundles[i];
	return NULL;
}

/* ---- Join ---- */

static void
finish_join(struct fleet *f, const char *error)
{
	void (*done)(void *, const char *) = f->join_done;

	if (!f->joining)
		return;
	f->joining = false;
	f->join_done = NULL;
	f->next = key_unref(f->next);
	explicit_bzero(&f->token, sizeof(f->token));
	f->dead = true; /* the next connection is the node's */
	soon(f);
	if (error != NULL)
		log_warn("joining failed", LF_STR("reason", error));
	done(f->join_arg, error);
	if (error == NULL)
		f->handler->joined(f->arg);
}

static void
join_answer(void *arg, const uint8_t *p, size_t n)
{
	struct fleet *f = arg;
	Tulle__V1__JoinResponse *m = tulle__v1__join_response__unpack(NULL, n, p);
	const Tulle__V1__Bundle *b = m == NULL ? NULL : own_bundle(m->bundles, m->n_bundles, m->trust_domain);
	enum tulle_err e;

	if (b == NULL) {
		finish_join(f, "the authority's answer makes no sense");
	} else if (f->expected_td[0] != '\0' && strcmp(f->expected_td, m->trust_domain) != 0) {
		char why[200];

		(void)snprintf(why, sizeof(why), "the authority is for trust domain %.60s, but tulle.yaml says trustDomain: %.60s",
		    m->trust_domain, f->expected_td);
		finish_join(f, why);
	} else {
		note_clock(f, m->now);
		e = node_take(&f->node, &f->peer,
		    &(struct node_news){ m->node_chain.data, m->node_chain.len, b->roots.data, b->roots.len, m->trust_domain,
		        (const char *const *)m->accounts, m->n_accounts },
		    f->next, now_ms());
		finish_join(f, e == TULLE_OK ? NULL : e == TULLE_EINVAL ? "the authority's answer is not good" : tulle_strerror(e));
	}
	tulle__v1__join_response__free_unpacked(m, NULL);
}

static void
join_finished(void *arg, enum grpc_status status, const char *text)
{
	struct fleet *f = arg;
	char why[160];

	if (!f->joining)
		return;
	if (status == GRPC_PERMISSION_DENIED)
		(void)snprintf(why, sizeof(why),
		    "the authority refused the token: it has expired, is spent or was revoked (its log says which)");
	else
		status_text(why, sizeof(why), status, text);
	finish_join(f, why);
}

static enum tulle_err
join_request(struct fleet *f, struct buf *csr, uint8_t proof[CRYPT_HASH])
{
	uint8_t exporter[TOKEN_EXPORTER], key[TOKEN_KEY];
	enum tulle_err e = tls_session_export(grpc_client_session(f->client), TOKEN_EXPORTER_LABEL, exporter,
	    sizeof(exporter));

	if (e == TULLE_OK)
		e = node_join_key(&f->node, f->token.id, &f->next);
	if (e == TULLE_OK)
		e = issue_request(csr, JOIN_PLACEHOLDER, f->next);
	if (e == TULLE_OK)
		e = token_key(key, &f->token);
	if (e == TULLE_OK)
		e = token_proof(proof, key, f->token.id, buf_head(csr), buf_len(csr), exporter);
	explicit_bzero(key, sizeof(key));
	return e;
}

static void
join_ready(struct fleet *f)
{
	static const struct grpc_handler handler = { join_answer, join_finished };
	const char *peer = tls_session_peer_id(grpc_client_session(f->client));
	Tulle__V1__JoinRequest m;
	struct spiffe_id id;
	struct buf csr = buf_new(CSR_MAX);
	uint8_t proof[CRYPT_HASH];
	char host[65] = "";
	enum tulle_err e;

	if (peer == NULL || spiffe_parse(&id, peer, strlen(peer)) != TULLE_OK ||
	    strcmp(id.path, MEMBER_AUTHORITY_PATH) != 0) {
		finish_join(f, "the host at the token's address has the right root but is not the authority");
		return;
	}
	tulle__v1__join_request__init(&m);
	e = join_request(f, &csr, proof);
	if (e == TULLE_OK) {
		(void)gethostname(host, sizeof(host) - 1);
		m.token_id = f->token.id;
		m.proof = (ProtobufCBinaryData){ .data = proof, .len = sizeof(proof) };
		m.csr = bytes(&csr);
		m.host_name = host;
		e = call(f, "/tulle.v1.Authority/Join", &m.base, &handler);
	}
	buf_free(&csr);
	if (e)
		finish_join(f, tulle_strerror(e));
}

enum tulle_err
fleet_join(struct fleet *f, const struct token *t, const char *td, void (*done)(void *arg, const char *error), void *arg)
{
	enum tulle_err e;

	if (f->joining || f->renewing)
		return TULLE_EBUSY;
	hang_up(f);
	fail_orders(f, &f->asked, "this host joins anew");
	f->token = *t;
	(void)snprintf(f->expected_td, sizeof(f->expected_td), "%s", td != NULL ? td : "");
	e = dial(f, FOR_JOIN);
	if (e) {
		explicit_bzero(&f->token, sizeof(f->token));
		return e;
	}
	f->joining = true;
	f->join_done = done;
	f->join_arg = arg;
	return TULLE_OK;
}

/* ---- Renew ---- */

static void
renew_answer(void *arg, const uint8_t *p, size_t n)
{
	struct fleet *f = arg;
	Tulle__V1__RenewResponse *m = tulle__v1__renew_response__unpack(NULL, n, p);
	const Tulle__V1__Bundle *b = m == NULL ? NULL : own_bundle(m->bundles, m->n_bundles, f->node.td);
	char td[SPIFFE_TD_MAX + 1];
	enum tulle_err e = TULLE_EINVAL;

	(void)snprintf(td, sizeof(td), "%s", f->node.td);
	if (b != NULL) {
		note_clock(f, m->now);
		e = node_take(&f->node, &f->peer,
		    &(struct node_news){ m->node_chain.data, m->node_chain.len, b->roots.data, b->roots.len, td,
		        (const char *const *)m->accounts, m->n_accounts },
		    f->next, now_ms());
	}
	if (e) {
		renewal_failed(f, "the authority's answer is not good");
	} else {
		f->renewing = false;
		f->failures = 0;
		f->retry_at = 0;
		f->next = key_unref(f->next);
		f->dead = TAILQ_EMPTY(&f->asked); /* the next connection shows the new certificate */
	}
	soon(f);
	tulle__v1__renew_response__free_unpacked(m, NULL);
}

static void
renew_finished(void *arg, enum grpc_status status, const char *text)
{
	struct fleet *f = arg;
	char why[160];

	if (!f->renewing)
		return;
	status_text(why, sizeof(why), status, text);
	(void)snprintf(f->error, sizeof(f->error), "%s", why);
	renewal_failed(f, why);
	soon(f);
}

static enum tulle_err
ask_renewal(struct fleet *f, bool late)
{
	static const struct grpc_handler handler = { renew_answer, renew_finished };
	Tulle__V1__RenewRequest m;
	struct buf csr = buf_new(CSR_MAX), voucher = buf_new(CSR_MAX);
	uint8_t exporter[TOKEN_EXPORTER];
	enum tulle_err e = key_generate(&f->next);

	tulle__v1__renew_request__init(&m);
	if (e == TULLE_OK)
		e = issue_request(&csr, f->node.identity->facts.id, f->next);
	if (e == TULLE_OK && late) {
		e = tls_session_export(grpc_client_session(f->client), TOKEN_EXPORTER_LABEL, exporter, sizeof(exporter));
		if (e == TULLE_OK)
			e = late_voucher(&voucher, f->node.td, buf_head(&csr), buf_len(&csr), exporter, f->node.identity->key);
		m.node_id = f->node.identity->facts.id;
		m.voucher = bytes(&voucher);
	}
	if (e == TULLE_OK) {
		m.csr = bytes(&csr);
		e = call(f, "/tulle.v1.Authority/Renew", &m.base, &handler);
	}
	buf_free(&csr);
	buf_free(&voucher);
	return e;
}

static void
late_ready(struct fleet *f)
{
	enum tulle_err e = ask_renewal(f, true);

	if (e)
		renewal_failed(f, tulle_strerror(e));
}

/* ---- Sign ---- */

static const char *
account_of(const struct order *o, char *out, size_t size)
{
	struct spiffe_id id;
	struct spiffe_account a;

	if (spiffe_parse(&id, o->id, strlen(o->id)) != TULLE_OK || !spiffe_account(&a, &id))
		return "";
	(void)snprintf(out, size, "%.*s/%.*s", (int)a.ns_len, a.ns, (int)a.sa_len, a.sa);
	return out;
}

static void
sign_answer(void *arg, const uint8_t *p, size_t n)
{
	struct fleet *f = arg;
	Tulle__V1__SignResponse *m = tulle__v1__sign_response__unpack(NULL, n, p);
	const Tulle__V1__Bundle *b = m == NULL ? NULL : own_bundle(m->bundles, m->n_bundles, f->node.td);
	struct order *o;

	if (b == NULL) {
		fail_orders(f, &f->asked, "the authority's answer makes no sense");
		tulle__v1__sign_response__free_unpacked(m, NULL);
		return;
	}
	note_clock(f, m->now);
	(void)node_roots(&f->node, b->roots.data, b->roots.len);
	for (size_t i = 0; (o = TAILQ_FIRST(&f->asked)) != NULL; i++) {
		TAILQ_REMOVE(&f->asked, o, link);
		if (i < m->n_chains && m->chains[i].len > 0)
			f->handler->certificate(f->arg, o->id, m->chains[i].data, m->chains[i].len, b->roots.data, b->roots.len);
		else
			f->handler->failed(f->arg, o->id,
			    i < m->n_errors && m->errors[i][0] != '\0' ? m->errors[i] : "the authority gave no certificate");
		order_free(o);
	}
	soon(f);
	tulle__v1__sign_response__free_unpacked(m, NULL);
}

static void
sign_finished(void *arg, enum grpc_status status, const char *text)
{
	struct fleet *f = arg;
	char why[160];

	if (TAILQ_EMPTY(&f->asked))
		return;
	status_text(why, sizeof(why), status, text);
	(void)snprintf(f->error, sizeof(f->error), "%s", why);
	fail_orders(f, &f->asked, why);
	soon(f);
}

static enum tulle_err
ask_certificates(struct fleet *f)
{
	static const struct grpc_handler handler = { sign_answer, sign_finished };
	Tulle__V1__SignRequest m;
	Tulle__V1__SignItem items[BATCH], *list[BATCH];
	char accounts[BATCH][600];
	struct order *o;
	size_t n = 0;

	tulle__v1__sign_request__init(&m);
	while (n < BATCH && (o = TAILQ_FIRST(&f->waiting)) != NULL) {
		TAILQ_REMOVE(&f->waiting, o, link);
		TAILQ_INSERT_TAIL(&f->asked, o, link);
		tulle__v1__sign_item__init(&items[n]);
		accounts[n][0] = '\0';
		(void)account_of(o, accounts[n], sizeof(accounts[n]));
		items[n].account = accounts[n];
		items[n].csr = bytes(&o->csr);
		items[n].ttl_seconds = o->ttl;
		list[n] = &items[n];
		n++;
	}
	m.n_items = n;
	m.items = list;
	return call(f, "/tulle.v1.Authority/Sign", &m.base, &handler);
}

/* ---- what is due ---- */

static bool
node_expired(const struct fleet *f)
{
	return f->node.identity->facts.not_after * 1000 <= now_ms();
}

static void
start_renewal(struct fleet *f)
{
	bool late = node_expired(f);
	enum tulle_err e = TULLE_OK;

	if (late && f->client != NULL && f->purpose != FOR_LATE)
		hang_up(f);
	f->renewing = true;
	if (f->client == NULL)
		e = dial(f, late ? FOR_LATE : FOR_WORK);
	else if (late)
		e = ask_renewal(f, true);
	if (e == TULLE_OK && !late)
		e = ask_renewal(f, false);
	if (e)
		renewal_failed(f, tulle_strerror(e));
}

static void
start_signing(struct fleet *f)
{
	enum tulle_err e = TULLE_OK;

	if (f->client != NULL && f->purpose != FOR_WORK)
		hang_up(f);
	if (f->client == NULL)
		e = dial(f, FOR_WORK);
	if (e == TULLE_OK)
		e = ask_certificates(f);
	if (e) {
		fail_orders(f, &f->asked, tulle_strerror(e));
		fail_orders(f, &f->waiting, tulle_strerror(e));
	}
}

static void
look(struct fleet *f)
{
	int64_t now = now_ms(), next = 30000;

	if (f->dead)
		hang_up(f);
	if (!f->joining && f->node.joined) {
		bool renew = now >= f->node.renew_at || node_expired(f);

		if (renew && !f->renewing && now >= f->retry_at && TAILQ_EMPTY(&f->asked))
			start_renewal(f);
		if (!f->renewing && node_expired(f))
			fail_orders(f, &f->waiting, f->error[0] != '\0' ? f->error : "the node's certificate has expired");
		else if (!f->renewing && TAILQ_EMPTY(&f->asked) && !TAILQ_EMPTY(&f->waiting))
			start_signing(f);
		if (!f->renewing) {
			int64_t at = f->node.renew_at > f->retry_at ? f->node.renew_at : f->retry_at;

			if (at - now < next)
				next = at > now ? at - now : 10;
		}
	} else if (!f->joining) {
		fail_orders(f, &f->waiting, "this host has not joined yet");
	}
	/* The callbacks above may have asked for an earlier look. */
	if (!timer_active(&f->tick))
		timer_set(f->loop, &f->tick, (uint64_t)next, due);
}

/* ---- making and looking ---- */

enum tulle_err
fleet_new(struct fleet **ret, struct loop *l, struct store *store, const char *dir, const uint8_t seal[32],
    const struct fleet_handler *h, void *arg)
{
	struct fleet *f = calloc(1, sizeof(*f));
	enum tulle_err e;

	if (f == NULL)
		return TULLE_ENOMEM;
	f->loop = l;
	f->handler = h;
	f->arg = arg;
	TAILQ_INIT(&f->waiting);
	TAILQ_INIT(&f->asked);
	e = node_load(&f->node, store, dir, seal);
	if (e) {
		free(f);
		return e;
	}
	soon(f);
	*ret = f;
	return TULLE_OK;
}

struct fleet *
fleet_free(struct fleet *f)
{
	struct order *o;

	if (f == NULL)
		return NULL;
	timer_clear(f->loop, &f->tick);
	f->client = grpc_client_free(f->client);
	while ((o = TAILQ_FIRST(&f->waiting)) != NULL) {
		TAILQ_REMOVE(&f->waiting, o, link);
		order_free(o);
	}
	while ((o = TAILQ_FIRST(&f->asked)) != NULL) {
		TAILQ_REMOVE(&f->asked, o, link);
		order_free(o);
	}
	key_unref(f->next);
	node_unload(&f->node);
	explicit_bzero(&f->token, sizeof(f->token));
	free(f);
	return NULL;
}

bool
fleet_is_member(const struct fleet *f)
{
	return f->node.joined;
}

const char *
fleet_td(const struct fleet *f)
{
	return f->node.joined ? f->node.td : NULL;
}

struct der
fleet_roots(const struct fleet *f)
{
	return (struct der){ buf_head(&f->node.roots), buf_len(&f->node.roots) };
}

json_t *
fleet_status(const struct fleet *f)
{
	char where[ADDR_TEXT];
	json_t *o;

	if (!f->node.joined)
		return json_pack("{sb}", "joined", 0);
	o = json_pack("{sb ss ss ss sI sI ss sI}", "joined", 1, "authority", addr_format(&f->node.authority, where), "node",
	    f->node.identity->facts.id, "serial", f->node.identity->facts.serial, "remaining",
	    (json_int_t)(f->node.identity->facts.not_after - clock_wall_sec()), "last_success", (json_int_t)f->last_success,
	    "failure", f->error, "clock_skew", (json_int_t)f->skew);
	(void)json_object_set(o, "accounts", f->node.accounts);
	return o;
}
