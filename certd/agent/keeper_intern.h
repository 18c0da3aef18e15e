/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper_intern.h - what the files of keeper.h share.
 *
 *   keeper.c          looks what is due, orders, tells, saves
 *   keeper_deliver.c  judges what came and puts it in force
 *   keeper_want.c     which identities and which roots
 */
#ifndef TULLE_CERTD_AGENT_KEEPER_INTERN_H
#define TULLE_CERTD_AGENT_KEEPER_INTERN_H

#include "agent/keeper.h"
#include "base/buf.h"
#include "store/crypt.h"
#include "tls/spiffe.h"
#include "tls/svid.h"
#include "tls/trust.h"

struct keeper {
	struct loop *loop; /* lent */
	struct timer timer;
	const struct keeper_handler *handler; /* lent */
	void *arg;
	char *file; /* owned */
	uint8_t seal[CRYPT_KEY];
	char td[SPIFFE_TD_MAX + 1];
	struct slot *slots; /* owned */
	size_t n;
	struct buf roots;
	struct trust *trust; /* of the roots; NULL: none yet */
	json_t *cached;      /* owned: what the cache holds and nobody wanted so far, by SPIFFE ID */
	uint64_t generation;
	bool changed; /* since the handler was told */
};

/* ---- keeper.c ---- */

int64_t keeper_now_ms(void);

/* A random number, for spreading renewals and retries. */
uint32_t keeper_draw(void);

/* NULL: not wanted here. */
struct slot *keeper_find_id(struct keeper *k, const char *id);

/* All that is due: orders, retries, alarms, expiry; tells the handler. */
void keeper_look(struct keeper *k);

/* The same from the loop: safe in the middle of a callback. */
void keeper_soon(struct keeper *k);

/* The order of <s> came to nothing; it is tried again later. */
void keeper_order_failed(struct slot *s, const char *why);

/* ---- keeper_deliver.c ---- */

/* Does the chain lead from a good leaf to our own roots? */
enum svid_reason keeper_verify(struct keeper *k, const struct identity *id);

/* Puts <id>, which it takes over, in the place of what <s> has.  <renew> 0: at half of its life, about. */
void keeper_install(struct keeper *k, struct slot *s, struct identity *id, int64_t issued, int64_t renew);

#endif
