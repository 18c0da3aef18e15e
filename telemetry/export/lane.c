/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"

/* A failing destination says so again after this long. */
#define REMIND_NS (600 * NS_PER_SEC)
#define PARTIAL_NS (60 * NS_PER_SEC)

struct item {
	TAILQ_ENTRY(item) link;
	struct payload *payload; /* one reference */
};

struct lane {
	enum signal signal;
	const char *destination; /* lent */
	bool compress;
	struct zstd *z;              /* lent */
	const struct lane_ops *ops;  /* lent */
	void *arg;
	enum lane_state state;
	enum lane_coding coding;
	TAILQ_HEAD(, item) queue; /* the oldest first */
	struct item *flying;      /* owned, not in the queue; NULL during a probe */
	uint8_t *raw;             /* owned: what is flying, without compression */
	size_t raw_max;           /* larger ones are split first */
	uint64_t bytes, bytes_max, records; /* queue and flying */
	struct lane_account account;
	uint64_t attempts;
	unsigned int failures;
	bool fault;
	uint64_t last_success_ns, last_error_ns, reminded_ns, partial_ns;
	uint64_t unsaid; /* failures since the log last spoke of them */
	char last_error[EXPORT_TEXT + 32];
};

static void lane_next(struct lane *l);

enum tulle_err
lane_new(struct lane **ret, enum signal signal, const char *destination, bool compress, struct zstd *z,
    const struct lane_ops *ops, void *arg)
{
	static const uint64_t room[] = { [SIGNAL_TRACES] = LANE_BYTES_TRACES, [SIGNAL_METRICS] = LANE_BYTES_METRICS,
		[SIGNAL_LOGS] = LANE_BYTES_LOGS };
	struct lane *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return TULLE_ENOMEM;
	l->signal = signal;
	l->destination = destination;
	l->compress = compress;
	l->coding = compress ? CODING_UNKNOWN : CODING_NONE;
	l->z = z;
	l->ops = ops;
	l->arg = arg;
	l->raw_max = SIZE_MAX;
	l->bytes_max = room[signal];
	TAILQ_INIT(&l->queue);
	*ret = l;
	return TULLE_OK;
}

/* ---- the queue ------------------------------------------------------------- */

/* The item has left the queue: its records are accounted for by the caller. */
static void
item_free(struct lane *l, struct item *i)
{
	l->bytes -= i->payload->len;
	l->records -= i->payload->records;
	payload_unref(i->payload);
	free(i);
}

static void
item_drop(struct lane *l, struct item *i, enum drop_reason why)
{
	l->account.dropped[why] += i->payload->records;
	item_free(l, i);
}

/* Queues a payload whose reference is taken over; false when out of memory: the reference is gone. */
static bool
item_add(struct lane *l, struct payload *p, bool front)
{
	struct item *i = calloc(1, sizeof(*i));

	if (i == NULL) {
		l->account.dropped[DROP_NO_MEMORY] += p->records;
		payload_unref(p);
		return false;
	}
	i->payload = p;
	l->bytes += p->len;
	l->records += p->records;
	if (front)
		TAILQ_INSERT_HEAD(&l->queue, i, link);
	else
		TAILQ_INSERT_TAIL(&l->queue, i, link);
	return true;
}

static struct item *
item_take(struct lane *l)
{
	struct item *i = TAILQ_FIRST(&l->queue);

	if (i != NULL)
		TAILQ_REMOVE(&l->queue, i, link);
	return i;
}

struct lane *
lane_free(struct lane *l, enum drop_reason why)
{
	struct item *i;

	if (l == NULL)
		return NULL;
	while ((i = item_take(l)) != NULL)
		item_drop(l, i, why);
	if (l->flying != NULL)
		item_drop(l, l->flying, why);
	free(l->raw);
	free(l);
	return NULL;
}

void
lane_push(struct lane *l, struct payload *p)
{
	/* A newer cumulative sum says all that an older one said. */
	enum drop_reason why = l->signal == SIGNAL_METRICS ? DROP_SUPERSEDED : DROP_QUEUE_FULL;

	l->account.accepted += p->records;
	while (l->bytes + p->len > l->bytes_max && !TAILQ_EMPTY(&l->queue))
		item_drop(l, item_take(l), why);
	(void)item_add(l, payload_ref(p), false);
	lane_next(l);
}

