/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/members.h"

#include <string.h>

#include "../scratch.h"
#include "authority/late.h"
#include "authority/limit.h"
#include "base/log.h"
#include "base/text.h"
#include "store/crypt.h"
#include "tls/context.h"
#include "tls/der.h"
#include "tls/keys.h"
#include "unit.h"

static const uint8_t pin[TOKEN_PIN] = { 7 };
static uint8_t exporter[TOKEN_EXPORTER] = { 9 };
static struct store *store;
static char *dir;

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	dir = scratch_new();
	ck_assert_int_eq(store_open(&store, dir), TULLE_OK);
}

static void
tear_down(void)
{
	store_close(store);
	scratch_free(dir);
}

static struct token
make(const char *account, int64_t ttl, int64_t uses, int64_t now)
{
	struct token_order o = { .accounts = &account, .n_accounts = 1, .ttl = ttl, .uses = uses };
	struct token t;
	char why[MEMBER_WHY];

	ck_assert_int_eq(addr_parse(&o.authority, "10.0.0.1:15012"), TULLE_OK);
	ck_assert_int_eq(token_create(store, &o, pin, now, &t, why), TULLE_OK);
	return t;
}

static struct buf
request(const struct key *k)
{
	struct buf csr = buf_new(DER_CERT_MAX);

	ck_assert_int_eq(issue_request(&csr, "spiffe://join/tulle/node", k), TULLE_OK);
	return csr;
}

static enum tulle_err
join_with(const struct token *t, const struct key *k, const uint8_t *at, int64_t now, char node[MEMBER_NODE])
{
	struct buf csr = request(k);
	struct issue_request r;
	uint8_t key[TOKEN_KEY], proof[32];
	char why[MEMBER_WHY] = "";
	enum tulle_err e;

	ck_assert_int_eq(token_key(key, t), TULLE_OK);
	ck_assert_int_eq(token_proof(proof, key, t->id, buf_head(&csr), buf_len(&csr), at), TULLE_OK);
	e = member_join(store,
	    &(struct join){ t->id, proof, sizeof(proof), buf_head(&csr), buf_len(&csr), exporter, "host\n\"evil" }, now, node,
	    &r, why);
	buf_free(&csr);
	return e;
}

START_TEST(a_token_survives_being_text)
{
	struct token t, again;
	struct addr a;
	char text[TOKEN_TEXT];
	const char *why;
	static const char *const places[] = { "10.0.0.1:15012", "255.255.255.255:65535", "[fd00:1:2:3:4:5:6:7]:15012", "[::1]:1" };

	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(addr_parse(&a, places[i]), TULLE_OK);
		ck_assert_int_eq(token_new(&t, pin, &a, 1800000000), TULLE_OK);
		(void)token_format(&t, text);
		ck_assert_uint_eq(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"), strlen(text));
		ck_assert_int_eq(token_parse(&again, text, &why), TULLE_OK);
		ck_assert_mem_eq(&t.secret, &again.secret, sizeof(t.secret));
		ck_assert_mem_eq(&t.pin, &again.pin, sizeof(t.pin));
		ck_assert_str_eq(t.id, again.id);
		ck_assert(addr_equal(&t.authority, &again.authority));
		ck_assert_int_eq(again.expires, 1800000000);
		for (size_t cut = 0; cut < strlen(text); cut++) {
			char part[TOKEN_TEXT];

			(void)snprintf(part, sizeof(part), "%.*s", (int)cut, text);
			ck_assert_int_eq(token_parse(&again, part, &why), TULLE_EINVAL);
			(void)snprintf(part, sizeof(part), "%s", text);
			part[cut] = part[cut] == 'A' ? 'B' : 'A'; /* one character mistyped */
			ck_assert_int_eq(token_parse(&again, part, &why), TULLE_EINVAL);
		}
	}
	ck_assert_int_eq(token_parse(&again, "tulle2.x", &why), TULLE_EINVAL);
	ck_assert_int_eq(token_parse(&again, "", &why), TULLE_EINVAL);
}
END_TEST

