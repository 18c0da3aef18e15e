/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "parent/parent.h"

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
#include "parent/callers.h"
#include "parent/child.h"
#include "parent/consumers.h"
#include "parent/files.h"
#include "io/ctlsock.h"
#include "io/notify.h"
#include "parent/lastgood.h"
#include "msg/msg.h"
#include "parent/pulse.h"
#include "parent/supply.h"
#include "parent/units.h"
#include "wire.h"

#define NAME "tulle-relayd"
#define ANSWER_MS 2000        /* how long a question waits for the relay process: "tulle status" gives up after 3 s */
#define RELOAD_MS 25000       /* how long a reload waits: "tulle reload" gives up after 30 s */
#define STATUS_MAX (16u << 20)
#define RESTART_MIN_MS 50
#define RESTART_MAX_MS 1000   /* a new relay process is up within a second */
#define STABLE_MS 5000        /* a process that lived so long starts the next at once */

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
	struct callers callers;
	uint64_t next_id;
	struct supply supply;     /* of the relay process with configuration */
	struct units units;
	struct timer restart;
	uint64_t restart_ms;
	uint64_t born_ms;
	unsigned int starts;
	struct pulse pulse;       /* does the relay process answer? */
	struct timer pulse_round;
	bool ready;
	bool stopping;
	bool turned_away;         /* by SIGUSR1: so is every relay process that follows */
	struct timer kill;
	struct timer watchdog;    /* systemd's, for this process */
	struct msg msg;
};

/* ---- what the relay process says ----------------------------------------------------- */

static void
on_dial(struct parent *p)
{
	struct wire_identity answer_body = { 0 };
	int AUTO_FD fd = -1;
	enum tulle_err e = files_dial_identity(p->start->config->identity.socket, &fd);

	if (e != TULLE_OK)
		answer_body.error = e == TULLE_ENOENT ? ENOENT : e == TULLE_EUNAVAIL ? ECONNREFUSED : errno;
	(void)msg_send(p->child.channel, WIRE_IDENTITY, &answer_body, sizeof(answer_body), &fd, fd != -1 ? 1 : 0);
}

/* What "status" answers; <relay> is the relay process's part, taken over; NULL: there is none. */
static json_t *
status_json(struct parent *p, json_t *relay)
{
	char when[LASTGOOD_WHEN];
	json_t *units = json_pack("{s:I, s:b}", "cgroups", (json_int_t)cgroups_count(p->units.cgroups), "unreadable",
	    p->units.trouble);
	json_t *manifests = json_pack("{s:s, s:I}", "source", p->supply.from.authority ? "authority" : "files", "number",
	    (json_int_t)p->supply.from.number);
	json_t *addresses = json_pack("{s:i, s:s}", "known", (int)p->supply.files.n_local, "error", p->supply.files.trouble);

	return json_pack("{s:i, s:i, s:b, s:s, s:s?, s:b, s:b, s:o, s:o, s:o, s:o}", "parent_pid", (int)getpid(), "starts",
	    (int)p->starts, "ready", relay != NULL && p->ready, "last_error", p->supply.error, "last_good",
	    p->supply.last_good != 0 ? lastgood_when(p->supply.last_good, when) : NULL, "telemetry_attached",
	    consumers_attached(p->consumers), "silent", relay == NULL && p->child.pid != 0, "addresses", addresses, "units", units,
	    "manifests", manifests, "relay",
	    relay != NULL ? relay : json_null());
}

/* What "process" answers. */
static json_t *
process_json(const json_t *relay)
{
	json_t *self = ctl_process(NAME);

	if (relay != NULL)
		(void)json_object_set_new(self, "children", json_pack("[O]", json_object_get(relay, "process")));
	return self;
}

static enum tulle_err
on_status_reply(struct parent *p, struct msg *m)
{
	struct wire_status head;
	struct ctl_call *call;
	int AUTO_FD fd = msg_take_fd(m, 0);
	char AUTO_FREE *text = NULL;
	json_t *relay;
	size_t len;
	enum tulle_err e = wire_take_text(m, &head, sizeof(head), &text, &len);

	if (e == TULLE_OK && fd != -1) {
		free(PTR_TAKE(text));
		e = msg_unseal(fd, STATUS_MAX, &text, &len);
	}
	if (e != TULLE_OK)
		return e;
	relay = json_loadb(text, len, 0, NULL);
	if ((call = callers_take(&p->callers, WAIT_PROCESS, head.id)) != NULL)
		ctl_ok(call, process_json(relay));
	else if ((call = callers_take(&p->callers, WAIT_STATUS, head.id)) != NULL)
		ctl_ok(call, status_json(p, json_incref(relay)));
	else if ((call = callers_take(&p->callers, WAIT_TRAFFIC, head.id)) != NULL)
		ctl_ok(call, json_incref(relay));
	json_decref(relay);
	return TULLE_OK;
}

