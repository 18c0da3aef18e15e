/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A good chain (leaf, issuer) is changed as the input says, byte by byte, or
 * its certificates are put in another order, left out, doubled.  It may be
 * believed only if the leaf's signed part is the one that was issued.
 */
#include <stdint.h>

#include "../unit/pki.h"

#define TD "mesh.test"
#define ID "spiffe://mesh.test/ns/shop/sa/cart"

static struct pki *root, *issuer, *leaf;
static struct verifier *verifier;

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
set_up(void)
{
	struct trust *t;

	root = pki_root(TD);
	issuer = pki_intermediate(root, TD);
	leaf = pki_leaf(issuer, ID);
	t = pki_trust(root, TD);
	must(verifier_new(&verifier, t) == TULLE_OK);
	trust_unref(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t certs[2][DER_CERT_MAX];
	static struct svid_facts facts;
	const struct pki *good[2];
	struct der chain[6];
	size_t n = 0, at, signed_len;
	unsigned int which;

	if (verifier == NULL)
		set_up();
	good[0] = leaf;
	good[1] = issuer;
	for (size_t i = 0; i < 2; i++)
		memcpy(certs[i], buf_head(&good[i]->chain), good[i]->cert_len);
	if (size == 0)
		return 0;
	/* The first byte: which certificates, in which order, two bits each. */
	for (unsigned int b = 0; b < 8; b += 2) {
		which = data[0] >> b & 3;
		if (which < 2)
			chain[n++] = (struct der){ .p = certs[which], .len = good[which]->cert_len };
	}
	/* The rest: triples of certificate and offset (two bytes) and what to turn over there. */
	for (size_t i = 1; i + 2 < size; i += 3) {
		which = data[i] >> 7;
		at = ((size_t)(data[i] & 0x7f) << 8 | data[i + 1]) % good[which]->cert_len;
		certs[which][at] ^= data[i + 2];
	}
	if (verifier_check(verifier, chain, n, SVID_TLS_CLIENT, &facts) != SVID_OK)
		return 0;
	signed_len = 8 + (size_t)(buf_head(&leaf->chain)[6] << 8 | buf_head(&leaf->chain)[7]);
	must(chain[0].p == certs[0]);
	must(memcmp(certs[0], buf_head(&leaf->chain), signed_len) == 0);
	must(strcmp(facts.id, ID) == 0);
	return 0;
}
