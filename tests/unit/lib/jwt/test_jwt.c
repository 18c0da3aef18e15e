/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/jwt: signatures by the vectors of the RFCs, and what tokens are made to look like by those who have no key. */
#include "signer.h"

#include "jwt/intern.h"
#include "jwt/jwks.h"
#include "jwt/jwt.h"
#include "unit.h"

#define NOW 1700000000
#define CLAIMS "{\"iss\":\"https://issuer\",\"aud\":[\"other\",\"tulle\"],\"iat\":1699999000,\"nbf\":1699999000,\"exp\":1700002600}"

static struct signer signer;
static struct jwks *keys;

/* The issuer's set: an RSA key that is for anything, one that is for RS256 alone, and one of each curve. */
static void
setup(void)
{
	char why[JWT_WHY] = "";
	char *rsa, *strict, *p256, *p384, *set;

	signer_start(&signer, 2048);
	rsa = signer_jwk(&signer, "RSA", "rsa", "");
	strict = signer_jwk(&signer, "RSA", "strict", ",\"alg\":\"RS256\",\"use\":\"sig\"");
	p256 = signer_jwk(&signer, "P-256", "p256", "");
	p384 = signer_jwk(&signer, "P-384", "p384", "");
	ck_assert_int_ne(asprintf(&set, "{\"keys\":[%s,%s,%s,%s]}", rsa, strict, p256, p384), -1);
	ck_assert_msg(jwks_parse(&keys, set, strlen(set), why) == TULLE_OK, "%s", why);
	free(rsa);
	free(strict);
	free(p256);
	free(p384);
	free(set);
}

static void
teardown(void)
{
	keys = jwks_free(keys);
	signer_stop(&signer);
}

/* All three steps; why[] says where it ended. */
static enum tulle_err
judge(const char *token, char why[JWT_WHY])
{
	struct jwt *t;
	enum tulle_err e = jwt_parse(&t, token, strlen(token), why);

	if (e)
		return e;
	e = jwt_verify(t, keys, why);
	if (e == TULLE_OK)
		e = jwt_check(t, &(struct jwt_rules){ .issuer = "https://issuer", .audience = "tulle", .now = NOW }, why);
	jwt_free(t);
	return e;
}

static enum tulle_err
judge_made(enum signer_how how, const char *header, const char *claims, char why[JWT_WHY])
{
	char *token = signer_token(&signer, how, header, claims);
	enum tulle_err e = judge(token, why);

	free(token);
	return e;
}

/* ---- vectors ---- */

static void
bytes(uint8_t *out, size_t max, size_t *ret_len, const char *text)
{
	ck_assert_int_eq(text_unbase64url(text, strlen(text), out, max, ret_len), TULLE_OK);
}

static enum tulle_err
vector(struct jwk *k, enum jwt_alg alg, const char *input, const char *signature)
{
	uint8_t s[512];
	size_t n;

	bytes(s, sizeof(s), &n, signature);
	return jwk_verify(k, alg, input, strlen(input), s, n);
}

#define PAYLOAD ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

