/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* The length of the well-formed UTF-8 sequence at <s> (Unicode 15, table 3-7), 0 if there is none. */
static size_t
utf8_len(const unsigned char *s, size_t n)
{
	unsigned int lo = 0x80, hi = 0xbf;
	size_t len, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (len > n)
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f; /* no surrogates */
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

size_t
text_json_char(const char **s, char out[TEXT_JSON_CHAR])
{
	const unsigned char *p = (const unsigned char *)*s;
	size_t len = utf8_len(p, strnlen(*s, 4));

	if (len == 0) {
		*s += 1;
		memcpy(out, "\\ufffd", 6);
		return 6;
	}
	*s += len;
	if (p[0] == '"' || p[0] == '\\') {
		out[0] = '\\';
		out[1] = (char)p[0];
		return 2;
	}
	if (p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0)) {
		char esc[7];

		(void)snprintf(esc, sizeof(esc), "\\u%04x", len == 1 ? p[0] : p[1]);
		memcpy(out, esc, 6);
		return 6;
	}
	memcpy(out, p, len);
	return len;
}

bool
text_utf8_valid(const char *s, size_t n)
{
	size_t len;

	for (; n > 0; s += len, n -= len) {
		len = utf8_len((const unsigned char *)s, n);
		if (len == 0 || *s == '\0')
			return false;
	}
	return true;
}

char *
text_hex(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum tulle_err
text_unhex(const char *text, void *out, size_t n)
{
	uint8_t *b = out;
	size_t i;

	if (strlen(text) != 2 * n)
		return TULLE_EINVAL;
	for (i = 0; i < n; i++) {
		int hi = hex_value(text[2 * i]), lo = hex_value(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return TULLE_EINVAL;
		b[i] = (uint8_t)(hi << 4 | lo);
	}
	return TULLE_OK;
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *
text_base64url(const void *p, size_t n, char *out)
{
	const uint8_t *b = p;
	char *o = out;
	uint32_t v;

	for (; n >= 3; b += 3, n -= 3) {
		v = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
		*o++ = base64url[v >> 18];
		*o++ = base64url[v >> 12 & 63];
		*o++ = base64url[v >> 6 & 63];
		*o++ = base64url[v & 63];
	}
	if (n > 0) {
		v = (uint32_t)b[0] << 16 | (n == 2 ? (uint32_t)b[1] << 8 : 0);
		*o++ = base64url[v >> 18];
		*o++ = base64url[v >> 12 & 63];
		if (n == 2)
			*o++ = base64url[v >> 6 & 63];
	}
	*o = '\0';
	return out;
}

enum tulle_err
text_unbase64url(const char *text, size_t len, void *out, size_t max, size_t *ret_len)
{
	uint8_t *b = out;
	uint32_t acc = 0;
	unsigned int bits = 0;
	size_t n = 0, i;

	if (len % 4 == 1)
		return TULLE_EINVAL;
	for (i = 0; i < len; i++) {
		const char *at = text[i] == '\0' ? NULL : strchr(base64url, text[i]);

		if (at == NULL)
			return TULLE_EINVAL;
		acc = acc << 6 | (uint32_t)(at - base64url);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			if (n == max)
				return TULLE_ELIMIT;
			b[n++] = (uint8_t)(acc >> bits);
			acc &= (1u << bits) - 1;
		}
	}
	if (acc != 0)
		return TULLE_EINVAL;
	*ret_len = n;
	return TULLE_OK;
}

enum tulle_err
text_uint(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (*text == '\0')
		return TULLE_EINVAL;
	for (; *text != '\0'; text++) {
		unsigned int d = (unsigned int)(*text - '0');

		if (*text < '0' || *text > '9')
			return TULLE_EINVAL;
		if (v > (max - d) / 10 || d > max)
			return TULLE_ELIMIT;
		v = v * 10 + d;
	}
	*ret = v;
	return TULLE_OK;
}

/* Digits at **s, one to <most> of them. */
static enum tulle_err
take_number(const char **s, unsigned int most, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned int n;

	for (n = 0; **s >= '0' && **s <= '9'; n++, (*s)++) {
		if (n == most)
			return TULLE_EINVAL;
		v = v * 10 + (uint64_t)(**s - '0');
	}
	if (n == 0)
		return TULLE_EINVAL;
	*ret = v;
	return TULLE_OK;
}

enum tulle_err
text_duration(const char *text, uint64_t *ret_ms)
{
	uint64_t total = 0, v;
	int parts;

	for (parts = 0; *text != '\0'; parts++) {
		if (parts == 4 || take_number(&text, 5, &v) != TULLE_OK)
			return TULLE_EINVAL;
		if (text[0] == 'm' && text[1] == 's') {
			text += 2;
		} else if (*text == 'h' || *text == 'm' || *text == 's') {
			v *= *text == 'h' ? 3600000 : *text == 'm' ? 60000 : 1000;
			text++;
		} else {
			return TULLE_EINVAL;
		}
		total += v;
	}
	if (parts == 0)
		return TULLE_EINVAL;
	*ret_ms = total;
	return TULLE_OK;
}

enum tulle_err
text_size(const char *text, uint64_t *ret_bytes)
{
	static const struct {
		const char *suffix;
		unsigned int shift;
	} units[] = { { "", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
	uint64_t v;

	if (take_number(&text, 12, &v) != TULLE_OK)
		return TULLE_EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].suffix) == 0) {
			if (v > UINT64_MAX >> units[i].shift)
				return TULLE_EINVAL;
			*ret_bytes = v << units[i].shift;
			return TULLE_OK;
		}
	}
	return TULLE_EINVAL;
}
