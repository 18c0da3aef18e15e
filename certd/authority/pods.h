/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pods.h - pods as members: who a service-account token says that its bearer
 * is, and the records of those who joined with one.
 *
 * A pod is one member over all restarts of its containers: its node name is
 * made of issuer, namespace, account and the pod's uid, so that a ban holds
 * and a pod that comes back with a new key takes the place of what it was
 * before.  Whoever shows a token that is bound to no pod is told apart by
 * its key.
 *
 * Records of pods are forgotten soon after their last certificate ended
 * (PODS_GRACE, or its life again if that is shorter): a pod can always join again.
 */
#ifndef TULLE_CERTD_AUTHORITY_PODS_H
#define TULLE_CERTD_AUTHORITY_PODS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "authority/members.h"
#include "base/err.h"
#include "store/store.h"
#include "tls/issue.h"

#define PODS_MAX 8000  /* of the MEMBERS_MAX: pods never crowd hosts out */
#define PODS_GRACE 300 /* seconds */
#define PODS_TURN 256  /* forgotten at once: one change of the store */

#define POD_NAMESPACE 64
#define POD_NAME 254 /* a DNS name and its NUL: accounts, pods, nodes */
#define POD_UID 65

struct pod {
	const char *issuer; /* lent */
	char namespace[POD_NAMESPACE];
	char account[POD_NAME];
	char account_uid[POD_UID];
	char name[POD_NAME], uid[POD_UID]; /* "" for a token that is bound to no pod */
	char node[POD_NAME];               /* the cluster's node it runs on; "" if the token does not say */
	int64_t ttl; /* seconds that its node certificate lives */
};

/*
 * Who is it, by the claims of a token of a service account?  "sub" and the
 * member "kubernetes.io" must say the same (pure).  <ret>: all but issuer and
 * ttl.  TULLE_EDENIED with <why>: they do not, or it is no such token.
 */
enum tulle_err pod_read(struct pod *ret, const json_t *claims, char why[MEMBER_WHY]);

struct pod_join {
	const struct pod *pod;
	const uint8_t *csr;
	size_t csr_len;
	const char *host; /* what it calls itself: for people, hostile */
};

/*
 * A pod, whose token is good, becomes a member.  One that is a member already
 * is it again, with whatever key it has now; its earlier certificate is
 * superseded.  Errors as member_join().
 */
enum tulle_err pod_join(struct store *s, const struct pod_join *j, int64_t now, char ret_node[MEMBER_NODE],
    struct issue_request *ret_request, char why[MEMBER_WHY]);

/* Did this member join with a token of a service account? */
bool member_is_pod(const struct store *s, const char *node);

/* Is <p> the pod that this member is?  TULLE_EDENIED with <why>. */
enum tulle_err pod_is(const struct store *s, const char *node, const struct pod *p, char why[MEMBER_WHY]);

/*
 * Forgets pods whose certificate ended long enough ago, PODS_TURN of them,
 * with one write to the disk.  Returns when it is to be called again: when the next one
 * ends, <now> if there are more; INT64_MAX: none.
 */
int64_t pods_expire(struct store *s, int64_t now);

#endif
