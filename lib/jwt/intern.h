/* SPDX-License-Identifier: GPL-3.0-or-later */
/* intern.h - what the files of lib/jwt share. */
#ifndef TULLE_JWT_INTERN_H
#define TULLE_JWT_INTERN_H

#include <jansson.h>
#include <stdint.h>

#include "jwt/jwt.h"

enum jwk_kind { JWK_RSA, JWK_P256, JWK_P384 };

/* Bits of a set: what one key may be used for. */
enum jwt_alg { JWT_RS256 = 1 << 0, JWT_PS256 = 1 << 1, JWT_ES256 = 1 << 2, JWT_ES384 = 1 << 3 };

#define JWK_RSA_MIN 256 /* bytes of the modulus: 2048 bits */
#define JWK_RSA_MAX 512
#define JWK_EXPONENT_MAX 4

struct jwk {
	char kid[JWT_KID_MAX + 1];
	enum jwk_kind kind;
	unsigned int algs;     /* enum jwt_alg, or'ed */
	uint8_t a[JWK_RSA_MAX]; /* modulus, or x */
	size_t a_len;
	uint8_t b[48];          /* exponent, or y */
	size_t b_len;
};

struct jwks {
	struct jwk *items; /* owned */
	size_t n, left_out;
};

struct jwt {
	json_t *header, *claims; /* owned */
	char *input;             /* owned: header.payload, what is signed */
	size_t input_len;
	uint8_t signature[JWK_RSA_MAX];
	size_t signature_len;
};

/* 0: none that we know. */
unsigned int jwt_alg_of(const char *name);

/*
 * Is <signature> over the bytes <p> this key's, by <alg>, one of the key's own?
 * TULLE_OK, TULLE_EDENIED (it is not), TULLE_ENOMEM, TULLE_ECRYPTO.
 */
enum tulle_err jwk_verify(const struct jwk *k, enum jwt_alg alg, const void *p, size_t n, const uint8_t *signature,
    size_t len);

/* Is the public key itself possible: an odd exponent above 1, a point on the curve? */
int jwk_plausible(const struct jwk *k);

#endif
