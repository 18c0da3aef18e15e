/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "authority/authority.h"
#include "authority/ttl.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "config.h"
#include "serve/answer.h"
#include "serve/message.h"
#include "tls/context.h"
#include "tls/issue.h"
#include "unit.h"

#define TD "keeper.test"

enum source_mood { SOURCE_GOOD, SOURCE_AWAY, SOURCE_SILENT, SOURCE_EVIL };

/* A keeper on a loop with an authority behind it that can misbehave. */
static struct fixture {
	char *dir;
	struct loop *loop;
	struct store *store;
	struct authority *authority;
	struct keeper *keeper;
	enum source_mood mood;
	int orders, changes;
} fx;

static const uint8_t seal[32] = { 42 };

static void
order(void *arg, const char *id, int64_t ttl, const uint8_t *csr, size_t len)
{
	struct fixture *f = arg;
	struct buf chain = buf_new(DER_CHAIN_MAX);
	struct issue_request r;
	struct svid_facts facts;

	f->orders++;
	ck_assert_int_eq(issue_request_read(&r, csr, len), TULLE_OK);
	ck_assert_str_eq(r.uri, id);
	if (f->mood == SOURCE_AWAY)
		keeper_fail(f->keeper, id, "away");
	if (f->mood == SOURCE_AWAY || f->mood == SOURCE_SILENT)
		return;
	ck_assert_int_eq(authority_sign(f->authority,
	                     &(struct authority_order){ .id = f->mood == SOURCE_EVIL ? "spiffe://" TD "/ns/other/sa/other" : id,
	                         .public_key = r.public_key, .public_key_len = r.public_key_len, .ttl = ttl },
	                     clock_wall_sec(), &chain, &facts),
	    TULLE_OK);
	ck_assert_int_eq(keeper_deliver(f->keeper, id, buf_head(&chain), buf_len(&chain)),
	    f->mood == SOURCE_EVIL ? TULLE_EINVAL : TULLE_OK);
	buf_free(&chain);
}

static void
changed(void *arg)
{
	((struct fixture *)arg)->changes++;
}

static const struct keeper_handler handler = { order, changed };

static void
open_keeper(void)
{
	struct der roots = authority_roots(fx.authority);

	ck_assert_int_eq(keeper_new(&fx.keeper, fx.loop, scratch_path(fx.dir, "svids"), seal, &handler, &fx), TULLE_OK);
	ck_assert_int_eq(keeper_roots(fx.keeper, TD, roots.p, roots.len), TULLE_OK);
}

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	memset(&fx, 0, sizeof(fx));
	fx.dir = scratch_new();
	ck_assert_int_eq(loop_new(&fx.loop), TULLE_OK);
	ck_assert_int_eq(store_open(&fx.store, fx.dir), TULLE_OK);
	ck_assert_int_eq(authority_open(&fx.authority, fx.store, fx.dir, TD), TULLE_OK);
	ck_assert_int_eq(authority_create(fx.authority, clock_wall_sec()), TULLE_OK);
	(void)authority_advance(fx.authority, TTL_DAY, clock_wall_sec());
	open_keeper();
}

static void
tear_down(void)
{
	keeper_free(fx.keeper);
	authority_close(fx.authority);
	store_close(fx.store);
	loop_free(fx.loop);
	scratch_free(fx.dir);
}

static void
want(const char *sa, int64_t ttl)
{
	ck_assert_int_eq(keeper_want(fx.keeper, TD, &(struct keeper_wanted){ "shop", sa, ttl }, sa == NULL ? 0 : 1), TULLE_OK);
}

static void
spin(int ms)
{
	uint64_t until = clock_mono_ms() + (uint64_t)ms;

	while (clock_mono_ms() < until)
		ck_assert_int_eq(loop_tick(fx.loop, 10), TULLE_OK);
}

static const struct slot *
slot(void)
{
	const struct slot *s = keeper_find(fx.keeper, "shop", "cart");

	ck_assert_ptr_nonnull(s);
	return s;
}

