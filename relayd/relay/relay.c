/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/relay.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "bundle.h"
#include "events/write.h"
#include "relay/health.h"
#include "relay/identity.h"
#include "relay/loader.h"
#include "relay/mailbox.h"
#include "msg/msg.h"
#include "relay/report.h"
#include "relay/self.h"
#include "relay/syscalls.h"
#include "tls/context.h"
#include "wire.h"

#define MEMORY_CHECK_MS 1000
#ifdef TULLE_SANITIZED
#define MEASURES_MEMORY false /* a sanitizer's shadow memory is resident, too */
#else
#define MEASURES_MEMORY true
#endif

struct relay {
	const struct relay_start *start;
	struct loop *loop;
	struct watch channel;
	struct mailbox box;
	struct events *events;
	struct events_writer *counters; /* of the main thread: the one behind the workers' */
	struct worker **workers;
	unsigned int nworkers;
	unsigned int drained;
	struct identity_client *identity;
	struct health *health;
	struct self self;
	struct timer memory;
	struct budget budget;             /* of all workers together */
	struct loader loader;             /* has the snapshot in force */
	struct reporter reporter;
	struct identity_set *set;         /* in force */
	bool ready;
	bool draining;
	int status;
	struct msg msg;                   /* scratch: 64 KiB */
	int64_t in_force_since; /* when this process took the configuration; seconds since the epoch */
};

static void
tell(struct relay *r, uint32_t type, const void *body, size_t len)
{
	if (msg_send(r->start->channel, type, body, len, NULL, 0) != TULLE_OK)
		log_debug("parent does not listen", LF_UINT("type", type));
}

/* Ready: new connections would be treated as configured. */
static void
update_ready(struct relay *r)
{
	bool ready = r->loader.snapshot != NULL && r->set != NULL && !r->draining;
	const struct wire_flag flag = { .on = ready };

	if (ready == r->ready)
		return;
	r->ready = ready;
	health_set_ready(r->health, ready);
	tell(r, WIRE_READY, &flag, sizeof(flag));
}

/* ---- configuration ---------------------------------------------------------- */

/* The lines of all problems, as many as one message holds. */
static void
answer_config(struct relay *r, uint64_t generation, bool ok, const struct problems *problems)
{
	struct buf b = buf_new(MSG_BODY_MAX);
	const struct wire_result head = { .generation = generation, .ok = ok };

	(void)buf_append(&b, &head, sizeof(head));
	problems_print(&b, problems);
	for (size_t i = 0; ok && i < problems->n; i++) /* what is in force has warnings alone */
		log_warn("configuration", LF_STR("warning", problems->list[i].line));
	tell(r, WIRE_CONFIG_RESULT, buf_head(&b), buf_len(&b));
	buf_free(&b);
	events_count(r->counters, ok ? COUNT_CONFIG_OK : COUNT_CONFIG_FAILED);
}

static void
answer_no_memory(struct relay *r, const struct msg *m)
{
	static const char text[] = "configuration: out of memory\n";
	struct {
		struct wire_result head;
		char text[sizeof(text) - 1];
	} answer = { .head.ok = 0 };

	if (m->len < sizeof(answer.head.generation))
		return;
	memcpy(&answer.head.generation, m->body, sizeof(answer.head.generation));
	memcpy(answer.text, text, sizeof(answer.text));
	tell(r, WIRE_CONFIG_RESULT, &answer, offsetof(__typeof__(answer), text) + sizeof(answer.text));
}

static void
put_in_force(struct relay *r)
{
	const struct snapshot *s = r->loader.snapshot;

	r->in_force_since = clock_wall_sec();
	events_set(r->counters, COUNT_CONFIG_VERSION, s->generation);
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_configure(r->workers[i], s);
	log_info("configuration in force", LF_UINT("generation", s->generation), LF_STR("revision", s->revision),
	    LF_UINT("services", s->n_services), LF_UINT("endpoints", s->n_endpoints), LF_UINT("policies", s->n_policies));
}

