/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of DER, PEM, and single certificates and requests: pieces fit, facts keep their promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/der.h"
#include "tls/issue.h"
#include "tls/keys.h"
#include "tls/svid.h"

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
facts_hold(const uint8_t *p, size_t n)
{
	static struct svid_facts f;
	struct spiffe_id id;
	enum svid_reason r;

	if (svid_read(&f, p, n) != TULLE_OK)
		return;
	must(strlen(f.id) == f.id_len && strlen(f.serial) < SVID_SERIAL);
	must(f.id_len == 0 || f.uri_sans == 1);
	r = svid_check_leaf(&f, SVID_TLS_CLIENT, f.not_before);
	must(r < SVID_REASONS);
	if (r == SVID_OK)
		must(!f.is_ca && !f.key_cert_sign && spiffe_parse(&id, f.id, f.id_len) == TULLE_OK && id.path_len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct issue_request request;
	struct buf out = buf_new(1 << 20);
	struct der pieces[8];
	size_t n = 0, total = 0;
	uint8_t hash[SVID_HASH];
	struct key *key = NULL;

	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		if (der_split(data + 1, size - 1, pieces, 8, &n) != TULLE_OK)
			break;
		must(n >= 1 && n <= 8);
		for (size_t i = 0; i < n; i++) {
			must(pieces[i].p == data + 1 + total && pieces[i].len >= 2 && pieces[i].len <= DER_CERT_MAX);
			total += pieces[i].len;
			facts_hold(pieces[i].p, pieces[i].len);
			(void)svid_key_hash(pieces[i].p, pieces[i].len, hash);
		}
		must(total == size - 1);
		break;
	case 1:
		if (der_from_pem(&out, (const char *)data + 1, size - 1) == TULLE_OK)
			must(buf_len(&out) > 0 && buf_len(&out) < size);
		break;
	case 2:
		if (issue_request_read(&request, data + 1, size - 1) == TULLE_OK)
			must(request.public_key_len > 0 && strlen(request.uri) < sizeof(request.uri));
		break;
	default:
		if (key_import(&key, data + 1, size - 1) == TULLE_OK)
			key_unref(key);
		break;
	}
	buf_free(&out);
	return 0;
}
