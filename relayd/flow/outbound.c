/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * outbound.c - from an application of ours to wherever it meant to go:
 * original destination, service, endpoint, and the next endpoint when one
 * cannot be reached.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "decide/health.h"
#include "flow/flow.h"
#include "io/sock.h"
#include "net/origdst.h"

/* Why nothing could be reached: what the record says when no endpoint is left. */
struct failure {
	enum event_outcome outcome;
	enum event_flag flag;
	enum event_detail detail;
	enum counter_id counter;
	bool next; /* another endpoint may do better */
};

static struct failure
failure_of_errno(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_CONNECT_REFUSED, COUNT_CONNECT_REFUSED, true };
	case ETIMEDOUT:
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_CONNECT_TIMEOUT, COUNT_CONNECT_TIMEOUT, true };
	case ENETUNREACH:
	case EHOSTUNREACH:
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_CONNECT_UNREACHABLE,
			COUNT_CONNECT_UNREACHABLE, true };
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: /* this host ran out of something: no endpoint's fault, and no other will help */
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UO, EVENT_DETAIL_DESCRIPTORS, COUNT_CONNECT_OTHER, false };
	default:
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_CONNECT_FAILED, COUNT_CONNECT_OTHER, true };
	}
}

static struct failure
failure_of(enum tulle_err e, int detail)
{
	switch (e) {
	case TULLE_ESYS:
		return failure_of_errno(detail);
	case TULLE_EDENIED:
		if (detail >= 400)
			return (struct failure){ EVENT_DENIED, EVENT_FLAG_UAEX, EVENT_DETAIL_TUNNEL_DENIED, COUNT_CONNECT_TUNNEL,
				false };
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_CERTIFICATE_REFUSED, COUNT_CONNECT_TUNNEL, true };
	case TULLE_EUNAVAIL:
		if (detail >= 200)
			return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_TUNNEL_REFUSED, COUNT_CONNECT_TUNNEL, true };
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_NO_IDENTITY, COUNT_CONNECT_TUNNEL, false };
	case TULLE_ETIMEDOUT:
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UT, EVENT_DETAIL_TUNNEL_TIMEOUT, COUNT_CONNECT_TIMEOUT, true };
	case TULLE_ERESET:
	case TULLE_EOF:
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_TUNNEL_LOST, COUNT_CONNECT_TUNNEL, true };
	case TULLE_EPEER:
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_UPE, EVENT_DETAIL_TUNNEL_PROTOCOL, COUNT_CONNECT_TUNNEL, true };
	case TULLE_ENOMEM:
	case TULLE_ELIMIT:
		return (struct failure){ EVENT_FAILED, EVENT_FLAG_OM, EVENT_DETAIL_MEMORY_LIMIT, COUNT_CONNECT_OTHER, false };
	case TULLE_OK:
	case TULLE_AGAIN:
	case TULLE_EINVAL:
	case TULLE_ENOENT:
	case TULLE_EEXIST:
	case TULLE_EDAMAGED:
	case TULLE_EBUSY:
	case TULLE_ECRYPTO:
		break;
	}
	return (struct failure){ EVENT_FAILED, EVENT_FLAG_UF, EVENT_DETAIL_INTERNAL, COUNT_CONNECT_OTHER, true };
}

static void
log_failure(struct flow *f, const struct failure *why)
{
	char peer[ADDR_TEXT], original[ADDR_TEXT], upstream[ADDR_TEXT];

	if (!flow_may_log(f->flows))
		return;
	log_warn(why->outcome == EVENT_DENIED ? "outbound connection denied" : "outbound connection failed",
	    LF_STR("reason", event_detail_name(why->detail)), LF_STR("flag", event_flag_name(why->flag)),
	    LF_STR("peer", addr_format(&f->event.peer, peer)), LF_STR("destination", addr_format(&f->event.original, original)),
	    LF_STR("upstream", addr_format(&f->event.upstream, upstream)),
	    LF_STR("expected", f->endpoint != NULL ? f->endpoint->identity : NULL),
	    LF_STR("as", f->dial != NULL && f->dial->entry != NULL ? f->dial->entry->path : NULL));
}

static void
give_up(struct flow *f, const struct failure *why)
{
	log_failure(f, why);
	flow_end(f, why->outcome, why->flag, why->detail);
}

bool
outbound_still_allowed(struct flow *f)
{
	return f->state == FLOW_ENDED || f->endpoint == NULL || !f->endpoint->local ||
	       flow_may_be(f, f->own_id, &f->event.upstream);
}

bool
outbound_still_in_registry(const struct flow *f)
{
	const struct snapshot *s = f->flows->snapshot;
	const bool plain = f->endpoint == NULL || !f->endpoint->meshed;

	return f->state == FLOW_ENDED || s->outbound_policy != OUTBOUND_REGISTRY_ONLY || !plain ||
	       snapshot_service(s, &f->event.original) != NULL || snapshot_endpoint(s, &f->event.original) != NULL;
}

