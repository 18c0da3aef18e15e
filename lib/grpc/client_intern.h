/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * client_intern.h - what the files of the client share.  Nobody else
 * includes it.
 *
 *   client.c          the connection: its channel, its life
 *   client_h2.c       what nghttp2 calls: headers, messages, ends
 *   client_request.c  a request: start, deadline, cancel
 *
 * Messages and ends may come from within nghttp2 or the channel, and the
 * user who hears of them may cancel requests or free the client.
 */
#ifndef TULLE_GRPC_CLIENT_INTERN_H
#define TULLE_GRPC_CLIENT_INTERN_H

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "grpc/client.h"
#include "grpc/fields.h"
#include "tls/channel.h"

#define CLIENT_METADATA_MAX 16
#define CLIENT_HEADERS_MAX 16384 /* bytes of all fields of an answer */

struct grpc_request {
	LIST_ENTRY(grpc_request) link;
	struct grpc_client *client;
	int32_t id;                 /* 0 until the connection is ready */
	char *path;                 /* owned */
	struct buf out;             /* the framed request */
	struct buf in;
	struct grpc_handler handler;
	void *arg;
	struct timer deadline;
	uint64_t deadline_ms;
	int status;                 /* from the trailers; -1: none yet */
	char text[GRPC_TEXT_MAX];
	int http_status;
	bool is_grpc;               /* by its content type */
	size_t header_bytes;
	size_t n_metadata;
	char *metadata[2 * CLIENT_METADATA_MAX]; /* names and values in turn; owned */
};

struct grpc_client {
	struct loop *loop;
	struct channel *channel;    /* owned */
	nghttp2_session *h2;        /* owned; NULL until ready */
	struct grpc_client_events events;
	void *arg;
	char *authority;
	size_t response_max;
	LIST_HEAD(, grpc_request) requests;
	bool closed;
	bool inside;                /* nghttp2 is calling us */
	unsigned int calling;       /* callbacks of the channel and timers under way */
	bool freed;                 /* by its user, in one of those */
};

/* ---- client.c ---- */

/*
 * Between these two the user may be called, who may free the client: that is
 * then put off until nobody stands in it any more.  <c> may be gone after
 * client_leave().
 */
void client_enter(struct grpc_client *c);
void client_leave(struct grpc_client *c);

/* What nghttp2 has goes to the channel, which sends it at the end of the tick.  Nothing while nghttp2 is calling us. */
void client_flush(struct grpc_client *c);

/* ---- client_h2.c ---- */

/* Makes c->h2 and submits the SETTINGS.  TULLE_ENOMEM. */
enum tulle_err client_h2_start(struct grpc_client *c);

/* Submits the request; r->id is its stream, or below 0 if nghttp2 takes no more. */
void client_submit(struct grpc_request *r);

/* Tells the server that the answer is not wanted; nghttp2 forgets the request. */
void client_abandon(struct grpc_request *r);

/* ---- client_request.c ---- */

void client_request_free(struct grpc_request *r);

/* Frees <r>, then tells its user.  <text> may be the request's own. */
void client_request_finish(struct grpc_request *r, enum grpc_status status, const char *text);

/* The connection takes no more requests: <r>, which was not sent, ends so from the loop. */
void client_request_refuse(struct grpc_request *r);

#endif
