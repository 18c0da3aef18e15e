/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "unit.h"

START_TEST(pieces_are_zero_aligned_and_apart)
{
	struct arena a = arena_new(1 << 20);
	char *before = NULL;

	for (size_t n = 0; n < 3000; n += 7) {
		char *p = arena_alloc(&a, n);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
		ck_assert_ptr_ne(p, before);
		for (size_t i = 0; i < n; i++)
			ck_assert_int_eq(p[i], 0);
		memset(p, 0x5a, n);
		before = p;
	}
	arena_free(&a);
	ck_assert_uint_eq(a.used, 0);
}
END_TEST

START_TEST(the_bound_holds_and_overflow_is_refused)
{
	struct arena a = arena_new(100);

	ck_assert_ptr_null(arena_alloc(&a, 101));
	ck_assert_ptr_nonnull(arena_alloc(&a, 64));
	ck_assert_ptr_null(arena_alloc(&a, 64));
	ck_assert_ptr_null(arena_array(&a, SIZE_MAX / 2, 4));
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
	ck_assert_ptr_null(arena_text(&a, "x", SIZE_MAX));
	arena_free(&a);
	ck_assert_ptr_nonnull(arena_alloc(&a, 64));
	arena_free(&a);
}
END_TEST

START_TEST(texts_are_copied)
{
	struct arena a = arena_new(1 << 20);
	char from[] = "hello";
	char *copy = arena_text(&a, from, 4), *made = arena_printf(&a, "%d-%s", 5, from);

	from[0] = 'j';
	ck_assert_str_eq(copy, "hell");
	ck_assert_str_eq(made, "5-hello");
	arena_free(&a);
}
END_TEST

UNIT_MAIN("arena", pieces_are_zero_aligned_and_apart, the_bound_holds_and_overflow_is_refused, texts_are_copied)
