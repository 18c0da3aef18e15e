/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A whole manifest through YAML, schema and snapshot.  Either there is an
 * error or there is a snapshot; every error names its file and line on one
 * clean line; a snapshot holds what its header says; loading the same bytes
 * again gives the same mesh and the same endpoint objects.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "manifest/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_problems(const struct problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		assert(strcmp(p->list[i].place.file, "m.yaml") == 0);
		assert(p->list[i].place.line > 0);
		for (const char *c = p->list[i].line; *c != '\0'; c++)
			assert((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
}

static void
check_endpoint(const struct snapshot *s, const struct endpoint *e)
{
	assert(e->state != NULL && e->weight > 0 && e->self == e);
	assert(e->meshed == (e->identity != NULL) && e->meshed == (e->sni != NULL));
	assert(e->addr.family != 0 && e->addr.port != 0);
	assert(snapshot_endpoint(s, &e->addr) != NULL);
}

static void
check_snapshot(const struct snapshot *s)
{
	for (size_t i = 0; i < s->n_services; i++) {
		const struct service *svc = &s->services[i];

		for (size_t j = 0; j < svc->n_ports; j++) {
			const struct service_port *p = &svc->ports[j];

			assert(p->service == svc && p->port != 0);
			for (size_t k = 0; k < svc->n_cluster_ips; k++) {
				struct addr a = svc->cluster_ips[k];

				a.port = p->port;
				assert(snapshot_service(s, &a) == p);
			}
			for (size_t k = 0; k < p->n_endpoints; k++)
				check_endpoint(s, p->endpoints[k]);
		}
	}
	assert(s->n_workloads > 0);
	for (size_t i = 0; i < s->n_workloads; i++) {
		const struct workload *w = &s->workloads[i];
		struct addr a = w->address;

		assert(w->mtls != MTLS_UNSET && workload_mtls(w, 80) != MTLS_UNSET);
		assert(w->n_policies == w->n_deny + w->n_allow + w->n_audit);
		for (size_t j = 0; j < w->n_ports; j++) {
			a.port = (uint16_t)w->ports[j].port;
			assert(snapshot_workload(s, &a) == w);
		}
	}
}

static void
check_reload(const struct snapshot *first, const struct snapshot *second)
{
	assert(strcmp(first->revision, second->revision) == 0);
	assert(first->n_services == second->n_services && first->n_endpoints == second->n_endpoints);
	for (size_t i = 0; i < first->n_services; i++)
		for (size_t j = 0; j < first->services[i].n_ports; j++)
			for (size_t k = 0; k < first->services[i].ports[j].n_endpoints; k++)
				assert(first->services[i].ports[j].endpoints[k] == second->services[i].ports[j].endpoints[k]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct manifest_file file = { "m.yaml", (const char *)data, size };
	struct snapshot_input in = { .files = &file, .n_files = 1, .all_local = size % 2 == 0 };
	struct snapshot *first = NULL, *second = NULL;
	struct host_config *host = NULL;
	struct problems p;
	enum tulle_err e;

	problems_init(&p);
	if (host_config_parse(&host, "tulle.yaml", NULL, 0, &p) != TULLE_OK)
		abort();
	in.host = host;
	e = snapshot_load(&first, &in, &p);
	assert(e == TULLE_OK || e == TULLE_EINVAL);
	assert((e == TULLE_OK) == (p.errors == 0));
	assert((e == TULLE_OK) == (first != NULL));
	check_problems(&p);
	if (first != NULL) {
		check_snapshot(first);
		in.previous = first;
		if (snapshot_load(&second, &in, &p) != TULLE_OK)
			abort();
		check_reload(first, second);
	}
	snapshot_unref(first);
	snapshot_unref(second);
	host_config_free(host);
	problems_free(&p);
	return 0;
}
