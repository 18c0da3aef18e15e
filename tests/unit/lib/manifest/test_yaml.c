/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/yaml.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

static struct arena arena;
static struct problems problems;
static struct yaml_documents docs;

static enum tulle_err
parse(const char *text, size_t len)
{
	problems_init(&problems);
	arena = arena_new(64 << 20);
	docs = (struct yaml_documents){ 0 };
	return yaml_parse(&docs, &arena, "f.yaml", text, len, &problems);
}

static void
done(void)
{
	problems_free(&problems);
	arena_free(&arena);
}

static void
refused(const char *text, const char *line)
{
	ck_assert_int_eq(parse(text, strlen(text)), TULLE_EINVAL);
	ck_assert_uint_ge(problems.n, 1);
	ck_assert_str_eq(problems.list[0].line, line);
	done();
}

START_TEST(everything_knows_its_place)
{
	const char *text = "a: 1\n\nb:\n  - x\n  - {k: 'q'}\n---\n---\n- 2\n";
	const struct yaml_node *b;

	ck_assert_int_eq(parse(text, strlen(text)), TULLE_OK);
	ck_assert_uint_eq(docs.n, 2);
	b = yaml_get(docs.roots[0], "b");
	ck_assert_int_eq(b->kind, YAML_LIST);
	ck_assert_uint_eq(b->key_place.line, 3);
	ck_assert_uint_eq(b->key_place.column, 1);
	ck_assert_uint_eq(b->n, 2);
	ck_assert_str_eq(b->first->text, "x");
	ck_assert(b->first->plain);
	ck_assert_uint_eq(b->first->place.line, 4);
	ck_assert_uint_eq(b->first->place.column, 5);
	ck_assert_str_eq(b->first->next->first->key, "k");
	ck_assert_str_eq(b->first->next->first->text, "q");
	ck_assert(!b->first->next->first->plain);
	ck_assert_uint_eq(b->first->next->first->place.column, 9);
	ck_assert_ptr_null(yaml_get(docs.roots[0], "c"));
	ck_assert_ptr_null(yaml_get(b, "c"));
	ck_assert_uint_eq(docs.roots[1]->place.line, 8);
	done();
}
END_TEST

START_TEST(nothing_is_no_document)
{
	ck_assert_int_eq(parse("", 0), TULLE_OK);
	ck_assert_uint_eq(docs.n, 0);
	done();
	ck_assert_int_eq(parse("# only this\n---\n~\n", 18), TULLE_OK);
	ck_assert_uint_eq(docs.n, 0);
	done();
}
END_TEST

START_TEST(what_makes_trees_grow_or_change_is_refused)
{
	refused("a: &x 1\n", "f.yaml:1:4: an anchor (&name) is not supported; write the value out where it is used");
	refused("a: *x\n", "f.yaml:1:4: an alias (*name) is not supported; write the value out");
	refused("a: !!str 1\n", "f.yaml:1:4: a tag (!name) is not supported; remove it");
	refused("a: !x [1]\n", "f.yaml:1:4: a tag (!name) is not supported; remove it");
	refused("a: &x {b: 1}\n", "f.yaml:1:4: an anchor (&name) is not supported; write the value out where it is used");
	refused("[a]: 1\n", "f.yaml:1:1: a list or mapping cannot be a key; a text is needed");
	refused("a: \"x\\0y\"\n", "f.yaml:1:4: a text with a NUL in it is not supported");
}
END_TEST

START_TEST(a_key_stands_only_once)
{
	refused("a: 1\nb: 2\n\"a\": 3\n", "f.yaml:3:1: \"a\" stands here a second time; the first is in line 1");
}
END_TEST

