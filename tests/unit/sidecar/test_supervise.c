/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_supervise.c - days in the life of a pod, without a process or a clock. */
#include <stdio.h>
#include <string.h>

#include "supervise.h"
#include "unit.h"

static char said[4096]; /* what was to be done, "start certd, stop relayd" */
static struct supervise s;
static uint64_t now;

static const char *const names[MEMBERS] = { "certd", "telemetryd", "relayd" };

static void
say(const char *verb, const char *name)
{
	size_t n = strlen(said);

	(void)snprintf(said + n, sizeof(said) - n, "%s%s%s%s", n > 0 ? ", " : "", verb, *name != '\0' ? " " : "", name);
}

static void
on_start(void *arg, enum member m)
{
	(void)arg;
	say("start", names[m]);
}

static void
on_signal(void *arg, enum member m, enum supervise_signal what)
{
	static const char *const verbs[] = { "leave", "stop", "kill" };

	(void)arg;
	say(verbs[what], names[m]);
}

static void
on_end(void *arg)
{
	(void)arg;
	say("end", "");
}

static const struct supervise_actions actions = { on_start, on_signal, on_end };

static struct supervise_options
classic(void)
{
	return (struct supervise_options){ .has = { true, true, true }, .drain_ms = 5000, .grace_ms = 30000 };
}

static void
begin(struct supervise_options o)
{
	said[0] = '\0';
	now = 1000000;
	supervise_begin(&s, &o, &actions, NULL, now);
}

/* Runs to the moment <ms> from now, and does what is due on the way there. */
static void
pass(uint64_t ms)
{
	uint64_t until = now + ms, next;

	for (;;) {
		next = supervise_tick(&s, now);
		if (next == UINT64_MAX || now + next > until || next == 0)
			break;
		now += next;
	}
	now = until;
	(void)supervise_tick(&s, now);
}

static void
running(struct supervise_options o)
{
	begin(o);
	supervise_certd_answers(&s, now);
	said[0] = '\0';
}

#define SAID(text)                          \
	do {                                \
		ck_assert_str_eq(said, text); \
		said[0] = '\0';             \
	} while (0)

START_TEST(the_others_start_when_certd_answers)
{
	begin(classic());
	SAID("start certd");
	ck_assert(supervise_waits_for_certd(&s));
	pass(SUPERVISE_WAIT_MS - 1);
	SAID("");
	supervise_certd_answers(&s, now);
	SAID("start telemetryd, start relayd");
	supervise_certd_answers(&s, now);
	SAID("");
	ck_assert(!supervise_waits_for_certd(&s));
}
END_TEST

START_TEST(a_certd_that_does_not_answer_keeps_nobody_waiting_for_ever)
{
	begin(classic());
	pass(SUPERVISE_WAIT_MS);
	SAID("start certd, start telemetryd, start relayd");
}
END_TEST

START_TEST(without_certd_all_start_at_once)
{
	struct supervise_options o = classic();

	o.has[MEMBER_CERTD] = false;
	begin(o);
	SAID("start telemetryd, start relayd");
}
END_TEST

START_TEST(who_dies_is_started_again_later_each_time)
{
	uint64_t waits[] = { 0, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10000, 10000 };

	running(classic());
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		supervise_ended(&s, MEMBER_RELAYD, now);
		if (waits[i] > 0) {
			pass(waits[i] - 1);
			SAID("");
			pass(1);
		} else {
			pass(0);
		}
		SAID("start relayd");
	}
}
END_TEST

START_TEST(who_has_run_for_long_is_started_again_at_once)
{
	running(classic());
	for (int i = 0; i < 12; i++) {
		supervise_ended(&s, MEMBER_CERTD, now);
		pass(SUPERVISE_AGAIN_MAX_MS);
	}
	pass(SUPERVISE_STABLE_MS);
	said[0] = '\0';
	supervise_ended(&s, MEMBER_CERTD, now);
	pass(0);
	SAID("start certd");
}
END_TEST

START_TEST(a_native_sidecar_stops_in_order_at_once)
{
	struct supervise_options o = classic();

	o.native = true;
	running(o);
	supervise_stop(&s, false, now);
	SAID("stop relayd");
	pass(100);
	supervise_ended(&s, MEMBER_RELAYD, now);
	SAID("stop telemetryd");
	supervise_ended(&s, MEMBER_TELEMETRYD, now);
	SAID("stop certd");
	supervise_ended(&s, MEMBER_CERTD, now);
	SAID("end");
	ck_assert_int_eq(s.phase, PHASE_OVER);
}
END_TEST

START_TEST(a_classic_one_serves_the_application_until_the_drain_is_over)
{
	running(classic());
	supervise_stop(&s, false, now);
	SAID("leave relayd");
	pass(4999);
	SAID("");
	pass(1);
	SAID("stop relayd");
}
END_TEST

