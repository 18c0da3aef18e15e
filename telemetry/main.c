/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "io/privileges.h"
#include "io/sock.h"
#include "telemetryd.h"

static const char usage_text[] =
    "Usage: tulle-telemetryd [--root DIR] [--log-level LEVEL]\n"
    "\n"
    "Takes connection events and counters from the relay, sends them as OTLP, and serves\n"
    "/metrics.  Reads /etc/tulle/tulle.yaml; every value has a default.\n"
    "\n"
    "  --root DIR         a prefix of /etc/tulle, /run/tulle and /var/lib/tulle\n"
    "  --log-level LEVEL  debug, info, notice, warn or error (else logLevel of tulle.yaml)\n"
    "  --help, --version\n"
    "\n"
    "SIGHUP reads the configuration again, SIGTERM sends what is left and ends.\n"
    "tulle-telemetryd(8) says more.\n";

/* A random UUID (RFC 9562, version 4). */
static bool
instance_make(char ret[40])
{
	uint8_t b[16];
	char hex[33];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return false;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	text_hex(b, sizeof(b), hex);
	(void)snprintf(ret, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return true;
}

static struct settings *
settings_first(const char *instance)
{
	struct settings *s = NULL;
	struct problems problems;

	problems_init(&problems);
	if (settings_read(&s, instance, &problems) == TULLE_ENOMEM)
		log_error("out of memory");
	for (size_t i = 0; i < problems.n; i++)
		log_write(problems.list[i].warning ? LOG_LVL_WARN : LOG_LVL_ERROR, "tulle.yaml",
		    (const struct log_field[]){ LF_STR("problem", problems.list[i].line), { .kind = LOG_F_END } });
	problems_free(&problems);
	return s;
}

/*
 * The control socket is made before root is given up, in a folder that is
 * root's; every other socket after that, so that the rules that exclude our
 * user know it (io/privileges.h).
 */
static enum tulle_err
control_open(int *ret_fd)
{
	const char *path = paths_run("telemetryd.sock");
	char folder[128];
	enum tulle_err e;

	(void)snprintf(folder, sizeof(folder), "%s/run/tulle", paths_root());
	if (file_mkdirs(folder, 0755) != TULLE_OK) {
		log_error("cannot make the folder for sockets", LF_STR("path", folder), LF_ERRNO);
		return TULLE_ESYS;
	}
	e = sock_listen_unix(ret_fd, path, 0666);
	if (e == TULLE_EBUSY)
		log_error("another tulle-telemetryd runs here", LF_STR("path", path));
	else if (e)
		log_error("cannot make the control socket", LF_STR("path", path), LF_ERRNO);
	return e;
}

static enum tulle_err
become_user(const char *user)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (uid == 0 && privileges_user(user, &uid, &gid) != TULLE_OK) {
		log_error("users.telemetryd: no such user on this host", LF_STR("user", user));
		return TULLE_ENOENT;
	}
	if (privileges_drop(uid, gid) != TULLE_OK) {
		log_error("cannot become the user", LF_STR("user", user), LF_ERRNO);
		return TULLE_ESYS;
	}
	return TULLE_OK;
}

static int
run(void)
{
	struct telemetryd t = { 0 };
	struct settings *settings;
	int control = -1;
	enum tulle_err e;

	if (!instance_make(t.instance)) {
		log_error("no random numbers", LF_ERRNO);
		return EXIT_FAILURE;
	}
	settings = settings_first(t.instance);
	if (settings == NULL)
		return EXIT_FAILURE;
	log_set_threshold((enum log_level)settings->log_level);
	e = control_open(&control);
	if (e == TULLE_OK)
		e = become_user(settings->user);
	if (e == TULLE_OK)
		e = tls_init();
	if (e) {
		if (control != -1)
			(void)close(control);
		settings_free(settings);
		return EXIT_FAILURE;
	}
	e = telemetryd_start(&t, settings, control);
	if (e == TULLE_OK)
		e = telemetryd_run(&t);
	telemetryd_free(&t);
	return e == TULLE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	log_init(TELEMETRYD_NAME);
	cli_begin(argv);
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'r':
			if (cli_root(TELEMETRYD_NAME, optarg) != 0)
				return CLI_WRONG;
			break;
		case 'l':
			if (cli_log_level(TELEMETRYD_NAME, optarg) != 0)
				return CLI_WRONG;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		case 'v':
			(void)puts(TELEMETRYD_NAME " " TULLE_VERSION);
			return EXIT_SUCCESS;
		default:
			return cli_try(TELEMETRYD_NAME);
		}
	}
	return optind < argc ? cli_wrong(TELEMETRYD_NAME, "unexpected argument '%s'", argv[optind]) : run();
}
