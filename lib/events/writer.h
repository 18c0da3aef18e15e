/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writer.h - inside of the writing side, for the files of this folder. */
#ifndef TULLE_EVENTS_WRITER_H
#define TULLE_EVENTS_WRITER_H

#include "events/write.h"

/*
 * Open addressing with linear probing: numbers of texts or series; 0 is an
 * empty place, which is why text 0 and series 0 are never looked up.  Never
 * more than half full.
 */
struct number_table {
	uint16_t *places; /* owned */
	uint32_t mask;
};

struct events_writer {
	struct events_header *header;   /* shared */
	struct events_control *control; /* shared */
	uint64_t *counters;             /* shared */
	struct conn_event *ring;        /* shared */
	struct events_text_place *places; /* shared */
	char *bytes;                    /* shared */
	struct series *series;          /* shared */
	int doorbell;                   /* lent */
	uint64_t head;                  /* ours; the shared word is only told */
	uint32_t slots;
	/*
	 * What the tables look like; shared memory is written, never believed,
	 * because telemetryd can write it too.
	 */
	uint32_t n_texts, max_texts, n_bytes, max_bytes;
	struct events_text_place *own_places; /* owned: as we wrote them */
	char *own_bytes;                      /* owned: the same texts, out of telemetryd's reach */
	struct number_table text_table;
	uint32_t n_series, max_series;
	struct series_labels *own_labels; /* owned, max_series */
	struct number_table series_table;
};

/* Finds the texts and series that an earlier process left.  TULLE_ENOMEM. */
enum tulle_err writer_tables_init(struct events_writer *w);
void writer_tables_free(struct events_writer *w);

#endif
