/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle status - how this host is, at a glance: each part with a mark, what
 * it says, and what to do when it is not well.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cli.h"
#include "look/look.h"
#include "verbs.h"

static const char usage_text[] =
    "Usage: tulle status [--root DIR] [--json]\n"
    "\n"
    "Shows identity, rules, relay, services, tunnels and telemetry of this host, each\n"
    "with what to do when it is not well.  Exit status: 0 all is well, 1 something is\n"
    "not, 2 wrong usage.\n";

static void
look(struct report *r, const struct answers *a)
{
	struct listeners l;

	listeners_read(&l);
	look_certd(r, a);
	look_relayd(r, a);
	look_manifests(r, a);
	look_services(r, a, &l);
	look_traffic(r, a);
	look_failures(r, a);
	look_rules(r, a);
	look_telemetry(r, a);
	listeners_free(&l);
}

static json_t *
part(const struct answers *a, enum daemon d)
{
	return a->status[d] != NULL ? json_incref(a->status[d]) : json_pack("{s:s*}", "error", a->why[d]);
}

/* What the daemons said, and what is made of it: both forms judge alike. */
static void
show_json(const struct report *r, const struct answers *a)
{
	json_t *doc = json_pack("{s:b, s:o, s:o, s:o, s:o, s:i}", "ok", report_status(r) == EXIT_SUCCESS, "findings", report_json(r), "certd",
	    part(a, CERTD), "relayd", part(a, RELAYD), "telemetryd", part(a, TELEMETRYD), "rules", a->rules);

	(void)json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	(void)putchar('\n');
	json_decref(doc);
}

int
status_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	struct report r = { .items = NULL };
	struct answers a;
	bool json = false;
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
			return EXIT_SUCCESS;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind < argc)
		return cli_wrong(argv[0], "unexpected argument '%s'", argv[optind]);
	answers_get(&a);
	look(&r, &a);
	if (json)
		show_json(&r, &a);
	else
		report_print(&r);
	status = report_status(&r);
	report_free(&r);
	answers_free(&a);
	return status;
}
