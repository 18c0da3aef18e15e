/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * otlp.h - a body of OTLP/HTTP, taken apart and told as lines of JSON.
 *
 * The bytes are a stranger's: compressed bytes may be a bomb, messages may
 * be nested without end, small messages may want large memory.  Each has a
 * bound (SL-08, SL-09).  Pure.
 */
#ifndef TULLE_CTL_OTLP_H
#define TULLE_CTL_OTLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum otlp_signal { OTLP_TRACES, OTLP_METRICS, OTLP_LOGS };

#define OTLP_RATIO_MAX 100         /* of raw to compressed bytes */
#define OTLP_RATIO_FREE 65536      /* raw bytes that are allowed at any ratio */
#define OTLP_WINDOW_LOG 23         /* 8 MB, RFC 9659 */
#define OTLP_NESTING_MAX 64        /* messages inside of messages */
#define OTLP_MEMORY_MAX (128u << 20) /* what one body may take when it is unpacked */

/*
 * Appends to <out> what the zstd frames in <n> bytes of <p> hold; out->max is the bound.
 *   TULLE_EINVAL  not zstd, cut short, or with a larger window than RFC 9659 allows
 *   TULLE_ELIMIT  a bound was reached, before more than that was written
 *   TULLE_ENOMEM
 */
enum tulle_err otlp_inflate(struct buf *out, const void *p, size_t n);

/* What a line tells about the body that it came in. */
struct otlp_batch {
	const char *encoding; /* "zstd", "identity" */
	size_t wire;          /* bytes as they were sent */
	size_t raw;           /* bytes of protobuf */
};

/*
 * Appends one line of JSON for each log record, span or metric data point
 * of the request in <n> bytes of <p>:
 *
 *   {"signal":"log","time_unix_nano":...,"severity":"INFO","body":...,
 *    "attributes":{...},"resource":{...},"scope":"tulle.relay",
 *    "encoding":"zstd","wire_bytes":412,"raw_bytes":1803}
 *
 * Text is escaped, what is not UTF-8 replaced; ids and bytes are hexadecimal.
 *
 *   TULLE_OK      *ret_records lines
 *   TULLE_EINVAL  not such a request, or nested too deeply
 *   TULLE_ELIMIT  memory or out->max would be exceeded; <out> has no part of it
 */
enum tulle_err otlp_to_json(struct buf *out, enum otlp_signal signal, const void *p, size_t n,
    const struct otlp_batch *batch, size_t *ret_records);

#endif
