/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay.h"

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
#include "health.h"
#include "identity.h"
#include "io/privileges.h"
#include "mailbox.h"
#include "msg/msg.h"
#include "self.h"
#include "tls/context.h"
#include "tls/spiffe.h"
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
	atomic_bool overloaded;           /* limits.memory is reached: workers let nobody new in */
	const struct snapshot *snapshot;  /* in force; NULL until the first good configuration */
	struct bundle files;              /* what it was made of, to make it again when our trust domain becomes known */
	struct wire_config *where;        /* and this host's addresses; owned */
	char trust_domain[SPIFFE_TD_MAX + 1]; /* of our own identity; "" until it is here */
	bool trust_domain_given;          /* the files name one */
	struct identity_set *set;         /* in force */
	bool ready;
	bool draining;
	int status;
	struct msg msg;                   /* scratch: 64 KiB */
};

/*
 * Everything that the relay process may ask of the kernel, once its threads
 * and its memory are set up.  sysinfo is qsort()'s, which asks how much
 * memory there is when it sorts more than a kilobyte.
 */
static const char *const syscalls[] = { "accept4", "bind", "brk", "clock_gettime", "clock_nanosleep", "clone", "clone3",
	"close", "connect", "dup", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "exit", "exit_group",
	"fcntl", "fstat", "fsync", "ftruncate", "futex", "getdents64", "getegid", "geteuid", "getgid", "getpeername", "getpid",
	"getrandom", "getsockname", "getsockopt", "gettid", "getuid", "listen", "lseek", "madvise", "memfd_create", "mmap",
	"mprotect", "mremap", "munmap", "nanosleep", "newfstatat", "poll", "pread64", "prlimit64", "read", "recvfrom", "recvmsg",
	"restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_yield",
	"sendmsg", "sendto", "set_robust_list", "setsockopt", "shutdown", "sigaltstack", "signalfd4", "socket", "sysinfo",
	"tgkill", "write", "writev" };

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
	bool ready = r->snapshot != NULL && r->set != NULL && !r->draining;
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
	for (size_t i = 0; i < problems->n; i++) {
		if (ok && problems->list[i].warning)
			log_warn("configuration", LF_STR("warning", problems->list[i].line));
		if (buf_printf(&b, "%s%s\n", problems->list[i].warning ? "warning: " : "", problems->list[i].line) != TULLE_OK)
			break; /* so many lines say enough */
	}
	tell(r, WIRE_CONFIG_RESULT, buf_head(&b), buf_len(&b));
	buf_free(&b);
	events_count(r->counters, ok ? COUNT_CONFIG_OK : COUNT_CONFIG_FAILED);
}

