/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "events/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "events/layout.h"

#define FDS_MAX 3

struct message {
	uint32_t magic;
	uint32_t version;
	uint64_t vocab;
};

#define MESSAGE_MAGIC UINT32_C(0x6f666572)

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

enum tulle_err
events_offer(int sock, int segment, int doorbell, int pidfd)
{
	struct message m = {
		.magic = MESSAGE_MAGIC,
		.version = EVENTS_LAYOUT_VERSION,
		.vocab = events_vocab_digest(),
	};
	const int fds[FDS_MAX] = { segment, doorbell, pidfd };
	size_t n = pidfd == -1 ? 2 : 3;
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	union control c = { .bytes = { 0 } };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.bytes,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	/* The first bytes on a fresh connection: they fit, or something is wrong with it. */
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(m) ? TULLE_OK : TULLE_ESYS;
}

/* Takes the descriptors out of <msg>; returns how many there were. */
static size_t
fds_take(struct msghdr *msg, int fds[FDS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h != NULL; h = CMSG_NXTHDR(msg, h)) {
		size_t here;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		here = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here && n < FDS_MAX; i++, n++)
			memcpy(&fds[n], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
	}
	return n;
}

enum tulle_err
events_take_offer(int sock, struct events_offer *ret)
{
	struct message m;
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	union control c;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof(c.bytes) };
	int fds[FDS_MAX] = { -1, -1, -1 };
	ssize_t got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	enum tulle_err err = TULLE_OK;
	size_t n;

	if (got == -1)
		return errno == EAGAIN || errno == EINTR ? TULLE_AGAIN : TULLE_ESYS;
	n = fds_take(&msg, fds);
	if (got == 0)
		err = TULLE_EOF;
	else if (got != sizeof(m) || m.magic != MESSAGE_MAGIC || n < 2)
		err = TULLE_EPEER;
	else if (m.version != EVENTS_LAYOUT_VERSION || m.vocab != events_vocab_digest())
		err = TULLE_EINVAL;
	/* Whatever it is, reading it must not stop us. */
	else if (fcntl(fds[1], F_SETFL, O_RDWR | O_NONBLOCK) == -1)
		err = TULLE_ESYS;
	if (err) {
		for (size_t i = 0; i < n; i++)
			(void)close(fds[i]);
		return err;
	}
	*ret = (struct events_offer){ .segment = fds[0], .doorbell = fds[1], .pidfd = fds[2] };
	return TULLE_OK;
}
