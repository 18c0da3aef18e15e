/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flow/flow.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "decide/health.h"

void
flows_init(struct flows *fs, struct thread *th, struct creds *creds, struct pool *pool, struct events_writer *events,
    struct talks *talks)
{
	*fs = (struct flows){ .th = th, .creds = creds, .pool = pool, .events = events, .talks = talks,
		.next_id = (uint64_t)th->index << 48 | (clock_wall_ns() / NS_PER_SEC & 0xffffff) << 24 };
	TAILQ_INIT(&fs->all);
	TAILQ_INIT(&fs->ended);
	LIST_INIT(&fs->owners.waiting);
}

struct flow *
flow_new(struct flows *fs, bool inbound)
{
	struct flow *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->flows = fs;
	f->inbound = inbound;
	f->began_ns = loop_now_ns(fs->th->loop);
	f->active_ms = loop_now(fs->th->loop);
	record_begin(f);
	TAILQ_INSERT_TAIL(&fs->all, f, link);
	fs->n++;
	return f;
}

static struct stream *
other_of(struct flow *f, struct stream *s)
{
	return s == &f->down.stream ? &f->up.stream : &f->down.stream;
}

/* The flow of a stream; its table tells which end it is. */
static struct flow *
flow_of(struct stream *s)
{
	return s->events == &flow_down_events ? CONTAINER_OF(s, struct flow, down.stream) : CONTAINER_OF(s, struct flow, up.stream);
}

static void
dialling_free(struct flow *f)
{
	if (f->dial == NULL)
		return;
	flow_forget_owner(f);
	(void)snapshot_unref(f->dial->snapshot);
	free(f->dial);
	f->dial = NULL;
}

void
flow_end(struct flow *f, enum event_outcome outcome, enum event_flag flag, enum event_detail detail)
{
	struct flows *fs = f->flows;
	bool broken = outcome != EVENT_SUCCESS;

	if (f->state == FLOW_ENDED)
		return;
	f->state = FLOW_ENDED;
	timer_clear(fs->th->loop, &f->timer);
	if (f->down.stream.ops != NULL)
		f->down.stream.ops->close(&f->down.stream, broken);
	if (f->has_up)
		f->up.stream.ops->close(&f->up.stream, broken);
	record_end(f, outcome, flag, detail);
	dialling_free(f);
	if (f->endpoint != NULL) {
		balance_end(f->endpoint);
		f->endpoint = endpoint_unref(f->endpoint);
	}
	TAILQ_REMOVE(&fs->all, f, link);
	TAILQ_INSERT_TAIL(&fs->ended, f, link);
	fs->n--;
}

void
flows_reap(struct flows *fs)
{
	struct flow *f;

	while ((f = TAILQ_FIRST(&fs->ended)) != NULL) {
		TAILQ_REMOVE(&fs->ended, f, link);
		free(f->own_id);
		free(f);
	}
}

void
flows_done(struct flows *fs)
{
	owners_done(&fs->owners);
}

void
flows_end_all(struct flows *fs, enum event_detail detail)
{
	struct flow *f;

	while ((f = TAILQ_FIRST(&fs->all)) != NULL)
		flow_end(f, EVENT_ABORTED, EVENT_FLAG_LR, detail);
}

void
flows_configure(struct flows *fs, const struct snapshot *snapshot)
{
	struct flow *f, *next;

	(void)snapshot_unref(fs->snapshot);
	fs->snapshot = snapshot_ref(snapshot);
	for (f = TAILQ_FIRST(&fs->all); f != NULL; f = next) {
		next = TAILQ_NEXT(f, link);
		if (f->inbound ? !inbound_still_allowed(f) : !outbound_still_allowed(f)) {
			events_count(fs->events, COUNT_POLICY_CUT);
			flow_end(f, EVENT_DENIED, EVENT_FLAG_UAEX, EVENT_DETAIL_POLICY_CUT);
		} else if (!f->inbound && !outbound_still_in_registry(f)) {
			events_count(fs->events, COUNT_POLICY_CUT);
			flow_end(f, EVENT_DENIED, EVENT_FLAG_NR, EVENT_DETAIL_NOT_IN_REGISTRY);
		}
	}
}

/* ---- deadlines ---------------------------------------------------------- */

static void
dial_late(struct timer *t)
{
	struct flow *f = CONTAINER_OF(t, struct flow, timer);

	if (f->inbound)
		inbound_connect_failed(f, ETIMEDOUT);
	else if (flow_dials_tunnel(f))
		outbound_attempt_failed(f, TULLE_ETIMEDOUT, 0);
	else
		outbound_attempt_failed(f, TULLE_ESYS, ETIMEDOUT);
}

void
flow_set_deadline(struct flow *f)
{
	f->tried_ns = loop_now_ns(f->flows->th->loop);
	timer_set(f->flows->th->loop, &f->timer, FLOW_DIAL_MS, dial_late);
}

