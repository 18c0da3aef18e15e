/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digests, the anchor's record, and the step from one rule set to another. */
#include <stdio.h>
#include <string.h>

#include "rules/change.h"
#include "rules/dump.h"
#include "rules/ruleset.h"
#include "unit.h"

#define PLAN "00112233445566778899aabbccddeeff"
#define DUMP "ffeeddccbbaa99887766554433221100"

#define ANCHOR_TABLE                                                  \
	"*mangle\n:TULLE_ANCHOR - [0:0]\n-A INPUT -j TULLE_ANCHOR\n" \
	"-A TULLE_ANCHOR -m conntrack --ctstate INVALID -m comment --comment \"tulle:1:nft:" PLAN ":" DUMP "\"\nCOMMIT\n"
#define NAT(rules) "*nat\n:TULLE_OUT - [0:0]\n:TULLE_IN - [0:0]\n" rules "COMMIT\n"
#define ORDINARY                                                                                          \
	"-A PREROUTING -j TULLE_IN\n-A OUTPUT -j TULLE_OUT\n-A TULLE_IN -i lo -j RETURN\n"                \
	"-A TULLE_IN -j RETURN\n-A TULLE_OUT -o lo -j RETURN\n"

static struct ruleset *
parsed(const char *text)
{
	struct ruleset *r = NULL;

	ck_assert_int_eq(dump_parse(&r, text, strlen(text)), TULLE_OK);
	return r;
}

static bool
same_digest(const char *x, const char *y)
{
	struct ruleset *a = parsed(x), *b = parsed(y);
	char da[DIGEST_TEXT], db[DIGEST_TEXT];

	ruleset_digest(a, da);
	ruleset_digest(b, db);
	ruleset_free(a);
	ruleset_free(b);
	return strcmp(da, db) == 0;
}

START_TEST(the_digest_sees_what_steers)
{
	const char *base = NAT(ORDINARY);

	ck_assert(same_digest(base, NAT(ORDINARY)));
	/* a rule less, another order, a rule in front of the jump, a jump twice */
	ck_assert(!same_digest(base, NAT("-A PREROUTING -j TULLE_IN\n-A OUTPUT -j TULLE_OUT\n-A TULLE_IN -i lo -j RETURN\n"
	                                 "-A TULLE_OUT -o lo -j RETURN\n")));
	ck_assert(!same_digest(base, NAT("-A PREROUTING -j TULLE_IN\n-A OUTPUT -j TULLE_OUT\n-A TULLE_IN -j RETURN\n"
	                                 "-A TULLE_IN -i lo -j RETURN\n-A TULLE_OUT -o lo -j RETURN\n")));
	ck_assert(!same_digest(base, NAT("-A PREROUTING -j ACCEPT\n" ORDINARY)));
	ck_assert(!same_digest(base, NAT(ORDINARY "-A OUTPUT -j TULLE_OUT\n")));
}
END_TEST

START_TEST(the_digest_does_not_see_others_and_the_record)
{
	ck_assert(same_digest(NAT(ORDINARY), "*nat\n:TULLE_IN - [0:0]\n:X - [0:0]\n:TULLE_OUT - [0:0]\n" ORDINARY
	                                     "-A X -j RETURN\nCOMMIT\n"));
	ck_assert(same_digest(ANCHOR_TABLE, "*mangle\n:TULLE_ANCHOR - [0:0]\n-A INPUT -j ACCEPT\n-A INPUT -j TULLE_ANCHOR\n"
	                                    "-A TULLE_ANCHOR -m conntrack --ctstate INVALID\nCOMMIT\n"));
}
END_TEST

START_TEST(the_record_is_read_as_it_was_written)
{
	struct anchor a = { .format = ANCHOR_FORMAT, .legacy = true, .plan = PLAN, .dump = "" }, b;
	struct ruleset *r = parsed(ANCHOR_TABLE);

	ck_assert_int_eq(ruleset_anchor(r, &b), TULLE_OK);
	ck_assert(!b.legacy);
	ck_assert_str_eq(b.plan, PLAN);
	ck_assert_str_eq(b.dump, DUMP);
	ck_assert_int_eq(ruleset_set_anchor(r, &a), TULLE_OK);
	ck_assert_int_eq(ruleset_anchor(r, &b), TULLE_OK);
	ck_assert(b.legacy);
	ck_assert_str_eq(b.dump, "");
	ck_assert_str_eq(ruleset_chain(r, TABLE_MANGLE, CHAIN_ANCHOR)->rules[0],
	    "-m conntrack --ctstate INVALID -m comment --comment \"tulle:1:legacy:" PLAN ":pending\"");
	ruleset_free(r);
}
END_TEST

