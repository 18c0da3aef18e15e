/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/payload.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* Fields 1 and 2 as length-delimited (wire type 2). */
#define TAG_1 0x0a
#define TAG_2 0x12

struct zstd {
	ZSTD_CCtx *c; /* owned, or NULL before its first use */
	ZSTD_DCtx *d;
};

enum tulle_err
zstd_new(struct zstd **ret)
{
	struct zstd *z = calloc(1, sizeof(*z));

	if (z == NULL)
		return TULLE_ENOMEM;
	*ret = z;
	return TULLE_OK;
}

struct zstd *
zstd_free(struct zstd *z)
{
	if (z == NULL)
		return NULL;
	(void)ZSTD_freeCCtx(z->c);
	(void)ZSTD_freeDCtx(z->d);
	free(z);
	return NULL;
}

/* ---- protobuf's lengths ---------------------------------------------------- */

static size_t
varint_write(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

static size_t
varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >= 0x80) {
		v >>= 7;
		n++;
	}
	return n;
}

static size_t
field_size(size_t n)
{
	return 1 + varint_size(n) + n;
}

/* Tag, length, and the content if there is any at <p>. */
static uint8_t *
field_write(uint8_t *out, uint8_t tag, const uint8_t *p, size_t n)
{
	*out++ = tag;
	out += varint_write(out, n);
	if (p != NULL)
		memcpy(out, p, n);
	return p != NULL ? out + n : out;
}

/*
 * Takes the next field off *p: its number and its content; a field that is
 * not length-delimited has no content.  False at the end or at rubbish.
 */
static bool
field_next(const uint8_t **p, const uint8_t *end, uint64_t *ret_number, const uint8_t **ret_content, size_t *ret_len)
{
	uint64_t v[2] = { 0, 0 };
	unsigned int wire = 2;

	for (int i = 0; i < 2; i++) {
		unsigned int shift = 0;

		if (i == 1 && (wire == 1 || wire == 5))
			break;
		do {
			if (*p == end || shift > 63)
				return false;
			v[i] |= (uint64_t)(**p & 0x7f) << shift;
			shift += 7;
		} while ((*(*p)++ & 0x80) != 0);
		if (i == 0)
			wire = v[0] & 7;
	}
	*ret_number = v[0] >> 3;
	*ret_content = *p;
	*ret_len = wire == 2 ? v[1] : wire == 1 ? 8 : wire == 5 ? 4 : 0;
	if (*ret_len > (size_t)(end - *p))
		return false;
	*p += *ret_len;
	if (wire != 2)
		*ret_len = 0;
	return wire == 2 || wire == 0 || wire == 1 || wire == 5;
}

size_t
payload_record_head(uint8_t out[PAYLOAD_RECORD_HEAD], size_t n)
{
	out[0] = TAG_2;
	return 1 + varint_write(out + 1, n);
}

/* ---- making ---------------------------------------------------------------- */

/* Writes the request with all its envelopes; *ret is the caller's.  TULLE_ENOMEM. */
static enum tulle_err
envelope_write(const struct envelope *e, const uint8_t *records, size_t len, uint8_t **ret, size_t *ret_len)
{
	size_t scope = field_size(e->scope_len) + len;
	size_t resource = field_size(e->resource_len) + field_size(scope);
	size_t total = field_size(resource);
	uint8_t *raw = malloc(total), *p = raw;

	if (raw == NULL)
		return TULLE_ENOMEM;
	p = field_write(p, TAG_1, NULL, resource);
	p = field_write(p, TAG_1, e->resource, e->resource_len);
	p = field_write(p, TAG_2, NULL, scope);
	p = field_write(p, TAG_1, e->scope, e->scope_len);
	memcpy(p, records, len);
	*ret = raw;
	*ret_len = total;
	return TULLE_OK;
}

enum tulle_err
payload_new(struct payload **ret, struct zstd *z, enum signal signal, const struct envelope *around,
    const uint8_t *records, size_t len, uint64_t n)
{
	struct payload *p = calloc(1, sizeof(*p));
	uint8_t *raw = NULL, *body = NULL, *small;
	size_t raw_len = 0, got;

	if (z->c == NULL)
		z->c = ZSTD_createCCtx();
	if (p == NULL || z->c == NULL || envelope_write(around, records, len, &raw, &raw_len) != TULLE_OK)
		goto fail;
	body = malloc(ZSTD_compressBound(raw_len));
	if (body == NULL)
		goto fail;
	got = ZSTD_compressCCtx(z->c, body, ZSTD_compressBound(raw_len), raw, raw_len, PAYLOAD_ZSTD_LEVEL);
	if (ZSTD_isError(got))
		goto fail;
	small = realloc(body, got); /* the bound is twelve times what it became */
	*p = (struct payload){ .refs = 1, .signal = signal, .body = small != NULL ? small : body, .len = got,
		.raw_len = raw_len, .records = n };
	free(raw);
	*ret = p;
	return TULLE_OK;

fail:
	free(raw);
	free(body);
	free(p);
	return TULLE_ENOMEM;
}

