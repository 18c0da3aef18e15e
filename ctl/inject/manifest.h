/* SPDX-License-Identifier: GPL-3.0-or-later */
/* manifest.h - a manifest read, changed and printed: what both verbs do around the change itself. */
#ifndef TULLE_CTL_INJECT_MANIFEST_H
#define TULLE_CTL_INJECT_MANIFEST_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "inject/inject.h"
#include "manifest/problem.h"

struct manifest_text {
	const char *name, *data;
	size_t len;
};

/* The change: inject_text() or uninject_text(). */
typedef enum tulle_err manifest_change(struct buf *out, struct buf *notes, struct inject_done *ret, const struct manifest_text *in,
    const void *arg, struct problems *problems);

/*
 * Reads <path> ("-" is standard input), has it changed, and prints it.  What
 * is wrong, and notes, go to standard error; <did> says what became of the
 * pods: "taken into the mesh".  The result is the exit status; with 1
 * nothing was printed.
 */
int manifest_run(const char *program, const char *path, const char *did, manifest_change *change, const void *arg);

#endif
