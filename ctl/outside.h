/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outside.h - programs of others, run for what they say. */
#ifndef TULLE_CTL_OUTSIDE_H
#define TULLE_CTL_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>

#define OUTSIDE_MISSING 127 /* there is no such program */

/*
 * Runs <argv> (looked for in PATH; ended by NULL), gives it <input> (NULL:
 * none), and waits for its end.  <fresh>: in a network namespace of its own,
 * which ends with it.
 *
 * Returns its exit status, OUTSIDE_MISSING, or -1: it could not be run, or a
 * signal ended it.  *ret_out is what it wrote to standard output, or, if
 * that is nothing, to standard error: at most <max> bytes and a NUL, the
 * caller's to free(); NULL if it could not be run.
 */
int outside_run(const char *const *argv, const char *input, bool fresh, size_t max, char **ret_out);

#endif