static int64_t
now_ms(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_MS);
}

static char *
serial(void)
{
	ck_assert(slot_usable(slot(), now_ms()));
	return strdup(slot()->current->facts.serial);
}

START_TEST(what_is_wanted_is_there_at_once)
{
	set_up();
	want("cart", 3600);
	ck_assert_int_eq(fx.orders, 1);
	ck_assert(slot_usable(slot(), now_ms()));
	ck_assert(!slot_usable(slot(), slot()->end));
	ck_assert_str_eq(slot()->current->hint, "shop/cart");
	ck_assert_int_ge(slot()->renew_at, slot()->issued + 3600 * 440);
	ck_assert_int_le(slot()->renew_at, slot()->issued + 3600 * 560);
	spin(30);
	ck_assert_int_eq(fx.orders, 1);
	ck_assert_ptr_null(keeper_find(fx.keeper, "shop", "other"));
	tear_down();
}
END_TEST

START_TEST(a_restart_takes_it_from_the_cache)
{
	char *before, *after;

	set_up();
	want("cart", 3600);
	before = serial();
	keeper_free(fx.keeper);
	fx.mood = SOURCE_AWAY;
	open_keeper();
	want("cart", 3600);
	after = serial();
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(fx.orders, 1);
	free(before);
	free(after);
	tear_down();
}
END_TEST

START_TEST(a_cache_that_was_touched_is_not_used)
{
	char *data;
	size_t len;

	set_up();
	want("cart", 3600);
	keeper_free(fx.keeper);
	ck_assert_int_eq(file_read(scratch_path(fx.dir, "svids"), 1 << 20, &data, &len), TULLE_OK);
	data[len / 2] ^= 1;
	ck_assert_int_eq(file_replace(scratch_path(fx.dir, "svids"), data, len, 0600), TULLE_OK);
	free(data);
	open_keeper();
	want("cart", 3600);
	ck_assert_int_eq(fx.orders, 2);
	ck_assert(slot_usable(slot(), now_ms()));
	tear_down();
}
END_TEST

START_TEST(a_failure_keeps_what_is_there)
{
	char *before, *after;

	set_up();
	want("cart", 3600);
	before = serial();
	fx.mood = SOURCE_AWAY;
	keeper_renew_all(fx.keeper);
	ck_assert_int_eq(fx.orders, 2);
	after = serial();
	ck_assert_str_eq(before, after);
	free(after);
	ck_assert_uint_eq(slot()->failures, 1);
	ck_assert_str_eq(slot()->failure, "away");
	fx.mood = SOURCE_EVIL; /* a certificate for somebody else */
	keeper_kick(fx.keeper);
	ck_assert_int_eq(fx.orders, 3);
	after = serial();
	ck_assert_str_eq(before, after);
	free(after);
	fx.mood = SOURCE_GOOD;
	keeper_kick(fx.keeper);
	after = serial();
	ck_assert_str_ne(before, after);
	ck_assert_uint_eq(slot()->failures, 0);
	free(before);
	free(after);
	tear_down();
}
END_TEST

START_TEST(failures_are_tried_again_by_themselves)
{
	set_up();
	fx.mood = SOURCE_AWAY;
	want("cart", 3600);
	ck_assert(!slot_usable(slot(), now_ms()));
	spin(1200); /* the first two retries come within a second each */
	ck_assert_int_ge(fx.orders, 2);
	fx.mood = SOURCE_GOOD;
	keeper_kick(fx.keeper);
	ck_assert(slot_usable(slot(), now_ms()));
	tear_down();
}
END_TEST

START_TEST(an_order_under_way_is_not_given_twice)
{
	set_up();
	fx.mood = SOURCE_SILENT;
	want("cart", 3600);
	keeper_kick(fx.keeper);
	keeper_kick(fx.keeper);
	want("cart", 3600);
	ck_assert_int_eq(fx.orders, 1);
	ck_assert_int_eq(keeper_deliver(fx.keeper, "spiffe://" TD "/ns/shop/sa/none", (const uint8_t *)"x", 1), TULLE_OK);
	keeper_fail(fx.keeper, "spiffe://" TD "/ns/shop/sa/none", "x");
	tear_down();
}
END_TEST

