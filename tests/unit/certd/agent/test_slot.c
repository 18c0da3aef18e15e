/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/slot.h"

#include <string.h>

#include "unit.h"

static const struct keeper_wanted cart = { "shop", "cart", 60 };

START_TEST(a_slot_is_named_by_namespace_and_account)
{
	struct slot s = { 0 };

	ck_assert_int_eq(slot_init(&s, "mesh.example", &cart), TULLE_OK);
	ck_assert_str_eq(s.id, "spiffe://mesh.example/ns/shop/sa/cart");
	ck_assert(!slot_usable(&s, 0));
	slot_clear(&s);
	ck_assert_ptr_null(s.id);
	ck_assert_int_eq(slot_init(&s, "mesh.example", &(struct keeper_wanted){ "shop", "a/b", 60 }), TULLE_EINVAL);
	slot_clear(&s);
}
END_TEST

START_TEST(what_an_old_slot_had_is_kept_and_another_length_renews_at_once)
{
	struct slot old = { .ttl = 60, .issued = 1000, .end = 61000, .renew_at = 31000, .failures = 3, .failure = "no", .ordered = true };
	struct slot same = { .ttl = 60 }, other = { .ttl = 90 };

	slot_inherit(&other, &old);
	ck_assert_int_eq(other.renew_at, 0);
	ck_assert_int_eq(other.ttl, 90);
	slot_inherit(&same, &old);
	ck_assert_int_eq(same.renew_at, 31000);
	ck_assert_int_eq(same.end, 61000);
	ck_assert_uint_eq(same.failures, 3);
	ck_assert_str_eq(same.failure, "no");
	ck_assert(same.ordered);
}
END_TEST

START_TEST(the_status_of_an_empty_slot_says_why)
{
	struct slot s = { .failures = 2, .failure = "the authority is away" };
	json_t *o;

	ck_assert_int_eq(slot_init(&s, "mesh.example", &cart), TULLE_OK);
	o = slot_status(&s, 5000);
	ck_assert(json_is_false(json_object_get(o, "usable")));
	ck_assert_int_eq(json_integer_value(json_object_get(o, "failures")), 2);
	ck_assert_str_eq(json_string_value(json_object_get(o, "failure")), "the authority is away");
	ck_assert_ptr_null(json_object_get(o, "serial"));
	json_decref(o);
	slot_clear(&s);
}
END_TEST

UNIT_MAIN("slot", a_slot_is_named_by_namespace_and_account, what_an_old_slot_had_is_kept_and_another_length_renews_at_once,
    the_status_of_an_empty_slot_says_why)
