/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * manifests.h - the manifests of the fleet in this daemon: an authority reads,
 * judges and publishes its mesh.d; a member takes what its authority
 * publishes, if tulle.yaml says manifests.source: authority.
 */
#ifndef TULLE_CERTD_MANIFESTS_H
#define TULLE_CERTD_MANIFESTS_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "config.h"

struct daemon;

/*
 * On an authority that listens: reads mesh.d and publishes it, if it loads
 * without an error.  <c> is the configuration to judge it by.  A folder that
 * is missing publishes nothing, and is an error only after something was.
 * On failure what members have stays, and why is appended to <error>, a line each;
 * where nobody has joined it is none, and only logged.
 * TULLE_EINVAL, TULLE_ELIMIT, TULLE_ESYS, TULLE_ENOMEM, TULLE_ECRYPTO.
 */
enum tulle_err manifests_publish(struct daemon *d, const struct config *c, struct buf *error);

/* On a member: begins or ends to follow the authority, as <c> says.  TULLE_ENOMEM. */
enum tulle_err manifests_follow(struct daemon *d, const struct config *c);

/* On a member: what the authority sent (fleet.h). */
void manifests_take(struct daemon *d, const uint8_t *p, size_t n);

/* This host has joined: whatever it had of another fleet goes. */
void manifests_joined(struct daemon *d);

/* For status: {"source","published"} or {"source","copy","heard","error"}; appends what is not well to <alarms>. */
json_t *manifests_status(struct daemon *d, json_t *alarms);

#endif
