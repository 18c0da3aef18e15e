/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

#include "tls/issue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "tls/der.h"
#include "tls/spiffe.h"

#define NAME_DNS 0x82 /* context tags of GeneralName (RFC 5280 4.2.1.6) */
#define NAME_URI 0x86
#define SERIAL_LEN 16

/* Tag and length of a DER element; 0xffff bytes at most.  Returns where the content goes. */
static uint8_t *
der_head(uint8_t *p, uint8_t tag, size_t len)
{
	*p++ = tag;
	if (len >= 0x100) {
		*p++ = 0x82;
		*p++ = (uint8_t)(len >> 8);
	} else if (len >= 0x80) {
		*p++ = 0x81;
	}
	*p++ = (uint8_t)len;
	return p;
}

static size_t
der_head_len(size_t len)
{
	return len >= 0x100 ? 4 : len >= 0x80 ? 3 : 2;
}

/*
 * Writes the whole SubjectAltName value, SEQUENCE and all: the library takes
 * it as it is and never looks inside.
 */
static enum tulle_err
set_names(Cert *cert, const char *const *uris, const char *dns)
{
	size_t len = 0, n, count = 0;
	uint8_t *p;

	while (count < ISSUE_URIS_MAX && uris[count] != NULL) {
		n = strlen(uris[count++]);
		if (n > 4096)
			return TULLE_EINVAL;
		len += der_head_len(n) + n;
	}
	if (dns != NULL) {
		n = strlen(dns);
		if (n > 253)
			return TULLE_EINVAL;
		len += der_head_len(n) + n;
	}
	if (len == 0)
		return TULLE_OK;
	if (der_head_len(len) + len > sizeof(cert->altNames))
		return TULLE_EINVAL;
	p = der_head(cert->altNames, ASN_SEQUENCE | ASN_CONSTRUCTED, len);
	for (size_t i = 0; i < count; i++) {
		n = strlen(uris[i]);
		p = der_head(p, NAME_URI, n);
		memcpy(p, uris[i], n);
		p += n;
	}
	if (dns != NULL) {
		p = der_head(p, NAME_DNS, strlen(dns));
		memcpy(p, dns, strlen(dns));
		p += strlen(dns);
	}
	cert->altNamesSz = (int)(p - cert->altNames);
	return TULLE_OK;
}

/* To the second, which daysValid cannot say.  Returns the length, 0: beyond year 9999. */
static int
set_date(uint8_t *out, size_t size, int64_t when)
{
	time_t t = (time_t)when;
	char text[24];
	struct tm tm;
	size_t n;

	if (when < 0 || gmtime_r(&t, &tm) == NULL || tm.tm_year > 9999 - 1900)
		return 0;
	if (tm.tm_year >= 50 && tm.tm_year < 150) /* RFC 5280 4.1.2.5: two digits until 2049 */
		n = (size_t)snprintf(text, sizeof(text), "%02d", tm.tm_year % 100);
	else
		n = (size_t)snprintf(text, sizeof(text), "%04d", tm.tm_year + 1900);
	n += strftime(text + n, sizeof(text) - n, "%m%d%H%M%SZ", &tm);
	if (n + 2 > size)
		return 0;
	out[0] = n == 13 ? ASN_UTC_TIME : ASN_GENERALIZED_TIME;
	out[1] = (uint8_t)n;
	memcpy(out + 2, text, n);
	return (int)n + 2;
}

static enum tulle_err
set_name(char *out, size_t size, const char *text)
{
	if (text == NULL)
		return TULLE_OK;
	if (strlen(text) >= size)
		return TULLE_EINVAL;
	memcpy(out, text, strlen(text) + 1);
	return TULLE_OK;
}

