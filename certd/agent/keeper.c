/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cache.h"
#include "agent/keeper_intern.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/store.h"
#include "tls/issue.h"

/* The wall clock may jump: look at it this often, whatever is due (milliseconds). */
#define LOOK_AGAIN 30000
#define ANSWER_MAX 60000 /* ms: an order without an answer has failed */
#define CSR_MAX 16384

int64_t
keeper_now_ms(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_MS);
}

uint32_t
keeper_draw(void)
{
	uint32_t r = 0;

	(void)crypt_random(&r, sizeof(r));
	return r;
}

struct slot *
keeper_find_id(struct keeper *k, const char *id)
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

static void
due(struct timer *t)
{
	keeper_look(CONTAINER_OF(t, struct keeper, timer));
}

void
keeper_soon(struct keeper *k)
{
	timer_set(k->loop, &k->timer, 1, due);
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

void
keeper_order_failed(struct slot *s, const char *why)
{
	int64_t now = keeper_now_ms();
	int64_t wait;

	s->ordered = false;
	s->next_key = key_unref(s->next_key);
	s->failures++;
	wait = renew_retry(s->failures, s->current != NULL ? s->end - s->issued : 0, s->end - now, keeper_draw());
	s->retry_at = now + wait;
	(void)snprintf(s->failure, sizeof(s->failure), "%s", why);
	LOG_AT(renew_worth_saying(s->failures) ? LOG_LVL_WARN : LOG_LVL_DEBUG, "no certificate", LF_STR("id", s->id), LF_STR("reason", why), LF_UINT("failures", s->failures),
	    LF_INT("retry_ms", wait));
}

static void
order(struct keeper *k, struct slot *s)
{
	struct buf csr = buf_new(CSR_MAX);
	enum tulle_err e = key_generate(&s->next_key);

	if (e == TULLE_OK)
		e = issue_request(&csr, s->id, s->next_key);
	s->ordered = true;
	s->ordered_at = keeper_now_ms();
	if (e)
		keeper_order_failed(s, tulle_strerror(e));
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

/* Sets the timer for what is due next. */
void
keeper_look(struct keeper *k)
{
	int64_t now = keeper_now_ms(), next = now + LOOK_AGAIN;

	for (size_t i = 0; i < k->n; i++) {
		struct slot *s = &k->slots[i];

		if (s->current != NULL) {
			bool was = s->alarm == RENEW_EXPIRED;

			check_alarm(s, now);
			if (s->alarm == RENEW_EXPIRED && !was)
				k->changed = true; /* it is not handed out any more */
		}
		if (s->ordered && now - s->ordered_at > ANSWER_MAX)
			keeper_order_failed(s, "the source did not answer");
		if (!s->ordered && now >= s->retry_at && (s->current == NULL || now >= s->renew_at))
			order(k, s);
		now = keeper_now_ms();
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
	keeper_look(k);
}

void
keeper_renew_all(struct keeper *k)
{
	for (size_t i = 0; i < k->n; i++)
		k->slots[i].renew_at = k->slots[i].retry_at = 0;
	keeper_look(k);
}

void
keeper_fail(struct keeper *k, const char *id, const char *why)
{
	struct slot *s = keeper_find_id(k, id);

	if (s == NULL || !s->ordered)
		return; /* not wanted any more */
	keeper_order_failed(s, why);
	keeper_soon(k);
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
	int64_t now = keeper_now_ms();

	for (size_t i = 0; i < k->n; i++)
		(void)json_array_append_new(list, slot_status(&k->slots[i], now));
	return list;
}
