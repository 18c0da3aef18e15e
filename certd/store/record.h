/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * record.h - one line of certd's journal (pure).
 *
 *   CHECKSUM SPACE JSON NEWLINE
 *
 * CHECKSUM is the first 8 bytes of the SHA-256 of JSON, in hexadecimal.  A
 * line can be read by a person, and a half-written one cannot pass for a
 * whole one.
 */
#ifndef TULLE_CERTD_STORE_RECORD_H
#define TULLE_CERTD_STORE_RECORD_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define RECORD_MAX 65536 /* bytes of a line, the newline included */
#define RECORD_EXTRA 18  /* what a line has beside its JSON */

/* A line that was read; lent. */
struct record {
	const char *json; /* without a NUL */
	size_t len;
	size_t line_len; /* of the whole line, the newline included */
};

/* Appends a line.  <json> has no newline in it.  TULLE_EINVAL, TULLE_ELIMIT, TULLE_ENOMEM, TULLE_ECRYPTO. */
enum tulle_err record_write(struct buf *out, const char *json, size_t len);

/*
 * Reads the line at the start of <data>.
 *
 *   TULLE_OK
 *   TULLE_EOF     there are no more bytes
 *   TULLE_AGAIN   the last line has no end: a write that was cut off
 *   TULLE_EINVAL  not a line of ours, or changed since it was written; also a
 *                 last line that is whole but for another byte as its end
 */
enum tulle_err record_read(struct record *ret, const char *data, size_t len);

#endif