START_TEST(a_wish_that_ends_drops_the_identity)
{
	json_t *status;

	set_up();
	want("cart", 3600);
	want(NULL, 0);
	ck_assert_uint_eq(keeper_slots(fx.keeper), 0);
	ck_assert_int_eq(keeper_want(fx.keeper, TD, &(struct keeper_wanted){ "no/slash", "x", 60 }, 1), TULLE_EINVAL);
	want("cart", 3600);
	ck_assert_int_eq(fx.orders, 2);
	want("cart", 1800); /* another length: renewed at once */
	ck_assert_int_eq(fx.orders, 3);
	status = keeper_status(fx.keeper);
	ck_assert_uint_eq(json_array_size(status), 1);
	ck_assert(json_is_true(json_object_get(json_array_get(status, 0), "usable")));
	json_decref(status);
	tear_down();
}
END_TEST

START_TEST(another_root_makes_everything_new)
{
	struct authority *first;
	struct store *first_store;
	char *dir, *before, *after;
	struct der roots;

	set_up();
	want("cart", 3600);
	before = serial();
	first = fx.authority;
	first_store = fx.store;
	dir = scratch_new();
	ck_assert_int_eq(store_open(&fx.store, dir), TULLE_OK);
	ck_assert_int_eq(authority_open(&fx.authority, fx.store, dir, TD), TULLE_OK);
	ck_assert_int_eq(authority_create(fx.authority, clock_wall_sec()), TULLE_OK);
	(void)authority_advance(fx.authority, TTL_DAY, clock_wall_sec());
	roots = authority_roots(fx.authority);
	ck_assert_int_eq(keeper_roots(fx.keeper, TD, roots.p, roots.len), TULLE_OK);
	spin(30);
	after = serial();
	ck_assert_str_ne(before, after);
	ck_assert_int_eq(keeper_roots(fx.keeper, TD, (const uint8_t *)"junk", 4), TULLE_EINVAL);
	free(before);
	free(after);
	authority_close(first);
	store_close(first_store);
	tear_down();
	scratch_free(dir);
}
END_TEST

START_TEST(expiry_is_told_and_alarmed)
{
	int changes;

	set_up();
	/* Not a lifetime that anybody may ask for, but a test should not take ten seconds. */
	want("cart", 2);
	fx.mood = SOURCE_AWAY;
	changes = fx.changes;
	spin(2300);
	ck_assert(!slot_usable(slot(), now_ms()));
	ck_assert_int_eq(slot()->alarm, RENEW_EXPIRED);
	ck_assert_int_gt(fx.changes, changes);
	tear_down();
}
END_TEST

/* ---- config.h and answer.h: from the files to the answer ---- */

static void
write_config(const char *name, const char *text)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/etc/tulle", fx.dir);
	ck_assert_int_eq(file_mkdirs(path, 0755), TULLE_OK);
	(void)snprintf(path, sizeof(path), "%s/etc/tulle/%s", fx.dir, name);
	ck_assert_int_eq(file_replace(path, text, strlen(text), 0644), TULLE_OK);
}

static struct config *
read_config(void)
{
	struct buf problems = buf_new(65536);
	struct config *c = NULL;

	ck_assert_int_eq(config_read(&c, &problems), TULLE_OK);
	buf_free(&problems);
	return c;
}

