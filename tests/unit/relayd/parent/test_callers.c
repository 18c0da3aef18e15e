/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Callers are real ones, at a control socket; what they hear is the test. */
#include "parent/callers.h"

#include <pthread.h>
#include <string.h>

#include "../root.h"

static struct loop *loop;
static struct callers callers;
static unsigned int waiting;

/* {"what":0,"id":1,"ms":1000} */
static void
run_wait(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)arg;
	callers_wait(&callers, call, (enum wait)json_integer_value(json_object_get(args, "what")),
	    (uint64_t)json_integer_value(json_object_get(args, "id")), (uint64_t)json_integer_value(json_object_get(args, "ms")));
	waiting++;
}

static const struct ctl_command commands[] = { { "wait", false, run_wait }, { 0 } };

static void
late(void *arg, struct ctl_call *call, enum wait what)
{
	(void)arg;
	ctl_ok(call, json_pack("{s:s, s:i}", "said", "late", "what", (int)what));
}

struct caller {
	pthread_t thread;
	enum wait what;
	uint64_t id, ms;
	char heard[64];
};

static void *
call(void *arg)
{
	struct caller *c = arg;
	json_t *result = NULL;
	char *error = NULL;
	enum tulle_err e = ctl_call(paths_run("x.sock"), "wait",
	    json_pack("{s:i, s:I, s:I}", "what", (int)c->what, "id", (json_int_t)c->id, "ms", (json_int_t)c->ms), 30000, &result,
	    &error);
	const char *said = e == TULLE_OK ? json_string_value(json_object_get(result, "said")) : error;

	(void)snprintf(c->heard, sizeof(c->heard), "%s", said != NULL ? said : "nothing");
	json_decref(result);
	free(error);
	return NULL;
}

static void
ask(struct caller *c, enum wait what, uint64_t id, uint64_t ms)
{
	unsigned int before = waiting;

	*c = (struct caller){ .what = what, .id = id, .ms = ms };
	ck_assert_int_eq(pthread_create(&c->thread, NULL, call, c), 0);
	while (waiting == before)
		ck_assert_int_eq(loop_tick(loop, 1000), TULLE_OK);
}

static const char *
heard(struct caller *c)
{
	while (pthread_tryjoin_np(c->thread, NULL) != 0)
		ck_assert_int_eq(loop_tick(loop, 5), TULLE_OK);
	return c->heard;
}

static char path[] = "/tmp/tulle-unit-XXXXXX";

static void
setup(void)
{
	static struct ctl_server *server;
	char name[128];

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(paths_init(path), TULLE_OK);
	(void)snprintf(name, sizeof(name), "%s/run", path);
	ck_assert_int_eq(mkdir(name, 0755), 0);
	ck_assert_int_eq(mkdir(paths_run(""), 0755), 0);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(ctl_serve(&server, loop, paths_run("x.sock"), "x", commands, NULL), TULLE_OK);
	callers_init(&callers, loop, late, NULL);
}

static void
teardown(void)
{
	char name[128];

	ck_assert_int_eq(unlink(paths_run("x.sock")), 0);
	ck_assert_int_eq(rmdir(paths_run("")), 0);
	(void)snprintf(name, sizeof(name), "%s/run", path);
	ck_assert_int_eq(rmdir(name), 0);
	ck_assert_int_eq(rmdir(path), 0);
}

START_TEST(who_asked_is_who_is_answered)
{
	struct caller status, process;
	struct ctl_call *c;

	setup();
	ask(&status, WAIT_STATUS, 1, 20000);
	ask(&process, WAIT_PROCESS, 2, 20000);
	ck_assert_ptr_null(callers_take(&callers, WAIT_STATUS, 2));
	c = callers_take(&callers, WAIT_PROCESS, 2);
	ck_assert_ptr_nonnull(c);
	ctl_ok(c, json_pack("{s:s}", "said", "two"));
	ck_assert_ptr_null(callers_take(&callers, WAIT_PROCESS, 2)); /* once */
	ck_assert_str_eq(heard(&process), "two");
	callers_give_up(&callers, "gone");
	ck_assert_str_eq(heard(&status), "gone");
	teardown();
}
END_TEST

START_TEST(nobody_waits_for_ever)
{
	struct caller status;

	setup();
	ask(&status, WAIT_STATUS, 1, 50);
	ck_assert_str_eq(heard(&status), "late");
	ck_assert_ptr_null(callers_take(&callers, WAIT_STATUS, 1)); /* the answer that comes after all */
	teardown();
}
END_TEST

START_TEST(an_answer_about_newer_files_is_for_those_who_brought_older_ones)
{
	struct caller first, second, third;
	json_t *good;

	setup();
	ask(&first, WAIT_RELOAD, 1, 20000);
	ask(&second, WAIT_RELOAD, 2, 20000);
	ask(&third, WAIT_RELOAD, 3, 20000);
	callers_give_up(&callers, "gone"); /* a reload outlives a relay process */
	good = json_pack("{s:s}", "said", "taken");
	callers_reloaded(&callers, 2, good, NULL);
	json_decref(good);
	ck_assert_str_eq(heard(&first), "taken");
	ck_assert_str_eq(heard(&second), "taken");
	callers_reloaded(&callers, 3, NULL, "line 3 is wrong");
	ck_assert_str_eq(heard(&third), "line 3 is wrong");
	teardown();
}
END_TEST

UNIT_MAIN("callers", who_asked_is_who_is_answered, nobody_waits_for_ever,
    an_answer_about_newer_files_is_for_those_who_brought_older_ones)
