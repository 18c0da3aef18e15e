/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * response.h - reads one X509SVIDResponse, which is either good as a whole
 * or thrown away (Workload API 4.5, 5.2.1).  Pure.
 */
#ifndef TULLE_WORKLOAD_RESPONSE_H
#define TULLE_WORKLOAD_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "workload/client.h"

#define WORKLOAD_HINT_MAX 1024

struct workload_response;

/*
 * Good is a response with at least one SVID, at most IDENTITIES_MAX; each has
 * the SPIFFE ID of a workload, a chain and a bundle that can be split within
 * the bounds of tls/der.h, a key, and a hint that is text; the federated
 * bundles are of at most TRUST_DOMAINS_MAX trust domains, and the last of two
 * for the same one counts, as in any map.  Of SVIDs with the same hint the
 * first stays.  Keys and signatures are left to identity_set_new().
 *
 *   TULLE_OK     *ret is the caller's
 *   TULLE_EPEER  not good; *ret_why is a phrase for a log, lent for ever
 *   TULLE_ELIMIT reading it takes more memory than its size justifies; *ret_why too
 *   TULLE_ENOMEM
 */
enum tulle_err workload_response_read(struct workload_response **ret, const uint8_t *p, size_t n, const char **ret_why);

/* What was read; lent until workload_response_free(). */
const struct workload_update *workload_response_update(const struct workload_response *r);

/* Wipes the keys.  Takes NULL.  Always returns NULL. */
struct workload_response *workload_response_free(struct workload_response *r);

#endif
