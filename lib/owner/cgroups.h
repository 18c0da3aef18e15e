/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cgroups.h - the table from cgroup to systemd unit (unit.h), for whoever
 * sees the unified hierarchy: at /sys/fs/cgroup, or at /sys/fs/cgroup/unified
 * where the older hierarchies are in use as well.
 *
 * The kernel never gives the number of a cgroup away again and a cgroup never
 * moves, so what was found stays true.  One look reads the whole tree; the
 * bounds below keep a service that fills its own part of it from being
 * everybody's cost: what lies beyond them is not found.
 */
#ifndef TULLE_OWNER_CGROUPS_H
#define TULLE_OWNER_CGROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CGROUPS_MAX 65536     /* in all */
#define CGROUPS_IN_UNIT 4096  /* in one unit, or in one folder that is no unit's */
#define CGROUPS_DEPTH 32

struct cgroups;

/*
 * Looks at the whole tree.  <root>: its folder; NULL: where it is mounted.
 *
 *   TULLE_ENOENT   no unified hierarchy is there
 *   TULLE_ELIMIT   more than CGROUPS_MAX: *ret has those that were read first
 *   TULLE_ESYS, TULLE_ENOMEM
 */
enum tulle_err cgroups_read(struct cgroups **ret, const char *root);

/* Takes NULL.  Always returns NULL. */
struct cgroups *cgroups_free(struct cgroups *c);

/* The unit of a cgroup, "" if it is in none; NULL: there is no such cgroup.  Takes NULL.  Lent. */
const char *cgroups_unit(const struct cgroups *c, uint64_t id);

size_t cgroups_count(const struct cgroups *c);

#endif