/* What only a start can change is said, not silently ignored. */
static void
warn_unchanged(const struct host_config *now, const struct host_config *next, const char *file, struct problems *problems)
{
	const struct {
		const char *field;
		bool same;
	} table[] = {
		{ "relay.workers", now->relay.workers == next->relay.workers },
		{ "limits.connections", now->limits.connections == next->limits.connections },
		{ "limits.memory", now->limits.memory == next->limits.memory },
		{ "capture", now->capture.outbound == next->capture.outbound && now->capture.inbound == next->capture.inbound },
		{ "ports", now->ports.outbound == next->ports.outbound && now->ports.inbound == next->ports.inbound &&
		        now->ports.hbone == next->ports.hbone && now->ports.health == next->ports.health },
		{ "users.relayd", strcmp(now->users.relayd, next->users.relayd) == 0 },
		{ "telemetry.traces", now->telemetry.traces_ppm == next->telemetry.traces_ppm },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (!table[i].same)
			problem_warn(problems, (struct place){ .file = file }, table[i].field,
			    "is another now; it takes effect when tulle-relayd is started again");
}

/* Where the files name no trust domain it is that of our own identity: certd makes one up for a host of its own. */
static enum tulle_err
load(struct relay *r, const struct bundle *b, const struct wire_config *c, struct problems *problems,
    const struct snapshot **ret)
{
	struct host_config *host = NULL;
	struct snapshot *fresh = NULL;
	struct snapshot_input in = { .files = b->files + 1, .n_files = b->n - 1, .local = c->local, .n_local = c->n_local,
		.previous = r->snapshot, .generation = c->generation };
	enum tulle_err e = host_config_parse(&host, b->files[0].name, b->files[0].data, b->files[0].len, problems);

	in.host = host;
	if (e == TULLE_OK)
		warn_unchanged(r->start->config, host, b->files[0].name, problems);
	if (e == TULLE_OK && !host->trust_domain_given && r->trust_domain[0] != '\0')
		host->trust_domain = r->trust_domain;
	if (e == TULLE_OK)
		e = snapshot_load(&fresh, &in, problems);
	if (e == TULLE_OK) {
		r->trust_domain_given = host->trust_domain_given;
		*ret = fresh;
	}
	(void)host_config_free(host);
	return e;
}

static void
put_in_force(struct relay *r, const struct snapshot *fresh)
{
	(void)snapshot_unref(r->snapshot);
	r->snapshot = fresh;
	events_set(r->counters, COUNT_CONFIG_VERSION, fresh->generation);
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_configure(r->workers[i], fresh);
	log_info("configuration in force", LF_UINT("generation", fresh->generation), LF_STR("revision", fresh->revision),
	    LF_UINT("services", fresh->n_services), LF_UINT("endpoints", fresh->n_endpoints),
	    LF_UINT("policies", fresh->n_policies));
}

/* A copy of the message's body; NULL if it is malformed or memory is short. */
static struct wire_config *
take_where(const struct msg *m)
{
	const struct wire_config *c = (const struct wire_config *)(const void *)m->body;
	struct wire_config *copy;

	if (m->len < sizeof(*c) || m->len != sizeof(*c) + c->n_local * sizeof(c->local[0]))
		return NULL;
	copy = malloc(m->len);
	if (copy != NULL)
		memcpy(copy, c, m->len);
	return copy;
}

static void
on_config(struct relay *r, struct msg *m)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	struct wire_config *where = take_where(m);
	const struct snapshot *fresh = NULL;
	struct bundle b = { 0 };
	int AUTO_FD fd = msg_take_fd(m, 0);
	enum tulle_err e;

	if (problems == NULL || where == NULL) {
		free(problems);
		free(where);
		return;
	}
	problems_init(problems);
	e = bundle_unpack(&b, fd);
	if (e == TULLE_OK)
		e = b.n > 0 ? load(r, &b, where, problems, &fresh) : TULLE_EPEER;
	if (e != TULLE_OK && problems->errors == 0)
		problem_error(problems, (struct place){ .file = "configuration" }, NULL, "%s", tulle_strerror(e));
	if (fresh != NULL)
		put_in_force(r, fresh);
	answer_config(r, where->generation, e == TULLE_OK, problems);
	update_ready(r);
	problems_free(problems);
	free(problems);
	if (fresh != NULL) {
		bundle_free(&r->files);
		free(r->where);
		r->files = b;
		r->where = where;
	} else {
		bundle_free(&b);
		free(where);
	}
}

/* Our trust domain became known, or is another now: who is expected where must be worked out again. */
static void
follow_trust_domain(struct relay *r, const struct identity *own)
{
	struct problems *problems;
	const struct snapshot *fresh = NULL;
	struct spiffe_id id;

	if (own == NULL || spiffe_parse(&id, own->facts.id, own->facts.id_len) != TULLE_OK ||
	    (strlen(r->trust_domain) == id.td_len && memcmp(r->trust_domain, id.td, id.td_len) == 0))
		return;
	memcpy(r->trust_domain, id.td, id.td_len);
	r->trust_domain[id.td_len] = '\0';
	if (r->where == NULL || r->trust_domain_given || (problems = calloc(1, sizeof(*problems))) == NULL)
		return;
	problems_init(problems);
	if (load(r, &r->files, r->where, problems, &fresh) == TULLE_OK)
		put_in_force(r, fresh);
	problems_free(problems);
	free(problems);
}

/* ---- identity ------------------------------------------------------------------ */

