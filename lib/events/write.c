/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "events/write.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events/writer.h"

struct events {
	uint8_t *base; /* mapped */
	struct events_layout layout;
	uint32_t first, n;
	struct events_writer *writers; /* owned, n */
};

/* A relay process is new: what the last one held open is gone. */
static void
connections_lost(struct events_writer *w)
{
	for (uint32_t i = 0; i < w->n_series; i++) {
		uint64_t active = w->series[i].active;

		if (active == 0)
			continue;
		events_add(w, COUNT_CONNECTIONS_LOST, active);
		__atomic_store_n(&w->series[i].active, 0, __ATOMIC_RELAXED);
	}
	for (int id = 0; id < COUNTERS; id++)
		if (counter_about((enum counter_id)id)->kind == COUNTER_LEVEL)
			events_set(w, (enum counter_id)id, 0);
}

static enum tulle_err
writer_init(struct events_writer *w, struct events *e, uint32_t worker, int doorbell)
{
	const struct events_layout *l = &e->layout;
	uint8_t *part = e->base + events_layout_worker(l, worker);
	enum tulle_err err;

	*w = (struct events_writer){
		.header = (struct events_header *)(void *)e->base,
		.control = (struct events_control *)(void *)part,
		.counters = (uint64_t *)(void *)(part + l->counters),
		.ring = (struct conn_event *)(void *)(part + l->ring),
		.places = (struct events_text_place *)(void *)(part + l->places),
		.bytes = (char *)part + l->bytes,
		.series = (struct series *)(void *)(part + l->series),
		.doorbell = doorbell,
		.slots = l->sizes.slots,
		.max_texts = l->sizes.texts,
		.max_bytes = l->sizes.text_bytes,
		.max_series = l->sizes.series,
	};
	w->head = __atomic_load_n(&w->control->head, __ATOMIC_ACQUIRE);
	err = writer_tables_init(w);
	if (err == TULLE_OK)
		connections_lost(w);
	return err;
}

static enum tulle_err
segment_check(int fd, struct events_layout *ret)
{
	struct events_header h;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return TULLE_ESYS;
	if (pread(fd, &h, sizeof(h), 0) != sizeof(h))
		return TULLE_EPEER;
	if (h.magic != EVENTS_MAGIC || h.version != EVENTS_LAYOUT_VERSION || h.vocab != events_vocab_digest())
		return TULLE_EPEER;
	if (events_layout_of(ret, &h.sizes) != TULLE_OK || st.st_size < 0 || (size_t)st.st_size != ret->total)
		return TULLE_EPEER;
	return TULLE_OK;
}

enum tulle_err
events_attach(struct events **ret, int fd, int doorbell, uint32_t first, uint32_t n)
{
	struct events_layout l;
	enum tulle_err err = segment_check(fd, &l);
	struct events *e;

	if (err)
		return err;
	if (first >= l.sizes.workers || n > l.sizes.workers - first || n == 0)
		return TULLE_EINVAL;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return TULLE_ENOMEM;
	e->layout = l;
	e->first = first;
	e->base = mmap(NULL, l.total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (e->base == MAP_FAILED) {
		free(e);
		return TULLE_ESYS;
	}
	e->writers = calloc(n, sizeof(*e->writers));
	err = e->writers == NULL ? TULLE_ENOMEM : TULLE_OK;
	for (; err == TULLE_OK && e->n < n; e->n++)
		err = writer_init(&e->writers[e->n], e, first + e->n, doorbell);
	if (err) {
		events_detach(e);
		return err;
	}
	*ret = e;
	return TULLE_OK;
}

struct events *
events_detach(struct events *e)
{
	if (e == NULL)
		return NULL;
	for (uint32_t i = 0; i < e->n; i++)
		writer_tables_free(&e->writers[i]);
	free(e->writers);
	(void)munmap(e->base, e->layout.total);
	free(e);
	return NULL;
}

void
events_set_consumer(struct events *e, bool attached)
{
	struct events_header *h = (struct events_header *)(void *)e->base;

	/*
	 * "sleeping" is not ours to clear: the news may be older than the sleep of the telemetryd that has come since, and it would
	 * sleep for ever.  That of one that has gone costs a ring that nobody hears.
	 */
	__atomic_store_n(&h->consumer, attached ? 1 : 0, __ATOMIC_RELAXED);
}

struct events_writer *
events_writer(struct events *e, uint32_t worker)
{
	return &e->writers[worker - e->first];
}

static void
doorbell_ring(struct events_writer *w)
{
	const uint64_t one = 1;

	/*
	 * We wrote head and look at "sleeping"; telemetryd writes "sleeping" and
	 * looks at head.  Sequential consistency of all four is what makes sure
	 * that one of us sees the other.
	 */
	if (__atomic_load_n(&w->header->sleeping, __ATOMIC_SEQ_CST) == 0)
		return;
	/* Of several workers one rings.  A full eventfd is a rung bell, so the outcome does not matter. */
	if (__atomic_exchange_n(&w->header->sleeping, 0, __ATOMIC_RELAXED) != 0 && w->doorbell != -1)
		(void)!write(w->doorbell, &one, sizeof(one));
}

bool
events_push(struct events_writer *w, const struct conn_event *ev)
{
	uint64_t used = w->head - __atomic_load_n(&w->control->tail, __ATOMIC_ACQUIRE);
	uint64_t room = w->slots;
	struct conn_event *slot = &w->ring[w->head & (w->slots - 1)];

	if (ev->kind != EVENT_CLOSE || ev->outcome == EVENT_SUCCESS)
		room -= w->slots / 8;
	/* A tail that makes no sense leaves "used" above every bound, so that nothing is overwritten. */
	if (used >= room) {
		events_count(w, __atomic_load_n(&w->header->consumer, __ATOMIC_RELAXED) == 0 ?
		        COUNT_EVENT_NO_CONSUMER : COUNT_EVENT_RING_FULL);
		return false;
	}
	memcpy(slot, ev, sizeof(*slot));
	slot->seq = w->head;
	w->head++;
	__atomic_store_n(&w->control->head, w->head, __ATOMIC_SEQ_CST);
	doorbell_ring(w);
	return true;
}

void
events_add(struct events_writer *w, enum counter_id id, uint64_t n)
{
	events_word_add(&w->counters[id], n);
}

void
events_set(struct events_writer *w, enum counter_id id, uint64_t value)
{
	__atomic_store_n(&w->counters[id], value, __ATOMIC_RELAXED);
}

void
events_series_closed(struct series *s, enum event_outcome outcome, uint64_t duration_ns)
{
	unsigned int i = 0;

	while (i < SERIES_BOUNDS && duration_ns > series_bounds_ns[i])
		i++;
	events_word_add(&s->buckets[i], 1);
	events_word_add(&s->duration_ns, duration_ns);
	events_word_add(&s->active, UINT64_C(0) - 1);
	events_word_add(&s->closed[outcome], 1);
}
