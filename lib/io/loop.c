/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/wheel.h"

#define BATCH 512
#define SIGNALS_MAX 8

struct loop {
	int epfd; /* owned */
	bool stopping;
	uint64_t now_ns;
	uint64_t now_ms;
	struct wheel wheel;
	TAILQ_HEAD(, hook) hooks;
	struct epoll_event batch[BATCH];

	struct watch signal_watch; /* its fd is owned */
	sigset_t signal_mask;
	struct {
		int signo;
		void (*fired)(void *arg, int signo);
		void *arg;
	} signals[SIGNALS_MAX];
	size_t nsignals;

	struct watch wake_watch; /* its fd is owned */
	void (*woken)(void *arg);
	void *wake_arg;
};

static void
read_clock(struct loop *l)
{
	l->now_ns = clock_mono_ns();
	l->now_ms = l->now_ns / NS_PER_MS;
}

enum tulle_err
loop_new(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return TULLE_ENOMEM;
	l->signal_watch = l->wake_watch = (struct watch)WATCH_INIT;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd == -1) {
		free(l);
		return TULLE_ESYS;
	}
	TAILQ_INIT(&l->hooks);
	(void)sigemptyset(&l->signal_mask);
	read_clock(l);
	wheel_init(&l->wheel, l->now_ms);
	*ret = l;
	return TULLE_OK;
}

struct loop *
loop_free(struct loop *l)
{
	if (l == NULL)
		return NULL;
	if (watch_active(&l->signal_watch))
		(void)close(l->signal_watch.fd);
	if (watch_active(&l->wake_watch))
		(void)close(l->wake_watch.fd);
	(void)close(l->epfd);
	free(l);
	return NULL;
}

static void
deliver(struct loop *l, int n)
{
	struct watch *w;
	int i;

	/* Each watch knows its place, so that loop_del() can take its event out of the batch. */
	for (i = 0; i < n; i++)
		((struct watch *)l->batch[i].data.ptr)->batch = i;
	for (i = 0; i < n; i++) {
		w = l->batch[i].data.ptr;
		if (w == NULL)
			continue;
		w->batch = -1;
		w->ready(w, l->batch[i].events);
	}
}

enum tulle_err
loop_tick(struct loop *l, int max_wait_ms)
{
	int wait = wheel_wait(&l->wheel, l->now_ms);
	struct hook *h;
	int n;

	if (wait < 0 || (max_wait_ms >= 0 && max_wait_ms < wait))
		wait = max_wait_ms;
	n = epoll_wait(l->epfd, l->batch, BATCH, wait);
	if (n == -1 && errno != EINTR)
		return TULLE_ESYS;
	read_clock(l);
	if (n > 0)
		deliver(l, n);
	wheel_advance(&l->wheel, l->now_ms);
	TAILQ_FOREACH(h, &l->hooks, link)
		h->run(h);
	return TULLE_OK;
}

enum tulle_err
loop_run(struct loop *l)
{
	enum tulle_err e = TULLE_OK;

	l->stopping = false;
	while (!l->stopping && e == TULLE_OK)
		e = loop_tick(l, -1);
	return e;
}

void
loop_stop(struct loop *l)
{
	l->stopping = true;
}

uint64_t
loop_now(const struct loop *l)
{
	return l->now_ms;
}

uint64_t
loop_now_ns(const struct loop *l)
{
	return l->now_ns;
}

enum tulle_err
loop_add(struct loop *l, struct watch *w, int fd, uint32_t events, void (*ready)(struct watch *w, uint32_t events))
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) == -1)
		return TULLE_ESYS;
	*w = (struct watch){ .fd = fd, .events = events, .batch = -1, .ready = ready };
	return TULLE_OK;
}

void
loop_mod(struct loop *l, struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (!watch_active(w) || w->events == events)
		return;
	w->events = events;
	(void)epoll_ctl(l->epfd, EPOLL_CTL_MOD, w->fd, &ev); /* cannot fail for a watched descriptor */
}

void
loop_del(struct loop *l, struct watch *w)
{
	if (!watch_active(w))
		return;
	(void)epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	if (w->batch != -1)
		l->batch[w->batch].data.ptr = NULL;
	w->fd = -1;
	w->batch = -1;
}

void
timer_set(struct loop *l, struct timer *t, uint64_t ms, void (*fire)(struct timer *t))
{
	if (timer_active(t))
		wheel_remove(&l->wheel, t);
	t->fire = fire;
	wheel_add(&l->wheel, t, l->now_ms + ms);
}

void
timer_clear(struct loop *l, struct timer *t)
{
	if (timer_active(t))
		wheel_remove(&l->wheel, t);
}

void
loop_hook(struct loop *l, struct hook *h, void (*run)(struct hook *h))
{
	h->run = run;
	TAILQ_INSERT_TAIL(&l->hooks, h, link);
}

static void
signal_ready(struct watch *w, uint32_t events)
{
	struct loop *l = CONTAINER_OF(w, struct loop, signal_watch);
	struct signalfd_siginfo info;

	(void)events;
	if (read(w->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	for (size_t i = 0; i < l->nsignals; i++)
		if (l->signals[i].signo == (int)info.ssi_signo)
			l->signals[i].fired(l->signals[i].arg, l->signals[i].signo);
}

enum tulle_err
loop_on_signal(struct loop *l, int signo, void (*fired)(void *arg, int signo), void *arg)
{
	int fd;

	if (l->nsignals == SIGNALS_MAX)
		return TULLE_ELIMIT;
	(void)sigaddset(&l->signal_mask, signo);
	if (sigprocmask(SIG_BLOCK, &l->signal_mask, NULL) == -1)
		return TULLE_ESYS;
	fd = signalfd(l->signal_watch.fd, &l->signal_mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd == -1)
		return TULLE_ESYS;
	if (!watch_active(&l->signal_watch)) {
		enum tulle_err e = loop_add(l, &l->signal_watch, fd, EPOLLIN, signal_ready);

		if (e != TULLE_OK) {
			(void)close(fd);
			return e;
		}
	}
	l->signals[l->nsignals].signo = signo;
	l->signals[l->nsignals].fired = fired;
	l->signals[l->nsignals].arg = arg;
	l->nsignals++;
	return TULLE_OK;
}

static void
wake_ready(struct watch *w, uint32_t events)
{
	struct loop *l = CONTAINER_OF(w, struct loop, wake_watch);
	uint64_t n;

	(void)events;
	if (read(w->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		l->woken(l->wake_arg);
}

enum tulle_err
loop_on_wake(struct loop *l, void (*woken)(void *arg), void *arg)
{
	int AUTO_FD fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	enum tulle_err e;

	if (fd == -1)
		return TULLE_ESYS;
	l->woken = woken;
	l->wake_arg = arg;
	e = loop_add(l, &l->wake_watch, fd, EPOLLIN, wake_ready);
	if (e == TULLE_OK)
		(void)fd_take(&fd);
	return e;
}

void
loop_wake(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->wake_watch.fd, &one, sizeof(one));

	(void)n; /* a full counter wakes, too */
}
