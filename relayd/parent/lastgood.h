/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lastgood.h - the last configuration that was accepted, on disk: what a
 * relay starts with when the files of that moment are no good.
 *
 * ROOT/var/lib/tulle/relayd/last-good holds the files as bundle.h packs
 * them, behind a line that says so and the time of their acceptance.  The
 * bytes are only carried here: the relay process decodes and judges them,
 * as it does with those of the files.
 */
#ifndef TULLE_RELAYD_LASTGOOD_H
#define TULLE_RELAYD_LASTGOOD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Makes the folder, for that user alone.  To be called before rights are given up.  TULLE_ESYS. */
enum tulle_err lastgood_prepare(uid_t uid, gid_t gid);

/* Keeps what is in a sealed file (bundle.h) in one step, as accepted at <when>; the descriptor stays the caller's. */
enum tulle_err lastgood_keep(int fd, int64_t when);

/*
 * What was kept last, in a sealed file that is the caller's; <*ret_when> is
 * in seconds since the epoch.
 *
 *   TULLE_ENOENT  nothing was kept yet
 *   TULLE_EPEER   the file is not one of ours
 *   TULLE_ELIMIT, TULLE_ENOMEM, TULLE_ESYS
 */
enum tulle_err lastgood_open(int *ret_fd, int64_t *ret_when);

#define LASTGOOD_WHEN 32

/* A time as people read it: "2026-11-24T12:20:32Z".  Returns <out>. */
const char *lastgood_when(int64_t when, char out[LASTGOOD_WHEN]);

#endif
