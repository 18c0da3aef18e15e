/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "unit.h"

START_TEST(pieces_are_zero_aligned_and_apart)
{
	struct arena a = arena_new(1 << 20);
	unsigned char *last = NULL;

	for (size_t size = 0; size < 300; size++) {
		unsigned char *p = arena_alloc(&a, size);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			ck_assert_uint_eq(p[i], 0);
		memset(p, 0xff, size);
		ck_assert(size == 0 || p != last);
		last = p;
	}
	arena_free(&a);
	ck_assert_ptr_nonnull(arena_alloc(&a, 10)); /* the bound stays, the memory comes back */
	arena_free(&a);
}
END_TEST

START_TEST(the_bound_holds_for_one_piece_and_for_many)
{
	struct arena a = arena_new(4096);
	int n = 0;

	ck_assert_ptr_null(arena_alloc(&a, 4097));
	while (arena_alloc(&a, 64) != NULL)
		n++;
	ck_assert_int_ge(n, 1);
	ck_assert_int_le(n, 4096 / 64);
	ck_assert_ptr_null(arena_array(&a, SIZE_MAX / 2, 3)); /* the product overflows */
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
	arena_free(&a);
}
END_TEST

START_TEST(text_is_copied_and_formatted)
{
	struct arena a = arena_new(1 << 16);
	char source[] = "hello world";
	char *copy = arena_text(&a, source, 5);
	char *made = arena_printf(&a, "%s:%d", source, 42);
	int *numbers = arena_array(&a, 10, sizeof(int));

	source[0] = 'J';
	ck_assert_str_eq(copy, "hello");
	ck_assert_str_eq(made, "hello world:42");
	ck_assert_ptr_nonnull(numbers);
	ck_assert_int_eq(numbers[9], 0);
	a.max = a.used;
	ck_assert_ptr_null(arena_text(&a, source, 5));
	ck_assert_ptr_null(arena_printf(&a, "%s", source));
	arena_free(&a);
}
END_TEST

UNIT_MAIN("arena", pieces_are_zero_aligned_and_apart, the_bound_holds_for_one_piece_and_for_many,
    text_is_copied_and_formatted)
