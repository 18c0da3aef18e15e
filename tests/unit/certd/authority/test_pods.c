/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/pods.h"

#include <string.h>

#include "../scratch.h"
#include "authority/issuers.h"
#include "base/log.h"
#include "tls/context.h"
#include "tls/der.h"
#include "tls/keys.h"
#include "unit.h"

#define NOW 1700000000

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

/* ---- claims ---- */

#define SUB "\"sub\":\"system:serviceaccount:shop:web\""
#define ACCOUNT "\"namespace\":\"shop\",\"serviceaccount\":{\"name\":\"web\",\"uid\":\"u1\"}"

static const struct {
	const char *claims, *why; /* NULL: good */
} claims[] = {
	{ "{" SUB ",\"kubernetes.io\":{" ACCOUNT "}}", NULL },
	{ "{" SUB ",\"kubernetes.io\":{" ACCOUNT ",\"pod\":{\"name\":\"web-1\",\"uid\":\"p1\"},\"node\":{\"name\":\"n1\"}}}", NULL },
	{ "{" SUB ",\"kubernetes.io\":{" ACCOUNT ",\"pod\":{\"name\":\"web-1\"}}}", "is not what a cluster writes" },
	{ "{" SUB ",\"kubernetes.io\":{" ACCOUNT ",\"pod\":\"web-1\"}}", "is not what a cluster writes" },
	{ "{" SUB ",\"kubernetes.io\":{\"namespace\":\"shop\"}}", "is not what a cluster writes" },
	{ "{" SUB ",\"kubernetes.io\":{\"namespace\":\"shop\",\"serviceaccount\":{\"name\":\"web/x\",\"uid\":\"u\"}}}", "is not what a cluster writes" },
	{ "{" SUB ",\"kubernetes.io\":{\"namespace\":\"..\",\"serviceaccount\":{\"name\":\"web\",\"uid\":\"u\"}}}", "is not what a cluster writes" },
	{ "{" SUB ",\"kubernetes.io\":{\"namespace\":\"else\",\"serviceaccount\":{\"name\":\"web\",\"uid\":\"u\"}}}", "name different accounts" },
	{ "{\"sub\":\"system:serviceaccount:shop:web:x\",\"kubernetes.io\":{" ACCOUNT "}}", "name different accounts" },
	{ "{\"sub\":\"shop:web\",\"kubernetes.io\":{" ACCOUNT "}}", "its subject is \"shop:web\"" },
	{ "{\"sub\":[\"system:serviceaccount:shop:web\"],\"kubernetes.io\":{" ACCOUNT "}}", "its subject is \"\"" },
	{ "{" SUB "}", "has no \"kubernetes.io\"" },
	{ "{\"kubernetes.io\":{" ACCOUNT "}}", "its subject is \"\"" },
};

START_TEST(a_token_names_one_account_or_nobody)
{
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		json_t *o = json_loads(claims[i].claims, 0, NULL);
		char why[MEMBER_WHY] = "";
		struct pod p;
		enum tulle_err e;

		ck_assert_ptr_nonnull(o);
		e = pod_read(&p, o, why);
		if (claims[i].why == NULL)
			ck_assert_msg(e == TULLE_OK && strcmp(p.namespace, "shop") == 0 && strcmp(p.account, "web") == 0, "%s: %s",
			    claims[i].claims, why);
		else
			ck_assert_msg(e == TULLE_EDENIED && strstr(why, claims[i].why) != NULL, "%s: %s", claims[i].claims, why);
		json_decref(o);
	}
}
END_TEST

/* ---- members ---- */

static struct pod
pod(const char *uid)
{
	struct pod p = { .issuer = "https://issuer", .namespace = "shop", .account = "web", .account_uid = "u1", .name = "web-1",
		.ttl = 3600 };

	(void)snprintf(p.uid, sizeof(p.uid), "%s", uid);
	return p;
}

/* Joins, and is given a certificate that ends at <end>. */
static enum tulle_err
join(const struct pod *p, const struct key *k, int64_t now, int64_t end, char node[MEMBER_NODE])
{
	static const uint8_t hash[SVID_HASH] = { 1 };
	struct buf csr = buf_new(DER_CERT_MAX);
	struct issue_request r;
	char why[MEMBER_WHY] = "";
	enum tulle_err e;

	ck_assert_int_eq(issue_request(&csr, "spiffe://join/tulle/node", k), TULLE_OK);
	e = pod_join(store, &(struct pod_join){ .pod = p, .csr = buf_head(&csr), .csr_len = buf_len(&csr), .host = "h" }, now, node, &r, why);
	buf_free(&csr);
	if (e == TULLE_OK)
		ck_assert_int_eq(member_admitted(store, node, "01", end, hash), TULLE_OK);
	return e;
}

