/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/relay_intern.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "relay/syscalls.h"
#include "tls/context.h"
#include "wire.h"

#define MEMORY_CHECK_MS 1000
#ifdef TULLE_SANITIZED
#define MEASURES_MEMORY false /* a sanitizer's shadow memory is resident, too */
#else
#define MEASURES_MEMORY true
#endif

/* ---- drain and end ---- */

static void
drain(struct relay *r, uint64_t ms)
{
	if (r->draining)
		return;
	r->draining = true;
	log_info("draining", LF_UINT("deadline_ms", ms));
	relay_update_ready(r);
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_drain(r->workers[i], ms);
}

static void
turn_away(struct relay *r)
{
	log_info("turning peers away: no new inbound connections");
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_turn_away(r->workers[i]);
}

static void
count_drained(void *owner, struct job *job)
{
	struct relay *r = owner;

	free(job);
	if (++r->drained == r->nworkers) {
		r->status = EXIT_SUCCESS;
		loop_stop(r->loop);
	}
}

/* In the worker's thread. */
static void
worker_drained(void *arg)
{
	struct relay *r = arg;
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	j->run = count_drained;
	mailbox_post(&r->box, j);
}

/* ---- units of cgroups ---- */

struct unit_question {
	struct job job;
	uint64_t cgroup;
};

static void
ask_unit(void *owner, struct job *job)
{
	struct unit_question *q = CONTAINER_OF(job, struct unit_question, job);
	const struct wire_cgroup body = { .id = q->cgroup };

	relay_tell(owner, WIRE_UNIT_OF, &body, sizeof(body));
	free(q);
}

/* In the worker's thread. */
static void
worker_asks_unit(void *arg, uint64_t cgroup)
{
	struct relay *r = arg;
	struct unit_question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return; /* the flow gives up by its deadline */
	q->job.run = ask_unit;
	q->cgroup = cgroup;
	mailbox_post(&r->box, &q->job);
}

static void
on_unit(struct relay *r, const struct wire_unit *u)
{
	if (memchr(u->unit, '\0', sizeof(u->unit)) == NULL)
		return;
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_unit(r->workers[i], u->cgroup, u->known ? u->unit : NULL);
}

/* ---- the channel to the parent ---- */

static enum tulle_err
on_message(struct relay *r, struct msg *m)
{
	struct wire_identity identity;
	struct wire_status status;
	struct wire_ping ping;
	struct wire_drain d;
	struct wire_flag flag;
	struct wire_unit unit;
	enum tulle_err e = TULLE_EPEER;

	switch (m->type) {
	case WIRE_CONFIG:
		return relay_on_config(r, m);
	case WIRE_IDENTITY:
		e = wire_take(m, &identity, sizeof(identity));
		if (e == TULLE_OK)
			identity_client_dialled(r->identity, msg_take_fd(m, 0), identity.error);
		break;
	case WIRE_UNIT:
		e = wire_take(m, &unit, sizeof(unit));
		if (e == TULLE_OK)
			on_unit(r, &unit);
		break;
	case WIRE_STATUS:
		e = wire_take(m, &status, sizeof(status));
		if (e == TULLE_OK)
			reporter_status(&r->reporter, status.id);
		break;
	case WIRE_TRAFFIC:
		e = wire_take(m, &status, sizeof(status));
		if (e == TULLE_OK)
			reporter_traffic(&r->reporter, status.id);
		break;
	case WIRE_PING:
		e = wire_take(m, &ping, sizeof(ping));
		if (e == TULLE_OK)
			reporter_ping(&r->reporter, ping.id);
		break;
	case WIRE_DRAIN:
		e = wire_take(m, &d, sizeof(d));
		if (e == TULLE_OK)
			drain(r, d.ms);
		break;
	case WIRE_TURN_AWAY:
		e = m->len == 0 ? TULLE_OK : TULLE_EPEER;
		if (e == TULLE_OK)
			turn_away(r);
		break;
	case WIRE_CONSUMER:
		e = wire_take(m, &flag, sizeof(flag));
		if (e == TULLE_OK)
			events_set_consumer(r->events, flag.on != 0);
		break;
	default:
		break;
	}
	return e;
}

/*
 * The parent is gone: nobody can hand over configuration or identity any
 * more.  Connections under way are served to their end, within the time of a
 * drain; new ones are refused, so that a new parent can take the ports.
 */
static void
parent_gone(struct relay *r)
{
	log_error("the parent is gone: draining");
	loop_del(r->loop, &r->channel);
	health_stop(r->health);
	drain(r, r->start->config->relay.drain_ms);
}

static void
channel_ready(struct watch *w, uint32_t events)
{
	struct relay *r = CONTAINER_OF(w, struct relay, channel);
	enum tulle_err e;

	(void)events;
	while ((e = msg_recv(w->fd, &r->msg)) == TULLE_OK) {
		e = on_message(r, &r->msg);
		if (e != TULLE_OK)
			log_error("the parent said something that cannot be taken", LF_ERR(e), LF_UINT("type", r->msg.type),
			    LF_UINT("length", r->msg.len));
		msg_close(&r->msg);
	}
	if (e != TULLE_AGAIN)
		parent_gone(r);
}

