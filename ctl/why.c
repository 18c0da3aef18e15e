/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tulle why PID - which identities a process gets, what is known of it, and which rule it misses. */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cli.h"
#include "base/text.h"
#include "certd.h"
#include "print.h"
#include "verbs.h"

static const char usage_text[] =
    "Usage: tulle why [--root DIR] [--json] PID\n"
    "\n"
    "Says which identities the process would get from tulle-certd, as whom its\n"
    "connections into the mesh speak, and why.\n"
    "Exit status: 0 it gets one, 1 it gets none, 2 wrong usage.\n";

static void
show(const json_t *r)
{
	const json_t *ids = json_object_get(r, "identities"), *out = json_object_get(r, "outbound");
	const char *as = json_string_value(json_object_get(out, "as")), *file = json_string_value(json_object_get(out, "file"));

	(void)printf("pid %" JSON_INTEGER_FORMAT ": uid %" JSON_INTEGER_FORMAT ", unit %s\n",
	    json_integer_value(json_object_get(r, "pid")), json_integer_value(json_object_get(r, "uid")),
	    *certd_text(r, "unit") != '\0' ? certd_text(r, "unit") : "none");
	for (size_t i = 0; i < json_array_size(ids); i++)
		(void)printf("gets %s\n", json_string_value(json_array_get(ids, i)));
	if (json_array_size(ids) == 0)
		(void)printf("gets none: %s\n", certd_text(r, "why"));
	if (file != NULL)
		(void)printf("its connections into the mesh speak as %s, by %s:%" JSON_INTEGER_FORMAT "\n", as, file,
		    json_integer_value(json_object_get(out, "line")));
	else if (as != NULL)
		(void)printf("its connections into the mesh speak as %s, identity.default: no entry fits\n", as);
	else
		(void)printf("its connections into the mesh fail: no entry fits, and identity.default is not set\n");
}

int
why_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	bool json = false;
	uint64_t pid;
	json_t *r;
	int c, status;

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
	if (optind + 1 != argc || text_uint(argv[optind], INT32_MAX, &pid) != TULLE_OK) {
		(void)fputs(usage_text, stderr);
		return 2;
	}
	r = certd_call("why", "why", json_pack("{sI}", "pid", (json_int_t)pid), 5000);
	if (r == NULL)
		return EXIT_FAILURE;
	if (json) {
		print_json(r);
	} else {
		show(r);
	}
	status = json_array_size(json_object_get(r, "identities")) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	json_decref(r);
	return status;
}
