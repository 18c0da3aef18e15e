/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keeper_deliver.c - a certificate that came: judged, and only then put in the place of the old one. */
#include <stdio.h>
#include <string.h>

#include "agent/keeper_intern.h"
#include "base/log.h"

#define KEY_MAX 16384

enum svid_reason
keeper_verify(struct keeper *k, const struct identity *id)
{
	struct der chain[DER_CHAIN_CERTS];
	struct svid_facts facts;
	struct verifier *v;
	enum svid_reason r;
	size_t n;

	if (k->trust == NULL)
		return SVID_UNKNOWN_TRUST_DOMAIN;
	if (der_split(id->chain, id->chain_len, chain, DER_CHAIN_CERTS, &n) != TULLE_OK)
		return SVID_MALFORMED;
	if (verifier_new(&v, k->trust) != TULLE_OK)
		return SVID_OTHER;
	r = verifier_check(v, chain, n, SVID_ANY_ROLE, &facts);
	verifier_unref(v);
	return r;
}

/* The identity that the chain makes with the key that was ordered for. */
static enum svid_reason
make(struct keeper *k, struct slot *s, const uint8_t *chain, size_t len, struct identity **ret)
{
	struct buf key = buf_new(KEY_MAX);
	char hint[2 * SPIFFE_TD_MAX + 2];
	enum svid_reason why = SVID_OTHER;
	struct identity *id = NULL;
	enum tulle_err e = key_export(s->next_key, &key);

	(void)snprintf(hint, sizeof(hint), "%s/%s", s->ns, s->sa);
	if (e == TULLE_OK)
		e = identity_new(&id, chain, len, buf_head(&key), buf_len(&key), hint, &why);
	buf_wipe(&key);
	if (e)
		return why == SVID_OK ? SVID_OTHER : why;
	why = strcmp(id->facts.id, s->id) != 0 ? SVID_UNEXPECTED_ID : keeper_verify(k, id);
	if (why != SVID_OK) {
		identity_unref(id);
		return why;
	}
	*ret = id;
	return SVID_OK;
}

void
keeper_install(struct keeper *k, struct slot *s, struct identity *id, int64_t issued, int64_t renew)
{
	identity_unref(s->current);
	s->current = id;
	s->issued = issued;
	s->end = id->facts.not_after * 1000;
	s->renew_at = renew != 0 ? renew : renew_at(issued, s->end, keeper_draw());
	s->alarm = RENEW_FINE;
	s->failures = 0;
	s->failure[0] = '\0';
	s->retry_at = 0;
	k->changed = true;
}

enum tulle_err
keeper_deliver(struct keeper *k, const char *id, const uint8_t *chain, size_t len)
{
	struct slot *s = keeper_find_id(k, id);
	struct identity *fresh = NULL;
	enum svid_reason why;

	if (s == NULL || !s->ordered)
		return TULLE_OK;
	why = make(k, s, chain, len, &fresh);
	if (why != SVID_OK) {
		log_error("a certificate from the source is not good; the old one stays", LF_STR("id", id),
		    LF_STR("rule", svid_reason_name(why)), LF_STR("reason", svid_reason_phrase(why)));
		keeper_order_failed(s, svid_reason_phrase(why));
		keeper_soon(k);
		return TULLE_EINVAL;
	}
	s->ordered = false;
	s->next_key = key_unref(s->next_key);
	log_notice(s->current == NULL ? "identity obtained" : "identity renewed", LF_STR("id", id),
	    LF_STR("serial", fresh->facts.serial),
	    LF_STR("previous_serial", s->current == NULL ? NULL : s->current->facts.serial),
	    LF_INT("not_after", fresh->facts.not_after));
	keeper_install(k, s, fresh, keeper_now_ms(), 0);
	keeper_soon(k);
	return TULLE_OK;
}
