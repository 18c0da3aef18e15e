/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "events/layout.h"

const uint64_t series_bounds_ns[SERIES_BOUNDS] = SERIES_BOUND_TABLE;

static size_t
pages(size_t n)
{
	return (n + EVENTS_PAGE - 1) / EVENTS_PAGE * EVENTS_PAGE;
}

enum tulle_err
events_layout_of(struct events_layout *ret, const struct events_sizes *s)
{
	struct events_layout l = { .sizes = *s };

	if (s->workers < 1 || s->workers > EVENTS_WORKERS_MAX)
		return TULLE_EINVAL;
	/* Eight at least, so that the reserve of an eighth is one. */
	if (s->slots < 8 || s->slots > EVENTS_SLOTS_MAX || (s->slots & (s->slots - 1)) != 0)
		return TULLE_EINVAL;
	if (s->texts < 2 || s->texts > EVENTS_TEXTS_MAX || s->text_bytes < EVENTS_TEXT_LEN ||
	    s->text_bytes > EVENTS_TEXT_BYTES_MAX)
		return TULLE_EINVAL;
	if (s->series < 1 || s->series > EVENTS_SERIES_MAX)
		return TULLE_EINVAL;
	l.counters = sizeof(struct events_control);
	l.ring = pages(l.counters + COUNTERS * sizeof(uint64_t));
	l.places = l.ring + pages(s->slots * sizeof(struct conn_event));
	l.bytes = l.places + pages(s->texts * sizeof(struct events_text_place));
	l.series = l.bytes + pages(s->text_bytes);
	l.worker_bytes = l.series + pages(s->series * sizeof(struct series));
	l.total = EVENTS_PAGE + s->workers * l.worker_bytes;
	*ret = l;
	return TULLE_OK;
}
