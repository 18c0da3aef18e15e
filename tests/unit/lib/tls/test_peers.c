/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bad peers: each is refused, with the right reason here and an alert there. */
#include "tls/session.h"

#include <unistd.h>

#include "pair.h"
#include "unit.h"

/* Gives the client of <p> the certificate <leaf> without asking identity_new() for its opinion. */
static void
show_as_client(struct pair *p, const struct pki *leaf)
{
	struct identity *id = calloc(1, sizeof(*id));

	ck_assert_ptr_nonnull(id);
	id->refs = 1;
	id->chain = malloc(buf_len(&leaf->chain));
	memcpy(id->chain, buf_head(&leaf->chain), buf_len(&leaf->chain));
	id->chain_len = buf_len(&leaf->chain);
	id->key = key_ref(leaf->key);
	tls_context_unref(p->client_ctx);
	ck_assert_int_eq(tls_context_mesh_client(&p->client_ctx, id, p->verifier, NULL), TULLE_OK);
	identity_unref(id);
}

/* The client shows <leaf>; the server must refuse it for <why>, and the client must hear <alert>. */
static void
client_is_refused(struct pair *p, const struct pki *leaf, enum svid_reason why, const char *alert)
{
	enum tulle_err e;

	show_as_client(p, leaf);
	pair_sessions(p, NULL);
	ck_assert_int_ne(pair_run(p), TULLE_OK);
	ck_assert_int_eq(p->server_result, TULLE_EDENIED);
	ck_assert_msg(tls_session_reason(p->server) == why, "reason %s", svid_reason_name(tls_session_reason(p->server)));
	ck_assert_ptr_null(tls_session_peer_id(p->server));
	ck_assert_str_eq(tls_session_error(p->server), svid_reason_phrase(why));
	/* In TLS 1.3 the client thinks that all is well until it reads (HB-06). */
	ck_assert_int_eq(p->client_result, TULLE_OK);
	e = pair_read(p, p->client, NULL);
	ck_assert_int_eq(e, TULLE_EDENIED);
	ck_assert_str_eq(tls_session_alert(p->client), alert);
	ck_assert_int_eq(tls_session_reason(p->client), SVID_OK);
	pair_free_sessions(p);
}

static void
bad_client(const struct issue *what, enum svid_reason why, const char *alert)
{
	struct pair p = pair_contexts();
	struct pki *leaf = pki_issue(p.root, what);

	client_is_refused(&p, leaf, why, alert);
	pki_free(leaf);
	pair_free(&p);
}

START_TEST(two_uri_names)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);

	what.uris[1] = "spiffe://mesh.test/ns/shop/sa/admin";
	bad_client(&what, SVID_TWO_URI_SANS, "bad_certificate");
}
END_TEST

START_TEST(no_uri_name)
{
	struct issue what = pki_leaf_body(NULL);

	what.dns = "web.mesh.test";
	bad_client(&what, SVID_NO_URI_SAN, "bad_certificate");
}
END_TEST

START_TEST(a_ca_as_leaf)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);

	what.common_name = "ca";
	what.ca = true;
	what.usage |= ISSUE_KEY_CERT_SIGN;
	bad_client(&what, SVID_IS_CA, "bad_certificate");
}
END_TEST

START_TEST(a_leaf_that_may_sign_certificates)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);

	what.usage |= ISSUE_CRL_SIGN;
	bad_client(&what, SVID_KEY_USAGE, "bad_certificate");
}
END_TEST

START_TEST(an_expired_leaf)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);

	what.not_after = pki_now() - 5;
	bad_client(&what, SVID_EXPIRED, "bad_certificate");
}
END_TEST

START_TEST(a_leaf_of_tomorrow)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);

	what.not_before = pki_now() + 300;
	what.not_after = pki_now() + 86400;
	bad_client(&what, SVID_NOT_YET_VALID, "bad_certificate");
}
END_TEST

START_TEST(an_id_that_is_none)
{
	struct issue what = pki_leaf_body("https://mesh.test/ns/shop/sa/web");

	bad_client(&what, SVID_BAD_ID, "bad_certificate");
	what = pki_leaf_body("spiffe://Mesh.test/ns/shop/sa/web");
	bad_client(&what, SVID_BAD_ID, "bad_certificate");
}
END_TEST

