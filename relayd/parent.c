/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "child.h"
#include "consumers.h"
#include "files.h"
#include "io/ctlsock.h"
#include "io/notify.h"
#include "lastgood.h"
#include "msg/msg.h"
#include "wire.h"

#define NAME "tulle-relayd"
#define ANSWER_MS 10000       /* how long a caller of the control socket waits for the relay process */
#define STATUS_MAX (16u << 20)
#define ADDRESS_CHECK_MS 10000
#define RESTART_MIN_MS 50
#define RESTART_MAX_MS 1000   /* a new relay process is up within a second */
#define STABLE_MS 5000        /* a process that lived so long starts the next at once */

/* A caller who waits for an answer of the relay process. */
struct waiting {
	LIST_ENTRY(waiting) link;
	struct ctl_call *call;
	struct timer late;
	struct parent *parent;
	enum { WAIT_STATUS, WAIT_PROCESS, WAIT_RELOAD } what;
	uint64_t id;      /* of the question, or the generation */
};

struct parent {
	const struct parent_start *start;
	struct loop *loop;
	struct child child;
	struct watch channel;
	struct consumers *consumers;
	struct events *events;
	struct events_writer *counters;
	int segment, doorbell;
	struct ctl_server *control;
	LIST_HEAD(, waiting) waiting;
	uint64_t next_id;
	uint64_t generation;      /* of the newest configuration sent */
	int good;                 /* sealed: the last configuration that was accepted, or -1 */
	int sent;                 /* sealed: the one under way, or -1 */
	uint64_t sent_as;         /* the generation of <sent> */
	struct {
		int fd;           /* sealed: of an earlier run, under way because the files are no good, or -1 */
		uint64_t sent_as;
		int64_t when;     /* it was accepted; 0 once a configuration of this run is in force */
	} last_good;
	bool addresses_changed;   /* and the relay process does not know yet */
	struct files files;       /* what the machine looks like: local addresses */
	struct timer addresses;
	struct timer restart;
	uint64_t restart_ms;
	uint64_t born_ms;
	unsigned int starts;
	bool ready;
	bool stopping;
	struct timer kill;
	struct timer watchdog;
	char last_error[1024];
	struct msg msg;
};

static void spawn(struct parent *p);

static void
answer(struct waiting *w, json_t *result, const char *error)
{
	LIST_REMOVE(w, link);
	timer_clear(w->parent->loop, &w->late);
	if (error != NULL)
		ctl_fail(w->call, "%s", error);
	else
		ctl_ok(w->call, result);
	free(w);
}

/* ---- configuration --------------------------------------------------------------- */

static void
keep(int *slot, int fd)
{
	if (*slot != -1)
		(void)close(*slot);
	*slot = fd;
}

/* Sends sealed files to the relay process under a new generation. */
static enum tulle_err
send_config(struct parent *p, int fd)
{
	size_t n = p->files.n_local;
	struct wire_config *c = calloc(1, sizeof(*c) + n * sizeof(c->local[0]));
	enum tulle_err e;

	if (c == NULL)
		return TULLE_ENOMEM;
	c->generation = ++p->generation;
	c->n_local = (uint32_t)n;
	memcpy(c->local, p->files.local, n * sizeof(c->local[0]));
	e = msg_send(p->child.channel, WIRE_CONFIG, c, sizeof(*c) + n * sizeof(c->local[0]), &fd, 1);
	free(c);
	return e;
}

/* Reads all files and hands them over.  What is wrong with them the relay process says. */
static enum tulle_err
reload(struct parent *p, char **ret_error)
{
	int fd = -1;
	enum tulle_err e = files_read(&p->files, &fd, ret_error);

	if (e != TULLE_OK)
		return e;
	keep(&p->sent, fd);
	if (p->child.pid == 0)
		return TULLE_EUNAVAIL;
	p->sent_as = p->generation + 1;
	return send_config(p, fd);
}

/*
 * Neither files nor an earlier configuration: the policy is unknown, so
 * nothing may be assumed, neither that traffic outside the mesh may pass nor
 * who may come in.
 */
static void
nothing_in_force(const char *error)
{
	log_error("no configuration is in force: all connections are refused until a reload succeeds", LF_STR("last_good", error));
}

