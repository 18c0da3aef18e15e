/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cache.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/crypt.h"
#include "store/store.h"
#include "tls/issue.h"
#include "tls/spiffe.h"
#include "tls/trust.h"

/* The wall clock may jump: look at it this often, whatever is due (milliseconds). */
#define LOOK_AGAIN 30000
#define ANSWER_MAX 60000 /* ms: an order without an answer has failed */
#define CSR_MAX 16384

struct keeper {
	struct loop *loop; /* lent */
	struct timer timer;
	const struct keeper_handler *handler; /* lent */
	void *arg;
	char *file; /* owned */
	uint8_t seal[CRYPT_KEY];
	char td[SPIFFE_TD_MAX + 1];
	struct slot *slots; /* owned */
	size_t n;
	struct buf roots;
	struct trust *trust; /* of the roots; NULL: none yet */
	json_t *cached;      /* owned: what the cache holds and nobody wanted so far, by SPIFFE ID */
	uint64_t generation;
	bool changed; /* since the handler was told */
};

static int64_t
now_ms(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_MS);
}

static uint32_t
draw(void)
{
	uint32_t r = 0;

	(void)crypt_random(&r, sizeof(r));
	return r;
}

static void
slot_clear(struct slot *s)
{
	identity_unref(s->current);
	key_unref(s->next_key);
	free(s->ns);
	free(s->sa);
	free(s->id);
	memset(s, 0, sizeof(*s));
}

bool
slot_usable(const struct slot *s, int64_t now)
{
	return s->current != NULL && s->end > now;
}

static struct slot *
find_id(struct keeper *k, const char *id)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->slots[i].id, id) == 0)
			return &k->slots[i];
	return NULL;
}

/* ---- the cache ---- */

static void
save(struct keeper *k)
{
	json_t *svids = json_object(), *all;
	char AUTO_FREE *roots = malloc(TEXT_BASE64URL(k->roots.len));
	enum tulle_err e = TULLE_ENOMEM;

	for (size_t i = 0; i < k->n; i++)
		if (k->slots[i].current != NULL)
			(void)json_object_set_new(svids, k->slots[i].id, cache_identity(k->slots[i].current, k->slots[i].issued, k->slots[i].renew_at));
	if (roots != NULL) {
		(void)text_base64url(k->roots.len > 0 ? buf_head(&k->roots) : (const uint8_t *)"", k->roots.len, roots);
		all = json_pack("{ss so}", "roots", roots, "svids", svids);
		e = cache_write(k->file, k->seal, all);
	} else {
		json_decref(svids);
	}
	if (e)
		log_warn("the identities could not be saved; a restart will have to get new ones", LF_ERR(e), LF_ERRNO);
}

static void
load(struct keeper *k)
{
	json_t *all = NULL;
	const char *text;
	uint8_t AUTO_FREE *roots = NULL;
	size_t len;
	enum tulle_err e = cache_read(k->file, k->seal, &all);

	if (e == TULLE_ENOENT)
		return;
	if (e) {
		log_warn("the saved identities cannot be used", LF_STR("file", k->file), LF_ERR(e));
		return;
	}
	text = value_text(all, "roots");
	roots = malloc(strlen(text) + 1);
	if (roots != NULL && text_unbase64url(text, strlen(text), roots, strlen(text) + 1, &len) == TULLE_OK && len > 0) {
		if (buf_append(&k->roots, roots, len) != TULLE_OK)
			buf_free(&k->roots);
	}
	k->cached = json_incref(json_object_get(all, "svids"));
	json_decref(all);
}

/* ---- making and freeing ---- */

static void look(struct keeper *k);

static void
due(struct timer *t)
{
	look(CONTAINER_OF(t, struct keeper, timer));
}

enum tulle_err
keeper_new(struct keeper **ret, struct loop *l, const char *file, const uint8_t seal[32],
    const struct keeper_handler *h, void *arg)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return TULLE_ENOMEM;
	k->loop = l;
	k->handler = h;
	k->arg = arg;
	k->roots = buf_new(DER_BUNDLE_MAX);
	memcpy(k->seal, seal, sizeof(k->seal));
	k->file = strdup(file);
	if (k->file == NULL) {
		free(k);
		return TULLE_ENOMEM;
	}
	load(k);
	*ret = k;
	return TULLE_OK;
}

struct keeper *
keeper_free(struct keeper *k)
{
	if (k == NULL)
		return NULL;
	timer_clear(k->loop, &k->timer);
	for (size_t i = 0; i < k->n; i++)
		slot_clear(&k->slots[i]);
	free(k->slots);
	buf_free(&k->roots);
	trust_unref(k->trust);
	json_decref(k->cached);
	free(k->file);
	explicit_bzero(k->seal, sizeof(k->seal));
	free(k);
	return NULL;
}

/* ---- telling ---- */

static void
tell(struct keeper *k)
{
	if (!k->changed)
		return;
	k->changed = false;
	k->generation++;
	save(k);
	k->handler->changed(k->arg);
}

/* ---- ordering ---- */

