/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "doctor/probe.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/ip.h>
#include <poll.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/sock.h"

/* Does the error queue hold an ICMP message?  Then a router or a firewall spoke, not the TCP of the other end. */
static int
was_rejected(int fd, struct addr *ret_by)
{
	union {
		char room[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
		struct cmsghdr align;
	} control;
	char data[1];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) == -1)
		return 0;
	for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		const struct sock_extended_err *e = (const void *)CMSG_DATA(c);

		if ((c->cmsg_level != SOL_IP || c->cmsg_type != IP_RECVERR) &&
		    (c->cmsg_level != SOL_IPV6 || c->cmsg_type != IPV6_RECVERR))
			continue;
		if (e->ee_origin != SO_EE_ORIGIN_ICMP && e->ee_origin != SO_EE_ORIGIN_ICMP6)
			continue;
		(void)addr_from_sockaddr(ret_by, (const struct sockaddr *)(const void *)(e + 1), sizeof(struct sockaddr_in6));
		ret_by->port = 0;
		return 1;
	}
	return 0;
}

static void
conclude(struct probe *p, int fd, int err)
{
	p->error = err;
	if (err != 0 && fd != -1 && was_rejected(fd, &p->by)) {
		/* A router that has no way there says so, too; so does this host about a neighbour that is not there. */
		p->end = err == EHOSTUNREACH || err == ENETUNREACH ? PROBE_UNREACHABLE : PROBE_REJECTED;
		return;
	}
	switch (err) {
	case 0:
		p->end = PROBE_OPEN;
		break;
	case ECONNREFUSED:
	case ECONNRESET:
		p->end = PROBE_REFUSED;
		break;
	case ETIMEDOUT:
		p->end = PROBE_SILENT;
		break;
	case EHOSTUNREACH:
	case ENETUNREACH:
		p->end = PROBE_UNREACHABLE;
		break;
	case EACCES: /* ICMP: prohibited by an administrator */
	case EPERM:  /* a rule of this host on the way out */
		p->end = PROBE_REJECTED;
		break;
	default:
		p->end = PROBE_FAILED;
		break;
	}
}

/* Starts one.  A descriptor to wait for, or -1: it is over already. */
static int
begin(struct probe *p)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&p->to, &ss);
	int before = p->uid != 0 ? setfsuid(p->uid) : 0, one = 1;
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (p->uid != 0)
		(void)setfsuid((uid_t)before);
	if (fd == -1) {
		conclude(p, -1, errno);
		return -1;
	}
	if (p->to.family == AF_INET)
		(void)setsockopt(fd, SOL_IP, IP_RECVERR, &one, sizeof(one));
	else
		(void)setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&ss, len) == 0 || errno != EINPROGRESS) {
		conclude(p, fd, errno == EINPROGRESS ? 0 : errno);
		(void)close(fd);
		return -1;
	}
	return fd;
}

void
probe_all(struct probe *p, size_t n, int timeout_ms)
{
	struct pollfd wait[PROBES_MAX];
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms, now;
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		errno = 0;
		p[i].end = PROBE_SILENT;
		p[i].error = ETIMEDOUT;
		wait[i] = (struct pollfd){ .fd = begin(&p[i]), .events = POLLOUT };
		left += wait[i].fd != -1;
	}
	while (left > 0 && (now = clock_mono_ms()) < end) {
		if (poll(wait, n, (int)(end - now)) == -1 && errno != EINTR)
			break;
		for (size_t i = 0; i < n; i++) {
			int err = 0;
			socklen_t len = sizeof(err);

			if (wait[i].fd == -1 || (wait[i].revents & (POLLOUT | POLLERR | POLLHUP)) == 0)
				continue;
			(void)getsockopt(wait[i].fd, SOL_SOCKET, SO_ERROR, &err, &len);
			conclude(&p[i], wait[i].fd, err);
			(void)close(wait[i].fd);
			wait[i].fd = -1;
			left--;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (wait[i].fd != -1)
			(void)close(wait[i].fd);
}
