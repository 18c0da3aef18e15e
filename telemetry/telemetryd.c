/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telemetryd.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "events/attach.h"
#include "io/notify.h"

#define WORDS_MAX (128 * 1024) /* PROBLEMS_MAX lines of the longest kind */
#define PROCESSES_MS 10000
#define STOP_MS 5000 /* how long a stop may send what is left */
#define STOP_LOOK_MS 20

/* ---- records --------------------------------------------------------------- */

static void
on_event(void *arg, struct record *r)
{
	struct telemetryd *t = arg;
	uint64_t now = loop_now(t->loop);

	record_redact(r);
	pipeline_log(t->pipeline, r, record_log_fate(r, t->settings->access, &t->caps, now));
	if (r->ev.kind == EVENT_CLOSE)
		pipeline_span(t->pipeline, r, record_span_fate(r, t->settings->tracing, &t->caps, now));
}

static void
export_metrics(struct telemetryd *t)
{
	struct metric_set set;

	if (pipeline_senders(t->pipeline) == 0)
		return;
	telemetryd_gather(t, &set);
	if (set.short_of_memory)
		log_warn("metrics are incomplete: too many for their memory");
	pipeline_metrics(t->pipeline, &set);
	metric_set_free(&set);
}

/* The counters of a relay that is gone are told a last time. */
static void
on_leaving(void *arg, struct events_reader *r)
{
	struct telemetryd *t = arg;

	(void)r; /* it is still the source's */
	if (t->stop_at_ms == 0) /* then they were told already */
		export_metrics(t);
}

static void
metrics_due(struct timer *timer)
{
	struct telemetryd *t = CONTAINER_OF(timer, struct telemetryd, metrics_timer);

	export_metrics(t);
	timer_set(t->loop, &t->metrics_timer, t->settings->metrics_ms, metrics_due);
}

/* ---- settings -------------------------------------------------------------- */

static bool
listen_equal(const struct listen_at *a, const struct listen_at *b)
{
	return a->on == b->on && (!a->on || (a->at.family == b->at.family && addr_equal(&a->at, &b->at)));
}

/*
 * Puts <s> in force, or says in <why> (of <n> bytes) why not and leaves
 * everything as it was.  On success <s> is taken over.
 */
static enum tulle_err
settings_apply(struct telemetryd *t, struct settings *s, char *why, size_t n)
{
	struct http_server *scrape = NULL;
	bool listen = t->settings == NULL || !listen_equal(&t->settings->scrape, &s->scrape);
	const char *reason = "";
	char text[ADDR_TEXT];
	size_t bad = 0;
	enum tulle_err e = listen ? scrape_open(&scrape, t, &s->scrape) : TULLE_OK;

	if (e) {
		(void)snprintf(why, n, "telemetry.metrics: cannot listen at %s port %u: %s",
		    s->scrape.at.family == 0 ? "any address," : addr_format_ip(&s->scrape.at, text), s->scrape.at.port,
		    e == TULLE_EBUSY ? "another program listens there" : tulle_strerror(e));
		return e;
	}
	e = pipeline_destinations(t->pipeline, s->destinations, s->n_destinations, &s->sender, &bad, &reason);
	if (e) {
		http_server_free(scrape);
		(void)snprintf(why, n, "telemetry.destinations[%zu].otlp: \"%s\": %s", bad, s->destinations[bad], reason);
		return e;
	}
	if (pipeline_resource(t->pipeline, s->resource, s->n_resource) != TULLE_OK)
		log_warn("the description of this host is the old one: out of memory");
	if (listen) {
		http_server_free(t->scrape);
		t->scrape = scrape;
	}
	log_set_threshold((enum log_level)s->log_level);
	settings_free(t->settings);
	t->settings = s;
	return TULLE_OK;
}

/*
 * Reads the file again.  <words> gets a line for everything that is wrong,
 * or for each warning if it went well, for whoever asked.
 */
static enum tulle_err
reload(struct telemetryd *t, struct buf *words)
{
	struct settings *s = NULL;
	struct problems problems;
	char why[1024];
	enum tulle_err e;

	problems_init(&problems);
	e = settings_read(&s, t->instance, &problems);
	problems_print(words, &problems);
	for (size_t i = 0; i < problems.n; i++)
		log_write(problems.list[i].warning ? LOG_LVL_WARN : LOG_LVL_ERROR, "tulle.yaml",
		    (const struct log_field[]){ LF_STR("problem", problems.list[i].line), { .kind = LOG_F_END } });
	if (e && problems.errors == 0)
		(void)buf_printf(words, "%s\n", tulle_strerror(e));
	problems_free(&problems);
	if (e)
		return e;
	e = settings_apply(t, s, why, sizeof(why));
	if (e) {
		(void)buf_printf(words, "%s\n", why);
		log_error("the settings do not work", LF_STR("why", why));
		settings_free(s);
	}
	return e;
}

/* reload(), told to the log and to systemd. */
static enum tulle_err
reload_told(struct telemetryd *t, struct buf *words)
{
	enum tulle_err e;

	notify_send("RELOADING=1");
	e = reload(t, words);
	if (e)
		log_error("reload failed, the old settings stay", LF_STR("error", tulle_strerror(e)));
	else
		log_notice("reloaded", LF_UINT("destinations", t->settings->n_destinations));
	notify_send("READY=1");
	return e;
}

/* ---- commands and signals -------------------------------------------------- */

