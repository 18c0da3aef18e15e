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
#include "proto/workload.pb-c.h"

#define RETRY_STEP_MS 1000
#define RETRY_MAX_MS 30000
#define ERROR_TEXT 256

struct workload_client {
	struct loop *loop;
	struct workload_events events;
	void *arg;
	struct grpc_client *grpc;      /* NULL between connections */
	struct grpc_request *stream;
	struct timer retry;
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

/* Cuts one response into what the user takes.  TULLE_EPEER, TULLE_ENOMEM. */
static enum tulle_err
deliver(struct workload_client *c, const X509SVIDResponse *m)
{
	struct svid_der *svids = calloc(m->n_svids, sizeof(*svids));
	struct trust_bundle *bundles = calloc(m->n_federated_bundles + 1, sizeof(*bundles));
	struct workload_update u = { .svids = svids, .n_svids = m->n_svids, .bundles = bundles,
		.n_bundles = m->n_federated_bundles };
	enum tulle_err e = TULLE_ENOMEM;

	if (svids == NULL || bundles == NULL)
		goto done;
	for (size_t i = 0; i < m->n_svids; i++) {
		const X509SVID *s = m->svids[i];

		svids[i] = (struct svid_der){ .id = s->spiffe_id, .chain = s->x509_svid.data, .chain_len = s->x509_svid.len,
			.key = s->x509_svid_key.data, .key_len = s->x509_svid_key.len, .bundle = s->bundle.data,
			.bundle_len = s->bundle.len, .hint = s->hint };
	}
	for (size_t i = 0; i < m->n_federated_bundles; i++)
		bundles[i] = (struct trust_bundle){ .td = m->federated_bundles[i]->key,
			.roots = m->federated_bundles[i]->value.data, .len = m->federated_bundles[i]->value.len };
	e = c->events.update(c->arg, &u) ? TULLE_OK : TULLE_EPEER;
done:
	free(svids);
	free(bundles);
	return e;
}

static void
wipe_keys(X509SVIDResponse *m)
{
	for (size_t i = 0; i < m->n_svids; i++)
		if (m->svids[i]->x509_svid_key.data != NULL)
			explicit_bzero(m->svids[i]->x509_svid_key.data, m->svids[i]->x509_svid_key.len);
}

/* A message that cannot be used is reported and thrown away; what was there stays (W-10). */
static void
on_message(void *arg, const uint8_t *p, size_t n)
{
	struct workload_client *c = arg;
	X509SVIDResponse *m = x509_svidresponse__unpack(NULL, n, p);
	enum tulle_err e;

	if (m == NULL || m->n_svids == 0 || m->n_svids > IDENTITIES_MAX) {
		set_error(c, m == NULL ? "the response is malformed" : "the response holds no identity, or too many");
		log_warn("identity response thrown away", LF_STR("reason", c->error));
		goto done;
	}
	e = deliver(c, m);
	if (e != TULLE_OK) {
		set_error(c, "the response cannot be used");
		goto done;
	}
	c->error[0] = '\0';
	c->retry_ms = 0;
	c->state.connected = true;
	c->state.updates++;
	c->state.last_update_ns = clock_wall_ns();
done:
	if (m != NULL) {
		wipe_keys(m);
		x509_svidresponse__free_unpacked(m, NULL);
	}
}

static void
on_finished(void *arg, enum grpc_status status, const char *text)
{
	struct workload_client *c = arg;

	c->stream = NULL;
	c->state.connected = false;
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
dial_due(struct timer *t)
{
	struct workload_client *c = CONTAINER_OF(t, struct workload_client, retry);

	c->stream = NULL;
	c->grpc = grpc_client_free(c->grpc);
	c->dialling = true;
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
