/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle doctor - runs every check and names the cause of what is wrong and
 * what to do, in the order in which to mend it.  It changes nothing.
 */
#include "doctor/doctor.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/log.h"
#include "doctor/destination.h"
#include "print.h"
#include "tls/context.h"
#include "verbs.h"

static const char usage_text[] =
    "Usage: tulle doctor [--root DIR] [--json] [--all] [DESTINATION]\n"
    "\n"
    "Runs every check of this host and names the cause of what is wrong and what to do,\n"
    "in the order in which to mend it.  Nothing is changed.  As root it sees more.\n"
    "\n"
    "  DESTINATION  what cannot be reached, too: a service (web, shop/web, shop/web:80) or\n"
    "               an address (10.96.0.7:80, [fd00::7]:80); one connection is made to it\n"
    "  --all        also show what is well\n"
    "  --json       for scripts\n"
    "\n"
    "Exit status: 0 nothing is wrong, 1 something is, 2 wrong usage.\n";

/* In the order in which to mend: what comes first may be the cause of what comes later. */
static const struct {
	const char *name;
	void (*run)(struct doctor *d);
} checks[] = {
	{ "disk", check_disk },
	{ "files", check_files },
	{ "secrets", check_secrets },
	{ "daemons", check_daemons },
	{ "authority", check_authority },
	{ "kernel", check_kernel },
	{ "rules", check_steering },
	{ "ports", check_ports },
	{ "applications", check_applications },
	{ "peers", check_peers },
	{ "destination", check_destination },
	{ "failures", check_failures },
	{ "telemetry", check_telemetry },
};

static void
print_text(const struct report *r, bool all)
{
	size_t bad = 0;

	for (size_t i = 0; i < r->n; i++) {
		bad += r->items[i].health > UNKNOWN;
		if (!all && r->items[i].health == WELL && strcmp(r->items[i].what, "destination") != 0)
			continue;
		(void)printf("%-5s %-11s ", health_mark(r->items[i].health), r->items[i].what);
		print_safe(r->items[i].text);
		(void)putchar('\n');
	}
	if (bad + r->dropped == 0)
		(void)printf("nothing is wrong: %zu checks\n", ARRAY_LEN(checks));
	else
		(void)printf("%zu to mend; begin with the first\n", bad + r->dropped);
}

static int
run(struct doctor *d, bool json, bool all)
{
	int status;

	answers_get(&d->answers);
	listeners_read(&d->listeners);
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		checks[i].run(d);
	if (json) {
		json_t *o = json_pack("{sb so}", "ok", report_status(&d->report) == EXIT_SUCCESS, "findings", report_json(&d->report));

		print_json(o);
		json_decref(o);
	} else {
		print_text(&d->report, all);
	}
	status = report_status(&d->report);
	report_free(&d->report);
	listeners_free(&d->listeners);
	answers_free(&d->answers);
	(void)snapshot_unref(d->mine);
	(void)snapshot_unref(d->all);
	(void)host_config_free(d->host);
	free(d->local);
	return status;
}

int
doctor_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "all", no_argument, NULL, 'a' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct doctor d = { .root = geteuid() == 0 };
	bool json = false, all = false;
	struct destination unused;
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
		case 'a':
			all = true;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind + 1 < argc)
		return cli_wrong(argv[0], "unexpected argument '%s'", argv[optind + 1]);
	d.destination = argv[optind];
	if (d.destination != NULL && destination_parse(&unused, d.destination) != TULLE_OK)
		return cli_wrong(argv[0], "'%s' is no destination: NAME, NAMESPACE/NAME or ADDRESS, with :PORT or without",
		    d.destination);
	log_set_threshold(LOG_LVL_ERROR);
	return run(&d, json, all);
}
