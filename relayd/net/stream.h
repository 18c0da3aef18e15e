/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stream.h - the first seam: bytes both ways with back-pressure and
 * half-close, whatever carries them.
 *
 * A stream is one end of a flow: a TCP socket (tcp.h) or one CONNECT stream
 * of a tunnel (hbone/stream.h).  Whoever owns two of them joins them and
 * never asks which kind they are.
 *
 *   source                         owner                        sink
 *   socket readable  -> events->readable(source) -> sink->pull(source)
 *                                                    sink reads the source when it can use the bytes
 *   bytes in hand    -> events->data(source, p, n) -> sink->write(p, n)
 *   bytes have left  <- source->consumed(n)      <- events->drained(sink, n)
 *   end              -> events->eof(source)      -> sink->shut()
 *
 * A socket is pulled, so that its bytes are read straight into the record
 * that takes them away; a tunnel pushes, because its bytes come interleaved.
 * An event may close the stream.  Its memory stays until the end of the tick
 * (flow.h), and every operation on a closed stream does nothing.
 */
#ifndef TULLE_RELAYD_STREAM_H
#define TULLE_RELAYD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct stream;

struct stream_ops {
	/*
	 * Takes at most <n> bytes out of a source.  TULLE_AGAIN: none now;
	 * TULLE_EOF: no more will come; TULLE_ERESET, TULLE_ESYS: it broke.
	 * NULL for streams that push.
	 */
	enum tulle_err (*read)(struct stream *s, uint8_t *p, size_t n, size_t *ret_n);

	/*
	 * Takes all <n> bytes to send them.  They are lent until the thread
	 * flushes (thread.h); what cannot leave is copied then.  How much waits
	 * is bounded by whoever heeds drained().
	 */
	void (*write)(struct stream *s, const uint8_t *p, size_t n);

	/* The source behind <from> has bytes: read them when they can be used. */
	void (*pull)(struct stream *s, struct stream *from);

	/* No more bytes will be written: pass the end on when all have left. */
	void (*shut)(struct stream *s);

	/* Stop and go on raising readable(). */
	void (*pause)(struct stream *s);
	void (*resume)(struct stream *s);

	/* <n> bytes that this source delivered have left at the other end. */
	void (*consumed)(struct stream *s, size_t n);

	/* Ends the stream: in good order, or with a reset that tells the far side so.  No events afterwards. */
	void (*close)(struct stream *s, bool reset);
};

struct stream_events {
	void (*opened)(struct stream *s);                              /* a connecting stream is there */
	void (*readable)(struct stream *s);                            /* a pulled source has bytes or its end */
	void (*data)(struct stream *s, const uint8_t *p, size_t n);    /* a pushing source delivers */
	void (*eof)(struct stream *s);                                 /* a source has ended */
	void (*drained)(struct stream *s, size_t n);                   /* <n> bytes have left this sink */
	void (*finished)(struct stream *s);                            /* shut() is done: all has left */
	void (*failed)(struct stream *s, enum tulle_err e, int detail); /* it is broken; detail: see the kind */
};

struct stream {
	const struct stream_ops *ops;
	const struct stream_events *events;
};

#endif