START_TEST(the_signatures_of_rfc_7515_are_good)
{
	struct jwk rsa = { .kind = JWK_RSA, .algs = JWT_RS256 }, ec = { .kind = JWK_P256, .algs = JWT_ES256 };

	/* A.2 */
	bytes(rsa.a, sizeof(rsa.a), &rsa.a_len,
	    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs"
	    "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV"
	    "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ");
	bytes(rsa.b, sizeof(rsa.b), &rsa.b_len, "AQAB");
	ck_assert(jwk_plausible(&rsa));
	ck_assert_int_eq(vector(&rsa, JWT_RS256, "eyJhbGciOiJSUzI1NiJ9" PAYLOAD,
	                     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU"
	                     "Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d"
	                     "O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig"
	                     "cN_IoypGlUPQGe77Rw"),
	    TULLE_OK);
	/* A.3 */
	bytes(ec.a, 32, &ec.a_len, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
	bytes(ec.b, 32, &ec.b_len, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
	ck_assert(jwk_plausible(&ec));
	ck_assert_int_eq(vector(&ec, JWT_ES256, "eyJhbGciOiJFUzI1NiJ9" PAYLOAD,
	                     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
	    TULLE_OK);
	/* One bit of what is signed. */
	ck_assert_int_eq(vector(&ec, JWT_ES256, "fyJhbGciOiJFUzI1NiJ9" PAYLOAD,
	                     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
	    TULLE_EDENIED);
}
END_TEST

START_TEST(each_algorithm_with_a_key_of_its_kind_is_good)
{
	char why[JWT_WHY] = "";

	setup();
	ck_assert_msg(judge_made(SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS, why) == TULLE_OK, "%s", why);
	ck_assert_msg(judge_made(SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"strict\",\"typ\":\"jwt\"}", CLAIMS, why) == TULLE_OK, "%s", why);
	ck_assert_msg(judge_made(SIGN_PS256, "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", CLAIMS, why) == TULLE_OK, "%s", why);
	ck_assert_msg(judge_made(SIGN_ES256, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", CLAIMS, why) == TULLE_OK, "%s", why);
	ck_assert_msg(judge_made(SIGN_ES384, "{\"alg\":\"ES384\",\"kid\":\"p384\"}", CLAIMS, why) == TULLE_OK, "%s", why);
	teardown();
}
END_TEST

/* ---- attacks on the header and the signature ---- */

static const struct {
	enum signer_how how;
	const char *header;
	enum tulle_err e;
	const char *why; /* part of it */
} headers[] = {
	{ SIGN_RS256, "{\"alg\":\"none\",\"kid\":\"rsa\"}", TULLE_EINVAL, "its algorithm is \"none\"" },
	{ SIGN_RS256, "{\"alg\":\"nOnE\",\"kid\":\"rsa\"}", TULLE_EINVAL, "its algorithm is \"nOnE\"" },
	{ SIGN_HS256_PUBLIC, "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", TULLE_EINVAL, "its algorithm is \"HS256\"" },
	{ SIGN_HS256_PUBLIC, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", TULLE_EDENIED, "its signature is not" },
	{ SIGN_RS256, "{\"alg\":\"RS512\",\"kid\":\"rsa\"}", TULLE_EINVAL, "its algorithm is \"RS512\"" },
	{ SIGN_RS256, "{\"alg\":\"rs256\",\"kid\":\"rsa\"}", TULLE_EINVAL, "its algorithm is \"rs256\"" },
	{ SIGN_RS256, "{\"alg\":256,\"kid\":\"rsa\"}", TULLE_EINVAL, "no \"alg\"" },
	{ SIGN_RS256, "{\"kid\":\"rsa\"}", TULLE_EINVAL, "no \"alg\"" },
	/* Another algorithm than the key is for. */
	{ SIGN_PS256, "{\"alg\":\"PS256\",\"kid\":\"strict\"}", TULLE_EDENIED, "the key \"strict\" is not for that" },
	{ SIGN_PS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", TULLE_EDENIED, "its signature is not" },
	{ SIGN_RS256, "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", TULLE_EDENIED, "its signature is not" },
	{ SIGN_ES256, "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", TULLE_EDENIED, "the key \"rsa\" is not for that" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"p256\"}", TULLE_EDENIED, "the key \"p256\" is not for that" },
	{ SIGN_ES256, "{\"alg\":\"ES384\",\"kid\":\"p256\"}", TULLE_EDENIED, "the key \"p256\" is not for that" },
	/* Another key than the one that is named. */
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"gone\"}", TULLE_ENOENT, "kid \"gone\"" },
	{ SIGN_RS256, "{\"alg\":\"RS256\"}", TULLE_EINVAL, "no \"kid\"" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"\"}", TULLE_EINVAL, "no \"kid\"" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":7}", TULLE_EINVAL, "no \"kid\"" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"kid\":\"rsa\"}", TULLE_EINVAL, "each member stands once" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"gone\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"},\"jku\":\"https://me\"}", TULLE_ENOENT, "kid" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"exp\"],\"exp\":1}", TULLE_EINVAL, "\"crit\"" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":null}", TULLE_EINVAL, "\"crit\"" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"at+jwt\"}", TULLE_EINVAL, "another purpose" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":1}", TULLE_EINVAL, "another purpose" },
	{ SIGN_RS256, "[\"alg\",\"RS256\"]", TULLE_EINVAL, "its header is not a JSON object" },
	{ SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\"} x", TULLE_EINVAL, "its header is not a JSON object" },
	/* A signature in another form. */
	{ SIGN_ES256_DER, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", TULLE_EDENIED, "its signature is not" },
};

START_TEST(a_header_that_lies_is_refused)
{
	setup();
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		char why[JWT_WHY] = "";
		enum tulle_err e = judge_made(headers[i].how, headers[i].header, CLAIMS, why);

		ck_assert_msg(e == headers[i].e && strstr(why, headers[i].why) != NULL, "%s: %d, %s", headers[i].header, e, why);
	}
	teardown();
}
END_TEST

START_TEST(every_flipped_bit_of_a_token_is_noticed)
{
	char *token, why[JWT_WHY];

	setup();
	token = signer_token(&signer, SIGN_ES256, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", CLAIMS);
	ck_assert_int_eq(judge(token, why), TULLE_OK);
	for (size_t i = 0; i < strlen(token); i++)
		for (int bit = 0; bit < 8; bit++) {
			token[i] = (char)(token[i] ^ (1 << bit));
			ck_assert_msg(judge(token, why) != TULLE_OK, "byte %zu, bit %d", i, bit);
			token[i] = (char)(token[i] ^ (1 << bit));
		}
	free(token);
	teardown();
}
END_TEST

START_TEST(a_form_that_is_not_quite_right_is_refused)
{
	char *good, *bad, why[JWT_WHY];
	const char *signature;
	size_t n;

	setup();
	good = signer_token(&signer, SIGN_RS256, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS);
	n = strlen(good);
	signature = strrchr(good, '.') + 1;
	const char *const formats[] = { "%s.", "%s=", "%s==", "%s\n", " %s", ".%s", "%s.%s" };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		ck_assert_int_ne(asprintf(&bad, formats[i], good, signature), -1);
#pragma GCC diagnostic pop
		ck_assert_msg(judge(bad, why) == TULLE_EINVAL, "%s", formats[i]);
		free(bad);
	}
	/* Without its signature, with half of it, with one that is too long. */
	for (size_t cut = (size_t)(signature - good); cut < n; cut += 40) {
		bad = strndup(good, cut);
		ck_assert_int_ne(judge(bad, why), TULLE_OK);
		free(bad);
	}
	ck_assert_int_ne(asprintf(&bad, "%sAAAA%s%s%s", good, signature, signature, signature), -1);
	ck_assert_int_eq(judge(bad, why), TULLE_EINVAL);
	free(bad);
	ck_assert_int_eq(judge("", why), TULLE_EINVAL);
	ck_assert_int_eq(judge("..", why), TULLE_EINVAL);
	bad = malloc(JWT_BYTES_MAX + 2);
	memset(bad, 'A', JWT_BYTES_MAX + 1);
	bad[JWT_BYTES_MAX + 1] = '\0';
	ck_assert_int_eq(judge(bad, why), TULLE_ELIMIT);
	free(bad);
	free(good);
	teardown();
}
END_TEST

/* ---- claims ---- */

static const struct {
	const char *claims, *why; /* NULL: good */
} claims[] = {
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1700002600}", NULL },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000.5,\"exp\":1700002600.9}", NULL },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1699999941}", NULL }, /* within the leeway */
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1699999940}", "it has expired, 60 seconds ago" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1700000060,\"exp\":1700002600}", NULL },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1700000061,\"exp\":1700002600}", "not yet valid, for 61 seconds" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1,\"nbf\":1700000061,\"exp\":1700002600}", "not yet valid" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000}", "no \"exp\"" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"exp\":1700002600}", "no \"iat\"" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1700085401}", "at most 86400 are accepted" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999990,\"exp\":1699999990}", "it was made for 0 seconds" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":\"1700002600\"}", "not a time" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1e300}", "not a time" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":-1,\"exp\":1700002600}", "not a time" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":9223372036854775807}", "not a time" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1700002600,\"exp\":1}", "each member stands once" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"vault\",\"iat\":1699999000,\"exp\":1700002600}", "for audience \"vault\", not \"tulle\"" },
	{ "{\"iss\":\"https://issuer\",\"aud\":[\"a\",\"b\"],\"iat\":1699999000,\"exp\":1700002600}", "for audience \"a\" and others" },
	{ "{\"iss\":\"https://issuer\",\"aud\":[],\"iat\":1699999000,\"exp\":1700002600}", "for audience nobody" },
	{ "{\"iss\":\"https://issuer\",\"aud\":[\"tulle\",1],\"iat\":1699999000,\"exp\":1700002600}", "for audience" },
	{ "{\"iss\":\"https://issuer\",\"aud\":{\"tulle\":1},\"iat\":1699999000,\"exp\":1700002600}", "for audience nobody" },
	{ "{\"iss\":\"https://issuer\",\"iat\":1699999000,\"exp\":1700002600}", "for audience nobody" },
	{ "{\"iss\":\"https://issuer/\",\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1700002600}", "its issuer is \"https://issuer/\"" },
	{ "{\"iss\":[\"https://issuer\"],\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1700002600}", "its issuer is \"\"" },
	{ "{\"aud\":\"tulle\",\"iat\":1699999000,\"exp\":1700002600}", "its issuer is \"\"" },
	{ "{\"iss\":\"https://issuer\",\"aud\":\"tulle\\u0000x\",\"iat\":1699999000,\"exp\":1700002600}", "its payload is not a JSON object" },
	{ "\"claims\"", "its payload is not a JSON object" },
};

START_TEST(claims_are_judged_to_the_letter_and_the_second)
{
	setup();
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		char why[JWT_WHY] = "";
		enum tulle_err e = judge_made(SIGN_ES256, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", claims[i].claims, why);

		if (claims[i].why == NULL)
			ck_assert_msg(e == TULLE_OK, "%s: %s", claims[i].claims, why);
		else
			ck_assert_msg(e != TULLE_OK && strstr(why, claims[i].why) != NULL, "%s: %s", claims[i].claims, why);
	}
	teardown();
}
END_TEST

UNIT_MAIN("jwt", the_signatures_of_rfc_7515_are_good, each_algorithm_with_a_key_of_its_kind_is_good,
    a_header_that_lies_is_refused, every_flipped_bit_of_a_token_is_noticed, a_form_that_is_not_quite_right_is_refused,
    claims_are_judged_to_the_letter_and_the_second)
