/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/problem.h"

#include <string.h>

#include "unit.h"

START_TEST(near_words_are_found)
{
	static const char *const words[] = { "Service", "EndpointSlice", "ports", "port", "uid", "AuthorizationPolicy",
		NULL };
	static const struct {
		const char *typed, *meant;
	} cases[] = { { "Servcie", "Service" }, { "service", "Service" }, { "prots", "ports" }, { "portss", "ports" },
		{ "AuthorisationPolicy", "AuthorizationPolicy" }, { "Endpointslices", "EndpointSlice" },
		{ "gid", "uid" }, { "tls", NULL }, { "x", NULL }, { "", NULL }, { "Deployment", NULL },
		{ "a-very-long-word-that-is-near-to-nothing-at-all-in-this-table", NULL } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *near = problem_nearest(cases[i].typed, words);

		if (cases[i].meant == NULL)
			ck_assert_msg(near == NULL, "%s: %s", cases[i].typed, near);
		else
			ck_assert_msg(near != NULL && strcmp(near, cases[i].meant) == 0, "%s: %s", cases[i].typed,
			    near != NULL ? near : "none");
	}
}
END_TEST

START_TEST(shown_texts_are_one_safe_line)
{
	char out[PROBLEM_SHOWN], long_text[500];

	ck_assert_str_eq(problem_show(out, "a\"b\\c\nd\x1b[31m\x7f\xff"),
	    "\"a\\\"b\\\\c\\u000ad\\u001b[31m\\u007f\\ufffd\"");
	memset(long_text, '\n', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	ck_assert_uint_lt(strlen(problem_show(out, long_text)), sizeof(out));
	ck_assert_str_eq(out + strlen(out) - 4, "...\"");
}
END_TEST

START_TEST(problems_beyond_the_bound_are_counted)
{
	struct problems p;

	problems_init(&p);
	for (int i = 0; i < 2 * PROBLEMS_MAX; i++)
		problem_error(&p, (struct place){ "f", 1, 2 }, "a.b", "wrong %d", i);
	problem_warn(&p, (struct place){ "f", 1, 2 }, NULL, "odd");
	ck_assert_uint_eq(p.n, PROBLEMS_MAX);
	ck_assert_uint_eq(p.errors, 2 * PROBLEMS_MAX);
	ck_assert_uint_eq(p.warnings, 1);
	ck_assert_str_eq(p.list[1].line, "f:1:2: a.b: wrong 1");
	problems_free(&p);
	ck_assert_uint_eq(p.errors, 0);
}
END_TEST

START_TEST(a_file_name_is_hostile_too)
{
	struct problems p;

	problems_init(&p);
	problem_warn(&p, (struct place){ "a\x1b]0;b\n.yaml", 0, 0 }, "", "odd");
	ck_assert_str_eq(p.list[0].line, "a\\u001b]0;b\\u000a.yaml: odd");
	ck_assert(p.list[0].warning);
	problems_free(&p);
}
END_TEST

UNIT_MAIN("problem", near_words_are_found, shown_texts_are_one_safe_line, problems_beyond_the_bound_are_counted,
    a_file_name_is_hostile_too)
