/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle rules [plan|check] - the steering rules of this host: as planned,
 * or (unless told otherwise) how what is there compares with the plan.
 *
 * tulle-nfrules alone knows the rules; this runs it, the one that was
 * installed beside this program, and passes its words and exit status on.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/paths.h"
#include "beside.h"
#include "verbs.h"

#define PROGRAM "tulle-nfrules"

static const char usage_text[] =
    "Usage: tulle rules [plan|check] [--root DIR] [--json]\n"
    "\n"
    "  check   compare the rules in the kernel with the plan (the default); needs root\n"
    "  plan    print the rules that are wanted\n"
    "\n"
    "Exit status as tulle-nfrules(8): 0 equal, 2 refused, 3 drift, 4 absent, 5 rules of\n"
    "another version or in the other backend.  Rules are applied and removed with\n"
    "tulle-nfrules apply and tulle-nfrules remove.\n";

int
rules_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	const char *verb = "check", *root = "/";
	char path[BESIDE_MAX];
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			root = optarg;
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
	if (optind < argc)
		verb = argv[optind++];
	if (optind < argc || (strcmp(verb, "plan") != 0 && strcmp(verb, "check") != 0))
		return cli_wrong(argv[0], "plan or check is needed; tulle-nfrules applies and removes");
	(void)execlp(beside(path, PROGRAM), PROGRAM, verb, "--root", root, json ? "--json" : NULL, (char *)NULL);
	(void)fprintf(stderr, "tulle rules: " PROGRAM ": %s; it is installed with Tulle's package\n", strerror(errno));
	return 1;
}
