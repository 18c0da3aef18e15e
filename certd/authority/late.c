/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/late.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/crypt.h"
#include "tls/issue.h"
#include "tls/spiffe.h"

#define CSR_MAX 16384
#define NAME (SPIFFE_SCHEME_LEN + SPIFFE_TD_MAX + 16 + 2 * CRYPT_HASH + 1)

static enum tulle_err
name(char out[NAME], const char *td, const uint8_t *csr, size_t csr_len, const uint8_t exporter[TOKEN_EXPORTER])
{
	struct buf both = buf_new(CSR_MAX + TOKEN_EXPORTER);
	uint8_t hash[CRYPT_HASH];
	char hex[2 * CRYPT_HASH + 1];
	enum tulle_err e = buf_append(&both, csr, csr_len);

	if (e == TULLE_OK)
		e = buf_append(&both, exporter, TOKEN_EXPORTER);
	if (e == TULLE_OK)
		e = crypt_hash(hash, buf_head(&both), buf_len(&both));
	buf_free(&both);
	if (e == TULLE_OK)
		(void)snprintf(out, NAME, SPIFFE_SCHEME "%s/tulle/late/%s", td, text_hex(hash, sizeof(hash), hex));
	return e;
}

enum tulle_err
late_voucher(struct buf *out, const char *td, const uint8_t *csr, size_t csr_len,
    const uint8_t exporter[TOKEN_EXPORTER], const struct key *old)
{
	char uri[NAME];
	enum tulle_err e = name(uri, td, csr, csr_len, exporter);

	return e ? e : issue_request(out, uri, old);
}

enum tulle_err
late_check(const uint8_t *voucher, size_t len, const char *td, const uint8_t *csr, size_t csr_len,
    const uint8_t exporter[TOKEN_EXPORTER], uint8_t ret[SVID_HASH])
{
	struct issue_request request;
	char uri[NAME];

	if (name(uri, td, csr, csr_len, exporter) != TULLE_OK || issue_request_read(&request, voucher, len) != TULLE_OK ||
	    strcmp(request.uri, uri) != 0)
		return TULLE_EINVAL;
	return crypt_hash(ret, request.public_key, request.public_key_len);
}