START_TEST(broken_yaml_names_the_place)
{
	refused("a: [1, 2\nb: 3\n",
	    "f.yaml:2:2: not YAML: did not find expected ',' or ']', while parsing a flow sequence");
	refused("a: \"x\n", "f.yaml:2:1: not YAML: found unexpected end of stream, while scanning a quoted scalar");
	refused("a: 1\n\tb: 2\n",
	    "f.yaml:2:1: not YAML: found a tab character that violates indentation, while scanning a plain scalar");
	refused("a: 1\nb: \xff\n", "f.yaml:1: not YAML: invalid leading UTF-8 octet at or after this line");
	refused("a: \x01\n", "f.yaml:1: not YAML: control characters are not allowed at or after this line");
}
END_TEST

START_TEST(utf16_is_not_guessed)
{
	ck_assert_int_eq(parse("\xff\xfe" "a\0:\0 \0" "1\0", 10), TULLE_EINVAL);
	done();
}
END_TEST

START_TEST(depth_nodes_keys_documents_and_bytes_are_bounded)
{
	static char text[YAML_MAX_BYTES + 2];
	size_t len = 0;

	memset(text, '[', 100000);
	ck_assert_int_eq(parse(text, 100000), TULLE_EINVAL);
	ck_assert_str_eq(problems.list[0].line, "f.yaml:1:65: nested too deep");
	done();

	for (len = 0; len < 2 * (YAML_MAX_NODES + 10); len += 2)
		memcpy(text + len, len == 0 ? "[x" : ",x", 2);
	ck_assert_int_eq(parse(text, len), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(problems.list[0].line, "too many values in one file; divide it"));
	done();

	len = 0;
	for (int i = 0; i < YAML_MAX_KEYS + 1; i++)
		len += (size_t)sprintf(text + len, "k%d: 1\n", i);
	ck_assert_int_eq(parse(text, len), TULLE_EINVAL);
	ck_assert_str_eq(problems.list[0].line, "f.yaml:513:1: more than 512 keys in one mapping");
	done();

	len = 0;
	for (int i = 0; i < YAML_MAX_DOCUMENTS + 1; i++)
		len += (size_t)sprintf(text + len, "---\nx\n");
	ck_assert_int_eq(parse(text, len), TULLE_EINVAL);
	ck_assert_ptr_nonnull(strstr(problems.list[0].line, "more than 10000 documents in one file; divide it"));
	done();

	memset(text, ' ', sizeof(text));
	ck_assert_int_eq(parse(text, YAML_MAX_BYTES + 1), TULLE_EINVAL);
	ck_assert_str_eq(problems.list[0].line, "f.yaml:1: larger than 4 MiB; divide it");
	done();
}
END_TEST

START_TEST(kinds_have_names_people_use)
{
	static const struct {
		const char *text, *name;
	} cases[] = { { "[]", "a list" }, { "{}", "a mapping" }, { "'1'", "a text" }, { "1", "a number" },
		{ "-1.5e3", "a number" }, { "true", "a boolean" }, { "10.0.0.2", "a text" }, { "web-1", "a text" },
		{ "1e", "a text" }, { "e", "a text" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(parse(cases[i].text, strlen(cases[i].text)), TULLE_OK);
		ck_assert_msg(strcmp(yaml_kind_name(docs.roots[0]), cases[i].name) == 0, "%s is %s", cases[i].text,
		    yaml_kind_name(docs.roots[0]));
		done();
	}
}
END_TEST

START_TEST(too_little_memory_is_an_error_not_a_crash)
{
	const char *text = "a: {b: [1, 2, 3]}\n---\nc: 1\n";

	for (size_t max = 0; max < 2000; max += 16) {
		enum tulle_err e;

		problems_init(&problems);
		arena = arena_new(max);
		e = yaml_parse(&docs, &arena, "f.yaml", text, strlen(text), &problems);
		ck_assert(e == TULLE_OK || e == TULLE_ENOMEM);
		done();
	}
}
END_TEST

UNIT_MAIN("yaml", everything_knows_its_place, nothing_is_no_document, what_makes_trees_grow_or_change_is_refused,
    a_key_stands_only_once, broken_yaml_names_the_place, utf16_is_not_guessed,
    depth_nodes_keys_documents_and_bytes_are_bounded, kinds_have_names_people_use,
    too_little_memory_is_an_error_not_a_crash)
