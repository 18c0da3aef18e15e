/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How what is there compares with what is wanted: one sentence for each way. */
#include <stdio.h>
#include <string.h>

#include "rules/dump.h"
#include "state.h"
#include "unit.h"

#define NONE "00000000000000000000000000000000"
#define RULES "*nat\n:TULLE_OUT - [0:0]\n-A OUTPUT -j TULLE_OUT\n-A TULLE_OUT -o lo -j RETURN\nCOMMIT\n"
#define ANCHOR "*mangle\n:TULLE_ANCHOR - [0:0]\n-A INPUT -j TULLE_ANCHOR\n-A TULLE_ANCHOR -m conntrack --ctstate INVALID"

static struct ruleset *
parsed(const char *text)
{
	struct ruleset *r = NULL;

	ck_assert_int_eq(dump_parse(&r, text, strlen(text)), TULLE_OK);
	return r;
}

/* The condition of <rules> under an anchor with this record; "" leaves the record out. */
static enum condition
condition(const char *rules, const char *record, const char *plan, enum backend b)
{
	struct ruleset *now, *wanted = parsed(ANCHOR "\nCOMMIT\n" RULES);
	char text[1024], why[XTABLES_WHY] = "";
	enum condition c;

	(void)snprintf(text, sizeof(text), ANCHOR "%s%s%s\nCOMMIT\n%s", *record != '\0' ? " -m comment --comment \"" : "", record,
	    *record != '\0' ? "\"" : "", rules);
	now = parsed(text);
	c = state_of(now, wanted, plan, b, why);
	ck_assert_str_ne(why, "");
	ruleset_free(now);
	ruleset_free(wanted);
	return c;
}

static void
record_of(char out[ANCHOR_TEXT], const char *backend, const char *plan)
{
	struct ruleset *r = parsed(ANCHOR "\nCOMMIT\n" RULES);
	char digest[DIGEST_TEXT];

	ruleset_digest(r, digest);
	ruleset_free(r);
	(void)snprintf(out, ANCHOR_TEXT, "tulle:1:%s:%s:%s", backend, plan, digest);
}

START_TEST(as_recorded_and_as_planned_is_equal)
{
	char record[ANCHOR_TEXT];

	record_of(record, "nft", NONE);
	ck_assert_int_eq(condition(RULES, record, NONE, BACKEND_OF_NFT), COND_EQUAL);
}
END_TEST

START_TEST(everything_else_is_drift)
{
	char record[ANCHOR_TEXT];

	record_of(record, "nft", NONE);
	/* changed after the apply */
	ck_assert_int_eq(condition("*nat\n:TULLE_OUT - [0:0]\n-A OUTPUT -j TULLE_OUT\nCOMMIT\n", record, NONE, BACKEND_OF_NFT),
	    COND_DRIFT);
	ck_assert_int_eq(condition("", record, NONE, BACKEND_OF_NFT), COND_DRIFT);
	/* another plan */
	ck_assert_int_eq(condition(RULES, record, "11111111111111111111111111111111", BACKEND_OF_NFT), COND_DRIFT);
	/* another backend's record */
	ck_assert_int_eq(condition(RULES, record, NONE, BACKEND_OF_LEGACY), COND_DRIFT);
	/* not finished; no record; no record that makes sense */
	ck_assert_int_eq(condition(RULES, "tulle:1:nft:" NONE ":pending", NONE, BACKEND_OF_NFT), COND_DRIFT);
	ck_assert_int_eq(condition(RULES, "", NONE, BACKEND_OF_NFT), COND_DRIFT);
	ck_assert_int_eq(condition(RULES, "nonsense", NONE, BACKEND_OF_NFT), COND_DRIFT);
}
END_TEST

START_TEST(another_version_is_residue)
{
	ck_assert_int_eq(condition(RULES, "tulle:2:what it will say", NONE, BACKEND_OF_NFT), COND_RESIDUE);
}
END_TEST

START_TEST(nothing_and_what_a_remove_left_is_absent)
{
	struct ruleset *now = parsed(""), *wanted = parsed(RULES);
	char why[XTABLES_WHY];

	ck_assert_int_eq(state_of(now, wanted, NONE, BACKEND_OF_NFT, why), COND_ABSENT);
	ck_assert_int_eq(condition("*nat\n:TULLE_OUT - [0:0]\n-A TULLE_OUT -o lo -j RETURN\nCOMMIT\n", "", NONE, BACKEND_OF_NFT),
	    COND_ABSENT);
	ruleset_free(now);
	ruleset_free(wanted);
}
END_TEST

START_TEST(a_family_that_is_off_must_only_not_be_hooked)
{
	struct ruleset *off = parsed(""), *hooked = parsed(RULES), *unhooked = parsed("*nat\n:TULLE_OUT - [0:0]\nCOMMIT\n");
	char why[XTABLES_WHY];

	ck_assert_int_eq(state_of(off, off, NONE, BACKEND_OF_NFT, why), COND_EQUAL);
	ck_assert_int_eq(state_of(unhooked, off, NONE, BACKEND_OF_NFT, why), COND_EQUAL);
	ck_assert_int_eq(state_of(hooked, off, NONE, BACKEND_OF_NFT, why), COND_DRIFT);
	ruleset_free(off);
	ruleset_free(hooked);
	ruleset_free(unhooked);
}
END_TEST

UNIT_MAIN("state", as_recorded_and_as_planned_is_equal, everything_else_is_drift, another_version_is_residue,
    nothing_and_what_a_remove_left_is_absent, a_family_that_is_off_must_only_not_be_hooked)
