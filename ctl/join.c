/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle join TOKEN - makes this host a member of the trust domain of the
 * authority that made the token.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "certd.h"
#include "print.h"
#include "verbs.h"

#define TIMEOUT_MS 30000

static const char usage_text[] =
    "Usage: tulle join [--root DIR] [--json] TOKEN\n"
    "\n"
    "Joins the authority that made TOKEN (tulle token, there).  \"-\" reads the token\n"
    "from standard input, which keeps it out of the list of processes.  The same host\n"
    "may repeat it: a join whose answer was lost is finished.\n"
    "\n"
    "Exit status: 0 joined, 1 not, 2 wrong usage.\n";

static bool
read_token(char *out, size_t size)
{
	if (fgets(out, (int)size, stdin) == NULL)
		return false;
	out[strcspn(out, "\r\n")] = '\0';
	return true;
}

static int
show(bool json)
{
	json_t *status = certd_call("join", "status", NULL, TIMEOUT_MS);
	const json_t *member = json_object_get(status, "member");

	if (status == NULL)
		return EXIT_FAILURE;
	if (json) {
		print_json(member);
	} else {
		(void)printf("joined trust domain %s as %s\nauthority %s\n", certd_text(status, "trust_domain"),
		    certd_text(member, "node"), certd_text(member, "authority"));
	}
	json_decref(status);
	return EXIT_SUCCESS;
}

int
join_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	char line[256];
	const char *token;
	bool json = false;
	json_t *r;
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
		case 'h':
			(void)fputs(usage_text, stdout);
			return 0;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind + 1 != argc) {
		(void)fputs(usage_text, stderr);
		return 2;
	}
	token = argv[optind];
	if (strcmp(token, "-") == 0) {
		if (!read_token(line, sizeof(line))) {
			(void)fputs("tulle join: there is no token on standard input\n", stderr);
			return 2;
		}
		token = line;
	}
	r = certd_call("join", "join", json_pack("{ss}", "token", token), TIMEOUT_MS);
	if (r == NULL)
		return EXIT_FAILURE;
	json_decref(r);
	return show(json);
}
