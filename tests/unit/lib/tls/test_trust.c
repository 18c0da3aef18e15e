/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chains against bundles; sets of identities. */
#include "pki.h"
#include "tls/svid.h"
#include "unit.h"

#define TD "mesh.test"
#define ID "spiffe://mesh.test/ns/shop/sa/cart"
#define ID2 "spiffe://mesh.test/ns/shop/sa/web"

static struct svid_facts facts;

/* Checks the whole chain of <leaf>. */
static enum svid_reason
check(struct verifier *v, const struct pki *leaf)
{
	struct der chain[16];
	size_t n;

	ck_assert_int_eq(der_split(buf_head(&leaf->chain), buf_len(&leaf->chain), chain, 16, &n), TULLE_OK);
	return verifier_check(v, chain, n, SVID_TLS_CLIENT, &facts);
}

static struct verifier *
verifier_of(const struct trust_bundle *b, size_t n)
{
	struct trust *t;
	struct verifier *v;

	ck_assert_int_eq(trust_new(&t, b, n, 7), TULLE_OK);
	ck_assert_uint_eq(trust_generation(t), 7);
	ck_assert_int_eq(verifier_new(&v, t), TULLE_OK);
	trust_unref(t);
	return v;
}

static struct trust_bundle
bundle(const char *td, const struct pki *root)
{
	return (struct trust_bundle){ .td = td, .roots = buf_head(&root->chain), .len = root->cert_len };
}

START_TEST(a_chain_through_intermediates_is_believed_and_nothing_stays)
{
	struct pki *root = pki_root(TD), *i1 = pki_intermediate(root, TD), *i2 = pki_intermediate(i1, TD);
	struct pki *leaf = pki_leaf(i2, ID);
	struct trust_bundle b = bundle(TD, root);
	struct verifier *v = verifier_of(&b, 1);
	struct der chain[4];
	size_t n;

	ck_assert_int_eq(der_split(buf_head(&leaf->chain), buf_len(&leaf->chain), chain, 4, &n), TULLE_OK);
	ck_assert_uint_eq(n, 3);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(check(v, leaf), SVID_OK);
		ck_assert_str_eq(facts.id, ID);
		/* P23: what was good a moment ago with its intermediates is nothing without them. */
		ck_assert_int_eq(verifier_check(v, chain, 1, SVID_TLS_CLIENT, &facts), SVID_UNKNOWN_CA);
		ck_assert_int_eq(verifier_check(v, chain, 2, SVID_TLS_CLIENT, &facts), SVID_UNKNOWN_CA);
		ck_assert_int_eq(verifier_check(v, chain, 0, SVID_TLS_CLIENT, &facts), SVID_NO_CERTIFICATE);
	}
	verifier_unref(v);
	pki_free(leaf), pki_free(i2), pki_free(i1), pki_free(root);
}
END_TEST

START_TEST(a_root_in_the_chain_does_no_harm)
{
	struct pki *root = pki_root(TD), *ca = pki_intermediate(root, TD), *leaf = pki_leaf(ca, ID);
	struct trust_bundle b = bundle(TD, root);
	struct verifier *v = verifier_of(&b, 1);

	ck_assert_int_eq(buf_append(&leaf->chain, buf_head(&root->chain), root->cert_len), TULLE_OK);
	for (int round = 0; round < 3; round++)
		ck_assert_int_eq(check(v, leaf), SVID_OK);
	verifier_unref(v);
	pki_free(leaf), pki_free(ca), pki_free(root);
}
END_TEST

/* A bundle may hold an issuing CA beside the root; a peer that sends it must not make it temporary. */
START_TEST(an_anchor_that_a_peer_sends_stays_an_anchor)
{
	struct pki *root = pki_root(TD), *ca = pki_intermediate(root, TD), *leaf = pki_leaf(ca, ID);
	struct buf row = buf_new(1 << 16);
	struct trust_bundle b;
	struct verifier *v;
	struct der alone = { .p = buf_head(&leaf->chain), .len = leaf->cert_len };

	ck_assert_int_eq(buf_append(&row, buf_head(&root->chain), root->cert_len), TULLE_OK);
	ck_assert_int_eq(buf_append(&row, buf_head(&ca->chain), ca->cert_len), TULLE_OK);
	b = (struct trust_bundle){ .td = TD, .roots = buf_head(&row), .len = buf_len(&row) };
	v = verifier_of(&b, 1);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(check(v, leaf), SVID_OK);
		ck_assert_int_eq(verifier_check(v, &alone, 1, SVID_TLS_CLIENT, &facts), SVID_OK);
	}
	verifier_unref(v);
	buf_free(&row);
	pki_free(leaf), pki_free(ca), pki_free(root);
}
END_TEST

