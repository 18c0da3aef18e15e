/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "store/crypt.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/cleanup.h"

#define NONCE 12
#define TAG 16

enum tulle_err
crypt_random(void *out, size_t n)
{
	uint8_t *p = out;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return TULLE_ECRYPTO;
		p += got;
		n -= (size_t)got;
	}
	return TULLE_OK;
}

enum tulle_err
crypt_hash(uint8_t ret[CRYPT_HASH], const void *p, size_t n)
{
	return wc_Sha256Hash(p, (word32)n, ret) == 0 ? TULLE_OK : TULLE_ECRYPTO;
}

enum tulle_err
crypt_mac(uint8_t ret[CRYPT_HASH], const uint8_t key[CRYPT_KEY], const struct crypt_piece *pieces, size_t n)
{
	Hmac hmac;
	uint8_t mac[CRYPT_HASH];
	int rc;

	if (wc_HmacInit(&hmac, NULL, INVALID_DEVID) != 0)
		return TULLE_ECRYPTO;
	rc = wc_HmacSetKey(&hmac, WC_SHA256, key, CRYPT_KEY);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (pieces[i].len > 0)
			rc = wc_HmacUpdate(&hmac, pieces[i].p, (word32)pieces[i].len);
	if (rc == 0)
		rc = wc_HmacFinal(&hmac, mac);
	wc_HmacFree(&hmac);
	if (rc != 0)
		return TULLE_ECRYPTO;
	memcpy(ret, mac, sizeof(mac));
	return TULLE_OK;
}

enum tulle_err
crypt_derive(uint8_t ret[CRYPT_KEY], const void *secret, size_t len, const char *label)
{
	return wc_HKDF(WC_SHA256, secret, (word32)len, NULL, 0, (const byte *)label, (word32)strlen(label), ret,
	           CRYPT_KEY) == 0
	    ? TULLE_OK
	    : TULLE_ECRYPTO;
}

bool
crypt_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= (uint8_t)(x[i] ^ y[i]);
	return differ == 0;
}

/* An Aes is big and holds the key schedule: heap, wiped. */
static Aes *
aes_new(const uint8_t key[CRYPT_KEY])
{
	Aes *aes = calloc(1, sizeof(*aes));

	if (aes == NULL)
		return NULL;
	if (wc_AesInit(aes, NULL, INVALID_DEVID) != 0) {
		free(aes);
		return NULL;
	}
	if (wc_AesGcmSetKey(aes, key, CRYPT_KEY) != 0) {
		wc_AesFree(aes);
		free(aes);
		return NULL;
	}
	return aes;
}

static void
aes_free(Aes *aes)
{
	wc_AesFree(aes);
	explicit_bzero(aes, sizeof(*aes));
	free(aes);
}

enum tulle_err
crypt_seal(struct buf *out, const uint8_t key[CRYPT_KEY], const char *label, const void *p, size_t n)
{
	uint8_t *to;
	enum tulle_err e = buf_reserve(out, n + CRYPT_OVERHEAD, &to);
	Aes *aes;
	int rc;

	if (e)
		return e;
	e = crypt_random(to, NONCE);
	if (e)
		return e;
	aes = aes_new(key);
	if (aes == NULL)
		return TULLE_ECRYPTO;
	rc = wc_AesGcmEncrypt(aes, to + NONCE, p, (word32)n, to, NONCE, to + NONCE + n, TAG, (const byte *)label,
	    (word32)strlen(label));
	aes_free(aes);
	if (rc != 0)
		return TULLE_ECRYPTO;
	buf_commit(out, n + CRYPT_OVERHEAD);
	return TULLE_OK;
}

enum tulle_err
crypt_open(struct buf *out, const uint8_t key[CRYPT_KEY], const char *label, const void *p, size_t n)
{
	const uint8_t *from = p;
	size_t plain;
	uint8_t *to;
	enum tulle_err e;
	Aes *aes;
	int rc;

	if (n < CRYPT_OVERHEAD)
		return TULLE_EINVAL;
	plain = n - CRYPT_OVERHEAD;
	e = buf_reserve(out, plain + 1, &to); /* one more: room for nothing is no pointer */
	if (e)
		return e;
	aes = aes_new(key);
	if (aes == NULL)
		return TULLE_ECRYPTO;
	rc = wc_AesGcmDecrypt(aes, to, from + NONCE, (word32)plain, from, NONCE, from + NONCE + plain, TAG,
	    (const byte *)label, (word32)strlen(label));
	aes_free(aes);
	if (rc != 0)
		return TULLE_EINVAL;
	buf_commit(out, plain);
	return TULLE_OK;
}
