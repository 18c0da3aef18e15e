/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * node.h - what a member knows about its fleet: the record of the join and
 * the node's own certificate; and the TLS contexts made of them.
 */
#ifndef TULLE_CERTD_AGENT_NODE_H
#define TULLE_CERTD_AGENT_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "authority/token.h"
#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "tls/context.h"
#include "tls/identity.h"

struct node {
	struct store *store; /* lent */
	const char *dir;     /* lent */
	uint8_t seal[32];
	bool joined;
	char td[SPIFFE_TD_MAX + 1];
	char authority_id[SPIFFE_ID_MAX + 1];
	struct addr authority;
	struct buf roots;
	json_t *accounts; /* owned: what the token allowed */
	struct identity *identity; /* a reference; NULL before joining */
	int64_t issued, renew_at;  /* milliseconds since the epoch */
};

/* Loads what there is.  TULLE_EINVAL: the record or the file is not usable (logged).  TULLE_ENOMEM. */
enum tulle_err node_load(struct node *n, struct store *store, const char *dir, const uint8_t seal[32]);

void node_unload(struct node *n);

/* An answer of the authority about this node. */
struct node_news {
	const uint8_t *chain;
	size_t chain_len;
	const uint8_t *roots;
	size_t roots_len;
	const char *td;
	const char *const *accounts;
	size_t n_accounts;
};

/*
 * Takes a new certificate for <key>, checked, and remembers it: on disk
 * before it is in force.  <authority> is where it came from.
 * TULLE_EINVAL: not good (logged).  TULLE_ESYS, TULLE_ENOMEM.
 */
enum tulle_err node_take(struct node *n, const struct addr *authority, const struct node_news *news, struct key *key,
    int64_t now_ms);

/* Other roots of the fleet. */
enum tulle_err node_roots(struct node *n, const uint8_t *roots, size_t len);

/*
 * The key to join with: the one of an earlier attempt with this token, which
 * may have been redeemed with it, or a new one, saved before it is used.
 */
enum tulle_err node_join_key(const struct node *n, const char *token_id, struct key **ret);

/* For calls to the authority that we know: as the node, or as nobody (late), with the exporter. */
enum tulle_err node_tls(const struct node *n, bool as_node, struct tls_context **ret);

/* For joining: whoever has the pinned root. */
enum tulle_err node_join_tls(const uint8_t pin[TOKEN_PIN], struct tls_context **ret);

#endif
