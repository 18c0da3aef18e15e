/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * shortage.h - a process that has no descriptor left, and whether its loop
 * sleeps then.
 */
#ifndef TULLE_TESTS_SHORTAGE_H
#define TULLE_TESTS_SHORTAGE_H

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/loop.h"
#include "unit.h"

/* From here on no descriptor can be opened, until shortage_end(). */
static inline struct rlimit
shortage_begin(void)
{
	struct rlimit before, none;
	int next = dup(0);

	ck_assert_int_ne(next, -1);
	(void)close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)next;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(dup(0), -1);
	return before;
}

static inline void
shortage_end(struct rlimit before)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* How often the loop wakes within <ms>. */
static inline unsigned int
wakeups(struct loop *l, uint64_t ms)
{
	uint64_t until = clock_mono_ms() + ms, now;
	unsigned int n = 0;

	while ((now = clock_mono_ms()) < until) {
		ck_assert_int_eq(loop_tick(l, (int)(until - now)), TULLE_OK);
		n++;
	}
	return n;
}

/* A Unix socket that is not connected yet: connecting takes no descriptor. */
static inline int
unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	return fd;
}

static inline void
unix_connect(int fd, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	ck_assert_uint_lt(strlen(path), sizeof(un.sun_path));
	memcpy(un.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&un, sizeof(un)), 0);
}

#endif
