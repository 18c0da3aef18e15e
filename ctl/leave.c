/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle leave - undoes tulle join, or on an authority that nobody joined
 * tulle init: rules first, then daemons, then the identities on disk.
 */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/paths.h"
#include "base/text.h"
#include "beside.h"
#include "certd.h"
#include "units.h"
#include "verbs.h"

#define TIMEOUT_MS 10000
#define FOLDERS_DEEP 16
#define DRAIN_SEC 25
#define DRAIN_MAX 86400

static const char usage_text[] =
    "Usage: tulle leave [--root DIR] [--drain=TIME | --now] [--force] [--dry-run]\n"
    "\n"
    "Takes this host out of the mesh: the steering rules go first, so that new connections\n"
    "are direct, then the daemons stop, then the identities and the copy of the authority's\n"
    "manifests in /var/lib/tulle are removed and tulle.yaml becomes tulle.yaml.left.  identities.yaml and mesh.d stay.  Afterwards\n"
    "tulle join and tulle init begin anew.\n"
    "\n"
    "  --drain=TIME  how long connections in the mesh may go on before the relay is stopped,\n"
    "                which gives them relay.drain more; 25s unless given\n"
    "  --now      do not wait: connections in the mesh hang\n"
    "  --force    also on an authority that other hosts have joined: they live on until their\n"
    "             certificates end, and nobody can renew them\n"
    "  --dry-run  only say what would be done\n"
    "\n"
    "On the authority, tulle member forget takes the host off its list.\n"
    "Exit status: 0 left, 1 not or not wholly, 2 wrong usage.\n";

struct leave {
	bool force, dry;
	bool units;
	uint32_t drain_sec; /* 0: --now */
};

/* What there is to lose, from certd while it still runs.  An exit status. */
static int
look(const struct leave *l)
{
	json_t *status;
	long n = 0;

	if (access(paths_run("certd.sock"), F_OK) == -1) {
		if (l->force)
			return EXIT_SUCCESS;
		(void)fputs("tulle leave: tulle-certd does not run, so it cannot be asked whether other hosts depend on this one: start "
		            "it, or say --force\n",
		    stderr);
		return EXIT_FAILURE;
	}
	status = certd_call("leave", "status", NULL, TIMEOUT_MS);
	if (status == NULL)
		return l->force ? EXIT_SUCCESS : EXIT_FAILURE;
	if (strcmp(certd_text(status, "source"), "embedded") == 0)
		n = (long)json_array_size(json_object_get(status, "members"));
	else
		(void)printf("This host is %s.\n", certd_text(json_object_get(status, "member"), "node"));
	json_decref(status);
	if (n == 0 || l->force)
		return EXIT_SUCCESS;
	if (n > 0)
		(void)fprintf(stderr, "tulle leave: this host is the authority of %ld other%s: without it nobody renews them. Ban or "
		                      "forget them first (tulle member), or say --force\n",
		    n, n == 1 ? "" : "s");
	return EXIT_FAILURE;
}

static void
say(const struct leave *l)
{
	(void)printf("%s\n", l->dry ? "This would be done:" : "This will be done:");
	(void)printf("  remove  the steering rules: new connections are direct\n");
	if (l->units)
		(void)printf("  stop    tulle.target, now and at every boot\n");
	(void)printf("  remove  %s and its neighbours relayd, mesh and rules\n", paths_var("certd"));
	(void)printf("  rename  %s to tulle.yaml.left\n", paths_etc("tulle.yaml"));
	(void)fflush(stdout);
}

/* tulle-nfrules knows how to take rules away without hanging anybody.  <seconds> 0: whoever is left hangs. */
static bool
remove_rules(uint32_t seconds)
{
	char path[BESIDE_MAX], root[PATH_MAX], wait[32] = "--now";
	const char *nfrules = beside(path, "tulle-nfrules");
	int status = -1;
	pid_t pid;

	(void)snprintf(root, sizeof(root), "%s", *paths_root() != '\0' ? paths_root() : "/");
	if (seconds > 0)
		(void)snprintf(wait, sizeof(wait), "--drain=%" PRIu32, seconds);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)execlp(nfrules, "tulle-nfrules", "remove", "--root", root, wait, (char *)NULL);
		(void)fprintf(stderr, "tulle leave: %s: %s\n", nfrules, strerror(errno));
		_exit(127);
	}
	while (pid != -1 && waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return false;
	return pid != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if ((what == FTW_DP ? rmdir(path) : unlink(path)) == 0)
		return 0;
	(void)fprintf(stderr, "tulle leave: %s: %s\n", path, strerror(errno));
	return 1;
}

