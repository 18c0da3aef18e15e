/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * signature.h - signatures over bytes that are no certificate, by the key of
 * one (keys.h makes them), and SHA-256 over pieces.  Pure.
 */
#ifndef TULLE_TLS_SIGNATURE_H
#define TULLE_TLS_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SIGNATURE_MAX 1024 /* bytes: RSA with 8192 bits */
#define SIGNATURE_HASH 32  /* SHA-256 */
#define SIGNATURE_INFO 64  /* room for the hash as PKCS#1 wraps it */

/*
 * Did the key of the certificate <cert> (DER) sign these <n> bytes?  The
 * certificate is not judged: neither its dates nor who vouches for it.
 *
 *   TULLE_OK
 *   TULLE_EDENIED  it did not
 *   TULLE_EINVAL   not a certificate, or a key of a kind that cannot sign here
 *   TULLE_ENOMEM
 */
enum tulle_err signature_check(const uint8_t *cert, size_t cert_len, const void *p, size_t n, const uint8_t *signature,
    size_t signature_len);

struct signature_piece {
	const void *p; /* lent */
	size_t len;
};

/* SHA-256 over the pieces in a row.  TULLE_ECRYPTO. */
enum tulle_err signature_hash(uint8_t ret[SIGNATURE_HASH], const struct signature_piece *pieces, size_t n);

#endif
