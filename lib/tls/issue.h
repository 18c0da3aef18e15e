/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * issue.h - making certificates and requests: the bytes.  What may be
 * issued to whom is certd's business; it, the start-up self-test and the
 * tests all build their certificates here, as X509-SVID 2 to 4 want them.
 */
#ifndef TULLE_TLS_ISSUE_H
#define TULLE_TLS_ISSUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "tls/keys.h"

#define ISSUE_URIS_MAX 4

/* Key usages and extended key usages to put in. */
enum issue_usage {
	ISSUE_DIGITAL_SIGNATURE = 1 << 0,
	ISSUE_KEY_CERT_SIGN = 1 << 1,
	ISSUE_CRL_SIGN = 1 << 2,
	ISSUE_SERVER_AUTH = 1 << 3,
	ISSUE_CLIENT_AUTH = 1 << 4,
};

/* What to write.  Nothing is checked against SPIFFE's rules: the tests make bad ones on purpose. */
struct issue {
	const char *organization; /* subject O and CN; NULL: none.  Without a subject the names are critical. */
	const char *common_name;
	const char *uris[ISSUE_URIS_MAX]; /* up to the first NULL */
	const char *dns;                  /* one DNS name; NULL: none */
	bool ca;
	int path_len;       /* of a CA; -1: no limit */
	unsigned int usage; /* enum issue_usage, or'ed */
	int64_t not_before; /* seconds since the epoch */
	int64_t not_after;
	const uint8_t *public_key; /* DER SubjectPublicKeyInfo (P-256) of the subject; lent */
	size_t public_key_len;
};

/* The usual ones: XI-04 to XI-11. */
#define ISSUE_LEAF_USAGE (ISSUE_DIGITAL_SIGNATURE | ISSUE_SERVER_AUTH | ISSUE_CLIENT_AUTH)
#define ISSUE_CA_USAGE (ISSUE_KEY_CERT_SIGN | ISSUE_CRL_SIGN)

/*
 * Appends one DER certificate: random 16-byte serial, subject key id,
 * authority key id.  <issuer> is the CA certificate that belongs to
 * <signer>; NULL makes a self-signed one.
 *
 *   TULLE_EINVAL   a field cannot be written
 *   TULLE_ECRYPTO  the library refused
 *   TULLE_ELIMIT, TULLE_ENOMEM
 */
enum tulle_err issue_cert(struct buf *out, const struct issue *what, const uint8_t *issuer, size_t issuer_len,
    const struct key *signer);

/* Appends a DER PKCS#10 request for the SPIFFE ID <uri>, signed by <k>. */
enum tulle_err issue_request(struct buf *out, const char *uri, const struct key *k);

#define ISSUE_PUBLIC_KEY_MAX 128

/* What a request asks for, once its own signature has been checked. */
struct issue_request {
	char uri[2049];
	uint8_t public_key[ISSUE_PUBLIC_KEY_MAX]; /* DER SubjectPublicKeyInfo, P-256 */
	size_t public_key_len;
};

/* TULLE_EINVAL: malformed, forged, not P-256, or not exactly one URI name.  TULLE_ENOMEM. */
enum tulle_err issue_request_read(struct issue_request *ret, const uint8_t *der, size_t len);

#endif
