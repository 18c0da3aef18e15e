/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/worker_intern.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

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
	worker_listen_if_ready(w);
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
	worker_listen_if_ready(w);
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
run_turn_away(void *owner, struct job *job)
{
	struct configure_job *j = CONTAINER_OF(job, struct configure_job, job);
	struct worker *w = owner;

	w->turned_away = true;
	if (!w->draining && w->listening) /* else when it begins to */
		worker_stop_inbound(w);
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
		worker_stop_listening(w);
		w->draining = true;
		server_drain(w->server);
		timer_set(w->loop, &w->drain_deadline, j->deadline_ms, worker_drain_late);
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