/* The files are no good and none are in force: what was in force in an earlier run is better than nothing. */
static void
fall_back(struct parent *p)
{
	int fd = -1;
	enum tulle_err e = lastgood_open(&fd, &p->last_good.when);

	if (e != TULLE_OK) {
		nothing_in_force(e == TULLE_ENOENT ? "none was kept" : e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return;
	}
	keep(&p->last_good.fd, fd);
	if (p->child.pid == 0)
		return; /* the next relay process gets it */
	p->last_good.sent_as = p->generation + 1;
	(void)send_config(p, fd);
}

static void
fell_back(struct parent *p, bool ok, const char *problems)
{
	char when[LASTGOOD_WHEN];

	if (ok) {
		keep(&p->good, p->last_good.fd);
		log_warn("running on the last good configuration", LF_STR("accepted", lastgood_when(p->last_good.when, when)),
		    LF_STR("refused", p->last_error));
	} else {
		(void)close(p->last_good.fd);
		p->last_good.when = 0;
		nothing_in_force(problems);
	}
	p->last_good.fd = -1;
}

/* The relay process took the files. */
static void
accepted(struct parent *p)
{
	enum tulle_err e;

	keep(&p->good, p->sent);
	p->last_good.when = 0;
	e = lastgood_keep(p->good, clock_wall_sec());
	if (e != TULLE_OK)
		log_warn("the configuration cannot be kept for a start with bad files", LF_STR("folder", paths_var("relayd")),
		    LF_ERR(e), LF_ERRNO);
}

static void
refused(struct parent *p, uint64_t generation, const char *text)
{
	if (p->good != -1) {
		log_error("configuration refused: the old one stays", LF_UINT("generation", generation), LF_STR("problems", text));
		return;
	}
	log_error("configuration refused: there is no old one", LF_UINT("generation", generation), LF_STR("problems", text));
	if (p->sent == -1) /* else newer files are being looked at */
		fall_back(p);
}

static void
on_config_result(struct parent *p, const struct msg *m)
{
	struct wire_result head;
	struct waiting *w, *next;
	char *text;

	if (m->len < sizeof(head))
		return;
	memcpy(&head, m->body, sizeof(head));
	text = strndup((const char *)m->body + sizeof(head), m->len - sizeof(head));
	if (text == NULL)
		return;
	if (p->last_good.fd != -1 && head.generation == p->last_good.sent_as) {
		fell_back(p, head.ok, text);
		free(text);
		return;
	}
	if (!head.ok || head.generation == p->sent_as) /* old files under new addresses do not make the newest ones right */
		(void)snprintf(p->last_error, sizeof(p->last_error), "%s", head.ok ? "" : text);
	if (head.generation == p->sent_as && p->sent != -1) {
		if (head.ok)
			accepted(p);
		else
			(void)close(p->sent);
		p->sent = -1;
	}
	if (!head.ok)
		refused(p, head.generation, text);
	for (w = LIST_FIRST(&p->waiting); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		if (w->what != WAIT_RELOAD || w->id != head.generation)
			continue;
		if (head.ok)
			answer(w, json_pack("{s:I, s:s}", "generation", (json_int_t)head.generation, "warnings", text), NULL);
		else
			answer(w, NULL, text);
	}
	free(text);
}

/* Addresses come and go (DHCP, VPNs): what is "local" must follow. */
static void
addresses_due(struct timer *t)
{
	struct parent *p = CONTAINER_OF(t, struct parent, addresses);

	if (files_addresses_changed(&p->files)) {
		log_info("addresses of this host changed", LF_UINT("addresses", p->files.n_local));
		p->addresses_changed = true;
	}
	/* Not behind newer files that are still being looked at: these would be replaced by the old ones. */
	if (p->addresses_changed && p->good != -1 && p->sent == -1 && p->child.pid != 0) {
		p->addresses_changed = false;
		(void)send_config(p, p->good);
	}
	timer_set(p->loop, t, ADDRESS_CHECK_MS, addresses_due);
}

/* ---- what the relay process says ----------------------------------------------------- */

static void
on_dial(struct parent *p)
{
	struct wire_identity answer_body = { 0 };
	int AUTO_FD fd = -1;
	enum tulle_err e = files_dial_identity(&fd);

	if (e != TULLE_OK)
		answer_body.error = e == TULLE_ENOENT ? ENOENT : e == TULLE_EUNAVAIL ? ECONNREFUSED : errno;
	(void)msg_send(p->child.channel, WIRE_IDENTITY, &answer_body, sizeof(answer_body), &fd, fd != -1 ? 1 : 0);
}

/* Takes the relay process's part over. */
static json_t *
status_of(const struct parent *p, json_t *relay)
{
	char when[LASTGOOD_WHEN];

	return json_pack("{s:i, s:i, s:b, s:s, s:s?, s:b, s:o}", "parent_pid", (int)getpid(), "starts", (int)p->starts, "ready",
	    p->ready, "last_error", p->last_error, "last_good",
	    p->last_good.when != 0 ? lastgood_when(p->last_good.when, when) : NULL, "telemetry_attached",
	    consumers_attached(p->consumers), "relay", relay);
}

static void
on_status_reply(struct parent *p, struct msg *m)
{
	struct wire_status head;
	struct waiting *w;
	int AUTO_FD fd = msg_take_fd(m, 0);
	char AUTO_FREE *text = NULL;
	json_t *relay;
	size_t len;

	if (m->len < sizeof(head))
		return;
	len = m->len - sizeof(head);
	if (fd == -1)
		text = strndup((const char *)m->body + sizeof(head), len);
	else if (msg_unseal(fd, STATUS_MAX, &text, &len) != TULLE_OK)
		return;
	memcpy(&head, m->body, sizeof(head));
	LIST_FOREACH(w, &p->waiting, link)
		if (w->what != WAIT_RELOAD && w->id == head.id)
			break;
	if (w == NULL)
		return;
	relay = text != NULL ? json_loadb(text, len, 0, NULL) : NULL;
	if (w->what == WAIT_PROCESS) {
		json_t *self = ctl_process(NAME);

		(void)json_object_set_new(self, "children", json_pack("[O]", json_object_get(relay, "process")));
		json_decref(relay);
		answer(w, self, NULL);
		return;
	}
	answer(w, status_of(p, relay != NULL ? relay : json_null()), NULL);
}

static void
on_ready(struct parent *p, const struct msg *m)
{
	struct wire_flag flag;

	if (m->len != sizeof(flag))
		return;
	memcpy(&flag, m->body, sizeof(flag));
	p->ready = flag.on != 0;
	if (p->ready) {
		log_info("ready");
		notify_send("READY=1\nSTATUS=serving");
	} else {
		notify_send("STATUS=not ready");
	}
}

static void
channel_ready(struct watch *w, uint32_t events)
{
	struct parent *p = CONTAINER_OF(w, struct parent, channel);
	enum tulle_err e;

	(void)events;
	while ((e = msg_recv(w->fd, &p->msg)) == TULLE_OK) {
		switch (p->msg.type) {
		case WIRE_CONFIG_RESULT:
			on_config_result(p, &p->msg);
			break;
		case WIRE_DIAL:
			on_dial(p);
			break;
		case WIRE_STATUS_REPLY:
			on_status_reply(p, &p->msg);
			break;
		case WIRE_READY:
			on_ready(p, &p->msg);
			break;
		default: /* nothing else is its business: it may be somebody else by now */
			log_error("the relay process said something it must not: killed", LF_UINT("type", p->msg.type));
			(void)kill(p->child.pid, SIGKILL);
			break;
		}
		msg_close(&p->msg);
	}
	if (e != TULLE_AGAIN)
		loop_del(p->loop, w); /* SIGCHLD says the rest */
}

/* ---- the relay process's life ------------------------------------------------------------ */

static void
spawn(struct parent *p)
{
	const struct relay_start start = { .config = p->start->config, .segment = p->segment, .doorbell = p->doorbell,
		.sockets = p->start->sockets.workers, .health = p->start->sockets.health };
	const struct wire_flag attached = { .on = consumers_attached(p->consumers) };
	enum tulle_err e = child_start(&p->child, &start, p->start->sockets.n);

	if (e != TULLE_OK) {
		log_error("cannot start the relay process", LF_ERR(e), LF_ERRNO);
		return;
	}
	p->starts++;
	p->born_ms = loop_now(p->loop);
	events_count(p->counters, COUNT_RELAY_STARTS);
	(void)loop_add(p->loop, &p->channel, p->child.channel, EPOLLIN, channel_ready);
	(void)msg_send(p->child.channel, WIRE_CONSUMER, &attached, sizeof(attached), NULL, 0);
	if (p->good != -1) {
		keep(&p->sent, -1); /* it may have been the end of the last process */
		(void)send_config(p, p->good);
	} else if (p->sent != -1) {
		p->sent_as = p->generation + 1;
		(void)send_config(p, p->sent);
	} else if (p->last_good.fd != -1) {
		p->last_good.sent_as = p->generation + 1;
		(void)send_config(p, p->last_good.fd);
	}
}

static void
restart_due(struct timer *t)
{
	struct parent *p = CONTAINER_OF(t, struct parent, restart);

	if (!p->stopping)
		spawn(p);
}

static void
child_died(struct parent *p, int status)
{
	struct waiting *w;

	loop_del(p->loop, &p->channel);
	child_forget(&p->child);
	p->ready = false;
	while ((w = LIST_FIRST(&p->waiting)) != NULL)
		answer(w, NULL, "the relay process ended; a new one is being started");
	if (p->stopping) {
		loop_stop(p->loop);
		return;
	}
	log_error("the relay process ended: starting another", LF_INT("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
	    LF_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0), LF_UINT("starts", p->starts));
	if (loop_now(p->loop) - p->born_ms >= STABLE_MS)
		p->restart_ms = 0;
	timer_set(p->loop, &p->restart, p->restart_ms, restart_due);
	p->restart_ms = p->restart_ms == 0 ? RESTART_MIN_MS : p->restart_ms * 2;
	if (p->restart_ms > RESTART_MAX_MS)
		p->restart_ms = RESTART_MAX_MS;
}

static void
kill_due(struct timer *t)
{
	struct parent *p = CONTAINER_OF(t, struct parent, kill);

	log_warn("the relay process did not end in time: killed");
	if (p->child.pid != 0)
		(void)kill(p->child.pid, SIGKILL);
}

static void
stop(struct parent *p)
{
	const struct wire_drain d = { .ms = p->start->config->relay.drain_ms };

	if (p->stopping || p->child.pid == 0) { /* asked twice: now */
		if (p->child.pid != 0)
			(void)kill(p->child.pid, SIGKILL);
		p->stopping = true;
		loop_stop(p->loop);
		return;
	}
	p->stopping = true;
	notify_send("STOPPING=1\nSTATUS=draining");
	log_info("stopping: draining connections", LF_UINT("deadline_ms", d.ms));
	(void)msg_send(p->child.channel, WIRE_DRAIN, &d, sizeof(d), NULL, 0);
	timer_set(p->loop, &p->kill, p->start->config->relay.termination_grace_ms, kill_due);
}

static void
on_signal(void *arg, int signo)
{
	struct parent *p = arg;
	char AUTO_FREE *error = NULL;
	pid_t pid;
	int status;

	switch (signo) {
	case SIGHUP:
		if (reload(p, &error) != TULLE_OK)
			log_error(p->good != -1 ? "reload failed: the old configuration stays" : "reload failed: there is no old configuration",
			    LF_STR("problems", error));
		break;
	case SIGCHLD:
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == p->child.pid)
				child_died(p, status);
		break;
	default:
		stop(p);
		break;
	}
}

