/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/paths.h"

void
cli_begin(char **argv)
{
	char *slash = strrchr(argv[0], '/');

	if (slash != NULL)
		argv[0] = slash + 1;
}

int
cli_try(const char *program)
{
	(void)fprintf(stderr, "Try '%s --help'.\n", program);
	return CLI_WRONG;
}

int
cli_wrong(const char *program, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "%s: ", program);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return cli_try(program);
}

int
cli_root(const char *program, const char *dir)
{
	if (paths_init(dir) == TULLE_OK)
		return 0;
	return cli_wrong(program, "--root %s: an absolute path of at most %d bytes is needed", dir, PATHS_ROOT_MAX);
}

int
cli_log_level(const char *program, const char *text)
{
	enum log_level level;

	if (!log_level_parse(&level, text))
		return cli_wrong(program, "--log-level %s: debug, info, notice, warn or error is needed", text);
	log_pin_threshold(level);
	return 0;
}
