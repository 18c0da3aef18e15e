/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire.h"

#include <string.h>

#include "unit.h"

static struct msg m;

START_TEST(a_body_of_another_size_is_refused)
{
	struct wire_ping ping = { .id = 7 };

	memcpy(m.body, &ping, sizeof(ping));
	for (m.len = 0; m.len < 2 * sizeof(ping); m.len++) {
		struct wire_ping got = { .id = 1 };
		enum tulle_err e = wire_take(&m, &got, sizeof(got));

		ck_assert_int_eq(e, m.len == sizeof(ping) ? TULLE_OK : TULLE_EPEER);
		ck_assert_uint_eq(got.id, e == TULLE_OK ? 7 : 1);
	}
}
END_TEST

START_TEST(a_text_is_what_is_behind_its_head)
{
	struct wire_result head = { .generation = 3, .ok = 1 }, got;
	char *text = NULL;
	size_t len;

	memcpy(m.body, &head, sizeof(head));
	memcpy(m.body + sizeof(head), "abcd", 4);
	m.len = sizeof(head) - 1;
	ck_assert_int_eq(wire_take_text(&m, &got, sizeof(got), &text, &len), TULLE_EPEER);
	ck_assert_ptr_null(text);
	m.len = sizeof(head) + 3;
	ck_assert_int_eq(wire_take_text(&m, &got, sizeof(got), &text, &len), TULLE_OK);
	ck_assert_uint_eq(got.generation, 3);
	ck_assert_str_eq(text, "abc");
	ck_assert_uint_eq(len, 3);
	free(text);
	m.len = sizeof(head);
	ck_assert_int_eq(wire_take_text(&m, &got, sizeof(got), &text, &len), TULLE_OK);
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(a_configuration_has_just_the_addresses_that_it_says)
{
	struct wire_config head = { .generation = 9, .n_local = 2 }, *got = NULL;

	memset(m.body, 0x5a, sizeof(m.body));
	memcpy(m.body, &head, sizeof(head));
	for (m.len = 0; m.len < sizeof(head) + 3 * sizeof(struct addr); m.len++) {
		enum tulle_err e = wire_take_config(&m, &got);

		ck_assert_int_eq(e, m.len == sizeof(head) + 2 * sizeof(struct addr) ? TULLE_OK : TULLE_EPEER);
	}
	ck_assert_uint_eq(got->n_local, 2);
	ck_assert_uint_eq(got->local[1].family, 0x5a);
	free(got);
	head.n_local = WIRE_LOCAL_MAX + 1; /* more than there can be */
	memcpy(m.body, &head, sizeof(head));
	m.len = (uint32_t)(sizeof(head) + head.n_local * sizeof(struct addr));
	ck_assert_int_eq(wire_take_config(&m, &got), TULLE_EPEER);
}
END_TEST

UNIT_MAIN("wire", a_body_of_another_size_is_refused, a_text_is_what_is_behind_its_head,
    a_configuration_has_just_the_addresses_that_it_says)