START_TEST(the_answer_follows_the_rules)
{
	static struct answer a;
	struct facts relay = { .uid = 4002 }, web = { .uid = 33, .unit = "web.service" }, other = { .uid = 5 };
	struct buf message = buf_new(MESSAGE_MAX);
	struct config *c;

	set_up();
	ck_assert_int_eq(paths_init(fx.dir), TULLE_OK);
	write_config("tulle.yaml", "trustDomain: " TD "\nidentity: {default: ns/default/sa/host}\nusers: {relayd: \"4002\"}\n");
	write_config("identities.yaml",
	    "- {serviceAccount: shop/cart, match: {uid: \"33\"}}\n- {serviceAccount: shop/jobs, match: {uid: \"33\", unit: web.service}, "
	    "ttl: 1h}\n- {serviceAccount: shop/cart, match: {unit: web.service}, ttl: 2h}\n");
	c = read_config();
	ck_assert(c->td_given);
	ck_assert_uint_eq(c->n_wanted, 3);
	ck_assert_str_eq(c->wanted[0].sa, "host");
	ck_assert_int_eq(c->wanted[1].ttl, 7200); /* the shorter of two */
	ck_assert_int_eq(c->ttl_max, 24 * 3600);

	answer_choose(&a, c, fx.keeper, &web, now_ms()); /* nothing is there yet */
	ck_assert_int_eq(a.kind, ANSWER_UNAVAILABLE);
	ck_assert_int_eq(keeper_want(fx.keeper, TD, c->wanted, c->n_wanted), TULLE_OK);
	answer_choose(&a, c, fx.keeper, &relay, now_ms());
	ck_assert_int_eq(a.kind, ANSWER_SVIDS);
	ck_assert_uint_eq(a.n, 3);
	ck_assert_str_eq(a.slots[0]->sa, "host");
	ck_assert_int_eq(message_svids(&message, &a, fx.keeper), TULLE_OK);
	ck_assert_uint_gt(buf_len(&message), 3000);
	buf_wipe(&message);
	ck_assert_int_eq(message_bundles(&message, fx.keeper), TULLE_OK);
	ck_assert_uint_gt(buf_len(&message), 300);
	buf_free(&message);
	answer_choose(&a, c, fx.keeper, &web, now_ms());
	ck_assert_uint_eq(a.n, 2); /* cart once, though two entries give it */
	answer_choose(&a, c, fx.keeper, &other, now_ms());
	ck_assert_int_eq(a.kind, ANSWER_DENIED);
	ck_assert_ptr_nonnull(strstr(a.why, "none of 3 entries"));
	answer_choose(&a, c, fx.keeper, &web, now_ms() + 25 * 3600 * 1000);
	ck_assert_int_eq(a.kind, ANSWER_UNAVAILABLE);
	config_free(c);

	write_config("identities.yaml", "");
	write_config("tulle.yaml", "users: {relayd: \"4002\"}\n");
	c = read_config();
	ck_assert(!c->td_given);
	answer_choose(&a, c, fx.keeper, &relay, now_ms());
	ck_assert_int_eq(a.kind, ANSWER_DENIED);
	config_free(c);
	tear_down();
}
END_TEST

START_TEST(mistakes_in_the_files_have_their_place)
{
	struct buf problems = buf_new(65536);
	struct config *c = NULL;

	set_up();
	ck_assert_int_eq(paths_init(fx.dir), TULLE_OK);
	write_config("tulle.yaml", "trustDomain: " TD "\n");
	write_config("identities.yaml", "\n- {serviceAccount: a/b, match: {uid: no-such-user}}\n");
	ck_assert_int_eq(config_read(&c, &problems), TULLE_EINVAL);
	ck_assert_ptr_nonnull(memmem(buf_head(&problems), buf_len(&problems), "identities.yaml:2:", 18));
	ck_assert_ptr_null(c);
	buf_free(&problems);
	tear_down();
}
END_TEST

UNIT_MAIN("certd/keeper", what_is_wanted_is_there_at_once, a_restart_takes_it_from_the_cache,
    a_cache_that_was_touched_is_not_used, a_failure_keeps_what_is_there, failures_are_tried_again_by_themselves,
    an_order_under_way_is_not_given_twice, a_wish_that_ends_drops_the_identity, another_root_makes_everything_new,
    expiry_is_told_and_alarmed, the_answer_follows_the_rules, mistakes_in_the_files_have_their_place)