static void
on_identity(void *arg, struct identity_set *set)
{
	struct relay *r = arg;
	struct identity *first = identity_set_default(set);

	(void)identity_set_unref(r->set);
	r->set = identity_set_ref(set);
	follow_trust_domain(r, first);
	events_count(r->counters, COUNT_IDENTITY_UPDATE);
	events_set(r->counters, COUNT_EXPIRY_LEAF, first != NULL ? (uint64_t)first->facts.not_after : 0);
	events_set(r->counters, COUNT_EXPIRY_ANCHOR, (uint64_t)trust_until(set->trust, r->trust_domain, strlen(r->trust_domain)));
	for (unsigned int i = 0; i < r->nworkers; i++)
		worker_identify(r->workers[i], set);
	log_info("identity in force", LF_STR("id", first != NULL ? first->facts.id : NULL),
	    LF_STR("serial", first != NULL ? first->facts.serial : NULL), LF_UINT("identities", set->n),
	    LF_UINT("generation", set->generation));
	update_ready(r);
}

static void
on_dial(void *arg)
{
	tell(arg, WIRE_DIAL, NULL, 0);
}

/* ---- status ------------------------------------------------------------------------ */

struct report {
	uint64_t id;
	unsigned int left; /* workers that have not answered yet */
	json_t *workers;
};

/* One worker's part, on its way to the main thread. */
struct report_part {
	struct job job;
	struct relay *relay;
	struct report *whole;
	json_t *result;
};

static json_t *
identity_json(const struct relay *r)
{
	json_t *all = json_array();

	for (size_t i = 0; r->set != NULL && i < r->set->n; i++) {
		const struct svid_facts *f = &r->set->items[i]->facts;

		(void)json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:I, s:I}", "id", f->id, "serial", f->serial,
		    "not_before", (json_int_t)f->not_before, "not_after", (json_int_t)f->not_after, "remaining",
		    (json_int_t)(f->not_after - clock_wall_sec())));
	}
	return all;
}

static json_t *
services_json(const struct snapshot *s)
{
	json_t *all = json_array();

	for (size_t i = 0; i < s->n_services; i++) {
		const struct service *v = &s->services[i];
		json_t *ports = json_array();

		for (size_t p = 0; p < v->n_ports; p++) {
			size_t meshed = 0, resting = 0;

			for (size_t k = 0; k < v->ports[p].n_endpoints; k++) {
				meshed += v->ports[p].endpoints[k]->meshed;
				resting += atomic_load_explicit(&v->ports[p].endpoints[k]->state->rest_until_ms,
				               memory_order_relaxed) > clock_mono_ms();
			}
			(void)json_array_append_new(ports, json_pack("{s:i, s:i, s:i, s:i}", "port", (int)v->ports[p].port,
			    "endpoints", (int)v->ports[p].n_endpoints, "meshed", (int)meshed, "resting", (int)resting));
		}
		(void)json_array_append_new(all, json_pack("{s:s, s:s, s:o}", "namespace", v->namespace, "name", v->name, "ports",
		    ports));
	}
	return all;
}

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
send_report(struct relay *r, struct report *p)
{
	const struct wire_status head = { .id = p->id };
	json_t *doc = json_pack("{s:i, s:b, s:b, s:o, s:o}", "pid", (int)getpid(), "ready", r->ready, "draining", r->draining,
	    "identities", identity_json(r), "workers", p->workers);
	char *text;

	(void)json_object_set_new(doc, "identity_source", identity_client_json(r->identity));
	if (r->snapshot != NULL)
		(void)json_object_set_new(doc, "config", json_pack("{s:I, s:s, s:i, s:i, s:i, s:o}", "generation",
		    (json_int_t)r->snapshot->generation, "revision", r->snapshot->revision, "workloads",
		    (int)r->snapshot->n_workloads, "endpoints", (int)r->snapshot->n_endpoints, "policies",
		    (int)r->snapshot->n_policies, "services", services_json(r->snapshot)));
	(void)json_object_set_new(doc, "process", own_process_json(&r->self));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	if (text != NULL)
		send_text(r, &head, text);
	free(text);
	free(p);
}

