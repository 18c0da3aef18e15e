/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * follow.h - manifests from the authority instead of mesh.d: what
 * tulle-certd keeps of them on this host's disk (generation/generation.h).
 *
 * certd and the relay are different users without privilege, so certd cannot
 * tell the relay that a new copy is there: the relay looks at the file now and then.
 */
#ifndef TULLE_RELAYD_FOLLOW_H
#define TULLE_RELAYD_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "manifest/dir.h"
#include "manifest/problem.h"

/* A look at a file: another after every file_replace(), and after most things that one does by hand. */
struct follow_mark {
	uint64_t dev, ino, len;
	int64_t sec, nsec; /* of the last change */
};

struct follow {
	bool on;                  /* tulle.yaml says manifests.source: authority */
	struct follow_mark copy;  /* when it was last read or looked at */
};

/* Takes manifests.source from <yaml>.  From one that is wrong nothing is taken: the relay process says what is wrong. */
void follow_source(struct follow *f, const struct manifest_file *yaml);

/*
 * Appends the authority's manifests to <files>; *ret_number is their
 * generation's.  Where none have come yet there are none (0), or that is an
 * error if <must>.  Files in mesh.d, which do not count, get a warning.
 * TULLE_EINVAL: missing, or not whole, or not signed; <problems> has it.  TULLE_ENOMEM.
 */
enum tulle_err follow_read(struct follow *f, struct manifest_files *files, bool must, uint64_t *ret_number,
    struct problems *problems);

/* Is the copy another than when it was last read or looked at?  Never, where it is not followed. */
bool follow_changed(struct follow *f);

#endif
