/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loop.h - one thread's event loop: descriptors, timers, signals, and the
 * end of a tick.
 *
 * A tick has three phases: the callbacks of everything that is ready run
 * (read and process), then the timers that are due, then the hooks (flush).
 * Level-triggered: a callback that leaves bytes unread is called again.
 *
 * Watches, timers and hooks lie inside the caller's structures; the loop
 * takes no memory for them and never frees one.  A callback may remove any
 * watch or timer, its own included, and free what it lies in: events that
 * were already fetched for a removed watch are not delivered.
 *
 * Not thread safe, except loop_wake().
 */
#ifndef TULLE_IO_LOOP_H
#define TULLE_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "base/err.h"

struct loop;

struct watch {
	int fd;          /* lent; -1 when not watched */
	uint32_t events; /* EPOLLIN, EPOLLOUT; errors and hang-ups always arrive */
	int batch;       /* place in the batch being delivered, or -1 */
	void (*ready)(struct watch *w, uint32_t events);
};

struct timer {
	LIST_ENTRY(timer) link;
	uint64_t due; /* loop_now() milliseconds; 0 when not set */
	void (*fire)(struct timer *t);
};

struct hook {
	TAILQ_ENTRY(hook) link;
	void (*run)(struct hook *h);
};

struct watch_signal; /* see loop_on_signal() */

/* TULLE_ENOMEM, TULLE_ESYS. */
enum tulle_err loop_new(struct loop **ret);

/* Takes NULL, always returns NULL.  Watches and timers need not be removed first. */
struct loop *loop_free(struct loop *l);

/* Runs until loop_stop().  TULLE_ESYS if the kernel refuses to wait. */
enum tulle_err loop_run(struct loop *l);

/* One tick; waits at most <max_wait_ms> (-1: until something happens). */
enum tulle_err loop_tick(struct loop *l, int max_wait_ms);

/* Makes loop_run() return at the end of this tick. */
void loop_stop(struct loop *l);

/* Milliseconds, read once per tick (clock_mono_ms()). */
uint64_t loop_now(const struct loop *l);

/* Nanoseconds, read once per tick. */
uint64_t loop_now_ns(const struct loop *l);

/* A watch that watches nothing yet. */
#define WATCH_INIT { .fd = -1, .batch = -1 }

static inline bool
watch_active(const struct watch *w)
{
	return w->fd != -1;
}

/* Starts watching <fd>, which stays the caller's.  <w> must not be active.  TULLE_ESYS (ENOSPC, ENOMEM). */
enum tulle_err loop_add(struct loop *l, struct watch *w, int fd, uint32_t events,
    void (*ready)(struct watch *w, uint32_t events));

/* Changes what is waited for; no system call if nothing changes. */
void loop_mod(struct loop *l, struct watch *w, uint32_t events);

/* Stops watching; call it before closing the descriptor.  Does nothing if not active. */
void loop_del(struct loop *l, struct watch *w);

static inline bool
timer_active(const struct timer *t)
{
	return t->due != 0;
}

/*
 * Sets or moves a timer, <ms> from now.  It fires once, up to 10 ms late,
 * never early.  A zeroed struct timer is a valid one that is not set.
 */
void timer_set(struct loop *l, struct timer *t, uint64_t ms, void (*fire)(struct timer *t));

/* Does nothing if not set. */
void timer_clear(struct loop *l, struct timer *t);

/* Hooks run at the end of each tick, in the order they were added. */
void loop_hook(struct loop *l, struct hook *h, void (*run)(struct hook *h));

/*
 * From now on <signo> is blocked in this thread and delivered here, as
 * fired(arg, signo).  Block signals before threads are made, so that they
 * inherit it.  TULLE_ESYS, TULLE_ELIMIT (more than 8 signals).
 */
enum tulle_err loop_on_signal(struct loop *l, int signo, void (*fired)(void *arg, int signo), void *arg);

/*
 * Wakes a loop from any thread: <woken> (set here, once) runs in the loop's
 * own thread soon after, once for any number of calls.
 */
enum tulle_err loop_on_wake(struct loop *l, void (*woken)(void *arg), void *arg);
void loop_wake(struct loop *l);

#endif
