/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle init - sets up a host: configuration that says what it means, and
 * an authority of its own.  It says what it will do before it does it, never
 * overwrites anything, and doing it twice is doing it once.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/paths.h"
#include "base/text.h"
#include "beside.h"
#include "certd.h"
#include "firewall.h"
#include "manifest/host.h"
#include "setup.h"
#include "tls/spiffe.h"
#include "units.h"
#include "verbs.h"

static const char usage_text[] =
    "Usage: tulle init [--root DIR] [--trust-domain TD] [--default NAMESPACE/ACCOUNT]\n"
    "                  [--inbound-ports PORTS|all|none] [--member] [--no-start] [--dry-run]\n"
    "\n"
    "Sets this host up: writes /etc/tulle/tulle.yaml and identities.yaml where they are\n"
    "missing, makes the folder mesh.d and the authority of this host, and checks the\n"
    "result.  What is there already stays as it is.  Where systemd runs the host and the\n"
    "units of Tulle are installed, starts everything, now and at every boot.\n"
    "\n"
    "  --trust-domain TD  the trust domain (default: a random name that is nobody else's)\n"
    "  --default NS/SA    who processes of this host are that identities.yaml does not\n"
    "                     name (default: default/ and the host's name)\n"
    "  --inbound-ports P  the ports at which what arrives is captured: 80,443 or all or\n"
    "                     none.  Beside ufw and firewalld one of these must be said\n"
    "  --member           this host will join another one's trust domain: no authority.\n"
    "                     tulle join does this by itself; it is for preparing images\n"
    "  --no-start         start nothing\n"
    "  --dry-run          only say what would be done\n";

struct plan {
	struct setup files;
	bool td_given, dry;
	bool starts; /* the services, too */
};

static int
fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "tulle init: %s: %s\n", what, why);
	return EXIT_FAILURE;
}

/* ---- planning ---- */

