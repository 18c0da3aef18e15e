/* SPDX-License-Identifier: GPL-3.0-or-later */
/* applications.c - do the applications of this host that manifests name listen where they are reached? */
#include <stdio.h>
#include <stdlib.h>

#include "doctor/doctor.h"
#include "doctor/probe.h"
#include "doctor/verdict.h"

#define LOCAL_MS 1000
#define WHO 300

struct place_of_app {
	char who[WHO];
	struct probe probe;
};

static void
add(struct place_of_app *apps, size_t *n, const struct addr *a, const char *kind, const char *ns, const char *name, unsigned int port)
{
	for (size_t i = 0; i < *n; i++)
		if (addr_equal(&apps[i].probe.to, a))
			return;
	if (*n == PROBES_MAX)
		return;
	apps[*n].probe = (struct probe){ .to = *a };
	(void)snprintf(apps[*n].who, WHO, "%s %.100s/%.100s, port %u", kind, ns, name, port);
	(*n)++;
}

/* Where services of ours send connections, and which ports our workloads name. */
static size_t
collect(const struct doctor *d, struct place_of_app *apps)
{
	size_t n = 0;

	for (size_t i = 0; i < d->mine->n_services; i++) {
		const struct service *s = &d->mine->services[i];

		for (size_t p = 0; p < s->n_ports; p++)
			for (size_t k = 0; k < s->ports[p].n_endpoints; k++)
				if (s->ports[p].endpoints[k]->local && s->ports[p].endpoints[k]->addr.port != 0)
					add(apps, &n, &s->ports[p].endpoints[k]->addr, "service", s->namespace, s->name,
					    s->ports[p].port);
	}
	for (size_t i = 0; i < d->mine->n_workloads; i++) {
		const struct workload *w = &d->mine->workloads[i];

		for (size_t p = 0; p < w->n_ports && w->address.family != 0; p++) {
			struct addr a = w->address;

			a.port = (uint16_t)w->ports[p].port;
			add(apps, &n, &a, "workload", w->namespace, w->name, w->ports[p].port);
		}
	}
	return n;
}

void
check_applications(struct doctor *d)
{
	struct place_of_app *apps = calloc(PROBES_MAX, sizeof(*apps));
	struct probe *probes = calloc(PROBES_MAX, sizeof(*probes));
	size_t n = 0, good = 0;

	if (d->mine != NULL && apps != NULL && probes != NULL)
		n = collect(d, apps);
	for (size_t i = 0; i < n; i++)
		probes[i] = apps[i].probe;
	if (n > 0)
		probe_all(probes, n, LOCAL_MS); /* over lo, which the steering rules leave alone */
	for (size_t i = 0; i < n; i++) {
		struct verdict v;

		verdict_application(&v, apps[i].who, &probes[i], &d->listeners);
		good += v.health == WELL;
		if (v.health != WELL)
			report_add(&d->report, v.health, "application", "%s", v.text);
	}
	if (n > 0 && good == n)
		report_add(&d->report, WELL, "application", "%zu ports of this host's services are listened at", n);
	free(apps);
	free(probes);
}
