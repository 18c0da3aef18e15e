/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * probes.h - probes of applications that kubelet sends over the network: it
 * has no identity, so under STRICT they would be refused.  The sidecar
 * carries them out instead, from within.
 *
 *   livenessProbe of "web"  ->  GET :15020/app-health/web/livez
 *
 * A probe that runs a program stays, and one that names a host: that is not
 * sent to the pod.
 */
#ifndef TULLE_CTL_INJECT_PROBES_H
#define TULLE_CTL_INJECT_PROBES_H

#include <jansson.h>

#include "base/err.h"
#include "inject/edit.h"
#include "inject/pod.h"

#define PROBES_PORT 15020

struct probes {
	json_t *table; /* what tulle-sidecar(8) calls TULLE_PROBES; owned */
	json_t *were;  /* {"web": {"livenessProbe": {"httpGet": {...}}}}: the handlers that were there; owned */
};

/*
 * Rewrites the probes of <p>: edits into <ed>, both tables into *ret, which
 * is the caller's to give back with probes_free().
 *
 *   TULLE_EINVAL  a probe's port names none of the container's, is no port
 *                 at all, or the probe stands elsewhere: see <problems>
 *   TULLE_ENOMEM
 */
enum tulle_err probes_rewrite(struct probes *ret, const struct pod *p, struct edits *ed, struct problems *problems);

void probes_free(struct probes *p);

/* Puts what probes.were says back into the containers of the tree of <p>, from <arena>.  TULLE_ENOMEM. */
enum tulle_err probes_restore(const struct pod *p, const json_t *were, struct arena *arena);

#endif
