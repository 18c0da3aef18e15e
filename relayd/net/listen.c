/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/listen.h"

#include <errno.h>
#include <sys/socket.h>

#define ACCEPT_BATCH 64
#define PAUSE_MS 100

static void
pause_over(struct timer *t)
{
	listener_resume(CONTAINER_OF(t, struct listener, pause));
}

/* The socket stays readable, so accepting again at once would spin. */
static void
pause_for_descriptors(struct listener *l)
{
	loop_del(l->th->loop, &l->watch);
	timer_set(l->th->loop, &l->pause, PAUSE_MS, pause_over);
	l->exhausted(l->arg);
}

static void
listener_ready(struct watch *w, uint32_t events)
{
	struct listener *l = CONTAINER_OF(w, struct listener, watch);
	int fd;

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && watch_active(w); i++) {
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			l->accepted(l->arg, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_for_descriptors(l);
		else if (errno == ECONNABORTED || errno == EINTR)
			continue; /* that client has gone already */
		return;
	}
}

enum tulle_err
listener_start(struct listener *l, struct thread *th, int fd, void (*accepted)(void *arg, int fd),
    void (*exhausted)(void *arg), void *arg)
{
	*l = (struct listener){ .th = th, .watch = WATCH_INIT, .fd = fd, .accepted = accepted, .exhausted = exhausted,
		.arg = arg };
	return loop_add(th->loop, &l->watch, fd, EPOLLIN, listener_ready);
}

void
listener_stop(struct listener *l)
{
	l->stopped = true;
	if (l->th == NULL)
		return;
	loop_del(l->th->loop, &l->watch);
	timer_clear(l->th->loop, &l->pause);
}

void
listener_resume(struct listener *l)
{
	if (l->stopped || l->th == NULL || watch_active(&l->watch))
		return;
	timer_clear(l->th->loop, &l->pause);
	if (loop_add(l->th->loop, &l->watch, l->fd, EPOLLIN, listener_ready) != TULLE_OK)
		timer_set(l->th->loop, &l->pause, PAUSE_MS, pause_over);
}