/* ---- control socket ------------------------------------------------------------------------ */

static void
answer_late(struct timer *t)
{
	struct waiting *w = CONTAINER_OF(t, struct waiting, late);

	answer(w, NULL, "the relay process does not answer");
}

static void
wait_for_relay(struct parent *p, struct ctl_call *call, int what, uint64_t id)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		ctl_fail(call, "out of memory");
		return;
	}
	*w = (struct waiting){ .call = call, .parent = p, .what = what, .id = id };
	LIST_INSERT_HEAD(&p->waiting, w, link);
	timer_set(p->loop, &w->late, ANSWER_MS, answer_late);
}

static void
run_status(void *arg, struct ctl_call *call, const json_t *args)
{
	struct parent *p = arg;
	const struct wire_status q = { .id = ++p->next_id };

	(void)args;
	if (p->child.pid == 0 || msg_send(p->child.channel, WIRE_STATUS, &q, sizeof(q), NULL, 0) != TULLE_OK) {
		ctl_ok(call, status_of(p, json_null()));
		return;
	}
	wait_for_relay(p, call, WAIT_STATUS, q.id);
}

static void
run_process(void *arg, struct ctl_call *call, const json_t *args)
{
	struct parent *p = arg;
	const struct wire_status q = { .id = ++p->next_id };

	(void)args;
	if (p->child.pid == 0 || msg_send(p->child.channel, WIRE_STATUS, &q, sizeof(q), NULL, 0) != TULLE_OK)
		ctl_ok(call, ctl_process(NAME));
	else
		wait_for_relay(p, call, WAIT_PROCESS, q.id);
}