static void
fail(struct keeper *k, struct slot *s, const char *why)
{
	int64_t now = now_ms();
	int64_t wait;

	s->ordered = false;
	s->next_key = key_unref(s->next_key);
	s->failures++;
	wait = renew_retry(s->failures, s->current != NULL ? s->end - s->issued : 0, s->end - now, draw());
	s->retry_at = now + wait;
	(void)snprintf(s->failure, sizeof(s->failure), "%s", why);
	LOG_AT(renew_worth_saying(s->failures) ? LOG_LVL_WARN : LOG_LVL_DEBUG, "no certificate", LF_STR("id", s->id), LF_STR("reason", why), LF_UINT("failures", s->failures),
	    LF_INT("retry_ms", wait));
	(void)k;
}

static void
order(struct keeper *k, struct slot *s)
{
	struct buf csr = buf_new(CSR_MAX);
	enum tulle_err e = key_generate(&s->next_key);

	if (e == TULLE_OK)
		e = issue_request(&csr, s->id, s->next_key);
	s->ordered = true;
	s->ordered_at = now_ms();
	if (e)
		fail(k, s, tulle_strerror(e));
	else
		k->handler->order(k->arg, s->id, s->ttl, buf_head(&csr), buf_len(&csr));
	buf_free(&csr);
}

static void
check_alarm(struct slot *s, int64_t now)
{
	enum renew_alarm a = renew_alarm(s->issued, s->end, now);

	if (a <= s->alarm) {
		s->alarm = a;
		return;
	}
	s->alarm = a;
	LOG_AT(a >= RENEW_10 ? LOG_LVL_ERROR : a >= RENEW_20 ? LOG_LVL_WARN : LOG_LVL_NOTICE, "a certificate is not renewed",
	    LF_STR("id", s->id), LF_STR("serial", s->current->facts.serial), LF_STR("alarm", renew_alarm_text(a)),
	    LF_INT("remaining", (s->end - now) / 1000), LF_STR("reason", s->failure));
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* All that is due: orders, retries, alarms, expiry.  Sets the timer for what is due next. */
static void
look(struct keeper *k)
{
	int64_t now = now_ms(), next = now + LOOK_AGAIN;

	for (size_t i = 0; i < k->n; i++) {
		struct slot *s = &k->slots[i];

		if (s->current != NULL) {
			bool was = s->alarm == RENEW_EXPIRED;

			check_alarm(s, now);
			if (s->alarm == RENEW_EXPIRED && !was)
				k->changed = true; /* it is not handed out any more */
		}
		if (s->ordered && now - s->ordered_at > ANSWER_MAX)
			fail(k, s, "the source did not answer");
		if (!s->ordered && now >= s->retry_at && (s->current == NULL || now >= s->renew_at))
			order(k, s);
		now = now_ms();
		if (s->current != NULL)
			next = sooner(next, renew_alarm_next(s->issued, s->end, now));
		if (!s->ordered) {
			int64_t at = s->current == NULL ? now : s->renew_at;

			next = sooner(next, at > s->retry_at ? at : s->retry_at);
		}
	}
	timer_set(k->loop, &k->timer, next > now ? (uint64_t)(next - now) : 1, due);
	tell(k);
}

void
keeper_kick(struct keeper *k)
{
	for (size_t i = 0; i < k->n; i++)
		k->slots[i].retry_at = 0;
	look(k);
}

void
keeper_renew_all(struct keeper *k)
{
	for (size_t i = 0; i < k->n; i++)
		k->slots[i].renew_at = k->slots[i].retry_at = 0;
	look(k);
}

void
keeper_fail(struct keeper *k, const char *id, const char *why)
{
	struct slot *s = find_id(k, id);

	if (s == NULL || !s->ordered)
		return; /* not wanted any more */
	fail(k, s, why);
	timer_set(k->loop, &k->timer, 1, due);
}

/* Does the chain lead from a good leaf to our own roots? */
static enum svid_reason
verify(struct keeper *k, const struct identity *id)
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
	struct buf key = buf_new(CSR_MAX);
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
	why = strcmp(id->facts.id, s->id) != 0 ? SVID_UNEXPECTED_ID : verify(k, id);
	if (why != SVID_OK) {
		identity_unref(id);
		return why;
	}
	*ret = id;
	return SVID_OK;
}

static void
install(struct keeper *k, struct slot *s, struct identity *id, int64_t issued, int64_t renew)
{
	identity_unref(s->current);
	s->current = id;
	s->issued = issued;
	s->end = id->facts.not_after * 1000;
	s->renew_at = renew != 0 ? renew : renew_at(issued, s->end, draw());
	s->alarm = RENEW_FINE;
	s->failures = 0;
	s->failure[0] = '\0';
	s->retry_at = 0;
	k->changed = true;
}