static enum tulle_err
on_ready(struct parent *p, const struct msg *m)
{
	struct wire_flag flag;
	enum tulle_err e = wire_take(m, &flag, sizeof(flag));

	if (e != TULLE_OK)
		return e;
	p->ready = flag.on != 0;
	if (p->ready) {
		log_info("ready");
		notify_send("STATUS=serving");
	} else {
		notify_send("STATUS=not ready");
	}
	return TULLE_OK;
}

static enum tulle_err
on_pong(struct parent *p, const struct msg *m)
{
	struct wire_ping pong;
	enum tulle_err e = wire_take(m, &pong, sizeof(pong));

	if (e == TULLE_OK)
		pulse_answered(&p->pulse, pong.id);
	return e;
}

/* TULLE_EPEER: nothing else is its business, it may be somebody else by now. */
static enum tulle_err
on_message(struct parent *p, struct msg *m)
{
	switch (m->type) {
	case WIRE_CONFIG_RESULT:
		return supply_answered(&p->supply, m);
	case WIRE_DIAL:
		on_dial(p);
		return TULLE_OK;
	case WIRE_UNIT_OF:
		return units_asked(&p->units, m);
	case WIRE_STATUS_REPLY:
		return on_status_reply(p, m);
	case WIRE_READY:
		return on_ready(p, m);
	case WIRE_PONG:
		return on_pong(p, m);
	default:
		return TULLE_EPEER;
	}
}

static void
channel_ready(struct watch *w, uint32_t events)
{
	struct parent *p = CONTAINER_OF(w, struct parent, channel);
	enum tulle_err e;

	(void)events;
	while ((e = msg_recv(w->fd, &p->msg)) == TULLE_OK) {
		e = on_message(p, &p->msg);
		msg_close(&p->msg);
		if (e == TULLE_EPEER)
			break;
		if (e != TULLE_OK)
			log_error("an answer of the relay process is lost", LF_ERR(e), LF_ERRNO);
	}
	if (e == TULLE_AGAIN)
		return;
	loop_del(p->loop, w); /* SIGCHLD says the rest */
	if (e == TULLE_EPEER) {
		log_error("the relay process said something it must not: killed", LF_UINT("type", p->msg.type));
		(void)kill(p->child.pid, SIGKILL);
	}
}

/* ---- the relay process's life ------------------------------------------------------------ */

static void restart_due(struct timer *t);

static void
spawn(struct parent *p)
{
	const struct relay_start start = { .config = p->start->config, .segment = p->segment, .doorbell = p->doorbell,
		.sockets = p->start->sockets.workers, .health = p->start->sockets.health,
		.hands_over = p->start->hands_over };
	const struct wire_flag attached = { .on = consumers_attached(p->consumers) };
	enum tulle_err e = child_start(&p->child, &start, p->start->sockets.n);

	if (e == TULLE_OK)
		e = loop_add(p->loop, &p->channel, p->child.channel, EPOLLIN, channel_ready);
	if (e != TULLE_OK) {
		log_error("cannot start the relay process: trying again", LF_ERR(e), LF_ERRNO, LF_UINT("in_ms", RESTART_MAX_MS));
		if (p->child.pid != 0)
			(void)kill(p->child.pid, SIGKILL); /* its end starts the next */
		else
			timer_set(p->loop, &p->restart, RESTART_MAX_MS, restart_due);
		return;
	}
	p->starts++;
	p->born_ms = loop_now(p->loop);
	pulse_start(&p->pulse);
	events_count(p->counters, COUNT_RELAY_STARTS);
	(void)msg_send(p->child.channel, WIRE_CONSUMER, &attached, sizeof(attached), NULL, 0);
	if (p->turned_away)
		(void)msg_send(p->child.channel, WIRE_TURN_AWAY, NULL, 0, NULL, 0);
	supply_begin(&p->supply, p->child.channel);
	units_begin(&p->units, p->child.channel);
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
	supply_ended(&p->supply);
	units_begin(&p->units, -1);
	loop_del(p->loop, &p->channel);
	child_forget(&p->child);
	p->ready = false;
	callers_give_up(&p->callers, "the relay process ended; a new one is being started");
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

/*
 * A process that hangs serves nobody and holds the listening sockets, so new
 * connections would wait for ever: it is ended, and the next one serves them.
 * While it drains relay.terminationGrace bounds it instead.
 */
static void
pulse_due(struct timer *t)
{
	struct parent *p = CONTAINER_OF(t, struct parent, pulse_round);
	struct wire_ping ping;

	timer_set(p->loop, t, PULSE_MS, pulse_due);
	if (p->child.pid == 0 || p->stopping)
		return;
	if (pulse_round(&p->pulse, offer_busy(&p->supply.offer), &ping.id)) {
		(void)msg_send(p->child.channel, WIRE_PING, &ping, sizeof(ping), NULL, 0);
		supply_feed(&p->supply);
		return;
	}
	log_error("the relay process does not answer: killed", LF_INT("pid", p->child.pid));
	(void)kill(p->child.pid, SIGKILL);
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
	if (p->start->hands_over) {
		loop_stop(p->loop);
		return;
	}
	timer_set(p->loop, &p->kill, p->start->config->relay.termination_grace_ms, kill_due);
}

static void
on_signal(void *arg, int signo)
{
	struct parent *p = arg;
	char AUTO_FREE *error = NULL;
	uint64_t ticket;
	pid_t pid;
	int status;

	switch (signo) {
	case SIGUSR1:
		p->turned_away = true;
		if (p->child.pid != 0)
			(void)msg_send(p->child.channel, WIRE_TURN_AWAY, NULL, 0, NULL, 0);
		break;
	case SIGHUP:
		(void)supply_reload(&p->supply, &ticket, &error);
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
answer_late(void *arg, struct ctl_call *call, enum wait what)
{
	struct parent *p = arg;

	if (what == WAIT_RELOAD)
		ctl_fail(call, "the relay process has not answered yet; tulle status says when it has");
	else if (what == WAIT_TRAFFIC)
		ctl_fail(call, "the relay process does not answer, or is not running; tulle status says more");
	else
		ctl_ok(call, what == WAIT_STATUS ? status_json(p, NULL) : process_json(NULL));
}

/* Status and process are the same question to the relay process, whose answers all have one shape. */
static void
ask(struct parent *p, struct ctl_call *call, enum wait what)
{
	const struct wire_status q = { .id = ++p->next_id };

	const uint32_t type = what == WAIT_TRAFFIC ? WIRE_TRAFFIC : WIRE_STATUS;

	if (p->child.pid != 0 && msg_send(p->child.channel, type, &q, sizeof(q), NULL, 0) == TULLE_OK)
		callers_wait(&p->callers, call, what, q.id, ANSWER_MS);
	else
		answer_late(p, call, what);
}

static void
run_status(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)args;
	ask(arg, call, WAIT_STATUS);
}

static void
run_process(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)args;
	ask(arg, call, WAIT_PROCESS);
}

static void
run_traffic(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)args;
	ask(arg, call, WAIT_TRAFFIC);
}

