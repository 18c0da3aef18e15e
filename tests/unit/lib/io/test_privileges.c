/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "unit.h"

#ifndef TULLE_SANITIZED /* there is no filter in a sanitizer build */

static const char *const allowed[] = { "brk", "close", "exit_group", "futex", "madvise", "mmap", "mprotect", "munmap", "read" };

/* The wait status of a process that lives under the filter and then does <what>. */
static int
status_of(void (*what)(void))
{
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		what();
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void
restrict_self(void)
{
	privileges_no_dump();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 || privileges_syscalls(allowed, ARRAY_LEN(allowed)) != TULLE_OK)
		_exit(2);
}

static void
make_a_folder(void)
{
	restrict_self();
	_exit(mkdir("/nonexistent/folder", 0700) == -1 ? 3 : 4);
}

START_TEST(what_is_not_named_ends_the_process)
{
	int status = status_of(make_a_folder);

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

static void
open_a_file(void)
{
	restrict_self();
	_exit(open("/dev/null", O_RDONLY | O_CLOEXEC) == -1 && errno == EACCES ? 0 : 3);
}

START_TEST(opening_a_file_is_refused)
{
	ck_assert_int_eq(status_of(open_a_file), 0);
}
END_TEST

#define BLOCKS 64

/* Four megabytes in a heap of the thread's own, then none: the C library asks /proc how it may give them back. */
static void *
take_and_give_back(void *arg)
{
	void *blocks[BLOCKS];

	restrict_self();
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(65536);
		if (blocks[i] == NULL)
			_exit(3);
	}
	for (int i = BLOCKS - 1; i >= 0; i--)
		free(blocks[i]);
	_exit(0);
	return arg;
}

static void
run_a_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, take_and_give_back, NULL) == 0)
		(void)pthread_join(t, NULL);
}

START_TEST(a_thread_may_give_memory_back)
{
	ck_assert_int_eq(status_of(run_a_thread), 0);
}
END_TEST

UNIT_MAIN("privileges", what_is_not_named_ends_the_process, opening_a_file_is_refused, a_thread_may_give_memory_back)
#else
START_TEST(nothing_to_test)
{
}
END_TEST
UNIT_MAIN("privileges", nothing_to_test)
#endif
