/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * client.h - a client of the SPIFFE Workload API: X.509 identities and
 * bundles, watched (Workload API 5.2.1; W-07 to W-16).
 *
 * It dials through its user, so that a process without a file system can
 * get connections from somebody else.  It keeps trying for ever: 1 s, 2 s
 * ... 30 s with jitter, from 1 s again after every good message; only
 * InvalidArgument stops it, because asking the same again would not help.
 */
#ifndef TULLE_WORKLOAD_CLIENT_H
#define TULLE_WORKLOAD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"
#include "tls/identity.h"

struct workload_client;

/*
 * One complete response that keeps the rules of response.h; it replaces the
 * one before.  Everything is lent for the callback, and keys are wiped behind it.
 */
struct workload_update {
	const struct svid_der *svids; /* at least one, the default first */
	size_t n_svids;
	const struct trust_bundle *bundles; /* federated ones, no trust domain twice */
	size_t n_bundles;
};

struct workload_events {
	/* A connection is wanted: workload_client_connected() answers, now or within 15 s. */
	void (*dial)(void *arg);
	/* False: the update cannot be used (it is reported in status), the stream stays. */
	bool (*update)(void *arg, const struct workload_update *u);
};

/* Starts dialling in the loop.  <events> is copied.  TULLE_ENOMEM. */
enum tulle_err workload_client_new(struct workload_client **ret, struct loop *l, const struct workload_events *events,
    void *arg);

/* A connected socket, taken over; or -1 and a phrase that says why not. */
void workload_client_connected(struct workload_client *c, int fd, const char *why);

/* Takes NULL.  Always returns NULL. */
struct workload_client *workload_client_free(struct workload_client *c);

struct workload_state {
	bool connected;          /* a stream is open and has delivered */
	bool denied;             /* the last answer was PermissionDenied: no identity for us */
	bool stopped;            /* InvalidArgument: will not try again */
	uint64_t updates;
	uint64_t last_update_ns; /* wall clock; 0: never */
	const char *error;       /* the last one, "" if none since the last update; lent */
};

struct workload_state workload_client_state(const struct workload_client *c);

#endif
