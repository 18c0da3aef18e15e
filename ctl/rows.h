/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rows.h - what the relay says of who talks to whom, as rows: the workers'
 * added up, two moments subtracted, sums.  Pure.
 */
#ifndef TULLE_CTL_ROWS_H
#define TULLE_CTL_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* One talk.  Texts are lent from the answer, "" where the relay has none; counts as in relayd/flow/talk.h. */
struct row {
	bool inbound;
	bool others; /* in sum, those that found no place in the relay's table: no texts */
	const char *how; /* "mutual", "plaintext", "local", "outside" */
	const char *address, *source, *destination, *service, *workload;
	int64_t port;
	int64_t connections, denied, failed, audited, active, received, sent;
	int64_t last; /* wall clock, seconds */
};

struct rows {
	int64_t since; /* wall clock, seconds: when all counts were 0 */
	struct row *list; /* owned */
	size_t n;
	json_t *answer; /* owned: the texts */
	json_t *index;  /* owned: places in <list> by what tells a talk from another */
};

/*
 * Takes <answer> over, also on failure.
 *
 *   TULLE_OK     *ret is to be released with rows_free()
 *   TULLE_EPEER  it is not what a relay of this version says
 *   TULLE_ENOMEM
 */
enum tulle_err rows_take(struct rows *ret, json_t *answer);

void rows_free(struct rows *r);

/*
 * What has happened from <before> to <now>, in <now>: rows in which nothing
 * has, and nothing is open, go.  If the relay was started anew in between,
 * <now> stays as it is, which is all since that start.
 */
void rows_subtract(struct rows *now, const struct rows *before);

/* Keeps the rows that keep() says true of. */
void rows_filter(struct rows *r, bool (*keep)(const void *arg, const struct row *row), const void *arg);

/* Inbound first; plaintext before local, outside and mutual; then who has most connections. */
void rows_sort(struct rows *r);

struct rows_sum {
	int64_t carried;   /* connections that were neither denied nor failed; those below are of these */
	int64_t mutual, plaintext, local, outside;
	int64_t denied, failed, audited;
	int64_t callers;   /* rows in plaintext, the others as one */
};

struct rows_sum rows_sum(const struct rows *r, bool inbound);

/* Of what could be mutual TLS, mutual and plaintext: the share that is, in tenths of a percent; -1: there is nothing. */
int rows_share(const struct rows_sum *s);

#endif
