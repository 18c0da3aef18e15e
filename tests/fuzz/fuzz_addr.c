/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses, blocks, durations and sizes as text: what was read prints as something that reads the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), out[ADDR_TEXT], json[TEXT_JSON_CHAR];
	struct addr a, b;
	struct cidr c, d;
	uint8_t bytes[64];
	uint64_t n;
	size_t len;

	memcpy(text, data, size);
	text[size] = '\0';
	if (addr_parse(&a, text) == TULLE_OK) {
		assert(a.port != 0);
		assert(addr_parse(&b, addr_format(&a, out)) == TULLE_OK && addr_equal(&a, &b));
	}
	if (addr_parse_ip(&a, text) == TULLE_OK)
		assert(addr_parse_ip(&b, addr_format_ip(&a, out)) == TULLE_OK && addr_equal(&a, &b));
	if (cidr_parse(&c, text) == TULLE_OK) {
		assert(cidr_parse(&d, cidr_format(&c, out)) == TULLE_OK && memcmp(&c, &d, sizeof(c)) == 0);
		a = (struct addr){ .family = c.family };
		memcpy(a.ip, c.ip, sizeof(a.ip));
		assert(cidr_contains(&c, &a));
	}
	(void)text_duration(text, &n);
	(void)text_size(text, &n);
	(void)text_uint(text, 65535, &n);
	(void)text_unhex(text, bytes, 16);
	if (text_unbase64url(text, strlen(text), bytes, sizeof(bytes), &len) == TULLE_OK) {
		char back[TEXT_BASE64URL(64)];

		assert(strcmp(text_base64url(bytes, len, back), text) == 0);
	}
	for (const char *s = text; *s != '\0';) {
		size_t m = text_json_char(&s, json);

		assert(m > 0 && m <= TEXT_JSON_CHAR);
		for (size_t i = 0; i < m; i++)
			assert((uint8_t)json[i] >= 0x20 && json[i] != 0x7f);
	}
	free(text);
	return 0;
}
