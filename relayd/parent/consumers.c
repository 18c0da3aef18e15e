/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/consumers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "io/acceptor.h"
#include "io/sock.h"

#define CONSUMERS_MAX 4

struct consumer {
	struct consumers *all;
	struct watch watch; /* its descriptor is owned */
};

struct consumers {
	struct loop *loop;
	struct acceptor acceptor;
	uid_t uid;
	int segment, doorbell, pidfd;
	unsigned int n;
	void (*changed)(void *arg, bool attached);
	void *arg;
};

static void
consumer_ready(struct watch *w, uint32_t events)
{
	struct consumer *c = CONTAINER_OF(w, struct consumer, watch);
	struct consumers *all = c->all;
	int fd = w->fd;
	ssize_t n;
	char byte;

	(void)events;
	n = recv(fd, &byte, 1, MSG_DONTWAIT);
	if (n > 0 || (n == -1 && errno == EAGAIN))
		return; /* it has nothing to say, and is not listened to */
	loop_del(all->loop, w);
	(void)close(fd);
	free(c);
	log_info("telemetryd is gone");
	if (--all->n == 0)
		all->changed(all->arg, false);
}

static void
consumer_accepted(struct acceptor *a, int accepted)
{
	struct consumers *all = CONTAINER_OF(a, struct consumers, acceptor);
	int AUTO_FD fd = accepted;
	struct sock_cred cred;
	struct consumer *c;

	if (sock_cred(fd, &cred) != TULLE_OK || all->n == CONSUMERS_MAX)
		return;
	if (cred.uid != all->uid && cred.uid != 0 && cred.uid != geteuid()) {
		log_warn("telemetry refused to a stranger", LF_INT("uid", cred.uid), LF_INT("pid", cred.pid));
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return;
	c->all = all;
	c->watch = (struct watch)WATCH_INIT;
	if (events_offer(fd, all->segment, all->doorbell, all->pidfd) != TULLE_OK ||
	    loop_add(all->loop, &c->watch, fd, EPOLLIN, consumer_ready) != TULLE_OK) {
		free(c);
		return;
	}
	(void)fd_take(&fd);
	log_info("telemetryd is attached", LF_INT("pid", cred.pid));
	if (all->n++ == 0)
		all->changed(all->arg, true);
}

enum tulle_err
consumers_new(struct consumers **ret, struct loop *l, int fd, uid_t uid, int segment, int doorbell,
    void (*changed)(void *arg, bool attached), void *arg)
{
	struct consumers *c = calloc(1, sizeof(*c));
	enum tulle_err e;

	if (c == NULL)
		return TULLE_ENOMEM;
	*c = (struct consumers){ .loop = l, .uid = uid, .segment = segment, .doorbell = doorbell, .changed = changed,
		.arg = arg };
	c->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	e = acceptor_start(&c->acceptor, l, fd, EVENTS_SOCKET, consumer_accepted);
	if (e != TULLE_OK) {
		free(c);
		return e;
	}
	*ret = c;
	return TULLE_OK;
}

bool
consumers_attached(const struct consumers *c)
{
	return c->n > 0;
}
