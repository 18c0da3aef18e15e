/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle reload [DAEMON...] - the daemons read their configuration again, and
 * whoever asked sees what they think of it: the error text and a failing
 * exit status, not only a line in a log.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/paths.h"
#include "io/ctlsock.h"
#include "verbs.h"

#define TIMEOUT_MS 30000

static const char *const daemons[] = { "certd", "relayd", "telemetryd" };

static const char usage_text[] =
    "Usage: tulle reload [--root DIR] [certd] [relayd] [telemetryd]\n"
    "\n"
    "Asks the named daemons, or all that run, to read their configuration again.\n"
    "A daemon that finds an error keeps what it has; the error is printed here and\n"
    "the exit status is 1.\n";

/* 0 reloaded, 1 refused or unreachable. */
static int
reload_one(const char *name, bool must_run)
{
	char socket_name[32];
	char AUTO_FREE *error = NULL;
	json_t *result = NULL;
	enum tulle_err e;

	(void)snprintf(socket_name, sizeof(socket_name), "%s.sock", name);
	e = ctl_call(paths_run(socket_name), "reload", NULL, TIMEOUT_MS, &result, &error);
	if (e == TULLE_OK) {
		const char *warnings = json_string_value(json_object_get(result, "warnings"));

		(void)printf("%s: reloaded\n", name);
		if (warnings != NULL)
			(void)fputs(warnings, stderr);
	}
	json_decref(result);
	switch ((int)e) {
	case TULLE_OK:
		return 0;
	case TULLE_EINVAL:
		(void)fprintf(stderr, "%s: not reloaded, the old configuration stays:\n%s\n", name, error);
		return 1;
	case TULLE_ENOENT:
	case TULLE_EUNAVAIL:
		if (!must_run)
			return 0;
		(void)fprintf(stderr, "%s: not running (nobody answers at %s)\n", name, paths_run(socket_name));
		return 1;
	default:
		(void)fprintf(stderr, "%s: %s%s%s\n", name, tulle_strerror(e), e == TULLE_ESYS ? ": " : "",
		    e == TULLE_ESYS ? strerror(errno) : "");
		return 1;
	}
}

int
reload_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	int failed = 0, c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return 0;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind == argc)
		for (size_t i = 0; i < ARRAY_LEN(daemons); i++)
			failed |= reload_one(daemons[i], false);
	for (; optind < argc; optind++) {
		size_t i;

		for (i = 0; i < ARRAY_LEN(daemons) && strcmp(daemons[i], argv[optind]) != 0; i++)
			;
		if (i == ARRAY_LEN(daemons))
			return cli_wrong(argv[0], "'%s' is no daemon: certd, relayd or telemetryd", argv[optind]);
		failed |= reload_one(daemons[i], true);
	}
	return failed;
}
