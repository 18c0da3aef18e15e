/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunked bodies.  Invariants: cutting the bytes changes neither result nor
 * body nor end; what we write of body and trailers reads back as the same.
 */
#include "http1_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRAILERS 8
#define BODY_MAX (1 << 20)

struct decoded {
	struct http1_body body;
	struct http1_field trailers[TRAILERS];
	struct buf bytes;
	enum http1_result result;
	size_t used;
};

/* Feeds pieces of <step> bytes; what is not used is given again, as a caller does. */
static void
decode(struct decoded *d, const struct fuzz_message *m, const char *data, size_t n, size_t step)
{
	struct http1_text piece = { NULL, 0 };
	size_t from = 0, have = 0, used;

	http1_body_begin(&d->body, &m->head, &m->parser, d->trailers, TRAILERS);
	d->bytes = buf_new(BODY_MAX);
	do {
		have = n - have < step ? n : have + step;
		do {
			used = 0;
			d->result = http1_body_next(&d->body, data + from, have - from, &used, &piece);
			CHECK(used <= have - from);
			if (d->result == HTTP1_DATA) {
				CHECK(piece.n > 0 && piece.p >= data + from && piece.p + piece.n == data + from + used);
				CHECK(buf_append(&d->bytes, piece.p, piece.n) == TULLE_OK);
			}
			from += used;
		} while (d->result == HTTP1_DATA);
	} while (d->result == HTTP1_AGAIN && have < n);
	d->used = from;
	CHECK((http1_body_end(&d->body) == HTTP1_OK) == (d->result == HTTP1_OK));
}

static void
check_same_bytes(const struct decoded *a, const struct decoded *b)
{
	CHECK(buf_len(&a->bytes) == buf_len(&b->bytes));
	CHECK(buf_len(&a->bytes) == 0 || memcmp(buf_head(&a->bytes), buf_head(&b->bytes), buf_len(&a->bytes)) == 0);
}

/* In two chunks, without extensions. */
static void
check_rewritten(const struct decoded *d, struct fuzz_message *m)
{
	static struct decoded again;
	const struct http1_head *t = http1_body_trailers(&d->body);
	struct buf out = buf_new(2 * BODY_MAX);
	size_t n = buf_len(&d->bytes);

	if (n > 0) {
		CHECK(http1_write_chunk(&out, buf_head(&d->bytes), n / 2) == TULLE_OK);
		CHECK(http1_write_chunk(&out, buf_head(&d->bytes) + n / 2, n - n / 2) == TULLE_OK);
	}
	CHECK(http1_write_last(&out, t->fields, t->n) == TULLE_OK);
	m->rules = fuzz_roomier(m); /* a space behind each colon */
	m->rules.extensions_max = 0; /* none is ever written (H1-27) */
	decode(&again, m, (const char *)buf_head(&out), buf_len(&out), buf_len(&out));
	CHECK(again.result == HTTP1_OK && again.used == buf_len(&out));
	check_same_bytes(&again, d);
	t = http1_body_trailers(&again.body);
	for (size_t i = 0; i < t->n; i++)
		CHECK(http1_trailer_allowed(&t->fields[i])); /* H1-29 */
	buf_free(&again.bytes);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char start[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	static struct fuzz_message m;
	static struct decoded whole, cut;
	const char *text = (const char *)data + 1;

	if (size < 1 || size > BODY_MAX)
		return 0;
	m.rules = http1_rules_default;
	fuzz_parse(&m, false, HTTP1_ASKED_OTHER, start, sizeof(start) - 1);
	CHECK(m.result == HTTP1_OK);
	m.rules = fuzz_rules(data[0]);
	decode(&whole, &m, text, size - 1, size);
	decode(&cut, &m, text, size - 1, 1 + data[0] % 7);
	CHECK(whole.result == cut.result);
	check_same_bytes(&whole, &cut);
	if (whole.result == HTTP1_OK) {
		CHECK(whole.used == cut.used);
		check_rewritten(&whole, &m);
	}
	buf_free(&whole.bytes);
	buf_free(&cut.bytes);
	return 0;
}
