/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/attest.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "io/sock.h"
#include "serve/procfs.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

#define PROC_MAX 16384

static enum tulle_err
proc_read(int32_t pid, const char *name, char **ret)
{
	char path[64];
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return file_read(path, PROC_MAX, ret, &len);
}

static enum tulle_err
start_time(int32_t pid, uint64_t *ret)
{
	char AUTO_FREE *stat = NULL;

	if (proc_read(pid, "stat", &stat) != TULLE_OK)
		return TULLE_EDENIED;
	return procfs_start_time(stat, ret) == TULLE_OK ? TULLE_OK : TULLE_EDENIED;
}

static bool
pidfd_alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0; /* readable once the process has ended */
}

/* The process itself, not its number. */
static int
peer_pidfd(int fd, int32_t pid)
{
	int pidfd = -1;
	socklen_t len = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
		return pidfd;
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void
read_unit(struct facts *f)
{
	char AUTO_FREE *cgroup = NULL;

	if (proc_read(f->pid, "cgroup", &cgroup) != TULLE_OK || procfs_unit(cgroup, f->unit) != TULLE_OK)
		f->unit[0] = '\0';
}

/* Real user and group of a process. */
static enum tulle_err
read_ids(struct attested *ret)
{
	char AUTO_FREE *status = NULL;
	enum tulle_err e = proc_read(ret->facts.pid, "status", &status);

	return e == TULLE_OK ? procfs_ids(status, &ret->facts.uid, &ret->facts.gid) : e;
}

/* The facts of a process that <pidfd> holds; <ret> has its pid already.  The descriptor is taken on success. */
static enum tulle_err
read_facts(struct attested *ret, int pidfd, const char **ret_why)
{
	uint64_t again;

	*ret_why = "the process has ended";
	if (pidfd < 0 || start_time(ret->facts.pid, &ret->start_time) != TULLE_OK)
		return TULLE_EDENIED;
	if (read_ids(ret) != TULLE_OK) {
		*ret_why = "the ids of the process cannot be read";
		return TULLE_EDENIED;
	}
	read_unit(&ret->facts);
	/* All of it was read through the number: it must have been the same process throughout. */
	if (!pidfd_alive(pidfd) || start_time(ret->facts.pid, &again) != TULLE_OK || again != ret->start_time)
		return TULLE_EDENIED;
	ret->pidfd = pidfd;
	return TULLE_OK;
}

enum tulle_err
attest(int fd, struct attested *ret, const char **ret_why)
{
	struct attested a = ATTESTED_INIT;
	struct sock_cred cred;
	int AUTO_FD pidfd = -1;
	enum tulle_err e;

	if (sock_cred(fd, &cred) != TULLE_OK) {
		*ret_why = "the socket does not say who is there";
		return TULLE_EDENIED;
	}
	if (cred.pid <= 0) {
		*ret_why = "the caller is in a process namespace that this host cannot see";
		return TULLE_EDENIED;
	}
	a.facts.pid = cred.pid;
	pidfd = peer_pidfd(fd, cred.pid);
	e = read_facts(&a, pidfd, ret_why);
	if (e)
		return e;
	if (a.facts.uid != cred.uid) {
		*ret_why = "the caller has another user than when it connected";
		return TULLE_EDENIED;
	}
	(void)fd_take(&pidfd);
	*ret = a;
	return TULLE_OK;
}

enum tulle_err
attest_pid(int32_t pid, struct attested *ret, const char **ret_why)
{
	struct attested a = ATTESTED_INIT;
	int AUTO_FD pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	enum tulle_err e;

	a.facts.pid = pid;
	e = read_facts(&a, pidfd, ret_why);
	if (e)
		return e;
	(void)fd_take(&pidfd);
	*ret = a;
	return TULLE_OK;
}

bool
attest_alive(const struct attested *a)
{
	return a->pidfd != -1 && pidfd_alive(a->pidfd);
}

void
attest_forget(struct attested *a)
{
	if (a->pidfd != -1)
		(void)close(a->pidfd);
	a->pidfd = -1;
}
