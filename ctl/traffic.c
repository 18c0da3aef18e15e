/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle traffic - who talks to whom on this host, and who of them still in
 * plaintext: what STRICT would refuse.
 *
 * The relay is asked, not telemetryd: callers without an identity are known
 * by their address, which is kept out of metrics, and the question is
 * answered while telemetryd is away.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/clock.h"
#include "base/paths.h"
#include "base/text.h"
#include "io/ctlsock.h"
#include "print.h"
#include "rows.h"
#include "verbs.h"

#define TIMEOUT_MS 5000
#define FOR_MAX 86400
#define EXIT_PLAINTEXT 3

static const char usage_text[] =
    "Usage: tulle traffic [--plaintext] [--since DURATION] [--for SECONDS] [--root DIR] [--json]\n"
    "\n"
    "Who talks to whom on this host, how many connections and bytes, and whether in mutual\n"
    "TLS or in plaintext; then the share of mutual TLS.  Needs root: there are addresses in it.\n"
    "\n"
    "  --plaintext        only callers that come in in plaintext: whom STRICT would refuse\n"
    "  --since DURATION   only who was there within that time, as 10m; else since the relay's start\n"
    "  --for SECONDS      count anew for so long, then print\n"
    "\n"
    "Exit status: 0 done, 1 no answer, 2 wrong usage, 3 with --plaintext: there are such callers.\n";

struct wishes {
	bool json, plaintext;
	int64_t seen_after; /* wall clock, seconds; 0: all */
	uint64_t for_sec;
};

/* ---- asking ------------------------------------------------------------------- */

/* False: it did not work, and has been said. */
static bool
ask(struct rows *ret)
{
	const char *path = paths_run("relayd.sock");
	char AUTO_FREE *error = NULL;
	json_t *answer = NULL;
	enum tulle_err e = ctl_call(path, "traffic", NULL, TIMEOUT_MS, &answer, &error);

	if (e == TULLE_OK)
		e = rows_take(ret, answer);
	if (e == TULLE_OK)
		return true;
	if (e == TULLE_ENOENT || e == TULLE_EUNAVAIL)
		(void)fprintf(stderr, "tulle traffic: tulle-relayd is not running (nobody answers at %s): it carries nothing, and what it "
		    "had counted is gone\n    start it:  systemctl start tulle-relayd\n", path);
	else
		(void)fprintf(stderr, "tulle traffic: tulle-relayd: %s%s%s\n", e == TULLE_EINVAL ? error : tulle_strerror(e),
		    e == TULLE_ESYS ? ": " : "", e == TULLE_ESYS ? strerror(errno) : "");
	return false;
}

static bool
is_wished(const void *arg, const struct row *row)
{
	const struct wishes *w = arg;

	if (w->plaintext && !(row->inbound && strcmp(row->how, "plaintext") == 0))
		return false;
	return row->active > 0 || row->last >= w->seen_after;
}

/* What is to be shown: of all time, or of what happens from now on. */
static bool
gather(struct rows *ret, const struct wishes *w)
{
	struct rows before;

	if (w->for_sec == 0)
		return ask(ret);
	if (!ask(&before))
		return false;
	(void)sleep((unsigned int)w->for_sec);
	if (!ask(ret)) {
		rows_free(&before);
		return false;
	}
	rows_subtract(ret, &before);
	rows_free(&before);
	return true;
}

/* ---- telling ------------------------------------------------------------------- */

/* "TD/ns/NS/sa/SA" as "NS/SA"; another shape as it is. */
static const char *
short_name(const char *principal, char *out, size_t size)
{
	char namespace[128], account[128];
	const char *ns = strstr(principal, "/ns/");

	if (ns == NULL || sscanf(ns, "/ns/%127[^/]/sa/%127[^/]", namespace, account) != 2)
		return principal;
	(void)snprintf(out, size, "%s/%s", namespace, account);
	return out;
}

