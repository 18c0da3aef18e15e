/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/problem.h"

#include <stdio.h>
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

/* <b> as a string. */
static const char *
text_of(const struct buf *b)
{
	static char text[64 * 1024];

	(void)snprintf(text, sizeof(text), "%.*s", (int)buf_len(b), buf_len(b) > 0 ? (const char *)buf_head(b) : "");
	return text;
}

START_TEST(all_are_printed_a_line_each)
{
	struct problems p;
	struct buf b = buf_new(4096), small = buf_new(40);

	problems_init(&p);
	problems_print(&b, &p);
	ck_assert_uint_eq(buf_len(&b), 0);
	problem_error(&p, (struct place){ "f", 1, 2 }, "a.b", "wrong");
	problem_warn(&p, (struct place){ "f", 3, 4 }, NULL, "odd");
	problem_error(&p, (struct place){ "f", 5, 6 }, NULL, "no");
	problems_print(&b, &p);
	ck_assert_str_eq(text_of(&b), "f:1:2: a.b: wrong\nwarning: f:3:4: odd\nf:5:6: no\n");
	problems_print(&small, &p); /* 18 bytes, 19 that leave no room for a third line */
	ck_assert_str_eq(text_of(&small), "f:1:2: a.b: wrong\nwarning: f:3:4: odd\n");
	for (int i = 0; i < PROBLEMS_MAX; i++)
		problem_error(&p, (struct place){ "f", 7, 8 }, NULL, "again");
	buf_free(&b);
	problems_print(&b, &p);
	ck_assert_ptr_nonnull(strstr(text_of(&b), "f:7:8: again\nand 3 more\n"));
	buf_free(&b);
	buf_free(&small);
	problems_free(&p);
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
    all_are_printed_a_line_each, a_file_name_is_hostile_too)
