/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "flow/flow.h"
#include "relay/handshake.h"
#include "hbone/server.h"
#include "io/sock.h"
#include "relay/mailbox.h"
#include "net/listen.h"

#define GRACE_MS 5000 /* how long new connections wait for identity and configuration after a start */

enum { OUTBOUND, INBOUND, HBONE, LISTENERS };

struct worker {
	struct thread th;
	struct loop *loop;
	struct creds creds;
	struct pool *pool;
	struct server *server;
	struct flows flows;
	struct talks *talks;
	struct listener listeners[LISTENERS];
	struct hook flush;
	struct mailbox box;
	pthread_t id;
	struct worker_sockets sockets;
	bool hands_over;
	bool listening;
	struct timer grace;        /* for identity and configuration to come */
	bool draining;
	bool turned_away; /* no inbound connections, from the moment that it listens */
	struct timer drain_deadline;
	bool drained_now;          /* the drain is over: from now on it only answers questions */
	struct budget *budget;
	void (*drained)(void *arg);
	void *arg;
};

/* ---- what tunnels tell ----------------------------------------------------- */

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

/* Flows, and tunnels of others that have proved who they are: the rest is counted apart, see budget.h. */
static void
hold(const struct worker *w)
{
	budget_hold(w->budget, w->th.index, w->flows.n + server_tunnels(w->server) - server_handshakes(w->server));
}

/* The limit that lets nobody new in now, NULL if there is room.  One tunnel carries many connections: each counts. */
static const char *
reached_limit(const struct worker *w)
{
	hold(w);
	return budget_reached(w->budget);
}

/* <peer>: NULL where it is not to blame. */
static void
refused_by_limit(struct worker *w, const char *limit, const struct addr *peer)
{
	char text[ADDR_TEXT];

	events_count(w->flows.events, COUNT_LIMIT_REFUSED);
	if (flow_may_log(&w->flows))
		log_warn("connection refused: a limit is reached", LF_STR("limit", limit),
		    LF_STR("peer", peer != NULL ? addr_format_ip(peer, text) : NULL));
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
	const char *limit = reached_limit(w);

	if (limit == NULL)
		flow_inbound_tunnel(&w->flows, h, id, connect, authority);
	else {
		hbone_reply_error(h, id, 503);
		refused_by_limit(w, limit, NULL);
	}
}

static const struct server_events server_events = { .up = in_up, .down = in_down, .request = in_request };

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

static const struct pool_events pool_events = { .up = out_up, .down = out_down };

/* ---- accepting ----------------------------------------------------------------- */

static void
exhausted(void *arg)
{
	struct worker *w = arg;

	events_count(w->flows.events, COUNT_ACCEPT_PAUSE);
	if (flow_may_log(&w->flows))
		log_warn("out of descriptors: accepting pauses", LF_UINT("sockets", w->th.sockets));
}

static void
socket_closed(struct thread *th)
{
	struct worker *w = CONTAINER_OF(th, struct worker, th);

	for (int i = 0; i < LISTENERS; i++)
		if (timer_active(&w->listeners[i].pause))
			listener_resume(&w->listeners[i]);
}

static void
turn_away(struct worker *w, int fd, const char *limit, const struct addr *peer)
{
	refused_by_limit(w, limit, peer);
	sock_reset_on_close(fd);
	(void)close(fd);
}

/* Above a limit a connection is refused at once: waiting in the queue would look like a slow network. */
static bool
has_room(struct worker *w, int fd)
{
	const char *limit = reached_limit(w);

	if (limit != NULL)
		turn_away(w, fd, limit, NULL);
	return limit == NULL;
}

static void
accept_outbound(void *arg, int fd)
{
	struct worker *w = arg;

	events_count(w->flows.events, COUNT_ACCEPT_OUTBOUND);
	if (has_room(w, fd))
		flow_outbound(&w->flows, fd);
}

static void
accept_inbound(void *arg, int fd)
{
	struct worker *w = arg;

	events_count(w->flows.events, COUNT_ACCEPT_INBOUND);
	if (has_room(w, fd))
		flow_inbound_plain(&w->flows, fd);
}

