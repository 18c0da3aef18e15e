/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * write.h - the relay's side of the segment: push events, count.
 *
 * relayd's parent makes the segment; it outlives a relay process, which
 * attaches to it and goes on counting where the last one stopped.  Each
 * worker thread has a writer of its own.  After events_attach() nothing
 * here allocates, locks, formats or reads a clock, and the only system call
 * is the doorbell, when telemetryd has said that it sleeps.
 */
#ifndef TULLE_EVENTS_WRITE_H
#define TULLE_EVENTS_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "events/layout.h"

/* Enough for 160,000 events a second and worker. */
#define EVENTS_SLOTS_DEFAULT 8192
#define EVENTS_TEXTS_DEFAULT 8192
#define EVENTS_TEXT_BYTES_DEFAULT (512u << 10)

/*
 * Makes a segment for <workers> writers, as a memory file whose size is
 * sealed.  Pages that nobody touched take no memory.  A parent that counts
 * too asks for one more and takes the last.
 *
 *   TULLE_OK      *ret_fd is the caller's
 *   TULLE_EINVAL  0 or more than EVENTS_WORKERS_MAX
 *   TULLE_ESYS
 */
enum tulle_err events_create(int *ret_fd, uint32_t workers);
enum tulle_err events_create_sized(int *ret_fd, const struct events_sizes *sizes);

/* What wakes telemetryd: an eventfd, the caller's.  TULLE_ESYS. */
enum tulle_err events_doorbell(int *ret_fd);

struct events;
struct events_writer;

/*
 * Maps a segment for writing; both descriptors stay the caller's, <doorbell>
 * must outlive the mapping (-1: never ring).  Counters go on; texts and
 * series that are there are found again.  Writers of <first> to
 * <first> + <n> - 1 can be used: only they are read, and their "active" is
 * set to zero, what it was being added to COUNT_CONNECTIONS_LOST.
 *
 *   TULLE_EPEER   no segment of this layout
 *   TULLE_EINVAL  not so many workers
 *   TULLE_ENOMEM, TULLE_ESYS
 */
enum tulle_err events_attach(struct events **ret, int fd, int doorbell, uint32_t first, uint32_t n);

/* Takes NULL.  Always returns NULL.  The segment stays. */
struct events *events_detach(struct events *e);

/* Tells the writers whether anybody drains: drops are then counted as ring_full, else as no_consumer.  May come late. */
void events_set_consumer(struct events *e, bool attached);

/* Writer <worker> (its number in the segment), lent until events_detach().  One thread at a time. */
struct events_writer *events_writer(struct events *e, uint32_t worker);

/*
 * Copies <ev> into the ring.  Never blocks: false if there was no room, which
 * is counted.  The last eighth of the ring is for what was denied, failed or
 * aborted.
 */
bool events_push(struct events_writer *w, const struct conn_event *ev);

/*
 * The number of a text (copied; cut at EVENTS_TEXT_LEN), the same for the
 * same text.  NULL or "" is EVENTS_TEXT_NONE; EVENTS_TEXT_OTHER when the table
 * is full.  Of configuration, fixed words and verified names only: the table
 * never forgets.
 */
uint32_t events_intern(struct events_writer *w, const char *text);
uint32_t events_intern_n(struct events_writer *w, const char *text, size_t len);

/* The text of a number that events_intern() gave, not ended by a NUL; lent until events_detach(). */
const char *events_text(const struct events_writer *w, uint32_t number, size_t *ret_len);

/*
 * The counters for <labels>; look up once per connection and keep the
 * pointer, which is lent until events_detach().  Never NULL: past the limit
 * it is the overflow series.
 */
struct series *events_series(struct events_writer *w, const struct series_labels *labels);

/* One writer per word, so that load and store need not be one step. */
static inline void
events_word_add(uint64_t *word, uint64_t n)
{
	__atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void
events_series_opened(struct series *s)
{
	events_word_add(&s->opened, 1);
	events_word_add(&s->active, 1);
}

/* Call as bytes move, or at intervals; not only at the end. */
static inline void
events_series_bytes(struct series *s, uint64_t rx, uint64_t tx)
{
	events_word_add(&s->rx_bytes, rx);
	events_word_add(&s->tx_bytes, tx);
}

/* Once for each events_series_opened() of the same series. */
void events_series_closed(struct series *s, enum event_outcome outcome, uint64_t duration_ns);

/* The counters of vocab.h. */
void events_add(struct events_writer *w, enum counter_id id, uint64_t n);
void events_set(struct events_writer *w, enum counter_id id, uint64_t value);

static inline void
events_count(struct events_writer *w, enum counter_id id)
{
	events_add(w, id, 1);
}

/* For COUNTER_LEVEL. */
static inline void
events_sub(struct events_writer *w, enum counter_id id, uint64_t n)
{
	events_add(w, id, UINT64_C(0) - n);
}

#endif
