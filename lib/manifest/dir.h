/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dir.h - the manifest files of a folder, as bytes, in name order.
 *
 * Only *.yaml and *.yml count, not what starts with a dot, and not what is in
 * a folder below.  For programs that have a file system: the relay gets the
 * bytes from its parent.
 */
#ifndef TULLE_MANIFEST_DIR_H
#define TULLE_MANIFEST_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "manifest/problem.h"

#define MANIFEST_MAX_FILES 4096
#define MANIFEST_MAX_BYTES (64u << 20) /* all files together */

struct manifest_file {
	const char *name; /* for messages: the path as given, or as found in the folder */
	const char *data;
	size_t len;
};

struct manifest_files {
	struct manifest_file *items;
	size_t n;
	size_t bytes;
};

/*
 * Appends the files of the folder <path> to <files> (start with { 0 }).
 *
 *   TULLE_EINVAL  a file could not be read or a bound was passed; the
 *                 reasons are in <problems>, what could be read is appended
 *   TULLE_ENOENT  there is no such folder; what that means is the caller's to
 *                 say: nothing is in <problems>
 *   TULLE_ENOMEM
 */
enum tulle_err manifest_dir_read(struct manifest_files *files, const char *path, struct problems *problems);

/*
 * A warning for each entry of the folder that manifest_dir_read() does not
 * take and that may be meant to count: all but those that start with a dot
 * and do not end in .yaml or .yml.
 */
void manifest_dir_ignored(const char *path, struct problems *problems);

/* Does the name end in .yaml or .yml? */
bool manifest_name_counts(const char *name);

/* Appends one file, whatever its name ends in.  Errors as above; a missing file is one. */
enum tulle_err manifest_file_read(struct manifest_files *files, const char *path, struct problems *problems);

/* Gives all names and bytes back. */
void manifest_files_free(struct manifest_files *files);

#endif
