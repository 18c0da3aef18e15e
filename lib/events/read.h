/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * read.h - telemetryd's side of the segment.
 *
 * Everything in the segment is copied before it is looked at and checked
 * before it is used: whatever the relay (or whoever took it over) writes
 * there, the reader returns values within the tables of vocab.h, numbers of
 * texts that exist, and valid UTF-8 without control characters.
 */
#ifndef TULLE_EVENTS_READ_H
#define TULLE_EVENTS_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "events/layout.h"

struct events_reader;

/*
 * Maps the segment behind <fd>, which stays the caller's, and goes on where
 * the last reader stopped.
 *
 *   TULLE_EPEER   not a segment: magic, sizes, or not sealed
 *   TULLE_EINVAL  a segment of another layout version or vocabulary
 *   TULLE_ENOMEM, TULLE_ESYS
 */
enum tulle_err events_reader_open(struct events_reader **ret, int fd);

/* The same for memory that is lent for the reader's life (tests). */
enum tulle_err events_reader_open_memory(struct events_reader **ret, void *memory, size_t len);

/* Takes NULL.  Always returns NULL. */
struct events_reader *events_reader_free(struct events_reader *r);

uint32_t events_reader_workers(const struct events_reader *r);
uint64_t events_reader_start(const struct events_reader *r); /* wall clock, when all counters were zero */
uint64_t events_reader_id(const struct events_reader *r);    /* random, one per segment */

/*
 * The next event of a worker.  Slots become free for the relay only with
 * events_reader_release(): until then another reader would get them again.
 *
 *   TULLE_OK     *ret is a checked copy
 *   TULLE_AGAIN  none there
 */
enum tulle_err events_read(struct events_reader *r, uint32_t worker, struct conn_event *ret);

/* Everything read so far, of all workers, is in memory that the caller owns. */
void events_reader_release(struct events_reader *r);

/* Events published and not yet read, all workers. */
uint64_t events_reader_waiting(const struct events_reader *r);

/* Slots that made no sense, or that a hostile head skipped, since the reader was opened. */
uint64_t events_reader_corrupt(const struct events_reader *r);

/* Events the relay tried to publish since the segment was made: in the ring plus dropped there. */
uint64_t events_reader_emitted(const struct events_reader *r);

/* A text of a worker, lent until events_reader_free(); "" if there is none of that number. */
const char *events_reader_text(struct events_reader *r, uint32_t worker, uint32_t number);

/* One counter, its workers made one as its kind says (0 if none has it). */
uint64_t events_reader_counter(const struct events_reader *r, enum counter_id id);

/* How many series a worker has, the overflow series (number 0) included. */
uint32_t events_reader_series_count(const struct events_reader *r, uint32_t worker);

/* A copy of series <i>; each counter is whole, all together are not one moment.  TULLE_ENOENT. */
enum tulle_err events_reader_series(const struct events_reader *r, uint32_t worker, uint32_t i, struct series *ret);

/*
 * Announces that the caller is about to wait for the doorbell.  False: there
 * are events, do not wait.
 */
bool events_reader_sleep(struct events_reader *r);

/* Takes the announcement back, so that the relay need not ring. */
void events_reader_wake(struct events_reader *r);

#endif
