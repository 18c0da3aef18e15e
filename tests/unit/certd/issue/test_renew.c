/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "issue/renew.h"

#include "unit.h"

#define HOUR INT64_C(3600000)

START_TEST(renewal_is_due_at_half_of_the_life_more_or_less)
{
	int64_t earliest = INT64_MAX, latest = 0;

	for (uint32_t draw = 0; draw < 1000; draw++) {
		int64_t at = renew_at(1000 * HOUR, 1024 * HOUR, draw);

		earliest = at < earliest ? at : earliest;
		latest = at > latest ? at : latest;
	}
	ck_assert_int_eq(earliest, 1000 * HOUR + 24 * HOUR * 45 / 100);
	ck_assert_int_eq(latest, 1000 * HOUR + 24 * HOUR * 55 / 100);
	/* A certificate of twenty seconds. */
	ck_assert_int_ge(renew_at(0, 20000, 7), 9000);
	ck_assert_int_le(renew_at(0, 20000, 7), 11000);
}
END_TEST

START_TEST(a_failure_is_tried_again_soon_then_less_often)
{
	static const int64_t most[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };

	for (unsigned int n = 1; n <= 8; n++)
		for (uint32_t draw = 0; draw < 70000; draw += 13) {
			int64_t wait = renew_retry(n, 24 * HOUR, 24 * HOUR, draw);

			ck_assert_int_ge(wait, 100);
			ck_assert_int_le(wait, most[n - 1]);
		}
	ck_assert_int_le(renew_retry(UINT32_MAX, 24 * HOUR, 24 * HOUR, UINT32_MAX), 60000);
}
END_TEST

START_TEST(a_short_rest_of_life_is_never_waited_away)
{
	for (uint32_t draw = 0; draw < 5000; draw++) {
		ck_assert_int_le(renew_retry(9, HOUR, 10000, draw), 500);
		ck_assert_int_eq(renew_retry(9, HOUR, 1000, draw), 100);
	}
	/* Nothing left to lose: a twentieth of the life; none yet: the plain schedule. */
	for (uint32_t draw = 0; draw < 70000; draw += 11) {
		ck_assert_int_le(renew_retry(9, 20000, -5, draw), 1000);
		ck_assert_int_le(renew_retry(9, 0, 0, draw), 60000);
	}
	ck_assert(renew_worth_saying(1) && renew_worth_saying(2) && !renew_worth_saying(3) && renew_worth_saying(64));
}
END_TEST

START_TEST(the_alarms_come_in_turn)
{
	ck_assert_int_eq(renew_alarm(0, 1000, 500), RENEW_FINE);
	ck_assert_int_eq(renew_alarm(0, 1000, 669), RENEW_FINE);
	ck_assert_int_eq(renew_alarm(0, 1000, 670), RENEW_33);
	ck_assert_int_eq(renew_alarm(0, 1000, 800), RENEW_20);
	ck_assert_int_eq(renew_alarm(0, 1000, 900), RENEW_10);
	ck_assert_int_eq(renew_alarm(0, 1000, 950), RENEW_5);
	ck_assert_int_eq(renew_alarm(0, 1000, 999), RENEW_5);
	ck_assert_int_eq(renew_alarm(0, 1000, 1000), RENEW_EXPIRED);
	/* Waiting for the next one visits each. */
	{
		int64_t now = 0;
		int n = 0;

		while ((now = renew_alarm_next(0, 1000, now)) != INT64_MAX)
			ck_assert_int_eq(renew_alarm(0, 1000, now), ++n);
		ck_assert_int_eq(n, RENEW_EXPIRED);
	}
	ck_assert_ptr_null(renew_alarm_text(RENEW_FINE));
	ck_assert_ptr_nonnull(renew_alarm_text(RENEW_EXPIRED));
}
END_TEST

UNIT_MAIN("certd/renew", renewal_is_due_at_half_of_the_life_more_or_less,
    a_failure_is_tried_again_soon_then_less_often, a_short_rest_of_life_is_never_waited_away,
    the_alarms_come_in_turn)
