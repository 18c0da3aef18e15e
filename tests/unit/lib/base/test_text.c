/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <string.h>

#include "unit.h"

static const char *
json(const char *s)
{
	static char out[256];
	size_t n = 0;

	while (*s != '\0')
		n += text_json_char(&s, out + n);
	out[n] = '\0';
	return out;
}

START_TEST(json_escapes_what_would_move_a_terminal)
{
	ck_assert_str_eq(json("a\"b\\c"), "a\\\"b\\\\c");
	ck_assert_str_eq(json("\x1b[2J\n"), "\\u001b[2J\\u000a");
	ck_assert_str_eq(json("\x7f"), "\\u007f");
	ck_assert_str_eq(json("\xc2\x9b"), "\\u009b"); /* C1 control */
	ck_assert_str_eq(json("\xff"), "\\ufffd");
	ck_assert_str_eq(json("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd"); /* a surrogate */
	ck_assert_str_eq(json("\xc3\xa9"), "\xc3\xa9");
	ck_assert_str_eq(json("\xe2\x82"), "\\ufffd\\ufffd"); /* cut short */
}
END_TEST

START_TEST(base64url_comes_back_as_it_went)
{
	uint8_t in[32], out[32];
	char text[TEXT_BASE64URL(32)];
	size_t n, len;

	for (n = 0; n < sizeof(in); n++)
		in[n] = (uint8_t)(n * 37 + 250);
	for (n = 0; n <= sizeof(in); n++) {
		text_base64url(in, n, text);
		ck_assert_int_eq(text_unbase64url(text, strlen(text), out, sizeof(out), &len), TULLE_OK);
		ck_assert_uint_eq(len, n);
		ck_assert_mem_eq(in, out, n);
	}
}
END_TEST

START_TEST(base64url_refuses_what_is_not)
{
	uint8_t out[4];
	size_t len;

	ck_assert_int_eq(text_unbase64url("A", 1, out, 4, &len), TULLE_EINVAL);
	ck_assert_int_eq(text_unbase64url("AB==", 4, out, 4, &len), TULLE_EINVAL);
	ck_assert_int_eq(text_unbase64url("A+", 2, out, 4, &len), TULLE_EINVAL);
	ck_assert_int_eq(text_unbase64url("AB", 2, out, 4, &len), TULLE_EINVAL); /* left-over bits */
	ck_assert_int_eq(text_unbase64url("AAAAAAAA", 8, out, 4, &len), TULLE_ELIMIT);
}
END_TEST

START_TEST(durations_are_gep_2257)
{
	uint64_t ms;

	ck_assert_int_eq(text_duration("1h30m", &ms), TULLE_OK);
	ck_assert_uint_eq(ms, 5400000);
	ck_assert_int_eq(text_duration("500ms", &ms), TULLE_OK);
	ck_assert_uint_eq(ms, 500);
	ck_assert_int_eq(text_duration("0s", &ms), TULLE_OK);
	ck_assert_uint_eq(ms, 0);
	ck_assert_int_eq(text_duration("1.5s", &ms), TULLE_EINVAL);
	ck_assert_int_eq(text_duration("0", &ms), TULLE_EINVAL);
	ck_assert_int_eq(text_duration("100us", &ms), TULLE_EINVAL);
	ck_assert_int_eq(text_duration("1h1h1h1h1h", &ms), TULLE_EINVAL);
	ck_assert_int_eq(text_duration("123456s", &ms), TULLE_EINVAL);
	ck_assert_int_eq(text_duration("", &ms), TULLE_EINVAL);
}
END_TEST

START_TEST(sizes_and_numbers_have_bounds)
{
	uint64_t v;

	ck_assert_int_eq(text_size("256MiB", &v), TULLE_OK);
	ck_assert_uint_eq(v, 256u << 20);
	ck_assert_int_eq(text_size("256MB", &v), TULLE_EINVAL);
	ck_assert_int_eq(text_uint("65535", 65535, &v), TULLE_OK);
	ck_assert_int_eq(text_uint("65536", 65535, &v), TULLE_ELIMIT);
	ck_assert_int_eq(text_uint("18446744073709551616", UINT64_MAX, &v), TULLE_ELIMIT);
	ck_assert_int_eq(text_uint("-1", 10, &v), TULLE_EINVAL);
	ck_assert_int_eq(text_uint("", 10, &v), TULLE_EINVAL);
}
END_TEST

START_TEST(hex_comes_back)
{
	uint8_t out[3];
	char text[7];

	ck_assert_str_eq(text_hex("\x00\xaf\x10", 3, text), "00af10");
	ck_assert_int_eq(text_unhex("00AF10", out, 3), TULLE_OK);
	ck_assert_mem_eq(out, "\x00\xaf\x10", 3);
	ck_assert_int_eq(text_unhex("00AF1", out, 3), TULLE_EINVAL);
	ck_assert_int_eq(text_unhex("00AF1g", out, 3), TULLE_EINVAL);
}
END_TEST

UNIT_MAIN("text", json_escapes_what_would_move_a_terminal, base64url_comes_back_as_it_went,
    base64url_refuses_what_is_not, durations_are_gep_2257, sizes_and_numbers_have_bounds, hex_comes_back)
