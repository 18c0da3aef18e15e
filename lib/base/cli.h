/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cli.h - one voice for all command lines.
 *
 *   tulle-relayd: unrecognized option '--nonsense'
 *   Try 'tulle-relayd --help'.
 *
 * --help and --version print on standard output and exit with 0; what was
 * typed wrong is said like this on standard error, the exit status is
 * CLI_WRONG, and nothing was done.  <program> is the name as it is typed,
 * with the verb where there is one: "tulle reload".
 */
#ifndef TULLE_BASE_CLI_H
#define TULLE_BASE_CLI_H

#define CLI_WRONG 2

/* Takes the folder off argv[0]: getopt() begins its complaints with it.  Before getopt(). */
void cli_begin(char **argv);

/* "PROGRAM: ..." and where to read on.  Returns CLI_WRONG. */
int cli_wrong(const char *program, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Where to read on, after getopt() has complained.  Returns CLI_WRONG. */
int cli_try(const char *program);

/* --root <dir>, as paths_init().  0, or CLI_WRONG after a message. */
int cli_root(const char *program, const char *dir);

/* --log-level <text>: for good, whatever a configuration says later.  0, or CLI_WRONG after a message. */
int cli_log_level(const char *program, const char *text);

#endif
