/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bundle.h - configuration files as bytes in one sealed memory file: the
 * first is tulle.yaml (possibly empty).  Where identities.yaml has entries it
 * is the next, and behind it are the numbers of the users that it names, which
 * only the parent can look up.  The others are manifests.
 */
#ifndef TULLE_RELAYD_BUNDLE_H
#define TULLE_RELAYD_BUNDLE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "manifest/dir.h"

#define BUNDLE_MAX (MANIFEST_MAX_BYTES + (4u << 20))

/* Packs <n> files; *ret_fd is the caller's.  TULLE_ELIMIT, TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err bundle_pack(int *ret_fd, const struct manifest_file *files, size_t n);

struct bundle {
	char *bytes;                 /* owned; the files point into it */
	struct manifest_file *files; /* owned */
	size_t n;
	size_t manifests;            /* index of the first of them, n if there is none; 0 only in a bundle without any file */
};

/* What the file of users is called: no path, so no manifest can be. */
#define BUNDLE_USERS "users"

/* identities.yaml and its users, lent; NULL if it is not there. */
const struct manifest_file *bundle_identities(const struct bundle *b);
const struct manifest_file *bundle_users(const struct bundle *b);

/* A line of the file of users.  <out> as buf_printf(). */
enum tulle_err bundle_put_user(struct buf *out, const char *name, uint32_t uid);

/* The number that <users> has for <name>.  TULLE_ENOENT. */
enum tulle_err bundle_find_user(const struct manifest_file *users, const char *name, uint32_t *ret_uid);

/* The reverse; the descriptor stays the caller's.  TULLE_EPEER: nobody of ours packed this.  TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err bundle_unpack(struct bundle *ret, int fd);
void bundle_free(struct bundle *b);

#endif
