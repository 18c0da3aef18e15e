/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Response heads.  Invariants: cutting the bytes changes nothing; texts lie
 * inside the bytes; what we write of a parsed head parses to the same head.
 */
#include "http1_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_message m, again;
	struct buf out = buf_new(1 << 20);
	enum http1_asked asked;

	if (size < 1)
		return 0;
	asked = data[0] / 64 == 1 ? HTTP1_ASKED_HEAD : data[0] / 64 == 2 ? HTTP1_ASKED_CONNECT : HTTP1_ASKED_OTHER;
	fuzz_parse_both(&m, true, asked, data[0], (const char *)data + 1, size - 1);
	if (m.result != HTTP1_OK)
		return 0;
	CHECK(m.head.status >= 100 && m.head.status <= 599);
	CHECK(m.head.body != HTTP1_BODY_CHUNKED || !m.head.has_length); /* RS-03 */
	CHECK(asked != HTTP1_ASKED_HEAD || m.head.body == HTTP1_BODY_NONE || m.head.status == 101); /* RS-01 */

	http1_drop(&m.head, FUZZ_FRAMING);
	CHECK(http1_write_response(&out, &m.head) == TULLE_OK);
	again.rules = fuzz_roomier(&m);
	fuzz_parse(&again, true, asked, (const char *)buf_head(&out), buf_len(&out));
	CHECK(again.result == HTTP1_OK && again.used == buf_len(&out));
	CHECK(again.head.status == m.head.status && fuzz_same_text(again.head.reason, m.head.reason));
	fuzz_check_same(&again, &m);
	buf_free(&out);
	return 0;
}
