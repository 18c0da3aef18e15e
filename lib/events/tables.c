/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Texts and series by content: the writer's hash tables over what it published. */
#include <stdlib.h>
#include <string.h>

#include "events/writer.h"

/* FNV-1a; what is hashed is configuration and verified names, so no key is needed. */
static uint32_t
hash_of(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(h ^ h >> 32);
}

static enum tulle_err
table_init(struct number_table *t, uint32_t max)
{
	uint32_t n = 4;

	while (n < 2 * max)
		n *= 2;
	t->places = calloc(n, sizeof(*t->places));
	t->mask = n - 1;
	return t->places == NULL ? TULLE_ENOMEM : TULLE_OK;
}

static void
table_put(struct number_table *t, uint32_t hash, uint32_t number)
{
	uint32_t i = hash & t->mask;

	while (t->places[i] != 0)
		i = (i + 1) & t->mask;
	t->places[i] = (uint16_t)number;
}

static uint32_t
text_find(const struct events_writer *w, uint32_t hash, const char *text, uint32_t len)
{
	uint32_t i, number;

	for (i = hash & w->text_table.mask; (number = w->text_table.places[i]) != 0; i = (i + 1) & w->text_table.mask)
		if (w->own_places[number].len == len &&
		    memcmp(w->own_bytes + w->own_places[number].off, text, len) == 0)
			return number;
	return 0;
}

/* Notes text <number>, which lies at <off>, in our own tables. */
static void
text_note(struct events_writer *w, uint32_t number, const char *text, uint32_t len)
{
	memcpy(w->own_bytes + w->n_bytes, text, len);
	w->own_places[number] = (struct events_text_place){ .off = w->n_bytes, .len = len };
	table_put(&w->text_table, hash_of(text, len), number);
	w->n_bytes += len;
	w->n_texts = number + 1;
}

static uint32_t
series_find(const struct events_writer *w, uint32_t hash, const struct series_labels *labels)
{
	uint32_t i, number;

	for (i = hash & w->series_table.mask; (number = w->series_table.places[i]) != 0;
	     i = (i + 1) & w->series_table.mask)
		if (memcmp(&w->own_labels[number], labels, sizeof(*labels)) == 0)
			return number;
	return 0;
}

static void
series_note(struct events_writer *w, uint32_t number, const struct series_labels *labels)
{
	w->own_labels[number] = *labels;
	table_put(&w->series_table, hash_of(labels, sizeof(*labels)), number);
	w->n_series = number + 1;
}

/*
 * Texts lie one behind the other from 0, in the order of their numbers; the
 * first that does not is where telemetryd (or a crash) left rubbish, and the
 * table starts afresh from there.
 */
static void
texts_recover(struct events_writer *w)
{
	uint32_t n = __atomic_load_n(&w->control->texts, __ATOMIC_ACQUIRE);

	if (n > w->max_texts)
		n = w->max_texts;
	w->n_texts = 1;
	for (uint32_t i = 1; i < n; i++) {
		struct events_text_place p = w->places[i];

		if (p.off != w->n_bytes || p.len == 0 || p.len > EVENTS_TEXT_LEN || p.len > w->max_bytes - w->n_bytes)
			break;
		text_note(w, i, w->bytes + p.off, p.len);
	}
	__atomic_store_n(&w->control->texts, w->n_texts, __ATOMIC_RELEASE);
}

static void
series_recover(struct events_writer *w)
{
	uint32_t n = __atomic_load_n(&w->control->series, __ATOMIC_ACQUIRE);

	if (n > w->max_series)
		n = w->max_series;
	w->n_series = 1;
	for (uint32_t i = 1; i < n; i++) {
		struct series_labels labels = w->series[i].labels;

		if (labels.source >= w->n_texts || labels.destination >= w->n_texts || labels.service >= w->n_texts ||
		    labels.workload >= w->n_texts)
			break;
		series_note(w, i, &labels);
	}
	__atomic_store_n(&w->control->series, w->n_series, __ATOMIC_RELEASE);
}

enum tulle_err
writer_tables_init(struct events_writer *w)
{
	w->own_places = calloc(w->max_texts, sizeof(*w->own_places));
	w->own_bytes = malloc(w->max_bytes);
	w->own_labels = calloc(w->max_series, sizeof(*w->own_labels));
	if (w->own_places == NULL || w->own_bytes == NULL || w->own_labels == NULL ||
	    table_init(&w->text_table, w->max_texts) != TULLE_OK ||
	    table_init(&w->series_table, w->max_series) != TULLE_OK) {
		writer_tables_free(w);
		return TULLE_ENOMEM;
	}
	texts_recover(w);
	series_recover(w);
	return TULLE_OK;
}

void
writer_tables_free(struct events_writer *w)
{
	free(w->own_places);
	free(w->own_bytes);
	free(w->own_labels);
	free(w->text_table.places);
	free(w->series_table.places);
	w->own_places = NULL;
	w->own_bytes = NULL;
	w->own_labels = NULL;
	w->text_table.places = NULL;
	w->series_table.places = NULL;
}

uint32_t
events_intern(struct events_writer *w, const char *text)
{
	return text == NULL ? EVENTS_TEXT_NONE : events_intern_n(w, text, strlen(text));
}

uint32_t
events_intern_n(struct events_writer *w, const char *text, size_t len)
{
	uint32_t hash, number, n;

	if (len > EVENTS_TEXT_LEN) {
		len = EVENTS_TEXT_LEN;
		while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
			len--; /* do not cut a character in two */
	}
	if (len == 0)
		return EVENTS_TEXT_NONE;
	hash = hash_of(text, len);
	number = text_find(w, hash, text, (uint32_t)len);
	if (number != 0)
		return number;
	number = w->n_texts;
	if (number >= w->max_texts || len > w->max_bytes - w->n_bytes) {
		events_count(w, COUNT_STRINGS_OVERFLOW);
		return EVENTS_TEXT_OTHER;
	}
	n = w->n_bytes;
	text_note(w, number, text, (uint32_t)len);
	memcpy(w->bytes + n, text, len);
	w->places[number] = (struct events_text_place){ .off = n, .len = (uint32_t)len };
	__atomic_store_n(&w->control->texts, number + 1, __ATOMIC_RELEASE);
	return number;
}

const char *
events_text(const struct events_writer *w, uint32_t number, size_t *ret_len)
{
	if (number == EVENTS_TEXT_NONE || number >= w->n_texts) {
		*ret_len = 0;
		return "";
	}
	*ret_len = w->own_places[number].len;
	return w->own_bytes + w->own_places[number].off;
}

struct series *
events_series(struct events_writer *w, const struct series_labels *labels)
{
	uint32_t hash = hash_of(labels, sizeof(*labels));
	uint32_t number = series_find(w, hash, labels);

	if (number != 0)
		return &w->series[number];
	number = w->n_series;
	if (number >= w->max_series) {
		events_count(w, COUNT_SERIES_OVERFLOW);
		return &w->series[EVENTS_SERIES_OVERFLOW];
	}
	series_note(w, number, labels);
	w->series[number].labels = *labels;
	__atomic_store_n(&w->control->series, number + 1, __ATOMIC_RELEASE);
	return &w->series[number];
}
