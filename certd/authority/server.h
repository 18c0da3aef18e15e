/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server.h - the authority as other hosts see it: gRPC over TLS 1.3
 * (lib/proto/authority.proto), port 15012.
 *
 * Join and late renewals come without a client certificate, everything else
 * with the node's.  Bounded: connections, calls a connection, calls a second
 * for each address and for each node, bytes a call.
 */
#ifndef TULLE_CERTD_AUTHORITY_SERVER_H
#define TULLE_CERTD_AUTHORITY_SERVER_H

#include <jansson.h>
#include <stdint.h>

#include "authority/authority.h"
#include "authority/issuers.h"
#include "authority/publish.h"
#include "base/addr.h"
#include "base/err.h"
#include "io/loop.h"
#include "store/store.h"

struct authority_server;

/*
 * Listens at <at> (family 0: every address).  Authority, store, issuers,
 * trust domain and what is published to members are lent.  <leaf_max> is the longest leaf that a member gets, in
 * seconds.  TULLE_EBUSY: the port is taken; TULLE_ESYS; what making its own
 * certificate says.
 */
enum tulle_err authority_server_new(struct authority_server **ret, struct loop *l, const struct addr *at,
    struct authority *a, struct store *store, struct issuers *issuers, const char *td, int64_t leaf_max, struct published *published);

/* Takes NULL.  Always returns NULL. */
struct authority_server *authority_server_free(struct authority_server *s);

void authority_server_leaf_max(struct authority_server *s, int64_t leaf_max);

/* There is a new generation: members that wait for one are sent it, a few at a time. */
void authority_server_published(struct authority_server *s);

/* The member is banned or forgotten: it waits in vain. */
void authority_server_banned(struct authority_server *s, const char *node);

/* What the member said about its manifests last, {"number","asked","trouble"}; NULL: nothing since the start.  Lent. */
const json_t *authority_server_has(const struct authority_server *s, const char *node);

/* {"address","calls","denied",...} for status. */
json_t *authority_server_status(const struct authority_server *s);

#endif