static void
accept_hbone(void *arg, int fd)
{
	struct worker *w = arg;
	struct addr peer = { 0 }, local;
	const char *limit, *own = NULL;

	events_count(w->flows.events, COUNT_ACCEPT_HBONE);
	if (!has_room(w, fd))
		return;
	(void)sock_peer(fd, &peer); /* gone already: that shows when it is served */
	if (w->flows.snapshot != NULL && sock_local(fd, &local) == TULLE_OK)
		own = snapshot_identity_at(w->flows.snapshot, &local);
	limit = budget_handshake_begin(w->budget, &peer);
	if (limit != NULL)
		turn_away(w, fd, limit, &peer);
	else if (!server_accept(w->server, fd, &peer, own))
		budget_handshake_end(w->budget, &peer);
}

/* Who is in a queue is told the truth as well. */
static void
stop_inbound(struct worker *w)
{
	listener_stop(&w->listeners[INBOUND]);
	listener_stop(&w->listeners[HBONE]);
	server_drain(w->server);
}

/*
 * Accepting begins when there is an identity and a configuration: until then
 * connections wait in the listening sockets, which the parent keeps open, so
 * that a start or a restart of this process loses none.  If neither comes,
 * they are taken and told the truth.
 */
static void
start_listeners(struct worker *w)
{
	const struct {
		int fd;
		void (*accepted)(void *arg, int fd);
	} table[LISTENERS] = {
		[OUTBOUND] = { w->sockets.outbound, accept_outbound },
		[INBOUND] = { w->sockets.inbound, accept_inbound },
		[HBONE] = { w->sockets.hbone, accept_hbone },
	};

	if (w->listening || w->draining)
		return;
	w->listening = true;
	timer_clear(w->loop, &w->grace);
	for (int i = 0; i < LISTENERS; i++)
		if (table[i].fd != -1 && listener_start(&w->listeners[i], &w->th, table[i].fd, table[i].accepted, exhausted, w) !=
		                             TULLE_OK)
			log_error("cannot accept connections", LF_ERRNO);
	if (w->turned_away)
		stop_inbound(w);
}

static void
start_if_ready(struct worker *w)
{
	if (w->flows.snapshot != NULL && w->creds.set != NULL)
		start_listeners(w);
}

static void
grace_over(struct timer *t)
{
	struct worker *w = CONTAINER_OF(t, struct worker, grace);

	log_warn("no identity or no configuration yet: connections are accepted all the same");
	start_listeners(w);
}

/* ---- drain ------------------------------------------------------------------------ */

static void
drain_over(struct worker *w)
{
	w->drained_now = true;
	timer_clear(w->loop, &w->drain_deadline);
	flows_end_all(&w->flows, EVENT_DETAIL_DRAINED);
	hbone_flush_all(&w->th); /* resets and goodbyes */
	loop_stop(w->loop);
}

static void
drain_late(struct timer *t)
{
	struct worker *w = CONTAINER_OF(t, struct worker, drain_deadline);

	log_warn("drain is over before all connections ended", LF_UINT("connections", w->flows.n));
	drain_over(w);
}

/* ---- the end of a tick -------------------------------------------------------------- */

static void
end_of_tick(struct hook *h)
{
	struct worker *w = CONTAINER_OF(h, struct worker, flush);

	tcp_flush_lent(&w->th);
	hbone_flush_all(&w->th);
	flows_reap(&w->flows);
	pool_reap(w->pool);
	server_reap(w->server);
	hold(w);
	/* Tunnels of others last a second longer: what they asked for before they heard of the drain is answered (HB-16). */
	if (w->draining && !w->drained_now && w->flows.n == 0 && server_tunnels(w->server) == 0)
		drain_over(w);
}

/* ---- what others ask for ------------------------------------------------------------- */

struct configure_job {
	struct job job;
	const struct snapshot *snapshot;
	struct identity_set *set;
	uint64_t deadline_ms;
	uint64_t cgroup;
	char *unit;
	void (*done)(void *arg, json_t *result);
	void *arg;
};

