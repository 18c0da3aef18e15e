/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * authority.h - the embedded authority: a root, the issuing CAs below it,
 * and the certificates that they sign.
 *
 *   root (5 years, path length 1) ---> issuing CA (30 days, path length 0) ---> leaves
 *                                \---> nodes and the authority's own server (30 days)
 *
 * The certificates and their states are in the store, table "ca"; the keys
 * are files DIR/ca/ID.key, mode 0600, ID being the start of the hash of the
 * public key.  A key is on disk before the record that names it, and gone
 * after the record is.
 */
#ifndef TULLE_CERTD_AUTHORITY_AUTHORITY_H
#define TULLE_CERTD_AUTHORITY_AUTHORITY_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "tls/der.h"
#include "tls/keys.h"
#include "tls/svid.h"

struct authority;

#define AUTHORITY_WHY 256

/*
 * Loads what the store knows; nothing there is fine, then there is no root
 * yet.  <dir> is certd's state folder; <store> and <td>, the trust domain,
 * are lent.  TULLE_EINVAL: a certificate or key in the state is not usable
 * (logged).  TULLE_EDAMAGED: there are keys of several CAs, and the store
 * knows none: it is not the one that was here (logged); they stay.
 * TULLE_ESYS, TULLE_ENOMEM.
 */
enum tulle_err authority_open(struct authority **ret, struct store *store, const char *dir, const char *td);

/* Takes NULL.  Always returns NULL.  Wipes the keys. */
struct authority *authority_close(struct authority *a);

bool authority_has_root(const struct authority *a);

/* Makes a root.  TULLE_EEXIST, TULLE_ECRYPTO, TULLE_ESYS, TULLE_ENOMEM. */
enum tulle_err authority_create(struct authority *a, int64_t now);

/*
 * Takes over a root made elsewhere.  The same one again is fine; another one
 * than is there already is TULLE_EEXIST, unless <replace>.
 *
 *   TULLE_EINVAL  not a root, of another trust domain, expired, or the key is another's: <why>
 */
enum tulle_err authority_import(struct authority *a, const char *cert_pem, const char *key_pem, bool replace,
    int64_t now, char why[AUTHORITY_WHY]);

/* The trust domain that a root says it is for, "" if none; for who wants to import it.  TULLE_EINVAL. */
enum tulle_err authority_root_domain(const char *cert_pem, char ret[SPIFFE_TD_MAX + 1]);

/*
 * Does what is due: issuing CAs are prepared, activated and forgotten.
 * <leaf> is the longest leaf in seconds.  Returns when to call again.
 * Failures are logged and tried again a minute later.
 */
int64_t authority_advance(struct authority *a, int64_t leaf, int64_t now);

struct authority_order {
	const char *id;            /* SPIFFE ID with a path */
	const uint8_t *public_key; /* SubjectPublicKeyInfo */
	size_t public_key_len;
	int64_t ttl; /* seconds */
	bool node;      /* signed by the root itself: a node outlives an issuing CA */
	bool with_root; /* the root goes along in the chain: for a server whom joining hosts know by it alone */
};

/*
 * Appends a chain, the leaf first.  Logs the serial.
 *   TULLE_EUNAVAIL  no CA is active, or too little is left of it
 *   TULLE_EINVAL    not an ID of this trust domain
 *   TULLE_ECRYPTO, TULLE_ENOMEM, TULLE_ELIMIT
 */
enum tulle_err authority_sign(struct authority *a, const struct authority_order *o, int64_t now, struct buf *chain,
    struct svid_facts *ret);

/* The bundle: the roots in a row.  Lent.  Only with a root. */
struct der authority_roots(const struct authority *a);

/* The key of the root: it signs manifests, too (publish.h).  Lent.  Only with a root. */
const struct key *authority_root_key(const struct authority *a);

/* What tokens pin. */
const uint8_t *authority_pin(const struct authority *a);

/* How long the root lives in all, in seconds: for ttl_check(). */
int64_t authority_root_life(const struct authority *a);

/* The life that a node's certificate gets. */
int64_t authority_node_life(const struct authority *a);

/* For status: [{"tier","state","serial","subject","not_after",...}]. */
json_t *authority_status(const struct authority *a, int64_t now);

#endif
