/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * late.h - how a node whose certificate has expired proves that it is still
 * the same node: a certificate request that its old key signs, with a name
 * that fits only this new request on only this connection.
 */
#ifndef TULLE_CERTD_AUTHORITY_LATE_H
#define TULLE_CERTD_AUTHORITY_LATE_H

#include <stddef.h>
#include <stdint.h>

#include "authority/token.h"
#include "base/buf.h"
#include "base/err.h"
#include "tls/keys.h"
#include "tls/svid.h"

/* Appends the voucher for <csr>.  TULLE_ECRYPTO, TULLE_EINVAL, TULLE_ENOMEM. */
enum tulle_err late_voucher(struct buf *out, const char *td, const uint8_t *csr, size_t csr_len,
    const uint8_t exporter[TOKEN_EXPORTER], const struct key *old);

/* Checks one; *ret is the hash of the key that signed it.  TULLE_EINVAL: not a voucher for this. */
enum tulle_err late_check(const uint8_t *voucher, size_t len, const char *td, const uint8_t *csr, size_t csr_len,
    const uint8_t exporter[TOKEN_EXPORTER], uint8_t ret[SVID_HASH]);

#endif
