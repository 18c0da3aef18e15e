/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle reload [DAEMON...] - the daemons read their configuration again, and
 * whoever asked sees what they think of it: the error text and a failing
 * exit status, not only a line in a log.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
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
    "Usage: tulle reload [--root DIR] [--json] [certd] [relayd] [telemetryd]\n"
    "\n"
    "Asks the named daemons, or all that run, to read their configuration again.\n"
    "A daemon that finds an error keeps what it has; the error is printed here and\n"
    "the exit status is 1.\n";

struct outcome {
	const char *state; /* as --json says it */
	char *text;        /* owned: warnings, or why not; NULL: no memory for it */
};

static const char *
outcome_text(const struct outcome *o)
{
	return o->text != NULL ? o->text : "";
}

static void
outcome_free(struct outcome *o)
{
	free(o->text);
}

/* Asks one daemon. */
static struct outcome
reload_one(const char *name)
{
	struct outcome o = { .state = "failed" };
	char socket_name[32];
	char AUTO_FREE *error = NULL;
	json_t *result = NULL;
	const char *warnings;
	enum tulle_err e;

	(void)snprintf(socket_name, sizeof(socket_name), "%s.sock", name);
	e = ctl_call(paths_run(socket_name), "reload", NULL, TIMEOUT_MS, &result, &error);
	switch ((int)e) {
	case TULLE_OK:
		warnings = json_string_value(json_object_get(result, "warnings"));
		o = (struct outcome){ "reloaded", strdup(warnings != NULL ? warnings : "") };
		break;
	case TULLE_EINVAL:
		o = (struct outcome){ "refused", strdup(error != NULL ? error : "") };
		break;
	case TULLE_ENOENT:
	case TULLE_EUNAVAIL:
		o.state = "not running";
		if (asprintf(&o.text, "nobody answers at %s", paths_run(socket_name)) == -1)
			o.text = NULL;
		break;
	default:
		o.text = strdup(e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
		break;
	}
	json_decref(result);
	return o;
}

/* For people. */
static void
tell(const char *name, const struct outcome *o)
{
	if (strcmp(o->state, "reloaded") == 0) {
		(void)printf("%s: reloaded\n", name);
		(void)fputs(outcome_text(o), stderr);
	} else if (strcmp(o->state, "refused") == 0) {
		(void)fprintf(stderr, "%s: not reloaded, the old configuration stays:\n%s\n", name, outcome_text(o));
	} else if (strcmp(o->state, "not running") == 0) {
		(void)fprintf(stderr, "%s: not running (%s)\n", name, outcome_text(o));
	} else {
		(void)fprintf(stderr, "%s: %s\n", name, outcome_text(o));
	}
}

/* 0 reloaded, or not running though nobody asked for it by name; else 1.  <report> NULL: for people. */
static int
reload_and_tell(const char *name, bool must_run, json_t *report)
{
	struct outcome o = reload_one(name);
	bool down = strcmp(o.state, "not running") == 0, good = strcmp(o.state, "reloaded") == 0;

	if (report != NULL)
		(void)json_object_set_new(report, name, json_pack("{s:s, s:s}", "state", o.state, "text", outcome_text(&o)));
	else if (!down || must_run)
		tell(name, &o);
	outcome_free(&o);
	return good || (down && !must_run) ? 0 : 1;
}

int
reload_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	bool json = false;
	json_t *report = NULL;
	int failed = 0, c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return 0;
		default:
			return cli_try(argv[0]);
		}
	}
	for (int i = optind; i < argc; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_LEN(daemons); k++)
			known |= strcmp(daemons[k], argv[i]) == 0;
		if (!known)
			return cli_wrong(argv[0], "'%s' is no daemon: certd, relayd or telemetryd", argv[i]);
	}
	if (json)
		report = json_object();
	if (optind == argc)
		for (size_t i = 0; i < ARRAY_LEN(daemons); i++)
			failed |= reload_and_tell(daemons[i], false, report);
	for (; optind < argc; optind++)
		failed |= reload_and_tell(argv[optind], true, report);
	if (report != NULL) {
		(void)json_dumpf(report, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		(void)putchar('\n');
		json_decref(report);
	}
	return failed;
}
