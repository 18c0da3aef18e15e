/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Join tokens as the authority keeps them; redeeming one is test_members.c's. */
#include <stdio.h>
#include <string.h>

#include "../scratch.h"
#include "authority/members.h"
#include "base/log.h"
#include "tls/context.h"
#include "unit.h"

#define NOW INT64_C(1800000000)

static const uint8_t pin[TOKEN_PIN] = { 7 };
static struct store *store;
static char *dir;

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	dir = scratch_new();
	ck_assert_int_eq(store_open(&store, dir), TULLE_OK);
}

static void
tear_down(void)
{
	store_close(store);
	scratch_free(dir);
}

static struct token_order
order(const char *const *accounts, size_t n)
{
	struct token_order o = { .accounts = accounts, .n_accounts = n, .ttl = 900, .uses = 1, .creator = 1000 };

	ck_assert_int_eq(addr_parse(&o.authority, "10.0.0.1:15012"), TULLE_OK);
	return o;
}

/* The order is refused, nothing is stored, and <says> is in the reason. */
static void
refused(const struct token_order *o, const char *says)
{
	size_t before = json_object_size(store_table(store, "token"));
	char why[MEMBER_WHY] = "";
	struct token t = { .id = "untouched" };

	ck_assert_int_eq(token_create(store, o, pin, NOW, &t, why), TULLE_EINVAL);
	ck_assert_msg(strstr(why, says) != NULL, "\"%s\" does not say \"%s\"", why, says);
	ck_assert_str_eq(t.id, "untouched");
	ck_assert_uint_eq(json_object_size(store_table(store, "token")), before);
}

static struct token
made(int64_t ttl, int64_t now)
{
	static const char *const account[] = { "shop/db" };
	struct token_order o = order(account, 1);
	char why[MEMBER_WHY] = "";
	struct token t;

	o.ttl = ttl;
	ck_assert_int_eq(token_create(store, &o, pin, now, &t, why), TULLE_OK);
	return t;
}

START_TEST(an_order_that_is_not_right_is_refused_with_the_reason)
{
	static const char *const good[] = { "shop/db", "shop/web" };
	static const char *const bad[][2] = { { "shop/db", "shop" }, { "shop/db", "/db" }, { "shop/db", "shop/" },
		{ "shop/db", "shop/db/x" }, { "shop/db", "shop/d b" }, { "shop/db", "shop/.." }, { "shop/db", "" } };
	const char *many[MEMBER_ACCOUNTS_MAX + 1];
	char shown[16];
	struct token_order o;

	set_up();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o = order(bad[i], 2);
		(void)snprintf(shown, sizeof(shown), "\"%s\"", bad[i][1]);
		refused(&o, shown);
	}
	o = order(good, 0);
	refused(&o, "not 0");
	for (size_t i = 0; i < MEMBER_ACCOUNTS_MAX + 1; i++)
		many[i] = "shop/db";
	o = order(many, MEMBER_ACCOUNTS_MAX + 1);
	refused(&o, "not 257");
	for (int i = 0; i < 4; i++) {
		o = order(good, 2);
		o.ttl = ((const int64_t[]){ TOKEN_TTL_MIN - 1, TOKEN_TTL_MAX + 1, -1, INT64_MAX })[i];
		refused(&o, "good for");
	}
	for (int i = 0; i < 3; i++) {
		o = order(good, 2);
		o.uses = ((const int64_t[]){ 0, -1, TOKEN_USES_MAX + 1 })[i];
		refused(&o, "uses");
	}
	o = order(good, 2);
	o.authority.port = 0;
	refused(&o, "address");
	o = order(good, 2);
	ck_assert_int_eq(addr_parse(&o.authority, "0.0.0.0:15012"), TULLE_OK);
	refused(&o, "address");
	tear_down();
}
END_TEST

START_TEST(the_bounds_themselves_are_good)
{
	static const char *const account[] = { "shop/db" };
	struct token_order o;
	char why[MEMBER_WHY];
	struct token t;

	set_up();
	(void)made(TOKEN_TTL_MIN, NOW);
	(void)made(TOKEN_TTL_MAX, NOW);
	o = order(account, 1);
	o.uses = TOKEN_USES_MAX;
	ck_assert_int_eq(token_create(store, &o, pin, NOW, &t, why), TULLE_OK);
	tear_down();
}
END_TEST