bool
lane_empty(const struct lane *l)
{
	return l->flying == NULL && TAILQ_EMPTY(&l->queue);
}

/* ---- sending --------------------------------------------------------------- */

static void
lane_wait(struct lane *l, uint64_t ms)
{
	l->state = LANE_WAITING;
	l->ops->wait(l->arg, ms);
}

/* Puts the two halves of <i>, which is gone afterwards, in front of the queue. */
static void
item_split(struct lane *l, struct item *i)
{
	struct payload *a = NULL, *b = NULL;
	enum tulle_err e = payload_split(i->payload, l->z, &a, &b);

	if (e) {
		item_drop(l, i, e == TULLE_EINVAL ? DROP_TOO_LARGE : DROP_NO_MEMORY);
		return;
	}
	item_free(l, i);
	(void)item_add(l, b, true);
	(void)item_add(l, a, true);
}

static void
lane_probe(struct lane *l)
{
	size_t n;
	const uint8_t *probe = payload_probe(&n);

	l->state = LANE_PROBING;
	l->attempts++;
	if (l->ops->send(l->arg, probe, n, true) != TULLE_OK)
		lane_wait(l, BACKOFF_BASE_MS);
}

/* Sends l->flying. */
static enum tulle_err
lane_send(struct lane *l)
{
	const struct payload *p = l->flying->payload;
	size_t n = p->len;
	enum tulle_err e;

	if (l->coding == CODING_ZSTD)
		return l->ops->send(l->arg, p->body, n, true);
	free(l->raw);
	l->raw = NULL;
	e = payload_raw(p, l->z, &l->raw, &n);
	return e ? e : l->ops->send(l->arg, l->raw, n, false);
}

/* Does what is next, if nothing is under way. */
static void
lane_next(struct lane *l)
{
	struct item *i;

	if (l->state != LANE_IDLE)
		return;
	if (l->flying == NULL && TAILQ_EMPTY(&l->queue))
		return;
	if (l->coding == CODING_UNKNOWN) {
		lane_probe(l);
		return;
	}
	while (l->flying == NULL && (i = item_take(l)) != NULL) {
		if (i->payload->raw_len > l->raw_max && !i->payload->split)
			item_split(l, i);
		else
			l->flying = i;
	}
	if (l->flying == NULL)
		return;
	l->state = LANE_SENDING;
	l->attempts++;
	if (lane_send(l) != TULLE_OK)
		lane_wait(l, BACKOFF_BASE_MS);
}

void
lane_due(struct lane *l)
{
	if (l->state != LANE_WAITING)
		return;
	l->state = LANE_IDLE;
	lane_next(l);
}

/* ---- answers --------------------------------------------------------------- */

/* Says it once per change, and now and then while it lasts. */
static void
lane_failed(struct lane *l, unsigned int status, const struct export_result *r, uint64_t now_ns)
{
	l->failures++;
	l->unsaid++;
	l->last_error_ns = now_ns;
	if (status != 0)
		(void)snprintf(l->last_error, sizeof(l->last_error), "HTTP %u%s%s", status, r->text[0] != '\0' ? ": " : "",
		    r->text);
	else
		(void)snprintf(l->last_error, sizeof(l->last_error), "%s", r->text);
	if (l->failures > 1 && now_ns - l->reminded_ns < REMIND_NS)
		return;
	log_warn("telemetry destination fails", LF_STR("destination", l->destination),
	    LF_STR("signal", signal_name(l->signal)), LF_STR("why", l->last_error), LF_UINT("failures", l->unsaid),
	    LF_UINT("queued", l->records));
	l->reminded_ns = now_ns;
	l->unsaid = 0;
}

static void
lane_worked(struct lane *l, uint64_t now_ns)
{
	if (l->failures > 0)
		log_notice("telemetry destination works again", LF_STR("destination", l->destination),
		    LF_STR("signal", signal_name(l->signal)), LF_UINT("failures", l->failures));
	l->failures = 0;
	l->unsaid = 0;
	l->fault = false;
	l->last_success_ns = now_ns;
}

