/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tulle.yaml and identities.yaml: an error with its place, or values within their bounds. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "manifest/host.h"
#include "manifest/identities.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_problems(const struct problems *p, enum tulle_err e)
{
	assert(e == TULLE_OK || e == TULLE_EINVAL);
	assert((e == TULLE_OK) == (p->errors == 0));
	for (size_t i = 0; i < p->n; i++)
		assert(p->list[i].place.line > 0);
}

static void
check_host(const struct host_config *c)
{
	assert(*c->trust_domain != '\0' && c->identity.ttl_ms >= 10000);
	assert((c->identity.default_name == NULL) == (c->identity.default_account == NULL));
	assert(*c->identity.default_namespace != '\0');
	assert(c->relay.workers >= 1 && c->relay.workers <= 64);
	assert(c->telemetry.traces_ppm <= 1000000);
	for (size_t i = 0; i < c->capture.exclude.ports.n; i++)
		assert(c->capture.exclude.ports.items[i] >= 1 && c->capture.exclude.ports.items[i] <= 65535);
	for (size_t i = 0; i < c->telemetry.destinations.n; i++)
		assert(strncmp(c->telemetry.destinations.items[i].otlp, "http", 4) == 0);
	assert(*c->users.relayd != '\0' && strpbrk(c->users.relayd, " \n'\"/;-") != c->users.relayd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_config *host = NULL;
	struct identities *ids = NULL;
	struct problems p;

	problems_init(&p);
	check_problems(&p, host_config_parse(&host, "t.yaml", (const char *)data, size, &p));
	if (host != NULL)
		check_host(host);
	problems_free(&p);
	check_problems(&p, identities_parse(&ids, "i.yaml", (const char *)data, size, &p));
	for (size_t i = 0; ids != NULL && i < ids->n; i++) {
		const struct identity_entry *e = &ids->items[i];

		assert(*e->namespace != '\0' && strchr(e->namespace, '/') == NULL && strchr(e->account, '/') == NULL);
		assert(e->match.unit != NULL || e->match.uid != NULL);
		assert(e->ttl_ms == 0 || e->ttl_ms >= 10000);
		assert(e->place.line > 0);
	}
	problems_free(&p);
	host_config_free(host);
	identities_free(ids);
	return 0;
}
