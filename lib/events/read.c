/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "events/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/text.h"

struct worker {
	struct events_control *control;   /* shared, as are all but the last two */
	const uint64_t *counters;
	const struct conn_event *ring;
	const struct events_text_place *places;
	const char *bytes;
	const struct series *series;
	uint64_t pos; /* events read */
	char **texts; /* owned: copies, made at first use; layout.sizes.texts */
};

struct events_reader {
	uint8_t *base;
	bool mapped; /* by us */
	struct events_layout layout;
	uint64_t start, id;
	uint64_t corrupt;
	struct worker *workers; /* owned, layout.sizes.workers */
};

/*
 * Copies shared memory.  The compiler must not look there again instead of
 * at the copy: what is checked is what is used.
 */
#define COPY_ONCE(to, from)                                \
	do {                                               \
		memcpy(&(to), (from), sizeof(to));         \
		__asm__ volatile("" : "+m"(to));           \
	} while (0)

static struct events_header *
header(const struct events_reader *r)
{
	return (struct events_header *)(void *)r->base;
}

static uint64_t
head_of(const struct worker *w)
{
	return __atomic_load_n(&w->control->head, __ATOMIC_SEQ_CST);
}

/* <h> is a copy. */
static enum tulle_err
header_check(const struct events_header *h, size_t len, struct events_layout *ret)
{
	struct events_layout l;

	if (h->magic != EVENTS_MAGIC)
		return TULLE_EPEER;
	if (h->version != EVENTS_LAYOUT_VERSION || h->vocab != events_vocab_digest())
		return TULLE_EINVAL;
	if (events_layout_of(&l, &h->sizes) != TULLE_OK || l.total != len)
		return TULLE_EPEER;
	*ret = l;
	return TULLE_OK;
}

static enum tulle_err
worker_init(struct events_reader *r, uint32_t i)
{
	const struct events_layout *l = &r->layout;
	uint8_t *part = r->base + events_layout_worker(l, i);
	struct worker *w = &r->workers[i];
	uint64_t head;

	w->control = (struct events_control *)(void *)part;
	w->counters = (const uint64_t *)(void *)(part + l->counters);
	w->ring = (const struct conn_event *)(void *)(part + l->ring);
	w->places = (const struct events_text_place *)(void *)(part + l->places);
	w->bytes = (const char *)part + l->bytes;
	w->series = (const struct series *)(void *)(part + l->series);
	w->pos = __atomic_load_n(&w->control->tail, __ATOMIC_RELAXED);
	head = head_of(w);
	if (head - w->pos > l->sizes.slots) {
		w->pos = head;
		r->corrupt++;
	}
	w->texts = calloc(l->sizes.texts, sizeof(*w->texts));
	return w->texts == NULL ? TULLE_ENOMEM : TULLE_OK;
}

/* Takes over a mapping if <mapped>, also on failure. */
static enum tulle_err
reader_new(struct events_reader **ret, void *memory, size_t len, bool mapped)
{
	struct events_reader *r = calloc(1, sizeof(*r));
	struct events_header h;
	enum tulle_err err;

	if (r == NULL) {
		if (mapped)
			(void)munmap(memory, len);
		return TULLE_ENOMEM;
	}
	r->base = memory;
	r->mapped = mapped;
	r->layout.total = len; /* for munmap(), should the header be refused */
	COPY_ONCE(h, memory);
	err = header_check(&h, len, &r->layout);
	if (err == TULLE_OK) {
		r->start = h.start_wall_ns;
		r->id = h.segment_id;
		r->workers = calloc(r->layout.sizes.workers, sizeof(*r->workers));
		if (r->workers == NULL)
			err = TULLE_ENOMEM;
	}
	for (uint32_t i = 0; err == TULLE_OK && i < r->layout.sizes.workers; i++)
		err = worker_init(r, i);
	if (err) {
		events_reader_free(r);
		return err;
	}
	*ret = r;
	return TULLE_OK;
}

