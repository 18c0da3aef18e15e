/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SPIFFE IDs: what is taken keeps the grammar and can be built again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/spiffe.h"

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
	const char *text = (const char *)data;
	char part[3][SPIFFE_ID_MAX + 1], again[SPIFFE_ID_MAX + 1], sni[SPIFFE_SNI];
	struct spiffe_account a;
	struct spiffe_id id;

	if (spiffe_parse(&id, text, size) != TULLE_OK)
		return 0;
	must(size <= SPIFFE_ID_MAX && memchr(data, 0, size) == NULL);
	must(id.text == text && id.len == size);
	must(SPIFFE_SCHEME_LEN + id.td_len + id.path_len == size);
	must(spiffe_td_valid(id.td, id.td_len));
	for (size_t i = 0; i < size; i++)
		must(data[i] > ' ' && data[i] < 0x7f && strchr("?#@%", data[i]) == NULL);
	must(id.path_len == 0 || (id.path[0] == '/' && id.path[id.path_len - 1] != '/'));
	if (!spiffe_account(&a, &id)) {
		must(spiffe_sni(sni, &id) == TULLE_EINVAL);
		return 0;
	}
	(void)snprintf(part[0], sizeof(part[0]), "%.*s", (int)id.td_len, id.td);
	(void)snprintf(part[1], sizeof(part[1]), "%.*s", (int)a.ns_len, a.ns);
	(void)snprintf(part[2], sizeof(part[2]), "%.*s", (int)a.sa_len, a.sa);
	must(spiffe_build(again, sizeof(again), part[0], part[1], part[2]) == TULLE_OK);
	must(strlen(again) == size && memcmp(again, data, size) == 0);
	if (spiffe_sni(sni, &id) == TULLE_OK)
		must(strlen(sni) < SPIFFE_SNI && spiffe_sni_matches(&id, sni, strlen(sni)));
	return 0;
}
