/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * status.h - the status codes of gRPC (grpc/grpc: doc/statuscodes.md), its
 * messages on the wire, and its timeouts.  Pure.
 */
#ifndef TULLE_GRPC_STATUS_H
#define TULLE_GRPC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
};

/* "PERMISSION_DENIED"; "UNKNOWN" for what is none. */
const char *grpc_status_name(int status);

/* The value of grpc-status; what is not the number of a name is GRPC_UNKNOWN. */
enum grpc_status grpc_status_parse(const char *text, size_t len);

/* What an HTTP status stands for that did not come from gRPC (gRPC's "HTTP to gRPC Status Code Mapping"). */
enum grpc_status grpc_status_of_http(int code);

/* What the error code of an RST_STREAM stands for (PROTOCOL-HTTP2.md, "Errors"). */
enum grpc_status grpc_status_of_reset(uint32_t code);

/* Is it "application/grpc", alone or with "+..." or ";..." behind it? */
bool grpc_content_type(const char *text, size_t len);

#define GRPC_PREFIX 5 /* bytes before each message: compressed flag, length */
#define GRPC_TEXT_MAX 1024

/* Appends one message with its prefix.  Errors as buf_append(). */
enum tulle_err grpc_frame(struct buf *out, const void *p, size_t n);

/*
 * The first message in <in>, if it is there whole: *ret_p (lent from <in>)
 * and *ret_n; take GRPC_PREFIX + *ret_n bytes off afterwards.
 *
 *   TULLE_AGAIN   not whole yet
 *   TULLE_ELIMIT  longer than <max>
 *   TULLE_EPEER   compressed, which nobody was told we could read
 */
enum tulle_err grpc_unframe(const struct buf *in, size_t max, const uint8_t **ret_p, size_t *ret_n);

/* grpc-message: percent-coded (PROTOCOL-HTTP2.md); <out> has GRPC_TEXT_MAX bytes, what does not fit is cut. */
void grpc_encode_text(const char *text, char out[GRPC_TEXT_MAX]);
void grpc_decode_text(const char *text, size_t len, char out[GRPC_TEXT_MAX]);

/* grpc-timeout: 1 to 8 digits and a unit of H M S m u n, in milliseconds, rounded up.  TULLE_EINVAL. */
enum tulle_err grpc_timeout(const char *text, size_t len, uint64_t *ret_ms);

#endif