/* In the main thread: one worker has answered. */
static void
report_arrived(void *owner, struct job *job)
{
	struct report_part *part = CONTAINER_OF(job, struct report_part, job);
	struct report *whole = part->whole;

	(void)json_array_append_new(whole->workers, part->result);
	free(part);
	if (--whole->left == 0)
		send_report(owner, whole);
}

/* In the worker's thread. */
static void
worker_reported(void *arg, json_t *result)
{
	struct report_part *part = arg;

	part->result = result;
	part->job.run = report_arrived;
	mailbox_post(&part->relay->box, &part->job);
}

static void
on_status(struct relay *r, const struct msg *m)
{
	struct report *p;

	if (m->len != sizeof(struct wire_status) || r->nworkers == 0)
		return;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return;
	memcpy(&p->id, m->body, sizeof(p->id));
	p->left = r->nworkers;
	p->workers = json_array();
	for (unsigned int i = 0; i < r->nworkers; i++) {
		struct report_part *part = calloc(1, sizeof(*part));

		if (part == NULL)
			abort();
		part->relay = r;
		part->whole = p;
		worker_report(r->workers[i], worker_reported, part);
	}
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

/* ---- the channel to the parent ----------------------------------------------------------- */

static void
on_message(struct relay *r, struct msg *m)
{
	struct wire_identity identity;
	struct wire_drain d;
	struct wire_flag flag;

	switch (m->type) {
	case WIRE_CONFIG:
		on_config(r, m);
		return;
	case WIRE_IDENTITY:
		if (m->len != sizeof(identity))
			break;
		memcpy(&identity, m->body, sizeof(identity));
		identity_client_dialled(r->identity, msg_take_fd(m, 0), identity.error);
		return;
	case WIRE_STATUS:
		on_status(r, m);
		return;
	case WIRE_DRAIN:
		if (m->len != sizeof(d))
			break;
		memcpy(&d, m->body, sizeof(d));
		drain(r, d.ms);
		return;
	case WIRE_CONSUMER:
		if (m->len != sizeof(flag))
			break;
		memcpy(&flag, m->body, sizeof(flag));
		events_set_consumer(r->events, flag.on != 0);
		return;
	default:
		break;
	}
	log_error("the parent said something unknown", LF_UINT("type", m->type), LF_UINT("length", m->len));
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
		on_message(r, &r->msg);
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
 */
static void
memory_due(struct timer *t)
{
	struct relay *r = CONTAINER_OF(t, struct relay, memory);
	int64_t held = self_resident(&r->self);
	uint64_t limit = r->start->config->limits.memory;
	bool over = atomic_load_explicit(&r->overloaded, memory_order_relaxed);

	timer_set(r->loop, t, MEMORY_CHECK_MS, memory_due);
	if (held < 0)
		return;
	events_set(r->counters, COUNT_MEMORY, (uint64_t)held);
	if (!over && (uint64_t)held > limit)
		log_warn("limits.memory is reached: new connections are refused", LF_UINT("held", (uint64_t)held),
		    LF_UINT("limit", limit));
	if (over && (uint64_t)held <= limit - limit / 8)
		log_info("memory is below its limit again", LF_UINT("held", (uint64_t)held));
	atomic_store_explicit(&r->overloaded, (uint64_t)held > (over ? limit - limit / 8 : limit), memory_order_relaxed);
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
	for (unsigned int i = 0; i < r->nworkers && e == TULLE_OK; i++) {
		const struct worker_start start = { .config = r->start->config, .sockets = &r->start->sockets[i],
			.events = events_writer(r->events, i), .overloaded = &r->overloaded, .drained = worker_drained, .arg = r };

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
		e = privileges_syscalls(syscalls, ARRAY_LEN(syscalls));
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
	atomic_init(&r->overloaded, false);
	r->status = EXIT_FAILURE;
	e = start(r);
	if (e == TULLE_OK)
		e = loop_run(r->loop);
	if (e != TULLE_OK)
		log_error("relay process failed", LF_ERR(e), LF_ERRNO);
	/* Threads may still be on their way out, and the kernel frees faster than we do. */
	_exit(e == TULLE_OK ? r->status : EXIT_FAILURE);
}
