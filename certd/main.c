/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle-certd - the identities of this host: makes them or gets them, keeps
 * them fresh, and hands them to whom they belong (SPIFFE Workload API).
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cli.h"
#include "base/log.h"
#include "base/paths.h"
#include "daemon.h"
#include "io/notify.h"
#include "io/privileges.h"
#include "tls/context.h"

#define PROGRAM "tulle-certd"

static const char usage_text[] =
    "Usage: tulle-certd [--root DIR] [--log-level LEVEL]\n"
    "       tulle-certd ca show|create|import ...\n"
    "\n"
    "Serves the identities of this host on /run/tulle/identity/workload.sock (SPIFFE\n"
    "Workload API) and, as the authority of a fleet, joins and renews other hosts.\n"
    "Reads /etc/tulle/tulle.yaml and /etc/tulle/identities.yaml.\n"
    "\n"
    "  --root DIR         a prefix of /etc/tulle, /run/tulle and /var/lib/tulle\n"
    "  --log-level LEVEL  debug, info, notice, warn or error (else logLevel of tulle.yaml)\n"
    "  --help, --version\n"
    "\n"
    "SIGHUP reads the configuration again, SIGTERM ends.\n"
    "tulle-certd(8) says more.\n";

static void
on_signal(void *arg, int signo)
{
	struct daemon *d = arg;

	if (signo == SIGHUP) {
		struct buf error = buf_new(65536);

		if (daemon_reload(d, &error) != TULLE_OK) {
			char text[2048];

			(void)snprintf(text, sizeof(text), "%.*s", (int)buf_len(&error), (const char *)buf_head(&error));
			log_error("not reloaded, the old configuration stays", LF_STR("problems", text));
		}
		buf_free(&error);
		return;
	}
	log_notice("stopping", LF_INT("signal", signo));
	notify_send("STOPPING=1");
	loop_stop(d->loop);
}

static enum tulle_err
read_config(struct daemon *d)
{
	struct buf problems = buf_new(65536);
	enum tulle_err e = config_read(&d->config, &problems);

	if (buf_len(&problems) > 0)
		(void)fprintf(stderr, "%.*s", (int)buf_len(&problems), (const char *)buf_head(&problems));
	else if (e)
		(void)fprintf(stderr, "tulle-certd: the configuration cannot be read: %s\n", tulle_strerror(e));
	buf_free(&problems);
	if (e == TULLE_OK)
		log_set_threshold(d->config->host->log_level);
	if (e == TULLE_OK && d->config->host->identity.source == IDENTITY_SPIFFE) {
		(void)fprintf(stderr,
		    "tulle-certd: identity.source in %s is spiffe: the identities of this host come from another agent, and tulle-certd "
		    "has nothing to do here\n",
		    paths_etc("tulle.yaml"));
		e = TULLE_EINVAL;
	}
	return e;
}

static enum tulle_err
start_tls(void)
{
	const char *what = "the library does not start";
	enum tulle_err e = tls_init();

	if (e == TULLE_OK)
		e = tls_selftest(&what);
	if (e)
		(void)fprintf(stderr, "tulle-certd: the TLS library is not fit for use: %s\n", what);
	return e;
}

static int
run(void)
{
	struct daemon d = { .workload_fd = -1, .ctl_fd = -1 };
	enum tulle_err e = read_config(&d);

	if (e == TULLE_OK)
		e = start_tls();
	if (e == TULLE_OK)
		e = daemon_prepare(&d);
	if (e == TULLE_OK)
		e = loop_new(&d.loop);
	if (e == TULLE_OK)
		e = loop_on_signal(d.loop, SIGTERM, on_signal, &d);
	if (e == TULLE_OK)
		e = loop_on_signal(d.loop, SIGINT, on_signal, &d);
	if (e == TULLE_OK)
		e = loop_on_signal(d.loop, SIGHUP, on_signal, &d);
	if (e == TULLE_OK)
		e = daemon_start(&d);
	if (e == TULLE_OK)
		e = loop_run(d.loop);
	daemon_stop(&d);
	return e == TULLE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 } };
	static char ca[] = PROGRAM " ca";
	int c;

	log_init(PROGRAM);
	cli_begin(argv);
	if (argc > 1 && strcmp(argv[1], "ca") == 0) {
		argv[1] = ca;
		return ca_main(argc - 1, argv + 1);
	}
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(PROGRAM, optarg) != 0)
				return CLI_WRONG;
			break;
		case 'l':
			if (cli_log_level(PROGRAM, optarg) != 0)
				return CLI_WRONG;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		case 'V':
			(void)puts(PROGRAM " " TULLE_VERSION);
			return EXIT_SUCCESS;
		default:
			return cli_try(PROGRAM);
		}
	}
	if (optind < argc)
		return cli_wrong(PROGRAM, "unexpected argument '%s'", argv[optind]);
	(void)umask(022);
	(void)signal(SIGPIPE, SIG_IGN);
	privileges_no_dump();
	(void)privileges_max_files();
	return run();
}
