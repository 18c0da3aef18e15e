/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fleet.h - this host as a member of a fleet: it joins an authority with a
 * token, keeps its node certificate fresh, and orders the certificates of
 * its workloads over mutual TLS.
 *
 * The record of the join is in the store, "self"/"joined"; the node's key
 * and chain are one sealed file, DIR/node, replaced in one step.
 */
#ifndef TULLE_CERTD_AGENT_FLEET_H
#define TULLE_CERTD_AGENT_FLEET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "authority/token.h"
#include "base/addr.h"
#include "base/err.h"
#include "generation/generation.h"
#include "io/loop.h"
#include "store/store.h"
#include "tls/der.h"

struct fleet;

struct fleet_handler {
	/* The authority gave a certificate for an order, and the roots as they are now. */
	void (*certificate)(void *arg, const char *id, const uint8_t *chain, size_t chain_len, const uint8_t *roots,
	    size_t roots_len);
	/* It did not: for people. */
	void (*failed)(void *arg, const char *id, const char *why);
	/* The authority answers again after a failure. */
	void (*back)(void *arg);
	/* Joining by itself has failed, and is tried again. */
	void (*waiting)(void *arg, const char *why);
	/* Joined: fleet_td() is known from now on. */
	void (*joined)(void *arg);
	/* The authority has other manifests (SignedManifests) than fleet_have() said; nothing is checked yet. */
	void (*manifests)(void *arg, const uint8_t *p, size_t n);
};

/*
 * Loads what an earlier run left.  <dir>, <store> and the handler are lent,
 * <seal>, the key for the files, is copied.
 * TULLE_EINVAL: the record of the join is not usable (logged).  TULLE_ENOMEM.
 */
enum tulle_err fleet_new(struct fleet **ret, struct loop *l, struct store *store, const char *dir,
    const uint8_t seal[32], const struct fleet_handler *h, void *arg);

/* Takes NULL.  Always returns NULL. */
struct fleet *fleet_free(struct fleet *f);

/*
 * Joins; <done> gets NULL, or what went wrong, for people.  <td> is what
 * tulle.yaml says, NULL if it says nothing: another domain's authority is
 * then refused.  TULLE_EBUSY: a join is under way.  TULLE_ENOMEM, TULLE_ESYS.
 */
enum tulle_err fleet_join(struct fleet *f, const struct token *t, const char *td,
    void (*done)(void *arg, const char *error), void *arg);

/* How a host joins without being told to; lent. */
struct fleet_auto {
	const char *address;    /* "HOST:PORT" of the authority */
	const uint8_t *pin;     /* TOKEN_PIN bytes */
	const char *token_file; /* read anew each time: somebody keeps it fresh */
	const char *td;         /* as fleet_join() */
};

/*
 * From now on it joins whenever it is not a member, and again when the
 * authority does not know it any more; a service account's token in the file
 * is shown at renewals too.  NULL: not any more.  TULLE_ENOMEM.
 */
enum tulle_err fleet_join_by_itself(struct fleet *f, const struct fleet_auto *a);

bool fleet_is_member(const struct fleet *f);

/* The trust domain; NULL before joining. */
const char *fleet_td(const struct fleet *f);

/* Its roots; only after joining.  Lent. */
struct der fleet_roots(const struct fleet *f);

/* "ns/sa" of what this host may ask for; only after joining.  Lent until the next answer of the authority. */
const json_t *fleet_accounts(const struct fleet *f);

/* Orders a certificate; the answer comes through the handler, never from within this call. */
void fleet_order(struct fleet *f, const char *id, int64_t ttl, const uint8_t *csr, size_t len);

/* Manifests are asked for from now on, or not any more. */
void fleet_follow(struct fleet *f, bool on);

/*
 * Which manifests this host has, 0: none; and why it did not take the last
 * that it was given, "": it did.  After such a refusal they are asked for
 * again, ten seconds later at first, then after up to five minutes.
 */
void fleet_have(struct fleet *f, uint64_t number, const uint8_t digest[GENERATION_DIGEST], const char *trouble);

/* Where the authority is; only after joining.  Returns <out>. */
char *fleet_authority(const struct fleet *f, char out[ADDR_TEXT]);

/* When it last said something about manifests, seconds; 0: not since the start.  <*ret_error>, lent: why it does not now, "": it does. */
int64_t fleet_manifests_heard(const struct fleet *f, const char **ret_error);

/* For status: {"authority","node","last_success","failure",...}. */
json_t *fleet_status(const struct fleet *f);

#endif
