/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * signer.h - an issuer for tests: it signs whatever it is told to, good or
 * bad, and prints its public keys as a key set.
 */
#ifndef TULLE_TESTS_SIGNER_H
#define TULLE_TESTS_SIGNER_H

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/sha256.h>
#include <wolfssl/wolfcrypt/sha512.h>

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct signer {
	WC_RNG rng;
	RsaKey rsa;
	ecc_key p256, p384;
};

static inline void
signer_start(struct signer *s, int bits)
{
	ck_assert_int_eq(wc_InitRng(&s->rng), 0);
	ck_assert_int_eq(wc_InitRsaKey(&s->rsa, NULL), 0);
	ck_assert_int_eq(wc_MakeRsaKey(&s->rsa, bits, 65537, &s->rng), 0);
	ck_assert_int_eq(wc_RsaSetRNG(&s->rsa, &s->rng), 0);
	ck_assert_int_eq(wc_ecc_init(&s->p256), 0);
	ck_assert_int_eq(wc_ecc_make_key_ex(&s->rng, 32, &s->p256, ECC_SECP256R1), 0);
	ck_assert_int_eq(wc_ecc_init(&s->p384), 0);
	ck_assert_int_eq(wc_ecc_make_key_ex(&s->rng, 48, &s->p384, ECC_SECP384R1), 0);
}

static inline void
signer_stop(struct signer *s)
{
	wc_ecc_free(&s->p256);
	wc_ecc_free(&s->p384);
	(void)wc_FreeRsaKey(&s->rsa);
	(void)wc_FreeRng(&s->rng);
}

/* Base64url of a text, the caller's. */
static inline char *
b64(const void *p, size_t n)
{
	char *out = malloc(TEXT_BASE64URL(n));

	return text_base64url(p, n, out);
}

/* The public key called <kid>, as a JWK; <more> goes into it.  The caller's. */
static inline char *
signer_jwk(struct signer *s, const char *kind, const char *kid, const char *more)
{
	uint8_t a[512], b[48];
	word32 a_len = sizeof(a), b_len = sizeof(b);
	char *x, *y, *out = NULL;

	if (strcmp(kind, "RSA") == 0)
		ck_assert_int_eq(wc_RsaFlattenPublicKey(&s->rsa, b, &b_len, a, &a_len), 0);
	else
		ck_assert_int_eq(wc_ecc_export_public_raw(strcmp(kind, "P-256") == 0 ? &s->p256 : &s->p384, a, &a_len, b, &b_len), 0);
	x = b64(a, a_len);
	y = b64(b, b_len);
	if (strcmp(kind, "RSA") == 0)
		ck_assert_int_ne(asprintf(&out, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"%s}", kid, x, y, more), -1);
	else
		ck_assert_int_ne(asprintf(&out, "{\"kty\":\"EC\",\"crv\":\"%s\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"%s}", kind, kid,
		    x, y, more), -1);
	free(x);
	free(y);
	return out;
}

enum signer_how { SIGN_RS256, SIGN_PS256, SIGN_ES256, SIGN_ES384, SIGN_ES256_DER, SIGN_HS256_PUBLIC };

static inline size_t
signer_ec(struct signer *s, ecc_key *k, const uint8_t *digest, word32 n, bool raw, uint8_t out[512])
{
	uint8_t der[150];
	word32 len = sizeof(der), half = (word32)wc_ecc_size(k), r_len = half, s_len = half;
	uint8_t r[48] = { 0 }, t[48] = { 0 };

	ck_assert_int_eq(wc_ecc_sign_hash(digest, n, der, &len, &s->rng, k), 0);
	if (!raw) {
		memcpy(out, der, len);
		return len;
	}
	ck_assert_int_eq(wc_ecc_sig_to_rs(der, len, r, &r_len, t, &s_len), 0);
	memset(out, 0, 2 * half);
	memcpy(out + half - r_len, r, r_len);
	memcpy(out + 2 * half - s_len, t, s_len);
	return 2 * half;
}

/* HMAC with the public key's DER as its secret: what a verifier that believes the header would compute itself. */
static inline size_t
signer_hmac(struct signer *s, const char *input, uint8_t out[512])
{
	uint8_t der[600];
	int len = wc_RsaKeyToPublicDer(&s->rsa, der, sizeof(der));
	Hmac h;

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(wc_HmacInit(&h, NULL, INVALID_DEVID), 0);
	ck_assert_int_eq(wc_HmacSetKey(&h, WC_SHA256, der, (word32)len), 0);
	ck_assert_int_eq(wc_HmacUpdate(&h, (const uint8_t *)input, (word32)strlen(input)), 0);
	ck_assert_int_eq(wc_HmacFinal(&h, out), 0);
	wc_HmacFree(&h);
	return 32;
}

static inline size_t
signer_sign(struct signer *s, enum signer_how how, const char *input, uint8_t out[512])
{
	uint8_t d[48], info[80];
	const word32 n = (word32)strlen(input);
	int len = -1;

	ck_assert_int_eq(how == SIGN_ES384 ? wc_Sha384Hash((const uint8_t *)input, n, d) : wc_Sha256Hash((const uint8_t *)input, n, d), 0);
	switch (how) {
	case SIGN_RS256:
		len = wc_RsaSSL_Sign(info, wc_EncodeSignature(info, d, 32, SHA256h), out, 512, &s->rsa, &s->rng);
		break;
	case SIGN_PS256:
		len = wc_RsaPSS_Sign(d, 32, out, 512, WC_HASH_TYPE_SHA256, WC_MGF1SHA256, &s->rsa, &s->rng);
		break;
	case SIGN_ES256:
		return signer_ec(s, &s->p256, d, 32, true, out);
	case SIGN_ES384:
		return signer_ec(s, &s->p384, d, 48, true, out);
	case SIGN_ES256_DER:
		return signer_ec(s, &s->p256, d, 32, false, out);
	case SIGN_HS256_PUBLIC:
		return signer_hmac(s, input, out);
	}
	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

/* A token of these texts; the caller's. */
static inline char *
signer_token(struct signer *s, enum signer_how how, const char *header, const char *claims)
{
	char *h = b64(header, strlen(header)), *c = b64(claims, strlen(claims)), *input = NULL, *out = NULL, *end;
	uint8_t signature[512];

	ck_assert_int_ne(asprintf(&input, "%s.%s", h, c), -1);
	end = b64(signature, signer_sign(s, how, input, signature));
	ck_assert_int_ne(asprintf(&out, "%s.%s", input, end), -1);
	free(h);
	free(c);
	free(input);
	free(end);
	return out;
}

#endif
