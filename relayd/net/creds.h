/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * creds.h - the identities and the trust that one thread uses, as TLS
 * contexts.  A rotation replaces them; sessions under way keep what they
 * were made with.
 */
#ifndef TULLE_RELAYD_CREDS_H
#define TULLE_RELAYD_CREDS_H

#include "tls/context.h"
#include "tls/identity.h"

struct creds {
	struct identity_set *set;      /* NULL until the first one has come */
	struct verifier *verifier;
	struct tls_context *server;
	struct tls_context **clients;  /* as each identity of the set, in its order; NULL until it was needed */
};

/*
 * Takes another set into use.  On failure the old one stays.
 * TULLE_ENOMEM, TULLE_ECRYPTO, TULLE_EINVAL (a set without an identity).
 */
enum tulle_err creds_update(struct creds *c, struct identity_set *set);

void creds_clear(struct creds *c);

/*
 * One of our identities: by the path of its ID ("ns/shop/sa/cart"), NULL: the
 * default one.  NULL: it is not there.  Lent until the next update.
 */
struct identity *creds_find(const struct creds *c, const char *path);

/* The context of a client that speaks as <id>, which is of this set; lent until the next update.  TULLE_ECRYPTO, TULLE_ENOMEM. */
enum tulle_err creds_client(struct creds *c, const struct identity *id, struct tls_context **ret);

/* Our own default SPIFFE ID, NULL without a default identity. */
const char *creds_own_id(const struct creds *c);

#endif
