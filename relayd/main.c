/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle-relayd - the data plane: options, the first look at the
 * configuration, sockets, and then the parent.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "events/attach.h"
#include "io/privileges.h"
#include "io/sock.h"
#include "parent/lastgood.h"
#include "parent/parent.h"

#define PROGRAM "tulle-relayd"

static const char usage_text[] =
    "Usage: tulle-relayd [--root DIR] [--log-level LEVEL] [--hand-over]\n"
    "\n"
    "The relay of Tulle: takes connections that the steering rules redirect, wraps\n"
    "them in mutual TLS between SPIFFE identities, and unwraps those of its peers.\n"
    "\n"
    "  --root DIR         a prefix of /etc/tulle, /run/tulle and /var/lib/tulle\n"
    "  --log-level LEVEL  debug, info, notice, warn or error (else logLevel of tulle.yaml)\n"
    "  --hand-over        at SIGTERM end at once: the relay process drains by itself, and the\n"
    "                     next relay has the sockets from systemd\n"
    "  --help, --version\n"
    "\n"
    "SIGHUP reads the configuration again, SIGTERM drains connections and ends.\n"
    "tulle-relayd(8) says more.\n";

/* -1: go on; else the exit status. */
static int
read_options(int argc, char **argv, bool *ret_hands_over)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' },
		{ "log-level", required_argument, NULL, 'l' }, { "hand-over", no_argument, NULL, 'o' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'r':
			if (cli_root(PROGRAM, optarg) != 0)
				return CLI_WRONG;
			break;
		case 'l':
			if (cli_log_level(PROGRAM, optarg) != 0)
				return CLI_WRONG;
			break;
		case 'o':
			*ret_hands_over = true;
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

static struct host_config *
read_config(void)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	struct host_config *config = NULL;

	if (problems == NULL)
		return NULL;
	problems_init(problems);
	(void)host_config_read(&config, paths_etc("tulle.yaml"), problems);
	for (size_t i = 0; i < problems->n; i++)
		(void)fprintf(stderr, "tulle-relayd: %s%s\n", problems->list[i].warning ? "warning: " : "", problems->list[i].line);
	problems_free(problems);
	free(problems);
	return config;
}

static enum tulle_err
listen_unix(int *ret_fd, const char *path)
{
	enum tulle_err e = sock_listen_unix(ret_fd, path, 0666);

	if (e == TULLE_EBUSY)
		(void)fprintf(stderr, "tulle-relayd: another relay answers at %s: stop it, or use another --root\n", path);
	else if (e != TULLE_OK)
		(void)fprintf(stderr, "tulle-relayd: %s: cannot listen: %s; the folder must be writable for this user\n", path,
		    strerror(errno));
	return e;
}

/* Unix sockets while we may write to /run, TCP sockets only as the relay's own user. */
static enum tulle_err
open_everything(struct parent_start *s)
{
	const struct host_config *c = s->config;
	uid_t uid;
	gid_t gid, unused;
	enum tulle_err e;

	if (privileges_user(c->users.relayd, &uid, &gid) != TULLE_OK) {
		(void)fprintf(stderr, "tulle-relayd: users.relayd: there is no user '%s' on this host\n", c->users.relayd);
		return TULLE_ENOENT;
	}
	if (privileges_user(c->users.telemetryd, &s->telemetry_uid, &unused) != TULLE_OK)
		s->telemetry_uid = uid;
	if (file_mkdirs(paths_run(""), 0755) != TULLE_OK) {
		(void)fprintf(stderr, "tulle-relayd: %s: cannot be made: %s\n", paths_run(""), strerror(errno));
		return TULLE_ESYS;
	}
	e = listen_unix(&s->control, paths_run("relayd.sock"));
	if (e == TULLE_OK)
		e = listen_unix(&s->telemetry, paths_run(EVENTS_SOCKET));
	if (e != TULLE_OK)
		return e;
	if (lastgood_prepare(uid, gid) != TULLE_OK)
		log_warn("no folder for the last good configuration: a start with bad files has none", LF_STR("folder", paths_var("relayd")),
		    LF_ERRNO);
	if (privileges_drop(uid, gid) != TULLE_OK) {
		(void)fprintf(stderr, "tulle-relayd: cannot become user %s: %s\n", c->users.relayd, strerror(errno));
		return TULLE_ESYS;
	}
	(void)privileges_max_files();
	return sockets_open(&s->sockets, c);
}

int
main(int argc, char **argv)
{
	static struct parent_start start = { .control = -1, .telemetry = -1 }; /* for the life of the process */
	const struct host_config *config;
	int status;

	log_init(PROGRAM);
	cli_begin(argv);
	status = read_options(argc, argv, &start.hands_over);
	if (status != -1)
		return status;
	config = start.config = read_config();
	if (config == NULL)
		return EXIT_FAILURE;
	log_set_threshold((enum log_level)config->log_level);
	if (open_everything(&start) != TULLE_OK)
		return EXIT_FAILURE;
	log_info("starting", LF_STR("version", TULLE_VERSION), LF_STR("root", paths_root()),
	    LF_UINT("workers", config->relay.workers));
	return parent_main(&start);
}
