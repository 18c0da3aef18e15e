/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Request heads.  Invariants: cutting the bytes changes nothing; texts lie
 * inside the bytes; what we write of a parsed head parses to the same head.
 */
#include "http1_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_message m, again;
	struct buf out = buf_new(1 << 20);

	if (size < 1)
		return 0;
	/* The first byte chooses the rules. */
	fuzz_parse_both(&m, false, HTTP1_ASKED_OTHER, data[0], (const char *)data + 1, size - 1);
	if (m.result != HTTP1_OK)
		return 0;
	CHECK(m.head.status == 0);
	CHECK(m.head.minor == 0 || m.head.authority.n > 0); /* H1-07 */
	CHECK(m.head.body != HTTP1_BODY_CLOSE && m.head.body != HTTP1_BODY_TUNNEL);
	CHECK(m.head.body != HTTP1_BODY_CHUNKED || !m.head.has_length); /* H1-20 */

	http1_drop(&m.head, FUZZ_FRAMING);
	if (m.head.authority.p == NULL) {
		CHECK(http1_write_request(&out, &m.head) == TULLE_EINVAL);
		return 0;
	}
	CHECK(http1_write_request(&out, &m.head) == TULLE_OK);
	again.rules = fuzz_roomier(&m);
	fuzz_parse(&again, false, HTTP1_ASKED_OTHER, (const char *)buf_head(&out), buf_len(&out));
	CHECK(again.result == HTTP1_OK && again.used == buf_len(&out));
	CHECK(fuzz_same_text(again.head.method, m.head.method) && fuzz_same_text(again.head.target, m.head.target));
	CHECK(fuzz_same_text(again.head.authority, m.head.authority));
	CHECK(fuzz_same_text(again.head.path, m.head.path) && fuzz_same_text(again.head.query, m.head.query));
	fuzz_check_same(&again, &m);
	buf_free(&out);
	return 0;
}
