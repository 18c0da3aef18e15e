/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/addr.h"

#include "unit.h"

START_TEST(addresses_print_as_they_were_read)
{
	static const char *const good[] = { "10.0.0.2:80", "[fd00::2]:8080", "255.255.255.255:65535" };
	char out[ADDR_TEXT];
	struct addr a;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(addr_parse(&a, good[i]), TULLE_OK);
		ck_assert_str_eq(addr_format(&a, out), good[i]);
	}
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
	static const char *const bad[] = { "10.0.0.2", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:65536", "fd00::2:80",
		"[fd00::2]", "[fd00::2]80", "[10.0.0.2]:80", "[fe80::1%eth0]:80", ":80", "", "10.0.0.2:080",
		"10.0.0.2:80x", "[]:80", "host:80" };
	struct addr a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(addr_parse(&a, bad[i]) == TULLE_EINVAL, "took %s", bad[i]);
}
END_TEST

START_TEST(a_mapped_address_is_plain_ipv4)
{
	char out[ADDR_TEXT];
	struct addr a, b;

	ck_assert_int_eq(addr_parse(&a, "[::ffff:10.0.0.2]:80"), TULLE_OK);
	ck_assert_str_eq(addr_format(&a, out), "10.0.0.2:80");
	ck_assert_int_eq(addr_parse(&b, "10.0.0.2:80"), TULLE_OK);
	ck_assert(addr_equal(&a, &b));
}
END_TEST

START_TEST(sockaddr_and_back)
{
	struct sockaddr_storage ss;
	struct addr a, b;
	socklen_t len;

	ck_assert_int_eq(addr_parse(&a, "[fd00::2]:8080"), TULLE_OK);
	len = addr_to_sockaddr(&a, &ss);
	ck_assert_int_eq(addr_from_sockaddr(&b, (struct sockaddr *)&ss, len), TULLE_OK);
	ck_assert(addr_equal(&a, &b));
	ck_assert_int_eq(addr_from_sockaddr(&b, (struct sockaddr *)&ss, 4), TULLE_EINVAL);
}
END_TEST

START_TEST(blocks_contain_their_own)
{
	char out[ADDR_TEXT];
	struct cidr c;
	struct addr a;

	ck_assert_int_eq(cidr_parse(&c, "10.1.2.3/9"), TULLE_OK);
	ck_assert_str_eq(cidr_format(&c, out), "10.0.0.0/9");
	ck_assert_int_eq(addr_parse_ip(&a, "10.127.255.255"), TULLE_OK);
	ck_assert(cidr_contains(&c, &a));
	ck_assert_int_eq(addr_parse_ip(&a, "10.128.0.0"), TULLE_OK);
	ck_assert(!cidr_contains(&c, &a));
	ck_assert_int_eq(cidr_parse(&c, "::/0"), TULLE_OK);
	ck_assert(!cidr_contains(&c, &a));
	ck_assert_int_eq(addr_parse_ip(&a, "fd00::1"), TULLE_OK);
	ck_assert(cidr_contains(&c, &a));
	ck_assert_int_eq(cidr_parse(&c, "10.0.0.0/33"), TULLE_EINVAL);
	ck_assert_int_eq(cidr_parse(&c, "10.0.0.0/"), TULLE_EINVAL);
	ck_assert_int_eq(cidr_parse(&c, "10.0.0.0/08"), TULLE_EINVAL);
	ck_assert_int_eq(cidr_parse(&c, "nonsense/8"), TULLE_EINVAL);
}
END_TEST

UNIT_MAIN("addr", addresses_print_as_they_were_read, bad_addresses_are_refused, a_mapped_address_is_plain_ipv4,
    sockaddr_and_back, blocks_contain_their_own)