START_TEST(it_does_not_wait_for_an_application_that_was_seen_to_end)
{
	running(classic());
	supervise_stop(&s, false, now);
	said[0] = '\0';
	ck_assert(supervise_watches_application(&s));
	supervise_application(&s, true, now);
	pass(500);
	supervise_application(&s, false, now);
	pass(SUPERVISE_GONE_MS - 1);
	supervise_application(&s, false, now);
	SAID("");
	pass(1);
	supervise_application(&s, false, now);
	SAID("stop relayd");
}
END_TEST

START_TEST(a_second_stop_ends_the_wait)
{
	running(classic());
	supervise_stop(&s, false, now);
	said[0] = '\0';
	supervise_stop(&s, false, now);
	SAID("stop relayd");
	supervise_stop(&s, true, now);
	SAID("");
}
END_TEST

START_TEST(who_does_not_end_in_time_is_killed_and_all_is_over_within_the_grace)
{
	struct supervise_options o = classic();
	uint64_t asked;

	running(o);
	asked = now;
	supervise_stop(&s, false, now);
	said[0] = '\0';
	pass(o.grace_ms - SUPERVISE_FLUSH_MS);
	SAID("stop relayd, kill relayd");
	supervise_ended(&s, MEMBER_RELAYD, now);
	pass(SUPERVISE_FLUSH_MS / 2);
	SAID("stop telemetryd, kill telemetryd");
	supervise_ended(&s, MEMBER_TELEMETRYD, now);
	pass(SUPERVISE_FLUSH_MS / 2);
	SAID("stop certd, kill certd");
	supervise_ended(&s, MEMBER_CERTD, now);
	SAID("end");
	ck_assert_uint_le(now - asked, o.grace_ms);
}
END_TEST

START_TEST(a_daemon_that_waits_to_be_started_again_is_not_when_all_stops)
{
	struct supervise_options o = classic();

	o.native = true;
	running(o);
	for (int i = 0; i < 3; i++) {
		supervise_ended(&s, MEMBER_TELEMETRYD, now);
		if (i < 2)
			pass(1000);
	}
	said[0] = '\0';
	supervise_stop(&s, false, now);
	supervise_ended(&s, MEMBER_RELAYD, now);
	supervise_ended(&s, MEMBER_CERTD, now);
	pass(60000);
	SAID("stop relayd, stop certd, end");
}
END_TEST

START_TEST(a_daemon_that_dies_while_the_application_is_still_served_is_started_again)
{
	running(classic());
	supervise_stop(&s, false, now);
	said[0] = '\0';
	supervise_ended(&s, MEMBER_RELAYD, now);
	pass(0);
	SAID("start relayd, leave relayd"); /* nor does the next one take from others */
	supervise_ended(&s, MEMBER_TELEMETRYD, now);
	pass(0);
	SAID("start telemetryd");
}
END_TEST

START_TEST(a_job_ends_the_sidecar_but_not_before_it_has_begun)
{
	struct supervise_options o = classic();

	o.end_with_app = true;
	running(o);
	for (int i = 0; i < 100; i++) {
		supervise_application(&s, false, now);
		pass(500);
	}
	SAID("");
	supervise_application(&s, true, now);
	for (int i = 0; i < 5; i++) {
		supervise_application(&s, false, now);
		pass(500);
	}
	supervise_application(&s, false, now);
	SAID("stop relayd");
}
END_TEST

START_TEST(between_two_containers_of_a_job_nothing_ends)
{
	struct supervise_options o = classic();

	o.end_with_app = true;
	running(o);
	for (int i = 0; i < 20; i++) {
		supervise_application(&s, i % 2 == 0, now);
		pass(1000);
	}
	SAID("");
}
END_TEST

START_TEST(the_application_may_end_it)
{
	running(classic());
	supervise_stop(&s, true, now);
	SAID("stop relayd");
}
END_TEST

UNIT_MAIN("supervise", the_others_start_when_certd_answers, a_certd_that_does_not_answer_keeps_nobody_waiting_for_ever,
    without_certd_all_start_at_once, who_dies_is_started_again_later_each_time, who_has_run_for_long_is_started_again_at_once,
    a_native_sidecar_stops_in_order_at_once, a_classic_one_serves_the_application_until_the_drain_is_over,
    it_does_not_wait_for_an_application_that_was_seen_to_end, a_second_stop_ends_the_wait,
    who_does_not_end_in_time_is_killed_and_all_is_over_within_the_grace,
    a_daemon_that_waits_to_be_started_again_is_not_when_all_stops,
    a_daemon_that_dies_while_the_application_is_still_served_is_started_again,
    a_job_ends_the_sidecar_but_not_before_it_has_begun, between_two_containers_of_a_job_nothing_ends, the_application_may_end_it)
