/* SPDX-License-Identifier: GPL-3.0-or-later */
/* steering.c - are the steering rules in place, does nothing come before them, and who took them away? */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/paths.h"
#include "doctor/doctor.h"
#include "outside.h"
#include "print.h"
#include "units.h"

#define DUMP_MAX (8u << 20)
#define DIFFERENCES_SHOWN 4
#define DRIFT 3  /* exit statuses of tulle-nfrules check */
#define ABSENT 4

/* Other makers of rules, by what they leave in a dump. */
static const struct {
	const char *sign, *name;
} makers[] = { { "ufw-", "ufw" }, { "DOCKER", "docker" }, { "firewalld", "firewalld" }, { "KUBE-", "kube-proxy" },
	{ "CNI-", "a CNI plugin" }, { "NETAVARK", "podman" }, { "LIBVIRT", "libvirt" }, { "f2b-", "fail2ban" } };

/* "docker, ufw" of those whose signs are in a dump of all rules; "" if there are none. */
static void
name_makers(char *out, size_t size)
{
	static const char *const dumps[][4] = { { "nft", "list", "ruleset", NULL }, { "iptables-legacy-save", NULL },
		{ "iptables-save", NULL } };
	bool seen[ARRAY_LEN(makers)] = { false };
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(dumps); i++) {
		char AUTO_FREE *text = NULL;

		if (outside_run(dumps[i], NULL, false, DUMP_MAX, &text) != 0 || text == NULL)
			continue;
		for (size_t m = 0; m < ARRAY_LEN(makers); m++)
			seen[m] = seen[m] || strstr(text, makers[m].sign) != NULL;
	}
	for (size_t m = 0; m < ARRAY_LEN(makers) && n < size; m++)
		if (seen[m])
			n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? ", " : "", makers[m].name);
}

/* Since when they should be there, as tulle-nfrules noted; 0: it did not say so. */
static int64_t
applied_at(void)
{
	char AUTO_FREE *text = NULL;
	size_t len;
	int64_t at;

	int AUTO_FD fd = open(paths_run("nfrules.lock"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	/* Daemons may make files there, too: only what root wrote counts. */
	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    file_read_fd(fd, 64, &text, &len) != TULLE_OK || sscanf(text, "applied %" SCNd64, &at) != 1)
		return 0;
	return at;
}

/* Are whole jumps of ours missing, rather than a rule that was changed? */
static bool
jumps_are_missing(const json_t *differences)
{
	const json_t *one;
	size_t i;

	json_array_foreach(differences, i, one)
		if (strcmp(answer_text(one, "difference", ""), "missing") == 0 &&
		    strstr(answer_text(one, "rule", ""), "-j TULLE_") != NULL)
			return true;
	return false;
}

static void
say_flushed(struct doctor *d, int64_t at)
{
	char when[PRINT_TIME], who[160];

	(void)print_time(at, when);
	name_makers(who, sizeof(who));
	report_add(&d->report, BROKEN, "rules", "flushed: tulle-nfrules put the rules in place at %s, and something else has taken "
	    "%s away since (nft flush ruleset, iptables -F, a restart of another firewall)%s%s: nothing is captured that they "
	    "miss; tulle-nfrules apply, or systemctl restart tulle-rules, puts them back", when,
	    d->answers.rules == ABSENT || json_is_true(json_object_get(d->answers.rules_said, "takenAway")) ? "all of them" : "some", who[0] != '\0' ? "; rules of others are here: " : "", who);
}

static void
list_differences(struct doctor *d, const json_t *differences)
{
	const json_t *one;
	size_t i;

	json_array_foreach(differences, i, one) {
		const char *what = answer_text(one, "difference", "?");

		if (i == DIFFERENCES_SHOWN) {
			report_add(&d->report, BROKEN, "rules", "and %zu more: tulle rules shows all", json_array_size(differences) - i);
			return;
		}
		report_add(&d->report, BROKEN, "rules", "%s %s %s: %s %s%s", answer_text(one, "family", ""), answer_text(one, "table", ""),
		    answer_text(one, "chain", ""), what, answer_text(one, "rule", ""),
		    strcmp(what, "not-first") == 0 ? ": rules of others come before ours and may take the packets: tulle-nfrules apply "
						     "puts it first"
						   : "");
	}
}

/*
 * A firewall of this host looks at packets when they have been redirected:
 * at the relay's inbound port.  doc/steering.md has what each makes of it.
 */
static void
check_firewall(struct doctor *d)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(d->answers.rules_said, "firewalls"), i, one)
		report_add(&d->report, WARNING, "firewall", "%s; then tulle-nfrules apply", json_string_value(one));
}

/*
 * capture.failClosed does not outlive a flush of everything: the guard goes
 * along, and what is new is plaintext until the timer has put both back.
 */
static void
check_flushers(struct doctor *d)
{
	static const struct {
		const char *unit, *drop_in;
	} flushers[] = { { "nftables", "/etc/systemd/system/nftables.service.d/tulle.conf" },
		{ "firewalld", "/etc/systemd/system/firewalld.service.d/tulle.conf" } };

	if (d->host == NULL || !d->host->capture.fail_closed || !units_there())
		return;
	for (size_t i = 0; i < ARRAY_LEN(flushers); i++) {
		const char *const enabled[] = { "systemctl", "is-enabled", "--quiet", flushers[i].unit, NULL };
		char AUTO_FREE *said = NULL;

		if (access(flushers[i].drop_in, F_OK) == 0 || outside_run(enabled, NULL, false, 256, &said) != 0)
			continue;
		report_add(&d->report, WARNING, "rules", "%s is enabled, and when it starts, reloads or stops it flushes the guard of "
		    "capture.failClosed, too: new connections are plaintext for up to 15 s; give it a drop-in %s that runs tulle-nfrules repair "
		    "(doc/steering.md, Beside a firewall)", flushers[i].unit, flushers[i].drop_in);
	}
}

void
check_steering(struct doctor *d)
{
	const json_t *differences = json_object_get(d->answers.rules_said, "differences");
	int64_t at = applied_at();

	check_firewall(d);
	check_flushers(d);
	if (at != 0 && (d->answers.rules == ABSENT || (d->answers.rules == DRIFT && jumps_are_missing(differences)))) {
		say_flushed(d, at);
		return;
	}
	look_rules(&d->report, &d->answers);
	if (d->answers.rules == DRIFT)
		list_differences(d, differences);
}
