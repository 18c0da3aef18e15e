/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"

#include "unit.h"

START_TEST(bytes_come_out_in_order_through_growth_and_wrap)
{
	struct buf b = buf_new(5000);
	unsigned int in = 0, out = 0;
	uint8_t v;

	for (int round = 0; round < 2000; round++) {
		for (int k = 0; k < 7; k++, in++) {
			v = (uint8_t)in;
			ck_assert_int_eq(buf_append(&b, &v, 1), TULLE_OK);
		}
		for (int k = 0; k < 5; k++, out++) {
			ck_assert_uint_eq(*buf_head(&b), (uint8_t)out);
			buf_consume(&b, 1);
		}
	}
	ck_assert_uint_eq(buf_len(&b), in - out);
	buf_free(&b);
}
END_TEST

START_TEST(the_bound_holds_and_a_refusal_changes_nothing)
{
	struct buf b = buf_new(10);

	ck_assert_int_eq(buf_append(&b, "12345678", 8), TULLE_OK);
	ck_assert_int_eq(buf_append(&b, "abc", 3), TULLE_ELIMIT);
	ck_assert_uint_eq(buf_len(&b), 8);
	buf_consume(&b, 1);
	ck_assert_int_eq(buf_append(&b, "abc", 3), TULLE_OK);
	ck_assert_mem_eq(buf_head(&b), "2345678abc", 10);
	buf_free(&b);
	ck_assert_int_eq(buf_append(&(struct buf){ .max = 0 }, "a", 1), TULLE_ELIMIT);
}
END_TEST

START_TEST(formatted_text_has_no_nul)
{
	struct buf b = buf_new(100);

	ck_assert_int_eq(buf_printf(&b, "%s-%d", "x", 7), TULLE_OK);
	ck_assert_int_eq(buf_printf(&b, "%s", "!"), TULLE_OK);
	ck_assert_uint_eq(buf_len(&b), 4);
	ck_assert_mem_eq(buf_head(&b), "x-7!", 4);
	buf_free(&b);
}
END_TEST

UNIT_MAIN("buf", bytes_come_out_in_order_through_growth_and_wrap, the_bound_holds_and_a_refusal_changes_nothing,
    formatted_text_has_no_nul)
