/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flow/talk.h"

#include <check.h>
#include <string.h>

#define MAX 4

static struct talks *talks;

static void
setup(void)
{
	ck_assert_int_eq(talks_new(&talks, MAX), TULLE_OK);
}

static void
teardown(void)
{
	talks = talks_free(talks);
}

/* A stranger's plaintext from 10.0.0.<n>. */
static struct talk_key
caller(uint8_t n)
{
	struct talk_key k;

	memset(&k, 0, sizeof(k));
	k.direction = EVENT_INBOUND;
	k.how = TALK_PLAINTEXT;
	k.port = 80;
	k.address.family = AF_INET;
	memcpy(k.address.ip, (const uint8_t[]){ 10, 0, 0, n }, 4);
	return k;
}

static struct talk *
begin(uint8_t n, int64_t now)
{
	struct talk_key k = caller(n);

	return talk_begin(talks, &k, now);
}

/* What the table says of 10.0.0.<n>; of the others: n 0. */
struct wanted {
	uint8_t n;
	unsigned int found, all;
	struct talk_counts counts;
};

static void
look(void *arg, const struct talk_key *key, enum event_direction direction, enum talk_how how, const struct talk_counts *n)
{
	struct wanted *w = arg;

	ck_assert_int_eq(direction, EVENT_INBOUND);
	ck_assert_int_eq(how, TALK_PLAINTEXT);
	w->all++;
	if ((key != NULL ? key->address.ip[3] : 0) != w->n)
		return;
	w->found++;
	w->counts = *n;
}

static struct wanted
find(uint8_t n)
{
	struct wanted w = { .n = n };

	talks_each(talks, look, &w);
	return w;
}

START_TEST(connections_of_one_caller_are_one_talk)
{
	struct talk *first = begin(1, 100), *second = begin(1, 110);
	struct wanted w;

	ck_assert_ptr_eq(first, second);
	talk_audited(first);
	talk_end(talks, first, EVENT_SUCCESS, 10, 20, 120);
	w = find(1);
	ck_assert_uint_eq(w.counts.active, 1);
	talk_end(talks, second, EVENT_DENIED, 1, 2, 130);
	w = find(1);
	ck_assert_uint_eq(w.found, 1);
	ck_assert_uint_eq(w.counts.connections, 2);
	ck_assert_uint_eq(w.counts.denied, 1);
	ck_assert_uint_eq(w.counts.failed, 0);
	ck_assert_uint_eq(w.counts.audited, 1);
	ck_assert_uint_eq(w.counts.rx, 11);
	ck_assert_uint_eq(w.counts.tx, 22);
	ck_assert_int_eq(w.counts.last_sec, 130);
}
END_TEST

START_TEST(bytes_of_open_connections_are_there_once)
{
	struct talk *k = begin(1, 100);

	talk_live(k, 5, 7);
	ck_assert_uint_eq(find(1).counts.rx, 5);
	ck_assert_uint_eq(find(1).counts.tx, 0); /* asked again without being told again */
	talk_end(talks, k, EVENT_SUCCESS, 6, 8, 101);
	ck_assert_uint_eq(find(1).counts.tx, 8);
}
END_TEST

START_TEST(who_is_silent_for_longest_makes_place_and_is_counted_on)
{
	for (uint8_t n = 1; n <= MAX; n++)
		talk_end(talks, begin(n, n), EVENT_SUCCESS, 1, 1, n);
	talk_end(talks, begin(1, 50), EVENT_DENIED, 1, 1, 50); /* speaks again: 2 is now the longest silent */
	talk_end(talks, begin(9, 60), EVENT_SUCCESS, 1, 1, 60);
	ck_assert_uint_eq(find(2).found, 0);
	ck_assert_uint_eq(find(1).found, 1);
	ck_assert_uint_eq(find(9).found, 1);
	ck_assert_uint_eq(find(0).counts.connections, 1);
	ck_assert_int_eq(find(0).counts.last_sec, 2);
	ck_assert_uint_eq(find(0).all, MAX + 1);
}
END_TEST

START_TEST(who_has_an_open_connection_never_makes_place)
{
	struct talk *open[MAX + 1];

	for (uint8_t n = 0; n < MAX; n++)
		open[n] = begin((uint8_t)(n + 1), 1);
	open[MAX] = begin(9, 2); /* no place: one of the others from its beginning */
	ck_assert_uint_eq(find(9).found, 0);
	ck_assert_uint_eq(find(0).counts.active, 1);
	for (uint8_t n = 0; n <= MAX; n++)
		talk_end(talks, open[n], EVENT_SUCCESS, 3, 4, 3);
	for (uint8_t n = 1; n <= MAX; n++)
		ck_assert_uint_eq(find(n).counts.rx, 3);
	ck_assert_uint_eq(find(0).counts.rx, 3);
	ck_assert_uint_eq(find(0).counts.active, 0);
}
END_TEST

START_TEST(a_flood_of_strangers_is_counted_and_bounded)
{
	uint64_t sum = 0;

	for (int i = 0; i < 1000; i++)
		talk_end(talks, begin((uint8_t)(i % 250 + 1), i), EVENT_SUCCESS, 1, 0, i);
	for (int n = 0; n <= 250; n++)
		sum += find((uint8_t)n).counts.connections;
	ck_assert_uint_eq(sum, 1000);
	ck_assert_uint_eq(find(1).all, MAX + 1);
}
END_TEST

START_TEST(ways_are_told_apart)
{
	struct talk_key plain = caller(1), mutual = caller(1);

	mutual.how = TALK_MUTUAL;
	ck_assert_ptr_ne(talk_begin(talks, &plain, 1), talk_begin(talks, &mutual, 1));
	for (int h = 0; h < TALK_HOWS; h++)
		ck_assert_str_ne(talk_how_name((enum talk_how)h), "?");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("talk");
	TCase *tc = tcase_create("table");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, connections_of_one_caller_are_one_talk);
	tcase_add_test(tc, bytes_of_open_connections_are_there_once);
	tcase_add_test(tc, who_is_silent_for_longest_makes_place_and_is_counted_on);
	tcase_add_test(tc, who_has_an_open_connection_never_makes_place);
	tcase_add_test(tc, a_flood_of_strangers_is_counted_and_bounded);
	tcase_add_test(tc, ways_are_told_apart);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
