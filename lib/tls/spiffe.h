/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * spiffe.h - SPIFFE IDs: their grammar, and the names made out of them.
 *
 *   spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT   the whole ID
 *            TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT   the principal (AuthorizationPolicy)
 *   SERVICE-ACCOUNT.NAMESPACE.sa.TRUST-DOMAIN               the SNI name
 *
 * SPIFFE-ID sections 2.1 to 2.3, read strictly: lower case scheme and trust
 * domain only, no percent-encoding, at most 2048 bytes, so that one identity
 * has one spelling and comparing bytes compares identities.  Pure.
 */
#ifndef TULLE_TLS_SPIFFE_H
#define TULLE_TLS_SPIFFE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SPIFFE_ID_MAX 2048 /* bytes, without a NUL */
#define SPIFFE_TD_MAX 255
#define SPIFFE_SCHEME "spiffe://"
#define SPIFFE_SCHEME_LEN 9

/* A look into the text of an ID; lent, without NULs. */
struct spiffe_id {
	const char *text; /* all of it */
	size_t len;
	const char *td; /* the trust domain */
	size_t td_len;
	const char *path; /* with its leading slash; path_len is 0 for a trust domain's own ID */
	size_t path_len;
};

/* Namespace and service account of an ID; lent, without NULs. */
struct spiffe_account {
	const char *ns;
	size_t ns_len;
	const char *sa;
	size_t sa_len;
};

/* Reads <len> bytes of <text>, which *ret then points into.  TULLE_EINVAL: not a SPIFFE ID. */
enum tulle_err spiffe_parse(struct spiffe_id *ret, const char *text, size_t len);

/* Is this a legal trust domain name? */
bool spiffe_td_valid(const char *td, size_t len);

/* Is this a legal segment of a path (so: namespace or service account)? */
bool spiffe_segment_valid(const char *s, size_t len);

/* Is the path exactly /ns/NS/sa/SA?  If not, *ret is untouched. */
bool spiffe_account(struct spiffe_account *ret, const struct spiffe_id *id);

/*
 * Writes "spiffe://TD/ns/NS/sa/SA" and a NUL to <out>.
 *   TULLE_EINVAL  a part is not legal
 *   TULLE_ELIMIT  longer than an ID may be, or than <size>
 */
enum tulle_err spiffe_build(char *out, size_t size, const char *td, const char *ns, const char *sa);

/* "TD/ns/NS/sa/SA" of a NUL-terminated ID: a pointer into it.  The text itself if it has no scheme. */
const char *spiffe_principal(const char *id);

/* Room for every SNI name that is made here: a DNS name has at most 253 characters. */
#define SPIFFE_SNI 254

/*
 * Writes "SA.NS.sa.TD" and a NUL: the server name by which a Tulle client
 * says which of a host's identities it expects.  Case is kept.
 *   TULLE_EINVAL  the path has another shape
 *   TULLE_ELIMIT  longer than a DNS name may be: send none
 */
enum tulle_err spiffe_sni(char out[SPIFFE_SNI], const struct spiffe_id *id);

/* Is <name> (of <len> bytes) what spiffe_sni() makes of <id>? */
bool spiffe_sni_matches(const struct spiffe_id *id, const char *name, size_t len);

#endif
