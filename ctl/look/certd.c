/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "look/look.h"

#include <stdbool.h>
#include <string.h>

#include "print.h"

#define CLOCKS_DIFFER 60 /* seconds: certd warns from there on as well */

/* A certificate that is not renewed as it should be, in certd's own words. */
static void
show_alarm(struct report *r, const json_t *alarm)
{
	const char *what = answer_text(alarm, "alarm", "?"), *reason = answer_text(alarm, "reason", "");
	bool gone = strstr(what, "expired") != NULL || strstr(what, "never") != NULL;

	report_add(r, gone ? BROKEN : WARNING, "certd", "%s: %s%s%s; see the log of tulle-certd%s", answer_text(alarm, "id", "?"), what,
	    *reason != '\0' ? ": " : "", reason, gone ? ", then tulle renew" : "");
}

static void
show_clock(struct report *r, const json_t *m)
{
	json_int_t skew = answer_num(m, "clock_skew");
	bool at_least = json_is_true(json_object_get(m, "clock_skew_at_least"));

	if (skew <= CLOCKS_DIFFER && skew >= -CLOCKS_DIFFER && !at_least)
		return;
	report_add(r, at_least ? BROKEN : WARNING, "clock", "%s%" JSON_INTEGER_FORMAT " s %s the authority's: certificates %s refused; "
	    "set the clocks (NTP)", at_least ? "at least " : "", skew > 0 ? skew : -skew, skew > 0 ? "behind" : "ahead of",
	    at_least ? "are" : "may be");
}

/* This host as a member of a fleet: its own certificate, and the authority. */
static void
show_member(struct report *r, const json_t *m)
{
	const char *failure = answer_text(m, "failure", ""), *authority = answer_text(m, "authority", "?");
	const char *join_failure = answer_text(m, "join_failure", "");
	json_int_t left = answer_num(m, "remaining");
	char text[32];

	show_clock(r, m);
	if (!json_is_true(json_object_get(m, "joined"))) {
		if (json_is_true(json_object_get(m, "by_itself")) && *failure != '\0')
			report_add(r, BROKEN, "join", "this host joins by itself, and fails: %s", failure);
		else if (*join_failure != '\0')
			report_add(r, BROKEN, "join", "the last tulle join failed: %s", join_failure);
		return;
	}
	if (left <= 0)
		report_add(r, BROKEN, "node", "this host's certificate has expired: it is renewed when the authority %s answers, within 30 "
		    "days; after that, or if the host was banned, it takes a new token: tulle join", authority);
	if (*failure != '\0')
		report_add(r, left <= 0 ? BROKEN : WARNING, "authority", "%s: certificates are not renewed; %s left of this host's; is %s "
		    "there, and the host not banned (tulle member, on the authority)?", failure,
		    print_lifetime(left > 0 ? left : 0, text), authority);
}

/* Clusters whose pods may join here: without their keys nobody can. */
static void
show_issuers(struct report *r, const json_t *issuers)
{
	const json_t *one;
	size_t i;

	json_array_foreach (issuers, i, one) {
		const char *error = answer_text(one, "error", "");

		if (*error != '\0')
			report_add(r, answer_num(one, "keys") > 0 ? WARNING : BROKEN, "issuer", "%s: the keys at %s cannot be had: %s%s",
			    answer_text(one, "issuer", "?"), answer_text(one, "jwks", "?"), error,
			    answer_num(one, "keys") > 0 ? "; what was known before stays" : "; no pod of it can join");
	}
}

void
look_certd(struct report *r, const struct answers *a)
{
	const char *state = answer_text(a->status[CERTD], "state", "?");
	const json_t *alarm, *member = json_object_get(a->status[CERTD], "member");
	const char *root = answer_text(a->status[CERTD], "root", "");
	enum health h;
	size_t i;

	if (a->status[CERTD] == NULL) {
		report_add(r, BROKEN, "certd", "%s; certificates are not renewed: start tulle-certd; if it does not start, its log says why "
		    "(a damaged journal is named there)", a->why[CERTD] != NULL ? a->why[CERTD] : "no answer");
		return;
	}
	h = strcmp(state, "ready") == 0 ? WELL : strcmp(state, "degraded") == 0 ? WARNING : BROKEN;
	report_add(r, h, "certd", "%s, trust domain %s, source %s%s", state, answer_text(a->status[CERTD], "trust_domain", "?"),
	    answer_text(a->status[CERTD], "source", "?"),
	    strcmp(state, "not joined") == 0 ? (json_is_true(json_object_get(member, "by_itself")) ? "" : ": tulle join TOKEN")
	    : strcmp(state, "down") == 0     ? ": no certificate can be handed out"
	                                     : "");
	json_array_foreach(json_object_get(a->status[CERTD], "alarms"), i, alarm)
		show_alarm(r, alarm);
	if (*root != '\0') /* what identity.join.root of a host that joins by itself must say */
		report_add(r, WELL, "root", "%s", root);
	show_issuers(r, json_object_get(a->status[CERTD], "issuers"));
	show_member(r, member);
}