START_TEST(a_pod_is_one_member_whatever_its_key)
{
	struct pod one = pod("p1"), other = pod("p2"), elsewhere = pod("p1"), free = pod("");
	char a[MEMBER_NODE], b[MEMBER_NODE], why[MEMBER_WHY];
	struct key *k, *l;

	set_up();
	elsewhere.issuer = "https://other";
	ck_assert_int_eq(key_generate(&k), TULLE_OK);
	ck_assert_int_eq(key_generate(&l), TULLE_OK);
	ck_assert_int_eq(join(&one, k, NOW, NOW + 3600, a), TULLE_OK);
	ck_assert_int_eq(join(&one, l, NOW, NOW + 3600, b), TULLE_OK);
	ck_assert_str_eq(a, b);
	ck_assert_int_eq(value_int(store_get(store, "member", a), "rejoins"), 1);
	ck_assert(member_is_pod(store, a) && member_may(store, a, "shop", "web") && !member_may(store, a, "shop", "db"));
	ck_assert_int_eq(pod_is(store, a, &one, why), TULLE_OK);
	ck_assert_int_eq(pod_is(store, a, &other, why), TULLE_EDENIED);
	ck_assert_int_eq(pod_is(store, a, &elsewhere, why), TULLE_EDENIED);
	ck_assert_int_eq(join(&other, k, NOW, NOW + 3600, b), TULLE_OK);
	ck_assert_str_ne(a, b);
	ck_assert_int_eq(join(&elsewhere, k, NOW, NOW + 3600, b), TULLE_OK);
	ck_assert_str_ne(a, b);
	/* Bound to no pod: told apart by their keys. */
	ck_assert_int_eq(join(&free, k, NOW, NOW + 3600, a), TULLE_OK);
	ck_assert_int_eq(join(&free, l, NOW, NOW + 3600, b), TULLE_OK);
	ck_assert_str_ne(a, b);
	key_unref(k);
	key_unref(l);
	tear_down();
}
END_TEST

START_TEST(a_ban_holds_over_a_new_key_and_beyond_the_certificate)
{
	struct pod one = pod("p1");
	char a[MEMBER_NODE];
	struct key *k, *l;

	set_up();
	ck_assert_int_eq(key_generate(&k), TULLE_OK);
	ck_assert_int_eq(key_generate(&l), TULLE_OK);
	ck_assert_int_eq(join(&one, k, NOW, NOW + 3600, a), TULLE_OK);
	ck_assert_int_eq(member_ban(store, a, true), TULLE_OK);
	ck_assert_int_eq(join(&one, l, NOW, NOW + 3600, a), TULLE_EDENIED);
	(void)pods_expire(store, NOW + 3600 + PODS_GRACE);
	ck_assert_int_eq(join(&one, l, NOW + 7200, NOW + 9000, a), TULLE_EDENIED);
	(void)pods_expire(store, NOW + 3600 + MEMBER_GRACE);
	ck_assert_int_eq(join(&one, l, NOW + 7200, NOW + 9000, a), TULLE_OK);
	key_unref(k);
	key_unref(l);
	tear_down();
}
END_TEST

START_TEST(pods_that_are_gone_are_forgotten_and_nobody_else)
{
	struct pod one = pod("p1"), other = pod("p2");
	char a[MEMBER_NODE], b[MEMBER_NODE];
	struct key *k;

	set_up();
	ck_assert_int_eq(key_generate(&k), TULLE_OK);
	ck_assert_int_eq(join(&one, k, NOW, NOW + 3600, a), TULLE_OK);
	ck_assert_int_eq(join(&other, k, NOW, NOW + 7200, b), TULLE_OK);
	ck_assert_int_eq(store_put(store, "member", "feedfeedfeedfeed", json_pack("{sI ss}", "not_after", (json_int_t)1, "host", "vm")), TULLE_OK);
	ck_assert_int_eq(pods_expire(store, NOW), NOW + 3600 + PODS_GRACE);
	ck_assert_int_eq(pods_expire(store, NOW + 3600 + PODS_GRACE - 1), NOW + 3600 + PODS_GRACE);
	ck_assert_int_eq(pods_expire(store, NOW + 3600 + PODS_GRACE), NOW + 7200 + PODS_GRACE);
	ck_assert_ptr_null(store_get(store, "member", a));
	ck_assert_int_eq(pods_expire(store, NOW + 100000), INT64_MAX);
	ck_assert_ptr_null(store_get(store, "member", b));
	ck_assert_ptr_nonnull(store_get(store, "member", "feedfeedfeedfeed"));
	key_unref(k);
	tear_down();
}
END_TEST

