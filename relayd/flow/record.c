/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a flow leaves behind: one event in the ring, counters, and a line in the log if it was refused. */
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "flow/flow.h"
#include "tls/spiffe.h"

#define LOG_PER_SEC 20
#define LOG_BURST 100

void
record_begin(struct flow *f)
{
	struct flows *fs = f->flows;

	f->event = (struct conn_event){ .conn_id = fs->next_id++, .start_wall_ns = clock_wall_ns(),
		.direction = f->inbound ? EVENT_INBOUND : EVENT_OUTBOUND };
	f->event.sampled = fs->traces_ppm > 0 && thread_random(fs->th) % 1000000 < fs->traces_ppm;
}

void
record_text(struct flow *f, uint32_t *ret_index, const char *text)
{
	*ret_index = events_intern(f->flows->events, text);
}

void
record_principal(struct flow *f, uint32_t *ret_index, const char *spiffe_id)
{
	*ret_index = spiffe_id != NULL ? events_intern(f->flows->events, spiffe_principal(spiffe_id)) : EVENTS_TEXT_NONE;
}

/* Never 0, which means that there was no such step. */
static uint32_t
microseconds(uint64_t from_ns, uint64_t to_ns)
{
	uint64_t us = to_ns > from_ns ? (to_ns - from_ns + 999) / 1000 : 1;

	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void
record_opened(struct flow *f)
{
	const struct tlsconn *c = flow_dials_tunnel(f) && f->up.tunnel.h != NULL ? &f->up.tunnel.h->conn : NULL;
	uint64_t now = loop_now_ns(f->flows->th->loop), tunnel_from = f->tried_ns;

	if (c == NULL) {
		f->event.connect_us = microseconds(f->tried_ns, now);
		return;
	}
	/* A tunnel that was there before cost this flow no TCP and no TLS, one on its way only what was left of them. */
	if (c->connected_ns > f->tried_ns) {
		f->event.connect_us = microseconds(f->tried_ns, c->connected_ns);
		tunnel_from = c->connected_ns;
	}
	f->event.tunnel_us = microseconds(tunnel_from, now);
}

static enum talk_how
how_of(const struct flow *f)
{
	if (f->event.tls == EVENT_TLS_MUTUAL)
		return TALK_MUTUAL;
	if (f->inbound)
		return TALK_PLAINTEXT;
	if (f->endpoint != NULL)
		return f->endpoint->local ? TALK_LOCAL : TALK_PLAINTEXT;
	return f->event.service != EVENTS_TEXT_NONE ? TALK_PLAINTEXT : TALK_OUTSIDE;
}

void
record_talk(struct flow *f)
{
	const struct conn_event *ev = &f->event;
	struct talk_key key;

	if (ev->original.family == 0)
		return;
	memset(&key, 0, sizeof(key)); /* compared as bytes */
	key.direction = ev->direction;
	key.how = (uint8_t)how_of(f);
	key.port = ev->original.port;
	if (f->inbound ? key.how == TALK_PLAINTEXT : ev->service == EVENTS_TEXT_NONE) {
		const struct addr *a = f->inbound ? &ev->peer : &ev->original;

		key.address.family = a->family;
		memcpy(key.address.ip, a->ip, sizeof(a->ip));
	}
	key.source = ev->source;
	key.destination = ev->destination;
	key.service = ev->service;
	key.workload = ev->workload;
	f->talk = talk_begin(f->flows->talks, &key, (int64_t)(ev->start_wall_ns / NS_PER_SEC));
	if (f->audited)
		talk_audited(f->talk);
}

void
record_end(struct flow *f, enum event_outcome outcome, enum event_flag flag, enum event_detail detail)
{
	struct conn_event *ev = &f->event;
	uint64_t words[3];

	ev->kind = EVENT_CLOSE;
	ev->outcome = (uint8_t)outcome;
	ev->flag = (uint8_t)flag;
	ev->detail = (uint16_t)detail;
	ev->duration_ns = loop_now_ns(f->flows->th->loop) - f->began_ns;
	if (ev->sampled || outcome != EVENT_SUCCESS) { /* failures are traced, too */
		for (size_t i = 0; i < 3; i++)
			words[i] = thread_random(f->flows->th);
		memcpy(ev->trace_id, words, sizeof(ev->trace_id));
		memcpy(ev->span_id, &words[2], sizeof(ev->span_id));
	}
	failures_note(&f->flows->failures, ev, f->endpoint != NULL ? f->endpoint->identity : NULL);
	if (f->series == NULL)
		flow_count_opened(f); /* refused before it was open: counted all the same */
	events_series_closed(f->series, outcome, ev->duration_ns);
	if (f->talk != NULL)
		talk_end(f->flows->talks, PTR_TAKE(f->talk), outcome, ev->rx_bytes, ev->tx_bytes,
		    (int64_t)((ev->start_wall_ns + ev->duration_ns) / NS_PER_SEC));
	(void)events_push(f->flows->events, ev);
}

bool
flow_may_log(struct flows *fs)
{
	uint64_t now = loop_now(fs->th->loop), gained = (now - fs->log_ms) * LOG_PER_SEC / 1000;

	if (gained > 0) {
		fs->log_left = fs->log_left + gained > LOG_BURST ? LOG_BURST : fs->log_left + (unsigned int)gained;
		fs->log_ms = now;
	}
	if (fs->log_left == 0) {
		fs->log_dropped++;
		return false;
	}
	fs->log_left--;
	if (fs->log_dropped > 0) {
		log_warn("lines about refusals were left out", LF_UINT("lines", fs->log_dropped));
		fs->log_dropped = 0;
	}
	return true;
}