static bool
random_domain(struct plan *p)
{
	uint8_t bits[16];
	char hex[33];

	if (getrandom(bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		return false;
	(void)snprintf(p->files.td, sizeof(p->files.td), "%s.tulle.internal", text_hex(bits, sizeof(bits), hex));
	return true;
}

/* What is there says which trust domain this is; another one on the command line is a mistake. */
static int
look_at_host(struct plan *p)
{
	struct problems problems;
	struct host_config *c = NULL;
	int status = EXIT_SUCCESS;

	problems_init(&problems);
	if (host_config_read(&c, paths_etc("tulle.yaml"), &problems) != TULLE_OK) {
		for (size_t i = 0; i < problems.n; i++)
			(void)fprintf(stderr, "%s\n", problems.list[i].line);
		status = fail(paths_etc("tulle.yaml"), "it is there but not right; mend it first");
	} else if (p->td_given && strcmp(c->trust_domain, p->files.td) != 0) {
		(void)fprintf(stderr, "tulle init: %s is there and says trustDomain: %s, not %s\n", paths_etc("tulle.yaml"),
		    c->trust_domain, p->files.td);
		status = EXIT_FAILURE;
	} else {
		(void)snprintf(p->files.td, sizeof(p->files.td), "%s", c->trust_domain);
		p->files.member = c->identity.source == IDENTITY_FLEET;
	}
	host_config_free(c);
	problems_free(&problems);
	return status;
}

static void
say(const struct plan *p)
{
	(void)printf("%s\n", p->dry ? "This would be done:" : "This will be done:");
	if (p->files.write_host && p->files.member)
		(void)printf("  write  %s (a member of another host's trust domain)\n", paths_etc("tulle.yaml"));
	else if (p->files.write_host)
		(void)printf("  write  %s (trust domain %s, default identity %s)\n", paths_etc("tulle.yaml"), p->files.td, p->files.account);
	else
		(void)printf("  keep   %s\n", paths_etc("tulle.yaml"));
	(void)printf("  %s  %s\n", p->files.write_identities ? "write" : "keep ", paths_etc("identities.yaml"));
	(void)printf("  %s  %s/\n", p->files.make_folder ? "make " : "keep ", paths_etc("mesh.d"));
	if (!p->files.member)
		(void)printf("  make   the authority in %s, if there is none\n", paths_var("certd"));
	(void)printf("  check  the result\n");
	if (p->starts)
		(void)printf("  start  tulle.target, now and at every boot: new TCP connections of this host go through the relay\n");
	(void)fflush(stdout);
}

/* ---- doing ---- */

/* tulle-certd makes its authority itself: it alone knows that state.  One that runs has made it already. */
static int
make_authority(void)
{
	char path[BESIDE_MAX];
	const char *certd = beside(path, "tulle-certd");
	char root[PATH_MAX];
	int status;
	pid_t pid;

	if (access(paths_run("certd.sock"), F_OK) == 0) {
		json_t *running = certd_call("init", "status", NULL, 3000);

		if (running != NULL) {
			(void)printf("tulle-certd runs already: its authority stays as it is\n");
			json_decref(running);
			return EXIT_SUCCESS;
		}
	}
	(void)snprintf(root, sizeof(root), "%s", *paths_root() != '\0' ? paths_root() : "/");
	pid = fork();
	if (pid == -1)
		return fail("fork", strerror(errno));
	if (pid == 0) {
		(void)execlp(certd, "tulle-certd", "ca", "create", "--root", root, (char *)NULL);
		(void)fprintf(stderr, "tulle init: %s: %s\n", certd, strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return fail("waitpid", strerror(errno));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
say_next(const struct plan *p)
{
	const char *option = *paths_root() != '\0' ? " --root " : "";

	(void)printf("\nDone.  Next:\n");
	if (p->files.member)
		(void)printf("  tulle join TOKEN                 with a token that tulle token made on the authority\n");
	else if (!p->starts)
		(void)printf("  systemctl enable --now tulle.target tulle-certd tulle-telemetryd tulle-relayd tulle-rules\n"
		             "                                   (or: tulle-certd%s%s & and so on)\n",
		    option, paths_root());
	if (!p->files.member)
		(void)printf("  tulle token --allow NS/ACCOUNT   for each host that shall join this one\n");
	(void)printf("  tulle status                     how it goes\n");
}

static int
run(struct plan *p)
{
	int status = EXIT_SUCCESS;

	setup_look(&p->files);
	if (!p->files.write_host)
		status = look_at_host(p);
	else if (!p->td_given && !p->files.member && !random_domain(p))
		status = fail("random numbers", strerror(errno));
	if (status != EXIT_SUCCESS)
		return status;
	if (!p->files.write_host && p->files.capture[0] != '\0')
		firewall_note_kept("init");
	if (p->starts && (!p->files.write_host || p->files.capture[0] == '\0') && firewall_objects("init"))
		return EXIT_FAILURE;
	say(p);
	if (p->dry)
		return EXIT_SUCCESS;
	status = setup_write(&p->files);
	if (status == EXIT_SUCCESS && !p->files.member)
		status = make_authority();
	if (status == EXIT_SUCCESS)
		status = setup_check();
	if (status != EXIT_SUCCESS)
		return status;
	if (p->starts && !units_start_all()) {
		(void)fprintf(stderr, "tulle init: not everything started: journalctl -u 'tulle*' says why; without "
		                      "the steering rules the host's network is as it was\n");
		return EXIT_FAILURE;
	}
	say_next(p);
	return EXIT_SUCCESS;
}

int
init_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' },
		{ "trust-domain", required_argument, NULL, 't' }, { "default", required_argument, NULL, 'd' },
		{ "member", no_argument, NULL, 'm' }, { "dry-run", no_argument, NULL, 'n' },
		{ "no-start", no_argument, NULL, 's' }, { "inbound-ports", required_argument, NULL, 'i' }, { "help", no_argument, NULL, 'h' },
		{ 0 } };
	struct plan p = { .files = { .verb = "init" } };
	bool no_start = false;
	int c;

	setup_default_account(&p.files);
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 't':
			if (!spiffe_td_valid(optarg, strlen(optarg))) {
				(void)fprintf(stderr, "tulle init: --trust-domain %s: a name of a-z, 0-9, ., - and _ is needed\n", optarg);
				return 2;
			}
			(void)snprintf(p.files.td, sizeof(p.files.td), "%s", optarg);
			p.td_given = true;
			break;
		case 'd':
			if (!setup_account_valid(optarg)) {
				(void)fprintf(stderr, "tulle init: --default %s: NAMESPACE/ACCOUNT is needed\n", optarg);
				return 2;
			}
			(void)snprintf(p.files.account, sizeof(p.files.account), "%s", optarg);
			break;
		case 'i':
			if (!firewall_capture("init", optarg, p.files.capture))
				return CLI_WRONG;
			break;
		case 'm':
			p.files.member = true;
			break;
		case 's':
			no_start = true;
			break;
		case 'n':
			p.dry = true;
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
	/* A member has no identity, and so nothing to steer into, before tulle join. */
	p.starts = !no_start && !p.files.member && units_there();
	return run(&p);
}