static void
command_reload(void *arg, struct ctl_call *call, const json_t *args)
{
	struct buf words = buf_new(WORDS_MAX);
	enum tulle_err e = reload_told(arg, &words);
	size_t n = buf_len(&words);
	char AUTO_FREE *text = strndup(n > 0 ? (const char *)buf_head(&words) : "", n);

	(void)args;
	buf_free(&words);
	if (e == TULLE_OK) {
		ctl_ok(call, json_pack("{s:s}", "warnings", text != NULL ? text : ""));
		return;
	}
	if (text != NULL && n > 0)
		text[n - 1] = '\0'; /* the last newline: who prints it adds one */
	ctl_fail(call, "%s", text != NULL ? text : tulle_strerror(e));
}

static void
command_status(void *arg, struct ctl_call *call, const json_t *args)
{
	(void)args;
	ctl_ok(call, telemetryd_status(arg));
}

static const struct ctl_command commands[] = {
	{ "status", false, command_status },
	{ "reload", true, command_reload },
	{ NULL, false, NULL },
};

static void
stop_look(struct timer *timer)
{
	struct telemetryd *t = CONTAINER_OF(timer, struct telemetryd, stop_timer);

	if (pipeline_empty(t->pipeline) || loop_now(t->loop) >= t->stop_at_ms)
		loop_stop(t->loop);
	else
		timer_set(t->loop, &t->stop_timer, STOP_LOOK_MS, stop_look);
}

/* Everything that is there goes out: rings, then counters, then open batches. */
static void
stop(struct telemetryd *t)
{
	if (t->stop_at_ms != 0) {
		loop_stop(t->loop); /* told twice */
		return;
	}
	notify_send("STOPPING=1");
	log_notice("stopping");
	t->stop_at_ms = loop_now(t->loop) + STOP_MS;
	timer_clear(t->loop, &t->metrics_timer);
	source_drain(t->source);
	export_metrics(t);
	pipeline_flush(t->pipeline);
	stop_look(&t->stop_timer);
}

static void
on_signal(void *arg, int signo)
{
	struct buf words = buf_new(WORDS_MAX);

	if (signo == SIGHUP)
		(void)reload_told(arg, &words);
	else
		stop(arg);
	buf_free(&words);
}

static void
watchdog_due(struct timer *timer)
{
	struct telemetryd *t = CONTAINER_OF(timer, struct telemetryd, watchdog_timer);

	notify_send("WATCHDOG=1");
	timer_set(t->loop, &t->watchdog_timer, notify_watchdog_ms(), watchdog_due);
}

/* ---- start ----------------------------------------------------------------- */

static enum tulle_err
signals_take(struct telemetryd *t)
{
	static const int wanted[] = { SIGTERM, SIGINT, SIGHUP };
	enum tulle_err e = TULLE_OK;

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; e == TULLE_OK && i < ARRAY_LEN(wanted); i++)
		e = loop_on_signal(t->loop, wanted[i], on_signal, t);
	return e;
}

enum tulle_err
telemetryd_start(struct telemetryd *t, struct settings *settings, int control_fd)
{
	const struct source_sink sink = { .event = on_event, .leaving = on_leaving, .arg = t };
	char why[1024] = "";
	enum tulle_err e = loop_new(&t->loop);

	(void)snprintf(t->relay_path, sizeof(t->relay_path), "%s", paths_run(EVENTS_SOCKET));
	t->start_ns = clock_wall_ns();
	if (e == TULLE_OK)
		e = signals_take(t);
	if (e == TULLE_OK)
		e = pipeline_new(&t->pipeline, t->loop);
	if (e == TULLE_OK) {
		e = settings_apply(t, settings, why, sizeof(why));
		if (e == TULLE_OK)
			settings = NULL;
	}
	if (e == TULLE_OK)
		e = source_new(&t->source, t->loop, t->relay_path, &sink);
	if (e == TULLE_OK)
		e = processes_new(&t->processes, t->loop, TELEMETRYD_NAME, PROCESSES_MS);
	if (e == TULLE_OK) {
		e = ctl_serve_fd(&t->control, t->loop, control_fd, TELEMETRYD_NAME, commands, t);
		control_fd = e == TULLE_OK ? -1 : control_fd;
	}
	if (control_fd != -1)
		(void)close(control_fd);
	settings_free(settings);
	if (e) {
		log_error("cannot start", LF_STR("why", why[0] != '\0' ? why : tulle_strerror(e)));
		return e;
	}
	timer_set(t->loop, &t->metrics_timer, t->settings->metrics_ms, metrics_due);
	if (notify_watchdog_ms() > 0)
		timer_set(t->loop, &t->watchdog_timer, notify_watchdog_ms(), watchdog_due);
	return TULLE_OK;
}

enum tulle_err
telemetryd_run(struct telemetryd *t)
{
	log_notice("ready", LF_UINT("destinations", t->settings->n_destinations));
	notify_send("READY=1");
	return loop_run(t->loop);
}

void
telemetryd_free(struct telemetryd *t)
{
	if (t->loop == NULL)
		return;
	t->control = ctl_server_free(t->control);
	t->scrape = http_server_free(t->scrape);
	/* The last events and counters of a segment go to the pipeline, so the source goes first; what cannot be
	 * sent any more is then counted and logged there. */
	t->source = source_free(t->source);
	t->processes = processes_free(t->processes);
	t->pipeline = pipeline_free(t->pipeline);
	t->settings = settings_free(t->settings);
	t->loop = loop_free(t->loop);
}
