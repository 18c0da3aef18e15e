/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tls/der.h"
#include "tls/spiffe.h"

struct identity *
identity_ref(struct identity *id)
{
	__atomic_fetch_add(&id->refs, 1, __ATOMIC_RELAXED);
	return id;
}

struct identity *
identity_unref(struct identity *id)
{
	if (id == NULL || __atomic_sub_fetch(&id->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	free(id->hint);
	free(id->chain);
	key_unref(id->key);
	free(id);
	return NULL;
}

static enum tulle_err
fill(struct identity *id, const uint8_t *chain, size_t chain_len, const uint8_t *key, size_t key_len,
    const char *hint, enum svid_reason *why)
{
	struct der certs[DER_CHAIN_CERTS];
	enum tulle_err e;
	size_t n;

	*why = SVID_MALFORMED;
	if (chain_len > DER_CHAIN_MAX)
		return TULLE_ELIMIT;
	e = der_split(chain, chain_len, certs, DER_CHAIN_CERTS, &n);
	if (e == TULLE_OK)
		e = svid_read(&id->facts, certs[0].p, certs[0].len);
	if (e != TULLE_OK)
		return e;
	*why = svid_check_leaf(&id->facts, SVID_ANY_ROLE, id->facts.not_before);
	if (*why != SVID_OK)
		return TULLE_EINVAL;
	e = key_import(&id->key, key, key_len);
	if (e == TULLE_OK && !key_matches(id->key, certs[0].p, certs[0].len))
		e = TULLE_EINVAL;
	if (e != TULLE_OK)
		return e;
	id->hint = strdup(hint != NULL ? hint : "");
	id->chain = malloc(chain_len);
	if (id->hint == NULL || id->chain == NULL)
		return TULLE_ENOMEM;
	memcpy(id->chain, chain, chain_len);
	id->chain_len = chain_len;
	return TULLE_OK;
}

enum tulle_err
identity_new(struct identity **ret, const uint8_t *chain, size_t chain_len, const uint8_t *key, size_t key_len,
    const char *hint, enum svid_reason *ret_why)
{
	struct identity *id = calloc(1, sizeof(*id));
	enum svid_reason why = SVID_OTHER;
	enum tulle_err e = TULLE_ENOMEM;

	if (id != NULL) {
		id->refs = 1;
		e = fill(id, chain, chain_len, key, key_len, hint, &why);
	}
	if (e != TULLE_OK) {
		identity_unref(id);
		if (ret_why != NULL)
			*ret_why = why;
		return e;
	}
	*ret = id;
	return TULLE_OK;
}

struct identity_set *
identity_set_ref(struct identity_set *s)
{
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

struct identity_set *
identity_set_unref(struct identity_set *s)
{
	if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		identity_unref(s->items[i]);
	free(s->items);
	trust_unref(s->trust);
	free(s);
	return NULL;
}

/* An empty set with room for <n>. */
static struct identity_set *
set_alloc(size_t n, uint64_t generation)
{
	struct identity_set *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->refs = 1;
	s->generation = generation;
	s->items = calloc(n > 0 ? n : 1, sizeof(struct identity *));
	if (s->items == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

enum tulle_err
identity_set_of(struct identity_set **ret, struct identity *const *items, size_t n, struct trust *trust,
    uint64_t generation)
{
	struct identity_set *s;

	if (n > IDENTITIES_MAX)
		return TULLE_ELIMIT;
	s = set_alloc(n, generation);
	if (s == NULL)
		return TULLE_ENOMEM;
	for (; s->n < n; s->n++)
		s->items[s->n] = identity_ref(items[s->n]);
	s->trust = trust_ref(trust);
	s->has_default = n > 0;
	*ret = s;
	return TULLE_OK;
}

/* The trust of a set: each identity's own bundle, and the federated ones. */
static enum tulle_err
set_trust(struct identity_set *s, const struct svid_der *svids, const struct trust_bundle *federated,
    size_t federated_n)
{
	struct trust_bundle AUTO_FREE *bundles = NULL;
	char AUTO_FREE *names = NULL;
	struct spiffe_id id;

	if (federated_n > TRUST_DOMAINS_MAX)
		return TULLE_ELIMIT;
	bundles = calloc(s->n + federated_n + 1, sizeof(*bundles));
	names = calloc(s->n + 1, SPIFFE_TD_MAX + 1);
	if (bundles == NULL || names == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < s->n; i++) {
		char *td = names + i * (SPIFFE_TD_MAX + 1);
		const struct svid_facts *f = &s->items[i]->facts;

		if (spiffe_parse(&id, f->id, f->id_len) != TULLE_OK)
			return TULLE_EINVAL;
		memcpy(td, id.td, id.td_len);
		bundles[i] = (struct trust_bundle){ .td = td, .roots = svids[i].bundle, .len = svids[i].bundle_len };
	}
	for (size_t i = 0; i < federated_n; i++)
		bundles[s->n + i] = federated[i];
	return trust_new(&s->trust, bundles, s->n + federated_n, s->generation);
}

static enum tulle_err
set_fill(struct identity_set *s, const struct svid_der *svids, size_t n, enum svid_reason *why)
{
	enum tulle_err e;

	for (; s->n < n; s->n++) {
		const struct svid_der *d = &svids[s->n];
		struct identity *id;

		e = identity_new(&id, d->chain, d->chain_len, d->key, d->key_len, d->hint, why);
		if (e != TULLE_OK)
			return e;
		if (d->id != NULL && strcmp(d->id, id->facts.id) != 0) {
			identity_unref(id);
			*why = SVID_UNEXPECTED_ID;
			return TULLE_EINVAL;
		}
		s->items[s->n] = id;
	}
	return TULLE_OK;
}

enum tulle_err
identity_set_new(struct identity_set **ret, const struct svid_der *svids, size_t n,
    const struct trust_bundle *federated, size_t federated_n, uint64_t generation, size_t *ret_bad,
    enum svid_reason *ret_why)
{
	struct identity_set *s;
	enum svid_reason why = SVID_OK;
	enum tulle_err e;

	if (n > IDENTITIES_MAX)
		return TULLE_ELIMIT;
	s = set_alloc(n, generation);
	if (s == NULL)
		return TULLE_ENOMEM;
	e = set_fill(s, svids, n, &why);
	if (e == TULLE_OK)
		e = set_trust(s, svids, federated, federated_n);
	if (e != TULLE_OK) {
		if (ret_bad != NULL)
			*ret_bad = s->n;
		if (ret_why != NULL)
			*ret_why = why;
		identity_set_unref(s);
		return e;
	}
	s->has_default = n > 0;
	*ret = s;
	return TULLE_OK;
}

struct identity *
identity_set_default(const struct identity_set *s)
{
	return s->has_default ? s->items[0] : NULL;
}

static bool
has_path(const struct identity *i, const char *path)
{
	const size_t len = strlen(path);
	struct spiffe_id id;

	return spiffe_parse(&id, i->facts.id, i->facts.id_len) == TULLE_OK && id.path_len == len + 1 &&
	       memcmp(id.path + 1, path, len) == 0;
}

struct identity *
identity_set_find_path(const struct identity_set *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (has_path(s->items[i], path))
			return s->items[i];
	return NULL;
}

void
identity_set_choose_default(struct identity_set *s, const char *name)
{
	s->has_default = false;
	for (size_t i = 0; i < s->n && name != NULL; i++) {
		struct identity *found = s->items[i];

		if (!has_path(found, name))
			continue;
		memmove(&s->items[1], &s->items[0], i * sizeof(s->items[0]));
		s->items[0] = found;
		s->has_default = true;
		return;
	}
}

void
identity_set_choose_only(struct identity_set *s)
{
	s->has_default = s->n == 1;
}

struct identity *
identity_set_find(const struct identity_set *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->items[i]->facts.id, id) == 0)
			return s->items[i];
	}
	return NULL;
}

struct identity *
identity_set_find_sni(const struct identity_set *s, const char *name, size_t len)
{
	struct spiffe_id id;

	for (size_t i = 0; i < s->n; i++) {
		const struct svid_facts *f = &s->items[i]->facts;

		if (spiffe_parse(&id, f->id, f->id_len) == TULLE_OK && spiffe_sni_matches(&id, name, len))
			return s->items[i];
	}
	return NULL;
}
