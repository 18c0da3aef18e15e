/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/acceptor.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"

#define TELL_MS 60000

static void
rest_over(struct timer *t)
{
	struct acceptor *a = CONTAINER_OF(t, struct acceptor, rest);

	loop_mod(a->loop, &a->watch, EPOLLIN);
}

static void
rest(struct acceptor *a)
{
	uint64_t now = loop_now(a->loop);

	if (a->told == 0 || now - a->told >= TELL_MS) {
		log_warn("connections cannot be accepted for now", LF_STR("socket", a->what), LF_ERRNO);
		a->told = now > 0 ? now : 1;
	}
	loop_mod(a->loop, &a->watch, 0);
	timer_set(a->loop, &a->rest, ACCEPTOR_REST_MS, rest_over);
}

static void
listener_ready(struct watch *w, uint32_t events)
{
	struct acceptor *a = CONTAINER_OF(w, struct acceptor, watch);
	int fd;

	(void)events;
	for (int i = 0; i < ACCEPTOR_BURST && watch_active(w); i++) {
		fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			a->accepted(a, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			rest(a);
		return; /* else the queue is empty, or that client has gone already */
	}
}

enum tulle_err
acceptor_start(struct acceptor *a, struct loop *l, int fd, const char *what,
    void (*accepted)(struct acceptor *a, int fd))
{
	*a = (struct acceptor){ .loop = l, .watch = WATCH_INIT, .what = what, .accepted = accepted };
	return loop_add(l, &a->watch, fd, EPOLLIN, listener_ready);
}

void
acceptor_stop(struct acceptor *a)
{
	if (a->loop == NULL)
		return;
	loop_del(a->loop, &a->watch);
	timer_clear(a->loop, &a->rest);
}
