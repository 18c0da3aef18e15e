/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "events/vocab.h"

#include <stddef.h>

#include "base/cleanup.h"
#include "events/layout.h"

#define WORD(symbol, word) [symbol] = (word),
#define ABOUT(symbol, how, metric, attrs, u, text) \
	[symbol] = { .kind = (how), .name = (metric), .attributes = (attrs), .unit = (u), .help = (text) },

static const char *const kinds[] = { EVENT_KIND_TABLE(WORD) };
static const char *const directions[] = { EVENT_DIRECTION_TABLE(WORD) };
static const char *const outcomes[] = { EVENT_OUTCOME_TABLE(WORD) };
static const char *const tls_modes[] = { EVENT_TLS_TABLE(WORD) };
static const char *const flags[] = { EVENT_FLAG_TABLE(WORD) };
static const char *const details[] = { EVENT_DETAIL_TABLE(WORD) };
static const struct counter_about counters[] = { COUNTER_TABLE(ABOUT) };

static const char *
word_of(const char *const *words, size_t n, unsigned int v)
{
	return v < n ? words[v] : "_other";
}

const char *
event_kind_name(unsigned int v)
{
	return word_of(kinds, ARRAY_LEN(kinds), v);
}

const char *
event_direction_name(unsigned int v)
{
	return word_of(directions, ARRAY_LEN(directions), v);
}

const char *
event_outcome_name(unsigned int v)
{
	return word_of(outcomes, ARRAY_LEN(outcomes), v);
}

const char *
event_tls_name(unsigned int v)
{
	return word_of(tls_modes, ARRAY_LEN(tls_modes), v);
}

const char *
event_flag_name(unsigned int v)
{
	return word_of(flags, ARRAY_LEN(flags), v);
}

const char *
event_detail_name(unsigned int v)
{
	return word_of(details, ARRAY_LEN(details), v);
}

const struct counter_about *
counter_about(enum counter_id id)
{
	return &counters[id];
}

static uint64_t
digest_text(uint64_t h, const char *s)
{
	do {
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	} while (*s++ != '\0');
	return h;
}

static uint64_t
digest_words(uint64_t h, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = digest_text(h, words[i]);
	return digest_text(h, "");
}

uint64_t
events_vocab_digest(void)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	h = digest_words(h, kinds, ARRAY_LEN(kinds));
	h = digest_words(h, directions, ARRAY_LEN(directions));
	h = digest_words(h, outcomes, ARRAY_LEN(outcomes));
	h = digest_words(h, tls_modes, ARRAY_LEN(tls_modes));
	h = digest_words(h, flags, ARRAY_LEN(flags));
	h = digest_words(h, details, ARRAY_LEN(details));
	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		h = digest_text(h, counters[i].name);
		h = digest_text(h, counters[i].attributes);
	}
	h = (h ^ sizeof(struct conn_event)) * UINT64_C(0x100000001b3);
	return (h ^ sizeof(struct series)) * UINT64_C(0x100000001b3);
}
