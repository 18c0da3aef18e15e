/* SPDX-License-Identifier: GPL-3.0-or-later */
/* takeout.h - out of the tree of a pod what its status says was put in. */
#ifndef TULLE_CTL_INJECT_TAKEOUT_H
#define TULLE_CTL_INJECT_TAKEOUT_H

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "inject/pod.h"

/*
 * Changes the tree of <p>: the containers and volumes are gone by their
 * names, the probes are what they were, and so are fields that nobody has
 * changed since.  New nodes come from <arena>.  TULLE_ENOMEM.
 */
enum tulle_err takeout(struct pod *p, const json_t *status, struct arena *arena);

#endif