static const char *
source_of(const struct row *r, char *out, size_t size)
{
	if (r->others)
		return "(others)";
	if (*r->source != '\0')
		return short_name(r->source, out, size);
	return r->inbound && *r->address != '\0' ? r->address : "this host";
}

static const char *
destination_of(const struct row *r, char *out, size_t size)
{
	static const char suffix[] = ".svc.cluster.local";
	size_t len = strlen(r->service), tail = sizeof(suffix) - 1;

	if (r->others)
		return "(others)";
	if (len > tail && strcmp(r->service + len - tail, suffix) == 0) {
		(void)snprintf(out, size, "%.*s", (int)(len - tail), r->service);
		return out;
	}
	if (*r->destination != '\0')
		return short_name(r->destination, out, size);
	return !r->inbound && *r->address != '\0' ? r->address : "this host";
}

static const char *
bytes(int64_t n, char out[32])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double value = (double)n;
	size_t u = 0;

	while (value >= 1000 && u + 1 < ARRAY_LEN(units)) {
		value /= 1000;
		u++;
	}
	(void)snprintf(out, 32, u == 0 ? "%.0f %s" : "%.1f %s", value, units[u]);
	return out;
}

static void
show_row(const struct row *r)
{
	char source[300], destination[300], received[32], sent[32], age[32], port[8] = "-";
	int64_t now = clock_wall_sec();

	if (r->port != 0)
		(void)snprintf(port, sizeof(port), "%" PRId64, r->port);
	(void)printf("%-8s  %-9s  ", r->inbound ? "inbound" : "outbound", r->how);
	print_padded(source_of(r, source, sizeof(source)), 24);
	print_padded(destination_of(r, destination, sizeof(destination)), 24);
	(void)printf("%5s  %8" PRId64 "  %5" PRId64 "  %6" PRId64 "  %9s  %9s  ", port, r->connections, r->active, r->denied,
	    bytes(r->received, received), bytes(r->sent, sent));
	if (r->active > 0)
		(void)puts("now");
	else
		(void)printf("%s ago\n", print_lifetime(now > r->last ? now - r->last : 0, age));
}

/* "nothing", or "12 connections: 9 mutual TLS, 3 plaintext (75.0 % mutual TLS)" and what was refused. */
static void
show_sum(const struct rows *r, bool inbound)
{
	struct rows_sum s = rows_sum(r, inbound);
	int share = rows_share(&s);

	(void)printf("%-8s  %" PRId64 " connections", inbound ? "inbound" : "outbound", s.carried);
	if (share >= 0)
		(void)printf(": %d.%d %% mutual TLS (%" PRId64 "), %" PRId64 " plaintext", share / 10, share % 10, s.mutual, s.plaintext);
	if (s.local > 0)
		(void)printf(", %" PRId64 " within this host", s.local);
	if (s.outside > 0)
		(void)printf(", %" PRId64 " to where no manifest names anything", s.outside);
	if (s.denied > 0)
		(void)printf("; %" PRId64 " denied", s.denied);
	if (s.failed > 0)
		(void)printf("; %" PRId64 " failed", s.failed);
	if (s.audited > 0)
		(void)printf("; %" PRId64 " match a policy of action AUDIT", s.audited);
	(void)putchar('\n');
}

static void
show(const struct rows *r, const struct wishes *w, const char *when)
{
	struct rows_sum s = rows_sum(r, true);

	if (r->n > 0)
		(void)printf("%-8s  %-9s  %-24s  %-24s  %5s  %8s  %5s  %6s  %9s  %9s  %s\n", "", "TLS", "SOURCE", "DESTINATION", "PORT",
		    "CONNS", "OPEN", "DENIED", "RECEIVED", "SENT", "LAST");
	for (size_t i = 0; i < r->n; i++)
		show_row(&r->list[i]);
	if (r->n > 0)
		(void)putchar('\n');
	if (!w->plaintext) {
		show_sum(r, true);
		show_sum(r, false);
	} else if (s.callers == 0) {
		(void)puts("nobody came in in plaintext: of what was seen, STRICT would refuse nothing");
	} else {
		(void)printf("%" PRId64 " connections in plaintext: STRICT would refuse them%s\n", s.carried,
		    s.denied > 0 ? "; those denied are refused already" : "");
	}
	(void)printf("counted %s\n", when);
}