enum tulle_err
keeper_deliver(struct keeper *k, const char *id, const uint8_t *chain, size_t len)
{
	struct slot *s = find_id(k, id);
	struct identity *fresh = NULL;
	enum svid_reason why;

	if (s == NULL || !s->ordered)
		return TULLE_OK;
	why = make(k, s, chain, len, &fresh);
	if (why != SVID_OK) {
		log_error("a certificate from the source is not good; the old one stays", LF_STR("id", id),
		    LF_STR("rule", svid_reason_name(why)), LF_STR("reason", svid_reason_phrase(why)));
		fail(k, s, svid_reason_phrase(why));
		timer_set(k->loop, &k->timer, 1, due);
		return TULLE_EINVAL;
	}
	s->ordered = false;
	s->next_key = key_unref(s->next_key);
	log_notice(s->current == NULL ? "identity obtained" : "identity renewed", LF_STR("id", id),
	    LF_STR("serial", fresh->facts.serial),
	    LF_STR("previous_serial", s->current == NULL ? NULL : s->current->facts.serial),
	    LF_INT("not_after", fresh->facts.not_after));
	install(k, s, fresh, now_ms(), 0);
	timer_set(k->loop, &k->timer, 1, due);
	return TULLE_OK;
}

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

/* ---- what is wanted ---- */

/* What the cache has for it, if that is still good: the restart of an hour ago shall not be noticed. */
static void
from_cache(struct keeper *k, struct slot *s)
{
	const json_t *value = json_object_get(k->cached, s->id);
	struct identity *id;
	int64_t issued, renew;

	if (value == NULL || cache_identity_read(value, &id, &issued, &renew) != TULLE_OK)
		return;
	if (strcmp(id->facts.id, s->id) != 0 || id->facts.not_after * 1000 <= now_ms() || verify(k, id) != SVID_OK) {
		identity_unref(id);
		return;
	}
	log_info("identity from the cache", LF_STR("id", s->id), LF_STR("serial", id->facts.serial),
	    LF_INT("not_after", id->facts.not_after));
	install(k, s, id, issued, renew);
}

static enum tulle_err
slot_init(struct slot *s, const char *td, const struct keeper_wanted *w)
{
	char id[SPIFFE_ID_MAX + 1];
	enum tulle_err e = spiffe_build(id, sizeof(id), td, w->ns, w->sa);

	if (e)
		return TULLE_EINVAL;
	s->ns = strdup(w->ns);
	s->sa = strdup(w->sa);
	s->id = strdup(id);
	s->ttl = w->ttl;
	return s->ns == NULL || s->sa == NULL || s->id == NULL ? TULLE_ENOMEM : TULLE_OK;
}

/* Takes over what an old slot of the same identity has. */
static void
slot_inherit(struct slot *s, struct slot *old)
{
	s->current = PTR_TAKE(old->current);
	s->next_key = PTR_TAKE(old->next_key);
	s->issued = old->issued;
	s->end = old->end;
	s->renew_at = s->ttl == old->ttl ? old->renew_at : 0; /* another length: at once */
	s->retry_at = old->retry_at;
	s->failures = old->failures;
	memcpy(s->failure, old->failure, sizeof(s->failure));
	s->ordered = old->ordered;
	s->ordered_at = old->ordered_at;
	s->alarm = old->alarm;
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
		struct slot *old = find_id(k, slots[i].id);

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
	look(k);
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
		if (k->slots[i].current != NULL && verify(k, k->slots[i].current) == SVID_UNKNOWN_CA)
			drop(&k->slots[i]);
	k->changed = true;
	timer_set(k->loop, &k->timer, 1, due);
	return TULLE_OK;
}

/* ---- looking ---- */

size_t
keeper_slots(const struct keeper *k)
{
	return k->n;
}

const struct slot *
keeper_slot(const struct keeper *k, size_t i)
{
	return &k->slots[i];
}

const struct slot *
keeper_find(const struct keeper *k, const char *ns, const char *sa)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->slots[i].ns, ns) == 0 && strcmp(k->slots[i].sa, sa) == 0)
			return &k->slots[i];
	return NULL;
}

struct der
keeper_bundle(const struct keeper *k)
{
	return k->roots.len == 0 ? (struct der){ 0 } : (struct der){ buf_head(&k->roots), buf_len(&k->roots) };
}

const char *
keeper_td(const struct keeper *k)
{
	return k->td[0] != '\0' ? k->td : NULL;
}

uint64_t
keeper_generation(const struct keeper *k)
{
	return k->generation;
}

json_t *
keeper_status(const struct keeper *k)
{
	json_t *list = json_array();
	int64_t now = now_ms();

	for (size_t i = 0; i < k->n; i++) {
		const struct slot *s = &k->slots[i];
		json_t *o = json_pack("{ss sb si ss}", "id", s->id, "usable", slot_usable(s, now), "failures",
		    (int)s->failures, "failure", s->failure);

		if (s->current != NULL)
			(void)json_object_update_new(o,
			    json_pack("{ss sI sI sI sI ss*}", "serial", s->current->facts.serial, "not_after",
			        (json_int_t)(s->end / 1000), "remaining", (json_int_t)((s->end - now) / 1000), "issued",
			        (json_int_t)(s->issued / 1000), "renew_in", (json_int_t)((s->renew_at - now) / 1000), "alarm",
			        renew_alarm_text(s->alarm)));
		(void)json_array_append_new(list, o);
	}
	return list;
}
