/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What outcomes of connections mean, in words that tell the cases apart. */
#include <errno.h>
#include <string.h>

#include "doctor/trial.h"
#include "doctor/verdict.h"
#include "unit.h"

static struct addr
at(const char *text)
{
	struct addr a;

	ck_assert(addr_parse(&a, text) == TULLE_OK || addr_parse_ip(&a, text) == TULLE_OK);
	return a;
}

static const char *
peer(enum probe_end relay, enum probe_end app, const char *by)
{
	static struct verdict v;
	struct probe first = { .to = at("10.0.0.2:15008"), .end = relay, .error = EHOSTUNREACH };
	struct probe second = { .to = at("10.0.0.2:8080"), .end = app };
	struct addr local = at("10.0.0.1");

	if (by != NULL)
		first.by = at(by);
	memset(&v, 0, sizeof(v));
	verdict_peer(&v, "db", &first, &second, &local, 1);
	ck_assert_int_eq(v.health == WELL, relay == PROBE_OPEN);
	return v.text;
}

#define SAYS(text, words) ck_assert_msg(strstr(text, words) != NULL, "%s", text)

START_TEST(a_relay_that_is_not_there_is_told_from_a_firewall)
{
	SAYS(peer(PROBE_OPEN, PROBE_FAILED, NULL), "answers");
	SAYS(peer(PROBE_REFUSED, PROBE_OPEN, NULL), "is tulle-relayd running on that host");
	SAYS(peer(PROBE_REJECTED, PROBE_OPEN, "10.0.0.9"), "a firewall rejects it (ICMP from 10.0.0.9)");
	SAYS(peer(PROBE_REJECTED, PROBE_OPEN, "10.0.0.1"), "a firewall of this host");
	SAYS(peer(PROBE_REJECTED, PROBE_OPEN, NULL), "a firewall of this host");
	SAYS(peer(PROBE_SILENT, PROBE_OPEN, NULL), "answers at port 8080 and not at port 15008");
	SAYS(peer(PROBE_SILENT, PROBE_REFUSED, NULL), "a firewall drops it");
	SAYS(peer(PROBE_SILENT, PROBE_SILENT, NULL), "nor from 10.0.0.2:8080");
	SAYS(peer(PROBE_UNREACHABLE, PROBE_FAILED, NULL), "cannot be reached");
	SAYS(peer(PROBE_FAILED, PROBE_FAILED, NULL), "was not tried");
}
END_TEST

static const char *
application(enum probe_end end, const struct listeners *l)
{
	static struct verdict v;
	const struct probe p = { .to = at("10.0.0.1:8080"), .end = end, .error = ETIMEDOUT };

	memset(&v, 0, sizeof(v));
	verdict_application(&v, "service shop/web, port 80", &p, l);
	ck_assert_int_eq(v.health == WELL, end == PROBE_OPEN);
	return v.text;
}

START_TEST(an_application_is_up_down_or_elsewhere)
{
	struct listener some[] = { { .at = at("127.0.0.1:8080"), .comm = "web" }, { .at = at("0.0.0.0:8081"), .comm = "web" },
		{ .at = at("0.0.0.0:15001"), .comm = "tulle-relayd" }, { .at = at("0.0.0.0:22"), .comm = "sshd" } };
	struct listeners none = { NULL, 0 }, loopback = { some, 1 }, other = { some + 1, 3 };

	SAYS(application(PROBE_OPEN, &none), "listens at 10.0.0.1:8080");
	SAYS(application(PROBE_REFUSED, &none), "the application is down: nobody listens at 10.0.0.1:8080");
	SAYS(application(PROBE_REFUSED, &loopback), "listens at 127.0.0.1:8080 alone, and is reached at 10.0.0.1:8080");
	SAYS(application(PROBE_REFUSED, &other), "(what listens here: 8081 (web))");
	SAYS(application(PROBE_SILENT, &loopback), "does not take connections");
}
END_TEST

START_TEST(the_relays_words_are_explained)
{
	struct verdict v;

	trial_explain(&v, "db", "tunnel_denied", "10.0.0.2:8080", "", "");
	SAYS(v.text, "db: denied by a policy of the other side: the AuthorizationPolicies at 10.0.0.2:8080");
	trial_explain(&v, "db", "certificate_refused", "10.0.0.2:8080", "spiffe://x/ns/a/sa/b", "");
	SAYS(v.text, "does not prove to be spiffe://x/ns/a/sa/b");
	trial_explain(&v, "db", "denied_by_policy", "", "", "/etc/tulle/mesh.d/p.yaml:7: shop/nobody");
	SAYS(v.text, "db: denied by policy: /etc/tulle/mesh.d/p.yaml:7: shop/nobody");
	trial_explain(&v, "db", "a_new_word", "", "", "");
	SAYS(v.text, "db: the relay gave up: a_new_word");
	ck_assert_int_eq(v.health, BROKEN);
}
END_TEST

UNIT_MAIN("verdict", a_relay_that_is_not_there_is_told_from_a_firewall, an_application_is_up_down_or_elsewhere,
    the_relays_words_are_explained)