enum tulle_err
events_reader_open(struct events_reader **ret, int fd)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	if (seals == -1 || (seals & needed) != needed)
		return TULLE_EPEER;
	if (fstat(fd, &st) == -1)
		return TULLE_ESYS;
	if (st.st_size < EVENTS_PAGE)
		return TULLE_EPEER;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return TULLE_ESYS;
	return reader_new(ret, p, (size_t)st.st_size, true);
}

enum tulle_err
events_reader_open_memory(struct events_reader **ret, void *memory, size_t len)
{
	return len < EVENTS_PAGE ? TULLE_EPEER : reader_new(ret, memory, len, false);
}

struct events_reader *
events_reader_free(struct events_reader *r)
{
	if (r == NULL)
		return NULL;
	for (uint32_t i = 0; r->workers != NULL && i < r->layout.sizes.workers; i++) {
		for (uint32_t t = 0; r->workers[i].texts != NULL && t < r->layout.sizes.texts; t++)
			free(r->workers[i].texts[t]);
		free(r->workers[i].texts);
	}
	free(r->workers);
	if (r->mapped)
		(void)munmap(r->base, r->layout.total);
	free(r);
	return NULL;
}

uint32_t
events_reader_workers(const struct events_reader *r)
{
	return r->layout.sizes.workers;
}

uint64_t
events_reader_start(const struct events_reader *r)
{
	return r->start;
}

uint64_t
events_reader_id(const struct events_reader *r)
{
	return r->id;
}

static void
addr_clean(struct addr *a)
{
	if (a->family != AF_INET && a->family != AF_INET6)
		*a = (struct addr){ 0 };
}

/* False: a value that no relay of this version writes. */
static bool
event_check(struct conn_event *ev, uint64_t seq)
{
	if (ev->seq != seq || ev->kind >= EVENT_KINDS || ev->direction >= EVENT_DIRECTIONS ||
	    ev->outcome >= EVENT_OUTCOMES || ev->flag >= EVENT_FLAGS || ev->tls >= EVENT_TLS_MODES ||
	    ev->detail >= EVENT_DETAILS)
		return false;
	ev->sampled = ev->sampled != 0;
	addr_clean(&ev->peer);
	addr_clean(&ev->original);
	addr_clean(&ev->upstream);
	return true;
}

enum tulle_err
events_read(struct events_reader *r, uint32_t worker, struct conn_event *ret)
{
	struct worker *w = &r->workers[worker];
	uint64_t head = head_of(w);
	struct conn_event ev;

	if (head - w->pos > r->layout.sizes.slots) {
		w->pos = head; /* a head that makes no sense */
		r->corrupt++;
	}
	while (w->pos != head) {
		COPY_ONCE(ev, &w->ring[w->pos & (r->layout.sizes.slots - 1)]);
		w->pos++;
		if (event_check(&ev, w->pos - 1)) {
			*ret = ev;
			return TULLE_OK;
		}
		r->corrupt++;
	}
	return TULLE_AGAIN;
}

void
events_reader_release(struct events_reader *r)
{
	for (uint32_t i = 0; i < r->layout.sizes.workers; i++)
		__atomic_store_n(&r->workers[i].control->tail, r->workers[i].pos, __ATOMIC_RELEASE);
}

uint64_t
events_reader_waiting(const struct events_reader *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->layout.sizes.workers; i++) {
		uint64_t here = head_of(&r->workers[i]) - r->workers[i].pos;

		n += here <= r->layout.sizes.slots ? here : 0;
	}
	return n;
}

uint64_t
events_reader_corrupt(const struct events_reader *r)
{
	return r->corrupt;
}

uint64_t
events_reader_emitted(const struct events_reader *r)
{
	uint64_t n = events_reader_counter(r, COUNT_EVENT_RING_FULL) +
	    events_reader_counter(r, COUNT_EVENT_NO_CONSUMER);

	for (uint32_t i = 0; i < r->layout.sizes.workers; i++)
		n += head_of(&r->workers[i]);
	return n;
}

