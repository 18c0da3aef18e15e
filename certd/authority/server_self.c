/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server_self.c - the certificate by which members know the authority. */
#include <stdio.h>

#include "issue/renew.h"
#include "authority/server_intern.h"
#include "base/clock.h"
#include "base/log.h"
#include "tls/identity.h"
#include "tls/keys.h"

#define SELF_RETRY 10000 /* ms */

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

enum tulle_err
server_context(struct authority_server *s, struct tls_context **ret, int64_t *ret_end)
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
	struct tls_context *tls;
	int64_t end;
	enum tulle_err e = server_context(s, &tls, &end);

	if (e) {
		log_error("the authority's own certificate was not renewed", LF_ERR(e));
		timer_set(s->loop, t, SELF_RETRY, renew_self);
		return;
	}
	grpc_server_set_tls(s->grpc, tls);
	tls_context_unref(tls);
	server_renew_at(s, end);
}

void
server_renew_at(struct authority_server *s, int64_t end)
{
	int64_t now = (int64_t)(clock_wall_ns() / NS_PER_MS);

	timer_set(s->loop, &s->renew, (uint64_t)(renew_at(now, end * 1000, 50) - now), renew_self);
}
