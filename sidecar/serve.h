/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * serve.h - port 15020: what kubelet and the application ask the sidecar.
 *
 *   GET  /healthz/ready      200 while the relay is ready and no stop is under way, else 503
 *   GET  /app-health/...     200 or 500: the probe of TULLE_PROBES with this path, carried out now
 *   POST /quitquitquit       from the pod itself: ends the sidecar
 *
 * The steering rules never capture the port, so kubelet's plaintext reaches
 * it whatever PeerAuthentication says.
 */
#ifndef TULLE_SIDECAR_SERVE_H
#define TULLE_SIDECAR_SERVE_H

#include "base/err.h"
#include "io/loop.h"
#include "probes.h"

#define SERVE_PORT 15020

struct serve;

struct serve_options {
	uint16_t relay_health;       /* the relay's health port in this pod */
	const struct probes *probes; /* lent for the life of the server */
	void (*quit)(void *arg);     /* asked for by the pod itself */
	void *arg;
};

/* Listens on every address.  TULLE_EBUSY: the port is taken.  TULLE_ESYS, TULLE_ENOMEM, TULLE_ECRYPTO. */
enum tulle_err serve_start(struct serve **ret, struct loop *l, const struct serve_options *o);

/* From now on it is not ready. */
void serve_leave(struct serve *s);

#endif
