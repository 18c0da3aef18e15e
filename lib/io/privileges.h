/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * privileges.h - giving up what a process does not need.
 */
#ifndef TULLE_IO_PRIVILEGES_H
#define TULLE_IO_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* A user by name or number.  The group is the user's own, or for a bare number the same number.  TULLE_ENOENT. */
enum tulle_err privileges_user(const char *name, uid_t *ret_uid, gid_t *ret_gid);

/*
 * Becomes <uid>:<gid> with no supplementary groups and no capability, for
 * good, and checks that it is so; no_new_privs is set.  Started as another
 * user than root: keeps that user and drops the rest.  Sockets made before
 * this call belong to the old user for the owner match, whoever
 * uses them later, so call it before opening any.  TULLE_ESYS.
 */
enum tulle_err privileges_drop(uid_t uid, gid_t gid);

/* No core dump and no ptrace by others: for processes that hold keys. */
void privileges_no_dump(void);

/*
 * From here on only the named system calls work; any other ends the
 * process.  Opening a file, which must not be among them, is refused with
 * EACCES instead: the C library looks into /proc when a thread first gives
 * memory back, and does without if it cannot.  Threads inherit it.  Does
 * nothing in a sanitizer build.  TULLE_ESYS, TULLE_EINVAL (an unknown name).
 */
enum tulle_err privileges_syscalls(const char *const *names, size_t n);

/* How many descriptors may be open: raises the soft limit to the hard one and returns it. */
unsigned long privileges_max_files(void);

#endif
