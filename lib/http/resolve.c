/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * resolve.c - a lookup is a small object with two owners, the loop's side
 * and the helper thread; whoever lets go last frees it.  The thread says
 * that it is done through an eventfd that the loop watches.
 */
#include "http/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

static atomic_int lookups;

struct lookup {
	atomic_int owners;
	atomic_bool ready; /* orders the result before the look at it: the event alone does not, to the language */
	int event; /* owned: readable when the answer is there */
	char host[256];
	uint16_t port;
	enum tulle_err result;
	size_t n;
	struct addr addrs[RESOLVE_ADDRS];
};

struct resolve {
	struct loop *loop;     /* lent */
	struct lookup *lookup; /* half owned */
	struct watch watch;
	void (*done)(void *arg, enum tulle_err e, const struct addr *addrs, size_t n);
	void *arg;
};

static void
lookup_release(struct lookup *l)
{
	if (atomic_fetch_sub(&l->owners, 1) > 1)
		return;
	cleanup_fd(&l->event);
	free(l);
}

/* The result is there: wakes the loop. */
static void
tell(struct lookup *l)
{
	atomic_store(&l->ready, true);
	(void)eventfd_write(l->event, 1);
}

static void
lookup_run(struct lookup *l)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL, *ai;

	l->result = TULLE_ENOENT;
	if (getaddrinfo(l->host, NULL, &hints, &list) != 0)
		return;
	for (ai = list; ai != NULL && l->n < RESOLVE_ADDRS; ai = ai->ai_next) {
		if (addr_from_sockaddr(&l->addrs[l->n], ai->ai_addr, ai->ai_addrlen) != TULLE_OK)
			continue;
		l->addrs[l->n++].port = l->port;
	}
	freeaddrinfo(list);
	if (l->n > 0)
		l->result = TULLE_OK;
}

static void *
lookup_main(void *arg)
{
	struct lookup *l = arg;

	lookup_run(l);
	atomic_fetch_sub(&lookups, 1);
	tell(l);
	lookup_release(l);
	return NULL;
}

/* The thread takes no signals: those are the loop's. */
static enum tulle_err
lookup_start(struct lookup *l)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (atomic_fetch_add(&lookups, 1) >= RESOLVE_THREADS) {
		atomic_fetch_sub(&lookups, 1);
		return TULLE_EBUSY;
	}
	(void)sigfillset(&all);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	atomic_store(&l->owners, 2);
	err = pthread_create(&thread, &attr, lookup_main, l);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (err != 0) {
		atomic_store(&l->owners, 1);
		atomic_fetch_sub(&lookups, 1);
		errno = err;
		return TULLE_ESYS;
	}
	return TULLE_OK;
}

static void
answered(struct watch *w, uint32_t events)
{
	struct resolve *r = CONTAINER_OF(w, struct resolve, watch);
	struct addr addrs[RESOLVE_ADDRS];
	size_t n;

	(void)events;
	if (!atomic_load(&r->lookup->ready))
		return;
	n = r->lookup->n;
	loop_del(r->loop, &r->watch);
	memcpy(addrs, r->lookup->addrs, sizeof(addrs)); /* <r> may be gone before the callback is through with them */
	r->done(r->arg, r->lookup->result, addrs, n);
}

enum tulle_err
resolve_start(struct resolve **ret, struct loop *l, const char *host, uint16_t port,
    void (*done)(void *arg, enum tulle_err e, const struct addr *addrs, size_t n), void *arg)
{
	struct resolve *r = calloc(1, sizeof(*r));
	struct lookup *k = calloc(1, sizeof(*k));
	enum tulle_err e = TULLE_ENOMEM;

	if (r == NULL || k == NULL)
		goto fail;
	e = TULLE_ESYS;
	k->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->event == -1)
		goto fail;
	atomic_store(&k->owners, 1);
	k->port = port;
	*r = (struct resolve){ .loop = l, .lookup = k, .watch = WATCH_INIT, .done = done, .arg = arg };
	if (strlen(host) < sizeof(k->host))
		memcpy(k->host, host, strlen(host) + 1);
	e = loop_add(l, &r->watch, k->event, EPOLLIN, answered);
	if (e != TULLE_OK)
		goto fail_event;
	if (addr_parse_ip(&k->addrs[0], k->host) == TULLE_OK) {
		k->addrs[0].port = port;
		k->n = 1;
		tell(k);
	} else if (k->host[0] == '\0') {
		k->result = TULLE_ENOENT; /* longer than any name is */
		tell(k);
	} else {
		e = lookup_start(k);
		if (e != TULLE_OK)
			goto fail_watch;
	}
	*ret = r;
	return TULLE_OK;

fail_watch:
	loop_del(l, &r->watch);
fail_event:
	cleanup_fd(&k->event);
fail:
	free(k);
	free(r);
	return e;
}

struct resolve *
resolve_free(struct resolve *r)
{
	if (r == NULL)
		return NULL;
	loop_del(r->loop, &r->watch);
	lookup_release(r->lookup);
	free(r);
	return NULL;
}
