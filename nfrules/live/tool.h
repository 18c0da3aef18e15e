/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tool.h - runs one program of the system: no shell, a fixed search path,
 * an environment of our own, bounded output and time.
 */
#ifndef TULLE_NFRULES_LIVE_TOOL_H
#define TULLE_NFRULES_LIVE_TOOL_H

#include <stddef.h>

#include "base/err.h"

#define TOOL_ERR_TEXT 2048
#define TOOL_OUT_MAX (64u << 20)
#define TOOL_TIMEOUT_MS 30000

struct tool_output {
	int status; /* exit status; 128 and the signal if one ended it */
	char *out;  /* owned; ends in NUL */
	size_t out_len;
	char err[TOOL_ERR_TEXT]; /* the beginning of standard error, without the last newline */
};

/*
 * Runs argv[0], looked for in the directories of a system's administration,
 * with <input> on its standard input.
 *
 *   TULLE_OK         it ran; *ret tells how it ended, to release with tool_output_free()
 *   TULLE_ENOENT     there is no such program
 *   TULLE_ETIMEDOUT  it took longer than TOOL_TIMEOUT_MS and was killed
 *   TULLE_ELIMIT     it printed more than TOOL_OUT_MAX and was killed
 *   TULLE_ESYS       errno tells why
 *   TULLE_ENOMEM
 */
enum tulle_err tool_run(struct tool_output *ret, const char *const argv[], const char *input, size_t input_len);

void tool_output_free(struct tool_output *o);

#endif
