/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle-certd ca ... - the authority's root, while the daemon does not run:
 * it alone holds the state.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "authority/members.h"
#include "base/cleanup.h"
#include "base/cli.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "daemon.h"
#include "io/privileges.h"
#include "tls/context.h"

#define PEM_MAX 65536

static const char usage_text[] =
    "Usage: tulle-certd ca create [--root DIR]\n"
    "       tulle-certd ca import [--root DIR] --cert FILE --key FILE [--replace]\n"
    "       tulle-certd ca show [--root DIR] [--json]\n"
    "\n"
    "The root of this host's authority.  tulle-certd must not be running (ask it with\n"
    "tulle status instead of ca show).\n"
    "\n"
    "  create   makes a root, if there is none yet\n"
    "  import   takes one made elsewhere: PEM certificate and unencrypted PEM key; several\n"
    "           hosts may import the same one, each makes an issuing CA of its own below it\n"
    "  show     what there is\n"
    "\n"
    "  --replace  import over another root, if no other host has joined\n";

struct ca_args {
	const char *cert, *key;
	bool replace, json;
};

/* What the verbs work on, opened as the daemon opens it. */
struct open_state {
	struct config *config;
	struct store *store;
	struct authority *authority;
	char td[SPIFFE_TD_MAX + 1];
};

static void
close_state(struct open_state *o)
{
	authority_close(o->authority);
	store_close(o->store);
	config_free(o->config);
}

static int
fail(const char *what)
{
	(void)fprintf(stderr, "tulle-certd ca: %s\n", what);
	return EXIT_FAILURE;
}

static enum tulle_err
read_config(struct open_state *o)
{
	struct buf problems = buf_new(PEM_MAX);
	enum tulle_err e = config_read(&o->config, &problems);

	if (e)
		(void)fprintf(stderr, "%.*s", (int)buf_len(&problems),
		    buf_len(&problems) > 0 ? (const char *)buf_head(&problems) : "");
	buf_free(&problems);
	return e;
}

/* The folder is certd's user's, and so is what is made in it. */
static enum tulle_err
become(const struct config *c)
{
	uint32_t uid = geteuid(), gid = getegid();

	if (geteuid() == 0 && host_user_id(c->host->users.certd, &uid, &gid) != TULLE_OK) {
		(void)fprintf(stderr, "tulle-certd ca: there is no user \"%s\" (users.certd in %s)\n", c->host->users.certd,
		    paths_etc("tulle.yaml"));
		return TULLE_ENOENT;
	}
	if (state_folder(paths_var("certd"), 0700, uid, gid) != TULLE_OK || privileges_drop(uid, gid) != TULLE_OK) {
		(void)fprintf(stderr, "tulle-certd ca: %s: %s\n", paths_var("certd"), strerror(errno));
		return TULLE_ESYS;
	}
	return TULLE_OK;
}

