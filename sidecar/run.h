/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * run.h - one probe carried out, as kubelet would: against the pod's own
 * address, or <host> if the probe names one, within its timeout.
 *
 *   httpGet    200 to 399 is well; a redirect is not followed and is well
 *   scheme HTTPS   the certificate is not looked at
 *   tcpSocket  a connection comes about
 *   grpc       grpc.health.v1.Health/Check over plain HTTP/2 says SERVING
 */
#ifndef TULLE_SIDECAR_RUN_H
#define TULLE_SIDECAR_RUN_H

#include "base/addr.h"
#include "io/loop.h"
#include "tls/context.h"
#include "probes.h"

struct run;

/* How it went, once, from the loop.  <why> is a phrase, lent for the call. */
typedef void run_done(void *arg, bool well, const char *why);

/*
 * Starts <p>, which is lent until done() or run_cancel(), against <pod>.
 * <tls> is tls_context_unverified_client(); for other probes than HTTPS it
 * may be NULL.  NULL: out of memory; done() is then not called.
 */
struct run *run_start(struct loop *l, const struct probe *p, const struct addr *pod, struct tls_context *tls, run_done *done,
    void *arg);

/* Gives it up; no callback.  Not after done(). */
void run_cancel(struct run *r);

#endif
