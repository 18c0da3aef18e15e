/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keeper_want.c - which identities are wanted, and which roots vouch for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cache.h"
#include "agent/keeper_intern.h"
#include "base/log.h"

/* ---- trust domain and roots ---- */

static void
set_domain(struct keeper *k, const char *td)
{
	if (k->td[0] != '\0' && strcmp(k->td, td) != 0) { /* joined another domain: its roots are not ours */
		k->trust = trust_unref(k->trust);
		k->roots.len = 0;
	}
	(void)snprintf(k->td, sizeof(k->td), "%s", td);
}

/* <roots> may be the very ones that are there, from the cache. */
static enum tulle_err
set_roots(struct keeper *k, const uint8_t *roots, size_t len)
{
	struct buf copy = buf_new(DER_BUNDLE_MAX);
	struct trust *t;
	enum tulle_err e;

	e = trust_new(&t, &(struct trust_bundle){ .td = k->td, .roots = roots, .len = len }, 1, k->generation + 1);
	if (e)
		return e;
	e = buf_append(&copy, roots, len);
	if (e) {
		trust_unref(t);
		return e;
	}
	buf_free(&k->roots);
	k->roots = copy;
	trust_unref(k->trust);
	k->trust = t;
	return TULLE_OK;
}

/* ---- identities ---- */

/* What the cache has for it, if that is still good: the restart of an hour ago shall not be noticed. */
static void
from_cache(struct keeper *k, struct slot *s)
{
	const json_t *value = json_object_get(k->cached, s->id);
	struct identity *id;
	int64_t issued, renew;

	if (value == NULL || cache_identity_read(value, &id, &issued, &renew) != TULLE_OK)
		return;
	if (strcmp(id->facts.id, s->id) != 0 || id->facts.not_after * 1000 <= keeper_now_ms() || keeper_verify(k, id) != SVID_OK) {
		identity_unref(id);
		return;
	}
	log_info("identity from the cache", LF_STR("id", s->id), LF_STR("serial", id->facts.serial),
	    LF_INT("not_after", id->facts.not_after));
	keeper_install(k, s, id, issued, renew);
}

enum tulle_err
keeper_want(struct keeper *k, const char *td, const struct keeper_wanted *wanted, size_t n)
{
	struct slot *slots = calloc(n + 1, sizeof(*slots));
	enum tulle_err e = slots == NULL ? TULLE_ENOMEM : n > IDENTITIES_MAX ? TULLE_ELIMIT : TULLE_OK;
	size_t made = 0;

	for (; e == TULLE_OK && made < n; made++)
		e = slot_init(&slots[made], td, &wanted[made]);
	if (e) {
		for (size_t i = 0; slots != NULL && i < made; i++)
			slot_clear(&slots[i]);
		free(slots);
		return e;
	}
	set_domain(k, td);
	for (size_t i = 0; i < n; i++) {
		struct slot *old = keeper_find_id(k, slots[i].id);

		if (old != NULL)
			slot_inherit(&slots[i], old);
	}
	for (size_t i = 0; i < k->n; i++) {
		if (k->slots[i].current != NULL)
			log_notice("identity dropped: nothing names it any more", LF_STR("id", k->slots[i].id));
		slot_clear(&k->slots[i]);
	}
	free(k->slots);
	k->slots = slots;
	k->n = n;
	if (k->trust == NULL && k->roots.len > 0) /* from the cache */
		(void)set_roots(k, buf_head(&k->roots), buf_len(&k->roots));
	for (size_t i = 0; i < n; i++)
		if (slots[i].current == NULL && !slots[i].ordered)
			from_cache(k, &slots[i]);
	k->changed = true;
	keeper_look(k);
	return TULLE_OK;
}

static void
drop(struct slot *s)
{
	log_notice("a certificate was dropped: its root is not one of ours any more", LF_STR("id", s->id),
	    LF_STR("serial", s->current->facts.serial));
	s->current = identity_unref(s->current);
	s->retry_at = 0;
	s->alarm = RENEW_FINE;
}

enum tulle_err
keeper_roots(struct keeper *k, const char *td, const uint8_t *roots, size_t len)
{
	enum tulle_err e;

	set_domain(k, td);
	if (k->trust != NULL && len == k->roots.len && memcmp(roots, buf_head(&k->roots), len) == 0)
		return TULLE_OK;
	e = set_roots(k, roots, len);
	if (e)
		return e;
	for (size_t i = 0; i < k->n; i++)
		if (k->slots[i].current != NULL && keeper_verify(k, k->slots[i].current) == SVID_UNKNOWN_CA)
			drop(&k->slots[i]);
	k->changed = true;
	keeper_soon(k);
	return TULLE_OK;
}
