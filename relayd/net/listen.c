/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/listen.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BATCH 64
#define LAST_BATCH 4096 /* the length of the queue */
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
accept_some(struct listener *l, int most)
{
	int fd;

	for (int i = 0; i < most && watch_active(&l->watch); i++) {
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

static void
listener_ready(struct watch *w, uint32_t events)
{
	(void)events;
	accept_some(CONTAINER_OF(w, struct listener, watch), ACCEPT_BATCH);
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
	if (l->stopped)
		return;
	l->stopped = true;
	if (l->th == NULL)
		return;
	accept_some(l, LAST_BATCH);
	(void)shutdown(l->fd, SHUT_RDWR);
	loop_del(l->th->loop, &l->watch);
	timer_clear(l->th->loop, &l->pause);
}

void
listener_leave(struct listener *l)
{
	l->stopped = true;
	if (l->th == NULL)
		return;
	loop_del(l->th->loop, &l->watch);
	timer_clear(l->th->loop, &l->pause);
	(void)close(l->fd);
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
