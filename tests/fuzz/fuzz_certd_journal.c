/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: certd */
/*
 * The journal's lines: a line that is taken is byte for byte what would be
 * written for its JSON, so nothing else passes; and what was written is read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	size_t off = 0;
	struct record r;
	struct buf line = buf_new(2 * RECORD_MAX);

	while (record_read(&r, text + off, len - off) == TULLE_OK) {
		if (r.line_len > len - off || r.line_len != r.len + RECORD_EXTRA)
			abort();
		line.len = 0;
		if (record_write(&line, r.json, r.len) != TULLE_OK || buf_len(&line) != r.line_len ||
		    strncasecmp((const char *)buf_head(&line), text + off, 16) != 0 ||
		    memcmp(buf_head(&line) + 16, text + off + 16, r.line_len - 16) != 0)
			abort();
		off += r.line_len;
	}
	line.len = 0;
	if (record_write(&line, text, len) == TULLE_OK) {
		if (record_read(&r, (const char *)buf_head(&line), buf_len(&line)) != TULLE_OK || r.len != len ||
		    memcmp(r.json, text, len) != 0)
			abort();
		for (size_t cut = 0; cut < buf_len(&line) && cut < 40; cut++) /* no prefix is a record */
			if (record_read(&r, (const char *)buf_head(&line), cut) == TULLE_OK)
				abort();
	}
	buf_free(&line);
	return 0;
}
