/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a destination is named. */
#include <string.h>

#include "doctor/destination.h"
#include "unit.h"

START_TEST(names_with_and_without_namespace_and_port)
{
	static const struct {
		const char *text, *ns, *name;
		uint16_t port;
	} good[] = { { "web", "", "web", 0 }, { "web:80", "", "web", 80 }, { "shop/web", "shop", "web", 0 },
		{ "shop/web:65535", "shop", "web", 65535 } };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct destination d;

		ck_assert_int_eq(destination_parse(&d, good[i].text), TULLE_OK);
		ck_assert_uint_eq(d.addr.family, 0);
		ck_assert_str_eq(d.ns, good[i].ns);
		ck_assert_str_eq(d.name, good[i].name);
		ck_assert_uint_eq(d.port, good[i].port);
	}
}
END_TEST

START_TEST(addresses_of_both_families)
{
	static const struct {
		const char *text;
		uint8_t family;
		uint16_t port;
	} good[] = { { "10.0.0.7", AF_INET, 0 }, { "10.0.0.7:80", AF_INET, 80 }, { "fd00::7", AF_INET6, 0 },
		{ "[fd00::7]:80", AF_INET6, 80 } };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct destination d;

		ck_assert_int_eq(destination_parse(&d, good[i].text), TULLE_OK);
		ck_assert_uint_eq(d.addr.family, good[i].family);
		ck_assert_uint_eq(d.addr.port, 0);
		ck_assert_uint_eq(d.port, good[i].port);
	}
}
END_TEST

START_TEST(nonsense_is_refused_and_leaves_the_result_alone)
{
	static const char *const bad[] = { "", ":80", "web:", "web:0", "web:65536", "web:x", "/web", "a/b/c", "shop/", "shop/:80",
		"web:80:80" };
	char long_name[400];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct destination d = { .port = 4711 };

		ck_assert_msg(destination_parse(&d, bad[i]) == TULLE_EINVAL, "%s", bad[i]);
		ck_assert_uint_eq(d.port, 4711);
	}
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	ck_assert_int_eq(destination_parse(&(struct destination){ 0 }, long_name), TULLE_EINVAL);
	long_name[100] = '/';
	ck_assert_int_eq(destination_parse(&(struct destination){ 0 }, long_name), TULLE_EINVAL);
}
END_TEST

UNIT_MAIN("destination", names_with_and_without_namespace_and_port, addresses_of_both_families,
    nonsense_is_refused_and_leaves_the_result_alone)
