/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hbone/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what nghttp2 asks for: DATA to send -------------------------------- */

static struct hstream *
hstream_of(struct stream *s)
{
	return CONTAINER_OF(s, struct hstream, stream);
}

static void
unstarve(struct hstream *s)
{
	if (s->starved) {
		TAILQ_REMOVE(&s->h->starved, s, starved_link);
		s->starved = false;
	}
}

/* A stream that moves a lot keeps its place, but its tunnel should not get more flows (pool.c). */
static void
count_burst(struct hstream *s, size_t n)
{
	uint64_t now = loop_now(s->h->conn.th->loop);

	if (now - s->burst_ms >= 1000) {
		s->burst_ms = now;
		s->burst = 0;
	}
	s->burst += n < HBONE_BULK ? (uint32_t)n : HBONE_BULK;
	if (s->burst >= HBONE_BULK) {
		s->h->bulk_until_ms = now + HBONE_BULK_MS;
		s->burst = 0;
	}
}

/*
 * Reads the source straight behind the gathered frames, leaving 9 bytes for
 * the frame's header, which out.c puts there.
 */
static ssize_t
read_source(nghttp2_session *h2, int32_t id, uint8_t *unused, size_t max, uint32_t *flags, nghttp2_data_source *source,
    void *arg)
{
	struct hstream *s = source->ptr;
	struct hbone *h = arg;
	struct thread *th = h->conn.th;
	enum tulle_err e = TULLE_AGAIN;
	size_t n = 0;

	(void)h2;
	(void)id;
	(void)unused;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (s->state == HSTREAM_CLOSED)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (s->shut_wanted) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return 0;
	}
	if (tlsconn_blocked(&h->conn))
		return NGHTTP2_ERR_PAUSE;
	/* Room for a whole frame: what is gathered is sealed first. */
	if (PLAIN_OUT_SIZE - th->plain_out_len < 9 + max) {
		if (th->plain_out_len > 0 && tlsconn_write(&h->conn, th->plain_out, th->plain_out_len) != TULLE_OK)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		th->plain_out_len = 0;
		if (buf_len(&th->tx) > 4 * RX_SIZE)
			return NGHTTP2_ERR_PAUSE; /* enough for one send() */
	}
	/* Nothing goes up before the answer (HB-01): hstream_answered() resumes. */
	if (s->state == HSTREAM_OPEN && s->from != NULL)
		e = s->from->ops->read(s->from, th->plain_out + th->plain_out_len + 9, max, &n);
	unstarve(s);
	if (s->source_paused && s->from != NULL) {
		s->source_paused = false;
		s->from->ops->resume(s->from);
	}
	switch ((int)e) {
	case TULLE_OK:
		count_burst(s, n);
		s->stream.events->drained(&s->stream, n);
		return (ssize_t)n;
	case TULLE_AGAIN:
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	case TULLE_EOF:
		s->from->events->eof(s->from); /* sets shut_wanted by way of hs_shut() */
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return 0;
	default:
		s->deferred = true;
		s->from->events->failed(s->from, e, 0); /* the flow resets this stream */
		return NGHTTP2_ERR_DEFERRED;
	}
}

static nghttp2_data_provider
provider(struct hstream *s)
{
	return (nghttp2_data_provider){ .source = { .ptr = s }, .read_callback = read_source };
}

/* Tells nghttp2 that there is something to send. */
static void
resume_sending(struct hstream *s)
{
	if (s->deferred) {
		s->deferred = false;
		(void)nghttp2_session_resume_data(s->h->h2, s->id);
	}
	hbone_mark_dirty(s->h);
}

void
hstream_pause_starved(struct hbone *h)
{
	struct hstream *s;

	while ((s = TAILQ_FIRST(&h->starved)) != NULL) {
		unstarve(s);
		s->source_paused = true;
		s->from->ops->pause(s->from);
	}
}

/* ---- the seam ----------------------------------------------------------- */

static void
hs_pull(struct stream *st, struct stream *from)
{
	struct hstream *s = hstream_of(st);

	if (s->state == HSTREAM_CLOSED) {
		from->ops->pause(from); /* nobody takes it: reading on would be for nothing */
		return;
	}
	s->from = from;
	if (s->state != HSTREAM_OPEN) {
		s->source_paused = true;
		from->ops->pause(from);
		return;
	}
	if (!s->starved) {
		s->starved = true;
		TAILQ_INSERT_TAIL(&s->h->starved, s, starved_link);
	}
	resume_sending(s);
}

