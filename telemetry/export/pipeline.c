/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* One Metric holds at most so many points, so that a batch stays near its bound. */
#define METRIC_POINTS 1000
#define SENDERS_MAX 16 /* as many as tulle.yaml may name */

struct stage {
	struct pipeline *pipeline;
	enum signal signal;
	struct batch open;
	struct timer timer;
	struct stage_account account;
};

struct pipeline {
	struct loop *loop; /* lent */
	struct zstd *zstd; /* owned */
	struct stage stages[SIGNALS];
	struct sender *senders[SENDERS_MAX]; /* owned */
	size_t n_senders;
	const struct sender_options *options; /* lent: of the senders */
	struct {
		uint8_t *bytes; /* owned */
		size_t len;
	} resource, scopes[METRIC_SCOPES];
};

/* ---- batches --------------------------------------------------------------- */

static void
stage_close_scope(struct stage *st, enum metric_scope scope)
{
	struct pipeline *p = st->pipeline;
	const struct envelope around = { p->resource.bytes, p->resource.len, p->scopes[scope].bytes,
		p->scopes[scope].len };
	uint64_t n = st->open.n;
	struct payload *payload = NULL;

	timer_clear(p->loop, &st->timer);
	if (n == 0)
		return;
	if (p->n_senders == 0) {
		st->account.dropped[DROP_NO_DESTINATION] += n;
	} else if (payload_new(&payload, p->zstd, st->signal, &around, buf_head(&st->open.bytes),
		       buf_len(&st->open.bytes), n) != TULLE_OK) {
		st->account.dropped[DROP_NO_MEMORY] += n;
	} else {
		st->account.handed_on += n;
		for (size_t i = 0; i < p->n_senders; i++)
			sender_push(p->senders[i], payload);
		payload_unref(payload);
	}
	batch_clear(&st->open);
}

static void
stage_close(struct stage *st)
{
	stage_close_scope(st, SCOPE_RELAY);
}

static void
stage_due(struct timer *t)
{
	stage_close(CONTAINER_OF(t, struct stage, timer));
}

/* One more record is in the batch, or (e) could not be put there. */
static void
stage_added(struct stage *st, enum tulle_err e)
{
	if (e)
		st->account.dropped[DROP_NO_MEMORY]++;
	else if (batch_full(&st->open))
		stage_close(st);
	else if (!timer_active(&st->timer))
		timer_set(st->pipeline->loop, &st->timer, BATCH_MS, stage_due);
}

/* Counts the candidate; true if it is to be encoded. */
static bool
stage_wants(struct stage *st, enum record_fate fate)
{
	st->account.emitted++;
	switch (fate) {
	case FATE_SAMPLED_OUT:
		st->account.dropped[DROP_SAMPLED_OUT]++;
		return false;
	case FATE_RATE_CAP:
		st->account.dropped[DROP_RATE_CAP]++;
		return false;
	case FATE_EMIT:
		break;
	}
	if (st->pipeline->n_senders > 0)
		return true;
	st->account.dropped[DROP_NO_DESTINATION]++;
	return false;
}

void
pipeline_log(struct pipeline *p, const struct record *r, enum record_fate fate)
{
	struct stage *st = &p->stages[SIGNAL_LOGS];

	if (stage_wants(st, fate))
		stage_added(st, otlp_log(&st->open, r, clock_wall_ns()));
}

void
pipeline_span(struct pipeline *p, const struct record *r, enum record_fate fate)
{
	struct stage *st = &p->stages[SIGNAL_TRACES];

	if (stage_wants(st, fate))
		stage_added(st, otlp_span(&st->open, r));
}

void
pipeline_metrics(struct pipeline *p, const struct metric_set *s)
{
	struct stage *st = &p->stages[SIGNAL_METRICS];

	for (int scope = 0; scope < METRIC_SCOPES; scope++) {
		for (size_t i = 0; i < s->n; i++) {
			const struct metric_family *f = &s->families[i];

			for (size_t k = 0; f->scope == (enum metric_scope)scope && k < f->n; k += METRIC_POINTS) {
				size_t n = f->n - k < METRIC_POINTS ? f->n - k : METRIC_POINTS;

				st->account.emitted += n;
				if (otlp_metric(&st->open, s, f, k, n) != TULLE_OK)
					st->account.dropped[DROP_NO_MEMORY] += n;
				if (batch_full(&st->open))
					stage_close_scope(st, (enum metric_scope)scope);
			}
		}
		stage_close_scope(st, (enum metric_scope)scope);
	}
}

void
pipeline_flush(struct pipeline *p)
{
	for (int i = 0; i < SIGNALS; i++)
		stage_close(&p->stages[i]);
}

/* ---- making ---------------------------------------------------------------- */

