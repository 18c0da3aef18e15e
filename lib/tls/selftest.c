/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does this build of the library, with our checks around it, refuse what it
 * must?  wolfSSL alone accepts some of it, and what makes it ask us is a build
 * flag: so it is tried out before anybody is served.
 */
#include "tls/context.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "tls/issue.h"
#include "tls/session.h"

#define TD_A "a.selftest"
#define TD_B "b.selftest"
#define ID_A "spiffe://" TD_A "/ns/x/sa/y"

/* One certificate with its key. */
struct made {
	struct key *key;
	struct buf cert;
};

struct proof {
	struct made root_a, root_a2, root_b;
	struct made good, two_uris, ca_leaf, foreign, second_root;
	struct trust *trust;
	struct verifier *verifier;
};

static enum tulle_err
make(struct made *m, struct issue what, const struct made *by)
{
	struct buf public = buf_new(ISSUE_PUBLIC_KEY_MAX);
	enum tulle_err e;

	m->cert = buf_new(2 * DER_CERT_MAX);
	what.path_len = -1;
	what.not_before = time(NULL) - 60;
	what.not_after = what.not_before + 3600;
	e = key_generate(&m->key);
	if (e == TULLE_OK)
		e = key_public(m->key, &public);
	if (e == TULLE_OK) {
		what.public_key = buf_head(&public);
		what.public_key_len = buf_len(&public);
		e = by != NULL ? issue_cert(&m->cert, &what, buf_head(&by->cert), buf_len(&by->cert), by->key)
			       : issue_cert(&m->cert, &what, NULL, 0, m->key);
	}
	buf_free(&public);
	return e;
}

static void
unmake(struct made *m)
{
	key_unref(m->key);
	buf_free(&m->cert);
}

static enum tulle_err
make_certificates(struct proof *p)
{
	const unsigned int bad_usage = ISSUE_LEAF_USAGE | ISSUE_KEY_CERT_SIGN;
	const struct {
		struct made *out;
		const struct made *by;
		struct issue what;
	} list[] = {
		{ &p->root_a, NULL, { .common_name = "a1", .uris = { "spiffe://" TD_A }, .ca = true, .usage = ISSUE_CA_USAGE } },
		{ &p->root_a2, NULL, { .common_name = "a2", .uris = { "spiffe://" TD_A }, .ca = true, .usage = ISSUE_CA_USAGE } },
		{ &p->root_b, NULL, { .common_name = "b", .uris = { "spiffe://" TD_B }, .ca = true, .usage = ISSUE_CA_USAGE } },
		{ &p->good, &p->root_a, { .uris = { ID_A }, .usage = ISSUE_LEAF_USAGE } },
		{ &p->two_uris, &p->root_a, { .uris = { ID_A, ID_A "2" }, .usage = ISSUE_LEAF_USAGE } },
		{ &p->ca_leaf, &p->root_a, { .common_name = "ca", .uris = { ID_A }, .ca = true, .usage = bad_usage } },
		{ &p->foreign, &p->root_b, { .uris = { ID_A }, .usage = ISSUE_LEAF_USAGE } },
		{ &p->second_root, &p->root_a2, { .uris = { ID_A }, .usage = ISSUE_LEAF_USAGE } },
	};
	enum tulle_err e = TULLE_OK;

	for (size_t i = 0; e == TULLE_OK && i < ARRAY_LEN(list); i++)
		e = make(list[i].out, list[i].what, list[i].by);
	return e;
}

static enum tulle_err
make_trust(struct proof *p)
{
	struct trust_bundle bundles[] = {
		{ .td = TD_A, .roots = buf_head(&p->root_a.cert), .len = buf_len(&p->root_a.cert) },
		{ .td = TD_B, .roots = buf_head(&p->root_b.cert), .len = buf_len(&p->root_b.cert) },
	};
	struct buf row = buf_new(2 * DER_CERT_MAX);
	enum tulle_err e;

	e = buf_append(&row, buf_head(&p->root_a.cert), buf_len(&p->root_a.cert));
	if (e == TULLE_OK)
		e = buf_append(&row, buf_head(&p->root_a2.cert), buf_len(&p->root_a2.cert));
	bundles[0].roots = buf_head(&row);
	bundles[0].len = buf_len(&row);
	if (e == TULLE_OK)
		e = trust_new(&p->trust, bundles, ARRAY_LEN(bundles), 1);
	if (e == TULLE_OK)
		e = verifier_new(&p->verifier, p->trust);
	buf_free(&row);
	return e;
}

