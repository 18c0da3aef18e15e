/* SPDX-License-Identifier: GPL-3.0-or-later */
/* destination.c - the destination that was named: is there such a thing, may we, and does it answer?  And what failed lately. */
#include "doctor/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "decide/authorize.h"
#include "doctor/doctor.h"
#include "doctor/probe.h"
#include "doctor/trial.h"

#define ENDPOINTS_SHOWN 16

/* ---- which one is meant ---------------------------------------------------------- */

enum tulle_err
destination_parse(struct destination *ret, const char *text)
{
	struct destination d = { .port = 0 };
	const char *name = text, *colon, *slash;
	uint64_t port = 0;

	if (addr_parse(&d.addr, text) == TULLE_OK || addr_parse_ip(&d.addr, text) == TULLE_OK) {
		d.port = d.addr.port;
		d.addr.port = 0;
		*ret = d;
		return TULLE_OK;
	}
	slash = strchr(text, '/');
	if (slash != NULL) {
		if (slash == text || (size_t)(slash - text) >= sizeof(d.ns))
			return TULLE_EINVAL;
		memcpy(d.ns, text, (size_t)(slash - text));
		name = slash + 1;
	}
	colon = strchr(name, ':');
	if (colon != NULL && (text_uint(colon + 1, UINT16_MAX, &port) != TULLE_OK || port == 0))
		return TULLE_EINVAL;
	d.port = (uint16_t)port;
	if (colon == NULL)
		colon = name + strlen(name);
	if (colon == name || (size_t)(colon - name) >= sizeof(d.name) || memchr(name, '/', (size_t)(colon - name)) != NULL)
		return TULLE_EINVAL;
	memcpy(d.name, name, (size_t)(colon - name));
	*ret = d;
	return TULLE_OK;
}

static bool
is_meant(const struct service *s, const struct destination *t)
{
	if (t->addr.family != 0) {
		for (size_t i = 0; i < s->n_cluster_ips; i++)
			if (addr_equal_ip(&s->cluster_ips[i], &t->addr))
				return true;
		return false;
	}
	return strcmp(s->name, t->name) == 0 && (t->ns[0] == '\0' || strcmp(s->namespace, t->ns) == 0);
}

/* "shop/web, shop/db", the near ones if there are any. */
static void
list_services(const struct doctor *d, const char *name, char *out, size_t size)
{
	const char **names = calloc(d->mine->n_services + 1, sizeof(char *));
	const char *near;
	size_t n = 0;

	out[0] = '\0';
	if (names == NULL || d->mine->services == NULL) {
		free(names);
		return;
	}
	for (size_t i = 0; i < d->mine->n_services; i++)
		names[i] = d->mine->services[i].name;
	near = problem_nearest(name, names);
	if (near != NULL)
		n += (size_t)snprintf(out, size, "; did you mean %s?", near);
	for (size_t i = 0; near == NULL && i < d->mine->n_services && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s/%s", n > 0 ? ", " : "; there are ", d->mine->services[i].namespace,
		    d->mine->services[i].name);
	free(names);
}

static const struct service *
find_service(struct doctor *d, const struct destination *t)
{
	const struct service *found = NULL;
	char others[300];

	for (size_t i = 0; i < d->mine->n_services; i++) {
		if (!is_meant(&d->mine->services[i], t))
			continue;
		if (found != NULL) {
			report_add(&d->report, BROKEN, "destination", "%s is the name of more than one service: %s/%s and %s/%s; name the one "
			    "that is meant", t->name, found->namespace, found->name, d->mine->services[i].namespace,
			    d->mine->services[i].name);
			return NULL;
		}
		found = &d->mine->services[i];
	}
	if (found == NULL && t->addr.family == 0) {
		list_services(d, t->name, others, sizeof(others));
		report_add(&d->report, BROKEN, "destination", "there is no service %s%s%s in the manifests of this host%s", t->ns,
		    t->ns[0] != '\0' ? "/" : "", t->name, others);
	}
	return found;
}

static void
list_ports(const struct service *s, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < s->n_ports && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%u%s%s%s", i > 0 ? ", " : "", s->ports[i].port,
		    s->ports[i].name[0] != '\0' ? " (" : "", s->ports[i].name, s->ports[i].name[0] != '\0' ? ")" : "");
}

/* ---- may we, and does it answer ------------------------------------------------------ */

/* What the policies in this host's files say; the other host may have others. */
static bool
is_allowed(struct doctor *d, const char *who, const struct endpoint *e, const struct addr *at)
{
	const char *id = doctor_identity(d);
	struct authz_input in = { .port = at->port, .peer = peer_name_of(id, id != NULL ? strlen(id) : 0) };
	struct authz_decision decision;

	if (d->all == NULL || !e->meshed)
		return true;
	for (size_t i = 0; i < d->n_local; i++)
		if (d->local[i].family == at->family && !addr_is_loopback(&d->local[i]))
			in.source = d->local[i];
	in.workload = snapshot_workload(d->all, at);
	decision = authorize(&in);
	if (decision.verdict == AUTHZ_ALLOW)
		return true;
	report_add(&d->report, BROKEN, "policy", "%s: %s is denied by policy %s/%s (%s:%u: %s): change that rule, or call from "
	    "somebody whom it allows", who, id != NULL ? id : "a host without identity", decision.policy->meta.namespace,
	    decision.policy->meta.name, decision.place.file, decision.place.line, authz_reason_text(decision.reason));
	return false;
}

