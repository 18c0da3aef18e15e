/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which token of which cluster lets its pod join, and what the others are told. */
#include "authority/issuers.h"

#include <string.h>

#include "../scratch.h"
#include "base/file.h"
#include "base/log.h"
#include "lib/jwt/signer.h"
#include "store/store.h"
#include "tls/context.h"
#include "unit.h"

#define NOW 1700000000
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"one\"}"
#define CLAIMS(iss, aud, exp)                                                                       \
	"{\"iss\":\"" iss "\",\"aud\":[\"" aud "\"],\"iat\":1699999000,\"exp\":" exp                \
	",\"sub\":\"system:serviceaccount:shop:web\",\"kubernetes.io\":{\"namespace\":\"shop\","    \
	"\"serviceaccount\":{\"name\":\"web\",\"uid\":\"u1\"},\"pod\":{\"name\":\"web-1\",\"uid\":\"p1\"}}}"
#define GOOD CLAIMS("https://issuer", "tulle", "1700002600")

static struct {
	struct signer signer;
	struct loop *loop;
	struct issuers *issuers;
	char *dir;
	char file[512];
	struct kubernetes_issuer item;
	struct pod pod;
	char why[MEMBER_WHY];
} w;

static void
config(const struct kubernetes_issuer *items, size_t n)
{
	ck_assert_int_eq(issuers_config(w.issuers, items, n), TULLE_OK);
}

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	memset(&w, 0, sizeof(w));
	signer_start(&w.signer, 2048);
	w.dir = scratch_new();
	(void)snprintf(w.file, sizeof(w.file), "%s/keys.json", w.dir);
	w.item = (struct kubernetes_issuer){ .issuer = "https://issuer", .audience = "tulle", .jwks = w.file, .ttl_ms = 600000 };
	ck_assert_int_eq(loop_new(&w.loop), TULLE_OK);
	ck_assert_int_eq(issuers_new(&w.issuers, w.loop, w.dir), TULLE_OK);
	config(&w.item, 1);
}

static void
tear_down(void)
{
	ck_assert_ptr_null(issuers_free(w.issuers));
	loop_free(w.loop);
	signer_stop(&w.signer);
	scratch_free(w.dir);
}

static void
publish_key(const char *kid)
{
	char *jwk = signer_jwk(&w.signer, "P-256", kid, ""), *set;

	ck_assert_int_ne(asprintf(&set, "{\"keys\":[%s]}", jwk), -1);
	ck_assert_int_eq(file_replace(w.file, set, strlen(set), 0600), TULLE_OK);
	free(jwk);
	free(set);
}

static enum tulle_err
judge(const char *header, const char *claims)
{
	char *token = signer_token(&w.signer, SIGN_ES256, header, claims);
	enum tulle_err e;

	w.why[0] = '\0';
	e = issuers_judge(w.issuers, token, strlen(token), NOW, &w.pod, w.why);
	free(token);
	return e;
}

static void
refused(const char *claims, const char *says)
{
	ck_assert_int_eq(judge(HEADER, claims), TULLE_EDENIED);
	ck_assert_msg(strstr(w.why, says) != NULL, "\"%s\", not \"%s\"", w.why, says);
}

START_TEST(a_good_token_says_whose_pod_it_is)
{
	set_up();
	publish_key("one");
	ck_assert_msg(judge(HEADER, GOOD) == TULLE_OK, "%s", w.why);
	ck_assert_str_eq(w.pod.namespace, "shop");
	ck_assert_str_eq(w.pod.account, "web");
	ck_assert_str_eq(w.pod.uid, "p1");
	ck_assert_str_eq(w.pod.issuer, "https://issuer");
	ck_assert_int_eq(w.pod.ttl, 600);
	tear_down();
}
END_TEST

START_TEST(a_token_of_others_or_for_others_is_refused)
{
	static const char *const nonsense[] = { "", "x", "a.b.c", "....", "tulle1.abc" };

	set_up();
	publish_key("one");
	refused(CLAIMS("https://other", "tulle", "1700002600"), "\"https://other\" is none that this authority trusts");
	refused(CLAIMS("https://issuer/", "tulle", "1700002600"), "is none that this authority trusts");
	refused(CLAIMS("https://issuer", "vault", "1700002600"), "audience");
	refused(CLAIMS("https://issuer", "tulle", "1699999900"), "");
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		ck_assert_int_eq(issuers_judge(w.issuers, nonsense[i], strlen(nonsense[i]), NOW, &w.pod, w.why), TULLE_EDENIED);
	config(NULL, 0);
	refused(GOOD, "this authority takes no tokens of pods");
	tear_down();
}
END_TEST