static enum tulle_err
on_config(struct relay *r, struct msg *m)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	struct wire_config *where = NULL;
	struct bundle files = { 0 };
	int AUTO_FD fd = msg_take_fd(m, 0);
	uint64_t generation;
	enum tulle_err e = problems != NULL ? wire_take_config(m, &where) : TULLE_ENOMEM;

	if (e != TULLE_OK) {
		if (e == TULLE_ENOMEM) /* the parent waits for a word */
			answer_no_memory(r, m);
		free(problems);
		return e;
	}
	generation = where->generation;
	problems_init(problems);
	e = bundle_unpack(&files, fd);
	if (e == TULLE_OK)
		e = loader_take(&r->loader, &files, where, problems);
	if (e == TULLE_OK)
		put_in_force(r);
	else
		free(where);
	if (e != TULLE_OK && problems->errors == 0)
		problem_error(problems, (struct place){ .file = "configuration" }, NULL, "%s", tulle_strerror(e));
	answer_config(r, generation, e == TULLE_OK, problems);
	update_ready(r);
	bundle_free(&files);
	problems_free(problems);
	free(problems);
	return TULLE_OK;
}

/*
 * Our trust domain became known, or is another now; or, if <own> speaks for this host without being named in a file, its
 * account did.  If the files in force
 * cannot be loaded under it nobody asked who could be told, so the parent
 * is: its status shows it until the next good reload.
 */
static void
follow_identity(struct relay *r, const struct identity *own, bool speaks)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	bool changed;
	enum tulle_err e;

	if (own == NULL || problems == NULL) {
		free(problems);
		return;
	}
	problems_init(problems);
	e = loader_follow(&r->loader, own->facts.id, own->facts.id_len, speaks, problems, &changed);
	if (e == TULLE_OK && changed)
		put_in_force(r);
	if (e != TULLE_OK) {
		log_error("configuration cannot be loaded under the trust domain and account of our identity: the old one stays",
		    LF_STR("id", own->facts.id), LF_ERR(e));
		if (problems->errors == 0)
			problem_error(problems, (struct place){ .file = "configuration" }, NULL, "%s", tulle_strerror(e));
		answer_config(r, 0, false, problems);
	}
	problems_free(problems);
	free(problems);
}

/* ---- identity ------------------------------------------------------------------ */

static const char *
no_default(const struct relay *r)
{
	if (r->start->config->identity.default_only)
		return "identity.default is \"only\", but this host has several identities";
	return r->start->config->identity.default_name != NULL ? "what identity.default names has no certificate"
	                                                       : "identity.default is not set";
}

static void
on_identity(void *arg, struct identity_set *set)
{
	struct relay *r = arg;
	const struct identity *first = identity_set_default(set);

	(void)identity_set_unref(r->set);
	r->set = identity_set_ref(set);
	/* All of them are of this host's trust domain; items[0] is <first>, if there is one. */
	follow_identity(r, set->n > 0 ? set->items[0] : NULL, first != NULL && r->start->config->identity.default_name == NULL);
	events_count(r->counters, COUNT_IDENTITY_UPDATE);
	events_set(r->counters, COUNT_EXPIRY_LEAF, first != NULL ? (uint64_t)first->facts.not_after : 0);
	events_set(r->counters, COUNT_EXPIRY_ANCHOR,
	    (uint64_t)trust_until(set->trust, r->loader.trust_domain, strlen(r->loader.trust_domain)));
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_identify(r->workers[i], set);
	log_info("identity in force", LF_STR("id", first != NULL ? first->facts.id : NULL),
	    LF_STR("serial", first != NULL ? first->facts.serial : NULL), LF_UINT("identities", set->n),
	    LF_UINT("generation", set->generation));
	if (first == NULL)
		log_warn("no identity for connections of this host: those into the mesh fail",
		    LF_STR("reason", no_default(r)),
		    LF_STR("default", r->start->config->identity.default_name));
	update_ready(r);
}

static void
on_dial(void *arg)
{
	tell(arg, WIRE_DIAL, NULL, 0);
}

/* ---- status ------------------------------------------------------------------------ */

