/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/source.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "events/attach.h"
#include "io/sock.h"

#define POLL_MS 50      /* while events keep coming */
#define ORPHAN_MS 1000  /* looks at a segment whose parent is gone */
#define CONNECT_MS 500
#define BATCH 4096      /* events of one worker before the next one's turn */

struct source {
	struct loop *loop; /* lent */
	const char *path;  /* lent */
	struct source_sink sink;
	int sock;     /* owned; -1: not connected */
	int doorbell; /* owned, of <reader>; -1 */
	struct watch sock_watch, bell_watch;
	struct timer connect_timer, poll_timer;
	struct events_reader *reader; /* owned, or NULL */
	bool attached;
	bool said; /* the present failure has been logged */
	struct source_counts counts;
	uint64_t corrupt_before; /* of segments given up */
};

static void connect_due(struct timer *t);

/* ---- draining -------------------------------------------------------------- */

static uint64_t
drain_worker(struct source *s, uint32_t worker)
{
	struct record r;
	uint64_t n = 0;

	while (n < BATCH && events_read(s->reader, worker, &r.ev) == TULLE_OK) {
		r.source = events_reader_text(s->reader, worker, r.ev.source);
		r.destination = events_reader_text(s->reader, worker, r.ev.destination);
		r.service = events_reader_text(s->reader, worker, r.ev.service);
		r.workload = events_reader_text(s->reader, worker, r.ev.workload);
		r.policy = events_reader_text(s->reader, worker, r.ev.policy);
		r.reason = events_reader_text(s->reader, worker, r.ev.reason);
		r.tail_hint = false;
		s->sink.event(s->sink.arg, &r);
		n++;
	}
	return n;
}

/* One turn of all workers; returns how many events there were. */
static uint64_t
drain_once(struct source *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < events_reader_workers(s->reader); i++)
		n += drain_worker(s, i);
	events_reader_release(s->reader);
	s->counts.taken += n;
	return n;
}

void
source_drain(struct source *s)
{
	/* A relay that never stops writing must not hold us: what was there at the start is at most one ring. */
	uint64_t left = s->reader != NULL ? events_reader_waiting(s->reader) : 0;

	while (left > 0) {
		uint64_t n = drain_once(s);

		if (n == 0)
			return;
		left = n < left ? left - n : 0;
	}
}

static void
poll_due(struct timer *t)
{
	struct source *s = CONTAINER_OF(t, struct source, poll_timer);
	uint64_t n = drain_once(s);

	/* Busy: look again soon and let the relay write in peace.  Quiet: let it ring. */
	if (n > 0 || (s->attached && (!watch_active(&s->bell_watch) || !events_reader_sleep(s->reader))))
		timer_set(s->loop, &s->poll_timer, POLL_MS, poll_due);
	else if (!s->attached)
		timer_set(s->loop, &s->poll_timer, ORPHAN_MS, poll_due);
}

static void
bell_ready(struct watch *w, uint32_t events)
{
	struct source *s = CONTAINER_OF(w, struct source, bell_watch);
	uint64_t n;

	(void)events;
	/* Whatever it is that was passed as a doorbell: if it is ready and gives nothing, polling has to do. */
	if (read(s->doorbell, &n, sizeof(n)) != sizeof(n)) {
		loop_del(s->loop, &s->bell_watch);
		events_reader_wake(s->reader);
	}
	if (!timer_active(&s->poll_timer))
		timer_set(s->loop, &s->poll_timer, POLL_MS, poll_due);
}

/* ---- attaching ------------------------------------------------------------- */

static void
segment_leave(struct source *s)
{
	if (s->reader == NULL)
		return;
	source_drain(s);
	s->sink.leaving(s->sink.arg, s->reader);
	s->corrupt_before += events_reader_corrupt(s->reader);
	timer_clear(s->loop, &s->poll_timer);
	loop_del(s->loop, &s->bell_watch);
	if (s->doorbell != -1)
		(void)close(s->doorbell);
	s->doorbell = -1;
	s->reader = events_reader_free(s->reader);
}

static void
hang_up(struct source *s)
{
	loop_del(s->loop, &s->sock_watch);
	if (s->sock != -1)
		(void)close(s->sock);
	s->sock = -1;
	if (s->attached)
		log_notice("relay gone");
	s->attached = false;
	timer_set(s->loop, &s->connect_timer, CONNECT_MS, connect_due);
	if (s->reader != NULL)
		timer_set(s->loop, &s->poll_timer, 1, poll_due);
}

