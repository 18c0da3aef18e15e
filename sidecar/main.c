/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle-sidecar - the first process of a pod's sidecar container: options,
 * the environment, tulle.yaml, and then the pod.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cli.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "pod.h"
#include "tls/context.h"

#define PROGRAM "tulle-sidecar"
#define WAIT_SEC 60
#define WAIT_MAX_SEC 3600

static const char usage_text[] =
    "Usage: tulle-sidecar [--root DIR] [--programs DIR] [--log-level LEVEL]\n"
    "       tulle-sidecar --wait[=SEC]\n"
    "\n"
    "Runs tulle-certd, tulle-telemetryd and tulle-relayd in a pod, and answers kubelet\n"
    "on port 15020.\n"
    "\n"
    "  --root DIR         a prefix of /etc/tulle, /run/tulle and /var/lib/tulle\n"
    "  --programs DIR     where the daemons are; /usr/sbin unless given\n"
    "  --log-level LEVEL  debug, info, notice, warn or error (else logLevel of tulle.yaml)\n"
    "  --wait[=SEC]       for postStart: wait until the sidecar of this pod is ready, 60 s\n"
    "                     unless given\n"
    "  --help, --version\n"
    "\n"
    "SIGTERM ends it in good order, SIGHUP reads the configuration again.\n"
    "tulle-sidecar(8) has the variables that it reads.\n";

struct arguments {
	const char *programs;
	uint64_t wait_sec; /* 0: not asked for */
};

/* -1: go on; else the exit status. */
static int
read_options(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "programs", required_argument, NULL, 'p' },
		{ "log-level", required_argument, NULL, 'l' }, { "wait", optional_argument, NULL, 'w' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'r':
			if (cli_root(PROGRAM, optarg) != 0)
				return CLI_WRONG;
			break;
		case 'p':
			a->programs = optarg;
			break;
		case 'l':
			if (cli_log_level(PROGRAM, optarg) != 0)
				return CLI_WRONG;
			break;
		case 'w':
			a->wait_sec = WAIT_SEC;
			if (optarg != NULL && (text_uint(optarg, WAIT_MAX_SEC, &a->wait_sec) != TULLE_OK || a->wait_sec == 0))
				return cli_wrong(PROGRAM, "--wait=%s: a number of seconds from 1 to %d is needed", optarg, WAIT_MAX_SEC);
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		case 'v':
			(void)puts(PROGRAM " " TULLE_VERSION);
			return EXIT_SUCCESS;
		default:
			return cli_try(PROGRAM);
		}
	}
	return optind < argc ? cli_wrong(PROGRAM, "unexpected argument '%s'", argv[optind]) : -1;
}

/* A file that is wrong now may be mended: the daemons say what is wrong with it, and the defaults are what is needed here. */
static const struct host_config *
read_config(void)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	struct host_config *c = NULL;

	if (problems == NULL)
		return NULL;
	problems_init(problems);
	if (host_config_read(&c, paths_etc("tulle.yaml"), problems) != TULLE_OK)
		(void)host_config_parse(&c, "defaults", "", 0, problems);
	problems_free(problems);
	free(problems);
	return c;
}

static const char *
from_environment(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

int
main(int argc, char **argv)
{
	struct arguments a = { .programs = "/usr/sbin" };
	char why[SETTINGS_WHY], why_probes[PROBES_WHY];
	struct settings settings;
	struct probes probes;
	struct pod_start start;
	int status;

	log_init(PROGRAM);
	cli_begin(argv);
	status = read_options(argc, argv, &a);
	if (status != -1)
		return status;
	if (a.wait_sec > 0)
		return pod_wait((unsigned int)a.wait_sec);
	if (settings_read(&settings, from_environment, NULL, why) != TULLE_OK) {
		(void)fprintf(stderr, "tulle-sidecar: %s\n", why);
		return CLI_WRONG;
	}
	if (probes_parse(&probes, settings.probes, why_probes) != TULLE_OK) {
		(void)fprintf(stderr, "tulle-sidecar: TULLE_PROBES: %s\n", why_probes);
		return CLI_WRONG;
	}
	start = (struct pod_start){ .settings = &settings, .probes = &probes, .programs = a.programs, .config = read_config() };
	if (start.config == NULL || tls_init() != TULLE_OK)
		return EXIT_FAILURE;
	log_set_threshold((enum log_level)start.config->log_level);
	return pod_main(&start);
}
