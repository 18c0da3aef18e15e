/* SPDX-License-Identifier: GPL-3.0-or-later */
/* http1_fuzz.h - what the fuzz targets of lib/http1 have in common. */
#ifndef TULLE_FUZZ_HTTP1_H
#define TULLE_FUZZ_HTTP1_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http1/body.h"
#include "http1/parse.h"
#include "http1/write.h"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

#define FUZZ_FRAMING (HTTP1_BIT(HTTP1_HOST) | HTTP1_BIT(HTTP1_CONTENT_LENGTH) | HTTP1_BIT(HTTP1_TRANSFER_ENCODING))
#define FUZZ_FIELDS (HTTP1_FIELDS + 8)

struct fuzz_message {
	struct http1_rules rules;
	struct http1_parser parser;
	struct http1_head head;
	struct http1_field fields[FUZZ_FIELDS];
	enum http1_result result;
	size_t used;
};

/* Small limits and every choice, so that a short input reaches all of them. */
static inline struct http1_rules
fuzz_rules(uint8_t choice)
{
	struct http1_rules r = http1_rules_default;

	if (choice & 1) {
		r.start_line_max = 40;
		r.field_max = 48;
		r.fields_max_bytes = 160;
		r.fields_max = 6;
		r.extensions_max = 12;
	}
	r.underscore = (enum http1_underscore)(choice >> 1 & 3);
	r.join_equal_lengths = (choice & 8) != 0;
	r.refuse_length_and_coding = (choice & 16) != 0;
	r.refuse_host_underscore = (choice & 32) != 0;
	return r;
}

static inline void
fuzz_begin(struct fuzz_message *m, bool response, enum http1_asked asked)
{
	m->used = 0;
	if (response)
		http1_response_begin(&m->parser, &m->rules, asked, &m->head, m->fields, FUZZ_FIELDS);
	else
		http1_request_begin(&m->parser, &m->rules, &m->head, m->fields, FUZZ_FIELDS);
}

static inline void
fuzz_parse(struct fuzz_message *m, bool response, enum http1_asked asked, const char *data, size_t n)
{
	fuzz_begin(m, response, asked);
	m->result = http1_parse(&m->parser, data, n, &m->used);
}

static inline void
fuzz_check_text(struct http1_text t, const char *data, size_t n)
{
	CHECK(t.p >= data && t.p <= data + n && t.n <= (size_t)(data + n - t.p));
}

/* Every text lies within the bytes, and none can break a line. */
static inline void
fuzz_check_texts(const struct fuzz_message *m, const char *data)
{
	CHECK(m->head.n <= m->rules.fields_max && m->used <= http1_head_max(&m->rules));
	for (size_t i = 0; i < m->head.n; i++) {
		const struct http1_field *f = &m->head.fields[i];

		fuzz_check_text(f->name, data, m->used);
		fuzz_check_text(f->value, data, m->used);
		CHECK(f->name.n >= 1 && f->name.n <= HTTP1_NAME_MAX);
		CHECK(memchr(f->value.p, '\n', f->value.n) == NULL && memchr(f->value.p, '\r', f->value.n) == NULL);
	}
}

/* Whole, and byte by byte out of memory that moves; the results must be the same. */
static inline void
fuzz_parse_both(struct fuzz_message *m, bool response, enum http1_asked asked, uint8_t choice, const char *data, size_t n)
{
	enum http1_result cut = HTTP1_AGAIN;
	char *at = NULL;

	m->rules = fuzz_rules(choice);
	fuzz_begin(m, response, asked);
	for (size_t i = 0; n <= 4096 && i <= n && cut == HTTP1_AGAIN; i++) {
		char *copy = malloc(i > 0 ? i : 1);

		CHECK(copy != NULL);
		memcpy(copy, data, i);
		cut = http1_parse(&m->parser, copy, i, &m->used);
		free(at); /* the bytes of the last call stay, those before are gone */
		at = copy;
	}
	if (cut == HTTP1_OK)
		fuzz_check_texts(m, at);
	fuzz_parse(m, response, asked, data, n);
	CHECK(n > 4096 || m->result == cut);
	if (m->result == HTTP1_OK)
		fuzz_check_texts(m, data);
	free(at);
}

static inline bool
fuzz_same_text(struct http1_text a, struct http1_text b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Fields and framing of <again>, read from what was written of <m>, which has no framing fields any more. */
static inline void
fuzz_check_same(struct fuzz_message *again, const struct fuzz_message *m)
{
	CHECK(again->head.body == m->head.body && again->head.has_length == m->head.has_length);
	CHECK(again->head.length == m->head.length);
	http1_drop(&again->head, FUZZ_FRAMING);
	CHECK(again->head.n == m->head.n);
	for (size_t i = 0; i < m->head.n; i++) {
		CHECK(fuzz_same_text(again->head.fields[i].name, m->head.fields[i].name));
		CHECK(fuzz_same_text(again->head.fields[i].value, m->head.fields[i].value));
		CHECK(again->head.fields[i].id == m->head.fields[i].id);
	}
}

/* The rules of <m> with room for what writing may add: Host on HTTP/1.0, the space of a status line. */
static inline struct http1_rules
fuzz_roomier(const struct fuzz_message *m)
{
	struct http1_rules r = m->rules;

	r.start_line_max += 8;
	r.fields_max += 3;
	r.fields_max_bytes += 4096 + m->head.target.n;
	r.field_max += m->head.target.n + 16;
	return r;
}

#endif
