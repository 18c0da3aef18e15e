/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "proto/workload.pb-c.h"
#include "tls/keys.h"
#include "tls/spiffe.h"

#define KEY_MAX 4096

/* protobuf-c has no const: what it packs it does not change. */
static ProtobufCBinaryData
bytes(const uint8_t *p, size_t n)
{
	return (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)p, .len = n };
}

static enum tulle_err
pack(struct buf *out, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *to;
	enum tulle_err e = n == 0 ? TULLE_OK : buf_reserve(out, n, &to);

	if (e == TULLE_OK && n > 0)
		buf_commit(out, protobuf_c_message_pack(m, to));
	return e;
}

struct entry {
	X509SVID svid;
	struct buf key;
};

static enum tulle_err
fill(struct entry *e, const struct slot *s, struct der bundle)
{
	enum tulle_err err;

	x509_svid__init(&e->svid);
	e->key = buf_new(KEY_MAX);
	err = key_export(s->current->key, &e->key);
	if (err)
		return err;
	e->svid.spiffe_id = s->id;
	e->svid.x509_svid = bytes(s->current->chain, s->current->chain_len);
	e->svid.x509_svid_key = bytes(buf_head(&e->key), buf_len(&e->key));
	e->svid.bundle = bytes(bundle.p, bundle.len);
	e->svid.hint = s->current->hint;
	return TULLE_OK;
}

enum tulle_err
message_svids(struct buf *out, const struct answer *a, const struct keeper *k)
{
	X509SVIDResponse response = X509_SVIDRESPONSE__INIT;
	struct entry AUTO_FREE *entries = calloc(a->n + 1, sizeof(*entries));
	X509SVID AUTO_FREE **list = calloc(a->n + 1, sizeof(*list));
	enum tulle_err e = entries == NULL || list == NULL ? TULLE_ENOMEM : TULLE_OK;
	size_t made = 0;

	for (; e == TULLE_OK && made < a->n; made++) {
		e = fill(&entries[made], a->slots[made], keeper_bundle(k));
		list[made] = &entries[made].svid;
	}
	if (e == TULLE_OK) {
		response.n_svids = a->n;
		response.svids = list;
		e = pack(out, &response.base);
	}
	for (size_t i = 0; i < made; i++)
		buf_wipe(&entries[i].key);
	return e;
}

enum tulle_err
message_bundles(struct buf *out, const struct keeper *k)
{
	X509BundlesResponse response = X509_BUNDLES_RESPONSE__INIT;
	X509BundlesResponse__BundlesEntry entry;
	X509BundlesResponse__BundlesEntry *list[1] = { &entry };
	struct der bundle = keeper_bundle(k);
	char td[SPIFFE_SCHEME_LEN + SPIFFE_TD_MAX + 1];

	(void)snprintf(td, sizeof(td), SPIFFE_SCHEME "%s", keeper_td(k) != NULL ? keeper_td(k) : "");
	protobuf_c_message_init(&x509_bundles_response__bundles_entry__descriptor, &entry);
	entry.key = td;
	entry.value = bytes(bundle.p, bundle.len);
	response.n_bundles = 1;
	response.bundles = list;
	return pack(out, &response.base);
}
