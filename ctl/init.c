/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle init - sets up a host: configuration that says what it means, and
 * an authority of its own.  It says what it will do before it does it, never
 * overwrites anything, and doing it twice is doing it once.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/cli.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/text.h"
#include "beside.h"
#include "certd.h"
#include "manifest/host.h"
#include "manifest/identities.h"
#include "tls/spiffe.h"
#include "verbs.h"

#define FILE_MAX 16384

static const char usage_text[] =
    "Usage: tulle init [--root DIR] [--trust-domain TD] [--default NAMESPACE/ACCOUNT]\n"
    "                  [--member] [--dry-run]\n"
    "\n"
    "Sets this host up: writes /etc/tulle/tulle.yaml and identities.yaml where they are\n"
    "missing, makes the folder mesh.d and the authority of this host, and checks the\n"
    "result.  What is there already stays as it is.\n"
    "\n"
    "  --trust-domain TD  the trust domain (default: a random name that is nobody else's)\n"
    "  --default NS/SA    who processes of this host are that identities.yaml does not\n"
    "                     name (default: default/ and the host's name)\n"
    "  --member           this host will join another one's trust domain: no authority\n"
    "  --dry-run          only say what would be done\n";

struct plan {
	char td[SPIFFE_TD_MAX + 1];
	bool td_given;
	char account[2 * SPIFFE_TD_MAX + 2]; /* "NS/SA" */
	bool member, dry;
	bool write_host, write_identities, make_folder;
};

static int
fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "tulle init: %s: %s\n", what, why);
	return EXIT_FAILURE;
}

/* ---- planning ---- */

