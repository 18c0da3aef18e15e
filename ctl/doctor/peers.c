/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peers.c - can the relays of other hosts be reached, and if not, why? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/doctor.h"
#include "doctor/probe.h"
#include "doctor/verdict.h"

#define PEER_MS 3000  /* a second SYN goes out after one second */
#define ALIVE_MS 1500

/* A host to look at: whom it was first met as, and a port of an application there (0: none is known). */
struct peer {
	const char *name; /* lent by the manifests */
	struct addr app;
};

struct peers {
	struct probe *probes;
	struct peer *who;
	size_t n;
};

static bool
is_local(const struct doctor *d, const struct addr *a)
{
	for (size_t i = 0; i < d->n_local; i++)
		if (addr_equal_ip(&d->local[i], a))
			return true;
	return addr_is_loopback(a);
}

/* An address once. */
static void
add(struct peers *p, const struct doctor *d, const char *name, const struct addr *app)
{
	size_t j = 0;

	while (j < p->n && !addr_equal_ip(&p->probes[j].to, app))
		j++;
	if (j < p->n || p->n == PROBES_MAX)
		return;
	p->who[p->n] = (struct peer){ .name = name, .app = *app };
	p->probes[p->n] = (struct probe){ .to = *app };
	p->probes[p->n++].to.port = (uint16_t)d->host->ports.hbone;
}

/*
 * The meshed endpoints of services on other hosts, and then the workloads
 * that no service has: who is called by his own address needs no Service.
 */
static void
collect(const struct doctor *d, struct peers *p)
{
	for (size_t i = 0; i < d->mine->n_services; i++) {
		const struct service *s = &d->mine->services[i];

		for (size_t k = 0; k < s->n_ports; k++)
			for (size_t l = 0; l < s->ports[k].n_endpoints; l++) {
				const struct endpoint *e = s->ports[k].endpoints[l];

				if (e->meshed && !e->local)
					add(p, d, e->workload != NULL ? e->workload : e->name, &e->addr);
			}
	}
	for (size_t i = 0; d->all != NULL && i < d->all->n_workloads; i++) {
		const struct workload *w = &d->all->workloads[i];
		struct addr app = w->address;

		if (w->identity == NULL || app.family == 0 || is_local(d, &app))
			continue;
		app.port = w->n_ports > 0 ? (uint16_t)w->ports[0].port : 0;
		add(p, d, w->name, &app);
	}
}

/* Does the host answer at all, at the port of its application?  Asked as the relay asks: past the steering rules. */
static void
look_further(const struct doctor *d, const struct probe *first, const struct peer *who, struct probe *second, size_t n)
{
	struct probe ask[PROBES_MAX];
	size_t back[PROBES_MAX] = { 0 }, m = 0;

	for (size_t i = 0; i < n; i++) {
		second[i] = (struct probe){ .end = PROBE_FAILED };
		if (first[i].end == PROBE_OPEN || first[i].end == PROBE_UNREACHABLE || who[i].app.port == 0 || d->relay_uid == 0)
			continue;
		back[m] = i;
		ask[m++] = (struct probe){ .to = who[i].app, .uid = d->relay_uid };
	}
	probe_all(ask, m, ALIVE_MS);
	for (size_t i = 0; i < m; i++)
		second[back[i]] = ask[i];
}

void
check_peers(struct doctor *d)
{
	struct probe *first = calloc(2 * PROBES_MAX, sizeof(*first)), *second = first + PROBES_MAX;
	struct peer *who = calloc(PROBES_MAX, sizeof(*who));
	struct peers peers = { .probes = first, .who = who };
	size_t n = 0, good = 0;

	if (d->mine == NULL || first == NULL || who == NULL)
		goto out;
	collect(d, &peers);
	n = peers.n;
	probe_all(first, n, PEER_MS);
	look_further(d, first, who, second, n);
	for (size_t i = 0; i < n; i++) {
		struct verdict v;

		verdict_peer(&v, who[i].name, &first[i], &second[i], d->local, d->n_local);
		good += v.health == WELL;
		if (v.health != WELL)
			report_add(&d->report, v.health, "peer", "%s", v.text);
	}
	if (n > 0 && good == n)
		report_add(&d->report, WELL, "peer", "%zu hosts with a relay answer at port %u", n, d->host->ports.hbone);
out:
	free(first);
	free(who);
}