START_TEST(what_a_token_cannot_be_is_said)
{
	static const struct {
		const char *account;
		int64_t ttl, uses;
		const char *says;
	} bad[] = { { "shop", 60, 1, "NAMESPACE/SERVICE-ACCOUNT" }, { "shop/../x", 60, 1, "no account" },
		{ "shop/cart\nx", 60, 1, "no account" }, { "/cart", 60, 1, "no account" }, { "shop/", 60, 1, "no account" },
		{ "shop/cart", 7 * 86400 + 1, 1, "7 days" }, { "shop/cart", 0, 1, "7 days" }, { "shop/cart", 60, 0, "uses" } };
	char why[MEMBER_WHY];
	struct token t;

	set_up();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct token_order o = { .accounts = &bad[i].account, .n_accounts = 1, .ttl = bad[i].ttl, .uses = bad[i].uses };

		ck_assert_int_eq(addr_parse(&o.authority, "10.0.0.1:15012"), TULLE_OK);
		ck_assert_int_eq(token_create(store, &o, pin, 0, &t, why), TULLE_EINVAL);
		ck_assert_msg(strstr(why, bad[i].says) != NULL, "%s", why);
	}
	tear_down();
}
END_TEST

START_TEST(the_store_cannot_print_a_token_again)
{
	struct token t;
	char secret[TEXT_BASE64URL(TOKEN_SECRET)], hex[2 * TOKEN_SECRET + 1], *text;

	set_up();
	t = make("shop/cart", 60, 1, 1000);
	text = json_dumps(store_table(store, "token"), 0);
	ck_assert_ptr_null(strstr(text, text_base64url(t.secret, TOKEN_SECRET, secret)));
	ck_assert_ptr_null(strstr(text, text_hex(t.secret, TOKEN_SECRET, hex)));
	free(text);
	{
		json_t *status = tokens_status(store, 1000);

		text = json_dumps(status, 0);
		ck_assert_ptr_null(strstr(text, "\"key\"")); /* nor what could redeem it */
		ck_assert_ptr_nonnull(strstr(text, t.id));
		free(text);
		json_decref(status);
	}
	tear_down();
}
END_TEST

START_TEST(joining_is_idempotent_for_one_key_and_closed_to_another)
{
	struct token t;
	struct key *k, *other;
	char node[MEMBER_NODE], again[MEMBER_NODE], host[64];

	set_up();
	ck_assert_int_eq(key_generate(&k), TULLE_OK);
	ck_assert_int_eq(key_generate(&other), TULLE_OK);
	t = make("shop/cart", 60, 1, 1000);
	ck_assert_int_eq(join_with(&t, k, exporter, 1001, node), TULLE_OK);
	ck_assert_int_eq(join_with(&t, k, exporter, 1002, again), TULLE_OK);
	ck_assert_str_eq(node, again);
	ck_assert_int_eq(join_with(&t, other, exporter, 1003, again), TULLE_EEXIST);
	ck_assert_int_eq(join_with(&t, k, exporter, 1060, again), TULLE_EDENIED); /* expired */
	(void)snprintf(host, sizeof(host), "%s", value_text(store_get(store, "member", node), "host"));
	ck_assert_str_eq(host, "host??evil");
	/* The same after a restart. */
	store_close(store);
	ck_assert_int_eq(store_open(&store, dir), TULLE_OK);
	ck_assert_int_eq(join_with(&t, k, exporter, 1004, again), TULLE_OK);
	ck_assert_int_eq(join_with(&t, other, exporter, 1004, again), TULLE_EEXIST);
	ck_assert(member_may(store, node, "shop", "cart"));
	ck_assert(!member_may(store, node, "shop", "car"));
	ck_assert(!member_may(store, node, "shop", "carts"));
	ck_assert(!member_may(store, node, "sho", "p/cart"));
	ck_assert(!member_may(store, again[0] == 'x' ? node : "0000000000000000", "shop", "cart"));
	key_unref(k);
	key_unref(other);
	tear_down();
}
END_TEST