struct payload *
payload_ref(struct payload *p)
{
	p->refs++;
	return p;
}

struct payload *
payload_unref(struct payload *p)
{
	if (p != NULL && --p->refs == 0) {
		free(p->body);
		free(p);
	}
	return NULL;
}

enum tulle_err
payload_raw(const struct payload *p, struct zstd *z, uint8_t **ret, size_t *ret_len)
{
	uint8_t *raw = malloc(p->raw_len);
	size_t got;

	if (z->d == NULL)
		z->d = ZSTD_createDCtx();
	if (raw == NULL || z->d == NULL) {
		free(raw);
		return TULLE_ENOMEM;
	}
	got = ZSTD_decompressDCtx(z->d, raw, p->raw_len, p->body, p->len);
	if (ZSTD_isError(got) || got != p->raw_len) {
		free(raw);
		return TULLE_ENOMEM;
	}
	*ret = raw;
	*ret_len = got;
	return TULLE_OK;
}

/* ---- splitting ------------------------------------------------------------- */

/* The content of field <number>, at its first place; rubbish counts as not there. */
static bool
field_find(const uint8_t *p, size_t n, uint64_t number, const uint8_t **ret, size_t *ret_len)
{
	const uint8_t *end = p + n;
	uint64_t got;

	while (field_next(&p, end, &got, ret, ret_len))
		if (got == number)
			return true;
	return false;
}

/* How many records one piece is: metrics count their data points (field 1 of gauge, sum or histogram). */
static uint64_t
piece_records(enum signal signal, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n, *data, *q;
	uint64_t number, inner, count = 0;
	size_t len, k;

	if (signal != SIGNAL_METRICS)
		return 1;
	while (field_next(&p, end, &number, &data, &len)) {
		if (number < 5 || number > 11)
			continue;
		for (const uint8_t *d = data; field_next(&d, data + len, &inner, &q, &k);)
			count += inner == 1;
	}
	return count;
}

enum tulle_err
payload_split(const struct payload *p, struct zstd *z, struct payload **ret_a, struct payload **ret_b)
{
	uint8_t *raw = NULL;
	const uint8_t *resource_part, *scope_part, *at, *end, *half = NULL, *content;
	size_t raw_len, resource_len, scope_len, len;
	struct envelope e = { 0 };
	struct payload *a = NULL, *b = NULL;
	uint64_t number, n = 0;
	enum tulle_err err = payload_raw(p, z, &raw, &raw_len);

	if (err)
		return err;
	err = TULLE_EINVAL;
	if (!field_find(raw, raw_len, 1, &resource_part, &resource_len) ||
	    !field_find(resource_part, resource_len, 1, &e.resource, &e.resource_len) ||
	    !field_find(resource_part, resource_len, 2, &scope_part, &scope_len) ||
	    !field_find(scope_part, scope_len, 1, &e.scope, &e.scope_len))
		goto out;
	at = e.scope + e.scope_len;
	end = scope_part + scope_len;
	/* The first piece that ends at or behind the middle belongs to the first half, unless it is the last. */
	for (const uint8_t *q = at; half == NULL && field_next(&q, end, &number, &content, &len);) {
		n += piece_records(p->signal, content, len);
		if (q != end && (size_t)(q - at) >= (size_t)(end - at) / 2)
			half = q;
		else if (q != end && field_find(q, (size_t)(end - q), 2, &content, &len) && content + len == end)
			half = q; /* one is left */
	}
	if (half == NULL)
		goto out;
	err = payload_new(&a, z, p->signal, &e, at, (size_t)(half - at), n);
	if (err)
		goto out;
	err = payload_new(&b, z, p->signal, &e, half, (size_t)(end - half), p->records - n);
	if (err) {
		payload_unref(a);
		goto out;
	}
	a->split = b->split = true;
	*ret_a = a;
	*ret_b = b;
out:
	free(raw);
	return err;
}

const uint8_t *
payload_probe(size_t *ret_len)
{
	/* RFC 8878: magic, a frame header for 0 bytes in a single segment, one last raw block of size 0. */
	static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00 };

	*ret_len = sizeof(frame);
	return frame;
}
