/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One X509SVIDResponse: what is taken keeps every promise of workload/response.h. */
#include <stdlib.h>
#include <string.h>

#include "tls/der.h"
#include "tls/spiffe.h"
#include "workload/response.h"

static void
must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct der pieces[DER_BUNDLE_CERTS];
	struct workload_response *r = NULL;
	const struct workload_update *u;
	const char *why = NULL;
	struct spiffe_id id;
	enum tulle_err e;
	size_t n;

	e = workload_response_read(&r, data, size, &why);
	if (e != TULLE_OK) {
		must(r == NULL && why != NULL);
		return 0;
	}
	u = workload_response_update(r);
	must(u->n_svids >= 1 && u->n_svids <= IDENTITIES_MAX && u->n_bundles <= TRUST_DOMAINS_MAX);
	for (size_t i = 0; i < u->n_svids; i++) {
		const struct svid_der *s = &u->svids[i];

		must(spiffe_parse(&id, s->id, strlen(s->id)) == TULLE_OK && id.path_len > 0 && s->key_len > 0);
		must(der_split(s->chain, s->chain_len, pieces, DER_CHAIN_CERTS, &n) == TULLE_OK);
		must(der_split(s->bundle, s->bundle_len, pieces, DER_BUNDLE_CERTS, &n) == TULLE_OK);
		for (size_t k = 0; k < i; k++)
			must(*s->hint == '\0' || strcmp(s->hint, u->svids[k].hint) != 0);
	}
	for (size_t i = 0; i < u->n_bundles; i++) {
		must(spiffe_td_valid(u->bundles[i].td, strlen(u->bundles[i].td)));
		for (size_t k = 0; k < i; k++)
			must(strcmp(u->bundles[i].td, u->bundles[k].td) != 0);
	}
	r = workload_response_free(r);
	return 0;
}