START_TEST(the_id_of_a_trust_domain)
{
	struct issue what = pki_leaf_body("spiffe://mesh.test");

	bad_client(&what, SVID_ROOT_PATH, "bad_certificate");
}
END_TEST

START_TEST(a_server_certificate_at_a_client)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);

	what.usage = ISSUE_DIGITAL_SIGNATURE | ISSUE_SERVER_AUTH;
	bad_client(&what, SVID_EKU, "bad_certificate");
}
END_TEST

START_TEST(a_leaf_without_eku_is_good)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);
	struct pair p = pair_contexts();
	struct pki *leaf;

	what.usage = ISSUE_DIGITAL_SIGNATURE;
	leaf = pki_issue(p.root, &what);
	show_as_client(&p, leaf);
	pair_sessions(&p, NULL);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	pki_free(leaf);
	pair_free(&p);
}
END_TEST

START_TEST(another_trust_domain)
{
	struct pair p = pair_contexts();
	struct pki *root = pki_root("other.test"), *leaf = pki_leaf(root, "spiffe://other.test/ns/shop/sa/web");

	client_is_refused(&p, leaf, SVID_UNKNOWN_TRUST_DOMAIN, "unknown_ca");
	pki_free(leaf);
	pki_free(root);
	pair_free(&p);
}
END_TEST

START_TEST(our_trust_domain_under_a_foreign_root)
{
	struct pair p = pair_contexts();
	struct pki *root = pki_root(PAIR_TD), *leaf = pki_leaf(root, PAIR_CLIENT);

	client_is_refused(&p, leaf, SVID_UNKNOWN_CA, "unknown_ca");
	pki_free(leaf);
	pki_free(root);
	pair_free(&p);
}
END_TEST

START_TEST(too_deep_a_chain)
{
	struct pair p = pair_contexts();
	struct pki *ca[5], *leaf;

	ca[0] = p.root;
	for (size_t i = 1; i < 5; i++)
		ca[i] = pki_intermediate(ca[i - 1], PAIR_TD);
	leaf = pki_leaf(ca[4], PAIR_CLIENT); /* a leaf and four issuers */
	client_is_refused(&p, leaf, SVID_CHAIN_TOO_DEEP, "bad_certificate");
	pki_free(leaf);
	leaf = pki_leaf(ca[3], PAIR_CLIENT); /* four in all: the most */
	show_as_client(&p, leaf);
	pair_sessions(&p, NULL);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	pki_free(leaf);
	for (size_t i = 1; i < 5; i++)
		pki_free(ca[i]);
	pair_free(&p);
}
END_TEST

START_TEST(no_certificate_at_all)
{
	struct pair p = pair_contexts();

	tls_context_unref(p.client_ctx);
	ck_assert_int_eq(tls_context_mesh_client(&p.client_ctx, NULL, p.verifier, NULL), TULLE_OK);
	pair_sessions(&p, NULL);
	ck_assert_int_ne(pair_run(&p), TULLE_OK);
	ck_assert_int_eq(p.server_result, TULLE_EDENIED);
	ck_assert_int_eq(tls_session_reason(p.server), SVID_NO_CERTIFICATE);
	ck_assert_int_eq(pair_read(&p, p.client, NULL), TULLE_EDENIED);
	ck_assert_str_eq(tls_session_alert(p.client), "certificate_required");
	pair_free(&p);
}
END_TEST

START_TEST(an_open_server_takes_both_and_still_refuses_bad_ones)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);
	struct pair p = pair_contexts();
	struct tls_context *anonymous;
	struct pki *leaf;

	tls_context_unref(p.server_ctx);
	ck_assert_int_eq(tls_context_open_server(&p.server_ctx, p.server_set, p.verifier, NULL), TULLE_OK);
	pair_sessions(&p, NULL);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_str_eq(tls_session_peer_id(p.server), PAIR_CLIENT);
	pair_free_sessions(&p);
	what.not_after = pki_now() - 5;
	leaf = pki_issue(p.root, &what);
	client_is_refused(&p, leaf, SVID_EXPIRED, "bad_certificate");
	ck_assert_int_eq(tls_context_mesh_client(&anonymous, NULL, p.verifier, NULL), TULLE_OK);
	tls_context_unref(p.client_ctx);
	p.client_ctx = anonymous;
	pair_sessions(&p, NULL);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_ptr_null(tls_session_peer_id(p.server));
	pki_free(leaf);
	pair_free(&p);
}
END_TEST

