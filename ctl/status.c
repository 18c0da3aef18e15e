/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle status - how this host is, at a glance: each part with a mark, what
 * it says, and what to do when it is not well.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/paths.h"
#include "base/text.h"
#include "beside.h"
#include "io/ctlsock.h"
#include "manifest/host.h"
#include "print.h"
#include "verbs.h"

#define TIMEOUT_MS 3000
#define CLOCKS_DIFFER 60 /* seconds: certd warns from there on as well */

static const char usage_text[] =
    "Usage: tulle status [--root DIR] [--json]\n"
    "\n"
    "Shows identity, rules, relay, services, tunnels and telemetry of this host, each\n"
    "with what to do when it is not well.  Exit status: 0 all is well, 1 something is\n"
    "not, 2 wrong usage.\n";

enum health { WELL, WARNING, BROKEN };

struct page {
	json_t *certd, *relayd, *telemetryd; /* NULL: did not answer */
	char *why[3];                        /* then why, in the same order; owned */
	int rules;                           /* exit status of tulle-nfrules check; -1: not run */
	enum health worst;
};

/* ---- asking ------------------------------------------------------------------ */

static json_t *
ask(const char *name, char **ret_why)
{
	char socket_name[32];
	json_t *result = NULL;
	char *error = NULL;
	enum tulle_err e;

	(void)snprintf(socket_name, sizeof(socket_name), "%s.sock", name);
	e = ctl_call(paths_run(socket_name), "status", NULL, TIMEOUT_MS, &result, &error);
	if (e == TULLE_OK)
		return result;
	if (asprintf(ret_why, "%s%s",
	        e == TULLE_ENOENT || e == TULLE_EUNAVAIL ? "not running: nobody answers at "
	        : error != NULL                          ? error
	                                                 : "no answer from ",
	        error != NULL ? "" : paths_run(socket_name)) == -1)
		*ret_why = NULL;
	free(error);
	return NULL;
}