static struct configure_job *
job_new(void (*run)(void *owner, struct job *j))
{
	struct configure_job *j = calloc(1, sizeof(*j));

	if (j == NULL) { /* a few bytes: nothing in this process would work any more */
		log_error("out of memory");
		abort();
	}
	j->job.run = run;
	return j;
}

static void
run_configure(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);
	struct worker *w = owner;

	flows_configure(&w->flows, j->snapshot);
	(void)snapshot_unref(j->snapshot);
	free(j);
	start_if_ready(w);
}

void
worker_configure(struct worker *w, const struct snapshot *snapshot)
{
	struct configure_job *j = job_new(run_configure);

	j->snapshot = snapshot_ref(snapshot);
	mailbox_post(&w->box, &j->job);
}

static void
run_identify(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);
	struct worker *w = owner;
	enum tulle_err e = creds_update(&w->creds, j->set);

	if (e != TULLE_OK)
		log_error("identity cannot be used: the old one stays", LF_ERR(e), LF_UINT("worker", w->th.index));
	(void)identity_set_unref(j->set);
	free(j);
	start_if_ready(w);
}

void
worker_identify(struct worker *w, struct identity_set *set)
{
	struct configure_job *j = job_new(run_identify);

	j->set = identity_set_ref(set);
	mailbox_post(&w->box, &j->job);
}

static void
run_unit(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);
	struct worker *w = owner;

	flows_unit(&w->flows, j->cgroup, j->unit);
	free(j->unit);
	free(j);
}

void
worker_unit(struct worker *w, uint64_t cgroup, const char *unit)
{
	struct configure_job *j = job_new(run_unit);

	j->cgroup = cgroup;
	j->unit = unit != NULL ? strdup(unit) : NULL; /* out of memory: not known */
	mailbox_post(&w->box, &j->job);
}

static void
stop_listening(struct worker *w)
{
	start_listeners(w); /* who waits for the first configuration is told the truth as well, or left to the next relay */
	for (int i = 0; i < LISTENERS; i++) {
		if (w->hands_over)
			listener_leave(&w->listeners[i]);
		else
			listener_stop(&w->listeners[i]);
	}
}

static void
run_turn_away(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);
	struct worker *w = owner;

	w->turned_away = true;
	if (!w->draining && w->listening) /* else when it begins to */
		stop_inbound(w);
	free(j);
}

void
worker_turn_away(struct worker *w)
{
	mailbox_post(&w->box, &job_new(run_turn_away)->job);
}

static void
run_drain(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);
	struct worker *w = owner;

	if (!w->draining) {
		stop_listening(w);
		w->draining = true;
		server_drain(w->server);
		timer_set(w->loop, &w->drain_deadline, j->deadline_ms, drain_late);
	}
	free(j);
}

void
worker_drain(struct worker *w, uint64_t deadline_ms)
{
	struct configure_job *j = job_new(run_drain);

	j->deadline_ms = deadline_ms;
	mailbox_post(&w->box, &j->job);
}

static json_t *
tunnel_json(const struct hbone *h, const char *who)
{
	char peer[ADDR_TEXT];
	bool up = h->conn.tls != NULL && h->conn.ready_ns != 0;

	return json_pack("{s:s, s:s*, s:i, s:b, s:s*, s:s*, s:s*}", "peer", addr_format(&h->conn.peer, peer), "identity", who,
	    "streams", (int)h->nstreams, "up", up, "serial", up ? tls_session_peer_serial(h->conn.tls) : NULL, "cipher",
	    up ? tls_session_cipher(h->conn.tls) : NULL, "tls", up ? tls_session_version(h->conn.tls) : NULL);
}

static void
add_outbound(void *arg, const struct hbone *h, const char *expected)
{
	(void)json_array_append_new(arg, tunnel_json(h, expected));
}

static void
add_inbound(void *arg, const struct hbone *h)
{
	(void)json_array_append_new(arg, tunnel_json(h, h->conn.tls != NULL ? tls_session_peer_id(h->conn.tls) : NULL));
}