static void
run_reload(void *arg, struct ctl_call *call, const json_t *args)
{
	struct parent *p = arg;
	char AUTO_FREE *error = NULL;
	enum tulle_err e = reload(p, &error);

	(void)args;
	if (e == TULLE_OK)
		wait_for_relay(p, call, WAIT_RELOAD, p->generation);
	else
		ctl_fail(call, "%s", error != NULL ? error : e == TULLE_EUNAVAIL ? "the relay process is not running" : tulle_strerror(e));
}

static const struct ctl_command commands[] = {
	{ "status", false, run_status },
	{ "process", false, run_process },
	{ "reload", true, run_reload },
	{ 0 },
};

/* ---- start ----------------------------------------------------------------------------------- */

static void
consumer_changed(void *arg, bool attached)
{
	struct parent *p = arg;
	const struct wire_flag flag = { .on = attached };

	events_set_consumer(p->events, attached);
	if (p->child.pid != 0)
		(void)msg_send(p->child.channel, WIRE_CONSUMER, &flag, sizeof(flag), NULL, 0);
}

static void
watchdog_due(struct timer *t)
{
	struct parent *p = CONTAINER_OF(t, struct parent, watchdog);

	notify_send("WATCHDOG=1");
	timer_set(p->loop, t, notify_watchdog_ms(), watchdog_due);
}

