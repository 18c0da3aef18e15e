/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/loop.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/ctlsock.h"
#include "unit.h"

static struct loop *loop;
static struct watch a = WATCH_INIT, b = WATCH_INIT;
static int calls;

static void
remove_the_other(struct watch *w, uint32_t events)
{
	(void)events;
	calls++;
	loop_del(loop, w == &a ? &b : &a);
	loop_del(loop, w);
}

START_TEST(an_event_of_a_removed_watch_is_not_delivered)
{
	int p[2], q[2];

	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, q), 0);
	ck_assert_int_eq(loop_add(loop, &a, p[0], EPOLLIN, remove_the_other), TULLE_OK);
	ck_assert_int_eq(loop_add(loop, &b, q[0], EPOLLIN, remove_the_other), TULLE_OK);
	ck_assert_int_eq(write(p[1], "x", 1), 1);
	ck_assert_int_eq(write(q[1], "x", 1), 1);
	ck_assert_int_eq(loop_tick(loop, 100), TULLE_OK);
	ck_assert_int_eq(calls, 1);
	loop = loop_free(loop);
}
END_TEST

static void
stop_on_signal(void *arg, int signo)
{
	*(int *)arg = signo;
	loop_stop(loop);
}

START_TEST(signals_arrive_in_the_loop)
{
	int got = 0;

	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(loop_on_signal(loop, SIGHUP, stop_on_signal, &got), TULLE_OK);
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR1, stop_on_signal, &got), TULLE_OK);
	ck_assert_int_eq(raise(SIGHUP), 0);
	ck_assert_int_eq(loop_run(loop), TULLE_OK);
	ck_assert_int_eq(got, SIGHUP);
	loop = loop_free(loop);
}
END_TEST

static struct ctl_call *late;
static struct timer later;

static void
answer_later(struct timer *t)
{
	(void)t;
	ctl_ok(late, json_pack("{s:i}", "seven", 7));
}

static void
run_late(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)arg;
	(void)args;
	late = call;
	timer_set(loop, &later, 20, answer_later);
}

static void
run_fail(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)arg;
	ctl_fail(call, "no %s here", json_string_value(json_object_get(args, "what")));
}

START_TEST(control_calls_are_answered_now_or_later)
{
	static const struct ctl_command commands[] = { { "late", true, run_late }, { "fail", false, run_fail }, { 0 } };
	char path[] = "/tmp/tulle-test-ctl-XXXXXX";
	struct ctl_server *s;
	json_t *result = NULL;
	char *error = NULL;
	pid_t child;

	ck_assert_int_ne(mkstemp(path), -1);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(ctl_serve(&s, loop, path, "test", commands, NULL), TULLE_OK);
	child = fork();
	if (child == 0) {
		for (int i = 0; i < 2000; i++)
			(void)loop_tick(loop, 10);
		_exit(0);
	}
	ck_assert_int_eq(ctl_call(path, "late", NULL, 5000, &result, &error), TULLE_OK);
	ck_assert_int_eq(json_integer_value(json_object_get(result, "seven")), 7);
	json_decref(result);
	ck_assert_int_eq(ctl_call(path, "fail", json_pack("{s:s}", "what", "luck"), 5000, &result, &error), TULLE_EINVAL);
	ck_assert_str_eq(error, "no luck here");
	free(error);
	ck_assert_int_eq(ctl_call(path, "nonsense", NULL, 5000, &result, &error), TULLE_EINVAL);
	free(error);
	ck_assert_int_eq(ctl_call(path, "process", NULL, 5000, &result, &error), TULLE_OK);
	ck_assert_int_gt(json_integer_value(json_object_get(result, "rss_bytes")), 0);
	ck_assert_int_gt(json_integer_value(json_object_get(result, "fds")), 2);
	json_decref(result);
	ck_assert_int_eq(ctl_call("/nonexistent/x", "process", NULL, 100, &result, &error), TULLE_ENOENT);
	(void)kill(child, SIGKILL);
	(void)ctl_server_free(s);
	loop = loop_free(loop);
	(void)unlink(path);
}
END_TEST

UNIT_MAIN("loop", an_event_of_a_removed_watch_is_not_delivered, signals_arrive_in_the_loop,
    control_calls_are_answered_now_or_later)