START_TEST(a_server_that_is_somebody_else)
{
	static const char *const expected[] = { "spiffe://mesh.test/ns/shop/sa/a", "spiffe://mesh.test/ns/shop/sa/b" };
	struct tls_session_options o = { .expected = expected, .expected_n = 2 };
	struct pair p = pair_contexts();

	pair_sessions(&p, &o);
	ck_assert_int_eq(pair_run(&p), TULLE_EDENIED);
	ck_assert_int_eq(tls_session_reason(p.client), SVID_UNEXPECTED_ID);
	ck_assert_str_eq(tls_session_claimed_id(p.client), PAIR_SERVER);
	ck_assert_ptr_null(tls_session_peer_id(p.client));
	ck_assert_int_eq(p.server_result, TULLE_EDENIED);
	ck_assert_str_eq(tls_session_alert(p.server), "bad_certificate");
	ck_assert_int_eq(tls_session_write(p.client, "x", 1), TULLE_EPEER);
	pair_free(&p);
}
END_TEST

START_TEST(an_expired_server)
{
	struct issue what = pki_leaf_body(PAIR_SERVER);
	struct pair p = pair_contexts();
	struct identity_set *old = p.server_set;
	struct pki *leaf;

	what.not_after = pki_now() - 5;
	leaf = pki_issue(p.root, &what);
	p.server_set = pki_set(p.root, PAIR_TD, leaf, NULL); /* ours may be expired: the peer's to refuse */
	tls_context_unref(p.server_ctx);
	ck_assert_int_eq(tls_context_mesh_server(&p.server_ctx, p.server_set, p.verifier, NULL), TULLE_OK);
	pair_sessions(&p, NULL);
	ck_assert_int_eq(pair_run(&p), TULLE_EDENIED);
	ck_assert_int_eq(tls_session_reason(p.client), SVID_EXPIRED);
	identity_set_unref(old);
	pki_free(leaf);
	pair_free(&p);
}
END_TEST

/* ---- joining: a pinned root and nothing else ---- */

static void
join(bool right_pin, bool root_sent, enum svid_reason want)
{
	struct pair p = pair_contexts();
	uint8_t pin[SVID_HASH];
	struct verifier *v;
	struct pki *with_root = pki_leaf(p.root, PAIR_SERVER);
	struct identity_set *old = p.server_set;

	ck_assert_int_eq(svid_key_hash(buf_head(&p.root->chain), p.root->cert_len, pin), TULLE_OK);
	if (!right_pin)
		pin[0] ^= 1;
	if (root_sent)
		ck_assert_int_eq(buf_append(&with_root->chain, buf_head(&p.root->chain), p.root->cert_len), TULLE_OK);
	p.server_set = pki_set(p.root, PAIR_TD, with_root, NULL);
	tls_context_unref(p.server_ctx);
	tls_context_unref(p.client_ctx);
	ck_assert_int_eq(tls_context_open_server(&p.server_ctx, p.server_set, p.verifier, NULL), TULLE_OK);
	ck_assert_int_eq(verifier_new_pinned(&v, pin), TULLE_OK);
	ck_assert_int_eq(tls_context_mesh_client(&p.client_ctx, NULL, v, NULL), TULLE_OK);
	verifier_unref(v);
	pair_sessions(&p, &(struct tls_session_options){ 0 });
	ck_assert_int_eq(pair_run(&p), want == SVID_OK ? TULLE_OK : TULLE_EDENIED);
	ck_assert_int_eq(tls_session_reason(p.client), want);
	if (want == SVID_OK)
		ck_assert_str_eq(tls_session_peer_id(p.client), PAIR_SERVER);
	identity_set_unref(old);
	pki_free(with_root);
	pair_free(&p);
}

START_TEST(a_pinned_root_lets_a_host_join)
{
	join(true, true, SVID_OK);
	join(false, true, SVID_ROOT_PIN);
	join(true, false, SVID_ROOT_PIN);
}
END_TEST

/* ---- foreign HTTPS servers ---- */

