/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * source.h - the relay as telemetryd sees it: attaches to the segment,
 * drains its rings, notices when the relay goes and comes back.
 *
 * While the relay is gone the old segment stays and is still looked at, for
 * its process may outlive its parent; it is drained to the end before a
 * new one takes its place.
 */
#ifndef TULLE_TELEMETRY_COLLECT_SOURCE_H
#define TULLE_TELEMETRY_COLLECT_SOURCE_H

#include "collect/record.h"
#include "events/read.h"
#include "io/loop.h"

struct source;

struct source_sink {
	/* One event.  All in <r> is lent for the call. */
	void (*event)(void *arg, struct record *r);
	/* A segment is about to be given up for another: the last chance to read its counters. */
	void (*leaving)(void *arg, struct events_reader *r);
	void *arg;
};

/* Starts looking for the relay at <path> (lent for the source's life).  TULLE_ENOMEM. */
enum tulle_err source_new(struct source **ret, struct loop *l, const char *path, const struct source_sink *sink);

/* Drains first.  Takes NULL, returns NULL. */
struct source *source_free(struct source *s);

/* Takes everything that is in the rings now. */
void source_drain(struct source *s);

/* Is the relay's parent at the other end? */
bool source_attached(const struct source *s);

/* The segment, lent until the next tick; NULL: there was none yet. */
struct events_reader *source_reader(struct source *s);

struct source_counts {
	uint64_t taken;    /* events, of all segments */
	uint64_t attached; /* times */
	uint64_t refused;  /* segments of another version, or no segments at all */
	uint64_t corrupt;  /* events, of all segments */
};
void source_counts(const struct source *s, struct source_counts *ret);

#endif
