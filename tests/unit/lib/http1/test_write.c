/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_write.c - what is written reads back as the same; what would break framing is refused. */
#include "http1/write.h"

#include "unit.h"
#include "vectors.h"

static struct buf out = { .max = 1 << 20 };

static struct http1_head
a_request(void)
{
	return (struct http1_head){ .method = HTTP1_TEXT("GET"), .target = HTTP1_TEXT("/"), .authority = HTTP1_TEXT("a"),
		.fields = fields };
}

#define FIELD(n, v) ((struct http1_field){ .name = HTTP1_TEXT(n), .value = HTTP1_TEXT(v) })

#define ck_assert_out(want)                                                    \
	do {                                                                   \
		ck_assert_uint_eq(buf_len(&out), strlen(want));                \
		ck_assert_mem_eq(buf_head(&out), want, strlen(want));          \
		buf_consume(&out, buf_len(&out));                              \
	} while (0)

START_TEST(h1_05_requests_are_of_our_own_version)
{
	struct http1_head h = a_request();

	h.minor = 0;
	fields[0] = FIELD("X", "y");
	h.n = 1;
	ck_assert_int_eq(http1_write_request(&out, &h), TULLE_OK);
	ck_assert_out("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
	h.body = HTTP1_BODY_LENGTH;
	h.length = 1234567890123;
	h.n = 0;
	ck_assert_int_eq(http1_write_request(&out, &h), TULLE_OK);
	ck_assert_out("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1234567890123\r\n\r\n");
	h.body = HTTP1_BODY_CHUNKED;
	h.length = 0;
	ck_assert_int_eq(http1_write_request(&out, &h), TULLE_OK);
	ck_assert_out("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
}
END_TEST

START_TEST(fields_that_would_break_the_framing_are_refused)
{
	static const struct http1_field bad[] = {
		{ .name = HTTP1_TEXT("X"), .value = HTTP1_TEXT("a\r\nY: b") }, { .name = HTTP1_TEXT("X"), .value = HTTP1_TEXT("a\nb") },
		{ .name = HTTP1_TEXT("X"), .value = HTTP1_TEXT("a\0b") }, { .name = HTTP1_TEXT("X"), .value = HTTP1_TEXT(" a") },
		{ .name = HTTP1_TEXT("X"), .value = HTTP1_TEXT("a\t") }, { .name = HTTP1_TEXT("X "), .value = HTTP1_TEXT("a") },
		{ .name = HTTP1_TEXT("X:"), .value = HTTP1_TEXT("a") }, { .name = HTTP1_TEXT(""), .value = HTTP1_TEXT("a") },
		{ .name = HTTP1_TEXT("content-length"), .value = HTTP1_TEXT("1") },
		{ .name = HTTP1_TEXT("Transfer-Encoding"), .value = HTTP1_TEXT("chunked") },
		{ .name = HTTP1_TEXT("Host"), .value = HTTP1_TEXT("a") },
	};
	struct http1_head h = a_request();

	h.n = 1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fields[0] = bad[i];
		ck_assert_int_eq(http1_write_request(&out, &h), TULLE_EINVAL);
		h.status = 200;
		ck_assert_int_eq(http1_write_response(&out, &h), TULLE_EINVAL);
		h.status = 0;
		ck_assert_uint_eq(buf_len(&out), 0);
	}
	h.n = 0;
	h.target = HTTP1_TEXT("/ HTTP/1.1\r\nX: y");
	ck_assert_int_eq(http1_write_request(&out, &h), TULLE_EINVAL);
	h = a_request();
	h.method = HTTP1_TEXT("GET ");
	ck_assert_int_eq(http1_write_request(&out, &h), TULLE_EINVAL);
	h = a_request();
	h.authority = HTTP1_TEXT("a\r\nX: y");
	ck_assert_int_eq(http1_write_request(&out, &h), TULLE_EINVAL);
	h = a_request();
	h.body = HTTP1_BODY_CLOSE;
	ck_assert_int_eq(http1_write_request(&out, &h), TULLE_EINVAL);
}
END_TEST

START_TEST(rs_01_no_length_on_1xx_and_204)
{
	struct http1_head h = { .status = 204, .reason = HTTP1_TEXT("No Content"), .has_length = true };

	ck_assert_int_eq(http1_write_response(&out, &h), TULLE_OK);
	ck_assert_out("HTTP/1.1 204 No Content\r\n\r\n");
	h.body = HTTP1_BODY_CHUNKED;
	ck_assert_int_eq(http1_write_response(&out, &h), TULLE_EINVAL);
	h = (struct http1_head){ .status = 304, .has_length = true, .length = 7 };
	ck_assert_int_eq(http1_write_response(&out, &h), TULLE_OK);
	ck_assert_out("HTTP/1.1 304 \r\nContent-Length: 7\r\n\r\n");
	h = (struct http1_head){ .status = 200, .reason = HTTP1_TEXT("a\rb") };
	ck_assert_int_eq(http1_write_response(&out, &h), TULLE_EINVAL);
}
END_TEST

START_TEST(h1_28_chunks_are_framed_by_what_is_in_hand)
{
	struct http1_field t[2] = { FIELD("Grpc-Status", "0"), FIELD("Content-Length", "9") };

	ck_assert_int_eq(http1_write_chunk(&out, "hello world, 26 bytes long", 26), TULLE_OK);
	ck_assert_int_eq(http1_write_chunk(&out, "", 0), TULLE_OK);
	ck_assert_out("1a\r\nhello world, 26 bytes long\r\n");
	ck_assert_int_eq(http1_write_last(&out, NULL, 0), TULLE_OK);
	ck_assert_out("0\r\n\r\n");
	ck_assert_int_eq(http1_write_last(&out, t, 2), TULLE_OK);
	ck_assert_out("0\r\nGrpc-Status: 0\r\n\r\n"); /* H1-29 */
	t[0].value = HTTP1_TEXT("0\r\n\r\nHTTP/1.1 200 OK");
	ck_assert_int_eq(http1_write_last(&out, t, 1), TULLE_EINVAL);
	ck_assert_uint_eq(buf_len(&out), 0);
}
END_TEST

START_TEST(a_full_buffer_is_left_as_it_was)
{
	struct buf small = buf_new(40);
	struct http1_head h = a_request();

	ck_assert_int_eq(buf_append(&small, "x", 1), TULLE_OK);
	ck_assert_int_eq(http1_write_request(&small, &h), TULLE_ELIMIT);
	ck_assert_uint_eq(buf_len(&small), 1);
	buf_free(&small);
}
END_TEST

UNIT_MAIN("http1 write", h1_05_requests_are_of_our_own_version,
    fields_that_would_break_the_framing_are_refused, rs_01_no_length_on_1xx_and_204,
    h1_28_chunks_are_framed_by_what_is_in_hand, a_full_buffer_is_left_as_it_was)
