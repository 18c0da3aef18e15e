/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle member - the hosts that have joined this one's trust domain: lists
 * them, bans them, forgets them.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "certd.h"
#include "manifests.h"
#include "print.h"
#include "verbs.h"

#define TIMEOUT_MS 10000
#define PREFIX_MIN 4 /* characters of a node: less is likelier a slip */

static const char usage_text[] =
    "Usage: tulle member [list] [--root DIR] [--json]\n"
    "       tulle member ban|unban|forget [--root DIR] [--json] MEMBER\n"
    "\n"
    "The hosts that have joined this authority.  MEMBER is a node as the list shows it, a\n"
    "beginning of one (at least 4 characters), its SPIFFE ID, or a host's name, if only one fits.\n"
    "\n"
    "  list     node, host name, what is left of its certificate, accounts, and which generation\n"
    "           of the manifests it has (the default)\n"
    "  ban      it gets nothing new; what it has ends with its life\n"
    "  unban    it is served again\n"
    "  forget   it is struck off the list and gets nothing; with a new token it may join again\n"
    "\n"
    "Exit status: 0 done, 1 not, 2 wrong usage.\n";

/* NULL: it did not work, and has been said. */
static json_t *
members(json_t **ret_status)
{
	json_t *status = certd_call("member", "status", NULL, TIMEOUT_MS);
	json_t *list = json_object_get(status, "members");

	if (status == NULL)
		return NULL;
	if (list == NULL) {
		(void)fputs("tulle member: this host is a member of a fleet itself: members are listed on its authority\n", stderr);
		json_decref(status);
		return NULL;
	}
	*ret_status = status;
	return list;
}

static void
show(const json_t *list, const json_t *manifests)
{
	const json_t *m, *a;
	size_t i, k;

	json_array_foreach (list, i, m) {
		int64_t left = json_integer_value(json_object_get(m, "remaining"));
		char text[32], about[MANIFESTS_TEXT];

		(void)printf("%s  ", certd_text(m, "node"));
		print_safe(*certd_text(m, "host") != '\0' ? certd_text(m, "host") : "-"); /* its own word for itself */
		if (json_is_true(json_object_get(m, "banned")))
			(void)printf(", BANNED");
		if (left > 0)
			(void)printf(", %s left, allows", print_lifetime(left, text));
		else
			(void)printf(", certificate expired, allows");
		json_array_foreach (json_object_get(m, "accounts"), k, a)
			(void)printf(" %s", json_string_value(a));
		(void)fputs("; ", stdout);
		print_safe(manifests_of_member(about, m, manifests));
		(void)putchar('\n');
	}
	if (json_array_size(list) == 0)
		(void)puts("no host has joined");
}

static int
list_members(bool json)
{
	json_t *status, *list = members(&status);

	if (list == NULL)
		return EXIT_FAILURE;
	if (json)
		print_json(list);
	else
		show(list, json_object_get(status, "manifests"));
	json_decref(status);
	return EXIT_SUCCESS;
}

/* "spiffe://TD/tulle/node/NODE", as tulle join and tulle status print it on the member. */
static bool
ends_with_node(const char *id, const char *node)
{
	const char *slash = strrchr(id, '/');

	return strncmp(id, "spiffe://", 9) == 0 && slash != NULL && strcmp(slash + 1, node) == 0;
}

/*
 * The only member that <who> can mean, lent from <list>; a whole node wins
 * over a name, so nobody can call itself like another's node.  NULL: none or
 * several; said.
 */
static const json_t *
find(const json_t *list, const char *who)
{
	const json_t *m, *found = NULL;
	size_t i, fit = 0;

	json_array_foreach (list, i, m)
		if (strcmp(certd_text(m, "node"), who) == 0 || ends_with_node(who, certd_text(m, "node")))
			return m;
	json_array_foreach (list, i, m) {
		bool begins = strlen(who) >= PREFIX_MIN && strncmp(certd_text(m, "node"), who, strlen(who)) == 0;

		if (begins || strcmp(certd_text(m, "host"), who) == 0) {
			found = m;
			fit++;
		}
	}
	if (fit == 1)
		return found;
	(void)fprintf(stderr, "tulle member: '%s' fits %s member%s; tulle member list shows all, by their nodes\n", who,
	    fit == 0 ? "no" : "more than one", fit == 0 ? "" : ": nothing was changed");
	return NULL;
}

static int
change(const char *what, const char *who, bool json)
{
	json_t *status, *list = members(&status), *done = NULL;
	const json_t *m = list != NULL ? find(list, who) : NULL;

	if (list == NULL)
		return EXIT_FAILURE;
	if (m != NULL)
		done = certd_call("member", "member", json_pack("{ss ss}", "do", what, "node", certd_text(m, "node")), TIMEOUT_MS);
	if (done != NULL && json) {
		json_t *o = json_pack("{ss ss ss}", "done", what, "node", certd_text(m, "node"), "host", certd_text(m, "host"));

		print_json(o);
		json_decref(o);
	} else if (done != NULL) {
		(void)printf("%s: %s ", strcmp(what, "forget") == 0 ? "forgotten" : strcmp(what, "ban") == 0 ? "banned" : "no longer banned",
		    certd_text(m, "node"));
		print_safe(certd_text(m, "host"));
		(void)putchar('\n');
	}
	json_decref(done);
	json_decref(status);
	return done != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
member_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	const char *what;
	bool json = false;
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
			return EXIT_SUCCESS;
		default:
			return cli_try(argv[0]);
		}
	}
	what = optind < argc ? argv[optind++] : "list";
	if (strcmp(what, "list") == 0)
		return optind < argc ? cli_wrong(argv[0], "unexpected argument '%s'", argv[optind]) : list_members(json);
	if (strcmp(what, "ban") != 0 && strcmp(what, "unban") != 0 && strcmp(what, "forget") != 0)
		return cli_wrong(argv[0], "'%s': list, ban, unban or forget is needed", what);
	if (optind + 1 != argc)
		return cli_wrong(argv[0], "%s: one member is needed", what);
	return change(what, argv[optind], json);
}
