/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle join TOKEN - makes this host a member of the trust domain of the
 * authority that made the token: on a fresh host that is all there is to do.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/paths.h"
#include "certd.h"
#include "firewall.h"
#include "manifest/host.h"
#include "manifests.h"
#include "print.h"
#include "setup.h"
#include "units.h"
#include "verbs.h"

#define TIMEOUT_MS 30000
#define TOKEN_LINE 512

static const char usage_text[] =
    "Usage: tulle join [--root DIR] [--default NAMESPACE/ACCOUNT] [--inbound-ports PORTS|all|none]\n"
    "                  [--no-start] [--json] TOKEN\n"
    "       tulle join ... --file FILE\n"
    "\n"
    "Joins the authority that made TOKEN (tulle token, there).  A host that is not set up\n"
    "yet is set up as its member.  Where systemd runs the host and the units of Tulle are\n"
    "installed, starts everything, now and at every boot.  The same host may repeat it: a\n"
    "join whose answer was lost is finished.\n"
    "\n"
    "  --default NS/SA  who processes of this host are that identities.yaml does not name\n"
    "                   (default: the account that the token allows first)\n"
    "  --inbound-ports P  the ports at which what arrives is captured: 80,443 or all or\n"
    "                   none.  Beside ufw and firewalld one of these must be said\n"
    "  --file FILE      take the token from FILE; \"-\" in place of TOKEN is standard input.\n"
    "                   Both keep it out of the list of processes\n"
    "  --no-start       start nothing; tulle-certd must be running\n"
    "\n"
    "Exit status: 0 joined, 1 not, 2 wrong usage.\n";

struct join {
	struct setup before, after; /* what tulle.yaml says before and after the authority answered */
	const char *token;
	bool account_given;
	bool fresh; /* tulle.yaml is ours: it was missing, or an earlier try that failed made it */
	bool starts, json;
};

/* The first line of <path>, or of standard input for "-". */
static bool
read_token(char out[TOKEN_LINE], const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	bool there;

	if (f == NULL) {
		(void)fprintf(stderr, "tulle join: %s: %s\n", path, strerror(errno));
		return false;
	}
	there = fgets(out, TOKEN_LINE, f) != NULL;
	if (f != stdin)
		(void)fclose(f);
	out[strcspn(out, "\r\n")] = '\0';
	if (!there || out[0] == '\0')
		(void)fprintf(stderr, "tulle join: there is no token %s%s\n", f == stdin ? "on standard input" : "in ",
		    f == stdin ? "" : path);
	return there && out[0] != '\0';
}

static int
prepare(struct join *j)
{
	int status = EXIT_SUCCESS;

	setup_look(&j->before);
	j->fresh = j->before.write_host || setup_is_ours(&j->before);
	if (j->before.capture[0] != '\0' && !j->fresh)
		firewall_note_kept("join");
	/* Before the token is used: it is good once. */
	if (j->starts && (!j->before.write_host || j->before.capture[0] == '\0') && firewall_objects("join"))
		return EXIT_FAILURE;
	/* Another root and a host without units are set up by hand, as ever. */
	if (j->before.write_host && j->starts)
		status = setup_write(&j->before);
	if (status == EXIT_SUCCESS && j->starts) {
		static const char *const certd[] = { "start", "tulle-certd.service", NULL };

		if (!units_run(certd)) {
			(void)fputs("tulle join: tulle-certd does not start: journalctl -u tulle-certd says why\n", stderr);
			status = EXIT_FAILURE;
		}
	}
	return status;
}

/* What the authority said goes into tulle.yaml, if that is ours. */
static int
settle(struct join *j, const json_t *answer)
{
	const json_t *accounts = json_object_get(json_object_get(answer, "member"), "accounts");
	const char *first = json_string_value(json_array_get(accounts, 0));
	int status;

	j->after = j->before;
	(void)snprintf(j->after.td, sizeof(j->after.td), "%s", certd_text(answer, "trust_domain"));
	if (!j->account_given && first != NULL && setup_account_valid(first))
		(void)snprintf(j->after.account, sizeof(j->after.account), "%s", first);
	status = setup_rewrite(&j->before, &j->after);
	if (status == EXIT_SUCCESS)
		status = setup_check();
	if (status == EXIT_SUCCESS) {
		json_t *reloaded = certd_call("join", "reload", NULL, TIMEOUT_MS);

		status = reloaded == NULL ? EXIT_FAILURE : EXIT_SUCCESS;
		json_decref(reloaded);
	}
	return status;
}

