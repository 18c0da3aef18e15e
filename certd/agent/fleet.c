/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "agent/fleet_intern.h"
#include "base/cleanup.h"
#include "base/clock.h"

/* ---- what is due ---- */

int64_t
fleet_now_ms(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_MS);
}

static void look(struct fleet *f);

static void
due(struct timer *t)
{
	look(CONTAINER_OF(t, struct fleet, tick));
}

void
fleet_soon(struct fleet *f)
{
	timer_set(f->loop, &f->tick, 1, due);
}

static bool
node_expired(const struct fleet *f)
{
	return f->node.identity->facts.not_after * 1000 <= fleet_now_ms();
}

static void
start_renewal(struct fleet *f)
{
	bool late = node_expired(f);
	enum tulle_err e = TULLE_OK;

	if (late && f->client != NULL && f->purpose != FOR_LATE)
		fleet_hang_up(f);
	f->renewing = true;
	if (f->client == NULL)
		e = fleet_dial(f, late ? FOR_LATE : FOR_WORK);
	else if (late)
		e = fleet_ask_renewal(f, true);
	if (e == TULLE_OK && !late)
		e = fleet_ask_renewal(f, false);
	if (e)
		fleet_renewal_failed(f, tulle_strerror(e));
}

static void
start_signing(struct fleet *f)
{
	enum tulle_err e = TULLE_OK;

	if (f->client != NULL && f->purpose != FOR_WORK)
		fleet_hang_up(f);
	if (f->client == NULL)
		e = fleet_dial(f, FOR_WORK);
	if (e == TULLE_OK)
		e = fleet_ask_certificates(f);
	if (e) {
		fleet_fail_orders(f, &f->asked, tulle_strerror(e));
		fleet_fail_orders(f, &f->waiting, tulle_strerror(e));
	}
}

/* A pod whose certificate has expired has a better proof than its old key. */
static bool
joins_instead(struct fleet *f)
{
	char *jwt = node_expired(f) ? fleet_auto_jwt(f) : NULL;

	if (jwt == NULL)
		return false;
	explicit_bzero(jwt, strlen(jwt));
	free(jwt);
	f->self.again = true;
	return true;
}

static void
look(struct fleet *f)
{
	int64_t now = fleet_now_ms(), next = 30000, manifests;

	if (f->dead)
		fleet_hang_up(f);
	if (fleet_auto_due(f, now))
		fleet_auto_start(f);
	if (!f->joining && f->node.joined) {
		bool renew = now >= f->node.renew_at || node_expired(f);

		if (renew && !f->renewing && now >= f->retry_at && TAILQ_EMPTY(&f->asked) && !f->self.again && !joins_instead(f))
			start_renewal(f);
		if (!f->renewing && node_expired(f))
			fleet_fail_orders(f, &f->waiting, f->error[0] != '\0' ? f->error : "the node's certificate has expired");
		else if (!f->renewing && TAILQ_EMPTY(&f->asked) && !TAILQ_EMPTY(&f->waiting))
			start_signing(f);
		if (!f->renewing) {
			int64_t at = f->node.renew_at > f->retry_at ? f->node.renew_at : f->retry_at;

			if (at - now < next)
				next = at > now ? at - now : 10;
		}
		manifests = fleet_look_at_manifests(f, now, !f->renewing && !node_expired(f));
		if (manifests - now < next)
			next = manifests > now ? manifests - now : 10;
	} else if (!f->joining) {
		fleet_fail_orders(f, &f->waiting, "this host has not joined yet");
	}
	if (f->self.host != NULL && (!f->node.joined || f->self.again) && f->self.at - now < next)
		next = f->self.at > now ? f->self.at - now : 10;
	/* The callbacks above may have asked for an earlier look. */
	if (!timer_active(&f->tick))
		timer_set(f->loop, &f->tick, (uint64_t)next, due);
}

/* ---- making and looking ---- */

enum tulle_err
fleet_new(struct fleet **ret, struct loop *l, struct store *store, const char *dir, const uint8_t seal[32],
    const struct fleet_handler *h, void *arg)
{
	struct fleet *f = calloc(1, sizeof(*f));
	enum tulle_err e;

	if (f == NULL)
		return TULLE_ENOMEM;
	f->loop = l;
	f->handler = h;
	f->arg = arg;
	TAILQ_INIT(&f->waiting);
	TAILQ_INIT(&f->asked);
	e = node_load(&f->node, store, dir, seal);
	if (e) {
		free(f);
		return e;
	}
	fleet_soon(f);
	*ret = f;
	return TULLE_OK;
}

struct fleet *
fleet_free(struct fleet *f)
{
	if (f == NULL)
		return NULL;
	timer_clear(f->loop, &f->tick);
	f->client = grpc_client_free(f->client);
	fleet_fail_orders(f, &f->waiting, NULL);
	fleet_fail_orders(f, &f->asked, NULL);
	key_unref(f->next);
	node_unload(&f->node);
	fleet_auto_clear(f);
	fleet_forget_token(f);
	explicit_bzero(&f->token, sizeof(f->token));
	free(f);
	return NULL;
}

bool
fleet_is_member(const struct fleet *f)
{
	return f->node.joined;
}

const char *
fleet_td(const struct fleet *f)
{
	return f->node.joined ? f->node.td : NULL;
}

struct der
fleet_roots(const struct fleet *f)
{
	return (struct der){ buf_head(&f->node.roots), buf_len(&f->node.roots) };
}

const json_t *
fleet_accounts(const struct fleet *f)
{
	return f->node.accounts;
}

char *
fleet_authority(const struct fleet *f, char out[ADDR_TEXT])
{
	return addr_format(&f->node.authority, out);
}

json_t *
fleet_status(const struct fleet *f)
{
	char where[ADDR_TEXT];
	json_t *o;

	if (!f->node.joined)
		return json_pack("{sb sb ss sI ss sI sb}", "joined", 0, "by_itself", f->self.host != NULL, "failure", f->self.failure,
		    "failures", (json_int_t)f->self.failures, "join_failure", f->join_error, "clock_skew", (json_int_t)f->skew,
		    "clock_skew_at_least", f->skew_at_least);
	o = json_pack("{sb ss ss ss sI sI ss sI sb}", "joined", 1, "authority", addr_format(&f->node.authority, where), "node",
	    f->node.identity->facts.id, "serial", f->node.identity->facts.serial, "remaining",
	    (json_int_t)(f->node.identity->facts.not_after - clock_wall_sec()), "last_success", (json_int_t)f->last_success,
	    "failure", f->error, "clock_skew", (json_int_t)f->skew,
	    "clock_skew_at_least", f->skew_at_least);
	(void)json_object_set(o, "accounts", f->node.accounts);
	return o;
}
