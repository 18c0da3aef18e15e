/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * trust.h - which roots speak for which trust domain, and the check of a
 * peer's chain against them.
 *
 * struct trust is immutable, counted atomically, shared by threads.
 * struct verifier is one thread's own: it holds a wolfSSL certificate
 * manager per trust domain and is counted without atomics.  A new bundle is
 * a new trust and a new verifier; nothing is changed in place, and nothing
 * that a peer sent stays behind from one check to the next:
 * wolfSSL would keep intermediates that it has verified.
 */
#ifndef TULLE_TLS_TRUST_H
#define TULLE_TLS_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tls/der.h"
#include "tls/svid.h"

/* The roots of one trust domain, as the Workload API sends them; lent. */
struct trust_bundle {
	const char *td; /* "mesh.example", or "spiffe://mesh.example" */
	const uint8_t *roots; /* DER certificates in a row */
	size_t len;           /* 0: nobody of this trust domain is believed (XV-10) */
};

#define TRUST_DOMAINS_MAX 64
#define TRUST_BUNDLES_MAX 2048 /* given at once: every identity brings its own */

struct trust;

/*
 * Makes a set from <n> bundles, all copied; n may be 0.  Two bundles of one
 * trust domain are joined, double roots dropped.  A root that cannot be read
 * is an error here; one that has expired only counts for nothing later.
 *
 *   TULLE_OK      *ret has one reference, the caller's
 *   TULLE_EINVAL  a trust domain's name or a blob is malformed
 *   TULLE_ELIMIT  too many domains, roots or bytes (XV-11)
 *   TULLE_ENOMEM
 */
enum tulle_err trust_new(struct trust **ret, const struct trust_bundle *bundles, size_t n, uint64_t generation);

/* Takes another reference.  Any thread. */
struct trust *trust_ref(struct trust *t);

/* Gives one back.  Any thread.  Takes NULL.  Always returns NULL. */
struct trust *trust_unref(struct trust *t);

uint64_t trust_generation(const struct trust *t);
size_t trust_domains(const struct trust *t);

/* The name of the i-th trust domain.  Lent. */
const char *trust_domain_name(const struct trust *t, size_t i);

/* Its roots in a row.  False if there is no such trust domain.  Lent. */
bool trust_roots(const struct trust *t, const char *td, size_t td_len, struct der *ret);

/*
 * When the last of its roots expires, in seconds since the epoch: from then
 * on nobody of this trust domain is believed.  0: it has none, or memory is
 * short.
 */
int64_t trust_until(const struct trust *t, const char *td, size_t td_len);

struct verifier;

/* Keeps a reference to <t>.  TULLE_ENOMEM, TULLE_ECRYPTO. */
enum tulle_err verifier_new(struct verifier **ret, struct trust *t);

/*
 * Believes a chain that brings along, as its last certificate, a self-signed
 * root whose public key has this SHA-256: for a host that joins and knows
 * nothing else yet.  The leaf must be an SVID of whatever trust domain.
 */
enum tulle_err verifier_new_pinned(struct verifier **ret, const uint8_t pin[SVID_HASH]);

struct verifier *verifier_ref(struct verifier *v);

/* Takes NULL.  Always returns NULL. */
struct verifier *verifier_unref(struct verifier *v);

/* NULL for a pinned one.  Lent. */
struct trust *verifier_trust(const struct verifier *v);

/*
 * Is chain[0] a good SVID of a peer in <role>, with a path through the other
 * <n> - 1 certificates, in this order, to a root of its own trust domain?
 * The time is wolfSSL's (wc_GetTime).  On SVID_OK *ret tells about the leaf; on
 * refusal it does too if the leaf could be read, else its id and serial are "".
 */
enum svid_reason verifier_check(struct verifier *v, const struct der *chain, size_t n, enum svid_role role,
    struct svid_facts *ret);

#endif
