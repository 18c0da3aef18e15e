/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decide/owner.h"

#include <string.h>

#include "unit.h"

static struct identities *ids;

static bool
user(void *arg, const char *name, uint32_t *ret_uid)
{
	(void)arg;
	if (strcmp(name, "cart") != 0)
		return false;
	*ret_uid = 100;
	return true;
}

static enum tulle_err
load(const char *yaml)
{
	struct problems problems;
	enum tulle_err e;

	ids = identities_free(ids);
	problems_init(&problems);
	ck_assert_int_eq(identities_parse(&ids, "identities.yaml", yaml, strlen(yaml), &problems), TULLE_OK);
	e = identities_resolve(ids, user, NULL, &problems);
	ck_assert_uint_eq(problems.errors, e == TULLE_OK ? 0 : 1);
	problems_free(&problems);
	return e;
}

/* "default", "?", or the account. */
static const char *
choice(bool uid_known, uint32_t uid, const char *unit)
{
	const struct owner o = { .uid_known = uid_known, .uid = uid, .unit = unit };
	const struct identity_entry *e;

	switch (owner_choose(ids, &o, &e)) {
	case OWNER_ENTRY:
		return e->account;
	case OWNER_DEFAULT:
		ck_assert_ptr_null(e);
		return "default";
	case OWNER_UNDECIDED:
		ck_assert_ptr_nonnull(e);
		return "?";
	}
	return "";
}

#define IS(account, ...) ck_assert_str_eq(choice(__VA_ARGS__), account)

START_TEST(everything_that_is_given_must_fit)
{
	ck_assert_int_eq(load("- {serviceAccount: s/cart, match: {uid: cart}}\n"
	                      "- {serviceAccount: s/web, match: {unit: web.service}}\n"
	                      "- {serviceAccount: s/both, match: {unit: b.service, uid: 7}}\n"),
	    TULLE_OK);
	IS("cart", true, 100, "");
	IS("cart", true, 100, "other.service");
	IS("web", true, 5, "web.service");
	IS("both", true, 7, "b.service");
	IS("default", true, 8, "b.service");
	IS("default", true, 7, "");
	IS("default", true, 0, "");
	ck_assert_str_eq(ids->items[0].path, "ns/s/sa/cart");
}
END_TEST

START_TEST(the_most_specific_goes_first_and_then_the_order)
{
	ck_assert_int_eq(load("- {serviceAccount: s/uid, match: {uid: 7}}\n"
	                      "- {serviceAccount: s/unit, match: {unit: a.service}}\n"
	                      "- {serviceAccount: s/both, match: {unit: a.service, uid: '7'}}\n"
	                      "- {serviceAccount: s/again, match: {unit: a.service}}\n"),
	    TULLE_OK);
	IS("both", true, 7, "a.service");
	IS("unit", true, 8, "a.service");
	IS("uid", true, 7, "b.service");
	ck_assert_ptr_eq(owner_ambiguous(ids, 3), &ids->items[1]);
	ck_assert_ptr_null(owner_ambiguous(ids, 2));
	ck_assert_ptr_null(owner_ambiguous(ids, 1));
}
END_TEST

START_TEST(what_is_unknown_does_not_choose)
{
	ck_assert_int_eq(load("- {serviceAccount: s/uid, match: {uid: 7}}\n"
	                      "- {serviceAccount: s/unit, match: {unit: a.service}}\n"),
	    TULLE_OK);
	IS("?", true, 7, NULL);   /* it may be a.service, which goes before */
	IS("?", true, 8, NULL);   /* or it may not: then it is the default */
	IS("unit", false, 0, "a.service");
	IS("?", false, 0, "b.service");
	IS("?", false, 0, NULL);
	ck_assert_int_eq(load("- {serviceAccount: s/both, match: {uid: 7, unit: a.service}}\n"
	                      "- {serviceAccount: s/uid, match: {uid: 8}}\n"),
	    TULLE_OK);
	IS("uid", true, 8, NULL); /* whatever its unit is */
	IS("default", true, 9, NULL);
	IS("?", true, 7, NULL);
	ck_assert_int_eq(load("- {serviceAccount: s/first, match: {uid: 7}}\n"
	                      "- {serviceAccount: s/other, match: {uid: 7}}\n"),
	    TULLE_OK);
	IS("first", true, 7, NULL);
}
END_TEST

START_TEST(without_entries_all_are_the_default)
{
	ck_assert_int_eq(load(""), TULLE_OK);
	IS("default", true, 7, "a.service");
	IS("default", false, 0, NULL);
	ids = identities_free(ids);
	IS("default", false, 0, NULL);
}
END_TEST

START_TEST(a_user_that_is_not_there_is_a_mistake)
{
	ck_assert_int_eq(load("- {serviceAccount: s/a, match: {uid: nobody-of-that-name}}\n"), TULLE_EINVAL);
	IS("default", true, 0, ""); /* and its entry is nobody's */
}
END_TEST

UNIT_MAIN("owner", everything_that_is_given_must_fit, the_most_specific_goes_first_and_then_the_order,
    what_is_unknown_does_not_choose, without_entries_all_are_the_default, a_user_that_is_not_there_is_a_mistake)
