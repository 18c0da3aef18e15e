/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * unit.h - from a path in the unified cgroup hierarchy to the systemd unit
 * that owns it (pure).
 *
 * systemd puts slices into slices and units into slices, and nobody else can
 * make a folder there.  So the unit is the first component that is no slice;
 * what lies below it was given away to that unit, which names cgroups there
 * as it likes: "user.slice/user-1000.slice/user@1000.service/app.slice/
 * nginx.service" is the user manager user@1000.service, never nginx.service,
 * and "docker/0123/nginx.service" is in no unit at all.
 */
#ifndef TULLE_OWNER_UNIT_H
#define TULLE_OWNER_UNIT_H

#include <stddef.h>

#include "base/err.h"

#define UNIT_MAX 256 /* systemd's own bound, with the NUL */

enum unit_step {
	UNIT_STEP_SLICE,  /* units may follow */
	UNIT_STEP_UNIT,   /* this is it, whatever follows */
	UNIT_STEP_NOTHING /* no unit here, whatever follows */
};

/*
 * One component of such a path, <n> bytes without slashes.  UNIT_STEP_UNIT:
 * its name is in <ret>, without the "_" that systemd puts before names which
 * could be taken for a file of the kernel's ("_cpu.service").
 */
enum unit_step unit_step(const char *name, size_t n, char ret[UNIT_MAX]);

/*
 * A path as it stands in /proc/PID/cgroup: "/system.slice/nginx.service", up
 * to <n> bytes.  TULLE_ENOENT: it is in no unit.
 */
enum tulle_err unit_of_path(const char *path, size_t n, char ret[UNIT_MAX]);

#endif