static json_t *
sum_json(const struct rows *r, bool inbound)
{
	struct rows_sum s = rows_sum(r, inbound);
	int share = rows_share(&s);

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "connections", (json_int_t)s.carried, "mutual",
	    (json_int_t)s.mutual, "plaintext", (json_int_t)s.plaintext, "local", (json_int_t)s.local, "outside",
	    (json_int_t)s.outside, "denied", (json_int_t)s.denied, "failed", (json_int_t)s.failed, "audited",
	    (json_int_t)s.audited, "share", share < 0 ? json_null() : json_real(share / 1000.0));
}

static json_t *
row_json(const struct row *r)
{
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "direction", r->inbound ? "inbound" : "outbound",
	    "tls", r->how, "connections", (json_int_t)r->connections, "denied", (json_int_t)r->denied, "failed",
	    (json_int_t)r->failed, "audited", (json_int_t)r->audited, "open", (json_int_t)r->active, "received",
	    (json_int_t)r->received, "sent", (json_int_t)r->sent, "last", (json_int_t)r->last);
	const char *const texts[][2] = { { "address", r->address }, { "source", r->source }, { "destination", r->destination },
		{ "service", r->service }, { "workload", r->workload } };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (*texts[i][1] != '\0')
			(void)json_object_set_new(o, texts[i][0], json_string(texts[i][1]));
	if (r->others)
		(void)json_object_set_new(o, "others", json_true());
	else
		(void)json_object_set_new(o, "port", json_integer((json_int_t)r->port));
	return o;
}

static void
show_json(const struct rows *r)
{
	json_t *list = json_array(), *doc;

	for (size_t i = 0; i < r->n; i++)
		(void)json_array_append_new(list, row_json(&r->list[i]));
	doc = json_pack("{s:I, s:o, s:o, s:o}", "since", (json_int_t)r->since, "inbound", sum_json(r, true), "outbound",
	    sum_json(r, false), "talks", list);
	print_json(doc);
	json_decref(doc);
}

static int
run(const struct wishes *w)
{
	char when[64], age[32];
	struct rows r;
	bool found;

	if (!gather(&r, w))
		return EXIT_FAILURE;
	rows_filter(&r, is_wished, w);
	rows_sort(&r);
	if (w->for_sec > 0)
		(void)snprintf(when, sizeof(when), "for %" PRIu64 " s", w->for_sec);
	else
		(void)snprintf(when, sizeof(when), "since the relay process began, %s ago",
		    print_lifetime(clock_wall_sec() - r.since, age));
	if (w->json)
		show_json(&r);
	else
		show(&r, w, when);
	found = w->plaintext && r.n > 0;
	rows_free(&r);
	return found ? EXIT_PLAINTEXT : EXIT_SUCCESS;
}

int
traffic_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "plaintext", no_argument, NULL, 'p' }, { "since", required_argument, NULL, 's' },
		{ "for", required_argument, NULL, 'f' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct wishes w = { 0 };
	uint64_t ms;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'j':
			w.json = true;
			break;
		case 'p':
			w.plaintext = true;
			break;
		case 's':
			if (text_duration(optarg, &ms) != TULLE_OK)
				return cli_wrong(argv[0], "--since wants a duration such as 30s, 10m or 2h");
			w.seen_after = clock_wall_sec() - (int64_t)(ms / 1000);
			break;
		case 'f':
			if (text_uint(optarg, FOR_MAX, &w.for_sec) != TULLE_OK || w.for_sec == 0)
				return cli_wrong(argv[0], "--for wants seconds, 1 to %d", FOR_MAX);
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		default:
			return cli_try(argv[0]);
		}
	}
	if (optind < argc)
		return cli_wrong(argv[0], "unexpected argument '%s'", argv[optind]);
	return run(&w);
}
