/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "tls/signature.h"

#include <string.h>

#include "tls/vectors.h"

#define PUBLIC_MAX 2048

/* The key of the certificate, as DER SubjectPublicKeyInfo. */
struct public {
	uint8_t der[PUBLIC_MAX];
	word32 len;
};

/* Each says TULLE_EINVAL if the key is not of its kind. */

static enum tulle_err
check_ec(const struct public *k, const uint8_t hash[SIGNATURE_HASH], const uint8_t *signature, size_t len)
{
	enum tulle_err e = TULLE_EINVAL;
	word32 at = 0;
	int good = 0;
	ecc_key ec;

	if (wc_ecc_init(&ec) != 0)
		return TULLE_ENOMEM;
	if (wc_EccPublicKeyDecode(k->der, &at, &ec, k->len) == 0)
		e = wc_ecc_verify_hash(signature, (word32)len, hash, SIGNATURE_HASH, &good, &ec) == 0 && good == 1 ? TULLE_OK :
		                                                                                                     TULLE_EDENIED;
	wc_ecc_free(&ec);
	return e;
}

static enum tulle_err
check_ed25519(const struct public *k, const void *p, size_t n, const uint8_t *signature, size_t len)
{
	enum tulle_err e = TULLE_EINVAL;
	word32 at = 0;
	int good = 0;
	ed25519_key ed;

	if (wc_ed25519_init(&ed) != 0)
		return TULLE_ENOMEM;
	vectors_clean();
	if (wc_Ed25519PublicKeyDecode(k->der, &at, &ed, k->len) == 0)
		e = wc_ed25519_verify_msg(signature, (word32)len, p, (word32)n, &good, &ed) == 0 && good == 1 ? TULLE_OK : TULLE_EDENIED;
	wc_ed25519_free(&ed);
	return e;
}

static enum tulle_err
check_rsa(const struct public *k, const uint8_t hash[SIGNATURE_HASH], const uint8_t *signature, size_t len)
{
	uint8_t wanted[SIGNATURE_INFO], found[SIGNATURE_MAX];
	const word32 n = wc_EncodeSignature(wanted, hash, SIGNATURE_HASH, SHA256h);
	enum tulle_err e = TULLE_EINVAL;
	word32 at = 0;
	RsaKey rsa;

	if (wc_InitRsaKey(&rsa, NULL) != 0)
		return TULLE_ENOMEM;
	if (wc_RsaPublicKeyDecode(k->der, &at, &rsa, k->len) == 0) {
		const int got = wc_RsaSSL_Verify(signature, (word32)len, found, sizeof(found), &rsa);

		e = got > 0 && (word32)got == n && memcmp(found, wanted, n) == 0 ? TULLE_OK : TULLE_EDENIED;
	}
	(void)wc_FreeRsaKey(&rsa);
	return e;
}

enum tulle_err
signature_check(const uint8_t *cert, size_t cert_len, const void *p, size_t n, const uint8_t *signature, size_t signature_len)
{
	struct public k = { .len = sizeof(k.der) };
	uint8_t hash[SIGNATURE_HASH];
	enum tulle_err e;

	if (n > UINT32_MAX || cert_len > UINT32_MAX ||
	    wc_GetSubjectPubKeyInfoDerFromCert(cert, (word32)cert_len, k.der, &k.len) != 0)
		return TULLE_EINVAL;
	if (signature_len == 0 || signature_len > SIGNATURE_MAX)
		return TULLE_EDENIED;
	if (wc_Sha256Hash(p, (word32)n, hash) != 0)
		return TULLE_ENOMEM;
	e = check_ec(&k, hash, signature, signature_len);
	if (e == TULLE_EINVAL)
		e = check_ed25519(&k, p, n, signature, signature_len);
	if (e == TULLE_EINVAL)
		e = check_rsa(&k, hash, signature, signature_len);
	return e;
}

enum tulle_err
signature_hash(uint8_t ret[SIGNATURE_HASH], const struct signature_piece *pieces, size_t n)
{
	wc_Sha256 sha;
	int rc = wc_InitSha256(&sha);

	if (rc != 0)
		return TULLE_ECRYPTO;
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (pieces[i].len > 0)
			rc = wc_Sha256Update(&sha, pieces[i].p, (word32)pieces[i].len);
	if (rc == 0)
		rc = wc_Sha256Final(&sha, ret);
	wc_Sha256Free(&sha);
	return rc == 0 ? TULLE_OK : TULLE_ECRYPTO;
}
