/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * svid.h - what a certificate says, and the rules for an X.509-SVID leaf.
 *
 * The rules are X509-SVID 2, 4.1, 4.3 and 5.2 (doc/rules.md, XV-02 to
 * XV-09).  wolfSSL itself accepts two URI SANs and a CA certificate as a
 * peer: these checks are what refuses them.
 */
#ifndef TULLE_TLS_SVID_H
#define TULLE_TLS_SVID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tls/spiffe.h"

/* Why a peer's certificate was refused; the names are for logs and counters. */
enum svid_reason {
	SVID_OK = 0,
	SVID_NO_CERTIFICATE,       /* the peer sent none and one is required */
	SVID_MALFORMED,            /* not a certificate, or beyond the size bounds */
	SVID_NO_URI_SAN,           /* XV-02 */
	SVID_TWO_URI_SANS,         /* XV-02: two or more */
	SVID_IS_CA,                /* XV-03, XV-07 */
	SVID_KEY_USAGE,            /* XV-04, XV-08 */
	SVID_BAD_ID,               /* XV-05: not a SPIFFE ID */
	SVID_ROOT_PATH,            /* XV-05: names a trust domain, not a workload */
	SVID_EKU,                  /* XV-09 */
	SVID_EXPIRED,
	SVID_NOT_YET_VALID,
	SVID_UNKNOWN_TRUST_DOMAIN, /* XV-06: no bundle for it */
	SVID_UNKNOWN_CA,           /* no path to a root of the leaf's trust domain */
	SVID_BAD_SIGNATURE,
	SVID_BAD_INTERMEDIATE,     /* not a CA, expired, or of another trust domain */
	SVID_CHAIN_TOO_DEEP,       /* XV-11 */
	SVID_UNEXPECTED_ID,        /* a good SVID, but of somebody else */
	SVID_ROOT_PIN,             /* no root with the pinned key */
	SVID_OTHER                 /* out of memory, or a refusal of the library without a better name */
};
#define SVID_REASONS (SVID_OTHER + 1) /* how many there are */

/* "two_uri_sans": for a label or a field.  Never NULL. */
const char *svid_reason_name(enum svid_reason r);

/* "the certificate has more than one URI name (XV-02)": for people.  Never NULL. */
const char *svid_reason_phrase(enum svid_reason r);

/* Which end of a connection showed the certificate. */
enum svid_role { SVID_ANY_ROLE, SVID_TLS_SERVER, SVID_TLS_CLIENT };

#define SVID_SERIAL 41 /* 20 bytes in hexadecimal and a NUL */
#define SVID_HASH 32   /* SHA-256 */

/* What one certificate says about itself.  2.2 KB; a value, nothing inside to free. */
struct svid_facts {
	char id[SPIFFE_ID_MAX + 1]; /* the URI name if there is exactly one that fits, else "" */
	size_t id_len;
	unsigned int uri_sans;
	char serial[SVID_SERIAL]; /* lower-case hexadecimal */
	int64_t not_before;       /* seconds since the epoch */
	int64_t not_after;
	bool is_ca;
	bool has_key_usage;
	bool digital_signature;
	bool key_cert_sign;
	bool crl_sign;
	bool has_eku;
	bool server_auth;
	bool client_auth;
};

/*
 * Reads any certificate, a leaf or a CA; no signature is checked.
 * TULLE_EINVAL: not one certificate.  TULLE_ENOMEM.
 */
enum tulle_err svid_read(struct svid_facts *ret, const uint8_t *der, size_t len);

/*
 * The rules that a leaf must keep by itself, at time <now>; the first one
 * broken is the answer.  The chain is trust.h's.  Pure.
 */
enum svid_reason svid_check_leaf(const struct svid_facts *f, enum svid_role role, int64_t now);

/* SHA-256 of a certificate's DER SubjectPublicKeyInfo: what a pin compares.  TULLE_EINVAL. */
enum tulle_err svid_key_hash(const uint8_t *der, size_t len, uint8_t ret[SVID_HASH]);

#endif
