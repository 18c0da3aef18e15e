/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * text.h - small conversions of text: hexadecimal, base64url, JSON escapes,
 * numbers and durations.  Pure.
 */
#ifndef TULLE_BASE_TEXT_H
#define TULLE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Room for what text_json_char() writes. */
#define TEXT_JSON_CHAR 8

/*
 * Takes one character off **s and writes it to <out> as it may stand inside
 * a JSON string: quotes, backslashes and controls (0x7f and C1 included)
 * escaped, a byte that is not valid UTF-8 replaced by U+FFFD.  Returns how
 * many bytes it wrote, at most TEXT_JSON_CHAR; there is no NUL.
 */
size_t text_json_char(const char **s, char out[TEXT_JSON_CHAR]);

/* Is <s> (of <n> bytes) well-formed UTF-8 without NUL? */
bool text_utf8_valid(const char *s, size_t n);

/* Lower-case hexadecimal; <out> has room for 2 * n + 1 bytes.  Returns <out>. */
char *text_hex(const void *p, size_t n, char *out);

/* Exactly <n> bytes from 2 * n hexadecimal digits of either case.  TULLE_EINVAL. */
enum tulle_err text_unhex(const char *text, void *out, size_t n);

#define TEXT_BASE64URL(n) (((n) + 2) / 3 * 4 + 1)

/* RFC 4648 section 5, no padding; <out> has TEXT_BASE64URL(n) bytes.  Returns <out>. */
char *text_base64url(const void *p, size_t n, char *out);

/*
 * The reverse, strict: no padding, no white space, no left-over bits.
 *   TULLE_EINVAL   not base64url
 *   TULLE_ELIMIT   more than <max> bytes
 */
enum tulle_err text_unbase64url(const char *text, size_t len, void *out, size_t max, size_t *ret_len);

/* Decimal digits alone, at most <max>.  TULLE_EINVAL, TULLE_ELIMIT. */
enum tulle_err text_uint(const char *text, uint64_t max, uint64_t *ret);

/*
 * A duration as GEP-2257 writes it: one to four of "5h", "30m", "10s",
 * "500ms" in a row, each number of one to five digits.  The result is in
 * milliseconds.  TULLE_EINVAL.
 */
enum tulle_err text_duration(const char *text, uint64_t *ret_ms);

/* "128", "64KiB", "256MiB", "1GiB".  In bytes.  TULLE_EINVAL. */
enum tulle_err text_size(const char *text, uint64_t *ret_bytes);

#endif
