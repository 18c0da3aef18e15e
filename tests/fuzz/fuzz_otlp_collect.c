/* fuzz-links: ctl */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What tulle collect does with a body: zstd, protobuf, lines of JSON.
 * Invariants: the bounds hold; each record is one line, and each line is
 * JSON by the word of another library.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "otlp/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAW_MAX (1u << 20)
#define OUT_MAX (4u << 20)

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf raw = buf_new(RAW_MAX), out = buf_new(OUT_MAX);
	struct otlp_batch batch = { .encoding = "identity", .wire = size };
	size_t records = 0, lines = 0;
	const char *p, *end;
	enum tulle_err e = TULLE_OK;

	if (size < 1)
		return 0;
	/* The first byte: which signal, and whether it is compressed. */
	if (data[0] & 0x80)
		e = otlp_inflate(&raw, data + 1, size - 1);
	else
		e = buf_append(&raw, data + 1, size - 1);
	CHECK(buf_len(&raw) <= RAW_MAX);
	if (e == TULLE_OK) {
		batch.raw = buf_len(&raw);
		p = buf_len(&raw) > 0 ? (const char *)buf_head(&raw) : "";
		e = otlp_to_json(&out, (enum otlp_signal)(data[0] % 3), p, buf_len(&raw), &batch, &records);
		CHECK(buf_len(&out) <= OUT_MAX && (e == TULLE_OK || buf_len(&out) == 0));
	}
	p = buf_len(&out) > 0 ? (const char *)buf_head(&out) : "";
	for (end = p + buf_len(&out); p < end; lines++) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		json_t *line;

		CHECK(lf != NULL);
		/* Times go beyond what jansson has integers for. */
		line = json_loadb(p, (size_t)(lf - p), JSON_DECODE_INT_AS_REAL, NULL);
		CHECK(line != NULL);
		json_decref(line);
		p = lf + 1;
	}
	CHECK(lines == records);
	buf_free(&raw);
	buf_free(&out);
	return 0;
}
