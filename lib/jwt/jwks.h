/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jwks.h - public keys that sign tokens: a JSON Web Key Set (RFC 7517), as
 * an OpenID provider, such as a Kubernetes API server, serves it (pure).
 *
 * What a key may be used for is decided here, from the key alone: a token's
 * header never chooses an algorithm that its key does not name or imply.
 * Keys that no token of ours can be signed with (symmetric ones, encryption
 * keys, other curves, RSA below 2048 bits) are left out and counted.
 */
#ifndef TULLE_JWT_JWKS_H
#define TULLE_JWT_JWKS_H

#include <stddef.h>

#include "base/err.h"

#define JWKS_BYTES_MAX (256u << 10)
#define JWKS_KEYS_MAX 64
#define JWT_WHY 200 /* a reason in words */

struct jwks;

/*
 * Reads a key set.  At least one key must be usable, and no two usable ones
 * may have the same "kid": which of them is meant could not be told.
 *
 *   TULLE_OK      *ret is the caller's
 *   TULLE_EINVAL  not such a set; <why> says what is wrong with it
 *   TULLE_ELIMIT  more than JWKS_BYTES_MAX bytes or JWKS_KEYS_MAX keys; <why>
 *   TULLE_ENOMEM
 */
enum tulle_err jwks_parse(struct jwks **ret, const char *text, size_t len, char why[JWT_WHY]);

/* Takes NULL.  Always returns NULL. */
struct jwks *jwks_free(struct jwks *s);

/* How many keys can be used, and how many were left out. */
size_t jwks_usable(const struct jwks *s);
size_t jwks_left_out(const struct jwks *s);

#endif
