/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Accepting: descriptors that run out and come back, and the end of a listener. */
#include "net/listen.h"

#include <sys/resource.h>

#include "relayd/relays.h"

static struct thread th;
static struct listener l;
static int accepted[64];
static unsigned int naccepted, nexhausted;

static void
on_accepted(void *arg, int fd)
{
	(void)arg;
	ck_assert_uint_lt(naccepted, ARRAY_LEN(accepted));
	thread_opened(&th);
	accepted[naccepted++] = fd;
}

static void
on_exhausted(void *arg)
{
	(void)arg;
	nexhausted++;
}

static void
on_closed(struct thread *t)
{
	(void)t;
	if (timer_active(&l.pause))
		listener_resume(&l);
}

static void
setup(void)
{
	relays_net();
	thread_init(&th, loop, 0);
	th.socket_closed = on_closed;
	ck_assert_int_eq(listener_start(&l, &th, app_listen("10.0.0.1:7000"), on_accepted, on_exhausted, NULL), TULLE_OK);
}

static int
dial(void)
{
	struct addr where = at("10.0.0.1:7000");
	int fd;

	ck_assert_int_ne(sock_connect(&fd, &where), TULLE_ESYS);
	return fd;
}

static void
allow_descriptors(int more)
{
	struct rlimit r;
	int next = dup(0);

	close(next);
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = (rlim_t)(next + more);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &r), 0);
}

START_TEST(without_descriptors_it_pauses_and_does_not_spin)
{
	uint64_t since;

	setup();
	for (int i = 0; i < 10; i++)
		(void)dial();
	allow_descriptors(4);
	UNTIL(nexhausted == 1);
	ck_assert_uint_eq(naccepted, 4);
	since = real_ns(CLOCK_BOOTTIME);
	for (int i = 0; i < 300; i++)
		relays_turn(1);
	ck_assert_uint_le(nexhausted, 2 + (real_ns(CLOCK_BOOTTIME) - since) / (100 * NS_PER_MS)); /* one look a pause */
	clock_skip(200);
	UNTIL(nexhausted >= 2); /* it looks again now and then */
	ck_assert_uint_eq(naccepted, 4);
	thread_close(&th, accepted[0]); /* one comes free: it goes on at once, not when the timer says so */
	relays_turn(1);
	ck_assert_uint_eq(naccepted, 5);
	allow_descriptors(64);
	clock_skip(200);
	UNTIL(naccepted == 10);
}
END_TEST

START_TEST(at_its_end_it_takes_who_is_connected_and_refuses_the_rest)
{
	int queued[3], late, err = 0;
	socklen_t len = sizeof(err);
	size_t got = 0;

	setup();
	for (int i = 0; i < 3; i++)
		queued[i] = dial();
	listener_stop(&l);
	ck_assert_uint_eq(naccepted, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(app_read(queued[i], &got), 1); /* alive */
	late = dial();
	UNTIL(getsockopt(late, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err != 0);
	ck_assert_int_eq(err, ECONNREFUSED);
	listener_resume(&l); /* does nothing any more */
	relays_settle();
	ck_assert_uint_eq(naccepted, 3);
}
END_TEST

RELAY_MAIN("listen", without_descriptors_it_pauses_and_does_not_spin,
    at_its_end_it_takes_who_is_connected_and_refuses_the_rest)
