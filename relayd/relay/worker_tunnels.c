/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/worker_intern.h"

#include "base/log.h"
#include "relay/handshake.h"

/* A tunnel that was up and did not end in good order; a peer may bring that about as often as it likes. */
static void
log_broken(struct worker *w, const struct hbone *h, enum tulle_err e)
{
	char peer[ADDR_TEXT];

	if ((h->broken == NULL && e != TULLE_ETIMEDOUT) || !flow_may_log(&w->flows))
		return;
	log_warn(h->broken != NULL ? "tunnel broken by its peer" : "tunnel ended: its peer does not answer",
	    LF_STR("reason", h->broken != NULL ? h->broken : tulle_strerror(e)), LF_STR("peer", addr_format(&h->conn.peer, peer)),
	    LF_STR("peer_id", h->conn.tls != NULL ? tls_session_peer_id(h->conn.tls) : NULL));
}

static void
in_up(void *arg, const struct hbone *h)
{
	struct worker *w = arg;

	budget_handshake_end(w->budget, &h->conn.peer);
	events_count(w->flows.events, COUNT_HANDSHAKE_IN_OK);
	events_count(w->flows.events, COUNT_TUNNEL_OPENED_IN);
}

static void
in_down(void *arg, const struct hbone *h, enum tulle_err e)
{
	struct worker *w = arg;

	if (h->conn.ready_ns != 0) {
		log_broken(w, h, e);
		events_count(w->flows.events, COUNT_TUNNEL_CLOSED_IN);
		return;
	}
	budget_handshake_end(w->budget, &h->conn.peer);
	events_count(w->flows.events, handshake_counter(COUNT_HANDSHAKE_IN_OK, h, e));
	handshake_log(&w->flows, h, e, "tunnel refused");
}

static void
in_request(void *arg, struct hbone *h, int32_t id, bool connect, const char *authority)
{
	struct worker *w = arg;
	const char *limit = worker_reached_limit(w);

	if (limit == NULL)
		flow_inbound_tunnel(&w->flows, h, id, connect, authority);
	else {
		hbone_reply_error(h, id, 503);
		worker_refused(w, limit, NULL);
	}
}

const struct server_events worker_server_events = { .up = in_up, .down = in_down, .request = in_request };

static void
out_up(void *arg, const struct hbone *h)
{
	struct worker *w = arg;

	(void)h;
	events_count(w->flows.events, COUNT_HANDSHAKE_OUT_OK);
	events_count(w->flows.events, COUNT_TUNNEL_OPENED_OUT);
}

static void
out_down(void *arg, const struct hbone *h, enum tulle_err e)
{
	struct worker *w = arg;

	if (h->conn.ready_ns != 0) {
		log_broken(w, h, e);
		events_count(w->flows.events, COUNT_TUNNEL_CLOSED_OUT);
		/* In TLS 1.3 a server judges us after our handshake is over: its refusal comes as an alert (HB-06). */
		if (e == TULLE_EDENIED || (h->conn.tls != NULL && tls_session_alert(h->conn.tls) != NULL && e != TULLE_EOF))
			handshake_log(&w->flows, h, e, "tunnel refused by its server");
		return;
	}
	if (h->conn.connected_ns != 0)
		events_count(w->flows.events, handshake_counter(COUNT_HANDSHAKE_OUT_OK, h, e));
	handshake_log(&w->flows, h, e, h->conn.connected_ns != 0 ? "tunnel failed: handshake" : "tunnel failed: connect");
}

const struct pool_events worker_pool_events = { .up = out_up, .down = out_down };
