/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle token - makes, lists and revokes the tokens with which other hosts
 * join this one's trust domain.
 */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/text.h"
#include "certd.h"
#include "print.h"
#include "verbs.h"

#define TIMEOUT_MS 10000

static const char usage_text[] =
    "Usage: tulle token [--root DIR] --allow NAMESPACE/ACCOUNT [--allow ...]\n"
    "                   [--ttl TIME] [--uses N] [--address IP[:PORT]] [--json]\n"
    "       tulle token --list [--json]\n"
    "       tulle token --revoke ID [--json]\n"
    "\n"
    "Makes a token with which another host joins: tulle join TOKEN, there.  The token\n"
    "knows this authority by the hash of its root's key and works once.\n"
    "\n"
    "  --allow NS/SA    an account whose identity that host may have; nothing else is\n"
    "                   ever signed for it\n"
    "  --ttl TIME       how long the token is good (default 15m, at most 168h)\n"
    "  --uses N         how many hosts may use it (default 1)\n"
    "  --address A      where the new host finds this one (default: authority.listen)\n"
    "  --list           the tokens that are open, with their ids\n"
    "  --revoke ID      takes one back; hosts that have joined with it stay (tulle member)\n"
    "\n"
    "Exit status: 0 done, 1 not, 2 wrong usage.\n";

static int
print_made(const json_t *r, bool json)
{
	if (json) {
		print_json(r);
	} else {
		(void)printf("%s\n", certd_text(r, "token"));
		(void)fprintf(stderr,
		    "On the new host, with tulle-certd running:  tulle join TOKEN\n"
		    "It must reach %s.  Token id %s (tulle token --revoke takes it back).\n",
		    certd_text(r, "address"), certd_text(r, "id"));
	}
	return EXIT_SUCCESS;
}

static int
list(bool json)
{
	json_t *r = certd_call("token", "tokens", NULL, TIMEOUT_MS), *t;
	size_t i;

	if (r == NULL)
		return EXIT_FAILURE;
	if (json) {
		print_json(r);
	} else {
		json_array_foreach (json_object_get(r, "tokens"), i, t) {
			size_t k;
			json_t *a;

			(void)printf("%s  %" JSON_INTEGER_FORMAT "s left, used %zu of %" JSON_INTEGER_FORMAT ", allows", certd_text(t, "id"),
			    json_integer_value(json_object_get(t, "remaining")), json_array_size(json_object_get(t, "redeemed")),
			    json_integer_value(json_object_get(t, "uses")));
			json_array_foreach (json_object_get(t, "accounts"), k, a)
				(void)printf(" %s", json_string_value(a));
			(void)putchar('\n');
		}
		if (json_array_size(json_object_get(r, "tokens")) == 0)
			(void)puts("no token is open");
	}
	json_decref(r);
	return EXIT_SUCCESS;
}

static int
revoke(const char *id, bool json)
{
	json_t *r = certd_call("token", "token-revoke", json_pack("{ss}", "id", id), TIMEOUT_MS);

	if (r == NULL)
		return EXIT_FAILURE;
	if (json) {
		(void)json_object_set_new(r, "revoked", json_string(id));
		print_json(r);
	} else {
		(void)puts("revoked");
	}
	json_decref(r);
	return EXIT_SUCCESS;
}

static int
make(json_t *args, bool json)
{
	json_t *r = certd_call("token", "token", args, TIMEOUT_MS);
	int status;

	if (r == NULL)
		return EXIT_FAILURE;
	status = print_made(r, json);
	json_decref(r);
	return status;
}

int
token_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "allow", required_argument, NULL, 'a' }, { "ttl", required_argument, NULL, 't' },
		{ "uses", required_argument, NULL, 'u' }, { "address", required_argument, NULL, 'A' },
		{ "list", no_argument, NULL, 'l' }, { "revoke", required_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	json_t *args = json_object(), *allow = json_array();
	const char *revoked = NULL;
	bool json = false, listing = false;
	uint64_t n;
	int c, bad = 0;

	(void)json_object_set_new(args, "allow", allow);
	while (bad == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			bad = cli_root(argv[0], optarg);
			break;
		case 'j':
			json = true;
			break;
		case 'a':
			(void)json_array_append_new(allow, json_string(optarg));
			break;
		case 't':
			if (text_duration(optarg, &n) != TULLE_OK) {
				(void)fprintf(stderr, "tulle token: --ttl %s: a duration such as 15m is needed\n", optarg);
				bad = 2;
			} else {
				(void)json_object_set_new(args, "ttl", json_integer((json_int_t)(n / 1000)));
			}
			break;
		case 'u':
			if (text_uint(optarg, 1000, &n) != TULLE_OK) {
				(void)fprintf(stderr, "tulle token: --uses %s: a number from 1 to 1000 is needed\n", optarg);
				bad = 2;
			} else {
				(void)json_object_set_new(args, "uses", json_integer((json_int_t)n));
			}
			break;
		case 'A':
			(void)json_object_set_new(args, "address", json_string(optarg));
			break;
		case 'l':
			listing = true;
			break;
		case 'R':
			revoked = optarg;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			json_decref(args);
			return 0;
		default:
			bad = cli_try(argv[0]);
			break;
		}
	}
	if (bad == 0 && (optind < argc || (!listing && revoked == NULL && json_array_size(allow) == 0))) {
		(void)fputs(usage_text, stderr);
		bad = 2;
	}
	if (bad == 0 && !listing && revoked == NULL)
		return make(args, json);
	json_decref(args);
	if (bad != 0)
		return bad;
	return listing ? list(json) : revoke(revoked, json);
}
