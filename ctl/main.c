/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle - one command for people.  Each verb is a file with one function;
 * this table is all that ties them together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/log.h"
#include "verbs.h"

static const struct verb {
	const char *name;
	const char *what;
	int (*run)(int argc, char **argv);
} verbs[] = {
#define VERB(name, what) { #name, what, name##_main },
#include "verbs.def"
#undef VERB
};

static void
usage(FILE *out)
{
	(void)fputs("Usage: tulle VERB [--root DIR] [--json] [ARGUMENT...]\n"
	            "       tulle VERB --help\n"
	            "\n"
	            "One command for Tulle, the transparent service mesh.\n"
	            "\n",
	    out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		(void)fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].what);
	(void)fputs("\n"
	            "  --root DIR   a prefix of /etc/tulle, /run/tulle and /var/lib/tulle\n"
	            "  --json       print JSON\n"
	            "  --help, --version\n"
	            "\n"
	            "tulle(1) says more.\n",
	    out);
}

/* A verb's complaints begin with what was typed: "tulle reload: ...". */
static int
run(const struct verb *v, int argc, char **argv)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "tulle %s", v->name);
	argv[0] = name;
	return v->run(argc, argv);
}

int
main(int argc, char **argv)
{
	log_init("tulle");
	if (argc < 2) {
		usage(stderr);
		return CLI_WRONG;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("tulle " TULLE_VERSION);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run(&verbs[i], argc - 1, argv + 1);
	if (argv[1][0] == '-')
		return cli_wrong("tulle", "unrecognized option '%s'", argv[1]);
	return cli_wrong("tulle", "unknown verb '%s'", argv[1]);
}
