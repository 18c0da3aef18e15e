/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pod.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/paths.h"
#include "children.h"
#include "io/loop.h"
#include "io/sock.h"
#include "others.h"
#include "serve.h"
#include "supervise.h"

#define CERTD_MS 20       /* between two looks for certd's socket */
#define APPLICATION_MS 500
#define APPLICATION_FAST_MS 5 /* until it was seen: work can be over in no time */
#define FILES_MS 5000     /* between two looks for a new ConfigMap */
#define LINK_MAX 256

/* A folder that kubelet fills: its ..data link changes when the ConfigMap has. */
struct mount {
	const char *name; /* below /etc/tulle */
	char data[LINK_MAX]; /* "" if there is no link */
};

struct pod {
	const struct pod_start *start;
	struct loop *loop;
	struct serve *serve;
	struct supervise supervise;
	struct children children;
	struct others others;
	struct timer due, certd, application, files;
	struct mount mounts[3];
};

static void turn(struct pod *p);

/* ---- what supervise.c says ---- */

static void
start_member(void *arg, enum member m)
{
	struct pod *p = arg;

	log_info("starting", LF_STR("name", member_name(m)));
	if (!children_start(&p->children, m))
		supervise_ended(&p->supervise, m, loop_now(p->loop));
}

static void
signal_member(void *arg, enum member m, enum supervise_signal s)
{
	static const int signals[] = { [SUPERVISE_LEAVE] = SIGUSR1, [SUPERVISE_STOP] = SIGTERM, [SUPERVISE_KILL] = SIGKILL };
	struct pod *p = arg;

	if (s == SUPERVISE_KILL)
		log_warn("did not end in time: killed", LF_STR("name", member_name(m)));
	else
		log_info(s == SUPERVISE_STOP ? "stopping" : "turning peers away", LF_STR("name", member_name(m)));
	children_signal(&p->children, m, signals[s]);
}

static void
end(void *arg)
{
	struct pod *p = arg;

	log_info("ended");
	loop_stop(p->loop);
}

static const struct supervise_actions actions = { .start = start_member, .signal = signal_member, .end = end };

/* ---- what it is told ---- */

static void
certd_due(struct timer *t)
{
	struct pod *p = CONTAINER_OF(t, struct pod, certd);
	int AUTO_FD fd = -1;

	if (sock_connect_unix(&fd, paths_run("identity/workload.sock")) == TULLE_OK)
		supervise_certd_answers(&p->supervise, loop_now(p->loop));
	turn(p);
}

static void
application_due(struct timer *t)
{
	struct pod *p = CONTAINER_OF(t, struct pod, application);

	supervise_application(&p->supervise, others_look(&p->others), loop_now(p->loop));
	turn(p);
}

static void
due(struct timer *t)
{
	turn(CONTAINER_OF(t, struct pod, due));
}

/* After anything has happened: what is due, and when to look again. */
static void
turn(struct pod *p)
{
	uint64_t ms = supervise_tick(&p->supervise, loop_now(p->loop));

	if (p->supervise.phase != PHASE_RUNNING)
		serve_leave(p->serve);
	if (p->supervise.phase == PHASE_OVER)
		return;
	if (ms == UINT64_MAX)
		timer_clear(p->loop, &p->due);
	else
		timer_set(p->loop, &p->due, ms, due);
	if (supervise_waits_for_certd(&p->supervise) && !timer_active(&p->certd))
		timer_set(p->loop, &p->certd, CERTD_MS, certd_due);
	if (supervise_watches_application(&p->supervise) && !timer_active(&p->application))
		timer_set(p->loop, &p->application, p->supervise.app_seen ? APPLICATION_MS : APPLICATION_FAST_MS, application_due);
}

