/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/trust.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tls/spiffe.h"

struct domain {
	char *name; /* owned */
	uint8_t *roots; /* owned; in a row */
	size_t len;
};

struct trust {
	unsigned int refs;
	uint64_t generation;
	size_t n;
	struct domain domains[];
};

struct trust *
trust_ref(struct trust *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

struct trust *
trust_unref(struct trust *t)
{
	if (t == NULL || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	for (size_t i = 0; i < t->n; i++) {
		free(t->domains[i].name);
		free(t->domains[i].roots);
	}
	free(t);
	return NULL;
}

static struct domain *
find(const struct trust *t, const char *td, size_t len)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strlen(t->domains[i].name) == len && memcmp(t->domains[i].name, td, len) == 0)
			return (struct domain *)(uintptr_t)&t->domains[i];
	}
	return NULL;
}

/* The domain of that name, made if need be. */
static enum tulle_err
domain_get(struct trust *t, const char *td, struct domain **ret)
{
	struct domain *d;

	td = spiffe_principal(td); /* the same prefix */
	if (!spiffe_td_valid(td, strlen(td)))
		return TULLE_EINVAL;
	d = find(t, td, strlen(td));
	if (d == NULL) {
		d = &t->domains[t->n];
		d->name = strdup(td);
		if (d->name == NULL)
			return TULLE_ENOMEM;
		t->n++;
	}
	*ret = d;
	return TULLE_OK;
}

static bool
contains(const struct der *roots, size_t n, const struct der *one)
{
	for (size_t i = 0; i < n; i++) {
		if (roots[i].len == one->len && memcmp(roots[i].p, one->p, one->len) == 0)
			return true;
	}
	return false;
}

/* Adds the roots of <b> that <d> has not yet. */
static enum tulle_err
domain_add(struct domain *d, const struct trust_bundle *b)
{
	struct der AUTO_FREE *all = calloc(2 * DER_BUNDLE_CERTS, sizeof(*all));
	struct svid_facts AUTO_FREE *facts = malloc(sizeof(*facts));
	size_t have = 0, n = 0, len = d->len;
	enum tulle_err e = TULLE_OK;
	uint8_t *roots;

	if (all == NULL || facts == NULL)
		return TULLE_ENOMEM;
	if (b->len == 0)
		return TULLE_OK;
	if (d->len > 0)
		e = der_split(d->roots, d->len, all, DER_BUNDLE_CERTS, &have);
	if (e == TULLE_OK)
		e = der_split(b->roots, b->len, all + have, DER_BUNDLE_CERTS, &n);
	if (e != TULLE_OK)
		return e;
	if (b->len > DER_BUNDLE_MAX - d->len)
		return TULLE_ELIMIT;
	roots = realloc(d->roots, d->len + b->len);
	if (roots == NULL)
		return TULLE_ENOMEM;
	/* What pointed into the old memory does so again. */
	for (size_t i = 0, at = 0; i < have; at += all[i++].len)
		all[i].p = roots + at;
	d->roots = roots;
	for (size_t i = have; i < have + n; i++) {
		e = svid_read(facts, all[i].p, all[i].len);
		if (e != TULLE_OK)
			return e;
		if (contains(all, i, &all[i]))
			continue;
		memcpy(roots + len, all[i].p, all[i].len);
		len += all[i].len;
	}
	d->len = len;
	/* The bound holds for the sum. */
	return der_split(d->roots, d->len, all, DER_BUNDLE_CERTS, &have);
}

enum tulle_err
trust_new(struct trust **ret, const struct trust_bundle *bundles, size_t n, uint64_t generation)
{
	struct trust *t;
	struct domain *d;
	enum tulle_err e = TULLE_OK;

	if (n > TRUST_BUNDLES_MAX)
		return TULLE_ELIMIT;
	t = calloc(1, sizeof(*t) + n * sizeof(t->domains[0]));
	if (t == NULL)
		return TULLE_ENOMEM;
	t->refs = 1;
	t->generation = generation;
	for (size_t i = 0; e == TULLE_OK && i < n; i++) {
		e = domain_get(t, bundles[i].td, &d);
		if (e == TULLE_OK)
			e = t->n > TRUST_DOMAINS_MAX ? TULLE_ELIMIT : domain_add(d, &bundles[i]);
	}
	if (e != TULLE_OK) {
		trust_unref(t);
		return e;
	}
	*ret = t;
	return TULLE_OK;
}

uint64_t
trust_generation(const struct trust *t)
{
	return t->generation;
}

size_t
trust_domains(const struct trust *t)
{
	return t->n;
}

const char *
trust_domain_name(const struct trust *t, size_t i)
{
	return t->domains[i].name;
}

bool
trust_roots(const struct trust *t, const char *td, size_t td_len, struct der *ret)
{
	const struct domain *d = find(t, td, td_len);

	if (d == NULL)
		return false;
	*ret = (struct der){ .p = d->roots, .len = d->len };
	return true;
}

int64_t
trust_until(const struct trust *t, const char *td, size_t td_len)
{
	struct der AUTO_FREE *roots = calloc(DER_BUNDLE_CERTS, sizeof(*roots));
	struct svid_facts AUTO_FREE *facts = malloc(sizeof(*facts));
	const struct domain *d = find(t, td, td_len);
	int64_t until = 0;
	size_t n = 0;

	if (roots == NULL || facts == NULL || d == NULL || d->len == 0 ||
	    der_split(d->roots, d->len, roots, DER_BUNDLE_CERTS, &n) != TULLE_OK)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (svid_read(facts, roots[i].p, roots[i].len) == TULLE_OK && facts->not_after > until)
			until = facts->not_after;
	return until;
}
