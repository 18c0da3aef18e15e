/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/processes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/paths.h"
#include "collect/usage.h"
#include "io/ctlsock.h"
#include "io/sock.h"

#define ANSWER_MAX 4096
#define ANSWER_MS 2000

/* One daemon that is asked. */
struct daemon {
	struct processes *all;
	const char *socket; /* below paths_run() */
	const char *name;   /* for "up" */
	bool up;
	struct usage usage[USAGE_SHOWN];
	size_t n;
	int fd; /* owned; -1: not asking now */
	struct watch watch;
	struct timer deadline;
	char answer[ANSWER_MAX];
	size_t len;
};

struct processes {
	struct loop *loop; /* lent */
	const char *self;  /* lent */
	uint64_t interval_ms;
	struct timer timer;
	struct daemon daemons[2];
};

static void
stop_asking(struct daemon *d)
{
	timer_clear(d->all->loop, &d->deadline);
	loop_del(d->all->loop, &d->watch);
	if (d->fd != -1)
		(void)close(d->fd);
	d->fd = -1;
}

static void
answer_late(struct timer *t)
{
	struct daemon *d = CONTAINER_OF(t, struct daemon, deadline);

	d->up = false;
	stop_asking(d);
}

static void
answer_ready(struct watch *w, uint32_t events)
{
	struct daemon *d = CONTAINER_OF(w, struct daemon, watch);
	ssize_t n = recv(d->fd, d->answer + d->len, sizeof(d->answer) - d->len, 0);

	(void)events;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		d->len += (size_t)n;
		if (memchr(d->answer, '\n', d->len) == NULL && d->len < sizeof(d->answer))
			return;
	}
	d->n = usage_answer(d->usage, d->name, d->answer, d->len);
	d->up = d->n > 0;
	stop_asking(d);
}

static void
ask(struct daemon *d)
{
	static const char question[] = "{\"command\":\"process\"}\n";
	struct loop *l = d->all->loop;

	stop_asking(d);
	d->len = 0;
	if (sock_connect_unix(&d->fd, paths_run(d->socket)) != TULLE_OK) {
		d->up = false;
		return;
	}
	if (send(d->fd, question, sizeof(question) - 1, MSG_NOSIGNAL) != sizeof(question) - 1 ||
	    loop_add(l, &d->watch, d->fd, EPOLLIN, answer_ready) != TULLE_OK) {
		d->up = false;
		stop_asking(d);
		return;
	}
	timer_set(l, &d->deadline, ANSWER_MS, answer_late);
}

static void
ask_all(struct timer *t)
{
	struct processes *p = CONTAINER_OF(t, struct processes, timer);

	for (size_t i = 0; i < ARRAY_LEN(p->daemons); i++)
		ask(&p->daemons[i]);
	timer_set(p->loop, &p->timer, p->interval_ms, ask_all);
}

enum tulle_err
processes_new(struct processes **ret, struct loop *l, const char *self, uint64_t interval_ms)
{
	static const char *const asked[][2] = { { "relayd.sock", "tulle-relayd" }, { "certd.sock", "tulle-certd" } };
	struct processes *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return TULLE_ENOMEM;
	p->loop = l;
	p->self = self;
	p->interval_ms = interval_ms;
	for (size_t i = 0; i < ARRAY_LEN(p->daemons); i++) {
		p->daemons[i].all = p;
		p->daemons[i].socket = asked[i][0];
		p->daemons[i].name = asked[i][1];
		p->daemons[i].fd = -1;
		p->daemons[i].watch = (struct watch)WATCH_INIT;
	}
	timer_set(l, &p->timer, 1, ask_all);
	*ret = p;
	return TULLE_OK;
}

struct processes *
processes_free(struct processes *p)
{
	if (p == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(p->daemons); i++)
		stop_asking(&p->daemons[i]);
	timer_clear(p->loop, &p->timer);
	free(p);
	return NULL;
}

/* ---- metrics --------------------------------------------------------------- */

enum what { WHAT_CPU, WHAT_MEMORY, WHAT_FDS, WHAT_STARTED };

static double
usage_value(const struct usage *u, enum what what)
{
	switch (what) {
	case WHAT_CPU:
		return u->cpu_seconds;
	case WHAT_MEMORY:
		return u->rss_bytes;
	case WHAT_FDS:
		return u->fds;
	case WHAT_STARTED:
		return (double)u->started_ns / 1e9;
	}
	return 0;
}

static void
gather_one(struct metric_set *s, const struct processes *p, const struct usage *self, enum what what,
    enum metric_type type, const char *name, const char *unit, const char *help)
{
	struct metric_family *f = metric_family_add(s, name, type, unit, help, SCOPE_SELF, 0);

	if (self != NULL)
		metric_simple(s, f, "process.name", p->self, usage_value(self, what));
	for (size_t i = 0; i < ARRAY_LEN(p->daemons); i++)
		for (size_t k = 0; p->daemons[i].up && k < p->daemons[i].n; k++) {
			struct metric_point *point = metric_point_add(s, f);
			const char *who = p->daemons[i].usage[k].name;

			if (point == NULL)
				return;
			metric_label_n(s, point, "process.name", who, strlen(who));
			point->value = usage_value(&p->daemons[i].usage[k], what);
		}
}

void
processes_gather(struct metric_set *s, struct processes *p)
{
	json_t *mine = ctl_process(p->self);
	struct usage self;
	const struct usage *known = usage_read(&self, mine) ? &self : NULL;
	struct metric_family *up;

	json_decref(mine);
	gather_one(s, p, known, WHAT_CPU, METRIC_COUNTER, "tulle.process.cpu.time", "s",
	    "CPU seconds of each process of Tulle, user and system.");
	gather_one(s, p, known, WHAT_MEMORY, METRIC_LEVEL, "tulle.process.memory.usage", "By", "Resident memory.");
	gather_one(s, p, known, WHAT_FDS, METRIC_LEVEL, "tulle.process.open_file_descriptor.count", "{file_descriptor}",
	    "Open descriptors.");
	gather_one(s, p, known, WHAT_STARTED, METRIC_GAUGE, "tulle.process.start_time", "s",
	    "When the process started, seconds since the epoch.");
	up = metric_family_add(s, "tulle.process.up", METRIC_GAUGE, "1", "Does the daemon answer? 1 or 0.", SCOPE_SELF, 0);
	metric_simple(s, up, "process.name", p->self, 1);
	for (size_t i = 0; i < ARRAY_LEN(p->daemons); i++)
		metric_simple(s, up, "process.name", p->daemons[i].name, p->daemons[i].up ? 1 : 0);
}
