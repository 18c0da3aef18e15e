/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hash.h>

#include "tls/svid.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tls/der.h"

static const struct {
	const char *name;
	const char *phrase;
} reasons[SVID_REASONS] = {
	[SVID_OK] = { "ok", "the certificate is good" },
	[SVID_NO_CERTIFICATE] = { "no_certificate", "the peer showed no certificate" },
	[SVID_MALFORMED] = { "malformed", "the certificate cannot be read" },
	[SVID_NO_URI_SAN] = { "no_uri_san", "the certificate has no URI name (XV-02)" },
	[SVID_TWO_URI_SANS] = { "two_uri_sans", "the certificate has more than one URI name (XV-02)" },
	[SVID_IS_CA] = { "is_ca", "a CA certificate is no identity (XV-03)" },
	[SVID_KEY_USAGE] = { "key_usage", "the certificate's key may sign certificates, or may not sign handshakes (XV-04, XV-08)" },
	[SVID_BAD_ID] = { "bad_id", "the URI name is not a SPIFFE ID (XV-05)" },
	[SVID_ROOT_PATH] = { "root_path", "the SPIFFE ID names a trust domain, not a workload (XV-05)" },
	[SVID_EKU] = { "eku", "the certificate is not for this side of TLS (XV-09)" },
	[SVID_EXPIRED] = { "expired", "the certificate has expired" },
	[SVID_NOT_YET_VALID] = { "not_yet_valid", "the certificate is not valid yet: compare the clocks" },
	[SVID_UNKNOWN_TRUST_DOMAIN] = { "unknown_trust_domain", "there is no bundle for the peer's trust domain (XV-06)" },
	[SVID_UNKNOWN_CA] = { "unknown_ca", "no root of the peer's own trust domain signed this chain (XV-01)" },
	[SVID_BAD_SIGNATURE] = { "bad_signature", "a signature in the chain is wrong" },
	[SVID_BAD_INTERMEDIATE] = { "bad_intermediate", "an intermediate certificate may not stand where it does" },
	[SVID_CHAIN_TOO_DEEP] = { "chain_too_deep", "the chain has too many certificates or bytes (XV-11)" },
	[SVID_UNEXPECTED_ID] = { "unexpected_id", "the peer is somebody else than expected" },
	[SVID_ROOT_PIN] = { "root_pin", "the chain brings no root with the pinned key" },
	[SVID_OTHER] = { "other", "the TLS library refused the certificate" },
};

const char *
svid_reason_name(enum svid_reason r)
{
	return (unsigned int)r < SVID_REASONS ? reasons[r].name : "other";
}

const char *
svid_reason_phrase(enum svid_reason r)
{
	return (unsigned int)r < SVID_REASONS ? reasons[r].phrase : reasons[SVID_OTHER].phrase;
}

/* <n> decimal digits, -1 if one is none. */
static int
digits(const uint8_t *p, int n)
{
	int v = 0;

	while (n-- > 0) {
		if (*p < '0' || *p > '9')
			return -1;
		v = v * 10 + (*p++ - '0');
	}
	return v;
}

/* UTCTime "YYMMDDhhmmssZ" or GeneralizedTime "YYYYMMDDhhmmssZ", with tag and length (RFC 5280 4.1.2.5). */
static enum tulle_err
read_time(const uint8_t *p, int len, int64_t *ret)
{
	struct tm tm = { 0 };
	int year;

	if (len == 15 && p[0] == ASN_UTC_TIME && p[1] == 13) {
		year = digits(p + 2, 2);
		year = year < 0 ? -1 : year + (year < 50 ? 2000 : 1900);
		p += 4;
	} else if (len == 17 && p[0] == ASN_GENERALIZED_TIME && p[1] == 15) {
		year = digits(p + 2, 4);
		p += 6;
	} else {
		return TULLE_EINVAL;
	}
	tm.tm_mon = digits(p, 2) - 1;
	tm.tm_mday = digits(p + 2, 2);
	tm.tm_hour = digits(p + 4, 2);
	tm.tm_min = digits(p + 6, 2);
	tm.tm_sec = digits(p + 8, 2);
	if (year < 0 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
	    tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60 || p[10] != 'Z')
		return TULLE_EINVAL;
	tm.tm_year = year - 1900;
	*ret = timegm(&tm);
	return TULLE_OK;
}

