/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "tls/der.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define TAG_SEQUENCE 0x30
#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"
#define PEM_END "-----END CERTIFICATE-----"

/* How long the element at <p> is with its head: a SEQUENCE with a minimal, definite length.  0: none such. */
static size_t
element_len(const uint8_t *p, size_t left)
{
	size_t n = 0, head, digits;

	if (left < 2 || p[0] != TAG_SEQUENCE)
		return 0;
	if (p[1] < 0x80) {
		head = 2;
		n = p[1];
	} else {
		digits = p[1] & 0x7f;
		if (digits == 0 || digits > 4 || left < 2 + digits)
			return 0;
		for (size_t i = 0; i < digits; i++)
			n = n << 8 | p[2 + i];
		if (n < 0x80 || (digits > 1 && n >> (8 * (digits - 1)) == 0))
			return 0; /* DER: as few digits as possible */
		head = 2 + digits;
	}
	return n <= left - head ? head + n : 0;
}

enum tulle_err
der_split(const uint8_t *blob, size_t len, struct der *out, size_t max, size_t *ret_n)
{
	size_t n = 0, element;

	if (len == 0)
		return TULLE_EINVAL;
	while (len > 0) {
		element = element_len(blob, len);
		if (element == 0)
			return TULLE_EINVAL;
		if (n == max || element > DER_CERT_MAX)
			return TULLE_ELIMIT;
		out[n++] = (struct der){ .p = blob, .len = element };
		blob += element;
		len -= element;
	}
	*ret_n = n;
	return TULLE_OK;
}

enum tulle_err
der_from_pem(struct buf *out, const char *pem, size_t len)
{
	const char *begin, *stop, *end = pem + len;
	uint8_t *room;
	enum tulle_err e;
	size_t block;
	int n, found = 0;

	for (;;) {
		begin = memmem(pem, (size_t)(end - pem), PEM_BEGIN, strlen(PEM_BEGIN));
		if (begin == NULL)
			return found > 0 ? TULLE_OK : TULLE_EINVAL;
		stop = memmem(begin, (size_t)(end - begin), PEM_END, strlen(PEM_END));
		if (stop == NULL)
			return TULLE_EINVAL;
		stop += strlen(PEM_END);
		block = (size_t)(stop - begin);
		if (block > 2 * DER_CERT_MAX)
			return TULLE_ELIMIT;
		e = buf_reserve(out, block, &room); /* base64 never grows when undone */
		if (e != TULLE_OK)
			return e;
		n = wc_CertPemToDer((const unsigned char *)begin, (int)block, room, (int)block, CERT_TYPE);
		if (n <= 0 || element_len(room, (size_t)n) != (size_t)n)
			return TULLE_EINVAL;
		buf_commit(out, (size_t)n);
		found++;
		pem = stop;
	}
}

enum tulle_err
der_to_pem(struct buf *out, const uint8_t *blob, size_t len)
{
	struct der AUTO_FREE *certs = calloc(DER_BUNDLE_CERTS, sizeof(*certs));
	enum tulle_err e;
	uint8_t *room;
	size_t n;
	int size;

	if (certs == NULL)
		return TULLE_ENOMEM;
	e = der_split(blob, len, certs, DER_BUNDLE_CERTS, &n);
	for (size_t i = 0; e == TULLE_OK && i < n; i++) {
		size = wc_DerToPem(certs[i].p, (word32)certs[i].len, NULL, 0, CERT_TYPE);
		if (size <= 0)
			return TULLE_EINVAL;
		e = buf_reserve(out, (size_t)size, &room);
		if (e != TULLE_OK)
			return e;
		size = wc_DerToPem(certs[i].p, (word32)certs[i].len, room, (word32)size, CERT_TYPE);
		if (size <= 0)
			return TULLE_EINVAL;
		buf_commit(out, (size_t)size);
	}
	return e;
}
