/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Certificate requests.  The first byte says what comes: bytes as they are; a
 * good request, changed; or a good one, changed and signed anew by its key,
 * which is what any host can send.  Invariants: changed in what it signs, a
 * request is not believed; believed, it has one name and the signer's key.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tls/context.h"
#include "tls/issue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID "spiffe://mesh.test/ns/shop/sa/cart"
#define REQUEST_MAX 8192

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* SEC 1, P-256: always the same, so that an input means the same in every run. */
static const uint8_t key_der[] = {
	0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20,
	17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
	0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
};

static struct key *key;
static struct buf public, good;
static const uint8_t *info; /* of the good one: what is signed */
static size_t info_len;

static void
set_up(void)
{
	const uint8_t *p;
	size_t head;

	log_set_threshold(LOG_LVL_ERROR + 1);
	CHECK(tls_init() == TULLE_OK);
	CHECK(key_import(&key, key_der, sizeof(key_der)) == TULLE_OK);
	public = buf_new(ISSUE_PUBLIC_KEY_MAX);
	good = buf_new(65536);
	CHECK(key_public(key, &public) == TULLE_OK && issue_request(&good, ID, key) == TULLE_OK);
	p = buf_head(&good);
	head = p[1] < 0x80 ? 2 : 2u + (p[1] & 0x7f);
	info = p + head;
	CHECK(info[0] == 0x30);
	if (info[1] < 0x80)
		info_len = 2u + info[1];
	else
		info_len = info[1] == 0x81 ? 3u + info[2] : 4u + ((size_t)info[2] << 8 | info[3]);
	CHECK(head + info_len < buf_len(&good));
}

/* Edits of three bytes each: where, two bits of what, and the value. */
static size_t
change(uint8_t *p, size_t n, const uint8_t *data, size_t size)
{
	for (; size >= 3 && n > 0; data += 3, size -= 3) {
		size_t at = ((size_t)(data[0] & 0x3f) << 8 | data[1]) % n;

		switch (data[0] >> 6) {
		case 0:
			p[at] ^= data[2];
			break;
		case 1:
			p[at] = data[2];
			break;
		case 2:
			memmove(p + at, p + at + 1, n - at - 1);
			n--;
			break;
		case 3:
			if (n == REQUEST_MAX / 2)
				break;
			memmove(p + at + 1, p + at, n - at);
			p[at] = data[2];
			n++;
			break;
		}
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t der[REQUEST_MAX];
	static struct issue_request r;
	size_t n = 0;
	int kind;

	if (key == NULL)
		set_up();
	if (size < 1 || size > REQUEST_MAX / 2)
		return 0;
	kind = data[0] % 3;
	data++;
	size--;
	switch (kind) {
	case 0:
		memcpy(der, data, size);
		n = size;
		break;
	case 1:
		memcpy(der, buf_head(&good), buf_len(&good));
		n = change(der, buf_len(&good), data, size);
		break;
	case 2:
		memcpy(der, info, info_len);
		n = change(der, info_len, data, size);
		CHECK(key_sign_cert(key, der, n, sizeof(der), &n) == TULLE_OK);
		break;
	}
	if (issue_request_read(&r, der, n) != TULLE_OK) {
		CHECK(kind == 0 || size >= 3); /* unchanged it is good */
		return 0;
	}
	CHECK(r.uri[0] != '\0' && memchr(r.uri, '\0', sizeof(r.uri)) != NULL);
	CHECK(r.public_key_len > 0 && r.public_key_len <= sizeof(r.public_key));
	if (kind != 0)
		CHECK(r.public_key_len == buf_len(&public) && memcmp(r.public_key, buf_head(&public), r.public_key_len) == 0);
	if (kind == 1) {
		CHECK(memmem(der, n, info, info_len) != NULL);
		CHECK(strcmp(r.uri, ID) == 0);
	}
	return 0;
}
