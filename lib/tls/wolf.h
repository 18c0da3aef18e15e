/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wolf.h - what context.c and session.c share.  Nobody else includes it.
 */
#ifndef TULLE_TLS_WOLF_H
#define TULLE_TLS_WOLF_H

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include "tls/context.h"
#include "tls/session.h"

struct tls_context {
	unsigned int refs;
	WOLFSSL_CTX *wolf; /* owned; every WOLFSSL holds it too */
	bool server;
	bool mesh;                /* peers are judged by <verifier>, else by the library's own rules */
	bool exporter;            /* sessions keep what tls_session_export() needs */
	bool must_know_peer;      /* no session without a verdict */
	struct identity_set *set; /* servers; a reference */
	struct identity *own;     /* who answers or calls if nothing else is said; a reference, or NULL */
	struct verifier *verifier; /* a reference; NULL for HTTPS */
	char *alpn;               /* owned; NULL: none */
};

/* Ciphertext in and out; the I/O context is the session. */
int session_recv(WOLFSSL *ssl, char *p, int n, void *session);
int session_send(WOLFSSL *ssl, char *p, int n, void *session);

/* wolfSSL's verify callback on mesh contexts. */
int session_verify(int preverify, WOLFSSL_X509_STORE_CTX *store);

/* wolfSSL's server name callback on servers. */
int session_server_name(WOLFSSL *ssl, int *alert, void *context);

#endif
