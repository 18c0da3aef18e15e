/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * podsocks.h - Workload API sockets of pods, one for each:
 *
 *   /run/tulle/identity/pods/NAME/workload.sock
 *
 * The folder NAME is what the pod gets mounted (read-only), so that it sees
 * the socket that a restarted certd makes anew.  Who reaches it is the pod:
 * the folder above is closed to all users of the host but certd's and root.
 */
#ifndef TULLE_CERTD_SERVE_PODSOCKS_H
#define TULLE_CERTD_SERVE_PODSOCKS_H

#include <jansson.h>

#include "agent/keeper.h"
#include "base/err.h"
#include "config.h"
#include "io/loop.h"

#define PODSOCKS_MAX 512

struct podsocks;

/* <dir> is the folder of the folders; it, the keeper and later the configuration are lent.  TULLE_ENOMEM. */
enum tulle_err podsocks_new(struct podsocks **ret, struct loop *l, const char *dir, const struct keeper *k);

/* Takes NULL.  Always returns NULL.  The sockets stay where they are; nobody answers there. */
struct podsocks *podsocks_free(struct podsocks *p);

/*
 * Another configuration is in force: makes sockets that it names and removes
 * those that it does not, and what an earlier run left of such.  One that
 * cannot be made is logged, and in status.
 */
void podsocks_config(struct podsocks *p, const struct config *c);

/* The keeper has changed. */
void podsocks_changed(struct podsocks *p);

/* For status: [{"socket","streams"} or {"socket","error"}]. */
json_t *podsocks_status(const struct podsocks *p);

#endif