static enum tulle_err
open_plain(struct flow *f, const struct addr *to)
{
	enum tulle_err e = tcp_connect(&f->up.tcp, f->flows->th, to, &flow_up_events);

	f->event.tls = EVENT_TLS_NONE;
	if (e == TULLE_OK)
		f->has_up = true;
	return e;
}

/* As whom the flow speaks; NULL: there is no certificate for that.  Lent until the next rotation. */
static const struct identity *
own_identity(const struct flow *f)
{
	return creds_find(f->flows->creds, f->dial->entry != NULL ? f->dial->entry->path : NULL);
}

static enum tulle_err
open_tunnel(struct flow *f, const struct endpoint *e, const struct addr *to)
{
	struct pool_target target = { .own = own_identity(f), .addr = *to, .expected = e->identity, .sni = e->sni,
		.avoid = f->dial->refused_by };
	char authority[ADDR_TEXT];
	enum tulle_err err;

	target.addr.port = f->flows->ports.hbone;
	f->event.tls = EVENT_TLS_MUTUAL;
	record_principal(f, &f->event.source, target.own != NULL ? target.own->facts.id : NULL);
	record_principal(f, &f->event.destination, e->identity);
	err = pool_open(f->flows->pool, &f->up.tunnel, &target, addr_format(to, authority), &flow_up_events);
	if (err == TULLE_OK) {
		f->has_up = true;
		events_count(f->flows->events, COUNT_STREAM_OUT);
	}
	return err;
}

/*
 * An application of this host calls one of this host: no tunnel, but the
 * same judgement as for a tunnel's caller, and the same record of it.  Without a
 * default identity that is nobody; an identity that an entry names must be
 * there, as for a tunnel.
 * TULLE_EDENIED: the flow has ended.  TULLE_EUNAVAIL.  TULLE_ENOMEM.
 */
static enum tulle_err
open_local(struct flow *f, const struct endpoint *e, const struct addr *to)
{
	const struct identity *own = own_identity(f);

	if (own == NULL && f->dial->entry != NULL)
		return TULLE_EUNAVAIL;
	free(f->own_id);
	f->own_id = own != NULL ? strdup(own->facts.id) : NULL;
	if (own != NULL && f->own_id == NULL)
		return TULLE_ENOMEM;
	record_principal(f, &f->event.source, f->own_id);
	record_principal(f, &f->event.destination, e->identity);
	if (flow_admitted(f, f->dial->snapshot, f->own_id, to))
		return open_plain(f, to);
	flow_end(f, EVENT_DENIED, EVENT_FLAG_UAEX, EVENT_DETAIL_DENIED_BY_POLICY);
	return TULLE_EDENIED;
}

/* Where <e> listens; an endpoint that stands for a whole address takes the port that was dialled. */
static struct addr
address_of(const struct flow *f, const struct endpoint *e)
{
	struct addr a = e->addr;

	if (a.port == 0)
		a.port = f->event.original.port;
	return a;
}

/* Starts reaching <e>.  TULLE_OK: an event follows.  TULLE_EDENIED: the flow has ended. */
static enum tulle_err
try_endpoint(struct flow *f, const struct endpoint *e)
{
	struct addr to = address_of(f, e);

	f->endpoint = endpoint_ref(e);
	balance_begin(e);
	f->event.upstream = to;
	f->event.attempts++;
	record_text(f, &f->event.workload, e->workload);
	flow_set_deadline(f);
	if (e->local)
		return open_local(f, e, &to);
	return e->meshed ? open_tunnel(f, e, &to) : open_plain(f, &to);
}

/* Lets go of an endpoint that was tried. */
static void
leave_endpoint(struct flow *f)
{
	if (f->has_up)
		f->up.stream.ops->close(&f->up.stream, false);
	f->has_up = false;
	if (f->endpoint != NULL) {
		balance_end(f->endpoint);
		f->endpoint = endpoint_unref(f->endpoint);
	}
}

static const struct endpoint *
choose(struct flow *f)
{
	struct dialling *d = f->dial;
	uint64_t now = loop_now(f->flows->th->loop);

	if (d->port == NULL)
		return NULL;
	return balance_choose(d->port->endpoints, d->port->n_endpoints, &d->tried, now, thread_random(f->flows->th));
}

static void
dial_next(struct flow *f, struct failure why)
{
	const struct endpoint *e;
	enum tulle_err err;

	while (why.next && (e = choose(f)) != NULL) {
		if (f->event.attempts > 0)
			events_count(f->flows->events, COUNT_NEXT_ENDPOINT);
		leave_endpoint(f);
		err = try_endpoint(f, e);
		if (err == TULLE_OK || err == TULLE_EDENIED)
			return;
		why = failure_of(err, err == TULLE_ESYS ? errno : 0);
		events_count(f->flows->events, why.counter);
		if (why.next)
			health_failed(e->state, loop_now(f->flows->th->loop), thread_random(f->flows->th));
	}
	give_up(f, &why);
}

