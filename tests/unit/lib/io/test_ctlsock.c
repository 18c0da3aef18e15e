/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who gets a place at a control socket, and for how long. */
#include "io/ctlsock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "io/sock.h"
#include "lib/io/shortage.h"

#define OWN 4000 /* the daemon's user, where the test is root */
#define SOMEBODY 5000

static struct loop *loop;
static struct ctl_server *server;
static struct ctl_call *waiting;
static char path[] = "/tmp/tulle-test-ctl-XXXXXX";
static int clients[256];
static size_t n_clients;

static void
run_wait(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)arg;
	(void)args;
	waiting = call;
}

static void
run_big(void *arg, struct ctl_call *call, const json_t *args)
{
	static char text[4 << 20];

	(void)arg;
	(void)args;
	memset(text, 'x', sizeof(text) - 1);
	ctl_ok(call, json_pack("{s:s}", "text", text));
}

static const struct ctl_command commands[] = { { "wait", false, run_wait }, { "big", false, run_big }, { 0 } };

static void
start(void)
{
	int fd = mkstemp(path);

	log_set_threshold(LOG_LVL_ERROR);
	ck_assert_int_ne(fd, -1);
	(void)close(fd);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(ctl_serve(&server, loop, path, "test", commands, NULL), TULLE_OK);
}

static void
stop(void)
{
	while (n_clients > 0)
		(void)close(clients[--n_clients]);
	server = ctl_server_free(server);
	loop = loop_free(loop);
	(void)unlink(path);
}

static bool
several_users(void)
{
	if (geteuid() == 0)
		return true;
	puts("skipped: needs root, to be several users");
	return false;
}

static int
client(void)
{
	int fd = unix_socket();

	ck_assert_uint_lt(n_clients, sizeof(clients) / sizeof(clients[0]));
	unix_connect(fd, path);
	return clients[n_clients++] = fd;
}

/* What the server has done with <fd> by now: hung up, perhaps with a line in <text>, or not. */
static bool
hung_up(int fd, char text[4096])
{
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, text + n, 4095 - n, MSG_DONTWAIT)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return got == 0 || (got == -1 && errno != EAGAIN);
}

/* Connects <n> times as <uid>; how many were let in. */
static unsigned int
come(uid_t uid, unsigned int n)
{
	uid_t me = geteuid();
	size_t first = n_clients;
	unsigned int in = 0;
	char text[4096];

	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(seteuid(uid), 0);
	for (unsigned int i = 0; i < n; i++)
		(void)client();
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(seteuid(me), 0);
	(void)wakeups(loop, 30);
	for (size_t i = first; i < n_clients; i++) {
		if (!hung_up(clients[i], text)) {
			in++;
			continue;
		}
		ck_assert_ptr_nonnull(strstr(text, "\"ok\":false"));
		ck_assert_ptr_nonnull(strstr(text, "too many clients"));
	}
	return in;
}

START_TEST(strangers_cannot_lock_root_and_the_daemon_out)
{
	unsigned int strangers = 0;

	if (!several_users())
		return;
	start();
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(seteuid(OWN), 0);
	ck_assert_uint_eq(come(SOMEBODY, 20), 8);
	ck_assert_uint_eq(come(SOMEBODY + 1, 3), 3);
	for (uid_t u = SOMEBODY + 2; u < SOMEBODY + 10; u++)
		strangers += come(u, 10);
	ck_assert_uint_eq(strangers, 32 - 8 - 3);
	ck_assert_uint_eq(come(OWN, 20), 16);
	ck_assert_uint_eq(come(0, 20), 16);
	/* Who leaves makes room. */
	(void)shutdown(clients[0], SHUT_RDWR);
	(void)wakeups(loop, 30);
	ck_assert_uint_eq(come(SOMEBODY + 50, 2), 1);
	ck_assert_int_eq(seteuid(0), 0);
	stop();
}
END_TEST

START_TEST(root_may_use_every_place)
{
	if (!several_users())
		return;
	start();
	ck_assert_uint_eq(come(0, 70), 64);
	stop();
}
END_TEST

