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
	struct tls_context *client;    /* as the default identity; NULL if there is none: no tunnel can be made */
};

/*
 * Takes another set into use.  On failure the old one stays.
 * TULLE_ENOMEM, TULLE_ECRYPTO, TULLE_EINVAL (a set without an identity).
 */
enum tulle_err creds_update(struct creds *c, struct identity_set *set);

void creds_clear(struct creds *c);

/* Our own default SPIFFE ID, NULL without a default identity. */
const char *creds_own_id(const struct creds *c);

#endif
