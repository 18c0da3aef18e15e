/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * attest.h - who is at the other end of a Unix socket.
 *
 * The process is held by a pidfd (SO_PEERPIDFD where the kernel has it, else
 * pidfd_open() with the start time compared), so that a number that was
 * given to somebody else in the meantime cannot be mistaken for the caller.
 * A descriptor that was passed on keeps the identity of whoever connected.
 */
#ifndef TULLE_CERTD_SERVE_ATTEST_H
#define TULLE_CERTD_SERVE_ATTEST_H

#include <stdbool.h>

#include "base/err.h"
#include "serve/match.h"

struct attested {
	struct facts facts;
	int pidfd; /* owned; -1: none */
	uint64_t start_time;
};

/* Nobody yet. */
#define ATTESTED_INIT { .pidfd = -1 }

/*
 * Finds out.  TULLE_EDENIED: it cannot be known for sure who that is, or it
 * has gone already; *ret_why says more (static).
 */
enum tulle_err attest(int fd, struct attested *ret, const char **ret_why);

/* The same for a process by its number: for explaining, not for handing out.  Errors as attest(). */
enum tulle_err attest_pid(int32_t pid, struct attested *ret, const char **ret_why);

/* Is it still the same process, alive?  Ask before a key leaves. */
bool attest_alive(const struct attested *a);

void attest_forget(struct attested *a);

#endif
