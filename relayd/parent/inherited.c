/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/inherited.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "io/notify.h"
#include "io/sock.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define FDS_MAX 256

struct inherited {
	char *names; /* owned; "a\0b\0", one for each descriptor */
	const char *name[FDS_MAX];
	int fd[FDS_MAX]; /* -1: somebody took it */
	size_t n;
};

static size_t
handed_over(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t who, n;

	if (pid == NULL || fds == NULL || text_uint(pid, INT32_MAX, &who) != TULLE_OK || (pid_t)who != getpid() ||
	    text_uint(fds, FDS_MAX, &n) != TULLE_OK)
		return 0;
	return (size_t)n;
}

struct inherited *
inherited_take(void)
{
	const char *names = getenv("LISTEN_FDNAMES");
	struct inherited *in = calloc(1, sizeof(*in));
	char *at;

	if (in == NULL)
		return NULL;
	in->n = handed_over();
	in->names = strdup(names != NULL ? names : "");
	if (in->n == 0 || in->names == NULL) {
		free(in->names);
		free(in);
		return NULL;
	}
	at = in->names;
	for (size_t i = 0; i < in->n; i++) {
		const char *name = strsep(&at, ":");

		in->name[i] = name != NULL ? name : "";
		in->fd[i] = FIRST_FD + (int)i;
		(void)fcntl(in->fd[i], F_SETFD, FD_CLOEXEC);
	}
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return in;
}

static bool
listens_at(int fd, uint16_t port)
{
	int listens = 0;
	socklen_t len = sizeof(listens);
	struct addr a;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens && sock_local(fd, &a) == TULLE_OK &&
	    a.port == port;
}

int
inherited_find(struct inherited *in, const char *name, uint16_t port)
{
	for (size_t i = 0; in != NULL && i < in->n; i++) {
		int fd = in->fd[i];

		if (fd == -1 || strcmp(in->name[i], name) != 0 || !listens_at(fd, port))
			continue;
		in->fd[i] = -1;
		return fd;
	}
	return -1;
}

bool
inherited_serves(const struct inherited *in, uint16_t port)
{
	for (size_t i = 0; in != NULL && i < in->n; i++)
		if (in->fd[i] != -1 && listens_at(in->fd[i], port))
			return true;
	return false;
}

void
inherited_free(struct inherited *in)
{
	char state[300];

	if (in == NULL)
		return;
	for (size_t i = 0; i < in->n; i++) {
		if (in->fd[i] == -1)
			continue;
		(void)close(in->fd[i]);
		(void)snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", in->name[i]);
		notify_send(state);
	}
	free(in->names);
	free(in);
}

void
inherited_keep(const char *name, int fd)
{
	char state[300];

	(void)snprintf(state, sizeof(state), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	notify_send_fd(state, fd);
}
