/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle uninject FILE|- - a manifest as it was before tulle inject, on
 * standard output.
 */
#include <getopt.h>
#include <stdio.h>

#include "base/cli.h"
#include "inject/inject.h"
#include "inject/manifest.h"
#include "verbs.h"

static const char usage_text[] =
    "Usage: tulle uninject FILE|-\n"
    "\n"
    "Prints the Kubernetes manifest FILE (- is standard input) as it was before tulle inject.\n"
    "Where it has been changed since, or comes from kubectl get, only what tulle inject put\n"
    "in is taken out.\n"
    "\n"
    "Exit status: 0 printed, 1 refused and nothing printed, 2 wrong usage.\n";

static enum tulle_err
transform(struct buf *out, struct buf *notes, struct inject_done *ret, const struct manifest_text *in, const void *arg,
    struct problems *problems)
{
	(void)arg;
	return uninject_text(out, notes, ret, in->name, in->data, in->len, problems);
}

int
uninject_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			(void)fputs(usage_text, stdout);
			return 0;
		}
		if (c != 'r')
			return cli_try(argv[0]);
		if (cli_root(argv[0], optarg) != 0) /* as every verb; nothing of this host is read */
			return CLI_WRONG;
	}
	if (argc - optind != 1)
		return cli_wrong(argv[0], "one manifest is needed: a file, or - for standard input");
	return manifest_run(argv[0], argv[optind], "taken out of the mesh", transform, NULL);
}
