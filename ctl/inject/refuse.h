/* SPDX-License-Identifier: GPL-3.0-or-later */
/* refuse.h - pods that cannot be taken into the mesh, and annotations that say nothing. */
#ifndef TULLE_CTL_INJECT_REFUSE_H
#define TULLE_CTL_INJECT_REFUSE_H

#include "inject/options.h"
#include "inject/pod.h"
#include "manifest/problem.h"

/*
 * Adds an error to <problems> for everything that stands in the way of
 * making <p> a pod of the mesh, each with what would be right.  Nothing is
 * added for a pod that is fine.
 */
void refuse_pod(const struct pod *p, const struct inject_options *o, struct problems *problems);

/* Does its annotation tulle.mesh/inject say "false"? */
bool refuse_unwanted(const struct pod *p);

#endif
