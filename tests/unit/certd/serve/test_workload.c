/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who gets a connection to the Workload API; what is said on it is tests/e2e/test_certd.py's. */
#include "serve/workload.h"

#include <errno.h>
#include <stdio.h>

#include "../scratch.h"
#include "base/log.h"
#include "io/sock.h"
#include "lib/io/shortage.h"
#include "tls/context.h"

#define RELAY 4000
#define SOMEBODY 5000

static struct loop *loop;
static struct keeper *keeper;
static struct workload *workload;
static char *dir;
static int clients[2048];
static size_t n_clients;
static struct config config = { .relay_uid = RELAY, .relay_known = true };

static void
order(void *arg, const char *id, int64_t ttl, const uint8_t *csr, size_t len)
{
	(void)arg;
	(void)id;
	(void)ttl;
	(void)csr;
	(void)len;
	ck_abort_msg("nothing is wanted");
}

static void
changed(void *arg)
{
	(void)arg;
}

static void
start(void)
{
	static const struct keeper_handler handler = { order, changed };
	static const uint8_t seal[32] = { 1 };
	struct rlimit files;
	int fd;

	log_set_threshold(LOG_LVL_ERROR);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	dir = scratch_new();
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(keeper_new(&keeper, loop, scratch_path(dir, "svids"), seal, &handler, NULL), TULLE_OK);
	ck_assert_int_eq(sock_listen_unix(&fd, scratch_path(dir, "api"), 0666), TULLE_OK);
	ck_assert_int_eq(workload_new(&workload, loop, fd, keeper, &config), TULLE_OK);
}

static void
stop(void)
{
	while (n_clients > 0)
		(void)close(clients[--n_clients]);
	workload = workload_free(workload);
	keeper = keeper_free(keeper);
	loop = loop_free(loop);
	scratch_free(dir);
}

/* Connects <n> times as <uid>; how many were let in: they hear the server's SETTINGS. */
static unsigned int
come(uid_t uid, unsigned int n)
{
	unsigned int in = 0;

	for (unsigned int i = 0; i < n; i++) {
		char byte;
		int fd = unix_socket();

		ck_assert_int_eq(seteuid(uid), 0);
		unix_connect(fd, scratch_path(dir, "api"));
		ck_assert_int_eq(seteuid(0), 0);
		clients[n_clients++] = fd;
		for (int t = 0; t < 100 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN; t++)
			ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
		in += recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
	}
	return in;
}

START_TEST(one_user_has_a_share_and_the_relay_and_root_have_theirs)
{
	const unsigned int others = WORKLOAD_CONNECTIONS_MAX - WORKLOAD_CONNECTIONS_KEPT;
	unsigned int in;

	if (geteuid() != 0) {
		puts("skipped: needs root, to be several users");
		return;
	}
	start();
	in = come(SOMEBODY, 2 * WORKLOAD_CONNECTIONS_PER_UID);
	ck_assert_uint_eq(in, WORKLOAD_CONNECTIONS_PER_UID);
	for (uid_t u = SOMEBODY + 1; u < SOMEBODY + 1 + others / WORKLOAD_CONNECTIONS_PER_UID; u++)
		in += come(u, WORKLOAD_CONNECTIONS_PER_UID);
	ck_assert_uint_eq(in, others);
	ck_assert_uint_eq(come(SOMEBODY + 100, 1), 0);
	ck_assert_uint_eq(come(RELAY, 2 * WORKLOAD_CONNECTIONS_PER_UID), WORKLOAD_CONNECTIONS_PER_UID);
	ck_assert_uint_eq(come(0, WORKLOAD_CONNECTIONS_KEPT), WORKLOAD_CONNECTIONS_KEPT - WORKLOAD_CONNECTIONS_PER_UID);
	stop();
}
END_TEST

UNIT_MAIN("workload", one_user_has_a_share_and_the_relay_and_root_have_theirs)
