/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdbool.h>
#include <zstd.h>

#include "otlp/otlp.h"

#define PIECE 65536

/* More than the ratio allows for <in> compressed bytes (SL-08)? */
static bool
too_dense(size_t in, size_t out)
{
	return out > OTLP_RATIO_FREE && out / OTLP_RATIO_MAX > in;
}

static enum tulle_err
inflate(ZSTD_DCtx *z, struct buf *out, ZSTD_inBuffer *in)
{
	size_t left = 1, start = buf_len(out);

	for (;;) {
		size_t room = out->max - buf_len(out) < PIECE ? out->max - buf_len(out) : PIECE;
		ZSTD_outBuffer to = { .size = room };
		uint8_t *p;
		enum tulle_err e = buf_reserve(out, room, &p);

		if (e != TULLE_OK)
			return e;
		to.dst = p;
		left = ZSTD_decompressStream(z, &to, in);
		if (ZSTD_isError(left))
			return TULLE_EINVAL;
		buf_commit(out, to.pos);
		/* Checked at every piece, so a bomb costs one piece too much and no more. */
		if (too_dense(in->pos, buf_len(out) - start))
			return TULLE_ELIMIT;
		if (to.pos == to.size) {
			if (left == 0 && in->pos == in->size)
				return TULLE_OK;
			if (buf_len(out) == out->max)
				return TULLE_ELIMIT;
			continue; /* there may be more inside */
		}
		if (in->pos == in->size)
			return left == 0 ? TULLE_OK : TULLE_EINVAL; /* cut short */
	}
}

enum tulle_err
otlp_inflate(struct buf *out, const void *p, size_t n)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	ZSTD_inBuffer in = { .src = p, .size = n };
	enum tulle_err e;

	if (z == NULL)
		return TULLE_ENOMEM;
	(void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, OTLP_WINDOW_LOG);
	e = n == 0 ? TULLE_EINVAL : inflate(z, out, &in);
	(void)ZSTD_freeDCtx(z);
	return e;
}