static enum tulle_err
open_state(struct open_state *o)
{
	enum tulle_err e = store_open(&o->store, paths_var("certd"));

	if (e == TULLE_EBUSY)
		(void)fail("tulle-certd is running: stop it first");
	else if (e == TULLE_EDAMAGED)
		(void)fprintf(stderr, "tulle-certd ca: " STATE_DAMAGED, paths_var("certd"), paths_var("certd"));
	else if (e)
		(void)fprintf(stderr, "tulle-certd ca: the state in %s cannot be opened: %s\n", paths_var("certd"),
		    e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
	else if (store_get(o->store, "self", "joined") != NULL) {
		(void)fail("this host is a member of a fleet: its authority is elsewhere");
		e = TULLE_EDENIED;
	}
	return e;
}

static enum tulle_err
open_authority(struct open_state *o)
{
	struct buf error = buf_new(4096);
	enum tulle_err e = state_trust_domain(o->store, o->config, o->td, &error);

	if (e == TULLE_OK)
		e = authority_open(&o->authority, o->store, paths_var("certd"), o->td);
	if (e == TULLE_EDAMAGED)
		(void)fprintf(stderr, "tulle-certd ca: " STATE_DAMAGED, paths_var("certd"), paths_var("certd"));
	else if (e)
		(void)fprintf(stderr, "tulle-certd ca: %.*s%s\n", (int)buf_len(&error),
		    buf_len(&error) > 0 ? (const char *)buf_head(&error) : "", buf_len(&error) > 0 ? "" : tulle_strerror(e));
	buf_free(&error);
	return e;
}

static void
when(char out[32], int64_t t)
{
	struct tm tm;
	time_t sec = (time_t)t;

	if (gmtime_r(&sec, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

static int
show(struct open_state *o, bool json)
{
	char pin[TEXT_BASE64URL(TOKEN_PIN)] = "", hex[2 * TOKEN_PIN + 1] = "";
	json_t *cas = authority_status(o->authority, clock_wall_sec()), *ca;
	size_t i;

	if (authority_has_root(o->authority))
		(void)text_base64url(authority_pin(o->authority), TOKEN_PIN, pin);
	if (authority_has_root(o->authority))
		(void)text_hex(authority_pin(o->authority), TOKEN_PIN, hex);
	if (json) {
		json_t *all = json_pack("{ss ss so}", "trust_domain", o->td, "root_pin", pin, "cas", cas);

		(void)json_dumpf(all, stdout, JSON_INDENT(2));
		(void)putchar('\n');
		json_decref(all);
		return EXIT_SUCCESS;
	}
	(void)printf("trust domain  %s\n", o->td);
	if (*hex != '\0')
		(void)printf("root sha256:%s\n", hex);
	json_array_foreach (cas, i, ca) {
		char end[32];

		when(end, value_int(ca, "not_after"));
		(void)printf("%-8s %-9s serial %s, until %s\n", value_text(ca, "tier"), value_text(ca, "state"),
		    value_text(ca, "serial"), end);
	}
	json_decref(cas);
	return EXIT_SUCCESS;
}

static int
create(struct open_state *o)
{
	enum tulle_err e;

	if (authority_has_root(o->authority)) {
		(void)printf("there is a root already for trust domain %s; nothing to do\n", o->td);
		return EXIT_SUCCESS;
	}
	e = authority_create(o->authority, clock_wall_sec());
	if (e)
		return fail(e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
	return show(o, false);
}

static int
import(struct open_state *o, const char *cert, const char *key, bool replace)
{
	char why[AUTHORITY_WHY] = "";
	enum tulle_err e;

	if (replace && json_object_size(store_table(o->store, "member")) > 0)
		return fail("other hosts have joined below the present root: they would be cut off");
	e = authority_import(o->authority, cert, key, replace, clock_wall_sec(), why);
	if (e == TULLE_EEXIST)
		return fail("there is another root already; --replace puts this one in its place");
	if (e)
		return fail(why[0] != '\0' ? why : e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
	return show(o, false);
}

/* A root that names its trust domain names it for a host that has none yet. */
static enum tulle_err
adopt_domain(struct open_state *o, const char *cert)
{
	char td[SPIFFE_TD_MAX + 1];

	if (o->config->td_given || authority_root_domain(cert, td) != TULLE_OK || td[0] == '\0' ||
	    json_object_size(store_table(o->store, "ca")) > 0)
		return TULLE_OK;
	return store_put(o->store, "self", "trust_domain", json_pack("{ss}", "name", td));
}

static char *
read_pem(const char *path)
{
	char *data;
	size_t len;
	enum tulle_err e = file_read(path, PEM_MAX, &data, &len);

	if (e == TULLE_OK)
		return data;
	(void)fprintf(stderr, "tulle-certd ca: %s: %s\n", path, e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
	return NULL;
}

static int
act(const char *verb, const struct ca_args *a)
{
	struct open_state o = { 0 };
	char AUTO_FREE *cert = NULL, *key = NULL;
	bool importing = strcmp(verb, "import") == 0;
	int status = EXIT_FAILURE;

	/* Before root is given up: the files may be root's alone. */
	if (importing && ((cert = read_pem(a->cert)) == NULL || (key = read_pem(a->key)) == NULL))
		return EXIT_FAILURE;
	if (read_config(&o) == TULLE_OK && become(o.config) == TULLE_OK && open_state(&o) == TULLE_OK &&
	    (!importing || adopt_domain(&o, cert) == TULLE_OK) && open_authority(&o) == TULLE_OK) {
		if (importing)
			status = import(&o, cert, key, a->replace);
		else
			status = strcmp(verb, "create") == 0 ? create(&o) : show(&o, a->json);
	}
	close_state(&o);
	if (key != NULL)
		explicit_bzero(key, strlen(key));
	return status;
}

int
ca_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "cert", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' }, { "replace", no_argument, NULL, 'R' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	struct ca_args a = { 0 };
	const char *verb;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'c':
			a.cert = optarg;
			break;
		case 'k':
			a.key = optarg;
			break;
		case 'R':
			a.replace = true;
			break;
		case 'j':
			a.json = true;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		default:
			return cli_try(argv[0]);
		}
	}
	verb = optind < argc ? argv[optind] : "";
	if (optind + 1 != argc ||
	    (strcmp(verb, "show") != 0 && strcmp(verb, "create") != 0 && strcmp(verb, "import") != 0) ||
	    (strcmp(verb, "import") == 0 && (a.cert == NULL || a.key == NULL))) {
		(void)fputs(usage_text, stderr);
		return CLI_WRONG;
	}
	privileges_no_dump();
	if (tls_init() != TULLE_OK)
		return fail("the TLS library does not start");
	return act(verb, &a);
}
