/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "msg/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct head {
	uint32_t type;
	uint32_t len;
};

enum tulle_err
msg_pair(int ret_fds[2])
{
	int size = 4 * MSG_BODY_MAX;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_fds) == -1)
		return TULLE_ESYS;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return TULLE_OK;
}

enum tulle_err
msg_send(int fd, uint32_t type, const void *body, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} control;
	struct head head = { .type = type, .len = (uint32_t)len };
	struct iovec iov[2] = { { .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (len > MSG_BODY_MAX || nfds > MSG_FDS_MAX)
		return TULLE_ELIMIT;
	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? TULLE_AGAIN : TULLE_ESYS;
	return TULLE_OK;
}

static void
take_descriptors(struct msg *ret, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (ret->nfds < MSG_FDS_MAX)
				ret->fds[ret->nfds++] = got;
			else
				(void)close(got);
		}
	}
}

enum tulle_err
msg_recv(int fd, struct msg *ret)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} control;
	struct head head;
	struct iovec iov[2] = { { .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = ret->body, .iov_len = sizeof(ret->body) } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	ssize_t n;

	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? TULLE_AGAIN : errno == ECONNRESET ? TULLE_EOF : TULLE_ESYS;
	if (n == 0)
		return TULLE_EOF;
	ret->nfds = 0;
	take_descriptors(ret, &m);
	if ((size_t)n < sizeof(head) || head.len != (size_t)n - sizeof(head) || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		msg_close(ret);
		return TULLE_EPEER;
	}
	ret->type = head.type;
	ret->len = head.len;
	return TULLE_OK;
}

int
msg_take_fd(struct msg *m, size_t i)
{
	int fd = i < m->nfds ? m->fds[i] : -1;

	if (fd != -1)
		m->fds[i] = -1;
	return fd;
}

void
msg_close(struct msg *m)
{
	for (size_t i = 0; i < m->nfds; i++)
		if (m->fds[i] != -1)
			(void)close(m->fds[i]);
	m->nfds = 0;
}

enum tulle_err
msg_seal(int *ret_fd, const void *data, size_t len)
{
	int AUTO_FD fd = memfd_create("tulle", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || file_write_all(fd, data, len) != TULLE_OK || lseek(fd, 0, SEEK_SET) == -1 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) == -1)
		return TULLE_ESYS;
	*ret_fd = fd_take(&fd);
	return TULLE_OK;
}

enum tulle_err
msg_unseal(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	struct stat st;
	size_t len, got = 0;
	char *data;
	ssize_t n;

	if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) == -1 || st.st_size < 0 || (uint64_t)st.st_size > max)
		return TULLE_EPEER;
	len = (size_t)st.st_size;
	data = malloc(len + 1);
	if (data == NULL)
		return TULLE_ENOMEM;
	while (got < len) {
		n = pread(fd, data + got, len - got, (off_t)got);
		if (n <= 0) {
			free(data);
			return TULLE_ESYS;
		}
		got += (size_t)n;
	}
	data[len] = '\0';
	*ret_data = data;
	*ret_len = len;
	return TULLE_OK;
}
