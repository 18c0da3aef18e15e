/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/acceptor.h"

#include <stdio.h>

#include "base/log.h"
#include "io/sock.h"
#include "lib/io/shortage.h"

static struct loop *loop;
static struct acceptor acceptor;
static char path[] = "/tmp/tulle-test-acceptor-XXXXXX";
static int listener, got[64], n_got;

static void
take(struct acceptor *a, int fd)
{
	ck_assert_ptr_eq(a, &acceptor);
	got[n_got++] = fd;
}

static void
take_one(struct acceptor *a, int fd)
{
	take(a, fd);
	acceptor_stop(a);
}

static void
start(void (*accepted)(struct acceptor *a, int fd))
{
	int fd = mkstemp(path);

	log_set_threshold(LOG_LVL_ERROR);
	ck_assert_int_ne(fd, -1);
	(void)close(fd);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(sock_listen_unix(&listener, path, 0600), TULLE_OK);
	ck_assert_int_eq(acceptor_start(&acceptor, loop, listener, "test", accepted), TULLE_OK);
}

static void
stop(void)
{
	acceptor_stop(&acceptor);
	(void)close(listener);
	while (n_got > 0)
		(void)close(got[--n_got]);
	loop = loop_free(loop);
	(void)unlink(path);
}

START_TEST(without_descriptors_the_loop_sleeps_and_accepts_when_there_are_some_again)
{
	struct rlimit before;
	int client;

	start(take);
	client = unix_socket();
	before = shortage_begin();
	unix_connect(client, path);
	/* A look every ACCEPTOR_REST_MS, and the end of each rest. */
	ck_assert_uint_lt(wakeups(loop, 5 * ACCEPTOR_REST_MS), 20);
	ck_assert_int_eq(n_got, 0);
	shortage_end(before);
	(void)wakeups(loop, 3 * ACCEPTOR_REST_MS);
	ck_assert_int_eq(n_got, 1);
	(void)close(client);
	stop();
}
END_TEST

START_TEST(many_are_accepted_in_one_tick_but_not_all)
{
	int clients[ACCEPTOR_BURST + 4];

	start(take);
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		unix_connect(clients[i] = unix_socket(), path);
	ck_assert_int_eq(loop_tick(loop, 100), TULLE_OK);
	ck_assert_int_eq(n_got, ACCEPTOR_BURST);
	ck_assert_int_eq(loop_tick(loop, 100), TULLE_OK);
	ck_assert_int_eq(n_got, ACCEPTOR_BURST + 4);
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		(void)close(clients[i]);
	stop();
}
END_TEST

START_TEST(it_may_be_stopped_from_within_and_while_it_rests)
{
	int a, b;

	acceptor_stop(&acceptor); /* never started */
	start(take_one);
	unix_connect(a = unix_socket(), path);
	unix_connect(b = unix_socket(), path);
	(void)wakeups(loop, 50);
	ck_assert_int_eq(n_got, 1);
	ck_assert_int_eq(acceptor_start(&acceptor, loop, listener, "test", take), TULLE_OK);
	{
		struct rlimit before = shortage_begin();

		(void)wakeups(loop, 20);
		ck_assert(timer_active(&acceptor.rest));
		acceptor_stop(&acceptor);
		shortage_end(before);
	}
	(void)wakeups(loop, 2 * ACCEPTOR_REST_MS);
	ck_assert_int_eq(n_got, 1);
	(void)close(a);
	(void)close(b);
	stop();
}
END_TEST

UNIT_MAIN("acceptor", without_descriptors_the_loop_sleeps_and_accepts_when_there_are_some_again,
    many_are_accepted_in_one_tick_but_not_all, it_may_be_stopped_from_within_and_while_it_rests)
