/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * crypt.h - the few primitives that certd needs beside certificates:
 * randomness, hashes, proofs, and sealing of files.  Thread safe.
 */
#ifndef TULLE_CERTD_STORE_CRYPT_H
#define TULLE_CERTD_STORE_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CRYPT_HASH 32
#define CRYPT_KEY 32

struct crypt_piece {
	const void *p; /* lent */
	size_t len;
};

/* <n> bytes that nobody can guess.  TULLE_ECRYPTO: no randomness, which is never to be worked around. */
enum tulle_err crypt_random(void *out, size_t n);

/* SHA-256.  TULLE_ECRYPTO. */
enum tulle_err crypt_hash(uint8_t ret[CRYPT_HASH], const void *p, size_t n);

/* HMAC-SHA-256 over the pieces in a row.  TULLE_ECRYPTO. */
enum tulle_err crypt_mac(uint8_t ret[CRYPT_HASH], const uint8_t key[CRYPT_KEY], const struct crypt_piece *pieces,
    size_t n);

/* HKDF-SHA-256 (RFC 5869): a key for one purpose, named by <label>, out of <secret>.  TULLE_ECRYPTO. */
enum tulle_err crypt_derive(uint8_t ret[CRYPT_KEY], const void *secret, size_t len, const char *label);

/* Compares in a time that does not depend on the content. */
bool crypt_equal(const void *a, const void *b, size_t n);

/* What crypt_seal() adds. */
#define CRYPT_OVERHEAD (12 + 16)

/*
 * Appends <n> bytes under AES-256-GCM: random nonce, ciphertext, tag.
 * <label> is authenticated too and must be the same when opening.
 * TULLE_ECRYPTO, and what buf_append() says.
 */
enum tulle_err crypt_seal(struct buf *out, const uint8_t key[CRYPT_KEY], const char *label, const void *p, size_t n);

/* Appends what crypt_seal() got.  TULLE_EINVAL: not sealed by this key and label, or changed since. */
enum tulle_err crypt_open(struct buf *out, const uint8_t key[CRYPT_KEY], const char *label, const void *p, size_t n);

#endif
