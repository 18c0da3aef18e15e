/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/issuers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority/keyset.h"
#include "jwt/jwt.h"

struct issuers {
	struct loop *loop; /* lent */
	const char *dir;   /* lent */
	const struct kubernetes_issuer *items; /* lent */
	struct keyset **keys; /* owned, one for each item */
	size_t n;
};

enum tulle_err
issuers_new(struct issuers **ret, struct loop *l, const char *dir)
{
	struct issuers *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return TULLE_ENOMEM;
	i->loop = l;
	i->dir = dir;
	*ret = i;
	return TULLE_OK;
}

static void
free_keys(struct keyset **keys, size_t n)
{
	for (size_t k = 0; keys != NULL && k < n; k++)
		keyset_free(keys[k]);
	free(keys);
}

struct issuers *
issuers_free(struct issuers *i)
{
	if (i == NULL)
		return NULL;
	free_keys(i->keys, i->n);
	free(i);
	return NULL;
}

/* Those that are there already; taken out of the old list only when nothing can fail any more. */
static struct keyset **
find(const struct issuers *i, const struct kubernetes_issuer *k)
{
	for (size_t j = 0; j < i->n; j++)
		if (i->keys[j] != NULL && keyset_is(i->keys[j], k))
			return &i->keys[j];
	return NULL;
}

enum tulle_err
issuers_config(struct issuers *i, const struct kubernetes_issuer *items, size_t n)
{
	struct keyset **keys = calloc(n + 1, sizeof(struct keyset *)), **old;
	enum tulle_err e = keys == NULL ? TULLE_ENOMEM : TULLE_OK;

	for (size_t j = 0; e == TULLE_OK && j < n; j++)
		if (find(i, &items[j]) == NULL)
			e = keyset_new(&keys[j], i->loop, i->dir, &items[j]);
	if (e) {
		free_keys(keys, n);
		return e;
	}
	for (size_t j = 0; j < n; j++)
		if (keys[j] == NULL && (old = find(i, &items[j])) != NULL) {
			keys[j] = *old;
			*old = NULL;
		}
	free_keys(i->keys, i->n);
	i->keys = keys;
	i->items = items;
	i->n = n;
	return TULLE_OK;
}

/* ---- judging ---- */

static enum tulle_err
refuse(char why[MEMBER_WHY], const char *text)
{
	(void)snprintf(why, MEMBER_WHY, "%s", text);
	return TULLE_EDENIED;
}

/* May this pod join, by the lists of its issuer? */
static enum tulle_err
allowed(const struct kubernetes_issuer *k, const struct pod *p, char why[MEMBER_WHY])
{
	bool ns = k->namespaces.n == 0, account = k->accounts.n == 0;
	char full[POD_NAMESPACE + POD_NAME + 1];

	if (p->uid[0] == '\0' && !k->unbound) /* each key that its bearer makes would be one more member */
		return refuse(why, "it is bound to no pod, and authority.kubernetes does not say \"unbound: true\" for its issuer");
	(void)snprintf(full, sizeof(full), "%s/%s", p->namespace, p->account);
	for (size_t j = 0; j < k->namespaces.n; j++)
		ns = ns || strcmp(k->namespaces.items[j], p->namespace) == 0;
	for (size_t j = 0; j < k->accounts.n; j++)
		account = account || strcmp(k->accounts.items[j], full) == 0;
	if (ns && account)
		return TULLE_OK;
	(void)snprintf(why, MEMBER_WHY, "pods of %.120s may not join: authority.kubernetes does not list %s", full,
	    ns ? "the account" : "the namespace");
	return TULLE_EDENIED;
}

static enum tulle_err
judge_by(const struct kubernetes_issuer *k, struct keyset *set, const struct jwt *t, int64_t now, struct pod *ret,
    char why[MEMBER_WHY])
{
	const struct jwks *keys = keyset_keys(set);
	enum tulle_err e = TULLE_ENOENT;

	(void)refuse(why, "the authority has no keys of its issuer at present");
	if (keys != NULL)
		e = jwt_verify(t, keys, why);
	if (e == TULLE_ENOENT) {
		const bool coming = keyset_missed(set);

		if (keys != NULL && !coming)
			return TULLE_EDENIED;
		if (keys != NULL)
			(void)refuse(why, "its issuer's keys are being fetched anew");
		return TULLE_AGAIN;
	}
	if (e == TULLE_OK)
		e = jwt_check(t, &(struct jwt_rules){ .issuer = k->issuer, .audience = k->audience, .now = now }, why);
	if (e == TULLE_OK)
		e = pod_read(ret, jwt_claims(t), why);
	if (e == TULLE_OK)
		e = allowed(k, ret, why);
	if (e == TULLE_OK) {
		ret->issuer = k->issuer;
		ret->ttl = (int64_t)(k->ttl_ms / 1000);
	}
	return e;
}

enum tulle_err
issuers_judge(struct issuers *i, const char *jwt, size_t len, int64_t now, struct pod *ret, char why[MEMBER_WHY])
{
	struct jwt *t;
	enum tulle_err e;

	if (i == NULL || i->n == 0)
		return refuse(why, "this authority takes no tokens of pods (authority.kubernetes)");
	e = jwt_parse(&t, jwt, len, why);
	if (e)
		return e == TULLE_EINVAL || e == TULLE_ELIMIT ? TULLE_EDENIED : e;
	e = TULLE_ENOENT;
	for (size_t j = 0; j < i->n && e == TULLE_ENOENT; j++)
		if (strcmp(i->items[j].issuer, jwt_issuer(t)) == 0)
			e = judge_by(&i->items[j], i->keys[j], t, now, ret, why);
	if (e == TULLE_ENOENT) {
		(void)snprintf(why, MEMBER_WHY, "its issuer \"%.100s\" is none that this authority trusts", jwt_issuer(t));
		e = TULLE_EDENIED;
	}
	jwt_free(t);
	return e;
}

json_t *
issuers_status(const struct issuers *i)
{
	json_t *list = json_array();

	for (size_t j = 0; j < i->n; j++)
		(void)json_array_append_new(list, keyset_status(i->keys[j]));
	return list;
}
