/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "workload/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "grpc/client.h"
#include "workload/response.h"

#define RETRY_STEP_MS 1000
#define RETRY_MAX_MS 30000
#define DIAL_MS 15000 /* for an answer to dial() */
#define ERROR_TEXT 256

struct workload_client {
	struct loop *loop;
	struct workload_events events;
	void *arg;
	struct grpc_client *grpc;      /* NULL between connections */
	struct grpc_request *stream;
	struct timer retry;
	struct timer unanswered;       /* dial() */
	uint64_t retry_ms;             /* how long the last wait was */
	bool dialling;                 /* dial() was asked and has not been answered */
	struct workload_state state;
	char error[ERROR_TEXT];
};

static void dial_due(struct timer *t);

static void
set_error(struct workload_client *c, const char *text)
{
	(void)snprintf(c->error, sizeof(c->error), "%s", text);
}

/* One step longer than last time, and up to a fifth more by chance, so that a host's clients do not come together. */
static void
retry_later(struct workload_client *c)
{
	uint32_t chance = 0;

	if (c->state.stopped || timer_active(&c->retry))
		return;
	c->retry_ms = c->retry_ms + RETRY_STEP_MS > RETRY_MAX_MS ? RETRY_MAX_MS : c->retry_ms + RETRY_STEP_MS;
	if (getrandom(&chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		chance = (uint32_t)loop_now_ns(c->loop);
	timer_set(c->loop, &c->retry, c->retry_ms + chance % (c->retry_ms / 5), dial_due);
}

/* A message that cannot be used is reported and thrown away; what was there stays (W-10). */
static void
on_message(void *arg, const uint8_t *p, size_t n)
{
	struct workload_client *c = arg;
	struct workload_response *r;
	const char *why = "out of memory";

	if (workload_response_read(&r, p, n, &why) != TULLE_OK) {
		set_error(c, why);
		log_warn("identity response thrown away", LF_STR("reason", why));
		return;
	}
	if (c->events.update(c->arg, workload_response_update(r))) {
		c->error[0] = '\0';
		c->retry_ms = 0;
		c->state.connected = true;
		c->state.denied = false;
		c->state.updates++;
		c->state.last_update_ns = clock_wall_ns();
	} else {
		set_error(c, "the response cannot be used");
	}
	(void)workload_response_free(r);
}

static void
on_finished(void *arg, enum grpc_status status, const char *text)
{
	struct workload_client *c = arg;

	c->stream = NULL;
	c->state.connected = false;
	c->state.denied = status == GRPC_PERMISSION_DENIED;
	(void)snprintf(c->error, sizeof(c->error), "%s: %.200s", grpc_status_name((int)status), text);
	if (status == GRPC_INVALID_ARGUMENT) {
		c->state.stopped = true;
		log_error("the Workload API refuses the question: not asked again", LF_STR("reason", c->error));
	} else {
		log_info("identity stream ended", LF_STR("reason", c->error));
	}
	retry_later(c);
}

static void
on_closed(void *arg, const char *reason)
{
	struct workload_client *c = arg;

	if (c->error[0] == '\0')
		set_error(c, reason);
	retry_later(c);
}

static void
dial_unanswered(struct timer *t)
{
	struct workload_client *c = CONTAINER_OF(t, struct workload_client, unanswered);

	c->dialling = false;
	set_error(c, "no connection was made in time");
	retry_later(c);
}

static void
dial_due(struct timer *t)
{
	struct workload_client *c = CONTAINER_OF(t, struct workload_client, retry);

	c->stream = NULL;
	c->grpc = grpc_client_free(c->grpc);
	c->dialling = true;
	timer_set(c->loop, &c->unanswered, DIAL_MS, dial_unanswered);
	c->events.dial(c->arg);
}

enum tulle_err
workload_client_new(struct workload_client **ret, struct loop *l, const struct workload_events *events, void *arg)
{
	struct workload_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return TULLE_ENOMEM;
	*c = (struct workload_client){ .loop = l, .events = *events, .arg = arg };
	set_error(c, "not connected yet");
	timer_set(l, &c->retry, 0, dial_due);
	*ret = c;
	return TULLE_OK;
}

void
workload_client_connected(struct workload_client *c, int fd, const char *why)
{
	static const struct grpc_metadata metadata = { "workload.spiffe.io", "true" };
	static const struct grpc_handler handler = { on_message, on_finished };
	const struct grpc_client_events events = { .closed = on_closed };
	enum tulle_err e;

	if (!c->dialling) { /* an answer to nothing */
		if (fd != -1)
			(void)close(fd);
		return;
	}
	c->dialling = false;
	timer_clear(c->loop, &c->unanswered);
	if (fd == -1) {
		set_error(c, why);
		retry_later(c);
		return;
	}
	e = grpc_client_new(&c->grpc, c->loop, fd, NULL, &events, c);
	if (e != TULLE_OK) {
		(void)close(fd);
	} else {
		e = grpc_start(c->grpc, &c->stream, "/SpiffeWorkloadAPI/FetchX509SVID", NULL, 0, &metadata, 1, 0, &handler, c);
	}
	if (e != TULLE_OK) {
		set_error(c, tulle_strerror(e));
		retry_later(c);
	}
}

struct workload_client *
workload_client_free(struct workload_client *c)
{
	if (c == NULL)
		return NULL;
	timer_clear(c->loop, &c->retry);
	timer_clear(c->loop, &c->unanswered);
	(void)grpc_client_free(c->grpc);
	free(c);
	return NULL;
}

struct workload_state
workload_client_state(const struct workload_client *c)
{
	struct workload_state s = c->state;

	s.error = c->error;
	return s;
}
