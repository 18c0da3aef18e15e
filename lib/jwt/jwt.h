/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jwt.h - signed tokens: JSON Web Tokens (RFC 7519) in the compact form of
 * RFC 7515, with the rules of RFC 8725 (pure: the time comes in).
 *
 * Three steps, in this order; what a token says is nobody's word before the
 * second:
 *
 *   jwt_parse()   bytes to a structure, strictly
 *   jwt_verify()  the signature, by the one key of the set that it names
 *   jwt_check()   who it is from, whom it is for, and its times
 *
 * RS256 and PS256 with RSA keys from 2048 bits, ES256, ES384.  Nothing else,
 * and never "none".
 */
#ifndef TULLE_JWT_JWT_H
#define TULLE_JWT_JWT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "jwt/jwks.h"

#define JWT_BYTES_MAX 16384
#define JWT_KID_MAX 256
#define JWT_LEEWAY 60             /* seconds that clocks may differ */
#define JWT_LIFE_MAX (24 * 3600)  /* seconds from "iat" to "exp" */

struct jwt;

/*
 * Reads <len> bytes: three parts of base64url without padding, a header with
 * "alg" and "kid" as texts and without "crit", no member of an object twice.
 *
 *   TULLE_OK      *ret is the caller's; nothing of it has been verified
 *   TULLE_EINVAL  not such a token; <why>
 *   TULLE_ELIMIT  longer than JWT_BYTES_MAX; <why>
 *   TULLE_ENOMEM
 */
enum tulle_err jwt_parse(struct jwt **ret, const char *text, size_t len, char why[JWT_WHY]);

/* Takes NULL.  Always returns NULL. */
struct jwt *jwt_free(struct jwt *t);

/*
 * Is it signed by the key of <keys> that its "kid" names?
 *
 *   TULLE_OK
 *   TULLE_ENOENT   there is no such key: a newer set may have it; <why>
 *   TULLE_EDENIED  the signature is not the key's, or the algorithm is not one that the key is for; <why>
 *   TULLE_ENOMEM, TULLE_ECRYPTO
 */
enum tulle_err jwt_verify(const struct jwt *t, const struct jwks *keys, char why[JWT_WHY]);

struct jwt_rules {
	const char *issuer;   /* "iss", to the byte */
	const char *audience; /* must be "aud", or one of it */
	int64_t now;          /* seconds since the epoch */
};

/*
 * From this issuer, for this audience, in force at <now> give or take
 * JWT_LEEWAY, and not made for longer than JWT_LIFE_MAX; "exp" and "iat" must
 * be there.  TULLE_EDENIED with <why>.
 */
enum tulle_err jwt_check(const struct jwt *t, const struct jwt_rules *rules, char why[JWT_WHY]);

/* The claims, an object.  Lent. */
const json_t *jwt_claims(const struct jwt *t);

/* "iss", unverified: to find out whose keys to ask.  "" if there is none.  Lent. */
const char *jwt_issuer(const struct jwt *t);

#endif