/* Copies <len> bytes, each that could harm a reader of logs made into a question mark.  NULL: out of memory. */
static char *
text_copy(const char *from, uint32_t len)
{
	char *s = malloc(len + 1);

	if (s == NULL)
		return NULL;
	memcpy(s, from, len);
	s[len] = '\0';
	for (uint32_t i = 0; i < len; i++)
		if ((uint8_t)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
		else if ((uint8_t)s[i] == 0xc2 && ((uint8_t)s[i + 1] & 0xe0) == 0x80) /* C1 controls in UTF-8 */
			s[i] = s[i + 1] = '?';
	if (!text_utf8_valid(s, len)) /* it may have changed since the relay wrote it */
		for (uint32_t i = 0; i < len; i++)
			if ((uint8_t)s[i] >= 0x80)
				s[i] = '?';
	return s;
}

const char *
events_reader_text(struct events_reader *r, uint32_t worker, uint32_t number)
{
	struct worker *w = &r->workers[worker];
	struct events_text_place p;

	if (number == EVENTS_TEXT_NONE || number >= r->layout.sizes.texts)
		return "";
	if (w->texts[number] != NULL)
		return w->texts[number];
	if (number >= __atomic_load_n(&w->control->texts, __ATOMIC_ACQUIRE))
		return "";
	COPY_ONCE(p, &w->places[number]);
	if (p.len > EVENTS_TEXT_LEN || p.off > r->layout.sizes.text_bytes || p.len > r->layout.sizes.text_bytes - p.off)
		return "";
	w->texts[number] = text_copy(w->bytes + p.off, p.len);
	return w->texts[number] == NULL ? "" : w->texts[number];
}

uint64_t
events_reader_counter(const struct events_reader *r, enum counter_id id)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < r->layout.sizes.workers; i++) {
		uint64_t v = __atomic_load_n(&r->workers[i].counters[id], __ATOMIC_RELAXED);

		switch (counter_about(id)->kind) {
		case COUNTER_SUM:
		case COUNTER_LEVEL:
			all += v;
			break;
		case COUNTER_LATEST:
		case COUNTER_STAMP:
			all = v > all ? v : all;
			break;
		case COUNTER_EXPIRY:
			all = v != 0 && (all == 0 || v < all) ? v : all;
			break;
		}
	}
	return all;
}

uint32_t
events_reader_series_count(const struct events_reader *r, uint32_t worker)
{
	uint32_t n = __atomic_load_n(&r->workers[worker].control->series, __ATOMIC_ACQUIRE);

	return n < r->layout.sizes.series ? n : r->layout.sizes.series;
}

enum tulle_err
events_reader_series(const struct events_reader *r, uint32_t worker, uint32_t i, struct series *ret)
{
	const struct series *s;
	const uint64_t *from;
	uint64_t *to = &ret->opened;

	if (i >= events_reader_series_count(r, worker))
		return TULLE_ENOENT;
	s = &r->workers[worker].series[i];
	COPY_ONCE(ret->labels, &s->labels);
	if (ret->labels.direction >= EVENT_DIRECTIONS || ret->labels.tls >= EVENT_TLS_MODES)
		return TULLE_ENOENT;
	/* Word by word, each whole; all that follows the labels are counters. */
	from = &s->opened;
	for (size_t k = 0; k < (sizeof(*s) - offsetof(struct series, opened)) / sizeof(*from); k++)
		to[k] = __atomic_load_n(&from[k], __ATOMIC_RELAXED);
	return TULLE_OK;
}

bool
events_reader_sleep(struct events_reader *r)
{
	__atomic_store_n(&header(r)->sleeping, 1, __ATOMIC_SEQ_CST); /* the mirror of doorbell_ring() */
	if (events_reader_waiting(r) == 0)
		return true;
	events_reader_wake(r);
	return false;
}

void
events_reader_wake(struct events_reader *r)
{
	__atomic_store_n(&header(r)->sleeping, 0, __ATOMIC_RELAXED);
}