static void
run_report(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);
	struct worker *w = owner;
	json_t *out = json_array(), *in = json_array();

	pool_each(w->pool, add_outbound, out);
	server_each(w->server, add_inbound, in);
	j->done(j->arg, json_pack("{s:i, s:i, s:i, s:b, s:o, s:o, s:o}", "worker", (int)w->th.index, "flows", (int)w->flows.n,
	    "sockets", (int)w->th.sockets, "draining", w->draining, "outbound", out, "inbound", in,
	    "failures", failures_json(&w->flows.failures)));
	free(j);
}

void
worker_report(struct worker *w, void (*done)(void *arg, json_t *result), void *arg)
{
	struct configure_job *j = job_new(run_report);

	j->done = done;
	j->arg = arg;
	mailbox_post(&w->box, &j->job);
}

static void
run_traffic(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);
	struct worker *w = owner;

	j->done(j->arg, flows_traffic(&w->flows));
	free(j);
}

void
worker_traffic(struct worker *w, void (*done)(void *arg, json_t *result), void *arg)
{
	struct configure_job *j = job_new(run_traffic);

	j->done = done;
	j->arg = arg;
	mailbox_post(&w->box, &j->job);
}

static void
run_turn(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);

	(void)owner;
	j->done(j->arg, NULL);
	free(j);
}

void
worker_turn(struct worker *w, void (*done)(void *arg, json_t *nothing), void *arg)
{
	struct configure_job *j = job_new(run_turn);

	j->done = done;
	j->arg = arg;
	mailbox_post(&w->box, &j->job);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	enum tulle_err e = loop_run(w->loop);

	if (e != TULLE_OK)
		log_error("worker stopped", LF_ERR(e), LF_ERRNO);
	pool_drain(w->pool);
	hbone_flush_all(&w->th);
	w->drained(w->arg);
	/* The process ends when all workers are here.  Until then this one has no connection, but still answers status. */
	while (e == TULLE_OK)
		e = loop_run(w->loop);
	return NULL;
}

enum tulle_err
worker_start(struct worker **ret, unsigned int index, const struct worker_start *start)
{
	const struct host_config *config = start->config;
	struct worker *w = calloc(1, sizeof(*w));
	enum tulle_err e;

	if (w == NULL)
		return TULLE_ENOMEM;
	w->budget = start->budget;
	w->hands_over = start->hands_over;
	w->drained = start->drained;
	w->arg = start->arg;
	e = loop_new(&w->loop);
	if (e != TULLE_OK)
		goto fail;
	thread_init(&w->th, w->loop, index);
	w->th.socket_closed = socket_closed;
	e = mailbox_init(&w->box, w->loop, w);
	if (e == TULLE_OK)
		e = pool_new(&w->pool, &w->th, &w->creds, &pool_events, w);
	if (e == TULLE_OK)
		e = server_new(&w->server, &w->th, &w->creds, &server_events, w);
	if (e == TULLE_OK)
		e = talks_new(&w->talks, TALKS_MAX);
	if (e != TULLE_OK)
		goto fail;
	flows_init(&w->flows, &w->th, &w->creds, w->pool, start->events, w->talks);
	w->flows.owners.ask_unit = start->ask_unit;
	w->flows.owners.arg = start->arg;
	w->flows.ports.outbound = (uint16_t)config->ports.outbound;
	w->flows.ports.inbound = (uint16_t)config->ports.inbound;
	w->flows.ports.hbone = (uint16_t)config->ports.hbone;
	w->flows.ports.health = (uint16_t)config->ports.health;
	w->flows.ports.authority = (uint16_t)config->ports.authority;
	w->flows.traces_ppm = config->telemetry.traces_ppm;
	loop_hook(w->loop, &w->flush, end_of_tick);
	w->sockets = *start->sockets;
	timer_set(w->loop, &w->grace, GRACE_MS, grace_over);
	if (pthread_create(&w->id, NULL, worker_main, w) != 0)
		e = TULLE_ESYS;
	if (e == TULLE_OK) {
		*ret = w;
		return TULLE_OK;
	}
fail:
	w->server = server_free(w->server);
	w->pool = pool_free(w->pool);
	w->talks = talks_free(w->talks);
	w->loop = loop_free(w->loop);
	free(w);
	return e;
}