static void
bury(struct pod *p)
{
	enum member m;
	int status;

	while (children_reap(&p->children, &m, &status)) {
		if (m == MEMBERS)
			continue;
		if (p->supervise.phase < PHASE_STOPPING)
			log_error("ended: it is started again", LF_STR("name", member_name(m)),
			    LF_INT("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
			    LF_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
		supervise_ended(&p->supervise, m, loop_now(p->loop));
	}
}

static void
reload(struct pod *p)
{
	for (enum member m = 0; m < MEMBERS; m++)
		children_signal(&p->children, m, SIGHUP);
}

static void
on_signal(void *arg, int signo)
{
	struct pod *p = arg;

	switch (signo) {
	case SIGCHLD:
		bury(p);
		break;
	case SIGHUP:
		reload(p);
		break;
	default:
		log_info("asked to stop");
		supervise_stop(&p->supervise, false, loop_now(p->loop));
		break;
	}
	turn(p);
}

static void
on_quit(void *arg)
{
	struct pod *p = arg;

	log_info("asked to stop by the application");
	supervise_stop(&p->supervise, true, loop_now(p->loop));
	timer_set(p->loop, &p->due, 0, due); /* not from within the request's handler */
}

/* ---- ConfigMaps ---- */

/* True: it is another one than at the last look. */
static bool
mount_changed(struct mount *m)
{
	char path[LINK_MAX], now[LINK_MAX];
	ssize_t n;
	bool changed;

	(void)snprintf(path, sizeof(path), "%s%s..data", paths_etc(m->name), *m->name != '\0' ? "/" : "");
	n = readlink(path, now, sizeof(now) - 1);
	now[n > 0 ? n : 0] = '\0';
	changed = strcmp(now, m->data) != 0;
	memcpy(m->data, now, sizeof(now));
	return changed;
}

static void
files_due(struct timer *t)
{
	struct pod *p = CONTAINER_OF(t, struct pod, files);
	bool changed = false;

	for (size_t i = 0; i < ARRAY_LEN(p->mounts); i++)
		changed |= mount_changed(&p->mounts[i]);
	if (changed) {
		log_info("the files have changed: reloading");
		reload(p);
	}
	timer_set(p->loop, t, FILES_MS, files_due);
}

/* ---- start ---- */

static enum tulle_err
prepare(struct pod *p)
{
	static const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	const struct serve_options serve = { .relay_health = (uint16_t)p->start->config->ports.health, .probes = p->start->probes,
		.quit = on_quit, .arg = p };
	enum tulle_err e = loop_new(&p->loop);

	for (size_t i = 0; e == TULLE_OK && i < ARRAY_LEN(signals); i++)
		e = loop_on_signal(p->loop, signals[i], on_signal, p);
	if (e != TULLE_OK) {
		log_error("cannot start", LF_ERR(e), LF_ERRNO);
		return e;
	}
	e = serve_start(&p->serve, p->loop, &serve);
	if (e != TULLE_OK)
		log_error("cannot serve kubelet's requests", LF_UINT("port", SERVE_PORT), LF_ERR(e), LF_ERRNO);
	return e;
}

int
pod_main(const struct pod_start *start)
{
	static struct pod pod; /* for the life of the process */
	struct pod *p = &pod;
	const struct settings *s = start->settings;
	const struct supervise_options o = {
		.has = { [MEMBER_CERTD] = start->config->identity.source != IDENTITY_SPIFFE, [MEMBER_TELEMETRYD] = true, [MEMBER_RELAYD] = true },
		.native = s->native,
		.end_with_app = s->end_with_app,
		.drain_ms = s->drain_ms,
		.grace_ms = s->grace_ms,
	};

	*p = (struct pod){ .start = start, .children = { .folder = start->programs, .root = paths_root() },
		.others = { .self = getpid() }, .mounts = { { .name = "" }, { .name = "config" }, { .name = "mesh.d" } } };
	/* Where processes are shared the first one is the pod's, and what our daemons leave behind would be its. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (prepare(p) != TULLE_OK)
		return EXIT_FAILURE;
	for (size_t i = 0; i < ARRAY_LEN(p->mounts); i++)
		(void)mount_changed(&p->mounts[i]);
	timer_set(p->loop, &p->files, FILES_MS, files_due);
	supervise_begin(&p->supervise, &o, &actions, p, loop_now(p->loop));
	turn(p);
	return loop_run(p->loop) == TULLE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