static const struct {
	const char *comment;
	unsigned int format;
} odd_records[] = {
	{ "tulle:2:something else", 2 },
	{ "tulle:1:ebpf:" PLAN ":" DUMP, 1 },
	{ "tulle:1:nft:" PLAN, 1 },
	{ "tulle:1:nft:" PLAN ":", 1 },
	{ "tulle:1:nft:short:" DUMP, 1 },
	{ "tulle:1:nft:" PLAN ":" DUMP "0", 1 },
	{ "tulle:", 0 },
	{ "tulle:x:", 0 },
	{ "tulle", 0 },
	{ "", 0 },
	{ "tulle:1:nft:" PLAN ":" DUMP ":" PLAN ":" DUMP ":" PLAN ":" DUMP ":" PLAN ":" DUMP, 0 },
};

START_TEST(an_odd_record_is_told_from_none)
{
	struct ruleset *r = ruleset_new();
	struct ruleset_chain *c = ruleset_add_chain(r, TABLE_MANGLE, CHAIN_ANCHOR);
	struct anchor a = { .format = 77 };
	char rule[512];

	ck_assert_int_eq(ruleset_anchor(r, &a), TULLE_ENOENT);
	(void)snprintf(rule, sizeof(rule), "-m conntrack -m comment --comment \"%s\"", odd_records[_i].comment);
	ck_assert_int_eq(ruleset_add_rule(r, c, rule), TULLE_OK);
	ck_assert_int_eq(ruleset_anchor(r, &a), TULLE_EINVAL);
	ck_assert_uint_eq(a.format, odd_records[_i].format);
	ruleset_free(r);
}
END_TEST

static char *
change_text(enum table t, const char *from, const char *to)
{
	struct ruleset *a = parsed(from), *b = parsed(to);
	struct buf out = buf_new(CHANGE_MAX);

	ck_assert_int_eq(change_table(&out, t, a, b), TULLE_OK);
	ck_assert_int_eq(buf_append(&out, "", 1), TULLE_OK);
	ruleset_free(a);
	ruleset_free(b);
	return (char *)out.data;
}