static enum tulle_err
read_decoded(struct svid_facts *f, const DecodedCert *dc)
{
	struct spiffe_id id;

	if (read_time(dc->beforeDate, dc->beforeDateLen, &f->not_before) != TULLE_OK ||
	    read_time(dc->afterDate, dc->afterDateLen, &f->not_after) != TULLE_OK)
		return TULLE_EINVAL;
	if (dc->serialSz > 0 && (size_t)dc->serialSz * 2 < sizeof(f->serial))
		(void)text_hex(dc->serial, (size_t)dc->serialSz, f->serial);
	for (const DNS_entry *n = dc->altNames; n != NULL; n = n->next) {
		if (n->type != ASN_URI_TYPE)
			continue;
		f->uri_sans++;
		/* The length rules; there may be a NUL inside. */
		if (f->uri_sans == 1 && spiffe_parse(&id, n->name, (size_t)n->len) == TULLE_OK) {
			memcpy(f->id, n->name, id.len);
			f->id_len = id.len;
		}
	}
	if (f->uri_sans > 1) {
		memset(f->id, 0, f->id_len);
		f->id_len = 0;
	}
	f->is_ca = dc->isCA;
	f->has_key_usage = dc->extKeyUsageSet;
	f->digital_signature = (dc->extKeyUsage & KEYUSE_DIGITAL_SIG) != 0;
	f->key_cert_sign = (dc->extKeyUsage & KEYUSE_KEY_CERT_SIGN) != 0;
	f->crl_sign = (dc->extKeyUsage & KEYUSE_CRL_SIGN) != 0;
	f->has_eku = dc->extExtKeyUsageSet;
	f->server_auth = (dc->extExtKeyUsage & (EXTKEYUSE_SERVER_AUTH | EXTKEYUSE_ANY)) != 0;
	f->client_auth = (dc->extExtKeyUsage & (EXTKEYUSE_CLIENT_AUTH | EXTKEYUSE_ANY)) != 0;
	return TULLE_OK;
}

enum tulle_err
svid_read(struct svid_facts *ret, const uint8_t *der, size_t len)
{
	DecodedCert AUTO_FREE *dc = NULL;
	struct der one;
	size_t n;
	enum tulle_err e;
	int rc;

	if (der_split(der, len, &one, 1, &n) != TULLE_OK)
		return TULLE_EINVAL;
	dc = malloc(sizeof(*dc)); /* over 2 KB: not for a thread's stack */
	if (dc == NULL)
		return TULLE_ENOMEM;
	wc_InitDecodedCert(dc, der, (word32)len, NULL);
	rc = wc_ParseCert(dc, CERT_TYPE, NO_VERIFY, NULL);
	/*
	 * A key usage of keyCertSign without cA comes back as an error, but all
	 * fields are there; svid_check_leaf() refuses it under its own name.
	 */
	if (rc != 0 && rc != KEYUSAGE_E) {
		e = rc == MEMORY_E ? TULLE_ENOMEM : TULLE_EINVAL;
	} else {
		struct svid_facts facts = { 0 };

		e = read_decoded(&facts, dc);
		if (e == TULLE_OK)
			*ret = facts;
	}
	wc_FreeDecodedCert(dc);
	return e;
}

enum svid_reason
svid_check_leaf(const struct svid_facts *f, enum svid_role role, int64_t now)
{
	struct spiffe_id id;

	if (f->uri_sans == 0)
		return SVID_NO_URI_SAN;
	if (f->uri_sans > 1)
		return SVID_TWO_URI_SANS;
	if (f->is_ca)
		return SVID_IS_CA;
	if (f->key_cert_sign || f->crl_sign || (f->has_key_usage && !f->digital_signature))
		return SVID_KEY_USAGE;
	if (spiffe_parse(&id, f->id, f->id_len) != TULLE_OK)
		return SVID_BAD_ID;
	if (id.path_len == 0)
		return SVID_ROOT_PATH;
	if (f->has_eku && ((role == SVID_TLS_SERVER && !f->server_auth) || (role == SVID_TLS_CLIENT && !f->client_auth)))
		return SVID_EKU;
	if (now < f->not_before)
		return SVID_NOT_YET_VALID;
	if (now > f->not_after)
		return SVID_EXPIRED;
	return SVID_OK;
}

enum tulle_err
svid_key_hash(const uint8_t *der, size_t len, uint8_t ret[SVID_HASH])
{
	uint8_t spki[2048]; /* RSA with 8192 bits takes 1,062 */
	word32 n = sizeof(spki);
	struct der one;
	size_t count;

	if (der_split(der, len, &one, 1, &count) != TULLE_OK ||
	    wc_GetSubjectPubKeyInfoDerFromCert(der, (word32)len, spki, &n) != 0 ||
	    wc_Sha256Hash(spki, n, ret) != 0)
		return TULLE_EINVAL;
	return TULLE_OK;
}
