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

/* The meshed endpoints on other hosts, an address once: <who> names one of each. */
static size_t
collect(const struct doctor *d, struct probe *probes, const struct endpoint **who)
{
	size_t n = 0;

	for (size_t i = 0; i < d->mine->n_services; i++) {
		const struct service *s = &d->mine->services[i];

		for (size_t p = 0; p < s->n_ports; p++)
			for (size_t k = 0; k < s->ports[p].n_endpoints; k++) {
				const struct endpoint *e = s->ports[p].endpoints[k];
				size_t j = 0;

				if (!e->meshed || e->local)
					continue;
				while (j < n && !addr_equal_ip(&probes[j].to, &e->addr))
					j++;
				if (j < n || n == PROBES_MAX)
					continue;
				who[n] = e;
				probes[n] = (struct probe){ .to = e->addr };
				probes[n++].to.port = (uint16_t)d->host->ports.hbone;
			}
	}
	return n;
}

/* Does the host answer at all, at the port of its application?  Asked as the relay asks: past the steering rules. */
static void
look_further(const struct doctor *d, const struct probe *first, const struct endpoint *const *who, struct probe *second, size_t n)
{
	struct probe ask[PROBES_MAX];
	size_t back[PROBES_MAX] = { 0 }, m = 0;

	for (size_t i = 0; i < n; i++) {
		second[i] = (struct probe){ .end = PROBE_FAILED };
		if (first[i].end == PROBE_OPEN || first[i].end == PROBE_UNREACHABLE || who[i]->addr.port == 0 || d->relay_uid == 0)
			continue;
		back[m] = i;
		ask[m++] = (struct probe){ .to = who[i]->addr, .uid = d->relay_uid };
	}
	probe_all(ask, m, ALIVE_MS);
	for (size_t i = 0; i < m; i++)
		second[back[i]] = ask[i];
}

void
check_peers(struct doctor *d)
{
	struct probe *first = calloc(2 * PROBES_MAX, sizeof(*first)), *second = first + PROBES_MAX;
	const struct endpoint **who = calloc(PROBES_MAX, sizeof(struct endpoint *));
	size_t n = 0, good = 0;

	if (d->mine == NULL || first == NULL || who == NULL)
		goto out;
	n = collect(d, first, who);
	probe_all(first, n, PEER_MS);
	look_further(d, first, who, second, n);
	for (size_t i = 0; i < n; i++) {
		struct verdict v;

		verdict_peer(&v, who[i]->workload != NULL ? who[i]->workload : who[i]->name, &first[i], &second[i], d->local, d->n_local);
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