static void
hs_write(struct stream *st, const uint8_t *p, size_t n)
{
	/* A tunnel's bytes come out of a socket, which is pulled: nobody pushes into a tunnel. */
	(void)st;
	(void)p;
	(void)n;
	abort();
}

static void
hs_shut(struct stream *st)
{
	struct hstream *s = hstream_of(st);

	if (s->state == HSTREAM_CLOSED || s->shut_wanted)
		return;
	s->shut_wanted = true;
	if (s->state == HSTREAM_OPEN)
		resume_sending(s);
}

static void
hs_nothing(struct stream *st)
{
	(void)st; /* a tunnel stream is stopped by its window */
}

static void
hs_consumed(struct stream *st, size_t n)
{
	struct hstream *s = hstream_of(st);

	if (s->state == HSTREAM_CLOSED || s->h->h2 == NULL)
		return;
	count_burst(s, n);
	(void)nghttp2_session_consume_stream(s->h->h2, s->id, n);
	hbone_mark_dirty(s->h);
}

/* Forgets the tunnel; nghttp2 forgets us. */
static void
detach(struct hstream *s)
{
	struct hbone *h = s->h;

	unstarve(s);
	TAILQ_REMOVE(&h->streams, s, link);
	h->nstreams--;
	s->state = HSTREAM_CLOSED;
	s->h = NULL;
	s->from = NULL;
	free(s->authority);
	s->authority = NULL;
	if (h->h2 != NULL && s->id != 0)
		(void)nghttp2_session_set_stream_user_data(h->h2, s->id, NULL);
}

/* A reset of the application is told as CONNECT_ERROR (RFC 9113 8.5), giving up as CANCEL. */
static uint32_t
end_code(const struct hstream *s, bool reset)
{
	if (s->state != HSTREAM_OPEN)
		return NGHTTP2_CANCEL;
	if (reset)
		return NGHTTP2_CONNECT_ERROR;
	return s->end_sent || s->shut_wanted ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL;
}

static void
hs_close(struct stream *st, bool reset)
{
	struct hstream *s = hstream_of(st);
	struct hbone *h = s->h;
	bool whole;

	if (s->state == HSTREAM_CLOSED)
		return;
	whole = s->end_sent && s->end_received;
	if (h->h2 != NULL && s->id != 0 && !whole) {
		(void)nghttp2_submit_rst_stream(h->h2, NGHTTP2_FLAG_NONE, s->id, end_code(s, reset));
		hbone_mark_dirty(h);
	}
	detach(s);
	if (h->events->slots != NULL && !h->failed)
		h->events->slots(h);
}

static const struct stream_ops hstream_ops = {
	.write = hs_write,
	.pull = hs_pull,
	.shut = hs_shut,
	.pause = hs_nothing,
	.resume = hs_nothing,
	.consumed = hs_consumed,
	.close = hs_close,
};

/* ---- opening -------------------------------------------------------------- */

static void
attach(struct hstream *s, struct hbone *h, const struct stream_events *events)
{
	*s = (struct hstream){ .stream = { .ops = &hstream_ops, .events = events }, .h = h };
	TAILQ_INSERT_TAIL(&h->streams, s, link);
	h->nstreams++;
}

static nghttp2_nv
field(const char *name, const char *value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
		.value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value) };
}

void
hstream_asked(struct hstream *s)
{
	const nghttp2_nv nv[] = { field(":method", "CONNECT"), field(":authority", s->authority) };
	nghttp2_data_provider data = provider(s);

	s->id = nghttp2_submit_request(s->h->h2, NULL, nv, 2, &data, s);
	if (s->id < 0) {
		s->id = 0;
		hstream_gone(s, TULLE_ENOMEM, NGHTTP2_NO_ERROR);
		return;
	}
	s->state = HSTREAM_ASKED;
	s->asked_ns = loop_now_ns(s->h->conn.th->loop);
	free(s->authority);
	s->authority = NULL;
	hbone_mark_dirty(s->h);
}