START_TEST(a_signature_of_a_key_that_is_not_the_issuers_is_refused)
{
	struct signer other;
	char *token;

	set_up();
	publish_key("one");
	signer_start(&other, 2048);
	token = signer_token(&other, SIGN_ES256, HEADER, GOOD);
	ck_assert_int_eq(issuers_judge(w.issuers, token, strlen(token), NOW, &w.pod, w.why), TULLE_EDENIED);
	free(token);
	signer_stop(&other);
	ck_assert_int_eq(judge("{\"alg\":\"ES256\",\"kid\":\"two\"}", GOOD), TULLE_EDENIED); /* a file has no newer ones */
	publish_key("two");
	ck_assert_int_eq(judge("{\"alg\":\"ES256\",\"kid\":\"two\"}", GOOD), TULLE_OK);
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_EDENIED); /* withdrawn */
	tear_down();
}
END_TEST

START_TEST(only_what_is_listed_may_join)
{
	static const char *const shop[] = { "bank", "shop" }, *const bank[] = { "bank" };
	static const char *const web[] = { "shop/web" }, *const db[] = { "shop/db", "bank/web" };

	set_up();
	publish_key("one");
	w.item.namespaces.items = shop;
	w.item.namespaces.n = 2;
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_OK);
	w.item.accounts.items = web;
	w.item.accounts.n = 1;
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_OK);
	w.item.accounts.items = db;
	w.item.accounts.n = 2;
	refused(GOOD, "pods of shop/web may not join: authority.kubernetes does not list the account");
	w.item.accounts.n = 0;
	w.item.namespaces.items = bank;
	w.item.namespaces.n = 1;
	refused(GOOD, "does not list the namespace");
	tear_down();
}
END_TEST

START_TEST(without_keys_one_is_told_to_come_again)
{
	json_t *status;

	set_up();
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_AGAIN);
	ck_assert_ptr_nonnull(strstr(w.why, "no keys of its issuer"));
	status = issuers_status(w.issuers);
	ck_assert_uint_eq(json_array_size(status), 1);
	ck_assert_str_eq(value_text(json_array_get(status, 0), "issuer"), "https://issuer");
	ck_assert_str_ne(value_text(json_array_get(status, 0), "error"), "");
	json_decref(status);
	publish_key("one");
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_OK);
	tear_down();
}
END_TEST

START_TEST(another_configuration_keeps_the_keys_of_who_stays)
{
	struct kubernetes_issuer two[2], gone;
	char elsewhere[600];

	set_up();
	publish_key("one");
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_OK);
	ck_assert_int_eq(file_replace(w.file, "{", 1, 0600), TULLE_OK);
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s/none", w.dir);
	two[0] = (struct kubernetes_issuer){ .issuer = "https://new", .audience = "tulle", .jwks = elsewhere };
	two[1] = w.item;
	config(two, 2);
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_OK); /* the good ones of before */
	gone = w.item;
	gone.jwks = elsewhere;
	config(&gone, 1); /* another source: what the old one said counts no more */
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_AGAIN);
	tear_down();
}
END_TEST

START_TEST(a_key_that_a_url_may_have_by_now_is_asked_for)
{
	char *jwk, *set, command[1200];

	set_up();
	/* A key set from an earlier run, and a server that is away. */
	w.item.jwks = "http://127.0.0.1:1/keys";
	config(NULL, 0);
	jwk = signer_jwk(&w.signer, "P-256", "one", "");
	ck_assert_int_ne(asprintf(&set, "{\"keys\":[%s]}", jwk), -1);
	(void)snprintf(command, sizeof(command), "printf %%s https://issuer | sha256sum | cut -c1-16 | { read h; mv %s %s/jwks-$h.json; }",
	    w.file, w.dir);
	ck_assert_int_eq(file_replace(w.file, set, strlen(set), 0600), TULLE_OK);
	ck_assert_int_eq(system(command), 0);
	config(&w.item, 1);
	ck_assert_int_eq(judge(HEADER, GOOD), TULLE_OK);
	ck_assert_int_eq(judge("{\"alg\":\"ES256\",\"kid\":\"two\"}", GOOD), TULLE_AGAIN);
	ck_assert_ptr_nonnull(strstr(w.why, "being fetched anew"));
	free(jwk);
	free(set);
	tear_down();
}
END_TEST

UNIT_MAIN("certd/issuers", a_good_token_says_whose_pod_it_is, a_token_of_others_or_for_others_is_refused,
    a_signature_of_a_key_that_is_not_the_issuers_is_refused, only_what_is_listed_may_join, without_keys_one_is_told_to_come_again,
    another_configuration_keeps_the_keys_of_who_stays, a_key_that_a_url_may_have_by_now_is_asked_for)
