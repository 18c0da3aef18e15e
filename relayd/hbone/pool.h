/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pool.h - the tunnels of one thread to other hosts.
 *
 * A tunnel is shared by all flows with the same own identity, expected
 * identity and address, and by nobody else (HB-34).  A new flow gets the
 * tunnel with the most free streams among those that carry no bulk; if all
 * do, another tunnel is made, up to POOL_SPREAD of them, and beyond that they
 * are shared all the same.  A flow never waits for a stream: when all tunnels
 * of a key are full another is made, whatever their number.  While one is
 * being made everybody waits for that one: single flight.
 */
#ifndef TULLE_RELAYD_HBONE_POOL_H
#define TULLE_RELAYD_HBONE_POOL_H

#include "hbone/stream.h"
#include "net/creds.h"

struct pool;
struct tunnel;

#define POOL_SPREAD 4      /* tunnels of one key that are made to keep flows out of the way of bulk */
#define POOL_IDLE_MS 60000 /* a tunnel without streams is kept this long */

/* What happens to tunnels, for counters and logs; any may be NULL. */
struct pool_events {
	void (*up)(void *arg, const struct hbone *h);
	void (*down)(void *arg, const struct hbone *h, enum tulle_err e); /* was_up: h->conn.ready_ns != 0 */
};

/* <creds> and <events> are lent for the life of the pool.  TULLE_ENOMEM. */
enum tulle_err pool_new(struct pool **ret, struct thread *th, struct creds *creds, const struct pool_events *events,
    void *arg);

/* Ends every tunnel.  Takes NULL, always returns NULL. */
struct pool *pool_free(struct pool *p);

struct pool_target {
	const struct identity *own; /* as whom: one of the credentials' set; lent.  NULL: we are nobody */
	struct addr addr;     /* of the tunnel's server: the workload's address and the HBONE port */
	const char *expected; /* its SPIFFE ID; lent */
	const char *sni;      /* NULL: none is sent; lent */
	const struct hbone *avoid; /* not through this tunnel, which has just refused it; may be gone */
};

/*
 * Opens a stream to <authority> through a tunnel to <to>.  opened() or
 * failed() follows, never from within.
 *
 *   TULLE_EUNAVAIL  there is nobody to speak as
 *   TULLE_ESYS      errno tells why (EMFILE, ENETUNREACH, ...)
 *   TULLE_ENOMEM, TULLE_ECRYPTO
 */
enum tulle_err pool_open(struct pool *p, struct hstream *s, const struct pool_target *to, const char *authority,
    const struct stream_events *events);

/* No new streams on any tunnel; they end as their streams do. */
void pool_drain(struct pool *p);

/* Frees tunnels that ended; once per tick. */
void pool_reap(struct pool *p);

unsigned int pool_tunnels(const struct pool *p);

/* Calls <visit> for every tunnel, for status. */
void pool_each(const struct pool *p, void (*visit)(void *arg, const struct hbone *h, const char *expected), void *arg);

#endif