static bool
remove_folder(const char *path)
{
	if (access(path, F_OK) == -1 && errno == ENOENT)
		return true;
	return nftw(path, remove_one, FOLDERS_DEEP, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0;
}

static bool
put_aside(void)
{
	char from[PATH_MAX], to[PATH_MAX];

	(void)snprintf(from, sizeof(from), "%s", paths_etc("tulle.yaml"));
	(void)snprintf(to, sizeof(to), "%s", paths_etc("tulle.yaml.left"));
	if (rename(from, to) == 0 || errno == ENOENT)
		return true;
	(void)fprintf(stderr, "tulle leave: %s: %s\n", from, strerror(errno));
	return false;
}

/* A daemon that runs would write its state back.  Without units its operator ends it. */
static bool
stopped(const struct leave *l)
{
	static const char *const stop[] = { "disable", "--quiet", "--now", "tulle.target", "tulle-rules.service", "tulle-hold.service",
		"tulle-relayd.service", "tulle-telemetryd.service", "tulle-certd.service", NULL };
	json_t *running;

	if (l->units)
		return units_run(stop);
	if (access(paths_run("certd.sock"), F_OK) == -1)
		return true;
	running = certd_call("leave", "status", NULL, TIMEOUT_MS);
	if (running == NULL)
		return true;
	json_decref(running);
	(void)fputs("tulle leave: the rules are gone; end tulle-relayd, tulle-telemetryd and tulle-certd, then run tulle leave --force again "
	            "to remove their state\n",
	    stderr);
	return false;
}

static int
run(struct leave *l)
{
	int status = look(l);
	bool gone;

	if (status != EXIT_SUCCESS)
		return status;
	say(l);
	if (l->dry)
		return EXIT_SUCCESS;
	if (geteuid() != 0) {
		(void)fputs("tulle leave: root is needed\n", stderr);
		return EXIT_FAILURE;
	}
	/* A connection that lives on must not keep the host in the mesh: as when the package goes, the relay is stopped then. */
	gone = remove_rules(l->drain_sec);
	if (!gone && !l->units) {
		(void)fputs("tulle leave: the steering rules are not all gone: nothing else was done. Run it again when the connections have "
		            "ended or tulle-relayd was told to end, or with --drain=TIME to wait longer, --now not to wait\n",
		    stderr);
		return EXIT_FAILURE;
	}
	if (!gone)
		(void)fputs("tulle leave: stopping the relay, which lets connections go on up to relay.drain; --drain=TIME waits longer "
		            "before that, --now does not wait\n",
		    stderr);
	if (!stopped(l))
		return EXIT_FAILURE;
	if (!gone && !remove_rules(0)) {
		(void)fputs("tulle leave: everything is stopped, but the steering rules are not all gone: the state stays; tulle rules shows "
		            "them, run it again\n",
		    stderr);
		return EXIT_FAILURE;
	}
	if (!remove_folder(paths_var("certd")) || !remove_folder(paths_var("relayd")) || !remove_folder(paths_var("mesh")) ||
	    !remove_folder(paths_var("rules")) || !put_aside())
		return EXIT_FAILURE;
	(void)printf("\nDone: this host is out of the mesh.\n");
	return EXIT_SUCCESS;
}

int
leave_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "force", no_argument, NULL, 'f' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "drain", required_argument, NULL, 'd' }, { "now", no_argument, NULL, 'N' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct leave l = { .drain_sec = DRAIN_SEC };
	uint64_t ms;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'f':
			l.force = true;
			break;
		case 'd':
			if (text_duration(optarg, &ms) != TULLE_OK || ms < 1000 || ms > DRAIN_MAX * 1000ull)
				return cli_wrong(argv[0], "--drain=%s: a time from 1s to 24h is needed, such as 5m", optarg);
			l.drain_sec = (uint32_t)(ms / 1000);
			break;
		case 'N':
			l.drain_sec = 0;
			break;
		case 'n':
			l.dry = true;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return 0;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind < argc)
		return cli_wrong(argv[0], "unexpected argument '%s'", argv[optind]);
	l.units = units_there();
	return run(&l);
}
