/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The check of a peer's chain.
 *
 * Each trust domain has a certificate manager with its roots only.  For one
 * check the intermediates that prove themselves are added from the top down,
 * the leaf is judged, and they are taken out again.
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>

#include "tls/trust.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "tls/spiffe.h"

struct anchor {
	WOLFSSL_CERT_MANAGER *cm; /* owned; NULL until a peer of this trust domain comes */
	size_t n;
	uint8_t (*key_ids)[KEYID_SIZE]; /* owned; of the n roots that are loaded */
};

struct verifier {
	unsigned int refs;
	struct trust *trust; /* a reference; NULL: pinned */
	uint8_t pin[SVID_HASH];
	struct svid_facts scratch; /* of an intermediate */
	size_t n;
	struct anchor anchors[]; /* one per trust domain, in the order of <trust> */
};

static enum tulle_err
verifier_alloc(struct verifier **ret, size_t n)
{
	struct verifier *v = calloc(1, sizeof(*v) + n * sizeof(v->anchors[0]));

	if (v == NULL)
		return TULLE_ENOMEM;
	v->refs = 1;
	v->n = n;
	*ret = v;
	return TULLE_OK;
}

enum tulle_err
verifier_new(struct verifier **ret, struct trust *t)
{
	enum tulle_err e = verifier_alloc(ret, trust_domains(t));

	if (e == TULLE_OK)
		(*ret)->trust = trust_ref(t);
	return e;
}

enum tulle_err
verifier_new_pinned(struct verifier **ret, const uint8_t pin[SVID_HASH])
{
	enum tulle_err e = verifier_alloc(ret, 0);

	if (e == TULLE_OK)
		memcpy((*ret)->pin, pin, SVID_HASH);
	return e;
}

struct verifier *
verifier_ref(struct verifier *v)
{
	v->refs++;
	return v;
}

static void
anchor_free(struct anchor *a)
{
	if (a->cm != NULL)
		wolfSSL_CertManagerFree(a->cm);
	free(a->key_ids);
	*a = (struct anchor){ 0 };
}

struct verifier *
verifier_unref(struct verifier *v)
{
	if (v == NULL || --v->refs > 0)
		return NULL;
	for (size_t i = 0; i < v->n; i++)
		anchor_free(&v->anchors[i]);
	trust_unref(v->trust);
	free(v);
	return NULL;
}

struct trust *
verifier_trust(const struct verifier *v)
{
	return v->trust;
}

static int64_t
now_sec(void)
{
	time_t now = 0;

	/* The library's own clock, so that both halves of the check mean one time. */
	if (wc_GetTime(&now, sizeof(now)) != 0)
		return 0;
	return now;
}

static enum svid_reason
reason_of(int rc)
{
	switch (rc) {
	case 0:
		return SVID_OK;
	case ASN_AFTER_DATE_E:
		return SVID_EXPIRED;
	case ASN_BEFORE_DATE_E:
		return SVID_NOT_YET_VALID;
	case ASN_NO_SIGNER_E:
	case ASN_SELF_SIGNED_E:
		return SVID_UNKNOWN_CA;
	case ASN_SIG_CONFIRM_E:
	case ASN_SIG_HASH_E:
	case ASN_SIG_OID_E:
	case ASN_SIG_KEY_E:
		return SVID_BAD_SIGNATURE;
	case ASN_PATHLEN_SIZE_E:
	case ASN_PATHLEN_INV_E:
	case ASN_NAME_INVALID_E:
		return SVID_BAD_INTERMEDIATE;
	case ASN_PARSE_E:
	case BUFFER_E:
		return SVID_MALFORMED;
	default:
		return SVID_OTHER;
	}
}

/*
 * Makes <root> a trust anchor.  One that has expired is left out (it
 * would be refused anyway); one that is not valid yet is let in,
 * since this is not asked again when its time comes.
 */
