/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * identity.h - our own X.509 identities, and the set of them that is in
 * force.  Both are immutable, counted atomically and shared by threads; a
 * rotation is a new set.
 */
#ifndef TULLE_TLS_IDENTITY_H
#define TULLE_TLS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tls/keys.h"
#include "tls/svid.h"
#include "tls/trust.h"

/* Read only. */
struct identity {
	unsigned int refs;
	char *hint;     /* what the Workload API calls it ("NS/SA"); "" if it has no name */
	uint8_t *chain; /* DER in a row, the leaf first */
	size_t chain_len;
	struct key *key;
	struct svid_facts facts; /* of the leaf; facts.id is the SPIFFE ID */
};

/*
 * Makes an identity; everything is copied.  The chain must be within the
 * bounds of der.h, the leaf keep the rules of svid.h but for its times (an
 * expired identity is the peer's to refuse), the key be the leaf's.
 *
 *   TULLE_OK       *ret has one reference, the caller's
 *   TULLE_EINVAL   chain or key malformed; *ret_why says more; or the key is another's (SVID_OK then)
 *   TULLE_ELIMIT, TULLE_ENOMEM
 *
 * <hint> and <ret_why> may be NULL.
 */
enum tulle_err identity_new(struct identity **ret, const uint8_t *chain, size_t chain_len, const uint8_t *key,
    size_t key_len, const char *hint, enum svid_reason *ret_why);

struct identity *identity_ref(struct identity *id);

/* Takes NULL.  Always returns NULL. */
struct identity *identity_unref(struct identity *id);

#define IDENTITIES_MAX 1024

/* Read only.  n may be 0: trust alone. */
struct identity_set {
	unsigned int refs;
	uint64_t generation; /* grows with every change */
	size_t n;
	struct identity **items; /* the default one first */
	bool has_default;        /* false: none of them may be taken where no name was asked for */
	struct trust *trust;
};

/* One entry of X509SVIDResponse; lent. */
struct svid_der {
	const char *id;       /* must be what the leaf says; NULL: not compared */
	const uint8_t *chain; /* the leaf first */
	size_t chain_len;
	const uint8_t *key; /* PKCS#8 */
	size_t key_len;
	const uint8_t *bundle; /* roots of the ID's own trust domain; may be empty */
	size_t bundle_len;
	const char *hint; /* may be NULL */
};

/*
 * Makes a set out of a Workload API response: identities with the bundles of
 * their own trust domains, and the federated bundles.  Everything is copied;
 * the first is the default, as the Workload API says.
 * Errors as identity_new() and trust_new(); *ret_bad is then the index of the
 * entry at fault (n: a bundle's fault), *ret_why as identity_new().  Both may
 * be NULL.
 */
enum tulle_err identity_set_new(struct identity_set **ret, const struct svid_der *svids, size_t n,
    const struct trust_bundle *federated, size_t federated_n, uint64_t generation, size_t *ret_bad,
    enum svid_reason *ret_why);

/*
 * Makes a set of identities and trust that are there already; takes
 * references of its own.  The first is the default.  TULLE_ENOMEM,
 * TULLE_ELIMIT.
 */
enum tulle_err identity_set_of(struct identity_set **ret, struct identity *const *items, size_t n,
    struct trust *trust, uint64_t generation);

/*
 * Makes the one whose path is "/<name>" the default, and no other: NULL, or a
 * name that none has, leaves the set without a default.  Only before the set
 * is shared.
 */
void identity_set_choose_default(struct identity_set *s, const char *name);

/* Makes the only one the default; of several none is.  As identity_set_choose_default(). */
void identity_set_choose_only(struct identity_set *s);

struct identity_set *identity_set_ref(struct identity_set *s);

/* Takes NULL.  Always returns NULL. */
struct identity_set *identity_set_unref(struct identity_set *s);

/* The default identity, NULL if there is none.  Lent, as in the next two. */
struct identity *identity_set_default(const struct identity_set *s);

/* By full SPIFFE ID.  NULL: not ours. */
struct identity *identity_set_find(const struct identity_set *s, const char *id);

/* By the path of its ID, without the slash before it: "ns/shop/sa/cart".  NULL: not ours. */
struct identity *identity_set_find_path(const struct identity_set *s, const char *path);

/* By SNI name (spiffe_sni()).  NULL: not ours. */
struct identity *identity_set_find_sni(const struct identity_set *s, const char *name, size_t len);

#endif
