/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle svid - fetches this process's identities from the Workload API as
 * any workload would, and shows or writes them.  It works with every
 * implementation, certd's or SPIRE's.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/cli.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "io/loop.h"
#include "io/sock.h"
#include "tls/context.h"
#include "tls/der.h"
#include "tls/svid.h"
#include "verbs.h"
#include "workload/client.h"

#define LOOK_MS 50
#define PEM_MAX (2u << 20)

static const char usage_text[] =
    "Usage: tulle svid [--root DIR] [--json] [--write DIR] [--watch] [--timeout TIME] [--socket PATH]\n"
    "\n"
    "Fetches the identities of this process from the SPIFFE Workload API, as a workload\n"
    "would, and shows them.\n"
    "\n"
    "  --json          for scripts: one object; with --watch one a line\n"
    "  --write DIR     svid.pem, svid_key.pem and svid_bundle.pem of the first one\n"
    "  --watch         go on: each renewal is shown, or written, as it comes\n"
    "  --timeout TIME  how long to wait for the first (default 5s); if it is given, also\n"
    "                  for somebody to serve it\n"
    "  --socket PATH   another socket than tulle-certd's\n"
    "\n"
    "Exit status: 0 fetched, 1 not, 2 wrong usage.\n";

struct fetch {
	struct loop *loop;
	struct workload_client *client;
	struct timer look;
	const char *socket, *folder;
	bool json, watch;
	bool patient; /* a time was given: wait for a socket, too */
	uint64_t deadline;
	int status;
	bool any;
	bool nobody; /* the last time that we dialled */
};

