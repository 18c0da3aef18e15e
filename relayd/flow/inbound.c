/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inbound.c - to an application of ours: through a tunnel from an
 * authenticated peer, or in plaintext if PeerAuthentication lets it in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "flow/flow.h"
#include "io/sock.h"
#include "net/origdst.h"

static const char *
peer_id(const struct flow *f)
{
	if (!f->by_tunnel || f->down.tunnel.h == NULL || f->down.tunnel.h->conn.tls == NULL)
		return NULL;
	return tls_session_peer_id(f->down.tunnel.h->conn.tls);
}

bool
inbound_still_allowed(struct flow *f)
{
	const struct workload *w;

	if (f->state == FLOW_ENDED || f->event.original.family == 0)
		return true;
	w = snapshot_workload(f->flows->snapshot, &f->event.original);
	if (!f->by_tunnel && workload_mtls(w, f->event.original.port) == MTLS_STRICT)
		return false;
	return flow_may_be(f, peer_id(f), &f->event.original);
}

static void
log_refusal(struct flow *f, const char *message, const char *reason)
{
	flow_log_refusal(f, message, reason, peer_id(f), NULL);
}

/* Ends a flow that is refused; a tunnel's peer is told by status, a plain one by a reset. */
static void
refuse(struct flow *f, unsigned int status, enum event_outcome outcome, enum event_flag flag, enum event_detail detail)
{
	struct hbone *h = f->by_tunnel ? f->down.tunnel.h : NULL;
	int32_t id = f->by_tunnel ? f->down.tunnel.id : 0;

	if (h != NULL) {
		/* Detach first, so that closing the stream does not reset it before the status is out. */
		f->down.tunnel.end_sent = f->down.tunnel.end_received = true;
		f->down.stream.ops->close(&f->down.stream, false);
		hbone_reply_error(h, id, status);
		events_count(f->flows->events, COUNT_STREAM_REFUSED);
	}
	flow_end(f, outcome, flag, detail);
}

/* False: the flow has been refused. */
static bool
admitted(struct flow *f)
{
	if (flow_admitted(f, f->flows->snapshot, peer_id(f), &f->event.original))
		return true;
	refuse(f, 401, EVENT_DENIED, EVENT_FLAG_UAEX, EVENT_DETAIL_DENIED_BY_POLICY);
	return false;
}

/*
 * Does this port belong to Tulle itself?  Nobody is connected there on
 * behalf of somebody else (HB-11): the relay would talk to itself, and the
 * authority would know this host instead of the stranger whom it slows down.
 * All of these answer everybody without a tunnel.  The port of metrics is
 * not among them: it may be scraped through the mesh, if policy allows it.
 */
static bool
is_own_port(const struct flows *fs, uint16_t port)
{
	return port == fs->ports.outbound || port == fs->ports.inbound || port == fs->ports.hbone ||
	       port == fs->ports.health || port == fs->ports.authority;
}

static void
connect_application(struct flow *f)
{
	f->event.upstream = f->event.original;
	f->event.attempts = 1;
	flow_set_deadline(f);
	if (tcp_connect(&f->up.tcp, f->flows->th, &f->event.original, &flow_up_events) != TULLE_OK) {
		inbound_connect_failed(f, errno);
		return;
	}
	f->has_up = true;
}

void
inbound_connect_failed(struct flow *f, int err)
{
	enum event_detail detail = EVENT_DETAIL_CONNECT_FAILED;
	enum counter_id counter = COUNT_CONNECT_OTHER;

	if (err == ECONNREFUSED) {
		detail = EVENT_DETAIL_CONNECT_REFUSED;
		counter = COUNT_CONNECT_REFUSED;
	} else if (err == ETIMEDOUT) {
		detail = EVENT_DETAIL_CONNECT_TIMEOUT;
		counter = COUNT_CONNECT_TIMEOUT;
	} else if (err == EMFILE || err == ENFILE || err == EADDRNOTAVAIL) {
		detail = EVENT_DETAIL_DESCRIPTORS;
	}
	events_count(f->flows->events, counter);
	log_refusal(f, "the application cannot be reached", event_detail_name(detail));
	refuse(f, 503, EVENT_FAILED, EVENT_FLAG_UF, detail);
}

static void
describe_destination(struct flow *f)
{
	const struct workload *w = snapshot_workload(f->flows->snapshot, &f->event.original);

	record_principal(f, &f->event.destination, w->identity);
	record_text(f, &f->event.workload, w->name);
}

/* Ends a flow whose socket is not adopted yet. */
static void
turn_away(struct flow *f, int fd, enum event_outcome outcome, enum event_flag flag, enum event_detail detail)
{
	sock_reset_on_close(fd);
	(void)close(fd);
	flow_end(f, outcome, flag, detail);
}