static void
unmake_all(struct proof *p)
{
	struct made *all[] = { &p->root_a, &p->root_a2, &p->root_b, &p->good, &p->two_uris, &p->ca_leaf, &p->foreign,
		&p->second_root };

	verifier_unref(p->verifier);
	trust_unref(p->trust);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		unmake(all[i]);
}

static enum tulle_err
step(struct tls_session *s, struct buf *in)
{
	enum tulle_err e;

	tls_session_input(s, buf_len(in) > 0 ? buf_head(in) : NULL, buf_len(in));
	e = tls_session_handshake(s);
	buf_consume(in, buf_len(in) - tls_session_input_left(s));
	return e;
}

/* A whole handshake; what does the server think of the client's certificate? */
static enum tulle_err
shake(struct tls_context *server_ctx, struct tls_context *client_ctx, enum svid_reason *ret_reason)
{
	struct buf to_server = buf_new(1 << 20), to_client = buf_new(1 << 20);
	struct tls_session *server = NULL, *client = NULL;
	enum tulle_err e, client_e = TULLE_AGAIN;

	e = tls_session_new(&server, server_ctx, NULL);
	if (e == TULLE_OK)
		e = tls_session_new(&client, client_ctx, NULL);
	if (e == TULLE_OK) {
		tls_session_output(server, &to_client);
		tls_session_output(client, &to_server);
		e = TULLE_AGAIN;
		for (int round = 0; round < 8 && e == TULLE_AGAIN; round++) {
			if (client_e == TULLE_AGAIN)
				client_e = step(client, &to_client);
			e = step(server, &to_server);
		}
		*ret_reason = tls_session_reason(server);
		if (e == TULLE_OK)
			e = client_e;
	}
	tls_session_free(server);
	tls_session_free(client);
	buf_free(&to_server);
	buf_free(&to_client);
	return e;
}

/* Does a handshake in which the client shows this certificate end as it should? */
static bool
handshake_ends(struct proof *p, const struct made *shown, enum svid_reason want)
{
	struct identity client_id = { .refs = 1, .chain = p->good.cert.data, .chain_len = buf_len(&p->good.cert),
		.key = p->good.key };
	struct identity server_id = client_id, *server_items[] = { &server_id };
	struct identity_set set = { .refs = 1, .n = 1, .has_default = true, .items = server_items, .trust = p->trust };
	struct tls_context *server = NULL, *client = NULL;
	enum svid_reason got = SVID_OTHER;
	enum tulle_err e;

	/* Straight from its parts: identity_new() would refuse the bad ones itself. */
	client_id.chain = shown->cert.data;
	client_id.chain_len = buf_len(&shown->cert);
	client_id.key = shown->key;
	e = tls_context_mesh_server(&server, &set, p->verifier, NULL);
	if (e == TULLE_OK)
		e = tls_context_mesh_client(&client, &client_id, p->verifier, NULL);
	if (e == TULLE_OK)
		e = shake(server, client, &got);
	tls_context_unref(client);
	tls_context_unref(server);
	return got == want && (e == TULLE_OK) == (want == SVID_OK);
}

static bool
check_ends(struct proof *p, const struct made *shown, enum svid_reason want)
{
	struct der chain = { .p = buf_head(&shown->cert), .len = buf_len(&shown->cert) };
	struct svid_facts AUTO_FREE *facts = malloc(sizeof(*facts));

	return facts != NULL && verifier_check(p->verifier, &chain, 1, SVID_TLS_CLIENT, facts) == want;
}

enum tulle_err
tls_selftest(const char **ret_what)
{
	struct proof p = { 0 };
	const char *what = NULL;

	if (make_certificates(&p) != TULLE_OK || make_trust(&p) != TULLE_OK)
		what = "certificates can be made";
	else if (!handshake_ends(&p, &p.good, SVID_OK))
		what = "a good peer is accepted";
	else if (!handshake_ends(&p, &p.two_uris, SVID_TWO_URI_SANS))
		what = "two URI names are refused";
	else if (!handshake_ends(&p, &p.ca_leaf, SVID_IS_CA))
		what = "a CA certificate is refused as a peer";
	else if (!check_ends(&p, &p.second_root, SVID_OK))
		what = "both roots of a row are believed";
	else if (!handshake_ends(&p, &p.foreign, SVID_UNKNOWN_CA))
		what = "another trust domain's CA is refused";
	unmake_all(&p);
	if (what == NULL)
		return TULLE_OK;
	if (ret_what != NULL)
		*ret_what = what;
	return TULLE_ECRYPTO;
}