static void
when(char out[32], int64_t t)
{
	struct tm tm;
	time_t sec = (time_t)t;

	if (gmtime_r(&sec, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

static json_t *
svid_json(const struct svid_der *s)
{
	struct der chain[DER_CHAIN_CERTS], roots[DER_BUNDLE_CERTS];
	struct svid_facts f;
	size_t n = 0, n_roots = 0;

	if (der_split(s->chain, s->chain_len, chain, DER_CHAIN_CERTS, &n) != TULLE_OK ||
	    svid_read(&f, chain[0].p, chain[0].len) != TULLE_OK)
		return NULL;
	if (der_split(s->bundle, s->bundle_len, roots, DER_BUNDLE_CERTS, &n_roots) != TULLE_OK)
		n_roots = 0;
	return json_pack("{ss ss ss sI sI sI sI}", "id", f.id, "hint", s->hint != NULL ? s->hint : "", "serial", f.serial,
	    "not_before", (json_int_t)f.not_before, "not_after", (json_int_t)f.not_after, "chain", (json_int_t)n, "roots",
	    (json_int_t)n_roots);
}

static void
show(const struct fetch *f, const json_t *list)
{
	size_t i;
	json_t *s;

	if (f->json) {
		json_t *all = json_pack("{sO}", "svids", list);

		(void)json_dumpf(all, stdout, f->watch ? JSON_COMPACT : JSON_INDENT(2));
		(void)putchar('\n');
		json_decref(all);
	} else {
		json_array_foreach (list, i, s) {
			char end[32];

			when(end, json_integer_value(json_object_get(s, "not_after")));
			(void)printf("%s\n    serial %s, until %s\n", json_string_value(json_object_get(s, "id")),
			    json_string_value(json_object_get(s, "serial")), end);
		}
	}
	(void)fflush(stdout);
}

/* RFC 7468: 64 characters a line. */
static enum tulle_err
key_pem(struct buf *out, const uint8_t *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	enum tulle_err e = buf_printf(out, "-----BEGIN PRIVATE KEY-----\n");

	for (size_t i = 0; e == TULLE_OK && i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

		e = buf_printf(out, "%c%c%c%c%s", digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
		    i + 2 < n ? digits[v & 63] : '=', (i / 3) % 16 == 15 || i + 3 >= n ? "\n" : "");
	}
	return e ? e : buf_printf(out, "-----END PRIVATE KEY-----\n");
}

static enum tulle_err
write_one(const char *folder, const char *name, const struct buf *b, mode_t mode)
{
	char AUTO_FREE *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) == -1) {
		path = NULL;
		return TULLE_ENOMEM;
	}
	return file_replace(path, buf_head(b), buf_len(b), mode);
}

static enum tulle_err
write_files(const char *folder, const struct svid_der *s)
{
	struct buf chain = buf_new(PEM_MAX), key = buf_new(PEM_MAX), roots = buf_new(PEM_MAX);
	enum tulle_err e = file_mkdirs(folder, 0755);

	if (e == TULLE_OK)
		e = der_to_pem(&chain, s->chain, s->chain_len);
	if (e == TULLE_OK)
		e = key_pem(&key, s->key, s->key_len);
	if (e == TULLE_OK)
		e = der_to_pem(&roots, s->bundle, s->bundle_len);
	/* The key first: whoever is woken by the certificate finds its key. */
	if (e == TULLE_OK)
		e = write_one(folder, "svid_key.pem", &key, 0600);
	if (e == TULLE_OK)
		e = write_one(folder, "svid_bundle.pem", &roots, 0644);
	if (e == TULLE_OK)
		e = write_one(folder, "svid.pem", &chain, 0644);
	buf_free(&chain);
	buf_wipe(&key);
	buf_free(&roots);
	return e;
}

static bool
update(void *arg, const struct workload_update *u)
{
	struct fetch *f = arg;
	json_t *list = json_array();

	for (size_t i = 0; i < u->n_svids; i++) {
		json_t *s = svid_json(&u->svids[i]);

		if (s == NULL) {
			json_decref(list);
			return false;
		}
		(void)json_array_append_new(list, s);
	}
	f->any = true;
	f->status = EXIT_SUCCESS;
	if (f->folder != NULL) {
		enum tulle_err e = write_files(f->folder, &u->svids[0]);

		if (e) {
			(void)fprintf(stderr, "tulle svid: %s: %s\n", f->folder, e == TULLE_ESYS ? strerror(errno) : tulle_strerror(e));
			f->status = EXIT_FAILURE;
			f->watch = false;
		}
	}
	if (f->folder == NULL || f->json)
		show(f, list);
	json_decref(list);
	if (!f->watch)
		loop_stop(f->loop);
	return true;
}

static void
dial(void *arg)
{
	struct fetch *f = arg;
	int fd = -1;
	enum tulle_err e = sock_connect_unix(&fd, f->socket);

	f->nobody = e == TULLE_ENOENT || e == TULLE_EUNAVAIL;
	workload_client_connected(f->client, e == TULLE_OK ? fd : -1,
	    e == TULLE_ENOENT || e == TULLE_EUNAVAIL ? "nobody answers there: is tulle-certd running?" : tulle_strerror(e));
}

/* A refusal is said at once, not tried again until the time is up. */
static void
look(struct timer *t)
{
	struct fetch *f = CONTAINER_OF(t, struct fetch, look);
	struct workload_state s = workload_client_state(f->client);

	if (f->any)
		return;
	if (s.stopped || (f->nobody && !f->patient) || loop_now(f->loop) >= f->deadline || strncmp(s.error, "PERMISSION_DENIED", 17) == 0) {
		(void)fprintf(stderr, "tulle svid: %s: %s%s\n", f->socket, s.error[0] != '\0' ? s.error : "no answer",
		    strncmp(s.error, "PERMISSION_DENIED", 17) == 0
		        ? "; identities.yaml has no entry for this process (tulle-certd's log says why)"
		        : "");
		loop_stop(f->loop);
		return;
	}
	timer_set(f->loop, t, LOOK_MS, look);
}

static int
run(struct fetch *f, uint64_t timeout_ms)
{
	static const struct workload_events events = { dial, update };

	f->status = EXIT_FAILURE;
	if (tls_init() != TULLE_OK || loop_new(&f->loop) != TULLE_OK) {
		(void)fprintf(stderr, "tulle svid: cannot start\n");
		return EXIT_FAILURE;
	}
	f->deadline = loop_now(f->loop) + timeout_ms;
	if (workload_client_new(&f->client, f->loop, &events, f) == TULLE_OK) {
		timer_set(f->loop, &f->look, LOOK_MS, look);
		(void)loop_run(f->loop);
		timer_clear(f->loop, &f->look);
		f->client = workload_client_free(f->client);
	}
	f->loop = loop_free(f->loop);
	return f->status;
}

int
svid_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "write", required_argument, NULL, 'w' }, { "watch", no_argument, NULL, 'W' },
		{ "timeout", required_argument, NULL, 't' }, { "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	struct fetch f = { 0 };
	uint64_t timeout = 5000;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'j':
			f.json = true;
			break;
		case 'w':
			f.folder = optarg;
			break;
		case 'W':
			f.watch = true;
			break;
		case 's':
			f.socket = optarg;
			break;
		case 't':
			f.patient = true;
			if (text_duration(optarg, &timeout) != TULLE_OK) {
				(void)fprintf(stderr, "tulle svid: --timeout %s: a duration such as 5s is needed\n", optarg);
				return 2;
			}
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
	if (f.socket == NULL)
		f.socket = paths_run("identity/workload.sock");
	log_set_threshold(LOG_LVL_ERROR);
	return run(&f, timeout);
}