/* In the message itself if it fits: there may be no descriptor left for a file. */
static void
send_text(struct relay *r, const struct wire_status *head, const char *text)
{
	size_t len = strlen(text);
	int AUTO_FD fd = -1;

	if (len <= MSG_BODY_MAX - sizeof(*head)) {
		memcpy(r->msg.body, head, sizeof(*head));
		memcpy(r->msg.body + sizeof(*head), text, len);
		(void)msg_send(r->start->channel, WIRE_STATUS_REPLY, r->msg.body, sizeof(*head) + len, NULL, 0);
	} else if (msg_seal(&fd, text, len) == TULLE_OK) {
		(void)msg_send(r->start->channel, WIRE_STATUS_REPLY, head, sizeof(*head), &fd, 1);
	}
}

static void
send_report(void *arg, uint64_t id, json_t *workers)
{
	struct relay *r = arg;
	const struct snapshot *s = r->loader.snapshot;
	const struct wire_status head = { .id = id };
	json_t *doc = json_pack("{s:i, s:b, s:b, s:o, s:o}", "pid", (int)getpid(), "ready", r->ready, "draining", r->draining,
	    "identities", report_identities(r->set), "workers", workers);
	char *text;

	(void)json_object_set_new(doc, "identity_source", identity_client_json(r->identity));
	if (r->start->config->identity.default_name != NULL)
		(void)json_object_set_new(doc, "identity_default", json_string(r->start->config->identity.default_name));
	if (s != NULL)
		(void)json_object_set_new(doc, "config", json_pack("{s:I, s:s, s:I, s:i, s:i, s:i, s:o}", "generation",
		    (json_int_t)s->generation, "revision", s->revision, "since", (json_int_t)r->in_force_since, "workloads", (int)s->n_workloads, "endpoints",
		    (int)s->n_endpoints, "policies", (int)s->n_policies, "services", report_services(s)));
	(void)json_object_set_new(doc, "process", own_process_json(&r->self));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	if (text != NULL)
		send_text(r, &head, text);
	free(text);
}

static void
send_traffic(void *arg, uint64_t id, json_t *workers)
{
	struct relay *r = arg;
	const struct wire_status head = { .id = id };
	json_t *doc = json_pack("{s:I, s:o}", "since", (json_int_t)(r->self.started_ns / NS_PER_SEC), "workers", workers);
	char *text = json_dumps(doc, JSON_COMPACT);

	json_decref(doc);
	if (text != NULL)
		send_text(r, &head, text);
	free(text);
}

static void
send_pong(void *arg, uint64_t id)
{
	const struct wire_ping pong = { .id = id };

	tell(arg, WIRE_PONG, &pong, sizeof(pong));
}

/* ---- drain and end -------------------------------------------------------------------- */

static void
drain(struct relay *r, uint64_t ms)
{
	if (r->draining)
		return;
	r->draining = true;
	log_info("draining", LF_UINT("deadline_ms", ms));
	update_ready(r);
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

/* ---- units of cgroups ------------------------------------------------------------------------ */

struct unit_question {
	struct job job;
	uint64_t cgroup;
};

static void
ask_unit(void *owner, struct job *job)
{
	struct unit_question *q = CONTAINER_OF(job, struct unit_question, job);
	const struct wire_cgroup body = { .id = q->cgroup };

	tell(owner, WIRE_UNIT_OF, &body, sizeof(body));
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

/* ---- the channel to the parent ----------------------------------------------------------- */

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
		return on_config(r, m);
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

/* ---- memory ----------------------------------------------------------------------------- */

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

/* ---- start ---------------------------------------------------------------------------------- */

static enum tulle_err
start_workers(struct relay *r)
{
	enum tulle_err e = TULLE_OK;

	r->nworkers = r->start->config->relay.workers;
	r->workers = calloc(r->nworkers, sizeof(struct worker *));
	if (r->workers == NULL)
		return TULLE_ENOMEM;
	r->reporter = (struct reporter){ .workers = r->workers, .n = r->nworkers, .box = &r->box, .report = send_report, .traffic = send_traffic,
		.turned = send_pong };
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
	const struct identity_client_events identity_events = { .dial = on_dial, .update = on_identity };
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