/* The host's name as an account: what is not legal there becomes a dash. */
static void
default_account(struct plan *p)
{
	char host[65] = "";
	size_t n;

	if (gethostname(host, sizeof(host) - 1) == -1 || host[0] == '\0')
		(void)snprintf(host, sizeof(host), "host");
	n = strcspn(host, ".");
	host[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (!spiffe_segment_valid(&host[i], 1) && host[i] != '.')
			host[i] = '-';
	(void)snprintf(p->account, sizeof(p->account), "default/%s", host);
}

static bool
random_domain(struct plan *p)
{
	uint8_t bits[16];
	char hex[33];

	if (getrandom(bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		return false;
	(void)snprintf(p->td, sizeof(p->td), "%s.tulle.internal", text_hex(bits, sizeof(bits), hex));
	return true;
}

static bool
missing(const char *path)
{
	return access(path, F_OK) == -1 && errno == ENOENT;
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
	} else if (p->td_given && strcmp(c->trust_domain, p->td) != 0) {
		(void)fprintf(stderr, "tulle init: %s is there and says trustDomain: %s, not %s\n", paths_etc("tulle.yaml"),
		    c->trust_domain, p->td);
		status = EXIT_FAILURE;
	} else {
		(void)snprintf(p->td, sizeof(p->td), "%s", c->trust_domain);
		p->member = c->identity.source == IDENTITY_FLEET;
	}
	host_config_free(c);
	problems_free(&problems);
	return status;
}

static void
say(const struct plan *p)
{
	(void)printf("%s\n", p->dry ? "This would be done:" : "This will be done:");
	if (p->write_host && p->member)
		(void)printf("  write  %s (a member of another host's trust domain)\n", paths_etc("tulle.yaml"));
	else if (p->write_host)
		(void)printf("  write  %s (trust domain %s, default identity %s)\n", paths_etc("tulle.yaml"), p->td, p->account);
	else
		(void)printf("  keep   %s\n", paths_etc("tulle.yaml"));
	(void)printf("  %s  %s\n", p->write_identities ? "write" : "keep ", paths_etc("identities.yaml"));
	(void)printf("  %s  %s/\n", p->make_folder ? "make " : "keep ", paths_etc("mesh.d"));
	if (!p->member)
		(void)printf("  make   the authority in %s, if there is none\n", paths_var("certd"));
	(void)printf("  check  the result\n");
	(void)fflush(stdout);
}

/* ---- doing ---- */

static enum tulle_err
host_yaml(struct buf *out, const struct plan *p)
{
	const char *slash = strchr(p->account, '/');
	enum tulle_err e = buf_printf(out,
	    "# This host, for Tulle.  Every value has a default; tulle check looks for mistakes.\n\n");

	if (e == TULLE_OK && p->member && p->td_given)
		e = buf_printf(out, "# The trust domain is the authority's; tulle join refuses another one.\ntrustDomain: %s\n\n", p->td);
	else if (e == TULLE_OK && p->member)
		e = buf_printf(out,
		    "# The trust domain is the authority's: tulle join TOKEN says it.  Write it here, or the relay expects\n"
		    "# peers of mesh.example:\n"
		    "# trustDomain: mesh.example\n\n");
	if (e == TULLE_OK && p->member)
		e = buf_printf(out,
		    "identity:\n"
		    "  source: fleet\n");
	else if (e == TULLE_OK)
		e = buf_printf(out,
		    "# Whose names we speak: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT.  Not to be changed once\n"
		    "# other hosts know it.\n"
		    "trustDomain: %s\n\n"
		    "identity:\n"
		    "  source: embedded      # this host has an authority of its own; fleet: it joins another host's\n",
		    p->td);
	if (e == TULLE_OK)
		e = buf_printf(out,
		    "  ttl: 24h              # how long a certificate lives; renewed at half of that\n"
		    "  # Who processes are that identities.yaml does not name:\n"
		    "  default: ns/%.*s/sa/%s\n\n"
		    "# Where other hosts join and renew (tulle token, tulle join); \"off\" for a host alone:\n"
		    "# authority: {listen: \":15012\"}\n\n"
		    "# What is steered into the relay.  Tulle's own users and port 22 never are:\n"
		    "# capture: {outbound: true, inbound: true, exclude: {ports: [], cidrs: [], uids: []}}\n\n"
		    "# Where telemetry goes (OTLP), and where Prometheus finds /metrics:\n"
		    "# telemetry: {destinations: [{otlp: \"http://127.0.0.1:4318\"}], metrics: \":9464\"}\n",
		    (int)(slash - p->account), p->account, slash + 1);
	return e;
}

static const char identities_yaml[] =
    "# Which workload of this host is who.  A process gets the identity of each entry of\n"
    "# which all fields under match fit: unit (systemd), uid (name or number), binary (path).\n"
    "# Names are NAMESPACE/ACCOUNT.  After a change: tulle reload certd\n"
    "#\n"
    "# - {serviceAccount: shop/cart, match: {unit: cart.service}}\n"
    "# - {serviceAccount: shop/jobs, match: {uid: jobs}, ttl: 1h}\n";

/* Never over a file: not even over one that came since the plan was made. */
static enum tulle_err
write_new(const char *path, const void *data, size_t len)
{
	int AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	enum tulle_err e;

	if (fd == -1)
		return TULLE_ESYS;
	e = file_write_all(fd, data, len);
	if (e == TULLE_OK && fsync(fd) == -1)
		e = TULLE_ESYS;
	if (e)
		(void)unlink(path);
	return e;
}

static int
write_files(const struct plan *p)
{
	struct buf yaml = buf_new(FILE_MAX);
	enum tulle_err e = TULLE_OK;

	if (file_mkdirs(paths_etc("mesh.d"), 0755) != TULLE_OK)
		return fail(paths_etc("mesh.d"), strerror(errno));
	if (p->write_host) {
		e = host_yaml(&yaml, p);
		if (e == TULLE_OK)
			e = write_new(paths_etc("tulle.yaml"), buf_head(&yaml), buf_len(&yaml));
		buf_free(&yaml);
		if (e)
			return fail(paths_etc("tulle.yaml"), e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
	}
	if (p->write_identities && write_new(paths_etc("identities.yaml"), identities_yaml, strlen(identities_yaml)) != TULLE_OK)
		return fail(paths_etc("identities.yaml"), strerror(errno));
	return EXIT_SUCCESS;
}

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

static int
check(void)
{
	struct problems problems;
	struct host_config *c = NULL;
	struct identities *ids = NULL;
	int status;

	problems_init(&problems);
	(void)host_config_read(&c, paths_etc("tulle.yaml"), &problems);
	(void)identities_read(&ids, paths_etc("identities.yaml"), &problems);
	for (size_t i = 0; i < problems.n; i++)
		(void)fprintf(stderr, "%s\n", problems.list[i].line);
	status = problems.errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	host_config_free(c);
	identities_free(ids);
	problems_free(&problems);
	return status;
}

static void
say_next(const struct plan *p)
{
	(void)printf("\nDone.  Next:\n"
	             "  systemctl start tulle-certd      (or: tulle-certd%s%s &)\n",
	    *paths_root() != '\0' ? " --root " : "", paths_root());
	if (p->member)
		(void)printf("  tulle join TOKEN                 with a token that tulle token made on the authority\n");
	else
		(void)printf("  tulle token --allow NS/ACCOUNT   for each host that shall join this one\n");
	(void)printf("  tulle status                     how it goes\n");
}

static int
run(struct plan *p)
{
	int status = EXIT_SUCCESS;

	p->write_host = missing(paths_etc("tulle.yaml"));
	p->write_identities = missing(paths_etc("identities.yaml"));
	p->make_folder = missing(paths_etc("mesh.d"));
	if (!p->write_host)
		status = look_at_host(p);
	else if (!p->td_given && !random_domain(p))
		status = fail("random numbers", strerror(errno));
	if (status != EXIT_SUCCESS)
		return status;
	say(p);
	if (p->dry)
		return EXIT_SUCCESS;
	status = write_files(p);
	if (status == EXIT_SUCCESS && !p->member)
		status = make_authority();
	if (status == EXIT_SUCCESS)
		status = check();
	if (status == EXIT_SUCCESS)
		say_next(p);
	return status;
}

static bool
account_valid(const char *account)
{
	const char *slash = strchr(account, '/');

	return slash != NULL && strlen(account) < 2 * SPIFFE_TD_MAX && spiffe_segment_valid(account, (size_t)(slash - account)) &&
	    spiffe_segment_valid(slash + 1, strlen(slash + 1));
}

int
init_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' },
		{ "trust-domain", required_argument, NULL, 't' }, { "default", required_argument, NULL, 'd' },
		{ "member", no_argument, NULL, 'm' }, { "dry-run", no_argument, NULL, 'n' }, { "help", no_argument, NULL, 'h' },
		{ 0 } };
	struct plan p = { 0 };
	int c;

	default_account(&p);
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
			(void)snprintf(p.td, sizeof(p.td), "%s", optarg);
			p.td_given = true;
			break;
		case 'd':
			if (!account_valid(optarg)) {
				(void)fprintf(stderr, "tulle init: --default %s: NAMESPACE/ACCOUNT is needed\n", optarg);
				return 2;
			}
			(void)snprintf(p.account, sizeof(p.account), "%s", optarg);
			break;
		case 'm':
			p.member = true;
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
	return run(&p);
}
