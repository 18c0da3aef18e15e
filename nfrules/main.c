/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle-nfrules - plans, applies, checks and removes the rules that steer
 * connections into the relay.  Runs and exits; nothing else of Tulle ever
 * writes rules.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "lastgood.h"
#include "say.h"
#include "verbs.h"

#define WAIT_RELAY_SEC 60
#define DRAIN_SEC 30
#define SECONDS_MAX 86400

#define PROGRAM "tulle-nfrules"

static const char usage_text[] =
    "Usage: tulle-nfrules VERB [OPTION...]\n"
    "\n"
    "  plan     print the wanted rules, and how what is there differs; touches nothing\n"
    "  apply    make it so; may be run again at any time\n"
    "  check    compare what is there with the plan\n"
    "  repair   put back what another program took away or changed since the last apply;\n"
    "           what tulle-rules-check.timer runs\n"
    "  remove   take every rule of Tulle away, without hanging live connections\n"
    "\n"
    "  --root DIR            a prefix of /etc/tulle, /run/tulle and /var/lib/tulle\n"
    "  --backend nft|legacy  instead of the one that is found (not for remove)\n"
    "  --wait-relay[=SEC]    apply: first wait until the relay listens, 60 s unless given\n"
    "  --drain=SEC           remove: how long to wait for live connections, 30 s unless given\n"
    "  --now                 remove: do not wait; live redirected connections hang\n"
    "  --if-closed           apply: do nothing unless capture.failClosed is true\n"
    "  --unless-closed       remove: do nothing if the rules that are there fail closed\n"
    "  --json                print JSON\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 done or equal; 1 failed, and rolled back; 2 refused; check also\n"
    "3 drift, 4 absent, 5 rules of another version or in the other backend.\n"
    "tulle-nfrules(8) says more.\n";

enum verb { VERB_PLAN, VERB_APPLY, VERB_CHECK, VERB_REPAIR, VERB_REMOVE, VERBS };

static const char *const verb_names[VERBS] = { "plan", "apply", "check", "repair", "remove" };

struct arguments {
	enum verb verb;
	struct options options;
	const char *backend; /* NULL: not given */
	bool waits, drains;  /* an option of one verb was given */
};

static enum tulle_err
seconds(const char *option, const char *text, uint32_t *ret)
{
	uint64_t v;

	if (text_uint(text, SECONDS_MAX, &v) != TULLE_OK || v == 0) {
		say("--%s=%s: a number of seconds from 1 to %d is needed", option, text, SECONDS_MAX);
		return TULLE_EINVAL;
	}
	*ret = (uint32_t)v;
	return TULLE_OK;
}

static enum tulle_err
take_option(struct arguments *a, int c)
{
	switch (c) {
	case 'r':
		return cli_root(PROGRAM, optarg) == 0 ? TULLE_OK : TULLE_EINVAL;
	case 'b':
		a->backend = optarg;
		if (strcmp(optarg, "nft") == 0 || strcmp(optarg, "legacy") == 0)
			return TULLE_OK;
		say("--backend %s: nft or legacy is needed", optarg);
		return TULLE_EINVAL;
	case 'w':
		a->waits = true;
		a->options.wait_relay_sec = WAIT_RELAY_SEC;
		return optarg == NULL ? TULLE_OK : seconds("wait-relay", optarg, &a->options.wait_relay_sec);
	case 'd':
		a->drains = true;
		return seconds("drain", optarg, &a->options.drain_sec);
	case 'n':
		a->drains = true;
		a->options.drain_sec = 0;
		return TULLE_OK;
	case 'i':
		a->options.if_closed = true;
		return TULLE_OK;
	case 'u':
		a->options.unless_closed = true;
		return TULLE_OK;
	case 'j':
		a->options.json = true;
		return TULLE_OK;
	default:
		(void)cli_try(PROGRAM);
		return TULLE_EINVAL;
	}
}

