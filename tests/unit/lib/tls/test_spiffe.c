/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/spiffe.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

static bool
parses(const char *text, size_t len)
{
	struct spiffe_id id;

	return spiffe_parse(&id, text, len) == TULLE_OK;
}

/* SPIFFE-ID 2: what is one. */
START_TEST(good_ids_are_taken_apart)
{
	static const struct {
		const char *text, *td, *path;
	} good[] = {
		{ "spiffe://a/b", "a", "/b" },
		{ "spiffe://1.2.3.4/x", "1.2.3.4", "/x" },
		{ "spiffe://td", "td", "" },
		{ "spiffe://td/...", "td", "/..." },
		{ "spiffe://td/.a/..b", "td", "/.a/..b" },
		{ "spiffe://a-b_c.9/A/z/-/_", "a-b_c.9", "/A/z/-/_" },
	};
	struct spiffe_id id;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(spiffe_parse(&id, good[i].text, strlen(good[i].text)) == TULLE_OK, "%s", good[i].text);
		ck_assert_uint_eq(id.td_len, strlen(good[i].td));
		ck_assert_mem_eq(id.td, good[i].td, id.td_len);
		ck_assert_uint_eq(id.path_len, strlen(good[i].path));
		ck_assert(memcmp(id.path, good[i].path, id.path_len) == 0);
	}
}
END_TEST

START_TEST(bad_ids_are_refused)
{
	static const char *const bad[] = { "", "spiffe:", "spiffe://", "spiffe:///x", "spiffe://td/", "spiffe://TD/x",
		"SPIFFE://td/x", "spiffe://td/x/", "spiffe://td//x", "spiffe://td/./x", "spiffe://td/..", "spiffe://td/.",
		"spiffe://td/%41", "spiffe://t%64/x", "spiffe://td:80/x", "spiffe://u@td/x", "spiffe://td/x?",
		"spiffe://td/x#", "spiffe://td?", "spiffe://td#", "spiffe://[::1]/x", "https://td/x", "spiffe://td/x y",
		"spiffe://td/x\x7f", "spiffe://td/x\x80", "spiffe://td\x7f/x", "spiffe://td\x80/x", "spiffe:/td/x",
		" spiffe://td/x", "spiffe://td/x\n", "spiffe://td\\x" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!parses(bad[i], strlen(bad[i])), "%s", bad[i]);
	ck_assert(!parses("spiffe://td/a\0b", 15));
	ck_assert(!parses("spiffe://t\0d/ab", 15));
}
END_TEST

START_TEST(lengths_end_where_they_should)
{
	char text[SPIFFE_ID_MAX + 2];

	memset(text, 'a', sizeof(text));
	memcpy(text, "spiffe://td/", 12);
	ck_assert(parses(text, 2048));
	ck_assert(!parses(text, 2049));
	memset(text + 9, 'a', 300);
	text[9 + 255] = '/';
	ck_assert(parses(text, 400));
	text[9 + 255] = 'a';
	text[9 + 256] = '/';
	ck_assert(!parses(text, 400));
}
END_TEST

START_TEST(namespace_and_account_come_out)
{
	struct spiffe_account a;
	struct spiffe_id id;

	ck_assert_int_eq(spiffe_parse(&id, "spiffe://td/ns/shop/sa/cart", 27), TULLE_OK);
	ck_assert(spiffe_account(&a, &id));
	ck_assert_uint_eq(a.ns_len, 4);
	ck_assert_mem_eq(a.ns, "shop", 4);
	ck_assert_mem_eq(a.sa, "cart", 4);
	ck_assert_uint_eq(a.sa_len, 4);
	static const char *const others[] = { "spiffe://td", "spiffe://td/ns/a", "spiffe://td/ns/a/sa",
		"spiffe://td/ns/a/sb/b", "spiffe://td/ns/a/sa/b/c", "spiffe://td/sa/a/ns/b", "spiffe://td/x/ns/a/sa/b",
		"spiffe://td/ns/sa/a/b" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		ck_assert_int_eq(spiffe_parse(&id, others[i], strlen(others[i])), TULLE_OK);
		ck_assert_msg(!spiffe_account(&a, &id), "%s", others[i]);
	}
}
END_TEST

START_TEST(built_ids_are_good_ones)
{
	char out[SPIFFE_ID_MAX + 1], small[20];

	ck_assert_int_eq(spiffe_build(out, sizeof(out), "mesh.test", "shop", "cart"), TULLE_OK);
	ck_assert_str_eq(out, "spiffe://mesh.test/ns/shop/sa/cart");
	ck_assert_str_eq(spiffe_principal(out), "mesh.test/ns/shop/sa/cart");
	ck_assert_int_eq(spiffe_build(out, sizeof(out), "Mesh", "shop", "cart"), TULLE_EINVAL);
	ck_assert_int_eq(spiffe_build(out, sizeof(out), "mesh", "a/b", "cart"), TULLE_EINVAL);
	ck_assert_int_eq(spiffe_build(out, sizeof(out), "mesh", "..", "cart"), TULLE_EINVAL);
	ck_assert_int_eq(spiffe_build(out, sizeof(out), "mesh", "a", ""), TULLE_EINVAL);
	ck_assert_int_eq(spiffe_build(small, sizeof(small), "mesh", "a", "bcdef"), TULLE_ELIMIT);
}
END_TEST

START_TEST(server_names_match_their_own_id_alone)
{
	char sni[SPIFFE_SNI], text[400];
	struct spiffe_id id;

	ck_assert_int_eq(spiffe_parse(&id, "spiffe://mesh.test/ns/shop/sa/Cart", 34), TULLE_OK);
	ck_assert_int_eq(spiffe_sni(sni, &id), TULLE_OK);
	ck_assert_str_eq(sni, "Cart.shop.sa.mesh.test");
	ck_assert(spiffe_sni_matches(&id, sni, strlen(sni)));
	ck_assert(!spiffe_sni_matches(&id, "cart.shop.sa.mesh.test", strlen(sni)));
	ck_assert(!spiffe_sni_matches(&id, sni, strlen(sni) - 1));
	ck_assert_int_eq(spiffe_parse(&id, "spiffe://mesh.test/web", 22), TULLE_OK);
	ck_assert_int_eq(spiffe_sni(sni, &id), TULLE_EINVAL);
	(void)snprintf(text, sizeof(text), "spiffe://t/ns/a/sa/%0*d", 246, 0);
	ck_assert_int_eq(spiffe_parse(&id, text, strlen(text)), TULLE_OK);
	ck_assert_int_eq(spiffe_sni(sni, &id), TULLE_OK);
	ck_assert_uint_eq(strlen(sni), 253);
	(void)snprintf(text, sizeof(text), "spiffe://t/ns/a/sa/%0*d", 247, 0);
	ck_assert_int_eq(spiffe_parse(&id, text, strlen(text)), TULLE_OK);
	ck_assert_int_eq(spiffe_sni(sni, &id), TULLE_ELIMIT);
}
END_TEST

UNIT_MAIN("spiffe", good_ids_are_taken_apart, bad_ids_are_refused, lengths_end_where_they_should,
    namespace_and_account_come_out, built_ids_are_good_ones, server_names_match_their_own_id_alone)
