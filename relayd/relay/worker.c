/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/worker_intern.h"

#include <stdlib.h>

#include "base/log.h"

#define GRACE_MS 5000 /* how long new connections wait for identity and configuration after a start */

/* ---- drain ---- */

static void
drain_over(struct worker *w)
{
	w->drained_now = true;
	timer_clear(w->loop, &w->drain_deadline);
	flows_end_all(&w->flows, EVENT_DETAIL_DRAINED);
	hbone_flush_all(&w->th); /* resets and goodbyes */
	loop_stop(w->loop);
}

void
worker_drain_late(struct timer *t)
{
	struct worker *w = CONTAINER_OF(t, struct worker, drain_deadline);

	log_warn("drain is over before all connections ended", LF_UINT("connections", w->flows.n));
	drain_over(w);
}

/* ---- the end of a tick ---- */

static void
end_of_tick(struct hook *h)
{
	struct worker *w = CONTAINER_OF(h, struct worker, flush);

	tcp_flush_lent(&w->th);
	hbone_flush_all(&w->th);
	flows_reap(&w->flows);
	pool_reap(w->pool);
	server_reap(w->server);
	worker_hold(w);
	/* Tunnels of others last a second longer: what they asked for before they heard of the drain is answered (HB-16). */
	if (w->draining && !w->drained_now && w->flows.n == 0 && server_tunnels(w->server) == 0)
		drain_over(w);
}

/* ---- life ---- */

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
	w->th.socket_closed = worker_socket_closed;
	e = mailbox_init(&w->box, w->loop, w);
	if (e == TULLE_OK)
		e = pool_new(&w->pool, &w->th, &w->creds, &worker_pool_events, w);
	if (e == TULLE_OK)
		e = server_new(&w->server, &w->th, &w->creds, &worker_server_events, w);
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
	timer_set(w->loop, &w->grace, GRACE_MS, worker_grace_over);
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
