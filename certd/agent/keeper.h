/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper.h - this host's identities: which are wanted, which are there, when
 * each is renewed.
 *
 * The keeper makes the keys, orders certificates for them from a source
 * (the embedded authority or a fleet's) and keeps what it has until
 * something better is there: a bad answer never replaces a good certificate.
 * All of it is in a sealed file too, so that a restart while the source is
 * away changes nothing.
 */
#ifndef TULLE_CERTD_AGENT_KEEPER_H
#define TULLE_CERTD_AGENT_KEEPER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/slot.h"
#include "base/err.h"
#include "io/loop.h"
#include "tls/der.h"

struct keeper;

struct keeper_handler {
	/*
	 * Order a certificate with <ttl> seconds for <id> from the request
	 * <csr>.  Answered by keeper_deliver() or keeper_fail(), at once or later.
	 */
	void (*order)(void *arg, const char *id, int64_t ttl, const uint8_t *csr, size_t len);
	/* What can be handed out has changed. */
	void (*changed)(void *arg);
};

/*
 * <file> is the sealed cache, <seal> the key for it; copied.  What the cache
 * holds is loaded, unless it cannot be opened (logged).  The handler is lent.
 * TULLE_ENOMEM.
 */
enum tulle_err keeper_new(struct keeper **ret, struct loop *l, const char *file, const uint8_t seal[32],
    const struct keeper_handler *h, void *arg);

/* Takes NULL.  Always returns NULL.  Wipes keys. */
struct keeper *keeper_free(struct keeper *k);

/*
 * From now on these are wanted, the default one first.  What is there
 * already stays; what is not wanted any more is dropped.  TULLE_ENOMEM,
 * TULLE_EINVAL (not a SPIFFE ID), TULLE_ELIMIT (more than IDENTITIES_MAX).
 */
enum tulle_err keeper_want(struct keeper *k, const char *td, const struct keeper_wanted *wanted, size_t n);

/*
 * The roots of our trust domain <td>, in a row; copied.  A certificate that
 * they do not vouch for is dropped and ordered anew: nobody who has these
 * roots would believe it.  TULLE_EINVAL, TULLE_ENOMEM.
 */
enum tulle_err keeper_roots(struct keeper *k, const char *td, const uint8_t *roots, size_t len);

/* A certificate for an order.  TULLE_EINVAL: it is not good and was refused (logged); the order counts as failed. */
enum tulle_err keeper_deliver(struct keeper *k, const char *id, const uint8_t *chain, size_t len);

/* The order failed; it is tried again.  <why> is copied. */
void keeper_fail(struct keeper *k, const char *id, const char *why);

/* Looks what is due now, e.g. because the source has come back: waiting retries are made at once. */
void keeper_kick(struct keeper *k);

/* All certificates are renewed as soon as possible. */
void keeper_renew_all(struct keeper *k);

size_t keeper_slots(const struct keeper *k);
const struct slot *keeper_slot(const struct keeper *k, size_t i);

/* NULL: not wanted here. */
const struct slot *keeper_find(const struct keeper *k, const char *ns, const char *sa);

/* The bundle, len 0 before keeper_roots().  Lent until the next change. */
struct der keeper_bundle(const struct keeper *k);

/* NULL before keeper_want() or keeper_roots(). */
const char *keeper_td(const struct keeper *k);

uint64_t keeper_generation(const struct keeper *k);

/* For status. */
json_t *keeper_status(const struct keeper *k);

#endif