/* Re-armed lazily: traffic only writes down the time. */
static void
idle_check(struct timer *t)
{
	struct flow *f = CONTAINER_OF(t, struct flow, timer);
	uint64_t idle = loop_now(f->flows->th->loop) - f->active_ms;

	if (idle >= FLOW_IDLE_MS) {
		events_count(f->flows->events, COUNT_TIMEOUT_CUT);
		flow_end(f, EVENT_ABORTED, EVENT_FLAG_SI, EVENT_DETAIL_IDLE_TIMEOUT);
		return;
	}
	timer_set(f->flows->th->loop, t, FLOW_IDLE_MS - idle, idle_check);
}

/* ---- the two ends --------------------------------------------------------- */

void
flow_count_opened(struct flow *f)
{
	const struct series_labels labels = { .direction = f->event.direction, .tls = f->event.tls,
		.source = f->event.source, .destination = f->event.destination, .service = f->event.service,
		.workload = f->event.workload };

	f->series = events_series(f->flows->events, &labels);
	events_series_opened(f->series);
	record_talk(f);
}

static void
on_opened(struct stream *s)
{
	struct flow *f = flow_of(s);

	if (f->state != FLOW_DIALING)
		return;
	if (f->by_tunnel && hstream_accept(&f->down.tunnel) != TULLE_OK) {
		flow_end(f, EVENT_FAILED, EVENT_FLAG_OM, EVENT_DETAIL_INTERNAL);
		return;
	}
	f->state = FLOW_OPEN;
	f->active_ms = loop_now(f->flows->th->loop);
	if (f->endpoint != NULL)
		health_ok(f->endpoint->state);
	dialling_free(f);
	record_opened(f);
	flow_count_opened(f);
	timer_set(f->flows->th->loop, &f->timer, FLOW_IDLE_MS, idle_check);
	f->down.stream.ops->resume(&f->down.stream);
	f->up.stream.ops->resume(&f->up.stream);
}

static void
on_readable(struct stream *s)
{
	struct flow *f = flow_of(s);
	struct stream *sink = other_of(f, s);

	if (f->state == FLOW_OPEN)
		sink->ops->pull(sink, s);
}

static void
on_data(struct stream *s, const uint8_t *p, size_t n)
{
	struct flow *f = flow_of(s);
	struct stream *sink = other_of(f, s);

	if (f->state != FLOW_ENDED)
		sink->ops->write(sink, p, n);
}

static void
on_drained(struct stream *s, size_t n)
{
	struct flow *f = flow_of(s);
	struct stream *source = other_of(f, s);

	if (f->state == FLOW_ENDED)
		return;
	f->active_ms = loop_now(f->flows->th->loop);
	if (s == &f->up.stream)
		f->event.rx_bytes += n;
	else
		f->event.tx_bytes += n;
	if (f->series != NULL)
		events_series_bytes(f->series, s == &f->up.stream ? n : 0, s == &f->up.stream ? 0 : n);
	source->ops->consumed(source, n);
}

static void
on_eof(struct stream *s)
{
	struct flow *f = flow_of(s);
	struct stream *sink = other_of(f, s);

	if (f->state == FLOW_ENDED)
		return;
	if (s == &f->down.stream)
		f->down_eof = true;
	else
		f->up_eof = true;
	if (f->has_up)
		sink->ops->shut(sink);
}

static void
on_finished(struct stream *s)
{
	struct flow *f = flow_of(s);

	if (s == &f->down.stream)
		f->down_done = true;
	else
		f->up_done = true;
	if (f->down_done && f->up_done)
		flow_end(f, EVENT_SUCCESS, EVENT_FLAG_NONE, EVENT_DETAIL_ENDED);
}

static void
on_failed(struct stream *s, enum tulle_err e, int detail)
{
	struct flow *f = flow_of(s);

	if (f->state == FLOW_ENDED)
		return;
	if (s == &f->down.stream) {
		flow_end(f, EVENT_ABORTED, EVENT_FLAG_DC, EVENT_DETAIL_CLIENT_RESET);
		return;
	}
	if (f->state == FLOW_OPEN) {
		flow_end(f, EVENT_ABORTED, EVENT_FLAG_UC, EVENT_DETAIL_UPSTREAM_RESET);
		return;
	}
	if (f->inbound)
		inbound_connect_failed(f, detail);
	else
		outbound_attempt_failed(f, e, detail);
}

#define FLOW_EVENTS                                                                                    \
	{                                                                                              \
		.opened = on_opened, .readable = on_readable, .data = on_data, .eof = on_eof,          \
		.drained = on_drained, .finished = on_finished, .failed = on_failed,                   \
	}

/* The same functions twice: the address of the table says which end raised the event. */
const struct stream_events flow_down_events = FLOW_EVENTS;
const struct stream_events flow_up_events = FLOW_EVENTS;