static enum svid_reason
anchor_add(struct anchor *a, const struct der *root)
{
	DecodedCert AUTO_FREE *dc = malloc(sizeof(*dc));
	int rc;

	if (dc == NULL)
		return SVID_OTHER;
	wc_InitDecodedCert(dc, root->p, (word32)root->len, NULL);
	if (wc_ParseCert(dc, CERT_TYPE, NO_VERIFY, NULL) != 0 || !dc->isCA) {
		wc_FreeDecodedCert(dc);
		return SVID_OK; /* no usable key for anybody: XV-10 */
	}
	rc = wolfSSL_CertManagerLoadCABuffer(a->cm, root->p, (long)root->len, WOLFSSL_FILETYPE_ASN1);
	if (rc == ASN_BEFORE_DATE_E)
		rc = wolfSSL_CertManagerLoadCABuffer_ex(a->cm, root->p, (long)root->len, WOLFSSL_FILETYPE_ASN1, 0,
		    WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY);
	if (rc == WOLFSSL_SUCCESS)
		memcpy(a->key_ids[a->n++], dc->extSubjKeyId, KEYID_SIZE);
	wc_FreeDecodedCert(dc);
	return SVID_OK;
}

static enum svid_reason
anchor_open(struct anchor *a, const struct der *roots, size_t n)
{
	enum svid_reason r = SVID_OK;

	a->cm = wolfSSL_CertManagerNew();
	a->key_ids = calloc(n > 0 ? n : 1, sizeof(a->key_ids[0]));
	if (a->cm == NULL || a->key_ids == NULL)
		r = SVID_OTHER;
	/* One by one: a row would load its first alone. */
	for (size_t i = 0; r == SVID_OK && i < n; i++)
		r = anchor_add(a, &roots[i]);
	if (r != SVID_OK)
		anchor_free(a);
	return r;
}

/* The manager of a trust domain, made when first needed. */
static enum svid_reason
anchor_of(struct verifier *v, const struct spiffe_id *id, struct anchor **ret)
{
	struct der AUTO_FREE *roots = NULL;
	enum svid_reason r;
	struct der row;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		const char *name = trust_domain_name(v->trust, i);

		if (strlen(name) != id->td_len || memcmp(name, id->td, id->td_len) != 0)
			continue;
		*ret = &v->anchors[i];
		if (v->anchors[i].cm != NULL)
			return SVID_OK;
		roots = calloc(DER_BUNDLE_CERTS, sizeof(*roots));
		if (roots == NULL)
			return SVID_OTHER;
		(void)trust_roots(v->trust, id->td, id->td_len, &row);
		if (row.len > 0 && der_split(row.p, row.len, roots, DER_BUNDLE_CERTS, &n) != TULLE_OK)
			return SVID_OTHER;
		r = anchor_open(&v->anchors[i], roots, n);
		return r;
	}
	return SVID_UNKNOWN_TRUST_DOMAIN;
}

/* May an intermediate that proved itself stand above a leaf of <leaf>'s trust domain? */
static bool
may_sign(struct verifier *v, const struct der *cert, const DecodedCert *dc, const struct spiffe_id *leaf)
{
	struct spiffe_id id;

	if (!dc->isCA || (dc->extKeyUsageSet && (dc->extKeyUsage & KEYUSE_KEY_CERT_SIGN) == 0))
		return false;
	if (svid_read(&v->scratch, cert->p, cert->len) != TULLE_OK)
		return false;
	if (v->scratch.id_len == 0)
		return true;
	/* An issuer with a SPIFFE ID speaks for that trust domain alone (XI-09). */
	return spiffe_parse(&id, v->scratch.id, v->scratch.id_len) == TULLE_OK && id.td_len == leaf->td_len &&
	    memcmp(id.td, leaf->td, id.td_len) == 0;
}

static bool
is_anchor(const struct anchor *a, const DecodedCert *dc)
{
	for (size_t i = 0; i < a->n; i++) {
		if (memcmp(a->key_ids[i], dc->extSubjKeyId, KEYID_SIZE) == 0)
			return true;
	}
	return false;
}

/*
 * Adds one intermediate to the manager if it proves itself.  One that does
 * not is left out: the leaf may have another way up (cross-signed roots).
 * What was wrong with it is worth telling if the leaf then fails.
 */
