/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key sets: what is taken has at least one key; no key of one makes an empty signature good. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jwt/intern.h"
#include "jwt/jwks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t zeros[JWK_RSA_MAX];
	char why[JWT_WHY] = "";
	struct jwks *s = NULL;

	if (jwks_parse(&s, (const char *)data, len, why) != TULLE_OK) {
		if (s != NULL)
			abort();
		return 0;
	}
	if (jwks_usable(s) == 0 || jwks_usable(s) > JWKS_KEYS_MAX)
		abort();
	for (size_t i = 0; i < s->n; i++) {
		const struct jwk *k = &s->items[i];
		const size_t n = k->kind == JWK_RSA ? k->a_len : 2 * k->a_len;

		for (unsigned int alg = JWT_RS256; alg <= JWT_ES384; alg <<= 1)
			if ((k->algs & alg) != 0 && jwk_verify(k, (enum jwt_alg)alg, "x", 1, zeros, n) == TULLE_OK)
				abort();
	}
	jwks_free(s);
	return 0;
}
