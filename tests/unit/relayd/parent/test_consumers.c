/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who gets the shared memory of telemetry. */
#include "parent/consumers.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/log.h"
#include "io/sock.h"
#include "lib/io/shortage.h"

#define TELEMETRY 4000

static struct loop *loop;
static struct consumers *all;
static char path[] = "/tmp/tulle-test-consumers-XXXXXX";
static int segment, attached, changes;

static void
changed(void *arg, bool now)
{
	(void)arg;
	attached = now;
	changes++;
}

static void
start(void)
{
	int fd = mkstemp(path), listener;

	log_set_threshold(LOG_LVL_ERROR);
	ck_assert_int_ne(fd, -1);
	(void)close(fd);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(sock_listen_unix(&listener, path, 0666), TULLE_OK);
	segment = memfd_create("segment", MFD_CLOEXEC);
	ck_assert_int_ne(segment, -1);
	ck_assert_int_eq(consumers_new(&all, loop, listener, TELEMETRY, segment, eventfd(0, EFD_CLOEXEC), changed, NULL),
	    TULLE_OK);
}

static int
come(uid_t uid)
{
	int fd = unix_socket();
	uid_t me = geteuid();

	ck_assert_int_eq(seteuid(uid), 0);
	unix_connect(fd, path);
	ck_assert_int_eq(seteuid(me), 0);
	(void)wakeups(loop, 20);
	return fd;
}

/* A consumer is freed when it goes: there is no other way. */
static void
leave(int fd)
{
	(void)close(fd);
	(void)wakeups(loop, 20);
}

/* Has it got what is offered? */
static bool
served(int fd)
{
	char text[64];

	return recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0;
}

START_TEST(the_first_and_the_last_are_told_of)
{
	int a, b;

	start();
	a = come(geteuid());
	b = come(geteuid());
	ck_assert(served(a));
	ck_assert(served(b));
	ck_assert(consumers_attached(all));
	ck_assert_int_eq(changes, 1);
	ck_assert_int_eq(send(a, "hello", 5, MSG_NOSIGNAL), 5); /* not listened to, and no reason to hang up */
	(void)wakeups(loop, 20);
	leave(a);
	ck_assert_int_eq(changes, 1);
	leave(b);
	ck_assert_int_eq(changes, 2);
	ck_assert(!attached);
	ck_assert(!consumers_attached(all));
	(void)unlink(path);
}
END_TEST

START_TEST(strangers_get_nothing_and_take_no_place)
{
	int fd;

	if (geteuid() != 0) {
		puts("skipped: needs root, to be several users");
		return;
	}
	start();
	for (int i = 0; i < 10; i++)
		ck_assert(!served(come(5000)));
	ck_assert(!consumers_attached(all));
	fd = come(TELEMETRY);
	ck_assert(served(fd));
	ck_assert(consumers_attached(all));
	leave(fd);
	(void)unlink(path);
}
END_TEST

START_TEST(without_descriptors_the_loop_sleeps_and_telemetryd_is_served_later)
{
	struct rlimit before;
	int fd;

	start();
	fd = unix_socket();
	before = shortage_begin();
	unix_connect(fd, path);
	ck_assert_uint_lt(wakeups(loop, 500), 20);
	ck_assert(!served(fd));
	shortage_end(before);
	(void)wakeups(loop, 300);
	ck_assert(served(fd));
	leave(fd);
	(void)unlink(path);
}
END_TEST

UNIT_MAIN("consumers", the_first_and_the_last_are_told_of, strangers_get_nothing_and_take_no_place,
    without_descriptors_the_loop_sleeps_and_telemetryd_is_served_later)
