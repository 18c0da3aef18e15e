/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stream.h - one CONNECT stream of a tunnel, as a stream (net/stream.h).
 *
 * failed()'s detail is the HTTP status if the peer refused the CONNECT (400
 * to 599), the errno with TULLE_ESYS (the tunnel's connection could not be
 * made, or broke), else -(the HTTP/2 error code) - 1, else 0.
 */
#ifndef TULLE_RELAYD_HBONE_STREAM_H
#define TULLE_RELAYD_HBONE_STREAM_H

#include "hbone/session.h"
#include "net/stream.h"

enum hstream_state { HSTREAM_WAITING, HSTREAM_ASKED, HSTREAM_OPEN, HSTREAM_CLOSED };

struct hstream {
	struct stream stream;
	struct hbone *h;      /* NULL once closed */
	int32_t id;           /* 0 while waiting for TLS */
	enum hstream_state state;
	TAILQ_ENTRY(hstream) link;
	TAILQ_ENTRY(hstream) starved_link;
	struct stream *from;  /* the source of what is sent here, once it had something; lent */
	char *authority;      /* of a waiting one; owned */
	bool starved;         /* in h->starved */
	bool deferred;        /* nghttp2 waits to be told that there is data */
	bool source_paused;
	bool shut_wanted;
	bool end_sent;
	bool end_received;
	bool retryable;       /* the peer never looked at it (REFUSED_STREAM, GOAWAY, stale tunnel): nothing was sent */
	const struct hbone *refused_by; /* which tunnel that was; for comparing, it may be gone */
	uint64_t asked_ns;
	uint64_t burst_ms;    /* bytes are counted since then, for a second */
	uint32_t burst;       /* either way */
};

/*
 * Clients: asks for <authority> ("10.0.0.2:8080"), now or when the tunnel
 * is up.  opened() or failed() follows, never from within.  TULLE_ENOMEM,
 * TULLE_ELIMIT (no free stream).
 */
enum tulle_err hstream_open(struct hstream *s, struct hbone *h, const char *authority,
    const struct stream_events *events);

/* Servers: takes over the stream of a request; data may follow at once. */
void hstream_take(struct hstream *s, struct hbone *h, int32_t id, const struct stream_events *events);

/* Servers: answers 200.  TULLE_ENOMEM. */
enum tulle_err hstream_accept(struct hstream *s);

/* For session.c, in.c and out.c: what nghttp2 tells about a stream. */
void hstream_asked(struct hstream *s);
void hstream_answered(struct hstream *s, int status);
void hstream_input(struct hstream *s, const uint8_t *p, size_t n);
void hstream_ended(struct hstream *s);
void hstream_sent_end(struct hstream *s);
void hstream_gone(struct hstream *s, enum tulle_err e, uint32_t h2_error);

/* For out.c: pauses the sources that could not be read in this flush. */
void hstream_pause_starved(struct hbone *h);

#endif
