/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FDS_MAX 64

static void
set_int(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

void
sock_tune(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 180);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 180);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 9);
}

void
sock_reset_on_close(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

enum tulle_err
sock_listen(int *ret_fd, const struct addr *at, int backlog, bool reuseport)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(at, &ss);
	int AUTO_FD fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return TULLE_ESYS;
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (reuseport)
		set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (at->family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, addr_is_any(at) ? 0 : 1);
	sock_tune(fd); /* what is accepted inherits it: no calls per connection */
	if (bind(fd, (const struct sockaddr *)&ss, len) == -1 || listen(fd, backlog) == -1)
		return errno == EADDRINUSE ? TULLE_EBUSY : TULLE_ESYS;
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}

static enum tulle_err
unix_name(struct sockaddr_un *ret, const char *path)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path)) {
		errno = ENAMETOOLONG;
		return TULLE_ESYS;
	}
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return TULLE_OK;
}

enum tulle_err
sock_connect_unix(int *ret_fd, const char *path)
{
	int AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un un;

	if (fd == -1 || unix_name(&un, path) != TULLE_OK)
		return TULLE_ESYS;
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) == -1) {
		if (errno == ENOENT)
			return TULLE_ENOENT;
		return errno == ECONNREFUSED || errno == EAGAIN ? TULLE_EUNAVAIL : TULLE_ESYS;
	}
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}

enum tulle_err
sock_listen_unix(int *ret_fd, const char *path, mode_t mode)
{
	int AUTO_FD fd = -1;
	int AUTO_FD probe = -1;
	struct sockaddr_un un;

	if (unix_name(&un, path) != TULLE_OK)
		return TULLE_ESYS;
	if (sock_connect_unix(&probe, path) == TULLE_OK)
		return TULLE_EBUSY;
	(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return TULLE_ESYS;
	if (bind(fd, (const struct sockaddr *)&un, sizeof(un)) == -1 || chmod(path, mode) == -1 ||
	    listen(fd, 128) == -1)
		return TULLE_ESYS;
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}

enum tulle_err
sock_connect(int *ret_fd, const struct addr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);
	int AUTO_FD fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool now;

	if (fd == -1)
		return TULLE_ESYS;
	sock_tune(fd);
	now = connect(fd, (const struct sockaddr *)&ss, len) == 0;
	if (!now && errno != EINPROGRESS)
		return TULLE_ESYS;
	*ret_fd = fd_take(&fd);
	return now ? TULLE_OK : TULLE_AGAIN;
}

enum tulle_err
sock_connected(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
		return TULLE_ESYS;
	errno = err;
	return err == 0 ? TULLE_OK : TULLE_ESYS;
}

enum tulle_err
sock_local(int fd, struct addr *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return TULLE_ESYS;
	return addr_from_sockaddr(ret, (const struct sockaddr *)&ss, len);
}

enum tulle_err
sock_peer(int fd, struct addr *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len) == -1)
		return TULLE_ESYS;
	return addr_from_sockaddr(ret, (const struct sockaddr *)&ss, len);
}

enum tulle_err
sock_cred(int fd, struct sock_cred *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return TULLE_ESYS;
	*ret = (struct sock_cred){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
	return TULLE_OK;
}

enum tulle_err
sock_send_fds(int fd, const void *data, size_t n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t sent;

	if (nfds > FDS_MAX) {
		errno = E2BIG;
		return TULLE_ESYS;
	}
	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	if (sent == (ssize_t)n)
		return TULLE_OK;
	if (sent >= 0)
		errno = EMSGSIZE;
	return sent == -1 && errno == EAGAIN ? TULLE_AGAIN : TULLE_ESYS;
}

enum tulle_err
sock_recv_fds(int fd, void *data, size_t max, size_t *ret_n, int *fds, size_t max_fds, size_t *ret_nfds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = max };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	size_t kept = 0;
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? TULLE_AGAIN : TULLE_ESYS;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (kept < max_fds)
				fds[kept++] = got;
			else
				(void)close(got);
		}
	}
	*ret_n = (size_t)n;
	*ret_nfds = kept;
	return n == 0 ? TULLE_EOF : TULLE_OK;
}