/* The same segment again means that its parent lived on and only we were cut off. */
static void
segment_take(struct source *s, struct events_offer *offer)
{
	struct events_reader *r = NULL;
	enum tulle_err e = events_reader_open(&r, offer->segment);

	(void)close(offer->segment);
	if (offer->pidfd != -1)
		(void)close(offer->pidfd); /* the connection's end tells the same */
	if (e) {
		(void)close(offer->doorbell);
		s->counts.refused++;
		if (!s->said)
			log_error("the relay's segment is not understood", LF_ERR(e));
		s->said = true;
		hang_up(s);
		return;
	}
	if (s->reader != NULL && events_reader_id(s->reader) == events_reader_id(r)) {
		/* Take over at the place where we are: <r> starts where we last released, and all was released. */
		s->corrupt_before += events_reader_corrupt(s->reader);
		loop_del(s->loop, &s->bell_watch);
		(void)close(s->doorbell);
		events_reader_free(s->reader);
	} else {
		segment_leave(s);
	}
	s->reader = r;
	s->doorbell = offer->doorbell;
	s->attached = true;
	s->said = false;
	s->counts.attached++;
	log_notice("attached to the relay", LF_UINT("workers", events_reader_workers(r)));
	if (loop_add(s->loop, &s->bell_watch, s->doorbell, EPOLLIN, bell_ready) != TULLE_OK)
		log_warn("no doorbell, polling", LF_ERRNO);
	timer_set(s->loop, &s->poll_timer, 1, poll_due);
}

static void
sock_ready(struct watch *w, uint32_t events)
{
	struct source *s = CONTAINER_OF(w, struct source, sock_watch);
	struct events_offer offer;
	enum tulle_err e = events_take_offer(s->sock, &offer);

	(void)events;
	if (e == TULLE_AGAIN)
		return;
	if (e == TULLE_OK && !s->attached) {
		segment_take(s, &offer);
		return;
	}
	if (e == TULLE_OK) { /* a second offer: not in the protocol */
		(void)close(offer.segment);
		(void)close(offer.doorbell);
		if (offer.pidfd != -1)
			(void)close(offer.pidfd);
	}
	if (e == TULLE_EINVAL || e == TULLE_EPEER) {
		s->counts.refused++;
		if (!s->said)
			log_error("the relay is of another version", LF_ERR(e));
		s->said = true;
	}
	hang_up(s);
}

static void
connect_due(struct timer *t)
{
	struct source *s = CONTAINER_OF(t, struct source, connect_timer);
	enum tulle_err e = sock_connect_unix(&s->sock, s->path);

	if (e == TULLE_OK && loop_add(s->loop, &s->sock_watch, s->sock, EPOLLIN, sock_ready) == TULLE_OK)
		return;
	if (e == TULLE_OK) {
		(void)close(s->sock);
		s->sock = -1;
	} else if (e == TULLE_ESYS && !s->said) {
		log_warn("the relay's socket cannot be used", LF_STR("path", s->path), LF_ERRNO);
		s->said = true;
	}
	timer_set(s->loop, &s->connect_timer, CONNECT_MS, connect_due);
}

enum tulle_err
source_new(struct source **ret, struct loop *l, const char *path, const struct source_sink *sink)
{
	struct source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return TULLE_ENOMEM;
	s->loop = l;
	s->path = path;
	s->sink = *sink;
	s->sock = s->doorbell = -1;
	s->sock_watch = s->bell_watch = (struct watch)WATCH_INIT;
	timer_set(l, &s->connect_timer, 1, connect_due);
	*ret = s;
	return TULLE_OK;
}

struct source *
source_free(struct source *s)
{
	if (s == NULL)
		return NULL;
	if (s->reader != NULL)
		events_reader_wake(s->reader);
	segment_leave(s);
	timer_clear(s->loop, &s->connect_timer);
	loop_del(s->loop, &s->sock_watch);
	if (s->sock != -1)
		(void)close(s->sock);
	free(s);
	return NULL;
}

bool
source_attached(const struct source *s)
{
	return s->attached;
}

struct events_reader *
source_reader(struct source *s)
{
	return s->reader;
}

void
source_counts(const struct source *s, struct source_counts *ret)
{
	*ret = s->counts;
	ret->corrupt = s->corrupt_before + (s->reader != NULL ? events_reader_corrupt(s->reader) : 0);
}