static enum svid_reason
add_intermediate(struct verifier *v, struct anchor *a, const struct der *cert, const struct spiffe_id *leaf,
    bool *ret_added)
{
	DecodedCert AUTO_FREE *dc = malloc(sizeof(*dc));
	enum svid_reason r;

	if (dc == NULL)
		return SVID_OTHER;
	wc_InitDecodedCert(dc, cert->p, (word32)cert->len, NULL);
	r = reason_of(wc_ParseCert(dc, CHAIN_CERT_TYPE, VERIFY, a->cm));
	if (r == SVID_OK) {
		if (!may_sign(v, cert, dc, leaf))
			r = SVID_BAD_INTERMEDIATE;
		else if (!is_anchor(a, dc)) { /* loading it would mark that root as temporary */
			if (wolfSSL_CertManagerLoadCABufferType(a->cm, cert->p, (long)cert->len,
				WOLFSSL_FILETYPE_ASN1, 0, 0, WOLFSSL_CHAIN_CA) == WOLFSSL_SUCCESS)
				*ret_added = true;
			else
				r = SVID_OTHER;
		}
	} else if (r == SVID_EXPIRED || r == SVID_NOT_YET_VALID) {
		r = SVID_BAD_INTERMEDIATE;
	}
	wc_FreeDecodedCert(dc);
	return r;
}

static enum svid_reason
check_path(struct verifier *v, struct anchor *a, const struct der *chain, size_t n, const struct spiffe_id *leaf)
{
	enum svid_reason why = SVID_OK, r;
	bool added = false;
	DecodedCert *dc;

	for (size_t i = n - 1; i > 0; i--) {
		r = add_intermediate(v, a, &chain[i], leaf, &added);
		if (r != SVID_OK && r != SVID_UNKNOWN_CA)
			why = r;
	}
	dc = malloc(sizeof(*dc));
	if (dc == NULL) {
		r = SVID_OTHER;
	} else {
		wc_InitDecodedCert(dc, chain[0].p, (word32)chain[0].len, NULL);
		r = reason_of(wc_ParseCert(dc, CERT_TYPE, VERIFY, a->cm));
		wc_FreeDecodedCert(dc);
		free(dc);
	}
	if (added)
		(void)wolfSSL_CertManagerUnloadIntermediateCerts(a->cm);
	return r == SVID_UNKNOWN_CA && why != SVID_OK ? why : r;
}

/* The pinned root is whichever certificate of the chain has the key; the rest must stand on it. */
static enum svid_reason
check_pinned(struct verifier *v, const struct der *chain, size_t n, const struct spiffe_id *leaf)
{
	struct anchor a = { 0 };
	uint8_t hash[SVID_HASH];
	enum svid_reason r;

	if (n < 2 || svid_key_hash(chain[n - 1].p, chain[n - 1].len, hash) != TULLE_OK ||
	    memcmp(hash, v->pin, SVID_HASH) != 0)
		return SVID_ROOT_PIN;
	r = anchor_open(&a, &chain[n - 1], 1);
	if (r == SVID_OK && a.n == 0)
		r = SVID_ROOT_PIN;
	if (r == SVID_OK)
		r = check_path(v, &a, chain, n - 1, leaf);
	anchor_free(&a);
	return r;
}

enum svid_reason
verifier_check(struct verifier *v, const struct der *chain, size_t n, enum svid_role role, struct svid_facts *ret)
{
	struct anchor *a = NULL;
	struct spiffe_id id;
	enum svid_reason r;
	enum tulle_err e;
	size_t total = 0;

	ret->id[0] = '\0';
	ret->id_len = 0;
	ret->serial[0] = '\0';
	if (n == 0)
		return SVID_NO_CERTIFICATE;
	for (size_t i = 0; i < n; i++)
		total += chain[i].len;
	if (n > DER_CHAIN_CERTS || total > DER_CHAIN_MAX)
		return SVID_CHAIN_TOO_DEEP;
	e = svid_read(ret, chain[0].p, chain[0].len);
	if (e != TULLE_OK)
		return e == TULLE_ENOMEM ? SVID_OTHER : SVID_MALFORMED;
	r = svid_check_leaf(ret, role, now_sec());
	if (r != SVID_OK)
		return r;
	if (spiffe_parse(&id, ret->id, ret->id_len) != TULLE_OK)
		return SVID_BAD_ID;
	if (v->trust == NULL)
		return check_pinned(v, chain, n, &id);
	r = anchor_of(v, &id, &a);
	if (r != SVID_OK)
		return r;
	return check_path(v, a, chain, n, &id);
}
