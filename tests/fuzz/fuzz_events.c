/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reader on a segment that a hostile relay wrote.  The input is a list
 * of patches (place, length, bytes) over a well-formed one, so that the
 * fuzzer gets past the header.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "events/read.h"
#include "events/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct events_sizes sizes = { .workers = 2, .slots = 8, .texts = 8, .text_bytes = 256, .series = 3 };

static uint8_t *pristine;
static size_t total;

static void
pristine_make(void)
{
	struct conn_event ev = { .kind = EVENT_CLOSE, .detail = EVENT_DETAIL_ENDED };
	struct series_labels labels = { .direction = EVENT_INBOUND };
	struct events_layout l;
	struct events *e = NULL;
	struct events_writer *w;
	int fd = -1;

	if (events_layout_of(&l, &sizes) || events_create_sized(&fd, &sizes) || events_attach(&e, fd, -1, 0, 2))
		abort();
	w = events_writer(e, 0);
	labels.source = ev.source = events_intern(w, "alice");
	events_series_opened(events_series(w, &labels));
	for (int i = 0; i < 3; i++)
		(void)events_push(w, &ev);
	total = l.total;
	pristine = malloc(total);
	if (pristine == NULL || pread(fd, pristine, total, 0) != (ssize_t)total)
		abort();
	events_detach(e);
	(void)close(fd);
}

static void
check_text(const char *s)
{
	size_t n = strlen(s);

	if (n > EVENTS_TEXT_LEN || !text_utf8_valid(s, n))
		abort();
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)s[i] < 0x20 || s[i] == 0x7f)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct events_reader *r = NULL;
	struct conn_event ev;
	struct series s;
	uint8_t *segment;

	if (pristine == NULL)
		pristine_make();
	segment = malloc(total);
	if (segment == NULL)
		return 0;
	memcpy(segment, pristine, total);
	while (size > 4) {
		size_t at = (data[0] | data[1] << 8 | data[2] << 16) % total, n = data[3];

		data += 4;
		size -= 4;
		n = n < size ? n : size;
		n = n < total - at ? n : total - at;
		memcpy(segment + at, data, n);
		data += n;
		size -= n;
	}
	if (events_reader_open_memory(&r, segment, total) == TULLE_OK) {
		for (uint32_t w = 0; w < events_reader_workers(r); w++) {
			unsigned int n = 0;

			while (events_read(r, w, &ev) == TULLE_OK) {
				if (++n > sizes.slots || ev.kind >= EVENT_KINDS || ev.detail >= EVENT_DETAILS)
					abort();
				check_text(events_reader_text(r, w, ev.source));
				check_text(events_reader_text(r, w, ev.reason));
			}
			for (uint32_t i = 0; i < 8; i++)
				check_text(events_reader_text(r, w, i));
			if (events_reader_series_count(r, w) > sizes.series)
				abort();
			for (uint32_t i = 0; i < sizes.series; i++)
				(void)events_reader_series(r, w, i, &s);
		}
		events_reader_release(r);
		(void)events_reader_sleep(r);
		(void)events_reader_emitted(r);
		events_reader_free(r);
	}
	free(segment);
	return 0;
}
