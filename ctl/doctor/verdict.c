/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "doctor/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
say(struct verdict *v, enum health h, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
say(struct verdict *v, enum health h, const char *fmt, ...)
{
	va_list ap;

	v->health = h;
	va_start(ap, fmt);
	(void)vsnprintf(v->text, sizeof(v->text), fmt, ap);
	va_end(ap);
}

static int
is_local(const struct addr *a, const struct addr *local, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal_ip(a, &local[i]))
			return 1;
	return addr_is_loopback(a);
}

void
verdict_peer(struct verdict *v, const char *who, const struct probe *relay, const struct probe *app,
    const struct addr *local, size_t n_local)
{
	char at[ADDR_TEXT], host[ADDR_TEXT], by[ADDR_TEXT], other[ADDR_TEXT];
	unsigned int port = relay->to.port;

	(void)addr_format(&relay->to, at);
	(void)addr_format_ip(&relay->to, host);
	switch (relay->end) {
	case PROBE_OPEN:
		say(v, WELL, "%s: %s answers", who, at);
		return;
	case PROBE_REFUSED:
		say(v, BROKEN, "%s: %s refuses: nobody listens at port %u there: is tulle-relayd running on that host (tulle status "
		    "there)?  If it is, a firewall in between answers in its place with a reset", who, at, port);
		return;
	case PROBE_REJECTED:
		if (relay->by.family == 0 || is_local(&relay->by, local, n_local))
			say(v, BROKEN, "%s: port %u of %s is blocked by a firewall of this host, on the way out: let TCP to port %u pass",
			    who, port, host, port);
		else
			say(v, BROKEN, "%s: port %u of %s is blocked: a firewall rejects it (ICMP from %s): let TCP to port %u pass "
			    "there", who, port, host, addr_format_ip(&relay->by, by), port);
		return;
	case PROBE_SILENT:
		if (app->end == PROBE_OPEN || app->end == PROBE_REFUSED)
			say(v, BROKEN, "%s: port %u of %s is blocked: the host answers at port %u and not at port %u, so a firewall drops "
			    "it: let TCP to port %u pass between the hosts", who, port, host, app->to.port, port, port);
		else
			say(v, BROKEN, "%s: no answer from %s%s%s: port %u is blocked by a firewall that drops, or the host is down or "
			    "has another address", who, at, app->end == PROBE_SILENT ? ", nor from " : "",
			    app->end == PROBE_SILENT ? addr_format(&app->to, other) : "", port);
		return;
	case PROBE_UNREACHABLE:
		say(v, BROKEN, "%s: %s cannot be reached (%s): is the host up, the address in the manifest right, the route there?",
		    who, host, strerror(relay->error));
		return;
	case PROBE_FAILED:
		say(v, UNKNOWN, "%s: %s was not tried: %s", who, at, strerror(relay->error));
		return;
	}
}

void
verdict_plain(struct verdict *v, const char *who, const struct probe *p)
{
	char at[ADDR_TEXT];

	(void)addr_format(&p->to, at);
	if (p->end == PROBE_OPEN)
		say(v, WELL, "%s: %s answers, in plain bytes", who, at);
	else if (p->end == PROBE_REFUSED)
		say(v, BROKEN, "%s: the application is down: %s refuses the connection", who, at);
	else if (p->end == PROBE_REJECTED)
		say(v, BROKEN, "%s: %s is blocked by a firewall that rejects it", who, at);
	else
		say(v, p->end == PROBE_FAILED ? UNKNOWN : BROKEN, "%s: %s cannot be reached: %s", who, at, strerror(p->error));
}

void
verdict_authority(struct verdict *v, const struct probe *p, const struct addr *local, size_t n_local)
{
	char at[ADDR_TEXT], by[ADDR_TEXT];

	(void)addr_format(&p->to, at);
	switch (p->end) {
	case PROBE_OPEN:
		say(v, WELL, "%s answers", at);
		return;
	case PROBE_REFUSED:
		say(v, BROKEN, "%s refuses: nobody listens there: is tulle-certd running on the authority, and authority.listen not off?",
		    at);
		return;
	case PROBE_REJECTED:
		say(v, BROKEN, "%s is blocked by a firewall%s%s: let TCP to port %u pass", at,
		    p->by.family == 0 || is_local(&p->by, local, n_local) ? " of this host" : ", which says so from ",
		    p->by.family == 0 || is_local(&p->by, local, n_local) ? "" : addr_format_ip(&p->by, by), p->to.port);
		return;
	case PROBE_SILENT:
		say(v, BROKEN, "no answer from %s: a firewall drops port %u, or the authority is down or has another address; this "
		    "host's certificates are good until they expire", at, p->to.port);
		return;
	case PROBE_UNREACHABLE:
	case PROBE_FAILED:
		say(v, BROKEN, "%s cannot be reached: %s", at, strerror(p->error));
		return;
	}
}

/* The ports at which somebody other than Tulle listens, so that a wrong number is seen at once. */
static void
list_listeners(char *out, size_t size, const struct listeners *l)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < l->n; i++) {
		const struct listener *s = &l->items[i];
		size_t k = 0;

		if (strncmp(s->comm, "tulle", 5) == 0 || addr_is_loopback(&s->at) || s->at.port == 22)
			continue;
		while (k < i && l->items[k].at.port != s->at.port)
			k++;
		if (k < i)
			continue;
		n += (size_t)snprintf(out + n, size - n, "%s%u%s%s%s", n > 0 ? ", " : "", s->at.port, s->comm[0] != '\0' ? " (" : "",
		    s->comm, s->comm[0] != '\0' ? ")" : "");
		if (n >= size)
			break;
	}
}

void
verdict_application(struct verdict *v, const char *who, const struct probe *p, const struct listeners *l)
{
	const struct listener *s = listeners_on_port(l, p->to.port);
	char at[ADDR_TEXT], where[ADDR_TEXT], others[160];

	(void)addr_format(&p->to, at);
	if (p->end == PROBE_OPEN) {
		say(v, WELL, "%s: the application listens at %s", who, at);
		return;
	}
	if (p->end == PROBE_REFUSED && s == NULL) {
		list_listeners(others, sizeof(others), l);
		say(v, BROKEN, "%s: the application is down: nobody listens at %s; start it, or correct the port in the manifest%s%s",
		    who, at, others[0] != '\0' ? " (what listens here: " : "", others);
		if (others[0] != '\0' && strlen(v->text) + 2 < sizeof(v->text))
			(void)strcat(v->text, ")");
		return;
	}
	if (p->end == PROBE_REFUSED && listeners_at(l, &p->to) == NULL) {
		say(v, BROKEN, "%s: %s%sthe application listens at %s alone, and is reached at %s: have it listen at every address, "
		    "or at that one", who, s->comm, s->comm[0] != '\0' ? ": " : "", addr_format(&s->at, where), at);
		return;
	}
	say(v, BROKEN, "%s: the application at %s does not take connections (%s): is a firewall of this host in the way, or its "
	    "queue full?", who, at, strerror(p->error));
}
