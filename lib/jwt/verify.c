/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify.c - signatures of tokens (RFC 7518 section 3), with wolfCrypt; the only file here that sees it. */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "jwt/intern.h"

#define DIGEST_MAX 48
#define DIGEST_INFO_MAX (DIGEST_MAX + 32)

static enum tulle_err
outcome(int rc)
{
	return rc == MEMORY_E ? TULLE_ENOMEM : TULLE_EDENIED;
}

/* ---- RSA ---- */

/* RFC 8017 8.2.2: the whole of what was signed is made anew and compared; nothing is parsed out of it. */
static enum tulle_err
verify_rs256(RsaKey *key, const uint8_t *digest, const uint8_t *signature, size_t len)
{
	uint8_t wanted[DIGEST_INFO_MAX], got[JWK_RSA_MAX];
	word32 n = wc_EncodeSignature(wanted, digest, 32, SHA256h);
	int rc = wc_RsaSSL_Verify(signature, (word32)len, got, sizeof(got), key);

	if (rc < 0)
		return outcome(rc);
	return (word32)rc == n && memcmp(got, wanted, n) == 0 ? TULLE_OK : TULLE_EDENIED;
}

static enum tulle_err
verify_ps256(RsaKey *key, const uint8_t *digest, const uint8_t *signature, size_t len)
{
	uint8_t got[JWK_RSA_MAX];
	/* A salt as long as the digest: RFC 7518 3.5. */
	int rc = wc_RsaPSS_VerifyCheck(signature, (word32)len, got, sizeof(got), digest, 32, WC_HASH_TYPE_SHA256, WC_MGF1SHA256,
	    key);

	return rc < 0 ? outcome(rc) : TULLE_OK;
}

static enum tulle_err
verify_rsa(const struct jwk *k, enum jwt_alg alg, const uint8_t *digest, const uint8_t *signature, size_t len)
{
	RsaKey key;
	enum tulle_err e;
	int rc;

	if (len != k->a_len) /* exactly the modulus's length: no leading zeros more or less */
		return TULLE_EDENIED;
	if (wc_InitRsaKey(&key, NULL) != 0)
		return TULLE_ENOMEM;
	rc = wc_RsaPublicKeyDecodeRaw(k->a, (word32)k->a_len, k->b, (word32)k->b_len, &key);
	if (rc != 0)
		e = outcome(rc);
	else if (alg == JWT_RS256)
		e = verify_rs256(&key, digest, signature, len);
	else
		e = verify_ps256(&key, digest, signature, len);
	(void)wc_FreeRsaKey(&key);
	return e;
}

/* ---- ECDSA ---- */

static int
curve_of(const struct jwk *k)
{
	return k->kind == JWK_P256 ? ECC_SECP256R1 : ECC_SECP384R1;
}

/* RFC 7518 3.4: r and s in a row, each of the curve's length; never DER. */
static enum tulle_err
verify_ec(const struct jwk *k, const uint8_t *digest, size_t digest_len, const uint8_t *signature, size_t len)
{
	const size_t half = k->a_len;
	uint8_t der[2 * DIGEST_MAX + 32];
	word32 der_len = sizeof(der);
	ecc_key key;
	int rc, good = 0;

	if (len != 2 * half)
		return TULLE_EDENIED;
	if (wc_ecc_init(&key) != 0)
		return TULLE_ENOMEM;
	rc = wc_ecc_import_unsigned(&key, k->a, k->b, NULL, curve_of(k));
	if (rc == 0)
		rc = wc_ecc_rs_raw_to_sig(signature, (word32)half, signature + half, (word32)half, der, &der_len);
	if (rc == 0)
		rc = wc_ecc_verify_hash(der, der_len, digest, (word32)digest_len, &good, &key);
	wc_ecc_free(&key);
	return rc == 0 && good == 1 ? TULLE_OK : outcome(rc);
}

/* ---- all ---- */

enum tulle_err
jwk_verify(const struct jwk *k, enum jwt_alg alg, const void *p, size_t n, const uint8_t *signature, size_t len)
{
	uint8_t digest[DIGEST_MAX];
	const bool big = alg == JWT_ES384;
	const size_t digest_len = big ? 48 : 32;

	if (wc_Hash(big ? WC_HASH_TYPE_SHA384 : WC_HASH_TYPE_SHA256, p, (word32)n, digest, (word32)digest_len) != 0)
		return TULLE_ECRYPTO;
	if (k->kind == JWK_RSA)
		return verify_rsa(k, alg, digest, signature, len);
	return verify_ec(k, digest, digest_len, signature, len);
}

int
jwk_plausible(const struct jwk *k)
{
	ecc_key key;
	int rc;

	if (k->kind == JWK_RSA) /* without leading zeros; an exponent of 1 would make every text its own signature */
		return k->a_len >= JWK_RSA_MIN && (k->a_len > JWK_RSA_MIN || (k->a[0] & 0x80) != 0) && (k->a[k->a_len - 1] & 1) != 0 &&
		    (k->b[k->b_len - 1] & 1) != 0 && (k->b_len > 1 || k->b[0] > 1);
	if (wc_ecc_init(&key) != 0)
		return 0;
	rc = wc_ecc_import_unsigned(&key, k->a, k->b, NULL, curve_of(k));
	if (rc == 0)
		rc = wc_ecc_check_key(&key);
	wc_ecc_free(&key);
	return rc == 0;
}