static enum tulle_err
take_verb(struct arguments *a, int argc, char **argv)
{
	if (optind == argc) {
		(void)fputs(usage_text, stderr);
		return TULLE_EINVAL;
	}
	for (a->verb = 0; a->verb < VERBS && strcmp(argv[optind], verb_names[a->verb]) != 0; a->verb++)
		;
	if (a->verb == VERBS)
		(void)cli_wrong(PROGRAM, "unknown verb '%s': plan, apply, check, repair or remove is needed", argv[optind]);
	else if (optind + 1 < argc)
		(void)cli_wrong(PROGRAM, "unexpected argument '%s'", argv[optind + 1]);
	else if (a->waits && a->verb != VERB_APPLY)
		say("--wait-relay is for apply");
	else if (a->drains && a->verb != VERB_REMOVE)
		say("--drain and --now are for remove");
	else if (a->options.if_closed && a->verb != VERB_APPLY)
		say("--if-closed is for apply");
	else if (a->options.unless_closed && a->verb != VERB_REMOVE)
		say("--unless-closed is for remove");
	else if (a->backend != NULL && a->verb == VERB_REMOVE)
		say("remove always clears both backends: --backend has no meaning there");
	else if (a->verb != VERB_PLAN && geteuid() != 0)
		say("%s needs root, or a user namespace's", verb_names[a->verb]);
	else
		return TULLE_OK;
	return TULLE_EINVAL;
}

/* At a boot: what failed closed before must not be open because somebody made a mistake in the file meanwhile. */
static bool
fall_back(struct config *c)
{
	if (config_read_last_good(c) != TULLE_OK)
		return false;
	say("the rules fail closed as %s says, the configuration of the last apply; mend %s, then tulle-nfrules apply", lastgood_path(),
	    paths_etc("tulle.yaml"));
	return true;
}

static int
run(const struct arguments *a)
{
	struct config c;
	int status;

	if (a->verb == VERB_REMOVE)
		return remove_verb(&a->options);
	if (config_read(&c) != TULLE_OK && (!a->options.if_closed || !fall_back(&c)))
		return EXIT_REFUSED;
	if (a->backend != NULL) {
		c.any_backend = false;
		c.backend = strcmp(a->backend, "legacy") == 0 ? BACKEND_OF_LEGACY : BACKEND_OF_NFT;
	}
	switch (a->verb) {
	case VERB_PLAN:
		status = plan_verb(&c, &a->options);
		break;
	case VERB_APPLY:
		status = apply_verb(&c, &a->options);
		break;
	case VERB_CHECK:
		status = check_verb(&c, &a->options);
		break;
	case VERB_REPAIR:
		status = repair_verb(&c, &a->options);
		break;
	case VERB_REMOVE:
	case VERBS:
	default:
		status = EXIT_REFUSED;
		break;
	}
	config_free(&c);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' },
		{ "backend", required_argument, NULL, 'b' }, { "wait-relay", optional_argument, NULL, 'w' },
		{ "drain", required_argument, NULL, 'd' }, { "now", no_argument, NULL, 'n' },
		{ "if-closed", no_argument, NULL, 'i' }, { "unless-closed", no_argument, NULL, 'u' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'v' }, { 0 } };
	struct arguments a = { .options = { .drain_sec = DRAIN_SEC } };
	int c;

	/* Descriptors 0 to 2 must be taken, or a pipe to a tool would land there. */
	do
		c = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (c != -1 && c <= STDERR_FILENO);
	log_init(PROGRAM);
	cli_begin(argv);
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			(void)fputs(usage_text, stdout);
			return EXIT_DONE;
		}
		if (c == 'v') {
			(void)puts(PROGRAM " " TULLE_VERSION);
			return EXIT_DONE;
		}
		if (take_option(&a, c) != TULLE_OK)
			return EXIT_REFUSED;
	}
	if (take_verb(&a, argc, argv) != TULLE_OK)
		return EXIT_REFUSED;
	return run(&a);
}
