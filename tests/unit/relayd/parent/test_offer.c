/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/offer.h"

#include <fcntl.h>
#include <unistd.h>

#include "unit.h"

static struct offer o;

/* Sealed files are told apart by their descriptors' numbers. */
static int
files(void)
{
	int fd = open("/dev/null", O_RDONLY);

	ck_assert_int_ne(fd, -1);
	return fd;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* What is due is <fd>; the result is its generation. */
static uint64_t
given(int fd)
{
	uint64_t generation;
	int got;

	ck_assert(offer_next(&o, &got, &generation));
	ck_assert_int_eq(got, fd);
	return generation;
}

/* The number of the newest files, if the answer is about them. */
static uint64_t
answered(uint64_t generation, bool ok)
{
	uint64_t ticket;

	(void)offer_answered(&o, generation, ok, &ticket);
	return ticket;
}

static void
nothing_is_due(void)
{
	uint64_t generation;
	int got;

	ck_assert(!offer_next(&o, &got, &generation));
}

/* A process that has accepted <fd>. */
static void
accepted(int fd)
{
	uint64_t ticket = offer_put(&o, fd);

	ck_assert_uint_eq(answered(given(fd), true), ticket);
	nothing_is_due();
}

START_TEST(what_is_refused_is_forgotten_and_what_is_accepted_is_given_to_the_next_process)
{
	int good = files(), bad = files();
	uint64_t ticket;

	offer_init(&o);
	nothing_is_due();
	accepted(good);
	ticket = offer_put(&o, bad);
	ck_assert_uint_eq(answered(given(bad), false), ticket);
	ck_assert(!is_open(bad));
	for (int deaths = 0; deaths < 2; deaths++) {
		nothing_is_due();
		ck_assert_uint_eq(offer_ended(&o), 0);
		ck_assert_uint_eq(answered(given(good), true), 0);
	}
	offer_done(&o);
	ck_assert(!is_open(good));
}
END_TEST

START_TEST(files_that_a_process_died_of_are_not_given_to_the_next)
{
	int good = files(), deadly = files();
	uint64_t ticket;

	offer_init(&o);
	accepted(good);
	ticket = offer_put(&o, deadly);
	(void)given(deadly);
	ck_assert_uint_eq(offer_ended(&o), ticket); /* who waits for them is told */
	ck_assert(!is_open(deadly));
	(void)answered(given(good), true);
	nothing_is_due();
	offer_done(&o);
}
END_TEST

START_TEST(without_a_good_set_even_those_are_tried_again)
{
	int deadly = files(), newer = files();
	uint64_t ticket;

	offer_init(&o);
	(void)offer_put(&o, deadly);
	(void)given(deadly);
	ck_assert_uint_ne(offer_ended(&o), 0);
	(void)given(deadly);
	ticket = offer_put(&o, newer); /* unless there is something newer */
	ck_assert_uint_ne(offer_ended(&o), 0);
	ck_assert(!is_open(deadly));
	ck_assert_uint_eq(answered(given(newer), true), ticket);
	offer_done(&o);
}
END_TEST

START_TEST(files_read_while_no_process_was_there_come_after_the_good_ones)
{
	int good = files(), first = files(), second = files();
	uint64_t ticket;

	offer_init(&o);
	accepted(good);
	(void)offer_ended(&o);
	(void)offer_put(&o, first);
	ticket = offer_put(&o, second);
	ck_assert(!is_open(first)); /* the newest alone count */
	(void)answered(given(good), true);
	ck_assert_uint_eq(answered(given(second), true), ticket);
	(void)offer_ended(&o);
	(void)given(second);
	offer_done(&o);
}
END_TEST

START_TEST(newer_files_wait_for_the_answer_to_the_last)
{
	int first = files(), second = files();
	uint64_t generation, a, b;

	offer_init(&o);
	a = offer_put(&o, first);
	generation = given(first);
	b = offer_put(&o, second);
	nothing_is_due();
	ck_assert_uint_eq(answered(generation + 1, true), 0); /* an answer that nobody asked for */
	ck_assert_uint_eq(answered(generation, true), a);
	ck_assert_uint_eq(answered(given(second), false), b);
	(void)offer_ended(&o);
	(void)given(first); /* the one that was in force, not the one before it */
	offer_done(&o);
}
END_TEST

START_TEST(newer_files_go_first_when_the_good_ones_end_processes)
{
	int good = files(), cure = files(), placebo = files();
	uint64_t ticket;

	offer_init(&o);
	accepted(good);
	(void)offer_ended(&o);
	(void)given(good);
	(void)offer_put(&o, placebo);
	ck_assert_uint_eq(offer_ended(&o), 0); /* of the good ones, this time */
	ck_assert_uint_ne(answered(given(placebo), false), 0);
	(void)given(good); /* refused: there must be something in force */
	(void)offer_ended(&o);
	ticket = offer_put(&o, cure);
	ck_assert_uint_eq(answered(given(cure), true), ticket);
	nothing_is_due();
	offer_done(&o);
}
END_TEST

START_TEST(new_addresses_give_the_good_set_once_more)
{
	int good = files(), bad = files();

	offer_init(&o);
	offer_addresses(&o);
	nothing_is_due();
	accepted(good); /* which took them along */
	offer_addresses(&o);
	ck_assert_uint_eq(answered(given(good), true), 0);
	nothing_is_due();
	(void)offer_put(&o, bad);
	offer_addresses(&o);
	(void)answered(given(bad), false); /* so the addresses have not arrived */
	ck_assert_uint_eq(answered(given(good), false), 0);
	nothing_is_due(); /* refused under them: asking again would not help */
	offer_done(&o);
}
END_TEST

START_TEST(addresses_that_change_while_files_are_looked_at_are_not_lost)
{
	int good = files();
	uint64_t generation;

	offer_init(&o);
	(void)offer_put(&o, good);
	generation = given(good);
	offer_addresses(&o);
	(void)answered(generation, true);
	(void)given(good);
	offer_done(&o);
}
END_TEST

START_TEST(what_could_not_be_sent_is_due_again)
{
	int good = files(), newer = files(), newest = files();

	offer_init(&o);
	accepted(good);
	(void)offer_put(&o, newer);
	(void)given(newer);
	offer_unsent(&o);
	ck_assert(!offer_busy(&o));
	(void)given(newer);
	offer_unsent(&o);
	(void)offer_put(&o, newest);
	ck_assert(!is_open(newer));
	(void)given(newest);
	offer_unsent(&o);
	(void)offer_ended(&o);
	(void)given(good);
	offer_unsent(&o);
	(void)given(good);
	offer_done(&o);
}
END_TEST

START_TEST(without_a_good_set_that_of_an_earlier_run_is_the_next_best)
{
	int bad = files(), old = files();
	uint64_t ticket;

	offer_init(&o);
	(void)offer_put(&o, bad);
	(void)answered(given(bad), false);
	ck_assert(!offer_has_hope(&o));
	offer_fallback(&o, old);
	ck_assert(offer_has_hope(&o));
	ck_assert_int_eq(offer_answered(&o, given(old), true, &ticket), OFFERED_FALLBACK);
	ck_assert_uint_eq(ticket, 0);
	(void)offer_ended(&o);
	ck_assert_int_eq(offer_answered(&o, given(old), true, &ticket), OFFERED_GOOD); /* from now on */
	offer_done(&o);
}
END_TEST

START_TEST(files_that_a_process_died_of_give_way_to_those_of_an_earlier_run)
{
	int deadly = files(), old = files(), newer = files();
	uint64_t ticket;

	offer_init(&o);
	(void)offer_put(&o, deadly);
	(void)given(deadly);
	ck_assert_uint_ne(offer_ended(&o), 0);
	ck_assert(!offer_has_hope(&o));
	offer_fallback(&o, old);
	ck_assert(!is_open(deadly));
	(void)given(old);
	(void)offer_ended(&o); /* a death of any other cause: there is nothing but this one */
	ck_assert_int_eq(offer_answered(&o, given(old), false, &ticket), OFFERED_FALLBACK);
	ck_assert(!is_open(old));
	ck_assert(!offer_has_hope(&o));
	ticket = offer_put(&o, newer);
	ck_assert_uint_eq(answered(given(newer), true), ticket);
	offer_done(&o);
}
END_TEST

UNIT_MAIN("offer", what_is_refused_is_forgotten_and_what_is_accepted_is_given_to_the_next_process,
    files_that_a_process_died_of_are_not_given_to_the_next, without_a_good_set_even_those_are_tried_again,
    files_read_while_no_process_was_there_come_after_the_good_ones, newer_files_wait_for_the_answer_to_the_last,
    newer_files_go_first_when_the_good_ones_end_processes, new_addresses_give_the_good_set_once_more,
    addresses_that_change_while_files_are_looked_at_are_not_lost, what_could_not_be_sent_is_due_again,
    without_a_good_set_that_of_an_earlier_run_is_the_next_best,
    files_that_a_process_died_of_give_way_to_those_of_an_earlier_run)
