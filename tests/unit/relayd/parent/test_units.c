/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/units.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "unit.h"
#include "wire.h"

static char top[100];
static struct loop *loop;
static struct units u;
static int channel[2];

static uint64_t
folder(const char *path)
{
	char whole[400];
	struct stat st;

	(void)snprintf(whole, sizeof(whole), "%s/%s", top, path);
	ck_assert_int_eq(file_mkdirs(whole, 0755), TULLE_OK);
	ck_assert_int_eq(stat(whole, &st), 0);
	return st.st_ino;
}

static void
setup(void)
{
	(void)snprintf(top, sizeof(top), "/tmp/tulle-test-units-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(msg_pair(channel), TULLE_OK);
	units_init(&u, loop, top);
	units_begin(&u, channel[0]);
}

static void
teardown(void)
{
	char command[200];

	units_begin(&u, -1);
	u.cgroups = cgroups_free(u.cgroups);
	loop = loop_free(loop);
	(void)close(channel[0]);
	(void)close(channel[1]);
	(void)snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}

static enum tulle_err
ask(uint64_t cgroup)
{
	static struct msg m;
	const struct wire_cgroup q = { .id = cgroup };

	m.len = sizeof(q);
	memcpy(m.body, &q, sizeof(q));
	return units_asked(&u, &m);
}

static void
stop(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

/* Lets the loop run for a while. */
static void
turn(uint64_t ms)
{
	struct timer t = { 0 };

	timer_set(loop, &t, ms, stop);
	ck_assert_int_eq(loop_run(loop), TULLE_OK);
}

/* The next answer: it must be about <cgroup>.  NULL: not known. */
static const char *
answered(uint64_t cgroup)
{
	static struct wire_unit w;
	static struct msg m;

	ck_assert_int_eq(msg_recv(channel[1], &m), TULLE_OK);
	ck_assert_uint_eq(m.type, WIRE_UNIT);
	ck_assert_int_eq(wire_take(&m, &w, sizeof(w)), TULLE_OK);
	ck_assert_uint_eq(w.cgroup, cgroup);
	return w.known ? w.unit : NULL;
}

START_TEST(a_unit_is_found_and_so_is_one_that_starts_later)
{
	uint64_t cart, jobs;

	setup();
	cart = folder("system.slice/cart.service");
	ck_assert_int_eq(ask(cart), TULLE_OK);
	turn(10);
	ck_assert_str_eq(answered(cart), "cart.service");
	ck_assert_int_eq(ask(cart), TULLE_OK); /* known: at once */
	ck_assert_str_eq(answered(cart), "cart.service");
	jobs = folder("system.slice/jobs.service");
	ck_assert_int_eq(ask(jobs), TULLE_OK);
	turn(2 * UNITS_LOOK_MS);
	ck_assert_str_eq(answered(jobs), "jobs.service");
	ck_assert_int_eq(ask(1), TULLE_OK);
	turn(2 * UNITS_LOOK_MS);
	ck_assert_ptr_null(answered(1));
	teardown();
}
END_TEST

START_TEST(whoever_asks_for_nothing_costs_ten_looks_a_second)
{
	struct msg m;

	setup();
	ck_assert_int_eq(ask(1), TULLE_OK);
	turn(5);
	ck_assert_ptr_null(answered(1));
	for (uint64_t i = 0; i < UNITS_WAITING + 10; i++)
		ck_assert_int_eq(ask(i + 2), TULLE_OK);
	ck_assert_uint_eq(u.n_waiting, UNITS_WAITING); /* the rest is dropped, and gives up by itself */
	ck_assert_int_eq(msg_recv(channel[1], &m), TULLE_AGAIN);
	ck_assert(timer_active(&u.look));
	units_begin(&u, -1); /* nobody is there any more */
	ck_assert(!timer_active(&u.look));
	ck_assert_uint_eq(u.n_waiting, 0);
	teardown();
}
END_TEST

START_TEST(what_was_known_stays_when_the_tree_cannot_be_read)
{
	uint64_t cart;

	setup();
	cart = folder("cart.service");
	ck_assert_int_eq(ask(cart), TULLE_OK);
	turn(5);
	ck_assert_str_eq(answered(cart), "cart.service");
	u.root = "/nowhere";
	ck_assert_int_eq(ask(1), TULLE_OK);
	turn(2 * UNITS_LOOK_MS);
	ck_assert_ptr_null(answered(1));
	ck_assert(u.trouble);
	ck_assert_int_eq(ask(cart), TULLE_OK);
	ck_assert_str_eq(answered(cart), "cart.service");
	teardown();
}
END_TEST

START_TEST(a_question_that_is_none_is_refused)
{
	static struct msg m;

	setup();
	m.len = 3;
	ck_assert_int_eq(units_asked(&u, &m), TULLE_EPEER);
	teardown();
}
END_TEST

UNIT_MAIN("units", a_unit_is_found_and_so_is_one_that_starts_later, whoever_asks_for_nothing_costs_ten_looks_a_second,
    what_was_known_stays_when_the_tree_cannot_be_read, a_question_that_is_none_is_refused)