/* tulle.yaml is not ours to write anew, but tulle init may have left room in it. */
static void
name_domain(const char *td)
{
	if (!setup_name_domain(td))
		(void)fprintf(stderr, "tulle join: %s names no trust domain; this host is of \"%s\" now: write trustDomain: %s there\n",
		    paths_etc("tulle.yaml"), td, td);
}

/* Where manifests come from now, and how they could come from elsewhere. */
static void
show_manifests(void)
{
	struct problems problems;
	struct host_config *c = NULL;
	const size_t own = manifests_own();

	problems_init(&problems);
	if (host_config_read(&c, paths_etc("tulle.yaml"), &problems) == TULLE_OK) {
		if (c->manifests.source == MANIFESTS_AUTHORITY)
			(void)printf("manifests: those that the authority publishes (manifests.source: authority)%s\n",
			    own > 0 ? "; the files in mesh.d of this host are ignored" : "");
		else
			(void)printf("manifests: %zu file%s in mesh.d of this host (manifests.source: files)%s\n", own, own == 1 ? "" : "s",
			    own == 0 ? "; to take the authority's, write manifests: {source: authority} into tulle.yaml, then tulle reload" : "");
	}
	host_config_free(c);
	problems_free(&problems);
}

static int
start(void)
{
	if (units_start_all())
		return EXIT_SUCCESS;
	(void)fputs("tulle join: joined, but not everything started: journalctl -u 'tulle*' says why; without the steering "
	            "rules the host's network is as it was\n",
	    stderr);
	return EXIT_FAILURE;
}

static void
show(const struct join *j, const json_t *answer)
{
	const json_t *member = json_object_get(answer, "member");

	if (j->json) {
		print_json(member);
		return;
	}
	(void)printf("joined trust domain %s as %s\nauthority %s\n", certd_text(answer, "trust_domain"),
	    certd_text(member, "node"), certd_text(member, "authority"));
	show_manifests();
}

static int
run(struct join *j)
{
	json_t *answer;
	int status = prepare(j);

	if (status != EXIT_SUCCESS)
		return status;
	answer = certd_call("join", "join", json_pack("{ss}", "token", j->token), TIMEOUT_MS);
	if (answer == NULL)
		return EXIT_FAILURE;
	json_decref(answer);
	answer = certd_call("join", "status", NULL, TIMEOUT_MS);
	if (answer == NULL)
		return EXIT_FAILURE;
	if (j->fresh && j->starts)
		status = settle(j, answer);
	else
		name_domain(certd_text(answer, "trust_domain"));
	if (status == EXIT_SUCCESS && j->starts)
		status = start();
	show(j, answer);
	json_decref(answer);
	return status;
}

int
join_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "default", required_argument, NULL, 'd' }, { "file", required_argument, NULL, 'f' },
		{ "no-start", no_argument, NULL, 's' }, { "inbound-ports", required_argument, NULL, 'i' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct join j = { .before = { .verb = "join", .member = true } };
	const char *file = NULL;
	char line[TOKEN_LINE];
	bool no_start = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'j':
			j.json = true;
			break;
		case 'd':
			if (!setup_account_valid(optarg))
				return cli_wrong(argv[0], "--default %s: NAMESPACE/ACCOUNT is needed", optarg);
			(void)snprintf(j.before.account, sizeof(j.before.account), "%s", optarg);
			j.account_given = true;
			break;
		case 'f':
			file = optarg;
			break;
		case 'i':
			if (!firewall_capture("join", optarg, j.before.capture))
				return CLI_WRONG;
			break;
		case 's':
			no_start = true;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return 0;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind + (file == NULL) != argc) {
		(void)fputs(usage_text, stderr);
		return CLI_WRONG;
	}
	j.token = file == NULL ? argv[optind] : file;
	if (file != NULL || strcmp(j.token, "-") == 0) {
		if (!read_token(line, j.token))
			return CLI_WRONG;
		j.token = line;
	}
	j.starts = !no_start && units_there();
	return run(&j);
}