/* Lines of the journal: each was a write that waited for the disk. */
static size_t
journal_lines(void)
{
	FILE *f = fopen(scratch_path(dir, "journal"), "r");
	size_t n = 0;

	ck_assert_ptr_nonnull(f);
	for (int c; (c = fgetc(f)) != EOF;)
		n += c == '\n';
	(void)fclose(f);
	return n;
}

START_TEST(many_that_are_gone_are_forgotten_in_few_writes)
{
	static struct store_change changes[2 * PODS_TURN + 10];
	static char nodes[2 * PODS_TURN + 10][MEMBER_NODE];
	const size_t n = sizeof(changes) / sizeof(changes[0]);
	size_t before;

	set_up();
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(nodes[i], MEMBER_NODE, "%016zx", i);
		changes[i] = (struct store_change){ "member", nodes[i],
			json_pack("{sI sI s{ss}}", "not_after", (json_int_t)NOW, "ttl", (json_int_t)3600, "kubernetes", "issuer", "x") };
	}
	ck_assert_int_eq(store_commit(store, changes, n), TULLE_OK);
	ck_assert_int_eq(store_put(store, "member", "feedfeedfeedfeed", json_pack("{sI ss}", "not_after", (json_int_t)1, "host", "vm")), TULLE_OK);
	before = journal_lines();
	ck_assert_int_eq(pods_expire(store, NOW + PODS_GRACE), NOW + PODS_GRACE); /* there are more */
	ck_assert_uint_eq(journal_lines(), before + 1);
	ck_assert_uint_eq(json_object_size(store_table(store, "member")), n - PODS_TURN + 1);
	ck_assert_int_eq(pods_expire(store, NOW + PODS_GRACE), NOW + PODS_GRACE);
	ck_assert_int_eq(pods_expire(store, NOW + PODS_GRACE), INT64_MAX);
	ck_assert_uint_eq(journal_lines(), before + 3);
	ck_assert_uint_eq(json_object_size(store_table(store, "member")), 1);
	ck_assert_int_eq(pods_expire(store, NOW + PODS_GRACE), INT64_MAX);
	ck_assert_uint_eq(journal_lines(), before + 3);
	tear_down();
}
END_TEST

START_TEST(a_pod_does_not_renew_late)
{
	static const uint8_t hash[SVID_HASH] = { 1 };
	struct pod one = pod("p1");
	char a[MEMBER_NODE], why[MEMBER_WHY] = "";
	struct key *k;

	set_up();
	ck_assert_int_eq(key_generate(&k), TULLE_OK);
	ck_assert_int_eq(join(&one, k, NOW, NOW + 10, a), TULLE_OK);
	ck_assert_int_eq(member_late(store, a, hash, NOW + 20, why), TULLE_EDENIED);
	ck_assert_ptr_nonnull(strstr(why, "joins again with its token"));
	key_unref(k);
	tear_down();
}
END_TEST

START_TEST(an_authority_without_issuers_takes_no_token)
{
	char why[MEMBER_WHY] = "";
	struct pod p;

	ck_assert_int_eq(issuers_judge(NULL, "a.b.c", 5, NOW, &p, why), TULLE_EDENIED);
	ck_assert_ptr_nonnull(strstr(why, "authority.kubernetes"));
}
END_TEST

UNIT_MAIN("pods", a_token_names_one_account_or_nobody, a_pod_is_one_member_whatever_its_key,
    a_ban_holds_over_a_new_key_and_beyond_the_certificate, pods_that_are_gone_are_forgotten_and_nobody_else,
    many_that_are_gone_are_forgotten_in_few_writes,
    a_pod_does_not_renew_late, an_authority_without_issuers_takes_no_token)
