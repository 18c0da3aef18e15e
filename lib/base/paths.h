/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * paths.h - where things are: configuration, state and sockets, below the
 * --root that lets several hosts live on one machine.
 *
 *   paths_etc("mesh.d")     ROOT/etc/tulle/mesh.d
 *   paths_run("certd.sock") ROOT/run/tulle/certd.sock
 *   paths_var("certd")      ROOT/var/lib/tulle/certd
 *
 * Each returns static storage of its own thread and its own kind: a second
 * call of the same function overwrites the first answer.
 */
#ifndef TULLE_BASE_PATHS_H
#define TULLE_BASE_PATHS_H

#include "base/err.h"

#define PATHS_ROOT_MAX 72 /* the longest socket name below it has 33 bytes */

/*
 * Sets the root; "" or "/" is the machine itself.  Call once, before any
 * thread.  TULLE_EINVAL: not absolute, or so long that a Unix socket's name
 * below it would not fit (sun_path has 107 bytes).
 */
enum tulle_err paths_init(const char *root);

/* Never NULL, without a slash at the end: "" for the machine itself. */
const char *paths_root(void);

const char *paths_etc(const char *name);
const char *paths_run(const char *name);
const char *paths_var(const char *name);

#endif