void
flow_inbound_plain(struct flows *fs, int fd)
{
	struct flow *f = flow_new(fs, true);
	const struct workload *w;

	if (f == NULL) {
		(void)close(fd);
		return;
	}
	(void)sock_peer(fd, &f->event.peer);
	if (origdst_get(fd, &f->event.original) != TULLE_OK || is_own_port(fs, f->event.original.port)) {
		events_count(fs->events, COUNT_DIRECT_HIT);
		f->event.original.family = 0;
		log_refusal(f, "connection made straight to a capture port", event_detail_name(EVENT_DETAIL_DIRECT_HIT));
		turn_away(f, fd, EVENT_DENIED, EVENT_FLAG_NR, EVENT_DETAIL_DIRECT_HIT);
		return;
	}
	if (!flow_configured(f)) {
		turn_away(f, fd, EVENT_FAILED, EVENT_FLAG_NR, EVENT_DETAIL_NO_CONFIGURATION);
		return;
	}
	if (tcp_adopt(&f->down.tcp, fs->th, fd, &flow_down_events) != TULLE_OK) {
		log_refusal(f, "the connection cannot be watched", event_detail_name(EVENT_DETAIL_DESCRIPTORS));
		turn_away(f, fd, EVENT_FAILED, EVENT_FLAG_UO, EVENT_DETAIL_DESCRIPTORS);
		return;
	}
	describe_destination(f);
	w = snapshot_workload(fs->snapshot, &f->event.original);
	if (workload_mtls(w, f->event.original.port) == MTLS_STRICT) {
		events_count(fs->events, COUNT_PLAINTEXT_REFUSED);
		log_refusal(f, "plaintext refused: PeerAuthentication is STRICT", event_detail_name(EVENT_DETAIL_PLAINTEXT_REFUSED));
		flow_end(f, EVENT_DENIED, EVENT_FLAG_UAEX, EVENT_DETAIL_PLAINTEXT_REFUSED);
		return;
	}
	if (admitted(f))
		connect_application(f);
}

/* An open relay is what HBONE must not be: only addresses of this host, or of its workloads, are reached (HB-10). */
static bool
is_our_address(const struct flows *fs, const struct hbone *h, const struct addr *a)
{
	struct addr local;

	if (sock_local(h->conn.fd, &local) == TULLE_OK && addr_equal_ip(&local, a))
		return true;
	for (size_t i = 0; i < fs->snapshot->n_workloads; i++)
		if (addr_equal_ip(&fs->snapshot->workloads[i].address, a))
			return true;
	return false;
}

/* Did the peer verify the identity of the workload that it now asks for?  Who names none may have got the default's answer. */
static bool
is_right_identity(const struct flows *fs, const struct hbone *h, const struct workload *w)
{
	const char *own = tls_session_own_id(h->conn.tls), *by_default = creds_own_id(fs->creds);

	if (own == NULL || w->identity == NULL || strcmp(own, w->identity) == 0)
		return true;
	return by_default != NULL && strcmp(own, by_default) == 0;
}

void
flow_inbound_tunnel(struct flows *fs, struct hbone *h, int32_t id, bool connect, const char *authority)
{
	struct flow *f = flow_new(fs, true);

	if (f == NULL) {
		hbone_reply_error(h, id, 503);
		return;
	}
	f->by_tunnel = true;
	f->event.peer = h->conn.peer;
	f->event.tls = EVENT_TLS_MUTUAL;
	events_count(fs->events, COUNT_STREAM_IN);
	hstream_take(&f->down.tunnel, h, id, &flow_down_events);
	record_principal(f, &f->event.source, peer_id(f));
	if (!flow_configured(f)) {
		refuse(f, 503, EVENT_FAILED, EVENT_FLAG_NR, EVENT_DETAIL_NO_CONFIGURATION);
		return;
	}
	if (!connect || addr_parse(&f->event.original, authority) != TULLE_OK || !is_our_address(fs, h, &f->event.original)) {
		log_refusal(f, "tunnel request refused",
		    !connect ? "the method is not CONNECT" : "the authority is not an address and port of this host");
		refuse(f, 400, EVENT_DENIED, EVENT_FLAG_DPE, EVENT_DETAIL_BAD_REQUEST);
		return;
	}
	if (is_own_port(fs, f->event.original.port)) {
		log_refusal(f, "tunnel request refused", "the port is Tulle's own");
		refuse(f, 503, EVENT_DENIED, EVENT_FLAG_NR, EVENT_DETAIL_LOOP);
		return;
	}
	describe_destination(f);
	if (!is_right_identity(fs, h, snapshot_workload(fs->snapshot, &f->event.original))) {
		log_refusal(f, "tunnel request refused", "the port belongs to another identity than the tunnel was made to");
		refuse(f, 400, EVENT_DENIED, EVENT_FLAG_DPE, EVENT_DETAIL_UNEXPECTED_IDENTITY);
		return;
	}
	if (admitted(f))
		connect_application(f);
}