START_TEST(who_does_not_ask_or_does_not_listen_is_hung_up_on)
{
	int silent, slow, deaf, patient;
	char text[4096];

	start();
	ctl_server_patience(server, 200, 400);
	silent = client();
	slow = client();
	deaf = client();
	patient = client();
	ck_assert_int_eq(send(deaf, "{\"command\":\"big\"}\n", 18, 0), 18);
	ck_assert_int_eq(send(patient, "{\"command\":\"wait\"}\n", 19, 0), 19);
	for (int i = 0; i < 3; i++) {
		(void)send(slow, "{", 1, MSG_NOSIGNAL); /* bytes alone buy no time */
		(void)wakeups(loop, 90);
	}
	ck_assert(hung_up(silent, text));
	ck_assert(hung_up(slow, text));
	(void)wakeups(loop, 300);
	/* The answer went no further than the socket's buffer; behind it is the end. */
	for (ssize_t n; (n = recv(deaf, text, sizeof(text), MSG_DONTWAIT)) != 0;)
		ck_assert_int_gt(n, 0);
	/* A call under way is waited for. */
	ck_assert(!hung_up(patient, text));
	ctl_ok(waiting, NULL);
	ck_assert(!hung_up(patient, text));
	ck_assert_ptr_nonnull(strstr(text, "\"ok\":true"));
	(void)wakeups(loop, 300);
	ck_assert(hung_up(patient, text));
	stop();
}
END_TEST

START_TEST(without_descriptors_the_loop_sleeps_and_the_next_client_is_served_later)
{
	struct rlimit before;
	char text[4096];
	int fd;

	start();
	fd = unix_socket();
	clients[n_clients++] = fd;
	before = shortage_begin();
	unix_connect(fd, path);
	ck_assert_int_eq(send(fd, "{\"command\":\"nonsense\"}\n", 23, 0), 23);
	ck_assert_uint_lt(wakeups(loop, 500), 20);
	shortage_end(before);
	(void)wakeups(loop, 300);
	ck_assert(!hung_up(fd, text));
	ck_assert_ptr_nonnull(strstr(text, "unknown command"));
	stop();
}
END_TEST

START_TEST(a_caller_who_is_turned_away_is_told_so)
{
	json_t *result = NULL;
	char *error = NULL;
	pid_t child;
	int status;

	if (!several_users())
		return;
	start();
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_uint_eq(come(SOMEBODY, 8), 8);
	child = fork();
	if (child == 0) {
		enum tulle_err e = setuid(SOMEBODY) == 0 ? TULLE_OK : TULLE_ESYS;

		if (e == TULLE_OK)
			e = ctl_call(path, "process", NULL, 5000, &result, &error);
		_exit(e == TULLE_EINVAL && error != NULL && strstr(error, "too many clients") != NULL ? 7 : 1);
	}
	while (waitpid(child, &status, WNOHANG) == 0)
		(void)wakeups(loop, 10);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	stop();
}
END_TEST

START_TEST(a_caller_waits_for_a_place_in_a_full_queue)
{
	json_t *result = NULL;
	char *error = NULL;
	int fd, listener, queued;

	fd = mkstemp(path);
	ck_assert_int_ne(fd, -1);
	(void)close(fd);
	ck_assert_int_eq(sock_listen_unix(&listener, path, 0600), TULLE_OK);
	ck_assert_int_eq(listen(listener, 1), 0);
	for (int i = 0; i < 8 && sock_connect_unix(&queued, path) == TULLE_OK; i++)
		clients[n_clients++] = queued;
	ck_assert_uint_lt(n_clients, 8);
	/* Nobody takes anything from the queue: the time is up, and it was used. */
	ck_assert_int_eq(ctl_call(path, "process", NULL, 150, &result, &error), TULLE_ETIMEDOUT);
	while (n_clients > 0)
		(void)close(clients[--n_clients]);
	(void)close(listener);
	ck_assert_int_eq(ctl_call(path, "process", NULL, 5000, &result, &error), TULLE_EUNAVAIL);
	(void)unlink(path);
}
END_TEST

UNIT_MAIN("ctlsock", strangers_cannot_lock_root_and_the_daemon_out, root_may_use_every_place,
    who_does_not_ask_or_does_not_listen_is_hung_up_on,
    without_descriptors_the_loop_sleeps_and_the_next_client_is_served_later, a_caller_who_is_turned_away_is_told_so,
    a_caller_waits_for_a_place_in_a_full_queue)
