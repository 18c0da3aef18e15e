/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle renew - has tulle-certd renew all certificates of this host now, and
 * waits for what becomes of each.
 */
#include <getopt.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/clock.h"
#include "base/text.h"
#include "certd.h"
#include "print.h"
#include "verbs.h"

#define TIMEOUT_MS 10000 /* of one answer */
#define LOOK_MS 100

static const char usage_text[] =
    "Usage: tulle renew [--root DIR] [--json] [--timeout TIME]\n"
    "\n"
    "Renews all certificates of this host now, each with a new key: after a change at the\n"
    "authority, say, or a key that may have been seen.  What was there stays in use until the\n"
    "new one has come.\n"
    "\n"
    "  --timeout TIME   how long to wait for that (default 15s)\n"
    "\n"
    "Exit status: 0 all renewed, 1 not all (tulle-certd goes on trying), 2 wrong usage.\n";

/* What <before>, an identity of the status, has become. */
enum fate { WAITING, RENEWED, FAILED };

static enum fate
fate_of(const json_t *before, const json_t *now)
{
	const char *serial = certd_text(now, "serial");

	if (*serial != '\0' && strcmp(serial, certd_text(before, "serial")) != 0)
		return RENEWED;
	/* It counts up, and begins anew with a success. */
	if (json_integer_value(json_object_get(now, "failures")) > json_integer_value(json_object_get(before, "failures")))
		return FAILED;
	return WAITING;
}

static const json_t *
by_id(const json_t *identities, const char *id)
{
	const json_t *i;
	size_t n;

	json_array_foreach (identities, n, i)
		if (strcmp(certd_text(i, "id"), id) == 0)
			return i;
	return NULL;
}

/* Sorts the identities of <before> by what became of them in <now>; one that is not wanted any more is left out. */
static json_t *
compare(const json_t *before, const json_t *now)
{
	static const char *const names[] = { [WAITING] = "waiting", [RENEWED] = "renewed", [FAILED] = "failed" };
	json_t *o = json_pack("{s[] s[] s[]}", names[RENEWED], names[FAILED], names[WAITING]);
	const json_t *b;
	size_t i;

	json_array_foreach (before, i, b) {
		const json_t *n = by_id(now, certd_text(b, "id"));

		if (n != NULL)
			(void)json_array_append_new(json_object_get(o, names[fate_of(b, n)]),
			    json_pack("{ss ss sI ss}", "id", certd_text(n, "id"), "serial", certd_text(n, "serial"), "remaining",
			        json_integer_value(json_object_get(n, "remaining")), "failure", certd_text(n, "failure")));
	}
	return o;
}

static void
show(const json_t *o)
{
	const json_t *i;
	char left[32];
	size_t n;

	json_array_foreach (json_object_get(o, "renewed"), n, i)
		(void)printf("renewed  %s, serial %s, %s left\n", certd_text(i, "id"), certd_text(i, "serial"),
		    print_lifetime(json_integer_value(json_object_get(i, "remaining")), left));
	json_array_foreach (json_object_get(o, "failed"), n, i) {
		(void)printf("FAILED   %s: ", certd_text(i, "id"));
		print_safe(certd_text(i, "failure"));
		(void)putchar('\n');
	}
	json_array_foreach (json_object_get(o, "waiting"), n, i)
		(void)printf("WAITING  %s: no answer yet\n", certd_text(i, "id"));
	if (json_array_size(json_object_get(o, "renewed")) + json_array_size(json_object_get(o, "failed")) +
	        json_array_size(json_object_get(o, "waiting")) == 0)
		(void)puts("there is nothing to renew: this host has no identity");
}

/* NULL: it did not work, and has been said. */
static json_t *
outcome(uint64_t timeout)
{
	json_t *before = certd_call("renew", "status", NULL, TIMEOUT_MS), *now, *asked, *o = NULL;
	uint64_t until = clock_mono_ms() + timeout;

	if (before == NULL)
		return NULL;
	asked = certd_call("renew", "renew", NULL, TIMEOUT_MS);
	while (asked != NULL) {
		now = certd_call("renew", "status", NULL, TIMEOUT_MS);
		if (now == NULL) {
			json_decref(o);
			o = NULL;
			break;
		}
		json_decref(o);
		o = compare(json_object_get(before, "identities"), json_object_get(now, "identities"));
		json_decref(now);
		if (json_array_size(json_object_get(o, "waiting")) == 0 || clock_mono_ms() >= until)
			break;
		(void)poll(NULL, 0, LOOK_MS);
	}
	json_decref(asked);
	json_decref(before);
	return o;
}

int
renew_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "timeout", required_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	uint64_t timeout = 15000;
	bool json = false, all;
	json_t *o;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'j':
			json = true;
			break;
		case 't':
			if (text_duration(optarg, &timeout) != TULLE_OK)
				return cli_wrong(argv[0], "--timeout %s: a duration such as 15s is needed", optarg);
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind < argc)
		return cli_wrong(argv[0], "unexpected argument '%s'", argv[optind]);
	o = outcome(timeout);
	if (o == NULL)
		return EXIT_FAILURE;
	if (json)
		print_json(o);
	else
		show(o);
	all = json_array_size(json_object_get(o, "failed")) + json_array_size(json_object_get(o, "waiting")) == 0;
	json_decref(o);
	return all ? EXIT_SUCCESS : EXIT_FAILURE;
}
