/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bundle.h - configuration files as bytes in one sealed memory file: the
 * first is tulle.yaml (possibly empty), the others are manifests.
 */
#ifndef TULLE_RELAYD_BUNDLE_H
#define TULLE_RELAYD_BUNDLE_H

#include <stddef.h>

#include "base/err.h"
#include "manifest/dir.h"

#define BUNDLE_MAX (MANIFEST_MAX_BYTES + (4u << 20))

/* Packs <n> files; *ret_fd is the caller's.  TULLE_ELIMIT, TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err bundle_pack(int *ret_fd, const struct manifest_file *files, size_t n);

struct bundle {
	char *bytes;                 /* owned; the files point into it */
	struct manifest_file *files; /* owned */
	size_t n;
};

/* The reverse; the descriptor stays the caller's.  TULLE_EPEER: nobody of ours packed this.  TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err bundle_unpack(struct bundle *ret, int fd);
void bundle_free(struct bundle *b);

#endif
