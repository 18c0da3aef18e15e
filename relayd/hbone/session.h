/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * session.h - a tunnel: one HTTP/2 session over one mutual TLS connection,
 * carrying CONNECT streams (HBONE).  The protocol is nghttp2's; this file
 * ties it to the connection, to the streams and to the tick.
 *
 * What is sent is gathered at the end of the tick: a stream that has
 * something marks the tunnel dirty, hbone_flush_all() lets nghttp2 make
 * frames, whose DATA is read from the application's socket straight into the
 * record, seals them and sends once.
 *
 * Flow control: a stream's window (256 KiB) is given back as its bytes leave
 * towards the application, the connection's at once, so one reader that
 * stalls never stops its neighbours (HB-18); memory is bounded by
 * window times streams.
 *
 * Settings and limits below are chosen to suit ztunnel's and Envoy's defaults.
 */
#ifndef TULLE_RELAYD_HBONE_SESSION_H
#define TULLE_RELAYD_HBONE_SESSION_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "net/tlsconn.h"

#define HBONE_STREAMS_SERVER 200          /* announced (HB-12) */
#define HBONE_STREAMS_CLIENT 100          /* used of a peer that allows more */
#define HBONE_WINDOW (256 * 1024)         /* of a stream */
#define HBONE_CONN_WINDOW (16 * 1024 * 1024)
#define HBONE_FRAME (4 * 16384)           /* announced: four records */
#define HBONE_HEADER_LIST (64 * 1024)
#define HBONE_PING_MS 10000
#define HBONE_PING_LATE_MS 20000
#define HBONE_BULK (8u << 20)             /* a stream that moves so much in a second, either way, is bulk */
#define HBONE_BULK_MS 2000                /* and its tunnel carries bulk for so long after */
#define HBONE_AUTHORITY_MAX 300           /* a host name of 253, brackets and a port */

struct hbone;
struct hstream;

/* What the owner of a tunnel (pool.h, server.h) hears. */
struct hbone_events {
	void (*ready)(struct hbone *h);                 /* TLS is up and settings are on their way */
	void (*slots)(struct hbone *h);                 /* the number of free streams may have grown */
	/* Servers: a peer wants to be connected to <authority> ("" if it had none); <connect>: the method was CONNECT. */
	void (*request)(struct hbone *h, int32_t id, bool connect, const char *authority);
	void (*closed)(struct hbone *h, enum tulle_err e); /* gone, every stream has failed; free it at the end of the tick */
};

struct hbone {
	struct tlsconn conn;
	const struct hbone_events *events;
	nghttp2_session *h2; /* owned; NULL until TLS is up and after the end */
	bool server;
	bool dirty;          /* in th->dirty */
	bool inside;         /* nghttp2 is calling us: the session may not be freed now */
	bool draining;       /* GOAWAY was sent or received: no new streams */
	const char *broken;  /* by its peer: how, a fixed text; else NULL */
	bool failed;         /* a fatal error came up inside; ends when it is safe */
	bool closed;
	bool ping_out;
	enum tulle_err error;
	TAILQ_ENTRY(hbone) dirty_link;
	TAILQ_HEAD(, hstream) streams;
	TAILQ_HEAD(, hstream) starved; /* whose source has bytes that could not be taken yet */
	unsigned int nstreams;
	unsigned int streams_max;      /* clients: of the peer's settings; until they come, what is guessed */
	struct {
		bool connect;
		char authority[HBONE_AUTHORITY_MAX + 1];
	} request;                     /* servers: the one whose header block is coming in */
	uint64_t heard_ms;             /* when a frame last came */
	uint64_t bulk_until_ms;        /* a stream of this tunnel is bulk */
	struct timer ping;
	uint64_t resets_ms;            /* bucket against endless resets: when it was last filled */
	uint32_t resets;               /* and how many are left */
};

/* Connects to a tunnel's server.  Errors as tlsconn_connect(). */
enum tulle_err hbone_connect(struct hbone *h, struct thread *th, const struct addr *to, struct tls_context *ctx,
    const struct tls_session_options *options, const struct hbone_events *events);

/* Serves an accepted socket; on an error it stays the caller's. */
enum tulle_err hbone_accept(struct hbone *h, struct thread *th, int fd, struct tls_context *ctx,
    const struct tls_session_options *options, const struct hbone_events *events);

/*
 * Streams that could be opened now, 0 while draining.  Until the peer's
 * settings have come the number is a guess: the owner may set
 * h->streams_max after hbone_connect() if it knows better.
 */
unsigned int hbone_free_streams(const struct hbone *h);

/* Does it carry a flow that would make others wait? */
bool hbone_is_bulk(const struct hbone *h);

/* Something is to be sent: flush at the end of this tick. */
void hbone_mark_dirty(struct hbone *h);

/* The end-of-tick phase: every dirty tunnel once. */
void hbone_flush_all(struct thread *th);

/* Takes no new streams, says so (RFC 9113 6.8: first 2^31-1, a round trip later the true last one), lets the rest finish. */
void hbone_drain(struct hbone *h);

/* Ends it: streams fail, then closed() is raised.  From anywhere. */
void hbone_fail(struct hbone *h, enum tulle_err e);

/* Servers: answers a request with an error status (RFC 9110 15) and no tunnel. */
void hbone_reply_error(struct hbone *h, int32_t id, unsigned int status);

#endif
