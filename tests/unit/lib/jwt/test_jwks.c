/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/jwt: which keys of a set are taken, and which sets are not. */
#include "signer.h"

#include "jwt/jwks.h"
#include "unit.h"

/* RFC 7517 A.1 */
#define EC_1 \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\"," \
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"use\":\"%s\",\"kid\":\"%s\"}"
#define RSA_1 \
	"{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi" \
	"FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91" \
	"CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\"," \
	"\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}"

static size_t
count(const char *text, size_t *ret_left_out)
{
	struct jwks *s = NULL;
	char why[JWT_WHY] = "";
	size_t n = 0;

	if (jwks_parse(&s, text, strlen(text), why) == TULLE_OK) {
		n = jwks_usable(s);
		*ret_left_out = jwks_left_out(s);
	} else {
		ck_assert_ptr_null(s);
		ck_assert_str_ne(why, "");
	}
	jwks_free(s);
	return n;
}

START_TEST(the_keys_of_rfc_7517_are_read_if_they_sign)
{
	char *text;
	size_t left;

	ck_assert_int_ne(asprintf(&text, "{\"keys\":[" EC_1 "," RSA_1 "]}", "enc", "1"), -1); /* as it stands there */
	ck_assert_uint_eq(count(text, &left), 1);
	ck_assert_uint_eq(left, 1);
	free(text);
	ck_assert_int_ne(asprintf(&text, "{\"keys\":[" EC_1 "," RSA_1 "],\"more\":1}", "sig", "1"), -1);
	ck_assert_uint_eq(count(text, &left), 2);
	free(text);
	ck_assert_int_ne(asprintf(&text, "{\"keys\":[" EC_1 "," RSA_1 "]}", "sig", "2011-04-29"), -1); /* whose is it? */
	ck_assert_uint_eq(count(text, &left), 0);
	free(text);
}
END_TEST

/* Each is left out beside a good one. */
static const char *const useless[] = {
	"{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"x\"}",
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"kid\":\"x\"}",
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\",\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}",
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\",\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyI\",\"kid\":\"x\"}", /* not on the curve */
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7A\",\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"kid\":\"x\"}", /* too short */
	"{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\",\"kid\":\"x\"}",
	"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"kid\":\"x\"}",
	"{\"kty\":\"RSA\",\"kid\":\"x\"}",
	"{\"kid\":\"x\"}",
	"{}",
};

START_TEST(keys_that_cannot_sign_for_us_are_left_out)
{
	char *text;
	size_t left;

	for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
		ck_assert_int_ne(asprintf(&text, "{\"keys\":[%s," RSA_1 "]}", useless[i]), -1);
		ck_assert_msg(count(text, &left) == 1 && left == 1, "%s", useless[i]);
		free(text);
	}
}
END_TEST

/* The key of RFC 7517 with another exponent (1 would make every text its own signature), and a modulus that is a bit too short. */
START_TEST(a_weak_rsa_key_is_left_out)
{
	static const char *const exponents[] = { "AQ", "AA", "AQAA", "AQAAAAE" }; /* 1, 0, even, of 33 bits */
	uint8_t modulus[257];
	char *text, *at, *jwk, *n;
	size_t left;

	for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
		ck_assert_int_ne(asprintf(&text, "{\"keys\":[" RSA_1 "]}"), -1);
		at = strstr(text, "\"e\":\"AQAB\"");
		ck_assert_int_ne(asprintf(&jwk, "%.*s\"e\":\"%s\"%s", (int)(at - text), text, exponents[i], at + 10), -1);
		ck_assert_msg(count(jwk, &left) == 0, "%s", exponents[i]);
		free(jwk);
		free(text);
	}
	memset(modulus, 0xff, sizeof(modulus));
	modulus[1] = 0x7f; /* 2047 bits, and a leading zero that does not count */
	modulus[0] = 0;
	n = b64(modulus, sizeof(modulus));
	ck_assert_int_ne(asprintf(&text, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\",\"kid\":\"x\"}," RSA_1 "]}", n), -1);
	ck_assert_uint_eq(count(text, &left), 1);
	ck_assert_uint_eq(left, 1);
	free(text);
	free(n);
}
END_TEST

START_TEST(what_is_no_key_set_is_refused_with_a_reason)
{
	static const char *const bad[] = { "", "{", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[1]}", "{\"keys\":[],\"keys\":[]}",
		"{\"keys\":[{}]}" };
	size_t left;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(count(bad[i], &left) == 0, "%s", bad[i]);
}
END_TEST

START_TEST(a_set_has_bounds)
{
	struct jwks *s = NULL;
	char why[JWT_WHY] = "";
	char *text = malloc(JWKS_BYTES_MAX + 2);
	size_t at = 0;

	at += (size_t)sprintf(text, "{\"keys\":[{}");
	for (int i = 0; i < JWKS_KEYS_MAX; i++)
		at += (size_t)sprintf(text + at, ",{}");
	at += (size_t)sprintf(text + at, "]}");
	ck_assert_int_eq(jwks_parse(&s, text, at, why), TULLE_ELIMIT);
	memset(text, ' ', JWKS_BYTES_MAX + 1);
	ck_assert_int_eq(jwks_parse(&s, text, JWKS_BYTES_MAX + 1, why), TULLE_ELIMIT);
	free(text);
}
END_TEST

UNIT_MAIN("jwks", the_keys_of_rfc_7517_are_read_if_they_sign, keys_that_cannot_sign_for_us_are_left_out, a_weak_rsa_key_is_left_out,
    what_is_no_key_set_is_refused_with_a_reason, a_set_has_bounds)
