/* SPDX-License-Identifier: GPL-3.0-or-later */
/* print.h - what verbs print for people and for scripts. */
#ifndef TULLE_CTL_PRINT_H
#define TULLE_CTL_PRINT_H

#include <jansson.h>
#include <stdint.h>

/*
 * <text> on standard output, in one line: what came from elsewhere must not move the terminal.  Controls become \u001b
 * and the like; backslashes stay as they are, so that a text that was escaped before is not escaped again.
 */
void print_safe(const char *text);

/* print_safe(), then spaces up to <width> and two more; a longer text is whole. */
void print_padded(const char *text, unsigned int width);

/* <o> on standard output, indented, and a newline. */
void print_json(const json_t *o);

/* "3 days", "14 hours", "5 minutes", "90 s".  Returns <out>. */
const char *print_lifetime(int64_t seconds, char out[32]);

#define PRINT_TIME 32

/* "2026-11-24T16:00:00Z" of seconds since the epoch; "?" if there is no such year.  Returns <out>. */
const char *print_time(int64_t at, char out[PRINT_TIME]);

#endif
