/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * procfs.h - what files under /proc say about a process (pure: the text
 * comes in).  A process chooses its own name and much of its cgroup path,
 * so these are parsers of hostile input.
 */
#ifndef TULLE_CERTD_SERVE_PROCFS_H
#define TULLE_CERTD_SERVE_PROCFS_H

#include <stdint.h>

#include "base/err.h"
#include "owner/unit.h"

/* Field 22 of /proc/PID/stat: when it started, in ticks since boot.  TULLE_EINVAL. */
enum tulle_err procfs_start_time(const char *stat, uint64_t *ret);

/* The effective ids of /proc/PID/status.  TULLE_EINVAL. */
enum tulle_err procfs_ids(const char *status, uint32_t *ret_uid, uint32_t *ret_gid);

/*
 * The system unit of a process (unit_of_path()), out of /proc/PID/cgroup: of
 * its line for the unified hierarchy.
 *
 *   TULLE_ENOENT  in no unit
 *   TULLE_EINVAL  no unified hierarchy, or not such a file
 */
enum tulle_err procfs_unit(const char *cgroup, char ret[UNIT_MAX]);

#endif