void
outbound_attempt_failed(struct flow *f, enum tulle_err e, int detail)
{
	struct failure why = failure_of(e, detail);
	const struct endpoint *again;

	if (flow_dials_tunnel(f) && f->up.tunnel.retryable && !f->dial->refused_once) {
		/* The peer never looked at the request: the same endpoint, another tunnel, once (HB-14). */
		f->dial->refused_once = true;
		f->dial->refused_by = f->up.tunnel.refused_by;
		again = endpoint_ref(f->endpoint);
		leave_endpoint(f);
		if (try_endpoint(f, again) == TULLE_OK) {
			(void)endpoint_unref(again);
			return;
		}
		(void)endpoint_unref(again);
	}
	events_count(f->flows->events, why.counter);
	if (f->endpoint != NULL && why.next)
		health_failed(f->endpoint->state, loop_now(f->flows->th->loop), thread_random(f->flows->th));
	dial_next(f, why);
}

/* A destination without a service: an endpoint dialled by its address, or something outside the mesh. */
static void
dial_address(struct flow *f)
{
	const struct endpoint *e = snapshot_endpoint(f->dial->snapshot, &f->event.original);
	struct failure why;
	enum tulle_err err;

	if (e == NULL && f->dial->snapshot->outbound_policy == OUTBOUND_REGISTRY_ONLY) {
		why = (struct failure){ EVENT_DENIED, EVENT_FLAG_NR, EVENT_DETAIL_NOT_IN_REGISTRY, COUNT_CONNECT_OTHER, false };
		give_up(f, &why);
		return;
	}
	if (e != NULL) {
		err = try_endpoint(f, e);
	} else {
		f->event.upstream = f->event.original;
		f->event.attempts = 1;
		flow_set_deadline(f);
		err = open_plain(f, &f->event.original);
	}
	if (err != TULLE_OK && err != TULLE_EDENIED) {
		why = failure_of(err, err == TULLE_ESYS ? errno : 0);
		events_count(f->flows->events, why.counter);
		give_up(f, &why);
	}
}

/* Is there anybody at the other end who may ask who we are? */
static bool
in_mesh(const struct flow *f, const struct service_port *port)
{
	const struct endpoint *e = port == NULL ? snapshot_endpoint(f->dial->snapshot, &f->event.original) : NULL;
	bool some = e != NULL && (e->meshed || e->local);

	for (size_t i = 0; port != NULL && !some && i < port->n_endpoints; i++)
		some = port->endpoints[i]->meshed || port->endpoints[i]->local;
	return some;
}

void
flow_owner_found(struct flow *f)
{
	const struct failure none = { EVENT_FAILED, EVENT_FLAG_UH, EVENT_DETAIL_NO_ENDPOINT, COUNT_CONNECT_OTHER, true };

	if (f->dial->port != NULL)
		dial_next(f, none);
	else
		dial_address(f);
}

static void
dial(struct flow *f)
{
	const struct service_port *port = snapshot_service(f->dial->snapshot, &f->event.original);
	char host[600];

	if (port != NULL) {
		f->dial->port = port;
		(void)snprintf(host, sizeof(host), "%s.%s.svc.cluster.local", port->service->name, port->service->namespace);
		record_text(f, &f->event.service, host);
	}
	if (!in_mesh(f, port) || flow_find_owner(f) == TULLE_OK)
		flow_owner_found(f);
}

void
flow_outbound(struct flows *fs, int fd)
{
	struct addr original;

	if (origdst_get(fd, &original) == TULLE_OK) {
		flow_outbound_to(fs, fd, &original);
		return;
	}
	/* Made straight to the capture port: there is nothing that it could mean. */
	events_count(fs->events, COUNT_DIRECT_HIT);
	if (flow_may_log(fs))
		log_warn("connection made straight to a capture port", LF_STR("reason", event_detail_name(EVENT_DETAIL_DIRECT_HIT)));
	sock_reset_on_close(fd);
	(void)close(fd);
}

void
flow_outbound_to(struct flows *fs, int fd, const struct addr *original)
{
	struct flow *f = flow_new(fs, false);

	if (f == NULL) {
		(void)close(fd);
		return;
	}
	f->event.original = *original;
	(void)sock_peer(fd, &f->event.peer);
	if (tcp_adopt(&f->down.tcp, fs->th, fd, &flow_down_events) != TULLE_OK) {
		(void)close(fd);
		flow_end(f, EVENT_FAILED, EVENT_FLAG_UO, EVENT_DETAIL_DESCRIPTORS);
		return;
	}
	if (!flow_configured(f)) {
		flow_end(f, EVENT_FAILED, EVENT_FLAG_NR, EVENT_DETAIL_NO_CONFIGURATION);
		return;
	}
	f->dial = calloc(1, sizeof(*f->dial));
	if (f->dial == NULL) {
		flow_end(f, EVENT_FAILED, EVENT_FLAG_OM, EVENT_DETAIL_MEMORY_LIMIT);
		return;
	}
	f->dial->flow = f;
	f->dial->snapshot = snapshot_ref(fs->snapshot);
	dial(f);
}