static enum tulle_err
set_body(Cert *cert, const struct issue *what)
{
	enum tulle_err e;

	e = set_name(cert->subject.org, sizeof(cert->subject.org), what->organization);
	if (e == TULLE_OK)
		e = set_name(cert->subject.commonName, sizeof(cert->subject.commonName), what->common_name);
	if (e == TULLE_OK)
		e = set_names(cert, what->uris, what->dns);
	if (e != TULLE_OK)
		return e;
	/* RFC 5280 4.1.2.6: where the subject is empty the names are critical. */
	cert->altNamesCrit = what->organization == NULL && what->common_name == NULL;
	cert->beforeDateSz = set_date(cert->beforeDate, sizeof(cert->beforeDate), what->not_before);
	cert->afterDateSz = set_date(cert->afterDate, sizeof(cert->afterDate), what->not_after);
	if (cert->beforeDateSz == 0 || cert->afterDateSz == 0)
		return TULLE_EINVAL;
	/* For a leaf this writes the empty sequence, as DER wants it; isCaSet would write an explicit FALSE. */
	cert->basicConstSet = 1;
	cert->basicConstCrit = 1;
	cert->isCA = what->ca;
	if (what->ca && what->path_len >= 0) {
		if (what->path_len > 127)
			return TULLE_EINVAL;
		cert->pathLenSet = 1;
		cert->pathLen = (uint8_t)what->path_len;
	}
	cert->keyUsage = (word16)(((what->usage & ISSUE_DIGITAL_SIGNATURE) ? KEYUSE_DIGITAL_SIG : 0) |
	    ((what->usage & ISSUE_KEY_CERT_SIGN) ? KEYUSE_KEY_CERT_SIGN : 0) |
	    ((what->usage & ISSUE_CRL_SIGN) ? KEYUSE_CRL_SIGN : 0));
	cert->extKeyUsage = (uint8_t)(((what->usage & ISSUE_SERVER_AUTH) ? EXTKEYUSE_SERVER_AUTH : 0) |
	    ((what->usage & ISSUE_CLIENT_AUTH) ? EXTKEYUSE_CLIENT_AUTH : 0));
	return TULLE_OK;
}

/* Positive, not zero in front: RFC 5280 4.1.2.2, and validators refuse zero. */
static enum tulle_err
set_serial(Cert *cert, WC_RNG *rng)
{
	if (wc_RNG_GenerateBlock(rng, cert->serial, SERIAL_LEN) != 0)
		return TULLE_ECRYPTO;
	cert->serial[0] = (uint8_t)((cert->serial[0] & 0x7f) | 0x40);
	cert->serialSz = SERIAL_LEN;
	return TULLE_OK;
}

/* Makes and signs; room is taken in <out> directly. */
static enum tulle_err
make(struct buf *out, Cert *cert, ecc_key *public, WC_RNG *rng, const struct key *signer)
{
	size_t size = DER_CERT_MAX, len;
	enum tulle_err e;
	uint8_t *room;
	int body;

	e = buf_reserve(out, size, &room);
	if (e != TULLE_OK)
		return e;
	cert->sigType = key_sig_type(signer);
	body = rng != NULL ? wc_MakeCert_ex(cert, room, (word32)size, ECC_TYPE, public, rng)
			   : wc_MakeCertReq_ex(cert, room, (word32)size, ECC_TYPE, public);
	if (body <= 0)
		return TULLE_ECRYPTO;
	e = key_sign_cert(signer, room, (size_t)cert->bodySz, size, &len);
	if (e == TULLE_OK)
		buf_commit(out, len);
	return e;
}

static enum tulle_err
issue_with(struct buf *out, Cert *cert, const struct issue *what, const uint8_t *issuer, size_t issuer_len,
    const struct key *signer, ecc_key *public, WC_RNG *rng)
{
	enum tulle_err e;

	e = set_body(cert, what);
	if (e == TULLE_OK)
		e = set_serial(cert, rng);
	if (e != TULLE_OK)
		return e;
	if (wc_SetSubjectKeyIdFromPublicKey_ex(cert, ECC_TYPE, public) != 0)
		return TULLE_ECRYPTO;
	if (issuer != NULL) {
		if (wc_SetIssuerBuffer(cert, issuer, (int)issuer_len) != 0 ||
		    wc_SetAuthKeyIdFromCert(cert, issuer, (int)issuer_len) != 0)
			return TULLE_EINVAL;
	} else if (wc_SetAuthKeyIdFromPublicKey_ex(cert, ECC_TYPE, public) != 0) {
		return TULLE_ECRYPTO;
	}
	cert->selfSigned = issuer == NULL;
	return make(out, cert, public, rng, signer);
}

