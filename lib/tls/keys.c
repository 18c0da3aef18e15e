/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "tls/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tls/signature.h"
#include "tls/vectors.h"

#define SCALAR_MAX 48  /* P-384 */
#define DER_MAX 8192   /* RSA with 8192 bits, PKCS#8 */
#define PUBLIC_MAX 2048

struct key {
	unsigned int refs;
	enum key_kind kind;
	/* EC: the scalar.  A wolfSSL key object is made of it for every signature: those are not for several threads. */
	uint8_t scalar[SCALAR_MAX];
	size_t scalar_len;
	uint8_t *der; /* owned; other kinds: as it came */
	size_t der_len;
	uint8_t *public; /* owned; SubjectPublicKeyInfo */
	size_t public_len;
};

static bool
is_ec(const struct key *k)
{
	return k->kind == KEY_P256 || k->kind == KEY_P384;
}

struct key *
key_ref(struct key *k)
{
	__atomic_fetch_add(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}

struct key *
key_unref(struct key *k)
{
	if (k == NULL || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	if (k->der != NULL)
		explicit_bzero(k->der, k->der_len);
	free(k->der);
	free(k->public);
	explicit_bzero(k, sizeof(*k));
	free(k);
	return NULL;
}

/* A key with nothing in it but its kind and public half. */
static enum tulle_err
key_alloc(struct key **ret, enum key_kind kind, const uint8_t *public, size_t public_len)
{
	struct key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return TULLE_ENOMEM;
	k->refs = 1;
	k->kind = kind;
	k->public = malloc(public_len);
	if (k->public == NULL) {
		free(k);
		return TULLE_ENOMEM;
	}
	memcpy(k->public, public, public_len);
	k->public_len = public_len;
	*ret = k;
	return TULLE_OK;
}

/* Opens the scalar as a wolfSSL key; the caller calls wc_ecc_free(). */
static int
ec_open(const struct key *k, ecc_key *ec)
{
	int rc = wc_ecc_init(ec);

	if (rc != 0)
		return rc;
	rc = wc_ecc_import_private_key_ex(k->scalar, (word32)k->scalar_len, NULL, 0, ec,
	    k->kind == KEY_P256 ? ECC_SECP256R1 : ECC_SECP384R1);
	if (rc != 0)
		wc_ecc_free(ec);
	return rc;
}

/* Takes over the private and public half of <ec>. */
static enum tulle_err
ec_close(struct key **ret, ecc_key *ec)
{
	uint8_t public[PUBLIC_MAX], scalar[SCALAR_MAX];
	word32 len = sizeof(scalar);
	enum tulle_err e;
	enum key_kind kind;
	int n;

	switch (wc_ecc_get_curve_id(ec->idx)) {
	case ECC_SECP256R1:
		kind = KEY_P256;
		break;
	case ECC_SECP384R1:
		kind = KEY_P384;
		break;
	default:
		return TULLE_EINVAL;
	}
	n = wc_EccPublicKeyToDer(ec, public, sizeof(public), 1);
	if (n <= 0 || wc_ecc_export_private_only(ec, scalar, &len) != 0)
		return TULLE_EINVAL;
	e = key_alloc(ret, kind, public, (size_t)n);
	if (e == TULLE_OK) {
		memcpy((*ret)->scalar, scalar, len);
		(*ret)->scalar_len = len;
	}
	explicit_bzero(scalar, sizeof(scalar));
	return e;
}

enum tulle_err
key_generate(struct key **ret)
{
	enum tulle_err e = TULLE_ECRYPTO;
	WC_RNG rng;
	ecc_key ec;

	if (wc_InitRng(&rng) != 0)
		return TULLE_ECRYPTO;
	if (wc_ecc_init(&ec) == 0) {
		if (wc_ecc_make_key_ex(&rng, 32, &ec, ECC_SECP256R1) == 0)
			e = ec_close(ret, &ec);
		wc_ecc_free(&ec);
	}
	(void)wc_FreeRng(&rng);
	return e;
}

static enum tulle_err
import_ec(struct key **ret, const uint8_t *der, size_t len)
{
	enum tulle_err e = TULLE_EINVAL;
	word32 at = 0;
	WC_RNG rng;
	ecc_key ec;

	if (wc_InitRng(&rng) != 0)
		return TULLE_ECRYPTO;
	if (wc_ecc_init(&ec) == 0) {
		/* The public half is worked out anew: the one in the file may be another key's. */
		if (wc_EccPrivateKeyDecode(der, &at, &ec, (word32)len) == 0 && wc_ecc_make_pub_ex(&ec, NULL, &rng) == 0)
			e = ec_close(ret, &ec);
		wc_ecc_free(&ec);
	}
	(void)wc_FreeRng(&rng);
	return e;
}

/* A key that stays in its own DER: Ed25519 and RSA. */
static enum tulle_err
import_opaque(struct key **ret, enum key_kind kind, const uint8_t *der, size_t len, const uint8_t *public, int n)
{
	enum tulle_err e;

	if (n <= 0)
		return TULLE_EINVAL;
	e = key_alloc(ret, kind, public, (size_t)n);
	if (e != TULLE_OK)
		return e;
	(*ret)->der = malloc(len);
	if ((*ret)->der == NULL) {
		*ret = key_unref(*ret);
		return TULLE_ENOMEM;
	}
	memcpy((*ret)->der, der, len);
	(*ret)->der_len = len;
	return TULLE_OK;
}

static enum tulle_err
import_ed25519(struct key **ret, const uint8_t *der, size_t len)
{
	uint8_t public[PUBLIC_MAX], point[ED25519_PUB_KEY_SIZE];
	ed25519_key key;
	word32 at = 0;
	int n = -1;

	if (wc_ed25519_init(&key) != 0)
		return TULLE_ECRYPTO;
	vectors_clean();
	if (wc_Ed25519PrivateKeyDecode(der, &at, &key, (word32)len) == 0 &&
	    wc_ed25519_make_public(&key, point, sizeof(point)) == 0 &&
	    wc_ed25519_import_public(point, sizeof(point), &key) == 0)
		n = wc_Ed25519PublicKeyToDer(&key, public, sizeof(public), 1);
	wc_ed25519_free(&key);
	return import_opaque(ret, KEY_ED25519, der, len, public, n);
}

static enum tulle_err
import_rsa(struct key **ret, const uint8_t *der, size_t len)
{
	uint8_t public[PUBLIC_MAX];
	RsaKey key;
	word32 at = 0;
	int n = -1;

	if (wc_InitRsaKey(&key, NULL) != 0)
		return TULLE_ECRYPTO;
	if (wc_RsaPrivateKeyDecode(der, &at, &key, (word32)len) == 0)
		n = wc_RsaKeyToPublicDer(&key, public, sizeof(public));
	(void)wc_FreeRsaKey(&key);
	return import_opaque(ret, KEY_RSA, der, len, public, n);
}

enum tulle_err
key_import(struct key **ret, const uint8_t *der, size_t len)
{
	struct key *k = NULL;
	enum tulle_err e;

	if (len == 0 || len > DER_MAX)
		return TULLE_EINVAL;
	e = import_ec(&k, der, len);
	if (e == TULLE_EINVAL)
		e = import_ed25519(&k, der, len);
	if (e == TULLE_EINVAL)
		e = import_rsa(&k, der, len);
	if (e == TULLE_OK)
		*ret = k;
	return e;
}

enum tulle_err
key_import_pem(struct key **ret, const char *pem, size_t len)
{
	enum tulle_err e = TULLE_EINVAL;
	uint8_t *der;
	int n;

	if (len == 0 || len > 2 * DER_MAX)
		return TULLE_EINVAL;
	der = malloc(len);
	if (der == NULL)
		return TULLE_ENOMEM;
	n = wc_KeyPemToDer((const unsigned char *)pem, (int)len, der, (int)len, NULL);
	if (n > 0)
		e = key_import(ret, der, (size_t)n);
	explicit_bzero(der, len);
	free(der);
	return e;
}

enum tulle_err
key_export(const struct key *k, struct buf *out)
{
	enum tulle_err e = TULLE_ECRYPTO;
	uint8_t der[512];
	word32 n = sizeof(der);
	WC_RNG rng;
	ecc_key ec;

	if (!is_ec(k))
		return buf_append(out, k->der, k->der_len);
	if (wc_InitRng(&rng) != 0)
		return TULLE_ECRYPTO;
	if (ec_open(k, &ec) == 0) {
		if (wc_ecc_make_pub_ex(&ec, NULL, &rng) == 0 && wc_EccKeyToPKCS8(&ec, der, &n) > 0)
			e = buf_append(out, der, n);
		wc_ecc_free(&ec);
	}
	explicit_bzero(der, sizeof(der));
	(void)wc_FreeRng(&rng);
	return e;
}

enum tulle_err
key_public(const struct key *k, struct buf *out)
{
	return buf_append(out, k->public, k->public_len);
}

enum key_kind
key_kind(const struct key *k)
{
	return k->kind;
}

bool
key_matches(const struct key *k, const uint8_t *cert, size_t len)
{
	uint8_t public[PUBLIC_MAX];
	word32 n = sizeof(public);

	return wc_GetSubjectPubKeyInfoDerFromCert(cert, (word32)len, public, &n) == 0 && n == k->public_len &&
	    memcmp(public, k->public, n) == 0;
}

int
key_sig_type(const struct key *k)
{
	switch (k->kind) {
	case KEY_P256:
		return CTC_SHA256wECDSA;
	case KEY_P384:
		return CTC_SHA384wECDSA;
	case KEY_ED25519:
		return CTC_ED25519;
	case KEY_RSA:
		return CTC_SHA256wRSA;
	}
	return 0;
}

/* <key> is a wolfSSL key of the type ECC_TYPE, ED25519_TYPE or RSA_TYPE. */
static enum tulle_err
sign_with(const struct key *k, int type, void *key, uint8_t *buf, size_t body, size_t size, size_t *ret_len)
{
	WC_RNG rng;
	int n;

	if (wc_InitRng(&rng) != 0)
		return TULLE_ECRYPTO;
	n = wc_SignCert_ex((int)body, key_sig_type(k), buf, (word32)size, type, key, &rng);
	(void)wc_FreeRng(&rng);
	if (n <= 0)
		return TULLE_ECRYPTO;
	*ret_len = (size_t)n;
	return TULLE_OK;
}

enum tulle_err
key_sign_cert(const struct key *k, uint8_t *buf, size_t body, size_t size, size_t *ret_len)
{
	enum tulle_err e = TULLE_ECRYPTO;
	word32 at = 0;

	if (is_ec(k)) {
		ecc_key ec;

		if (ec_open(k, &ec) != 0)
			return TULLE_ECRYPTO;
		e = sign_with(k, ECC_TYPE, &ec, buf, body, size, ret_len);
		wc_ecc_free(&ec);
	} else if (k->kind == KEY_ED25519) {
		uint8_t point[ED25519_PUB_KEY_SIZE];
		ed25519_key ed;

		if (wc_ed25519_init(&ed) != 0)
			return TULLE_ECRYPTO;
		vectors_clean();
		if (wc_Ed25519PrivateKeyDecode(k->der, &at, &ed, (word32)k->der_len) == 0 &&
		    wc_ed25519_make_public(&ed, point, sizeof(point)) == 0 &&
		    wc_ed25519_import_public(point, sizeof(point), &ed) == 0)
			e = sign_with(k, ED25519_TYPE, &ed, buf, body, size, ret_len);
		wc_ed25519_free(&ed);
	} else {
		RsaKey rsa;

		if (wc_InitRsaKey(&rsa, NULL) != 0)
			return TULLE_ECRYPTO;
		if (wc_RsaPrivateKeyDecode(k->der, &at, &rsa, (word32)k->der_len) == 0)
			e = sign_with(k, RSA_TYPE, &rsa, buf, body, size, ret_len);
		(void)wc_FreeRsaKey(&rsa);
	}
	return e;
}

static int
sign_ec(const struct key *k, const uint8_t hash[SIGNATURE_HASH], uint8_t *out, word32 *len, WC_RNG *rng)
{
	ecc_key ec;
	int rc = ec_open(k, &ec);

	if (rc != 0)
		return rc;
	rc = wc_ecc_sign_hash(hash, SIGNATURE_HASH, out, len, rng, &ec);
	wc_ecc_free(&ec);
	return rc;
}

static int
sign_ed25519(const struct key *k, const void *p, size_t n, uint8_t *out, word32 *len)
{
	uint8_t point[ED25519_PUB_KEY_SIZE];
	ed25519_key ed;
	word32 at = 0;
	int rc = wc_ed25519_init(&ed);

	if (rc != 0)
		return rc;
	vectors_clean();
	rc = wc_Ed25519PrivateKeyDecode(k->der, &at, &ed, (word32)k->der_len);
	if (rc == 0)
		rc = wc_ed25519_make_public(&ed, point, sizeof(point));
	if (rc == 0)
		rc = wc_ed25519_import_public(point, sizeof(point), &ed);
	if (rc == 0)
		rc = wc_ed25519_sign_msg(p, (word32)n, out, len, &ed);
	wc_ed25519_free(&ed);
	return rc;
}

static int
sign_rsa(const struct key *k, const uint8_t hash[SIGNATURE_HASH], uint8_t *out, word32 *len, WC_RNG *rng)
{
	uint8_t info[SIGNATURE_INFO];
	word32 at = 0, info_len = wc_EncodeSignature(info, hash, SIGNATURE_HASH, SHA256h);
	RsaKey rsa;
	int rc = wc_InitRsaKey(&rsa, NULL);

	if (rc != 0)
		return rc;
	rc = wc_RsaPrivateKeyDecode(k->der, &at, &rsa, (word32)k->der_len);
	if (rc == 0)
		rc = wc_RsaSetRNG(&rsa, rng); /* for blinding */
	if (rc == 0)
		rc = wc_RsaSSL_Sign(info, info_len, out, *len, &rsa, rng);
	(void)wc_FreeRsaKey(&rsa);
	if (rc > 0)
		*len = (word32)rc;
	return rc > 0 ? 0 : -1;
}

enum tulle_err
key_sign(const struct key *k, const void *p, size_t n, struct buf *out)
{
	uint8_t hash[SIGNATURE_HASH], signature[SIGNATURE_MAX];
	word32 len = sizeof(signature);
	WC_RNG rng;
	int rc;

	if (n > UINT32_MAX || wc_Sha256Hash(p, (word32)n, hash) != 0 || wc_InitRng(&rng) != 0)
		return TULLE_ECRYPTO;
	if (is_ec(k))
		rc = sign_ec(k, hash, signature, &len, &rng);
	else if (k->kind == KEY_ED25519)
		rc = sign_ed25519(k, p, n, signature, &len);
	else
		rc = sign_rsa(k, hash, signature, &len, &rng);
	(void)wc_FreeRng(&rng);
	return rc == 0 ? buf_append(out, signature, len) : TULLE_ECRYPTO;
}

/* wolfSSL's CallbackEccSign: the context has a certificate and no key. */
static int
sign_handshake(WOLFSSL *ssl, const unsigned char *hash, unsigned int hash_len, unsigned char *out, word32 *out_len,
    const unsigned char *no_key, unsigned int no_key_len, void *arg)
{
	const struct key *k = arg;
	ecc_key ec;
	int rc;

	(void)no_key;
	(void)no_key_len;
	if (k == NULL || !is_ec(k))
		return BAD_FUNC_ARG;
	rc = ec_open(k, &ec);
	if (rc != 0)
		return rc;
	rc = wc_ecc_sign_hash(hash, hash_len, out, out_len, wolfSSL_GetRNG(ssl), &ec);
	wc_ecc_free(&ec);
	return rc;
}

enum tulle_err
key_install(struct key *k, WOLFSSL_CTX *ctx)
{
	wolfSSL_CTX_SetEccSignCb(ctx, sign_handshake);
	if (is_ec(k)) {
		wolfSSL_CTX_SetEccSignCtx(ctx, k);
		return TULLE_OK;
	}
	if (wolfSSL_CTX_use_PrivateKey_buffer(ctx, k->der, (long)k->der_len, WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS)
		return TULLE_ECRYPTO;
	return TULLE_OK;
}

enum tulle_err
key_install_session(struct key *k, WOLFSSL *ssl)
{
	if (!is_ec(k))
		return TULLE_ECRYPTO;
	wolfSSL_SetEccSignCtx(ssl, k);
	return TULLE_OK;
}
