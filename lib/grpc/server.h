/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server.h - a small gRPC server over HTTP/2 (libnghttp2): unary and
 * server-streaming methods, on Unix sockets or on accepted connections with
 * TLS.  For the control plane; bounded in everything.
 */
#ifndef TULLE_GRPC_SERVER_H
#define TULLE_GRPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "grpc/status.h"
#include "io/loop.h"
#include "tls/context.h"
#include "tls/session.h"

struct grpc_server;
struct grpc_call;

struct grpc_method {
	const char *path; /* "/SpiffeWorkloadAPI/FetchX509SVID"; NULL ends the table */
	/*
	 * The request is here, <n> bytes lent for the call.  The handler answers
	 * with grpc_send() (once if unary, any number of times if streaming) and
	 * grpc_finish(), now or later.
	 */
	void (*run)(void *arg, struct grpc_call *call, const uint8_t *request, size_t n);
	/*
	 * The client has gone or its deadline has passed: <call> is invalid afterwards.  Comes from the loop or from
	 * grpc_server_free(), never from within another function of this file.  May be NULL for who answers at once.
	 */
	void (*ended)(void *arg, struct grpc_call *call);
};

struct grpc_server_options {
	struct tls_context *tls;   /* NULL: plain; a reference is taken */
	size_t connections_max;    /* 0: 256; what comes above is hung up on */
	size_t connections_peer_max; /* of one uid (Unix; not root) or IP address; 0: a quarter of those */
	size_t streams_max;        /* of one connection; 0: 64 */
	size_t request_max;        /* bytes of a request message; 0: 16 KiB */
	size_t response_max;       /* bytes of a response message; 0: 4 MiB, what clients take by default */
	uint64_t hello_ms;         /* until the client has sent its SETTINGS; 0: 10 s */
	uint64_t request_ms;       /* until a request is whole; 0: 10 s */
	uint64_t idle_ms;          /* a connection without calls is sent away (GOAWAY); 0: 5 min */
	uint64_t stall_ms;         /* nothing of what waits could be sent; 0: 60 s */
};

/* <methods> and <arg> are lent for the server's life, <o> (may be NULL) for the call.  TULLE_ENOMEM. */
enum tulle_err grpc_server_new(struct grpc_server **ret, struct loop *l, const struct grpc_method *methods, void *arg,
    const struct grpc_server_options *o);

/* Accepts from the listening socket <fd> too, which is taken over on success.  Up to 4.  TULLE_ELIMIT, TULLE_ESYS. */
enum tulle_err grpc_server_listen(struct grpc_server *s, int fd);

/*
 * The last <n> connections are for root and <uid> alone (Unix; no others
 * have a user).  <uid> has its share like others, connections_peer_max.
 */
void grpc_server_keep(struct grpc_server *s, size_t n, uid_t uid);

/* Connections made from now on use another TLS context (rotation).  A reference is taken. */
void grpc_server_set_tls(struct grpc_server *s, struct tls_context *tls);

/* Ends every call (ended() is raised) and connection.  Takes NULL.  Always returns NULL. */
struct grpc_server *grpc_server_free(struct grpc_server *s);

/* The handler's own data of a call; NULL at first. */
void grpc_call_set_data(struct grpc_call *call, void *data);
void *grpc_call_data(const struct grpc_call *call);

/* The value of a metadata field of the request, lent until the call ends; NULL if there is none.  <name> in lower case. */
const char *grpc_call_metadata(const struct grpc_call *call, const char *name);

/* How often the field came. */
unsigned int grpc_call_metadata_count(const struct grpc_call *call, const char *name);

/* The connection's socket, for peer credentials; lent.  -1 if it is gone. */
int grpc_call_fd(const struct grpc_call *call);

/* Its TLS session; NULL on a plain one.  Lent. */
struct tls_session *grpc_call_session(const struct grpc_call *call);

/*
 * Sends one message, copied.  TULLE_ELIMIT: longer than response_max.
 * TULLE_EBUSY: the previous one has not left yet (a stream's consumer is
 * slow: keep the latest state and try when sent() says so).  TULLE_ENOMEM.
 */
enum tulle_err grpc_send(struct grpc_call *call, const void *p, size_t n);

/*
 * Called once, from the loop, when what grpc_send() took has been handed to the connection (so soon, if nothing
 * waits); the handler may send or finish then.  May be NULL.
 */
void grpc_call_on_sent(struct grpc_call *call, void (*sent)(void *arg, struct grpc_call *call));

/* Ends the call: status and message go into the trailers.  <call> is invalid afterwards; ended() is not raised. */
void grpc_finish(struct grpc_call *call, enum grpc_status status, const char *message);

size_t grpc_server_calls(const struct grpc_server *s);

#endif