static enum tulle_err
start(struct parent *p)
{
	uint32_t workers = p->start->config->relay.workers;
	enum tulle_err e = loop_new(&p->loop);

	for (size_t i = 0; e == TULLE_OK && i < 4; i++)
		e = loop_on_signal(p->loop, ((const int[]){ SIGHUP, SIGCHLD, SIGTERM, SIGINT })[i], on_signal, p);
	/* Writers: one a worker, one for the relay's main thread, one for this process. */
	if (e == TULLE_OK)
		e = events_create(&p->segment, workers + 2);
	if (e == TULLE_OK)
		e = events_doorbell(&p->doorbell);
	if (e == TULLE_OK)
		e = events_attach(&p->events, p->segment, p->doorbell, workers + 1, 1);
	if (e == TULLE_OK)
		e = consumers_new(&p->consumers, p->loop, p->start->telemetry, p->start->telemetry_uid, p->segment, p->doorbell,
		    consumer_changed, p);
	if (e == TULLE_OK)
		e = ctl_serve_fd(&p->control, p->loop, p->start->control, NAME, commands, p);
	if (e != TULLE_OK)
		return e;
	p->counters = events_writer(p->events, workers + 1);
	return TULLE_OK;
}

int
parent_main(const struct parent_start *s)
{
	struct parent *p = calloc(1, sizeof(*p));
	char *error = NULL;
	enum tulle_err e;

	if (p == NULL)
		return EXIT_FAILURE;
	*p = (struct parent){ .start = s, .channel = WATCH_INIT, .segment = -1, .doorbell = -1, .good = -1, .sent = -1,
		.last_good.fd = -1 };
	child_forget(&p->child);
	e = start(p);
	if (e != TULLE_OK) {
		log_error("cannot start", LF_ERR(e), LF_ERRNO);
		return EXIT_FAILURE;
	}
	if (files_read(&p->files, &p->sent, &error) != TULLE_OK) {
		log_error("configuration cannot be read", LF_STR("problems", error));
		(void)snprintf(p->last_error, sizeof(p->last_error), "%s", error != NULL ? error : "");
		free(error);
		fall_back(p);
	}
	spawn(p);
	timer_set(p->loop, &p->addresses, ADDRESS_CHECK_MS, addresses_due);
	if (notify_watchdog_ms() > 0)
		watchdog_due(&p->watchdog);
	e = loop_run(p->loop);
	if (e != TULLE_OK)
		log_error("parent stopped", LF_ERR(e), LF_ERRNO);
	log_info("stopped");
	return e == TULLE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