enum tulle_err
issue_cert(struct buf *out, const struct issue *what, const uint8_t *issuer, size_t issuer_len,
    const struct key *signer)
{
	enum tulle_err e = TULLE_EINVAL;
	word32 at = 0;
	ecc_key public;
	WC_RNG rng;
	Cert *cert;

	cert = wc_CertNew(NULL); /* over 20 KB */
	if (cert == NULL)
		return TULLE_ENOMEM;
	if (wc_InitRng(&rng) != 0) {
		wc_CertFree(cert);
		return TULLE_ECRYPTO;
	}
	if (wc_ecc_init(&public) == 0) {
		if (wc_EccPublicKeyDecode(what->public_key, &at, &public, (word32)what->public_key_len) == 0)
			e = issue_with(out, cert, what, issuer, issuer_len, signer, &public, &rng);
		wc_ecc_free(&public);
	}
	(void)wc_FreeRng(&rng);
	wc_CertFree(cert);
	return e;
}

enum tulle_err
issue_request(struct buf *out, const char *uri, const struct key *k)
{
	struct buf spki = buf_new(ISSUE_PUBLIC_KEY_MAX);
	enum tulle_err e;
	word32 at = 0;
	ecc_key public;
	Cert *cert;

	e = key_public(k, &spki);
	if (e != TULLE_OK)
		return e;
	cert = wc_CertNew(NULL);
	if (cert == NULL) {
		buf_free(&spki);
		return TULLE_ENOMEM;
	}
	e = set_names(cert, (const char *const[ISSUE_URIS_MAX]){ uri }, NULL);
	cert->version = 0; /* of a request: wc_InitCert leaves 2, a certificate's */
	if (e == TULLE_OK && wc_ecc_init(&public) == 0) {
		e = TULLE_EINVAL;
		if (wc_EccPublicKeyDecode(buf_head(&spki), &at, &public, (word32)buf_len(&spki)) == 0)
			e = make(out, cert, &public, NULL, k);
		wc_ecc_free(&public);
	}
	wc_CertFree(cert);
	buf_free(&spki);
	return e;
}

static enum tulle_err
request_read_decoded(struct issue_request *ret, const DecodedCert *dc)
{
	struct issue_request r = { 0 };
	enum tulle_err e = TULLE_EINVAL;
	unsigned int uris = 0;
	word32 at = 0;
	ecc_key public;
	int n;

	for (const DNS_entry *name = dc->altNames; name != NULL; name = name->next) {
		if (name->type != ASN_URI_TYPE)
			continue;
		if (++uris > 1 || name->len <= 0 || (size_t)name->len >= sizeof(r.uri) ||
		    memchr(name->name, '\0', (size_t)name->len) != NULL)
			return TULLE_EINVAL;
		memcpy(r.uri, name->name, (size_t)name->len);
	}
	if (uris != 1 || wc_ecc_init(&public) != 0)
		return TULLE_EINVAL;
	if (wc_EccPublicKeyDecode(dc->publicKey, &at, &public, dc->pubKeySize) == 0 &&
	    wc_ecc_get_curve_id(public.idx) == ECC_SECP256R1 && wc_ecc_check_key(&public) == 0) {
		n = wc_EccPublicKeyToDer(&public, r.public_key, sizeof(r.public_key), 1);
		if (n > 0) {
			r.public_key_len = (size_t)n;
			*ret = r;
			e = TULLE_OK;
		}
	}
	wc_ecc_free(&public);
	return e;
}

enum tulle_err
issue_request_read(struct issue_request *ret, const uint8_t *der, size_t len)
{
	DecodedCert AUTO_FREE *dc = NULL;
	enum tulle_err e = TULLE_EINVAL;
	struct der one;
	size_t n;

	if (der_split(der, len, &one, 1, &n) != TULLE_OK)
		return TULLE_EINVAL;
	dc = malloc(sizeof(*dc));
	if (dc == NULL)
		return TULLE_ENOMEM;
	wc_InitDecodedCert(dc, der, (word32)len, NULL);
	/* The request signs itself: this proves that the asker holds the key. */
	if (wc_ParseCert(dc, CERTREQ_TYPE, VERIFY, NULL) == 0)
		e = request_read_decoded(ret, dc);
	wc_FreeDecodedCert(dc);
	return e;
}