START_TEST(a_trust_domain_speaks_for_itself_alone)
{
	struct pki *a = pki_root("a.test"), *b = pki_root("b.test");
	struct pki *wrong = pki_leaf(b, "spiffe://a.test/ns/x/sa/y"), *right = pki_leaf(b, "spiffe://b.test/ns/x/sa/y");
	struct pki *ca = pki_intermediate(a, "b.test"), *strange = pki_leaf(ca, "spiffe://a.test/ns/x/sa/y");
	struct trust_bundle both[] = { bundle("a.test", a), bundle("spiffe://b.test", b) };
	struct verifier *v = verifier_of(both, 2);

	ck_assert_int_eq(check(v, right), SVID_OK);
	ck_assert_int_eq(check(v, wrong), SVID_UNKNOWN_CA);
	/* An issuer that names another trust domain may not sign here. */
	ck_assert_int_eq(check(v, strange), SVID_BAD_INTERMEDIATE);
	verifier_unref(v);
	pki_free(strange), pki_free(ca), pki_free(wrong), pki_free(right), pki_free(a), pki_free(b);
}
END_TEST

START_TEST(bad_intermediates_are_named)
{
	struct pki *root = pki_root(TD), *ca, *leaf;
	struct trust_bundle b = bundle(TD, root);
	struct verifier *v = verifier_of(&b, 1);
	struct issue what = pki_ca_body("spiffe://" TD, "old");

	what.not_after = pki_now() - 10;
	ca = pki_issue(root, &what);
	leaf = pki_leaf(ca, ID);
	ck_assert_int_eq(check(v, leaf), SVID_BAD_INTERMEDIATE);
	pki_free(leaf), pki_free(ca);

	what = pki_leaf_body("spiffe://" TD "/ns/a/sa/b"); /* a workload that plays authority */
	what.common_name = "workload";
	ca = pki_issue(root, &what);
	leaf = pki_leaf(ca, ID);
	ck_assert_int_eq(check(v, leaf), SVID_BAD_INTERMEDIATE);
	pki_free(leaf), pki_free(ca);

	what = pki_ca_body("spiffe://" TD, "short");
	what.path_len = 0;
	ca = pki_issue(root, &what);
	leaf = pki_leaf(ca, ID);
	ck_assert_int_eq(check(v, leaf), SVID_OK);
	pki_free(leaf);
	struct pki *below = pki_intermediate(ca, TD);
	leaf = pki_leaf(below, ID);
	ck_assert_int_eq(check(v, leaf), SVID_BAD_INTERMEDIATE);
	pki_free(leaf), pki_free(below), pki_free(ca);
	verifier_unref(v);
	pki_free(root);
}
END_TEST

START_TEST(any_changed_byte_is_refused)
{
	struct pki *root = pki_root(TD), *leaf = pki_leaf(root, ID);
	struct trust_bundle b = bundle(TD, root);
	struct verifier *v = verifier_of(&b, 1);
	struct der chain = { .p = buf_head(&leaf->chain), .len = leaf->cert_len };
	size_t signed_end = 8 + (size_t)(chain.p[6] << 8 | chain.p[7]); /* two heads with two-byte lengths */

	/*
	 * All that is signed, and the signature.  In between, wolfSSL is lenient: it lets the length of
	 * the outer algorithm's SEQUENCE and the count of unused bits pass, which say nothing.
	 */
	for (size_t i = 0; i < leaf->cert_len; i++) {
		if (i >= signed_end && i < signed_end + 15)
			continue;
		leaf->chain.data[i] ^= 1;
		ck_assert_msg(verifier_check(v, &chain, 1, SVID_TLS_CLIENT, &facts) != SVID_OK, "byte %zu", i);
		leaf->chain.data[i] ^= 1;
	}
	ck_assert_int_eq(verifier_check(v, &chain, 1, SVID_TLS_CLIENT, &facts), SVID_OK);
	verifier_unref(v);
	pki_free(leaf), pki_free(root);
}
END_TEST

