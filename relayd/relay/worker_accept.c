/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/worker_intern.h"

#include <unistd.h>

#include "base/log.h"
#include "io/sock.h"

/* ---- limits ---- */

/* Flows, and tunnels of others that have proved who they are: the rest is counted apart, see budget.h. */
void
worker_hold(const struct worker *w)
{
	budget_hold(w->budget, w->th.index, w->flows.n + server_tunnels(w->server) - server_handshakes(w->server));
}

/* The limit that lets nobody new in now, NULL if there is room.  One tunnel carries many connections: each counts. */
const char *
worker_reached_limit(const struct worker *w)
{
	worker_hold(w);
	return budget_reached(w->budget);
}

/* <peer>: NULL where it is not to blame. */
void
worker_refused(struct worker *w, const char *limit, const struct addr *peer)
{
	char text[ADDR_TEXT];

	events_count(w->flows.events, COUNT_LIMIT_REFUSED);
	if (flow_may_log(&w->flows))
		log_warn("connection refused: a limit is reached", LF_STR("limit", limit),
		    LF_STR("peer", peer != NULL ? addr_format_ip(peer, text) : NULL));
}

/* ---- accepting ---- */

static void
exhausted(void *arg)
{
	struct worker *w = arg;

	events_count(w->flows.events, COUNT_ACCEPT_PAUSE);
	if (flow_may_log(&w->flows))
		log_warn("out of descriptors: accepting pauses", LF_UINT("sockets", w->th.sockets));
}

void
worker_socket_closed(struct thread *th)
{
	struct worker *w = CONTAINER_OF(th, struct worker, th);

	for (int i = 0; i < LISTENERS; i++)
		if (timer_active(&w->listeners[i].pause))
			listener_resume(&w->listeners[i]);
}

static void
turn_away(struct worker *w, int fd, const char *limit, const struct addr *peer)
{
	worker_refused(w, limit, peer);
	sock_reset_on_close(fd);
	(void)close(fd);
}

/* Above a limit a connection is refused at once: waiting in the queue would look like a slow network. */
static bool
has_room(struct worker *w, int fd)
{
	const char *limit = worker_reached_limit(w);

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
void
worker_stop_inbound(struct worker *w)
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
void
worker_listen(struct worker *w)
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
		worker_stop_inbound(w);
}

void
worker_listen_if_ready(struct worker *w)
{
	if (w->flows.snapshot != NULL && w->creds.set != NULL)
		worker_listen(w);
}

void
worker_grace_over(struct timer *t)
{
	struct worker *w = CONTAINER_OF(t, struct worker, grace);

	log_warn("no identity or no configuration yet: connections are accepted all the same");
	worker_listen(w);
}

void
worker_stop_listening(struct worker *w)
{
	worker_listen(w); /* who waits for the first configuration is told the truth as well, or left to the next relay */
	for (int i = 0; i < LISTENERS; i++) {
		if (w->hands_over)
			listener_leave(&w->listeners[i]);
		else
			listener_stop(&w->listeners[i]);
	}
}
