/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/pulse.h"

#include "unit.h"

/* Rounds that pass without an answer until the process counts as hung. */
static unsigned int
rounds(struct pulse *p, bool busy)
{
	unsigned int n = 0;
	uint64_t id;

	while (pulse_round(p, busy, &id))
		n++;
	return n;
}

START_TEST(who_answers_is_alive)
{
	struct pulse p = { 0 };
	uint64_t id;

	for (int i = 0; i < 1000; i++) {
		ck_assert(pulse_round(&p, false, &id));
		pulse_answered(&p, id);
	}
}
END_TEST

START_TEST(who_does_not_is_hung_after_a_bounded_time)
{
	struct pulse p = { 0 };

	ck_assert_uint_eq(rounds(&p, false), PULSE_ROUNDS);
	pulse_start(&p); /* the next process has all of the time again */
	ck_assert_uint_eq(rounds(&p, false), PULSE_ROUNDS);
}
END_TEST

START_TEST(who_looks_at_a_configuration_has_longer)
{
	struct pulse p = { 0 };

	ck_assert_uint_eq(rounds(&p, true), PULSE_ROUNDS_BUSY);
	ck_assert_uint_gt(PULSE_ROUNDS_BUSY, PULSE_ROUNDS);
}
END_TEST

START_TEST(an_answer_to_an_older_question_counts_for_nothing)
{
	struct pulse p = { 0 };
	uint64_t id, later;

	ck_assert(pulse_round(&p, false, &id));
	pulse_answered(&p, id);
	ck_assert(pulse_round(&p, false, &later));
	ck_assert_uint_ne(id, later);
	pulse_answered(&p, id);
	ck_assert_uint_eq(rounds(&p, false), PULSE_ROUNDS - 1);
}
END_TEST

START_TEST(a_question_is_asked_again_and_one_answer_is_enough)
{
	struct pulse p = { 0 };
	uint64_t id, again;

	ck_assert(pulse_round(&p, false, &id));
	for (int i = 1; i < PULSE_ROUNDS; i++) {
		ck_assert(pulse_round(&p, false, &again)); /* the channel may have been full */
		ck_assert_uint_eq(again, id);
	}
	pulse_answered(&p, id);
	ck_assert_uint_eq(rounds(&p, false), PULSE_ROUNDS);
}
END_TEST

UNIT_MAIN("pulse", who_answers_is_alive, who_does_not_is_hung_after_a_bounded_time,
    who_looks_at_a_configuration_has_longer, an_answer_to_an_older_question_counts_for_nothing,
    a_question_is_asked_again_and_one_answer_is_enough)