START_TEST(an_empty_bundle_believes_nobody)
{
	struct pki *root = pki_root(TD), *leaf = pki_leaf(root, ID);
	struct trust_bundle none = { .td = TD };
	struct verifier *v = verifier_of(&none, 1);

	ck_assert_int_eq(check(v, leaf), SVID_UNKNOWN_CA);
	verifier_unref(v);
	v = verifier_of(NULL, 0);
	ck_assert_int_eq(check(v, leaf), SVID_UNKNOWN_TRUST_DOMAIN);
	verifier_unref(v);
	pki_free(leaf), pki_free(root);
}
END_TEST

START_TEST(one_expired_root_does_not_sink_the_others)
{
	struct issue what = pki_ca_body("spiffe://" TD, "old");
	struct pki *old, *root = pki_root(TD), *leaf = pki_leaf(root, ID), *older;
	struct buf row = buf_new(1 << 16);
	struct trust_bundle b;
	struct verifier *v;

	what.not_after = pki_now() - 10;
	old = pki_issue(NULL, &what);
	older = pki_leaf(old, ID2);
	ck_assert_int_eq(buf_append(&row, buf_head(&old->chain), old->cert_len), TULLE_OK);
	ck_assert_int_eq(buf_append(&row, buf_head(&root->chain), root->cert_len), TULLE_OK);
	b = (struct trust_bundle){ .td = TD, .roots = buf_head(&row), .len = buf_len(&row) };
	v = verifier_of(&b, 1);
	ck_assert_int_eq(check(v, leaf), SVID_OK);
	ck_assert_int_eq(check(v, older), SVID_UNKNOWN_CA);
	/* And it is the one that lasts longest that says how long there is trust. */
	ck_assert_int_ge(trust_until(verifier_trust(v), TD, strlen(TD)), pki_now() + 86000);
	ck_assert_int_eq(trust_until(verifier_trust(v), "other.test", 10), 0);
	verifier_unref(v);
	buf_free(&row);
	pki_free(leaf), pki_free(older), pki_free(old), pki_free(root);
}
END_TEST

START_TEST(bundles_are_joined_and_bounded)
{
	struct pki *r1 = pki_root(TD), *r2 = pki_root(TD);
	struct trust_bundle twice[] = { bundle(TD, r1), bundle(TD, r2), bundle("spiffe://" TD, r1) };
	struct trust_bundle bad = { .td = "Mesh.test" }, odd = bundle(TD, r1), many = { .td = TD };
	struct buf row = buf_new(1 << 20);
	struct trust *t = NULL;
	struct der all;

	ck_assert_int_eq(trust_new(&t, twice, 3, 1), TULLE_OK);
	ck_assert_uint_eq(trust_domains(t), 1);
	ck_assert(trust_roots(t, TD, strlen(TD), &all));
	ck_assert_uint_eq(all.len, r1->cert_len + r2->cert_len);
	ck_assert(!trust_roots(t, "other", 5, &all));
	t = trust_unref(t);
	ck_assert_int_eq(trust_new(&t, &bad, 1, 1), TULLE_EINVAL);
	odd.len--;
	ck_assert_int_eq(trust_new(&t, &odd, 1, 1), TULLE_EINVAL);
	for (int i = 0; i < DER_BUNDLE_CERTS + 1; i++)
		ck_assert_int_eq(buf_append(&row, buf_head(&r1->chain), r1->cert_len), TULLE_OK);
	many.roots = buf_head(&row);
	many.len = buf_len(&row);
	ck_assert_int_eq(trust_new(&t, &many, 1, 1), TULLE_ELIMIT);
	ck_assert_ptr_null(t);
	buf_free(&row);
	pki_free(r1), pki_free(r2);
}
END_TEST

/* ---- identity sets ---- */

static struct svid_der
entry(const struct pki *leaf, const struct pki *root, struct buf *key, const char *id)
{
	*key = buf_new(4096);
	ck_assert_int_eq(key_export(leaf->key, key), TULLE_OK);
	return (struct svid_der){ .id = id, .chain = buf_head(&leaf->chain), .chain_len = buf_len(&leaf->chain),
		.key = buf_head(key), .key_len = buf_len(key), .bundle = buf_head(&root->chain),
		.bundle_len = root->cert_len, .hint = "h" };
}

