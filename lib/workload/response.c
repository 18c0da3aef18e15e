/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "workload/response.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "proto/workload.pb-c.h"
#include "tls/der.h"
#include "tls/spiffe.h"

/*
 * Two bytes on the wire can become a hundred in memory, so what protobuf-c
 * takes is bounded; and all it took is wiped, because a key may be anywhere
 * in it.
 */
struct budget {
	size_t left;
	bool spent;
};

union block {
	size_t size; /* of what follows */
	max_align_t align;
};

struct workload_response {
	struct budget budget;
	ProtobufCAllocator allocator;
	X509SVIDResponse *message;     /* owned */
	struct svid_der *svids;        /* owned; points into the message */
	struct trust_bundle *bundles;  /* owned; points into the message */
	struct workload_update update;
};

static void *
budget_alloc(void *arg, size_t size)
{
	struct budget *b = arg;
	union block *block;

	if (size > b->left || b->left - size < sizeof(*block)) {
		b->spent = true;
		return NULL;
	}
	block = malloc(sizeof(*block) + size);
	if (block == NULL)
		return NULL;
	b->left -= sizeof(*block) + size;
	block->size = size;
	return block + 1;
}

static void
budget_free(void *arg, void *p)
{
	struct budget *b = arg;
	union block *block = p;

	if (p == NULL)
		return;
	block--;
	b->left += sizeof(*block) + block->size;
	explicit_bzero(block, sizeof(*block) + block->size);
	free(block);
}

static bool
splits(const ProtobufCBinaryData *d, size_t max)
{
	struct der pieces[DER_BUNDLE_CERTS];
	size_t n;

	return der_split(d->data, d->len, pieces, max, &n) == TULLE_OK;
}

/* What is wrong with <s>; NULL: nothing. */
static const char *
svid_fault(const X509SVID *s)
{
	struct spiffe_id id;

	if (spiffe_parse(&id, s->spiffe_id, strlen(s->spiffe_id)) != TULLE_OK || id.path_len == 0)
		return "spiffe_id is not the SPIFFE ID of a workload";
	if (s->x509_svid.len > DER_CHAIN_MAX || !splits(&s->x509_svid, DER_CHAIN_CERTS))
		return "x509_svid is not a row of certificates, or too long";
	if (s->x509_svid_key.len == 0)
		return "x509_svid_key is empty";
	if (s->bundle.len > DER_BUNDLE_MAX || !splits(&s->bundle, DER_BUNDLE_CERTS))
		return "bundle is not a row of certificates, or too long";
	if (strlen(s->hint) > WORKLOAD_HINT_MAX || !text_utf8_valid(s->hint, strlen(s->hint)))
		return "hint is not text, or too long";
	return NULL;
}

static bool
hint_taken(const struct workload_response *r, const char *hint)
{
	if (*hint == '\0')
		return false;
	for (size_t i = 0; i < r->update.n_svids; i++)
		if (r->svids[i].hint != NULL && strcmp(r->svids[i].hint, hint) == 0)
			return true;
	return false;
}

static const char *
take_svids(struct workload_response *r)
{
	const X509SVIDResponse *m = r->message;

	for (size_t i = 0; i < m->n_svids; i++) {
		const X509SVID *s = m->svids[i];
		const char *fault = svid_fault(s);

		if (fault != NULL)
			return fault;
		if (hint_taken(r, s->hint))
			continue;
		r->svids[r->update.n_svids++] = (struct svid_der){ .id = s->spiffe_id, .chain = s->x509_svid.data,
			.chain_len = s->x509_svid.len, .key = s->x509_svid_key.data, .key_len = s->x509_svid_key.len,
			.bundle = s->bundle.data, .bundle_len = s->bundle.len, .hint = s->hint };
	}
	return NULL;
}

/* "spiffe://td" and "td" are the same trust domain. */
static const char *
bare(const char *td)
{
	return strncmp(td, SPIFFE_SCHEME, SPIFFE_SCHEME_LEN) == 0 ? td + SPIFFE_SCHEME_LEN : td;
}

/* Where the bundle of <td> goes; NULL: there is no room for another trust domain. */
static struct trust_bundle *
bundle_place(struct workload_response *r, const char *td)
{
	size_t i;

	for (i = 0; i < r->update.n_bundles; i++)
		if (r->bundles[i].td != NULL && strcmp(r->bundles[i].td, td) == 0)
			return &r->bundles[i];
	if (i == TRUST_DOMAINS_MAX)
		return NULL;
	r->update.n_bundles++;
	return &r->bundles[i];
}

static const char *
take_bundles(struct workload_response *r)
{
	const X509SVIDResponse *m = r->message;

	for (size_t i = 0; i < m->n_federated_bundles; i++) {
		const ProtobufCBinaryData *v = &m->federated_bundles[i]->value;
		const char *td = bare(m->federated_bundles[i]->key);
		struct trust_bundle *b;

		if (!spiffe_td_valid(td, strlen(td)))
			return "a federated bundle has no trust domain's name";
		if (v->len > DER_BUNDLE_MAX || (v->len > 0 && !splits(v, DER_BUNDLE_CERTS)))
			return "a federated bundle is not a row of certificates, or too long";
		b = bundle_place(r, td);
		if (b == NULL)
			return "too many federated bundles";
		*b = (struct trust_bundle){ .td = td, .roots = v->data, .len = v->len };
	}
	return NULL;
}

/* What is wrong with the message; NULL: nothing, and the update is ready. */
static const char *
judge(struct workload_response *r)
{
	const char *fault;

	if (r->message->n_svids == 0)
		return "the response holds no identity";
	if (r->message->n_svids > IDENTITIES_MAX)
		return "the response holds too many identities";
	fault = take_svids(r);
	return fault != NULL ? fault : take_bundles(r);
}

enum tulle_err
workload_response_read(struct workload_response **ret, const uint8_t *p, size_t n, const char **ret_why)
{
	struct workload_response *r = calloc(1, sizeof(*r));
	const char *fault;
	bool spent;

	if (r == NULL)
		return TULLE_ENOMEM;
	r->budget.left = 4 * n + 65536;
	r->allocator = (ProtobufCAllocator){ .alloc = budget_alloc, .free = budget_free, .allocator_data = &r->budget };
	r->message = x509_svidresponse__unpack(&r->allocator, n, p);
	if (r->message == NULL) {
		spent = r->budget.spent;
		(void)workload_response_free(r);
		*ret_why = spent ? "the response takes too much memory" : "the response is malformed";
		return spent ? TULLE_ELIMIT : TULLE_EPEER;
	}
	r->svids = calloc(IDENTITIES_MAX, sizeof(*r->svids));
	r->bundles = calloc(TRUST_DOMAINS_MAX, sizeof(*r->bundles));
	if (r->svids == NULL || r->bundles == NULL) {
		(void)workload_response_free(r);
		return TULLE_ENOMEM;
	}
	fault = judge(r);
	if (fault != NULL) {
		(void)workload_response_free(r);
		*ret_why = fault;
		return TULLE_EPEER;
	}
	r->update.svids = r->svids;
	r->update.bundles = r->bundles;
	*ret = r;
	return TULLE_OK;
}

const struct workload_update *
workload_response_update(const struct workload_response *r)
{
	return &r->update;
}

struct workload_response *
workload_response_free(struct workload_response *r)
{
	if (r == NULL)
		return NULL;
	if (r->message != NULL)
		x509_svidresponse__free_unpacked(r->message, &r->allocator);
	free(r->svids);
	free(r->bundles);
	free(r);
	return NULL;
}
