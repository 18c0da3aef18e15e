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

/* Field 22 of /proc/PID/stat: when it started, in ticks since boot.  TULLE_EINVAL. */
enum tulle_err procfs_start_time(const char *stat, uint64_t *ret);

/* The effective ids of /proc/PID/status.  TULLE_EINVAL. */
enum tulle_err procfs_ids(const char *status, uint32_t *ret_uid, uint32_t *ret_gid);

#define PROCFS_UNIT 256

/*
 * The system unit of a process, out of /proc/PID/cgroup: the first component
 * of the unified hierarchy's path that ends in .service or .scope, counted
 * from the root.  What lies below it was delegated to that unit, so that it
 * can name cgroups there as it likes: user@1000.service/app.slice/nginx.service
 * is the user manager user@1000.service, never nginx.service.
 *
 *   TULLE_ENOENT  in no unit
 *   TULLE_EINVAL  no unified hierarchy, or not such a file
 */
enum tulle_err procfs_unit(const char *cgroup, char ret[PROCFS_UNIT]);

#endif
