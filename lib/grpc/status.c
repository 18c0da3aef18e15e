/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grpc/status.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

const char *
grpc_status_name(int status)
{
	static const char *const names[] = { "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
		"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED" };

	return status >= 0 && (size_t)status < ARRAY_LEN(names) ? names[status] : "UNKNOWN";
}

enum grpc_status
grpc_status_parse(const char *text, size_t len)
{
	int v = 0;

	if (len < 1 || len > 2 || (len == 2 && text[0] == '0'))
		return GRPC_UNKNOWN;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return GRPC_UNKNOWN;
		v = v * 10 + (text[i] - '0');
	}
	return v <= GRPC_UNAUTHENTICATED ? (enum grpc_status)v : GRPC_UNKNOWN;
}

enum grpc_status
grpc_status_of_http(int code)
{
	switch (code) {
	case 400:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

enum grpc_status
grpc_status_of_reset(uint32_t code)
{
	switch (code) { /* RFC 9113 section 7 */
	case 0x7: /* REFUSED_STREAM */
		return GRPC_UNAVAILABLE;
	case 0x8: /* CANCEL */
		return GRPC_CANCELLED;
	case 0xb: /* ENHANCE_YOUR_CALM */
		return GRPC_RESOURCE_EXHAUSTED;
	case 0xc: /* INADEQUATE_SECURITY */
		return GRPC_PERMISSION_DENIED;
	default:
		return GRPC_INTERNAL;
	}
}

bool
grpc_content_type(const char *text, size_t len)
{
	static const char want[] = "application/grpc";
	const size_t n = sizeof(want) - 1;

	return len >= n && memcmp(text, want, n) == 0 && (len == n || text[n] == '+' || text[n] == ';');
}

enum tulle_err
grpc_frame(struct buf *out, const void *p, size_t n)
{
	const uint8_t prefix[GRPC_PREFIX] = { 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
	uint8_t *room;
	enum tulle_err e;

	if (n > UINT32_MAX)
		return TULLE_ELIMIT;
	e = buf_reserve(out, GRPC_PREFIX + n, &room);
	if (e != TULLE_OK)
		return e;
	memcpy(room, prefix, GRPC_PREFIX);
	if (n > 0)
		memcpy(room + GRPC_PREFIX, p, n);
	buf_commit(out, GRPC_PREFIX + n);
	return TULLE_OK;
}

enum tulle_err
grpc_unframe(const struct buf *in, size_t max, const uint8_t **ret_p, size_t *ret_n)
{
	const uint8_t *p;
	size_t n;

	if (buf_len(in) < GRPC_PREFIX)
		return TULLE_AGAIN;
	p = buf_head(in);
	if (p[0] != 0)
		return TULLE_EPEER;
	n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (n > max)
		return TULLE_ELIMIT;
	if (buf_len(in) - GRPC_PREFIX < n)
		return TULLE_AGAIN;
	*ret_p = p + GRPC_PREFIX;
	*ret_n = n;
	return TULLE_OK;
}

void
grpc_encode_text(const char *text, char out[GRPC_TEXT_MAX])
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *text != '\0' && n < GRPC_TEXT_MAX - 4; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c <= 0x7e && c != '%') {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	out[n] = '\0';
}

void
grpc_decode_text(const char *text, size_t len, char out[GRPC_TEXT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < GRPC_TEXT_MAX - 1; i++) {
		char hex[3] = { 0 };
		uint8_t byte;

		/* what is no escape stands for itself, as the specification asks */
		if (text[i] == '%' && len - i > 2) {
			memcpy(hex, text + i + 1, 2);
			if (text_unhex(hex, &byte, 1) == TULLE_OK && byte != 0) {
				out[n++] = (char)byte;
				i += 2;
				continue;
			}
		}
		out[n++] = text[i];
	}
	out[n] = '\0';
}

enum tulle_err
grpc_timeout(const char *text, size_t len, uint64_t *ret_ms)
{
	uint64_t v = 0;
	size_t i;

	if (len < 2 || len > 9)
		return TULLE_EINVAL;
	for (i = 0; i < len - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return TULLE_EINVAL;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	switch (text[i]) {
	case 'H':
		v *= 3600 * 1000;
		break;
	case 'M':
		v *= 60 * 1000;
		break;
	case 'S':
		v *= 1000;
		break;
	case 'm':
		break;
	case 'u':
		v = (v + 999) / 1000;
		break;
	case 'n':
		v = (v + 999999) / 1000000;
		break;
	default:
		return TULLE_EINVAL;
	}
	*ret_ms = v;
	return TULLE_OK;
}