START_TEST(a_response_becomes_a_set)
{
	struct pki *root = pki_root(TD), *far = pki_root("far.test"), *l1 = pki_leaf(root, ID), *l2 = pki_leaf(root, ID2);
	struct trust_bundle federated = bundle("spiffe://far.test", far);
	struct identity_set *s = NULL;
	struct svid_der svids[2];
	struct buf k1, k2;
	size_t bad = 99;
	enum svid_reason why = SVID_OK;

	svids[0] = entry(l1, root, &k1, ID);
	svids[1] = entry(l2, root, &k2, ID2);
	ck_assert_int_eq(identity_set_new(&s, svids, 2, &federated, 1, 5, NULL, NULL), TULLE_OK);
	ck_assert_uint_eq(s->n, 2);
	ck_assert_uint_eq(s->generation, 5);
	ck_assert_str_eq(identity_set_default(s)->facts.id, ID);
	ck_assert_str_eq(s->items[1]->hint, "h");
	ck_assert_ptr_eq(identity_set_find(s, ID2), s->items[1]);
	ck_assert_ptr_null(identity_set_find(s, "spiffe://mesh.test/ns/shop/sa/we"));
	ck_assert_ptr_eq(identity_set_find_sni(s, "web.shop.sa.mesh.test", 21), s->items[1]);
	ck_assert_ptr_null(identity_set_find_sni(s, "web.shop.sa.mesh.tes", 20));
	ck_assert_uint_eq(trust_domains(s->trust), 2);
	/* The default by its name; where none has it, there is none, and both are still there for who asks for them by name. */
	identity_set_choose_default(s, "ns/shop/sa/web");
	ck_assert_str_eq(identity_set_default(s)->facts.id, ID2);
	ck_assert_str_eq(s->items[1]->facts.id, ID);
	identity_set_choose_default(s, "ns/shop/sa/we");
	ck_assert_ptr_null(identity_set_default(s));
	identity_set_choose_default(s, "sa/web");
	ck_assert_ptr_null(identity_set_default(s));
	identity_set_choose_default(s, NULL);
	ck_assert_ptr_null(identity_set_default(s));
	ck_assert_ptr_nonnull(identity_set_find(s, ID));
	ck_assert_ptr_nonnull(identity_set_find_sni(s, "web.shop.sa.mesh.test", 21));
	identity_set_unref(identity_set_ref(s));
	s = identity_set_unref(s);

	/* The id must be the leaf's, the key too, the leaf a leaf. */
	svids[1].id = ID;
	ck_assert_int_eq(identity_set_new(&s, svids, 2, NULL, 0, 5, &bad, &why), TULLE_EINVAL);
	ck_assert_uint_eq(bad, 1);
	ck_assert_int_eq(why, SVID_UNEXPECTED_ID);
	svids[1].id = NULL;
	svids[1].key = svids[0].key;
	ck_assert_int_eq(identity_set_new(&s, svids, 2, NULL, 0, 5, &bad, &why), TULLE_EINVAL);
	ck_assert_uint_eq(bad, 1);
	ck_assert_int_eq(why, SVID_OK);
	svids[1].chain = buf_head(&root->chain);
	svids[1].chain_len = root->cert_len;
	ck_assert_int_eq(identity_set_new(&s, svids, 2, NULL, 0, 5, &bad, &why), TULLE_EINVAL);
	ck_assert_int_eq(why, SVID_IS_CA);
	ck_assert_int_eq(identity_set_new(&s, NULL, 0, &federated, 1, 6, NULL, NULL), TULLE_OK);
	ck_assert_ptr_null(identity_set_default(s));
	identity_set_unref(s);
	buf_wipe(&k1), buf_wipe(&k2);
	pki_free(l1), pki_free(l2), pki_free(root), pki_free(far);
}
END_TEST

UNIT_MAIN("trust", a_chain_through_intermediates_is_believed_and_nothing_stays, a_root_in_the_chain_does_no_harm,
    an_anchor_that_a_peer_sends_stays_an_anchor, a_trust_domain_speaks_for_itself_alone, bad_intermediates_are_named,
    any_changed_byte_is_refused, an_empty_bundle_believes_nobody, one_expired_root_does_not_sink_the_others,
    bundles_are_joined_and_bounded, a_response_becomes_a_set)