enum tulle_err
pipeline_new(struct pipeline **ret, struct loop *l)
{
	static const char *const scopes[] = { [SCOPE_RELAY] = "tulle.relay", [SCOPE_SELF] = "tulle.telemetry" };
	struct pipeline *p = calloc(1, sizeof(*p));
	enum tulle_err e;

	if (p == NULL)
		return TULLE_ENOMEM;
	p->loop = l;
	for (int i = 0; i < SIGNALS; i++) {
		p->stages[i].pipeline = p;
		p->stages[i].signal = (enum signal)i;
		batch_init(&p->stages[i].open);
	}
	e = zstd_new(&p->zstd);
	for (int i = 0; e == TULLE_OK && i < METRIC_SCOPES; i++)
		e = otlp_scope(scopes[i], TULLE_VERSION, &p->scopes[i].bytes, &p->scopes[i].len);
	if (e == TULLE_OK)
		e = pipeline_resource(p, NULL, 0);
	if (e) {
		pipeline_free(p);
		return e;
	}
	*ret = p;
	return TULLE_OK;
}

struct pipeline *
pipeline_free(struct pipeline *p)
{
	if (p == NULL)
		return NULL;
	pipeline_flush(p); /* so that the senders count and log what is lost */
	for (size_t i = 0; i < p->n_senders; i++)
		sender_free(p->senders[i], DROP_SHUTDOWN);
	for (int i = 0; i < SIGNALS; i++) {
		timer_clear(p->loop, &p->stages[i].timer);
		batch_free(&p->stages[i].open);
	}
	for (int i = 0; i < METRIC_SCOPES; i++)
		free(p->scopes[i].bytes);
	free(p->resource.bytes);
	zstd_free(p->zstd);
	free(p);
	return NULL;
}

enum tulle_err
pipeline_resource(struct pipeline *p, const struct otlp_attribute *attributes, size_t n)
{
	uint8_t *bytes;
	size_t len;
	enum tulle_err e = otlp_resource(attributes, n, &bytes, &len);

	if (e)
		return e;
	pipeline_flush(p);
	free(p->resource.bytes);
	p->resource.bytes = bytes;
	p->resource.len = len;
	return TULLE_OK;
}

/* Do the senders of <a> behave as those of <b>? */
static bool
options_equal(const struct sender_options *a, const struct sender_options *b)
{
	size_t i = 0;

	if (a == NULL || a->compress != b->compress || a->timeout_ms != b->timeout_ms ||
	    (a->ca_file == NULL) != (b->ca_file == NULL) || (a->ca_file != NULL && strcmp(a->ca_file, b->ca_file) != 0))
		return false;
	for (; a->headers[i] != NULL && b->headers[i] != NULL; i++)
		if (strcmp(a->headers[i], b->headers[i]) != 0)
			return false;
	return a->headers[i] == b->headers[i];
}

enum tulle_err
pipeline_destinations(struct pipeline *p, const char *const *urls, size_t n, const struct sender_options *o,
    size_t *ret_bad, const char **ret_why)
{
	struct sender *next[SENDERS_MAX] = { NULL };
	bool kept[SENDERS_MAX] = { false }, same = options_equal(p->options, o);
	enum tulle_err e = TULLE_OK;
	size_t i, k;

	n = n < SENDERS_MAX ? n : SENDERS_MAX;
	for (i = 0; i < n && e == TULLE_OK; i++) {
		for (k = 0; same && k < p->n_senders; k++)
			if (!kept[k] && strcmp(sender_url(p->senders[k]), urls[i]) == 0)
				break;
		if (same && k < p->n_senders) {
			kept[k] = true;
			next[i] = p->senders[k];
			continue;
		}
		e = sender_new(&next[i], p->loop, urls[i], o, p->zstd, ret_why);
		if (e)
			*ret_bad = i;
	}
	if (e) {
		/* The new ones are still empty; the old ones go on. */
		for (i = 0; i < n; i++) {
			for (k = 0; k < p->n_senders && p->senders[k] != next[i]; k++)
				continue;
			if (k == p->n_senders)
				sender_free(next[i], DROP_REMOVED);
		}
		return e;
	}
	for (k = 0; k < p->n_senders; k++) {
		if (kept[k])
			sender_options_set(p->senders[k], o);
		else
			sender_free(p->senders[k], DROP_REMOVED);
	}
	memcpy(p->senders, next, sizeof(next));
	p->n_senders = n;
	p->options = o;
	return TULLE_OK;
}

/* ---- looking at it --------------------------------------------------------- */

bool
pipeline_empty(const struct pipeline *p)
{
	for (int i = 0; i < SIGNALS; i++)
		if (p->stages[i].open.n > 0)
			return false;
	for (size_t i = 0; i < p->n_senders; i++)
		if (!sender_empty(p->senders[i]))
			return false;
	return true;
}

size_t
pipeline_senders(const struct pipeline *p)
{
	return p->n_senders;
}

const struct sender *
pipeline_sender(const struct pipeline *p, size_t i)
{
	return p->senders[i];
}

void
pipeline_stage(const struct pipeline *p, enum signal signal, struct stage_status *ret)
{
	ret->account = p->stages[signal].account;
	ret->in_batch = p->stages[signal].open.n;
}