/* Exit status of tulle-nfrules check, its words thrown away; -1 if it could not be run. */
static int
ask_rules(void)
{
	char path[BESIDE_MAX];
	int status;
	pid_t pid;

	if (geteuid() != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		(void)execlp(beside(path, "tulle-nfrules"), "tulle-nfrules", "check", "--root",
		    paths_root()[0] != '\0' ? paths_root() : "/", (char *)NULL);
		_exit(127);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return -1;
	return WEXITSTATUS(status);
}

/* ---- telling -------------------------------------------------------------------- */

static __attribute__((format(printf, 4, 5))) void
line(struct page *p, enum health h, const char *what, const char *fmt, ...)
{
	static const char *const marks[] = { "ok", "warn", "FAIL" };
	char AUTO_FREE *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	(void)printf("%-5s %-10s ", marks[h], what);
	print_safe(text != NULL ? text : "?");
	(void)putchar('\n');
	if (h > p->worst)
		p->worst = h;
}

static const char *
str(const json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : otherwise;
}

static json_int_t
num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/*
 * certd knows when a renewal was due.  Where there is none (SPIRE), a fifth of the certificate's life: certificates are
 * dated back by up to a minute, so for short-lived ones this speaks too early.
 */
static bool
renewal_is_late(const struct page *p, const json_t *id)
{
	const json_t *alarm;
	size_t i;

	if (p->certd == NULL)
		return num(id, "remaining") * 5 < num(id, "not_after") - num(id, "not_before");
	json_array_foreach(json_object_get(p->certd, "alarms"), i, alarm)
		if (strcmp(str(alarm, "id", ""), str(id, "id", "?")) == 0)
			return true;
	return false;
}

/* Connections of this host go out under the default identity alone. */
static void
show_no_default(struct page *p, const json_t *relay)
{
	const char *wanted = str(relay, "identity_default", NULL);

	if (wanted == NULL)
		line(p, BROKEN, "identity", "identity.default is not set: connections of this host into the mesh fail (no_identity); "
		    "set it in tulle.yaml, then restart tulle-certd and tulle-relayd");
	else
		line(p, BROKEN, "identity", "there is no certificate for identity.default (%s): connections of this host into the "
		    "mesh fail (no_identity); see tulle-certd's log and what this host's token allows", wanted);
}

static void
show_identity(struct page *p, const json_t *relay)
{
	bool has_default = false;
	const json_t *ids = json_object_get(relay, "identities"), *id;
	char left_text[32];
	size_t i;

	if (json_array_size(ids) == 0) {
		line(p, BROKEN, "identity", "the relay has none: %s; see the log of tulle-certd, and that users.relayd in "
		    "tulle.yaml is the relay's user",
		    str(json_object_get(relay, "identity_source"), "error", "no certificate has come yet"));
		return;
	}
	json_array_foreach(ids, i, id) {
		json_int_t left = num(id, "remaining");
		enum health h = left <= 0 ? BROKEN : renewal_is_late(p, id) ? WARNING : WELL;

		has_default = has_default || json_is_true(json_object_get(id, "default"));
		line(p, h, "identity", "%s, serial %s, %s left%s", str(id, "id", "?"), str(id, "serial", "?"),
		    print_lifetime(left, left_text),
		    h == WELL      ? ""
		    : h == WARNING ? ": renewal is late, see tulle-certd's log"
		                   : ": EXPIRED, peers refuse it; see tulle-certd's log and the clock");
	}
	if (!has_default)
		show_no_default(p, relay);
}

/* A certificate that is not renewed as it should be, in certd's own words. */
static void
show_alarm(struct page *p, const json_t *alarm)
{
	const char *what = str(alarm, "alarm", "?"), *reason = str(alarm, "reason", "");
	bool gone = strstr(what, "expired") != NULL || strstr(what, "never") != NULL;

	line(p, gone ? BROKEN : WARNING, "certd", "%s: %s%s%s; see the log of tulle-certd%s", str(alarm, "id", "?"), what,
	    *reason != '\0' ? ": " : "", reason, gone ? ", then tulle renew" : "");
}

/* This host as a member of a fleet: its own certificate, and the authority. */
static void
show_member(struct page *p, const json_t *m)
{
	const char *failure = str(m, "failure", ""), *authority = str(m, "authority", "?");
	json_int_t left = num(m, "remaining"), skew = num(m, "clock_skew");
	char text[32];

	if (!json_is_true(json_object_get(m, "joined")))
		return;
	if (left <= 0)
		line(p, BROKEN, "node", "this host's certificate has expired: it is renewed when the authority %s answers, within 30 "
		    "days; after that, or if the host was banned, it takes a new token: tulle join", authority);
	if (*failure != '\0')
		line(p, left <= 0 ? BROKEN : WARNING, "authority", "%s: certificates are not renewed; %s left of this host's; is %s "
		    "there, and the host not banned (tulle member, on the authority)?", failure,
		    print_lifetime(left > 0 ? left : 0, text), authority);
	if (skew > CLOCKS_DIFFER || skew < -CLOCKS_DIFFER)
		line(p, WARNING, "clock", "%" JSON_INTEGER_FORMAT " s %s the authority's: certificates may be refused; set the clocks "
		    "(NTP)", skew > 0 ? skew : -skew, skew > 0 ? "behind" : "ahead of");
}

static void
show_certd(struct page *p)
{
	const char *state = str(p->certd, "state", "?");
	const json_t *alarm;
	enum health h;
	size_t i;

	if (p->certd == NULL) {
		line(p, BROKEN, "certd", "%s; certificates are not renewed: start tulle-certd; if it does not start, its log says why "
		    "(a damaged journal is named there)", p->why[0] != NULL ? p->why[0] : "no answer");
		return;
	}
	h = strcmp(state, "ready") == 0 ? WELL : strcmp(state, "degraded") == 0 ? WARNING : BROKEN;
	line(p, h, "certd", "%s, trust domain %s, source %s%s", state, str(p->certd, "trust_domain", "?"),
	    str(p->certd, "source", "?"),
	    strcmp(state, "not joined") == 0 ? ": tulle join TOKEN"
	    : strcmp(state, "down") == 0     ? ": no certificate can be handed out"
	                                     : "");
	json_array_foreach(json_object_get(p->certd, "alarms"), i, alarm)
		show_alarm(p, alarm);
	show_member(p, json_object_get(p->certd, "member"));
}

static void
show_tunnels(struct page *p, const json_t *relay)
{
	const json_t *workers = json_object_get(relay, "workers"), *w, *t;
	json_int_t flows = 0, sockets = 0;
	size_t in = 0, out = 0, i, k;

	json_array_foreach(workers, i, w) {
		flows += num(w, "flows");
		sockets += num(w, "sockets");
		in += json_array_size(json_object_get(w, "inbound"));
		out += json_array_size(json_object_get(w, "outbound"));
	}
	line(p, WELL, "flows", "%" JSON_INTEGER_FORMAT " connections, %" JSON_INTEGER_FORMAT " sockets, %zu tunnels out, %zu in",
	    flows, sockets, out, in);
	json_array_foreach(workers, i, w) {
		json_array_foreach(json_object_get(w, "outbound"), k, t)
			line(p, WELL, "peer", "to %s %s, %s, %" JSON_INTEGER_FORMAT " streams", str(t, "peer", "?"),
			    str(t, "identity", "?"), str(t, "cipher", "connecting"), num(t, "streams"));
		json_array_foreach(json_object_get(w, "inbound"), k, t)
			line(p, WELL, "peer", "from %s %s, %s, %" JSON_INTEGER_FORMAT " streams", str(t, "peer", "?"),
			    str(t, "identity", "?"), str(t, "cipher", "connecting"), num(t, "streams"));
	}
}

static void
show_services(struct page *p, const json_t *config)
{
	const json_t *s, *port;
	size_t i, k;

	line(p, WELL, "manifests", "revision %s, generation %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
	    " endpoints, %" JSON_INTEGER_FORMAT " policies",
	    str(config, "revision", "?"), num(config, "generation"), num(config, "endpoints"), num(config, "policies"));
	json_array_foreach(json_object_get(config, "services"), i, s) {
		json_array_foreach(json_object_get(s, "ports"), k, port) {
			json_int_t n = num(port, "endpoints"), resting = num(port, "resting");

			line(p, n == 0 || resting == n ? WARNING : WELL, "service", "%s/%s:%" JSON_INTEGER_FORMAT ": %"
			    JSON_INTEGER_FORMAT " endpoints, %" JSON_INTEGER_FORMAT " meshed, %" JSON_INTEGER_FORMAT " resting%s",
			    str(s, "namespace", "?"), str(s, "name", "?"), num(port, "port"), n, num(port, "meshed"), resting,
			    n == 0           ? ": no WorkloadEntry or EndpointSlice matches it"
			    : resting == n ? ": none could be reached lately, see the relay's log"
			                   : "");
		}
	}
}

static void
show_relayd(struct page *p)
{
	const json_t *relay = json_object_get(p->relayd, "relay"), *config = json_object_get(relay, "config");
	const char *error = str(p->relayd, "last_error", ""), *last_good = str(p->relayd, "last_good", NULL);
	const char *unread = str(json_object_get(p->relayd, "addresses"), "error", "");

	if (p->relayd == NULL) {
		line(p, BROKEN, "relayd", "%s; where the rules are in place new connections are refused: start tulle-relayd, or "
		    "remove the rules with tulle-nfrules remove", p->why[1] != NULL ? p->why[1] : "no answer");
		return;
	}
	if (*unread != '\0')
		line(p, BROKEN, "addresses", "%s; those known before count as this host's: its connections to its other addresses go "
		    "through a tunnel", unread);
	if (!json_is_object(relay) && json_is_true(json_object_get(p->relayd, "silent"))) {
		line(p, BROKEN, "relayd", "the relay process does not answer; if that lasts, its parent (pid %" JSON_INTEGER_FORMAT
		    ") starts another", num(p->relayd, "parent_pid"));
		return;
	}
	if (!json_is_object(relay)) {
		line(p, BROKEN, "relayd", "the relay process is not running, its parent (pid %" JSON_INTEGER_FORMAT
		    ") starts another", num(p->relayd, "parent_pid"));
		return;
	}
	line(p, json_is_true(json_object_get(p->relayd, "ready")) ? WELL : BROKEN, "relayd", "pid %" JSON_INTEGER_FORMAT
	    ", started %" JSON_INTEGER_FORMAT " time(s)%s", num(relay, "pid"), num(p->relayd, "starts"),
	    json_is_true(json_object_get(p->relayd, "ready")) ? "" : ", not ready");
	show_identity(p, relay);
	if (config == NULL)
		line(p, BROKEN, "manifests", "no configuration is in force, all connections are refused: %s; mend the files, then "
		    "tulle reload relayd", *error != '\0' ? error : "none has come yet");
	else if (last_good != NULL)
		line(p, BROKEN, "manifests", "running on the last good configuration of %s, because the files were refused: %s",
		    last_good, error);
	else if (*error != '\0')
		line(p, BROKEN, "manifests", "the newest files were refused, the old ones are in force: %s", error);
	if (config != NULL)
		show_services(p, config);
	show_tunnels(p, relay);
}

/* What is configured for new connections that should have been captured and were not. */
static const char *
fate_of_escaped(void)
{
	struct host_config *c = NULL;
	struct problems problems;
	const char *fate = "pass by the mesh in plaintext (capture.failClosed is false)";

	problems_init(&problems);
	if (host_config_read(&c, paths_etc("tulle.yaml"), &problems) != TULLE_OK)
		fate = "pass by, or are reset by the guard of capture.failClosed (tulle.yaml cannot be read)";
	else if (c->capture.fail_closed)
		fate = "are reset while its guard stands (capture.failClosed is true)";
	(void)host_config_free(c);
	problems_free(&problems);
	return fate;
}

static void
show_rules(struct page *p)
{
	switch (p->rules) {
	case -1:
		line(p, WELL, "rules", "not looked at: that needs root and tulle-nfrules");
		break;
	case 0:
		line(p, WELL, "rules", "as planned");
		break;
	case 3:
		line(p, BROKEN, "rules", "differ from the plan: tulle rules shows how, tulle-nfrules apply mends it; new connections "
		    "that they miss %s", fate_of_escaped());
		break;
	case 4:
		line(p, WARNING, "rules", "not in place, nothing is captured: tulle-nfrules apply");
		break;
	case 5:
		line(p, BROKEN, "rules", "rules of another version or backend are left over: tulle rules says which");
		break;
	default:
		line(p, BROKEN, "rules", "tulle-nfrules check failed with %d: run tulle rules", p->rules);
		break;
	}
}

/* A destination's three lanes in one line: the first that is in trouble speaks for it. */
static void
show_destination(struct page *p, const json_t *d)
{
	json_t *lane;
	json_int_t delivered = 0, queued = 0;
	const char *name, *trouble = NULL, *error = "";

	json_object_foreach(json_object_get(d, "signals"), name, lane) {
		delivered += num(lane, "delivered");
		queued += num(lane, "queued");
		if (trouble == NULL && (json_is_true(json_object_get(lane, "fault")) || num(lane, "failures") > 0)) {
			trouble = name;
			error = str(lane, "last_error", "?");
		}
	}
	line(p, trouble == NULL ? WELL : WARNING, "telemetry", "to %s, %" JSON_INTEGER_FORMAT " records delivered, %"
	    JSON_INTEGER_FORMAT " queued%s%s%s%s", str(d, "otlp", "?"), delivered, queued, trouble != NULL ? "; " : "",
	    trouble != NULL ? trouble : "", trouble != NULL ? ": " : "", error);
}

static void
show_telemetry(struct page *p)
{
	const json_t *d;
	size_t i;

	if (p->telemetryd == NULL) {
		line(p, WARNING, "telemetry", "%s; traffic is not affected", p->why[2] != NULL ? p->why[2] : "no answer");
		return;
	}
	line(p, json_is_true(json_object_get(p->relayd, "telemetry_attached")) ? WELL : WARNING, "telemetry", "%s",
	    json_is_true(json_object_get(p->relayd, "telemetry_attached")) ? "attached to the relay" : "not attached to the relay");
	json_array_foreach(json_object_get(p->telemetryd, "destinations"), i, d)
		show_destination(p, d);
}

static int
show(struct page *p)
{
	show_certd(p);
	show_relayd(p);
	show_rules(p);
	show_telemetry(p);
	return p->worst == WELL ? EXIT_SUCCESS : EXIT_FAILURE;
}

static json_t *
part(json_t *answer, const char *why)
{
	return answer != NULL ? json_incref(answer) : json_pack("{s:s*}", "error", why);
}

static int
show_json(const struct page *p)
{
	json_t *doc = json_pack("{s:o, s:o, s:o, s:i}", "certd", part(p->certd, p->why[0]), "relayd", part(p->relayd, p->why[1]),
	    "telemetryd", part(p->telemetryd, p->why[2]), "rules", p->rules);

	(void)json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	(void)putchar('\n');
	json_decref(doc);
	return p->certd != NULL && p->relayd != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
status_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	struct page p = { .rules = -1 };
	bool json = false;
	int c, status;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'j':
			json = true;
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
	p.certd = ask("certd", &p.why[0]);
	p.relayd = ask("relayd", &p.why[1]);
	p.telemetryd = ask("telemetryd", &p.why[2]);
	p.rules = ask_rules();
	status = json ? show_json(&p) : show(&p);
	json_decref(p.certd);
	json_decref(p.relayd);
	json_decref(p.telemetryd);
	for (size_t i = 0; i < ARRAY_LEN(p.why); i++)
		free(p.why[i]);
	return status;
}
