/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * workload.h - the SPIFFE Workload API on a Unix socket: FetchX509SVID and
 * FetchX509Bundles as streams; the JWT and WIT calls answer Unimplemented.
 *
 * Rules W-02 to W-12 of doc/rules.md: the security header, the first
 * message at once, every message complete, PermissionDenied for who gets
 * nothing and Unavailable for who will.  A slow reader gets the latest
 * state, never a queue.  A caller is attested when it asks, and again before
 * every message with a key in it.
 *
 * The socket is for everybody, so a user has a share of connections and of
 * streams, and some are kept for root and the relay's user: those others
 * together cannot lock the relay out of its own certificates.
 */
#ifndef TULLE_CERTD_SERVE_WORKLOAD_H
#define TULLE_CERTD_SERVE_WORKLOAD_H

#include <stddef.h>

#include "agent/keeper.h"
#include "base/err.h"
#include "config.h"
#include "io/loop.h"

#define WORKLOAD_CONNECTIONS_MAX 1024
#define WORKLOAD_CONNECTIONS_KEPT 128
#define WORKLOAD_CONNECTIONS_PER_UID 64 /* not root */
#define WORKLOAD_STREAMS_MAX 4096       /* but for root and the relay's user */
#define WORKLOAD_STREAMS_PER_UID 64

struct workload;

/* Serves on the listening socket <fd>, which is taken.  The keeper and the configuration are lent.  TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err workload_new(struct workload **ret, struct loop *l, int fd, const struct keeper *k,
    const struct config *c);

#define WORKLOAD_POD_CONNECTIONS 32
#define WORKLOAD_POD_STREAMS 32

/*
 * The same for the pod <name> alone (copied).  Who calls is not asked: where
 * it calls is the fact, and a process of another process namespace has no
 * number here.  Errors as workload_new().
 */
enum tulle_err workload_new_pod(struct workload **ret, struct loop *l, int fd, const struct keeper *k,
    const struct config *c, const char *name);

/* Takes NULL.  Always returns NULL.  Streams end with Unavailable. */
struct workload *workload_free(struct workload *w);

/* Another configuration is in force; lent from now on.  Who loses everything is hung up on. */
void workload_config(struct workload *w, const struct config *c);

/* The keeper has changed: every stream gets the new state. */
void workload_changed(struct workload *w);

/* Why nothing is there yet, which the relay and root are told; copied.  NULL: no reason is known. */
void workload_waiting(struct workload *w, const char *why);

size_t workload_streams(const struct workload *w);

#endif