START_TEST(the_proof_is_bound_to_the_connection_and_the_secret)
{
	uint8_t elsewhere[TOKEN_EXPORTER] = { 8 };
	struct token t, guess;
	struct key *k;
	char node[MEMBER_NODE];

	set_up();
	ck_assert_int_eq(key_generate(&k), TULLE_OK);
	t = make("shop/cart", 60, 1, 1000);
	ck_assert_int_eq(join_with(&t, k, elsewhere, 1001, node), TULLE_EDENIED);
	guess = t;
	guess.secret[0] ^= 1;
	ck_assert_int_eq(join_with(&guess, k, exporter, 1001, node), TULLE_EDENIED);
	guess = t;
	guess.id[0] = guess.id[0] == 'A' ? 'B' : 'A';
	ck_assert_int_eq(join_with(&guess, k, exporter, 1001, node), TULLE_EDENIED);
	ck_assert_ptr_null(store_table(store, "member"));
	ck_assert_int_eq(join_with(&t, k, exporter, 1001, node), TULLE_OK); /* none of it spent the token */
	key_unref(k);
	tear_down();
}
END_TEST

START_TEST(a_token_has_as_many_uses_as_it_says_and_ends)
{
	struct token t;
	struct key *k;
	char node[MEMBER_NODE];

	set_up();
	t = make("shop/cart", 60, 2, 1000);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(key_generate(&k), TULLE_OK);
		ck_assert_int_eq(join_with(&t, k, exporter, 1001, node), i < 2 ? TULLE_OK : TULLE_EEXIST);
		key_unref(k);
	}
	ck_assert_int_eq(tokens_expire(store, 1059), 1060);
	ck_assert_int_eq(tokens_expire(store, 1060), INT64_MAX);
	ck_assert_ptr_null(store_get(store, "token", t.id));
	t = make("shop/cart", 60, 1, 2000);
	ck_assert_int_eq(token_revoke(store, t.id), TULLE_OK);
	ck_assert_int_eq(token_revoke(store, t.id), TULLE_ENOENT);
	tear_down();
}
END_TEST

START_TEST(a_renewal_has_two_phases)
{
	const uint8_t first[SVID_HASH] = { 1 }, second[SVID_HASH] = { 2 };
	struct token t;
	struct key *k;
	char node[MEMBER_NODE], why[MEMBER_WHY];

	set_up();
	ck_assert_int_eq(key_generate(&k), TULLE_OK);
	t = make("shop/cart", 60, 1, 1000);
	ck_assert_int_eq(join_with(&t, k, exporter, 1001, node), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "aa", why), TULLE_EDENIED);
	ck_assert_int_eq(member_admitted(store, node, "aa", 5000, first), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "aa", why), TULLE_OK);
	/* The answer may be lost: both are honoured, and again another new one. */
	ck_assert_int_eq(member_given(store, node, "bb", 6000, second), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "aa", why), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "aa", why), TULLE_OK);
	/* Once the new one was seen, the old one cannot come back. */
	ck_assert_int_eq(member_seen(store, node, "bb", why), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "aa", why), TULLE_EDENIED);
	ck_assert_int_eq(member_seen(store, node, "bb", why), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "", why), TULLE_EDENIED);
	/* Late: with the key in force, for thirty days. */
	ck_assert_int_eq(member_late(store, node, second, 6000 + MEMBER_GRACE - 1, why), TULLE_OK);
	ck_assert_int_eq(member_late(store, node, second, 6000 + MEMBER_GRACE, why), TULLE_EDENIED);
	ck_assert_int_eq(member_late(store, node, first, 6001, why), TULLE_EDENIED);
	ck_assert_int_eq(member_ban(store, node, true), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "bb", why), TULLE_EDENIED);
	ck_assert_int_eq(member_late(store, node, second, 6001, why), TULLE_EDENIED);
	ck_assert_int_eq(join_with(&t, k, exporter, 1002, node), TULLE_EDENIED);
	ck_assert_int_eq(member_ban(store, node, false), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "bb", why), TULLE_OK);
	ck_assert_int_eq(member_forget(store, node), TULLE_OK);
	ck_assert_int_eq(member_seen(store, node, "bb", why), TULLE_EDENIED);
	key_unref(k);
	tear_down();
}
END_TEST

