/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/inherited.h"
#include "io/sock.h"
#include "unit.h"

/* A listening socket on a free port of the loopback, as descriptor <at>. */
static uint16_t
listener_at(int at)
{
	struct addr a = { .family = AF_INET6, .ip = { [15] = 1 } }, local;
	int fd = -1;

	if (sock_listen(&fd, &a, 1, false) != TULLE_OK || sock_local(fd, &local) != TULLE_OK || dup2(fd, at) != at)
		return 0;
	if (fd != at)
		(void)close(fd);
	return local.port;
}

static void
say(pid_t pid, const char *fds, const char *names)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	(void)setenv("LISTEN_PID", text, 1);
	(void)setenv("LISTEN_FDS", fds, 1);
	(void)setenv("LISTEN_FDNAMES", names, 1);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* Descriptor 3 is Check's own pipe, so the steps run in a process of their own: 0, or the line of the step that failed. */
#define STEP(condition)          \
	do {                     \
		if (!(condition)) \
			return __LINE__ % 250 + 1; \
	} while (0)

static int
alone(int (*steps)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(steps());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
by_name_and_port(void)
{
	uint16_t a = listener_at(3), b = listener_at(4);
	struct inherited *in;

	STEP(a != 0 && b != 0);
	say(getpid(), "2", "hbone-0:health-0");
	in = inherited_take();
	STEP(in != NULL && getenv("LISTEN_FDS") == NULL && (fcntl(3, F_GETFD) & FD_CLOEXEC));
	STEP(inherited_serves(in, a) && inherited_serves(in, b) && !inherited_serves(in, 1));
	STEP(inherited_find(in, "hbone-0", b) == -1); /* the configuration names another port now */
	STEP(inherited_find(in, "hbone-1", a) == -1);
	STEP(inherited_find(in, "hbone-0", a) == 3);
	STEP(inherited_find(in, "hbone-0", a) == -1); /* once */
	inherited_free(in);
	STEP(is_open(3) && !is_open(4)); /* what nobody wanted is closed */
	return 0;
}

static int
not_for_us(void)
{
	struct inherited *in;

	say(getpid() + 1, "1", "hbone-0");
	STEP(inherited_take() == NULL);
	say(getpid(), "many", "hbone-0");
	STEP(inherited_take() == NULL);
	say(getpid(), "0", "");
	STEP(inherited_take() == NULL);
	STEP(inherited_find(NULL, "hbone-0", 1) == -1);
	inherited_free(NULL);
	STEP(dup2(STDERR_FILENO, 3) == 3);
	say(getpid(), "1", "hbone-0");
	in = inherited_take();
	STEP(in != NULL && inherited_find(in, "hbone-0", 0) == -1);
	inherited_free(in);
	return 0;
}

START_TEST(a_socket_is_found_by_name_and_port)
{
	ck_assert_int_eq(alone(by_name_and_port), 0);
}
END_TEST

START_TEST(what_is_for_another_process_or_no_listener_is_left)
{
	ck_assert_int_eq(alone(not_for_us), 0);
}
END_TEST

UNIT_MAIN("inherited", a_socket_is_found_by_name_and_port, what_is_for_another_process_or_no_listener_is_left)
