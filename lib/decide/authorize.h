/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * authorize.h - may this peer talk to this port of this workload?
 *
 * Istio's AuthorizationPolicy, layer 4 (doc/manifests.md): a matching
 * DENY denies; without any ALLOW policy the rest is allowed; a matching ALLOW
 * allows; everything else is denied.  AUDIT changes nothing.  Pure.
 */
#ifndef TULLE_DECIDE_AUTHORIZE_H
#define TULLE_DECIDE_AUTHORIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "manifest/snapshot.h"

/* Bytes that somebody else owns; compared as length and bytes (AZ-5), no NUL needed. */
struct span {
	const char *p;
	size_t len;
};

/* The verified name of a peer, in parts.  All empty: no identity. */
struct peer_name {
	struct span principal; /* "TD/ns/NS/sa/SA": the SPIFFE ID without its scheme */
	struct span trust_domain;
	struct span namespace; /* empty if the ID has another shape */
	struct span account;   /* the same */
};

/*
 * Takes a verified SPIFFE ID apart; the parts are lent from <id>.  An <id>
 * of NULL or length 0, or without "spiffe://", gives no identity.
 */
struct peer_name peer_name_of(const char *id, size_t len);

struct authz_input {
	struct peer_name peer;
	struct addr source;              /* where the peer connected from */
	uint16_t port;                   /* the application's port */
	const struct workload *workload; /* ours, from snapshot_workload() */
};

enum authz_verdict { AUTHZ_ALLOW, AUTHZ_DENY };

enum authz_reason {
	AUTHZ_NO_POLICY,    /* allowed: no ALLOW policy applies and no DENY matched */
	AUTHZ_ALLOW_RULE,   /* allowed by the rule */
	AUTHZ_DENY_RULE,    /* denied by the rule */
	AUTHZ_NOT_ALLOWED,  /* denied: ALLOW policies apply, none matched */
};

#define AUTHZ_AUDIT_MAX 4

struct authz_decision {
	enum authz_verdict verdict;
	enum authz_reason reason;
	const struct auth_policy *policy; /* that decided; for NOT_ALLOWED the first ALLOW policy; NULL: none applies */
	const struct policy_rule *rule;   /* of <policy>, which matched; else NULL */
	size_t rule_index;                /* its place in the policy, from 0 */
	struct place place;               /* the rule's, else the policy's; line 0 if there is neither */
	const struct auth_policy *audit[AUTHZ_AUDIT_MAX]; /* AUDIT policies that matched */
	size_t n_audit;                   /* how many, those beyond the bound included */
};

struct authz_decision authorize(const struct authz_input *in);

/* "no policy applies", "allowed by a rule", "denied by a rule", "no rule allows it". */
const char *authz_reason_text(enum authz_reason reason);

#endif
