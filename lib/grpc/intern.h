/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * intern.h - what the files of the server share: server.c accepts and keeps
 * connections, request.c reads requests, call.c writes answers.  Nobody
 * else includes it.
 *
 *   conn_flush()  nghttp2 -> channel; may be called from anywhere
 *   conn_later()  what may call a user back or free a connection, from the loop
 */
#ifndef TULLE_GRPC_INTERN_H
#define TULLE_GRPC_INTERN_H

#include <nghttp2/nghttp2.h>
#include <string.h>
#include <sys/queue.h>

#include "grpc/fields.h"
#include "grpc/server.h"
#include "io/acceptor.h"
#include "io/sock.h"
#include "tls/channel.h"

#define LISTENERS_MAX 4
#define METADATA_MAX 32     /* fields kept of a request */
#define METADATA_BYTES 8192 /* and what all its fields may measure (RFC 9113 6.5.2) */

struct grpc_call {
	LIST_ENTRY(grpc_call) link;
	struct grpc_conn *conn;
	const struct grpc_method *method; /* NULL: unknown path */
	int32_t id;
	struct buf in;         /* the request, framed */
	struct buf out;        /* responses, framed */
	struct timer deadline; /* of the request, then of the call */
	uint64_t timeout_ms;
	bool has_timeout;
	void *data;
	void (*sent)(void *arg, struct grpc_call *call);
	bool sent_due;         /* sent() is to be called from the loop */
	bool bad_type, bad_timeout, is_post;
	bool whole;            /* the client has sent END_STREAM */
	bool running;          /* the handler has it */
	bool answered;         /* HEADERS are submitted */
	bool finishing;
	bool deferred;         /* nghttp2 waits for more to send */
	enum grpc_status status;
	char text[GRPC_TEXT_MAX];
	char *names[METADATA_MAX], *values[METADATA_MAX]; /* owned */
	size_t n_metadata, metadata_bytes;
};

struct grpc_conn {
	LIST_ENTRY(grpc_conn) link;
	struct grpc_server *server;
	struct channel *channel;
	nghttp2_session *h2;
	LIST_HEAD(, grpc_call) calls;
	struct timer later;    /* something to do from the loop */
	struct timer deadline; /* hello, idle, stall */
	struct sock_cred cred; /* Unix sockets */
	struct addr peer;      /* others */
	bool is_unix;
	bool inside;           /* nghttp2 is calling us */
	bool hello;            /* the client's SETTINGS were here */
	bool dead;             /* nghttp2 is neither fed nor asked any more */
	enum conn_phase { CONN_HELLO, CONN_IDLE, CONN_STALL, CONN_REST } phase; /* which deadline runs; none at rest */
	uint64_t since;        /* loop_now() when the phase began, or of the last bytes sent in it */
	int64_t patience;      /* frames that no honest client needs many of; refilled with time */
	uint64_t refilled_ms;
};

struct listener {
	struct grpc_server *server;
	struct acceptor acceptor;
	int fd; /* owned */
};

struct grpc_server {
	struct loop *loop;
	const struct grpc_method *methods;
	void *arg;
	struct tls_context *tls;
	struct grpc_server_options limits; /* no zeroes in it */
	struct listener listeners[LISTENERS_MAX];
	size_t nlisteners;
	LIST_HEAD(, grpc_conn) conns;
	size_t nconns;
	size_t kept; /* of connections_max, for root and <kept_uid> */
	uid_t kept_uid;
	size_t ncalls;
};

/* Moves what nghttp2 has to the channel and sets the deadline anew.  Calls no user, frees no connection. */
void conn_flush(struct grpc_conn *c);

/* Has server.c call sent() where it is due, from the loop. */
void conn_later(struct grpc_conn *c);

/* Ends the connection from the loop; nghttp2 is left alone from now on. */
void conn_break(struct grpc_conn *c);

/* Charges one frame of a kind that costs the sender nothing; false: no patience left. */
bool conn_charge(struct grpc_conn *c);

/* Answers with an HTTP status alone. */
void call_http(struct grpc_call *call, const char *status);

/* Takes the call off its connection; ended() is raised if a handler has it and did not finish it. */
void call_gone(struct grpc_call *call);

/* Sets the callbacks of request.c, and the one of call.c. */
void request_callbacks(nghttp2_session_callbacks *cb);
int call_frame_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *arg);

#endif