/* A server whose certificate has a DNS name, and a client that knows its root from a file. */
static enum tulle_err
https(const char *name, const struct pki *known_root, const struct pki *root)
{
	struct issue what = pki_leaf_body(PAIR_SERVER);
	struct pair p = pair_contexts();
	struct buf pem = buf_new(1 << 16);
	char path[] = "/tmp/tulle-test-XXXXXX";
	struct tls_session_options o = { .server_name = name };
	struct identity_set *old = p.server_set;
	struct pki *leaf;
	enum tulle_err e;
	int fd;

	what.dns = "collector.test";
	leaf = pki_issue(root, &what);
	p.server_set = pki_set(root, PAIR_TD, leaf, NULL);
	tls_context_unref(p.server_ctx);
	tls_context_unref(p.client_ctx);
	ck_assert_int_eq(tls_context_open_server(&p.server_ctx, p.server_set, p.verifier, NULL), TULLE_OK);
	fd = mkstemp(path);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(der_to_pem(&pem, buf_head(&known_root->chain), known_root->cert_len), TULLE_OK);
	ck_assert_int_eq(write(fd, buf_head(&pem), buf_len(&pem)), (ssize_t)buf_len(&pem));
	ck_assert_int_eq(tls_context_https_client(&p.client_ctx, path, NULL), TULLE_OK);
	unlink(path);
	close(fd);
	ck_assert_int_eq(tls_session_new(&p.server, p.server_ctx, NULL), TULLE_OK);
	e = tls_session_new(&p.client, p.client_ctx, &o);
	if (e == TULLE_OK)
		e = pair_run(&p);
	if (e == TULLE_OK)
		ck_assert_ptr_null(tls_session_peer_id(p.client)); /* a name is no SPIFFE identity */
	buf_free(&pem);
	identity_set_unref(old);
	pki_free(leaf);
	pair_free(&p);
	return e;
}

START_TEST(a_foreign_server_must_have_the_name_and_the_root)
{
	struct pki *root = pki_root("any.test"), *other = pki_root("any.test");
	struct tls_context *none;

	ck_assert_int_eq(https("collector.test", root, root), TULLE_OK);
	ck_assert_int_eq(https("other.test", root, root), TULLE_EDENIED);
	ck_assert_int_eq(https("127.0.0.1", root, root), TULLE_EDENIED);
	ck_assert_int_eq(https("collector.test", other, root), TULLE_EDENIED);
	ck_assert_int_eq(https(NULL, root, root), TULLE_EINVAL); /* a name is a must */
	ck_assert_int_eq(tls_context_https_client(&none, "/nowhere/ca.pem", NULL), TULLE_ENOENT);
	ck_assert_int_eq(tls_context_https_client(&none, "/dev/null", NULL), TULLE_ENOENT);
	pki_free(root);
	pki_free(other);
}
END_TEST

/* ---- not our protocol ---- */

START_TEST(garbage_and_plain_http_are_refused)
{
	static const char *const texts[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff\xff", "\x80\x2e\x01",
		"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03" };

	for (size_t i = 0; i < 4; i++) {
		struct pair p = pair_new(NULL, NULL);
		enum tulle_err e;

		tls_session_output(p.server, &p.to_client);
		tls_session_input(p.server, texts[i], i == 3 ? 10 : strlen(texts[i]));
		e = tls_session_handshake(p.server);
		ck_assert_msg(e == TULLE_EPEER || (i == 2 && e == TULLE_AGAIN), "%zu: %s", i, tulle_strerror(e));
		ck_assert_int_eq(tls_session_reason(p.server), SVID_OK);
		pair_free(&p);
	}
}
END_TEST

UNIT_MAIN("peers", two_uri_names, no_uri_name, a_ca_as_leaf, a_leaf_that_may_sign_certificates, an_expired_leaf,
    a_leaf_of_tomorrow, an_id_that_is_none, the_id_of_a_trust_domain, a_server_certificate_at_a_client,
    a_leaf_without_eku_is_good, another_trust_domain, our_trust_domain_under_a_foreign_root, too_deep_a_chain,
    no_certificate_at_all, an_open_server_takes_both_and_still_refuses_bad_ones, a_server_that_is_somebody_else,
    an_expired_server, a_pinned_root_lets_a_host_join, garbage_and_plain_http_are_refused,
    a_foreign_server_must_have_the_name_and_the_root)