START_TEST(tokens_expire_in_their_second_and_the_next_is_told)
{
	struct token early, late;

	set_up();
	ck_assert_int_eq(tokens_expire(store, NOW), INT64_MAX);
	early = made(60, NOW);
	late = made(600, NOW);
	ck_assert_int_eq(tokens_expire(store, NOW), NOW + 60);
	ck_assert_int_eq(tokens_expire(store, NOW + 59), NOW + 60);
	ck_assert_ptr_nonnull(store_get(store, "token", early.id));
	ck_assert_int_eq(tokens_expire(store, NOW + 60), NOW + 600);
	ck_assert_ptr_null(store_get(store, "token", early.id));
	ck_assert_ptr_nonnull(store_get(store, "token", late.id));
	ck_assert_int_eq(tokens_expire(store, NOW + 10000), INT64_MAX);
	ck_assert_uint_eq(json_object_size(store_table(store, "token")), 0);
	tear_down();
}
END_TEST

START_TEST(so_many_may_be_open_and_expired_ones_do_not_count)
{
	static const char *const account[] = { "shop/db" };
	struct token_order o = order(account, 1);
	char why[MEMBER_WHY] = "";
	struct token t;

	set_up();
	(void)made(60, NOW);
	for (int i = 1; i < TOKENS_MAX; i++)
		(void)made(900, NOW);
	ck_assert_int_eq(token_create(store, &o, pin, NOW + 59, &t, why), TULLE_ELIMIT);
	ck_assert_ptr_nonnull(strstr(why, "1000 tokens are open"));
	ck_assert_int_eq(token_create(store, &o, pin, NOW + 60, &t, why), TULLE_OK);
	ck_assert_int_eq(token_create(store, &o, pin, NOW + 60, &t, why), TULLE_ELIMIT);
	tear_down();
}
END_TEST

START_TEST(a_revoked_token_is_gone_once)
{
	struct token a, b;

	set_up();
	a = made(60, NOW);
	b = made(60, NOW);
	ck_assert_int_eq(token_revoke(store, a.id), TULLE_OK);
	ck_assert_int_eq(token_revoke(store, a.id), TULLE_ENOENT);
	ck_assert_int_eq(token_revoke(store, "no such"), TULLE_ENOENT);
	ck_assert_ptr_nonnull(store_get(store, "token", b.id));
	/* And it stays gone. */
	store_close(store);
	ck_assert_int_eq(store_open(&store, dir), TULLE_OK);
	ck_assert_ptr_null(store_get(store, "token", a.id));
	ck_assert_ptr_nonnull(store_get(store, "token", b.id));
	tear_down();
}
END_TEST

START_TEST(the_status_has_everything_but_the_key)
{
	struct token t;
	json_t *list, *one;
	char *text;

	set_up();
	t = made(60, NOW);
	list = tokens_status(store, NOW + 10);
	ck_assert_uint_eq(json_array_size(list), 1);
	one = json_array_get(list, 0);
	ck_assert_str_eq(json_string_value(json_object_get(one, "id")), t.id);
	ck_assert_int_eq(json_integer_value(json_object_get(one, "remaining")), 50);
	ck_assert_int_eq(json_integer_value(json_object_get(one, "creator")), 1000);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(one, "accounts"), 0)), "shop/db");
	ck_assert_ptr_null(json_object_get(one, "key"));
	/* What was left out for the status is still in the store. */
	ck_assert_ptr_nonnull(json_object_get(store_get(store, "token", t.id), "key"));
	text = json_dumps(list, 0);
	ck_assert_ptr_null(strstr(text, "key"));
	free(text);
	json_decref(list);
	tear_down();
}
END_TEST

UNIT_MAIN("tokens", an_order_that_is_not_right_is_refused_with_the_reason, the_bounds_themselves_are_good,
    tokens_expire_in_their_second_and_the_next_is_told, so_many_may_be_open_and_expired_ones_do_not_count,
    a_revoked_token_is_gone_once, the_status_has_everything_but_the_key)