START_TEST(node_ids_are_read_strictly)
{
	char node[MEMBER_NODE], id[SPIFFE_ID_MAX + 1];

	ck_assert(member_of_id(member_id(id, "td", "0123456789abcdef"), "td", node));
	ck_assert_str_eq(node, "0123456789abcdef");
	ck_assert(!member_of_id(id, "dt", node));
	ck_assert(!member_of_id("spiffe://td/tulle/node/0123456789abcde", "td", node));
	ck_assert(!member_of_id("spiffe://td/tulle/node/0123456789abcdefa", "td", node));
	ck_assert(!member_of_id("spiffe://td/tulle/node/0123456789abcdeg", "td", node));
	ck_assert(!member_of_id("spiffe://td/tulle/nose/0123456789abcdef", "td", node));
	ck_assert(!member_of_id("spiffe://td/ns/tulle/sa/node", "td", node));
	ck_assert(!member_of_id(NULL, "td", node));
}
END_TEST

START_TEST(a_voucher_fits_one_request_on_one_connection)
{
	uint8_t elsewhere[TOKEN_EXPORTER] = { 3 }, hash[SVID_HASH], key_hash[SVID_HASH];
	struct key *old, *fresh;
	struct buf csr, voucher = buf_new(DER_CERT_MAX), public = buf_new(256);

	ck_assert_int_eq(tls_init(), TULLE_OK);
	ck_assert_int_eq(key_generate(&old), TULLE_OK);
	ck_assert_int_eq(key_generate(&fresh), TULLE_OK);
	csr = request(fresh);
	ck_assert_int_eq(late_voucher(&voucher, "td", buf_head(&csr), buf_len(&csr), exporter, old), TULLE_OK);
	ck_assert_int_eq(late_check(buf_head(&voucher), buf_len(&voucher), "td", buf_head(&csr), buf_len(&csr), exporter, hash),
	    TULLE_OK);
	ck_assert_int_eq(key_public(old, &public), TULLE_OK);
	ck_assert_int_eq(crypt_hash(key_hash, buf_head(&public), buf_len(&public)), TULLE_OK);
	ck_assert_mem_eq(hash, key_hash, sizeof(hash));
	ck_assert_int_eq(late_check(buf_head(&voucher), buf_len(&voucher), "td", buf_head(&csr), buf_len(&csr), elsewhere, hash),
	    TULLE_EINVAL);
	ck_assert_int_eq(late_check(buf_head(&voucher), buf_len(&voucher), "dt", buf_head(&csr), buf_len(&csr), exporter, hash),
	    TULLE_EINVAL);
	ck_assert_int_eq(
	    late_check(buf_head(&voucher), buf_len(&voucher), "td", buf_head(&csr), buf_len(&csr) - 1, exporter, hash),
	    TULLE_EINVAL);
	ck_assert_int_eq(late_check(buf_head(&csr), buf_len(&csr), "td", buf_head(&csr), buf_len(&csr), exporter, hash),
	    TULLE_EINVAL);
	buf_free(&csr);
	buf_free(&voucher);
	buf_free(&public);
	key_unref(old);
	key_unref(fresh);
}
END_TEST

START_TEST(a_bucket_empties_and_fills)
{
	static struct limit l = { .burst = 3, .per_ms = 100 };
	char name[16];

	for (int i = 0; i < 3; i++)
		ck_assert(limit_take(&l, "a", 1000));
	ck_assert(!limit_take(&l, "a", 1000));
	ck_assert(limit_take(&l, "b", 1000));
	ck_assert(!limit_take(&l, "a", 1099));
	ck_assert(limit_take(&l, "a", 1100));
	ck_assert(!limit_take(&l, "a", 1100));
	for (int i = 0; i < 3; i++)
		ck_assert(limit_take(&l, "a", 5000));
	ck_assert(!limit_take(&l, "a", 5000));
	/* Other names push out the quiet ones first. */
	for (int i = 0; i < LIMIT_NAMES - 1; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		ck_assert(limit_take(&l, name, 5000));
	}
	ck_assert(!limit_take(&l, "a", 5000));
}
END_TEST

UNIT_MAIN("certd/members", a_token_survives_being_text, what_a_token_cannot_be_is_said,
    the_store_cannot_print_a_token_again, joining_is_idempotent_for_one_key_and_closed_to_another,
    the_proof_is_bound_to_the_connection_and_the_secret, a_token_has_as_many_uses_as_it_says_and_ends,
    a_renewal_has_two_phases, node_ids_are_read_strictly, a_voucher_fits_one_request_on_one_connection,
    a_bucket_empties_and_fills)
