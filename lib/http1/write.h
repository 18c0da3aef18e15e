/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * write.h - HTTP/1 messages, written.
 *
 * The mirror of parse.h: what is written here reads there as the same
 * message.  Whatever could break the framing is refused, wherever it came
 * from; on any error the buffer is as it was.
 */
#ifndef TULLE_HTTP1_WRITE_H
#define TULLE_HTTP1_WRITE_H

#include "base/buf.h"
#include "base/err.h"
#include "http1/parse.h"

/*
 * Appends a request head.  Used of <h>: method, target, authority (written
 * as Host, first), fields, body and length.  The version is always HTTP/1.1
 * (H1-05).
 *
 *   TULLE_EINVAL  the method, target, authority or a field is not legal, or
 *                 a field is Host, Content-Length or Transfer-Encoding:
 *                 those are made from the rest of <h> (see http1_drop());
 *                 or such a message cannot have such a body
 *   TULLE_ELIMIT, TULLE_ENOMEM
 */
enum tulle_err http1_write_request(struct buf *out, const struct http1_head *h);

/*
 * Appends a response head.  Used of <h>: status, reason, fields, body and
 * length.  1xx and 204 never get a length (RS-01); HTTP1_BODY_CLOSE gets
 * none, the caller closes.  With HTTP1_BODY_NONE and has_length the length is
 * written too: the answer to HEAD, 304, or 0.  Errors as above.
 */
enum tulle_err http1_write_response(struct buf *out, const struct http1_head *h);

/* Room for the size line of a chunk: 16 digits and CRLF. */
#define HTTP1_CHUNK_HEAD 18

/* Writes the line before a chunk of <n> > 0 bytes to <out>; returns its length.  CRLF follows the bytes. */
size_t http1_chunk_head(char out[HTTP1_CHUNK_HEAD], uint64_t n);

/* Appends a whole chunk; nothing if <n> is 0, which would end the body.  TULLE_ELIMIT, TULLE_ENOMEM. */
enum tulle_err http1_write_chunk(struct buf *out, const void *p, size_t n);

/*
 * Appends the end of a chunked body with <n> trailers; those that must not
 * be trailers are left out (H1-29).  TULLE_EINVAL, TULLE_ELIMIT, TULLE_ENOMEM.
 */
enum tulle_err http1_write_last(struct buf *out, const struct http1_field *trailers, size_t n);

/* The usual reason phrase; "" for an unknown status. */
const char *http1_reason(unsigned int status);

#endif