START_TEST(a_change_is_one_commit_that_names_no_chain_of_others)
{
	char *text = change_text(TABLE_NAT,
	    "*nat\n:TULLE_OUT - [0:0]\n:TULLE_OLD - [0:0]\n-A OUTPUT -j X\n-A OUTPUT -j TULLE_OUT\n-A X -j TULLE_OLD\n"
	    "-A OUTPUT -j TULLE_OUT\nCOMMIT\n",
	    NAT(ORDINARY));

	ck_assert_str_eq(text, "*nat\n"
	                       ":TULLE_OUT - [0:0]\n"
	                       ":TULLE_IN - [0:0]\n"
	                       ":TULLE_OLD - [0:0]\n"
	                       "-D OUTPUT -j TULLE_OUT\n"
	                       "-D X -j TULLE_OLD\n"
	                       "-D OUTPUT -j TULLE_OUT\n"
	                       "-A TULLE_OUT -o lo -j RETURN\n"
	                       "-A TULLE_IN -i lo -j RETURN\n"
	                       "-A TULLE_IN -j RETURN\n"
	                       "-I PREROUTING 1 -j TULLE_IN\n"
	                       "-I OUTPUT 1 -j TULLE_OUT\n"
	                       "-X TULLE_OLD\n"
	                       "COMMIT\n");
	free(text);
	text = change_text(TABLE_FILTER, NAT(ORDINARY), NAT(ORDINARY));
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(unhooking_keeps_what_live_connections_need)
{
	struct ruleset *r = parsed(ANCHOR_TABLE NAT(ORDINARY)), *u = NULL;
	struct anchor a;

	ck_assert(ruleset_hooked(r));
	ck_assert_int_eq(ruleset_unhook(&u, r), TULLE_OK);
	ck_assert(!ruleset_hooked(u) && !ruleset_empty(u));
	ck_assert_uint_eq(u->tables[TABLE_MANGLE].jumps_n, 1);
	ck_assert_uint_eq(ruleset_chain(u, TABLE_NAT, "TULLE_IN")->n, 2);
	ck_assert_int_eq(ruleset_anchor(u, &a), TULLE_ENOENT);
	ruleset_free(r);
	ruleset_free(u);
}
END_TEST

static char told[1024];

static void
tell(void *arg, enum difference d, enum table t, const char *chain, const char *rule)
{
	size_t n = strlen(told);

	(void)arg;
	(void)snprintf(told + n, sizeof(told) - n, "%s %s %s %s;", difference_name(d), table_name(t), chain, rule);
}

static const struct {
	const char *now, *told;
} differences[] = {
	{ NAT(ORDINARY), "" },
	{ NAT("-A X -j ACCEPT\n" ORDINARY), "" },
	{ NAT("-A OUTPUT -j TULLE_OUT\n-A TULLE_IN -i lo -j RETURN\n-A TULLE_IN -j RETURN\n-A TULLE_OUT -o lo -j RETURN\n"),
	    "missing nat PREROUTING -j TULLE_IN;" },
	{ NAT("-A OUTPUT -j ACCEPT\n-A OUTPUT -j TULLE_OUT\n-A PREROUTING -j TULLE_IN\n-A TULLE_IN -i lo -j RETURN\n"
	      "-A TULLE_IN -j RETURN\n-A TULLE_OUT -o lo -j RETURN\n"),
	    "not-first nat OUTPUT -j TULLE_OUT;" },
	{ NAT(ORDINARY "-A OUTPUT -j TULLE_OUT\n"), "repeated nat OUTPUT -j TULLE_OUT;" },
	{ NAT(ORDINARY "-A OUTPUT -g TULLE_IN\n"), "unexpected nat OUTPUT -g TULLE_IN;" },
	{ NAT("-A PREROUTING -j TULLE_IN\n-A OUTPUT -j TULLE_OUT\n-A TULLE_IN -j RETURN\n-A TULLE_IN -i lo -j RETURN\n"
	      "-A TULLE_OUT -o lo -j RETURN\n"),
	    "order nat TULLE_IN ;" },
	{ NAT(ORDINARY "-A TULLE_OUT -o lo -j RETURN\n"), "unexpected nat TULLE_OUT -o lo -j RETURN;" },
	{ "*nat\n:TULLE_OUT - [0:0]\n-A OUTPUT -j TULLE_OUT\n-A TULLE_OUT -o lo -j RETURN\nCOMMIT\n",
	    "missing nat TULLE_IN ;missing nat PREROUTING -j TULLE_IN;" },
	{ NAT(ORDINARY) "*raw\n:TULLE_X - [0:0]\nCOMMIT\n", "unexpected raw TULLE_X ;" },
};

START_TEST(differences_are_told_in_words)
{
	struct ruleset *now = parsed(differences[_i].now), *wanted = parsed(NAT(ORDINARY));

	told[0] = '\0';
	change_differences(now, wanted, tell, NULL);
	ck_assert_str_eq(told, differences[_i].told);
	ck_assert(ruleset_table_equal(now, wanted, TABLE_NAT) == (strstr(told, " nat ") == NULL));
	ruleset_free(now);
	ruleset_free(wanted);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ruleset");
	TCase *tc = tcase_create("ruleset");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, the_digest_sees_what_steers);
	tcase_add_test(tc, the_digest_does_not_see_others_and_the_record);
	tcase_add_test(tc, the_record_is_read_as_it_was_written);
	tcase_add_loop_test(tc, an_odd_record_is_told_from_none, 0, sizeof(odd_records) / sizeof(odd_records[0]));
	tcase_add_test(tc, a_change_is_one_commit_that_names_no_chain_of_others);
	tcase_add_test(tc, unhooking_keeps_what_live_connections_need);
	tcase_add_loop_test(tc, differences_are_told_in_words, 0, sizeof(differences) / sizeof(differences[0]));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
