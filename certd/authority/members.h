/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * members.h - who has joined this authority, and with what: join tokens and
 * member records, in the store's tables "token" and "member".
 *
 * Everything here is a decision and its record: the caller brings the time,
 * the checked request and the connection's facts, and answers the peer.
 * Every change is on disk before it is answered.
 */
#ifndef TULLE_CERTD_AUTHORITY_MEMBERS_H
#define TULLE_CERTD_AUTHORITY_MEMBERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "authority/token.h"
#include "base/err.h"
#include "store/store.h"
#include "tls/issue.h"
#include "tls/spiffe.h"
#include "tls/svid.h"

#define MEMBER_NODE 17 /* 8 bytes in hexadecimal and a NUL */
#define MEMBER_WHY 200
#define MEMBER_HOST 64
#define MEMBER_ACCOUNTS_MAX 256
#define MEMBERS_MAX 10000
#define TOKENS_MAX 1000
#define TOKEN_TTL_DEFAULT (15 * 60)
#define TOKEN_TTL_MAX (7 * 24 * 3600)
#define TOKEN_TTL_MIN 5
#define TOKEN_USES_MAX 1000
#define MEMBER_GRACE (30 * 24 * 3600) /* how long after its end a node's certificate may still be renewed */

/* The paths of IDs that no token can allow: /ns/.../sa/... is for workloads. */
#define MEMBER_NODE_PATH "/tulle/node/"
#define MEMBER_AUTHORITY_PATH "/tulle/authority"

/* ---- tokens ---- */

struct token_order {
	const char *const *accounts; /* "NS/SA"; lent */
	size_t n_accounts;
	int64_t ttl; /* seconds */
	int64_t uses;
	uint32_t creator; /* uid */
	struct addr authority;
};

/*
 * Makes a token and remembers all but its secret.  TULLE_EINVAL: an account,
 * length or number is not right, <why> says which; TULLE_ELIMIT: too many
 * tokens are open.  TULLE_ESYS, TULLE_ENOMEM, TULLE_ECRYPTO.
 */
enum tulle_err token_create(struct store *s, const struct token_order *o, const uint8_t pin[TOKEN_PIN], int64_t now,
    struct token *ret, char why[MEMBER_WHY]);

/* TULLE_ENOENT, TULLE_ESYS. */
enum tulle_err token_revoke(struct store *s, const char *id);

/* Forgets tokens that have expired.  Returns when the next one does; INT64_MAX: none. */
int64_t tokens_expire(struct store *s, int64_t now);

json_t *tokens_status(const struct store *s, int64_t now);

/* ---- members ---- */

struct join {
	const char *token_id;
	const uint8_t *proof; /* 32 bytes */
	size_t proof_len;
	const uint8_t *csr;
	size_t csr_len;
	const uint8_t *exporter; /* TOKEN_EXPORTER bytes, of this connection */
	const char *host;        /* what it calls itself: for people, hostile */
};

/*
 * Redeems a token.  The same key may come again until the token expires and
 * is the same node again (an answer may have been lost); another key on a
 * spent token is refused and an alarm.
 *
 *   TULLE_OK       *ret_node is recorded; *ret_request the request to sign for it
 *   TULLE_EDENIED  <why>, for the log; the peer is told nothing but "denied"
 *   TULLE_EEXIST   the token is spent, <why>; who hears this has proved to hold it, so the peer may be told
 *   TULLE_EINVAL   the request is malformed
 *   TULLE_ELIMIT, TULLE_ESYS, TULLE_ENOMEM
 */
enum tulle_err member_join(struct store *s, const struct join *j, int64_t now, char ret_node[MEMBER_NODE],
    struct issue_request *ret_request, char why[MEMBER_WHY]);

/* The node's SPIFFE ID.  Returns <out>. */
char *member_id(char out[SPIFFE_ID_MAX + 1], const char *td, const char *node);

/* The node of an authenticated peer, by its ID; false: it is no node of <td>. */
bool member_of_id(const char *id, const char *td, char ret_node[MEMBER_NODE]);

/*
 * Is this certificate of the node the one in force, or the one just given to
 * it?  In the second case it becomes the one in force from now on: the first
 * cannot come back (two-phase, so that a lost answer locks nobody out).
 * TULLE_EDENIED: banned, unknown or superseded, <why>; TULLE_ESYS.
 */
enum tulle_err member_seen(struct store *s, const char *node, const char *serial, char why[MEMBER_WHY]);

/* Is it a member, and not banned?  If not, <why>. */
bool member_is_live(const struct store *s, const char *node, char why[MEMBER_WHY]);

/* Records a certificate that is about to be given to the node, for a key with this hash. */
enum tulle_err member_given(struct store *s, const char *node, const char *serial, int64_t not_after,
    const uint8_t key_hash[SVID_HASH]);

/* The first one after joining: it is in force at once, any earlier one superseded. */
enum tulle_err member_admitted(struct store *s, const char *node, const char *serial, int64_t not_after,
    const uint8_t key_hash[SVID_HASH]);

/*
 * May a node whose certificate has expired renew with this key?  Within
 * MEMBER_GRACE, with the key in force or the one just given.  TULLE_EDENIED.
 */
enum tulle_err member_late(struct store *s, const char *node, const uint8_t key_hash[SVID_HASH], int64_t now,
    char why[MEMBER_WHY]);

/* Did its token name this account? */
bool member_may(const struct store *s, const char *node, const char *ns, const char *sa);

/* A host's name for itself, made harmless: it is shown to people. */
void member_plain_host(char out[MEMBER_HOST], const char *host);

/* TULLE_ENOENT, TULLE_ESYS. */
enum tulle_err member_ban(struct store *s, const char *node, bool banned);
enum tulle_err member_forget(struct store *s, const char *node);

json_t *members_status(const struct store *s, int64_t now);

#endif
