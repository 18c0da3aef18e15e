/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: certd */
/* Tokens of strangers: nothing that was not signed is ever taken, and every refusal has a reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authority/pods.h"
#include "jwt/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define KEYS                                                                                                          \
	"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\"," \
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}]}"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[JWT_WHY] = "";
	struct jwks *keys = NULL;
	struct jwt *t = NULL;
	struct pod pod;

	if (jwt_parse(&t, (const char *)data, len, why) != TULLE_OK) {
		if (why[0] == '\0' || t != NULL)
			abort();
		return 0;
	}
	if (jwks_parse(&keys, KEYS, strlen(KEYS), why) != TULLE_OK || jwt_verify(t, keys, why) == TULLE_OK)
		abort();
	/* Behind the signature, as if it had been good. */
	why[0] = '\0';
	if (jwt_check(t, &(struct jwt_rules){ .issuer = jwt_issuer(t), .audience = "tulle", .now = 1700000000 }, why) != TULLE_OK &&
	    why[0] == '\0')
		abort();
	why[0] = '\0';
	if (pod_read(&pod, jwt_claims(t), why) != TULLE_OK ? why[0] == '\0' : pod.namespace[0] == '\0' || pod.account[0] == '\0')
		abort();
	jwt_free(t);
	jwks_free(keys);
	return 0;
}
