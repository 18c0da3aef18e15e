/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/record.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "store/crypt.h"

#define SUM 8

enum tulle_err
record_write(struct buf *out, const char *json, size_t len)
{
	uint8_t hash[CRYPT_HASH];
	char sum[2 * SUM + 1];
	size_t before = out->len;
	enum tulle_err e;

	if (len == 0 || memchr(json, '\n', len) != NULL)
		return TULLE_EINVAL;
	if (len + RECORD_EXTRA > RECORD_MAX)
		return TULLE_ELIMIT;
	e = crypt_hash(hash, json, len);
	if (e)
		return e;
	e = buf_printf(out, "%s ", text_hex(hash, SUM, sum));
	if (e == TULLE_OK)
		e = buf_append(out, json, len);
	if (e == TULLE_OK)
		e = buf_append(out, "\n", 1);
	if (e)
		out->len = before;
	return e;
}

/* Is this a line of ours, whatever its last byte is? */
static bool
sum_fits(const char *data, size_t line)
{
	uint8_t hash[CRYPT_HASH], sum[SUM];
	char digits[2 * SUM + 1];

	if (line <= RECORD_EXTRA || data[2 * SUM] != ' ')
		return false;
	memcpy(digits, data, 2 * SUM);
	digits[2 * SUM] = '\0';
	return text_unhex(digits, sum, SUM) == TULLE_OK &&
	    crypt_hash(hash, data + 2 * SUM + 1, line - RECORD_EXTRA) == TULLE_OK && memcmp(hash, sum, SUM) == 0;
}

enum tulle_err
record_read(struct record *ret, const char *data, size_t len)
{
	const char *end;
	size_t line;

	if (len == 0)
		return TULLE_EOF;
	end = memchr(data, '\n', len < RECORD_MAX ? len : RECORD_MAX);
	if (end == NULL) /* a cut leaves less than a line, never another byte in the place of its end */
		return len < RECORD_MAX && !sum_fits(data, len) ? TULLE_AGAIN : TULLE_EINVAL;
	line = (size_t)(end - data) + 1;
	if (!sum_fits(data, line))
		return TULLE_EINVAL;
	*ret = (struct record){ .json = data + 2 * SUM + 1, .len = line - RECORD_EXTRA, .line_len = line };
	return TULLE_OK;
}
