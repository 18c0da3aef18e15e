/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pipeline.h - from records to destinations: the open batch of each signal,
 * closed at 1,000 records, 1 MiB or 1 s (metrics: at each export), and then
 * shared by all senders.
 */
#ifndef TULLE_TELEMETRY_EXPORT_PIPELINE_H
#define TULLE_TELEMETRY_EXPORT_PIPELINE_H

#include "collect/metrics.h"
#include "collect/record.h"
#include "export/account.h"
#include "export/otlp.h"
#include "export/sender.h"
#include "io/loop.h"

struct pipeline;

/* TULLE_ENOMEM. */
enum tulle_err pipeline_new(struct pipeline **ret, struct loop *l);

/* What is still queued is dropped as "shutdown".  Takes NULL, returns NULL. */
struct pipeline *pipeline_free(struct pipeline *p);

/* What stands on every batch.  Closes the open ones first.  TULLE_ENOMEM: the old one stays. */
enum tulle_err pipeline_resource(struct pipeline *p, const struct otlp_attribute *attributes, size_t n);

/*
 * Makes the senders those of <urls>: a sender whose URL stays keeps its
 * queue unless <o> is another than before; the others are closed and their queues dropped.  <o> is
 * lent until the next call or pipeline_free().  A URL that cannot be used
 * is an error of the whole: nothing changed, *ret_bad is its place in
 * <urls> and *ret_why says what would be right.
 *
 *   TULLE_EINVAL, TULLE_ENOENT, TULLE_ECRYPTO, TULLE_ENOMEM
 */
enum tulle_err pipeline_destinations(struct pipeline *p, const char *const *urls, size_t n,
    const struct sender_options *o, size_t *ret_bad, const char **ret_why);

/* One candidate for a log record or a span, with its fate. */
void pipeline_log(struct pipeline *p, const struct record *r, enum record_fate fate);
void pipeline_span(struct pipeline *p, const struct record *r, enum record_fate fate);

/* All families, as finished batches of their own. */
void pipeline_metrics(struct pipeline *p, const struct metric_set *s);

/* Closes the open batches now. */
void pipeline_flush(struct pipeline *p);

/* Nothing in a batch, nothing queued. */
bool pipeline_empty(const struct pipeline *p);

size_t pipeline_senders(const struct pipeline *p);
const struct sender *pipeline_sender(const struct pipeline *p, size_t i);

struct stage_status {
	struct stage_account account;
	uint64_t in_batch;
};
void pipeline_stage(const struct pipeline *p, enum signal signal, struct stage_status *ret);

#endif
