/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * file.h - whole files: read within a bound, replace in one step.
 */
#ifndef TULLE_BASE_FILE_H
#define TULLE_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Reads all of <path>, at most <max> bytes, and puts a NUL behind it.
 *
 *   TULLE_OK      *ret_data is the caller's, to free(); *ret_len is without the NUL
 *   TULLE_ENOENT  there is no such file
 *   TULLE_ELIMIT  longer than <max>
 *   TULLE_ESYS    errno tells why
 *   TULLE_ENOMEM
 */
enum tulle_err file_read(const char *path, size_t max, char **ret_data, size_t *ret_len);

/* The same from an open descriptor, from its present position; the descriptor stays the caller's. */
enum tulle_err file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len);

/*
 * Writes <len> bytes to a new file beside <path>, flushes it to disk, and
 * renames it to <path>; then flushes the directory.  Whoever looks sees the
 * old content or the new one, after a power cut too.  TULLE_ESYS.
 */
enum tulle_err file_replace(const char *path, const void *data, size_t len, mode_t mode);

/* All of it, through short writes and interruptions.  TULLE_ESYS. */
enum tulle_err file_write_all(int fd, const void *data, size_t len);

/* Makes <path> and what is missing above it.  What exists is left alone.  TULLE_ESYS. */
enum tulle_err file_mkdirs(const char *path, mode_t mode);

#endif
