/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "http/client.h"
#include "http/url.h"
#include "unit.h"

static struct http_url url;
static const char *why;

START_TEST(urls_say_where_a_server_is)
{
	ck_assert_int_eq(http_url_parse(&url, "http://collector:4318", &why), TULLE_OK);
	ck_assert_str_eq(url.host, "collector");
	ck_assert_uint_eq(url.port, 4318);
	ck_assert_str_eq(url.authority, "collector:4318");
	ck_assert_str_eq(url.path, "");
	ck_assert_int_eq(http_url_parse(&url, "https://[fd00::2]/otlp//", &why), TULLE_OK);
	ck_assert(url.tls);
	ck_assert_str_eq(url.host, "fd00::2");
	ck_assert_str_eq(url.authority, "[fd00::2]");
	ck_assert_uint_eq(url.port, 443);
	ck_assert_str_eq(url.path, "/otlp");
	ck_assert_int_eq(http_url_parse(&url, "http://10.0.0.1", &why), TULLE_OK);
	ck_assert_uint_eq(url.port, 80);
	ck_assert(!url.tls);
	ck_assert_int_eq(http_url_parse(&url, "http://[::1]:9", &why), TULLE_OK);
	ck_assert_uint_eq(url.port, 9);
	ck_assert_int_eq(http_url_parse(&url, "unix:/run/tulle/metrics.sock", &why), TULLE_OK);
	ck_assert(url.unix_socket);
	ck_assert_str_eq(url.host, "/run/tulle/metrics.sock");
}
END_TEST

START_TEST(other_urls_are_refused_with_a_reason)
{
	static const char *const bad[] = { "", "collector:4318", "ftp://a", "http://", "http://u@a", "http://a:0", "http://a:",
		"http://a/x?y", "http://a#x", "http://a/ x", "unix:relative", "unix:", "HTTP://a" };

	memset(&url, 'x', sizeof(url));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		ck_assert_msg(http_url_parse(&url, bad[i], &why) == TULLE_EINVAL, "%s", bad[i]);
		ck_assert_ptr_nonnull(why);
		ck_assert_int_eq(url.host[0], 'x');
	}
}
END_TEST

static bool
retry_after(const char *value, uint64_t *ret_ms)
{
	struct http1_field f = { .name = HTTP1_TEXT("Retry-After"), .value = { value, strlen(value) } };
	struct http1_head h = { .fields = &f, .n = 1 };
	struct http_response r = { .head = &h };

	return http_retry_after(&r, 784111777, ret_ms); /* Sun, 06 Nov 1994 08:49:37 GMT */
}

START_TEST(retry_after_is_seconds_or_a_date)
{
	uint64_t ms = 1;

	ck_assert(retry_after("7", &ms) && ms == 7000);
	ck_assert(retry_after("0", &ms) && ms == 0);
	ck_assert(retry_after("99999999999999999999999", &ms) && ms == 86400000);
	ck_assert(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", &ms) && ms == 10000);
	ck_assert(retry_after("Sunday, 06-Nov-94 08:49:38 GMT", &ms) && ms == 1000);
	ck_assert(retry_after("Sun Nov  6 08:50:37 1994", &ms) && ms == 60000);
	ck_assert(retry_after("Sun, 06 Nov 1994 08:49:27 GMT", &ms) && ms == 0); /* past */
	ck_assert(retry_after("Fri, 31 Dec 2100 00:00:00 GMT", &ms) && ms == 86400000);
	ck_assert(!retry_after("soon", &ms));
	ck_assert(!retry_after("-1", &ms));
	ck_assert(!retry_after("Sun, 06 Nov 1994 08:49:47 GMT x", &ms));
}
END_TEST

UNIT_MAIN("http url", urls_say_where_a_server_is, other_urls_are_refused_with_a_reason, retry_after_is_seconds_or_a_date)