enum tulle_err
hstream_open(struct hstream *s, struct hbone *h, const char *authority, const struct stream_events *events)
{
	char *copy;

	if (hbone_free_streams(h) == 0)
		return TULLE_ELIMIT;
	copy = strdup(authority);
	if (copy == NULL)
		return TULLE_ENOMEM;
	attach(s, h, events);
	s->authority = copy;
	if (h->h2 != NULL)
		hstream_asked(s);
	return TULLE_OK;
}

void
hstream_take(struct hstream *s, struct hbone *h, int32_t id, const struct stream_events *events)
{
	attach(s, h, events);
	s->id = id;
	s->state = HSTREAM_ASKED;
	(void)nghttp2_session_set_stream_user_data(h->h2, id, s);
}

enum tulle_err
hstream_accept(struct hstream *s)
{
	const nghttp2_nv nv = field(":status", "200");
	nghttp2_data_provider data = provider(s);

	if (s->state != HSTREAM_ASKED)
		return TULLE_EINVAL;
	if (nghttp2_submit_response(s->h->h2, s->id, &nv, 1, &data) != 0)
		return TULLE_ENOMEM;
	s->state = HSTREAM_OPEN;
	hbone_mark_dirty(s->h);
	return TULLE_OK;
}

/* ---- what the peer does ---------------------------------------------------- */

void
hstream_answered(struct hstream *s, int status)
{
	if (s->state != HSTREAM_ASKED || status < 200)
		return; /* 1xx is not an answer */
	if (status != 200) { /* exactly 200 (HB-03) */
		s->stream.events->failed(&s->stream, status == 401 || status == 403 ? TULLE_EDENIED : TULLE_EUNAVAIL,
		    status);
		return;
	}
	s->state = HSTREAM_OPEN;
	s->stream.events->opened(&s->stream);
	if (s->state == HSTREAM_OPEN && s->shut_wanted)
		resume_sending(s);
	if (s->state == HSTREAM_OPEN && s->source_paused && s->from != NULL) {
		s->source_paused = false;
		s->from->ops->resume(s->from);
	}
}

void
hstream_input(struct hstream *s, const uint8_t *p, size_t n)
{
	if (s->state == HSTREAM_CLOSED)
		return;
	s->stream.events->data(&s->stream, p, n);
}

void
hstream_ended(struct hstream *s)
{
	if (s->state == HSTREAM_CLOSED || s->end_received)
		return;
	s->end_received = true;
	s->stream.events->eof(&s->stream);
}

void
hstream_sent_end(struct hstream *s)
{
	s->end_sent = true;
	s->stream.events->finished(&s->stream);
}

/* A tunnel that was up and broke off: its peer may be a new process by now.  One that never came up is no such thing. */
static bool
is_stale(const struct hbone *h, enum tulle_err e)
{
	return h->closed && h->conn.ready_ns != 0 && (e == TULLE_ERESET || e == TULLE_EOF);
}

void
hstream_gone(struct hstream *s, enum tulle_err e, uint32_t h2_error)
{
	const struct stream_events *events = s->stream.events;
	bool whole = s->end_sent && s->end_received;
	bool asked = s->state == HSTREAM_ASKED || s->state == HSTREAM_WAITING;
	bool was_open = s->state == HSTREAM_OPEN;
	int sys_errno;

	if (s->state == HSTREAM_CLOSED)
		return;
	sys_errno = s->h->conn.sys_errno;
	if (h2_error == NGHTTP2_REFUSED_STREAM)
		s->retryable = true;
	if (asked && (s->h->draining || is_stale(s->h, e)))
		s->retryable = true;
	if (s->retryable)
		s->refused_by = s->h;
	if (s->h->h2 != NULL)
		s->id = 0; /* nghttp2 is done with it */
	detach(s);
	if (whole)
		return; /* both ends are known already */
	if (e == TULLE_EOF && s->end_received && was_open) {
		/* The peer has said all and wants to hear no more: not broken (HB-29, RFC 9113 8.1). */
		s->end_sent = true;
		events->finished(&s->stream);
		return;
	}
	if (e == TULLE_EOF)
		e = TULLE_ERESET;
	events->failed(&s->stream, e, e == TULLE_ESYS ? sys_errno : -(int)h2_error - 1);
}