/* ---- memory ---- */

/*
 * What the process holds is compared with limits.memory once a second: above
 * it nobody new is let in until an eighth of it is free again.  Connections
 * under way are not touched; their buffers are bounded by their windows.
 * What they leave free below something that stays the C library keeps unless
 * it is told to give it back; a burst must not close the door for good.
 */
static void
memory_due(struct timer *t)
{
	struct relay *r = CONTAINER_OF(t, struct relay, memory);
	int64_t held;
	uint64_t limit = r->start->config->limits.memory;
	bool over = budget_overloaded(&r->budget);

	timer_set(r->loop, t, MEMORY_CHECK_MS, memory_due);
	if (over)
		(void)malloc_trim(0);
	held = self_resident(&r->self);
	if (held < 0)
		return;
	events_set(r->counters, COUNT_MEMORY, (uint64_t)held);
	if (!over && (uint64_t)held > limit)
		log_warn("limits.memory is reached: new connections are refused", LF_UINT("held", (uint64_t)held),
		    LF_UINT("limit", limit));
	if (over && (uint64_t)held <= limit - limit / 8)
		log_info("memory is below its limit again", LF_UINT("held", (uint64_t)held));
	budget_overload(&r->budget, (uint64_t)held > (over ? limit - limit / 8 : limit));
}

/* ---- start ---- */

static enum tulle_err
start_workers(struct relay *r)
{
	enum tulle_err e = TULLE_OK;

	r->nworkers = r->start->config->relay.workers;
	r->workers = calloc(r->nworkers, sizeof(struct worker *));
	if (r->workers == NULL)
		return TULLE_ENOMEM;
	r->reporter = (struct reporter){ .workers = r->workers, .n = r->nworkers, .box = &r->box, .report = relay_send_report, .traffic = relay_send_traffic,
		.turned = relay_send_pong };
	for (unsigned int i = 0; i < r->nworkers && e == TULLE_OK; i++) {
		const struct worker_start start = { .config = r->start->config, .hands_over = r->start->hands_over,
			.sockets = &r->start->sockets[i],
			.events = events_writer(r->events, i), .budget = &r->budget, .drained = worker_drained,
			.ask_unit = worker_asks_unit, .arg = r };

		e = worker_start(&r->workers[i], i, &start);
	}
	return e;
}

static enum tulle_err
start(struct relay *r)
{
	const struct identity_client_events identity_events = { .dial = relay_on_dial, .update = relay_on_identity };
	const char *failed;
	size_t seed = 0;
	enum tulle_err e;

	/* Arenas for the threads there are: counting processors would open a file. */
	(void)mallopt(M_ARENA_MAX, (int)r->start->config->relay.workers + 1);
	/* jansson would read its hash seed from a file at the first object. */
	if (getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed))
		json_object_seed(seed | 1);
	(void)signal(SIGPIPE, SIG_IGN);
	e = loop_new(&r->loop);
	if (e == TULLE_OK)
		e = mailbox_init(&r->box, r->loop, r);
	if (e == TULLE_OK)
		e = loop_add(r->loop, &r->channel, r->start->channel, EPOLLIN, channel_ready);
	if (e == TULLE_OK)
		e = tls_init();
	if (e == TULLE_OK && (e = tls_selftest(&failed)) != TULLE_OK)
		log_error("the TLS library does not refuse what must be refused", LF_STR("proof", failed));
	if (e == TULLE_OK)
		e = events_attach(&r->events, r->start->segment, r->start->doorbell, 0, r->start->config->relay.workers + 1);
	if (e != TULLE_OK)
		return e;
	r->counters = events_writer(r->events, r->start->config->relay.workers);
	self_open(&r->self);
	e = health_start(&r->health, r->loop, r->start->health);
	if (e == TULLE_OK)
		e = identity_client_new(&r->identity, r->loop, r->start->config, &identity_events, r);
	if (e == TULLE_OK)
		e = syscalls_restrict();
	if (e == TULLE_OK)
		e = start_workers(r);
	if (MEASURES_MEMORY)
		memory_due(&r->memory);
	return e;
}

int
relay_main(const struct relay_start *s)
{
	struct relay *r = calloc(1, sizeof(*r));
	enum tulle_err e;

	if (r == NULL)
		return EXIT_FAILURE;
	r->start = s;
	loader_init(&r->loader, s->config);
	budget_init(&r->budget, s->config->limits.connections);
	r->status = EXIT_FAILURE;
	e = start(r);
	if (e == TULLE_OK)
		e = loop_run(r->loop);
	if (e != TULLE_OK)
		log_error("relay process failed", LF_ERR(e), LF_ERRNO);
	/* Threads may still be on their way out, and the kernel frees faster than we do. */
	_exit(e == TULLE_OK ? r->status : EXIT_FAILURE);
}
