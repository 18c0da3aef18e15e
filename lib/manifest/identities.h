/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * identities.h - /etc/tulle/identities.yaml: which workload of this host is
 * who.
 *
 *   - {serviceAccount: shop/cart, match: {unit: cart.service}, ttl: 24h}
 *
 * A caller gets the identity of every entry of which all given fields of
 * "match" fit.
 *
 *   - {serviceAccount: shop/cart, match: {socket: cart-7d9f}}
 *
 * is for a pod of this host: whoever calls at the socket of that name, and
 * nobody else.  Such entries are in a list of their own, for they say
 * nothing about processes of the host.
 */
#ifndef TULLE_MANIFEST_IDENTITIES_H
#define TULLE_MANIFEST_IDENTITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "manifest/problem.h"

struct identity_entry {
	struct place place;
	const char *service_account; /* as written: "shop/cart" */
	const char *namespace;       /* "shop" */
	const char *account;         /* "cart" */
	const char *path;            /* "ns/shop/sa/cart": of its SPIFFE ID */
	struct {
		const char *unit; /* systemd unit, NULL: any */
		const char *uid;  /* user name or number, NULL: any */
		const char *socket; /* of a pod, and then neither of the others; else NULL */
	} match; /* at least one is given */
	uint64_t ttl_ms; /* 0: the host's identity.ttl */
	bool uid_known;  /* match.uid has been looked up (identities_resolve()) */
	uint32_t uid;
};

struct identities {
	struct identity_entry *items;
	size_t n;
	struct identity_entry *pods; /* those with match.socket, each another */
	size_t n_pods;
	struct arena arena; /* owns all of it */
};

/* Contract as host_config_parse(); an empty file gives an empty list. */
enum tulle_err identities_parse(struct identities **ret, const char *name, const char *data, size_t len,
    struct problems *problems);
enum tulle_err identities_read(struct identities **ret, const char *path, struct problems *problems);

/* The number of a user; false: there is none of that name. */
typedef bool identities_user(void *arg, const char *name, uint32_t *ret_uid);

/*
 * Finds the number of every match.uid; one that is written as a number stands
 * for itself.  TULLE_EINVAL: there is no such user; each is an error in
 * <problems>, and the others are found all the same.
 */
enum tulle_err identities_resolve(struct identities *i, identities_user *user, void *arg, struct problems *problems);

/* Takes NULL.  Always returns NULL. */
struct identities *identities_free(struct identities *i);

#endif