static void
run_reload(void *arg, struct ctl_call *call, const json_t *args)
{
	struct parent *p = arg;
	char AUTO_FREE *error = NULL;
	uint64_t ticket;
	enum tulle_err e = supply_reload(&p->supply, &ticket, &error);

	(void)args;
	if (e == TULLE_OK)
		callers_wait(&p->callers, call, WAIT_RELOAD, ticket, RELOAD_MS);
	else
		ctl_fail(call, "%s", error != NULL ? error : tulle_strerror(e));
}

static const struct ctl_command commands[] = {
	{ "status", false, run_status },
	{ "process", false, run_process },
	{ "traffic", true, run_traffic }, /* changes nothing, but has addresses of callers: personal data */
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

	for (size_t i = 0; e == TULLE_OK && i < 5; i++)
		e = loop_on_signal(p->loop, ((const int[]){ SIGHUP, SIGCHLD, SIGTERM, SIGINT, SIGUSR1 })[i], on_signal, p);
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
	callers_init(&p->callers, p->loop, answer_late, p);
	supply_init(&p->supply, p->loop, &p->callers);
	units_init(&p->units, p->loop, NULL);
	p->counters = events_writer(p->events, workers + 1);
	return TULLE_OK;
}

int
parent_main(const struct parent_start *s)
{
	static struct parent parent; /* one a process, and for its life: the kernel gives back what it holds */
	struct parent *p = &parent;
	char *error = NULL;
	uint64_t ticket;
	enum tulle_err e;

	*p = (struct parent){ .start = s, .channel = WATCH_INIT, .segment = -1, .doorbell = -1 };
	child_forget(&p->child);
	e = start(p);
	if (e != TULLE_OK) {
		log_error("cannot start", LF_ERR(e), LF_ERRNO);
		return EXIT_FAILURE;
	}
	/* Files can be mended while it runs.  Without this host's addresses no policy would find its workload: no start. */
	e = supply_reload(&p->supply, &ticket, &error);
	free(error);
	if (e != TULLE_OK) {
		if (!p->supply.files.known)
			return EXIT_FAILURE;
		supply_fall_back(&p->supply);
	}
	spawn(p);
	/* Started is what systemd may know: its sockets take connections.  An identity may be long in coming; whoever needs a relay
	   that serves asks the health port. */
	notify_send("READY=1\nSTATUS=not ready");
	timer_set(p->loop, &p->pulse_round, PULSE_MS, pulse_due);
	if (notify_watchdog_ms() > 0)
		watchdog_due(&p->watchdog);
	e = loop_run(p->loop);
	if (e != TULLE_OK)
		log_error("parent stopped", LF_ERR(e), LF_ERRNO);
	log_info("stopped");
	return e == TULLE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
