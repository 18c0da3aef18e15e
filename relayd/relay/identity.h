/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * identity.h - where the relay's identities come from: the SPIFFE Workload
 * API, over connections that the parent makes.
 */
#ifndef TULLE_RELAYD_IDENTITY_H
#define TULLE_RELAYD_IDENTITY_H

#include <jansson.h>

#include "io/loop.h"
#include "manifest/host.h"
#include "tls/identity.h"

struct identity_client;

struct identity_client_events {
	void (*dial)(void *arg);                              /* a connection is wanted: identity_client_dialled() answers */
	void (*update)(void *arg, struct identity_set *set);  /* a complete, checked set, its default chosen; lent */
};

/*
 * Starts asking.  <config> is lent: only what its identity.default names
 * becomes the default of a set.  <events> is copied.  TULLE_ENOMEM.
 */
enum tulle_err identity_client_new(struct identity_client **ret, struct loop *l, const struct host_config *config,
    const struct identity_client_events *events, void *arg);

/* A connection, which is taken over, or -1 and the errno that kept the parent from making one. */
void identity_client_dialled(struct identity_client *s, int fd, int error);

/* {"connected":..., "updates":..., "last_update":..., "error":...} for status. */
json_t *identity_client_json(const struct identity_client *s);

#endif