static void
look_at_endpoint(struct doctor *d, const char *who, const struct endpoint *e, uint16_t dialled)
{
	struct probe first = { .to = e->addr }, second = { .end = PROBE_FAILED };
	struct addr at = e->addr;
	struct verdict v;
	char text[ADDR_TEXT], whom[300];

	if (at.port == 0)
		at.port = dialled;
	(void)snprintf(whom, sizeof(whom), "%s, endpoint %s", who, addr_format(&at, text));
	if (at.port != 0 && !is_allowed(d, whom, e, &at))
		return;
	if (!e->meshed || e->local) {
		first.to = at;
		first.uid = d->relay_uid;
		probe_all(&first, 1, 3000);
		if (e->local)
			verdict_application(&v, whom, &first, &d->listeners);
		else
			verdict_plain(&v, whom, &first);
	} else {
		first.to.port = (uint16_t)d->host->ports.hbone;
		probe_all(&first, 1, 3000);
		if (first.end == PROBE_SILENT && d->relay_uid != 0 && at.port != 0) {
			second = (struct probe){ .to = at, .uid = d->relay_uid };
			probe_all(&second, 1, 1500);
		}
		verdict_peer(&v, whom, &first, &second, d->local, d->n_local);
	}
	report_add(&d->report, v.health, "destination", "%s", v.text);
}

static void
try_it(struct doctor *d, const char *who, const struct addr *to)
{
	struct verdict v;

	if (!d->root || d->answers.rules != 0 || !look_relay_lives(&d->answers) || to->port == 0)
		return;
	trial_run(&v, who, to);
	report_add(&d->report, v.health, "destination", "%s", v.text);
}

static void
look_at_port(struct doctor *d, const struct service_port *p, const struct destination *t)
{
	const struct service *s = p->service;
	struct addr to = t->addr.family != 0 ? t->addr : s->n_cluster_ips > 0 ? s->cluster_ips[0] : (struct addr){ .family = 0 };
	bool bad = report_is_bad(&d->report, "destination") || report_is_bad(&d->report, "policy");
	char who[260];

	(void)snprintf(who, sizeof(who), "%.100s/%.100s:%u", s->namespace, s->name, p->port);
	if (p->n_endpoints == 0) {
		report_add(&d->report, BROKEN, "destination", "%s has no endpoint (%s:%u): its selector matches no WorkloadEntry, and no "
		    "EndpointSlice with a ready address names it", who, s->place.file, s->place.line);
		return;
	}
	for (size_t i = 0; i < p->n_endpoints && i < ENDPOINTS_SHOWN; i++)
		look_at_endpoint(d, who, p->endpoints[i], p->port);
	to.port = p->port;
	if (!bad && !report_is_bad(&d->report, "destination") && !report_is_bad(&d->report, "policy") && to.family != 0)
		try_it(d, who, &to);
}

static void
look_at_service(struct doctor *d, const struct service *s, const struct destination *t)
{
	char ports[300];
	bool any = false;

	for (size_t i = 0; i < s->n_ports; i++)
		if (t->port == 0 || s->ports[i].port == t->port) {
			any = true;
			look_at_port(d, &s->ports[i], t);
		}
	if (any)
		return;
	list_ports(s, ports, sizeof(ports));
	report_add(&d->report, BROKEN, "destination", "wrong port: service %s/%s has no port %u, it has %s (%s:%u)", s->namespace, s->name,
	    t->port, ports[0] != '\0' ? ports : "none", s->place.file, s->place.line);
}

/* An address that belongs to no service. */
static void
look_at_address(struct doctor *d, const struct destination *t)
{
	struct addr to = t->addr;
	const struct endpoint *e;
	char text[ADDR_TEXT];

	to.port = t->port;
	e = snapshot_endpoint(d->mine, &to);
	(void)addr_format(&to, text);
	if (e != NULL) {
		look_at_endpoint(d, e->workload != NULL ? e->workload : text, e, t->port);
	} else if (d->mine->outbound_policy == OUTBOUND_REGISTRY_ONLY) {
		report_add(&d->report, BROKEN, "destination", "no manifest of this host names %s, and outboundTrafficPolicy is "
		    "REGISTRY_ONLY: the relay refuses it; a Service or a WorkloadEntry would name it", text);
		return;
	} else {
		report_add(&d->report, WELL, "destination", "no manifest of this host names %s: connections to it pass in plain bytes, as "
		    "without a mesh", text);
	}
	if (!report_is_bad(&d->report, "destination") && !report_is_bad(&d->report, "policy"))
		try_it(d, text, &to);
}

void
check_destination(struct doctor *d)
{
	struct destination t;
	const struct service *s;

	if (d->destination == NULL || destination_parse(&t, d->destination) != TULLE_OK)
		return;
	if (d->mine == NULL) {
		report_add(&d->report, UNKNOWN, "destination", "not looked at: the manifests have mistakes");
		return;
	}
	s = find_service(d, &t);
	if (s != NULL)
		look_at_service(d, s, &t);
	else if (t.addr.family != 0)
		look_at_address(d, &t);
}

void
check_failures(struct doctor *d)
{
	if (d->destination == NULL) /* else the answer is above, and what was tried for it would be told again */
		look_failures(&d->report, &d->answers);
}