static void
lane_pause(struct lane *l, unsigned int status, const struct export_result *r, uint64_t retry_after_ms,
    uint64_t now_ns, uint32_t random)
{
	lane_failed(l, status, r, now_ns);
	lane_wait(l, backoff_ms(l->failures, retry_after_ms, random));
}

/* An empty request was answered: what does the server understand? */
static void
probe_done(struct lane *l, enum tulle_err e, unsigned int status, const struct export_result *r,
    uint64_t retry_after_ms, uint64_t now_ns, uint32_t random)
{
	l->state = LANE_IDLE;
	switch (export_coding_refused(e, status) ? EXPORT_DROP : r->verdict) {
	case EXPORT_DELIVERED:
		l->coding = CODING_ZSTD;
		lane_worked(l, now_ns);
		lane_next(l);
		return;
	case EXPORT_DROP: /* zstd refused, or nothing that an empty request could tell us */
	case EXPORT_SPLIT:
		l->coding = CODING_NONE;
		lane_next(l);
		return;
	case EXPORT_FAULT:
		l->fault = true;
		break;
	case EXPORT_RETRY:
	case EXPORT_PAUSE:
		break;
	}
	lane_pause(l, status, r, retry_after_ms, now_ns, random);
}

static void
delivered(struct lane *l, struct item *i, const struct export_result *r, uint64_t now_ns)
{
	uint64_t n = i->payload->records;
	uint64_t rejected = r->rejected < n ? r->rejected : n;

	l->account.rejected += rejected;
	l->account.delivered += n - rejected;
	item_free(l, i);
	lane_worked(l, now_ns);
	if ((rejected == 0 && r->text[0] == '\0') || (l->partial_ns != 0 && now_ns - l->partial_ns < PARTIAL_NS))
		return;
	l->partial_ns = now_ns;
	log_warn("telemetry destination took only a part", LF_STR("destination", l->destination),
	    LF_STR("signal", signal_name(l->signal)), LF_UINT("rejected", rejected), LF_STR("why", r->text));
}

void
lane_done(struct lane *l, enum tulle_err e, unsigned int status, const uint8_t *body, size_t len,
    uint64_t retry_after_ms, uint64_t now_ns, uint32_t random)
{
	struct item *i = l->flying;
	struct export_result r;

	export_judge(&r, e, status, body, len);
	if (l->state == LANE_PROBING) {
		probe_done(l, e, status, &r, retry_after_ms, now_ns, random);
		return;
	}
	l->state = LANE_IDLE;
	switch (r.verdict) {
	case EXPORT_DELIVERED:
		l->flying = NULL;
		delivered(l, i, &r, now_ns);
		break;
	case EXPORT_DROP:
		l->flying = NULL;
		item_drop(l, i, DROP_NON_RETRYABLE);
		/* The pause keeps a server that refuses everything from eating the queue in a second. */
		lane_pause(l, status, &r, 0, now_ns, random);
		return;
	case EXPORT_SPLIT:
		l->flying = NULL;
		l->raw_max = i->payload->raw_len / 2;
		if (i->payload->split)
			item_drop(l, i, DROP_TOO_LARGE);
		else
			item_split(l, i);
		break;
	case EXPORT_FAULT:
		l->flying = NULL;
		l->account.rejected += i->payload->records;
		item_free(l, i);
		l->fault = true;
		if (l->compress)
			l->coding = CODING_UNKNOWN; /* probe, so that the next one is not lost too */
		lane_pause(l, status, &r, retry_after_ms, now_ns, random);
		return;
	case EXPORT_RETRY:
	case EXPORT_PAUSE:
		lane_pause(l, status, &r, retry_after_ms, now_ns, random);
		return;
	}
	lane_next(l);
}

void
lane_status(const struct lane *l, struct lane_status *ret)
{
	*ret = (struct lane_status){
		.state = l->state,
		.coding = l->coding,
		.account = l->account,
		.queued = l->records,
		.queued_bytes = l->bytes,
		.attempts = l->attempts,
		.failures = l->failures,
		.fault = l->fault,
		.last_success_ns = l->last_success_ns,
		.last_error_ns = l->last_error_ns,
		.last_error = l->last_error,
	};
}
