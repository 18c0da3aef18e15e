/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wolf.h - what context.c, session.c and verdict.c share.  Nobody else includes it.
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
	bool unverified; /* any server is believed */
	bool exporter;            /* sessions keep what tls_session_export() needs */
	bool must_know_peer;      /* no session without a verdict */
	struct identity_set *set; /* servers; a reference */
	struct identity *own;     /* who answers or calls if nothing else is said; a reference, or NULL */
	struct verifier *verifier; /* a reference; NULL for HTTPS */
	char *alpn;               /* owned; NULL: none */
};

/* Whom a client expects; gone when the handshake is over. */
struct expected {
	size_t n;
	const char *ids[]; /* interned */
};

struct tls_session {
	WOLFSSL *ssl;            /* owned */
	struct buf *out;         /* lent */
	const uint8_t *in;       /* lent; what is not used up yet */
	size_t in_len;
	struct tls_context *ctx; /* a reference until the handshake is over */
	struct expected *expected; /* owned, the same; NULL: anybody */
	struct identity *instead;  /* of the context's default; lent by <ctx>; NULL: that one */
	const char *peer;        /* these four are interned */
	const char *own;
	const char *sni;
	const char *alpn;
	int64_t peer_not_before;
	int64_t peer_not_after;
	char peer_serial[SVID_SERIAL];
	bool server;
	bool done;
	bool failed;
	bool judged;       /* session_verify() has come to a verdict: <reason> */
	bool own_chosen;   /* the WOLFSSL has a certificate of its own */
	bool closing;      /* close_notify was sent */
	uint8_t reason;    /* enum svid_reason */
	int error;         /* wolfSSL's, of the first failure */
};

/* Ciphertext in and out; the I/O context is the session. */
int session_recv(WOLFSSL *ssl, char *p, int n, void *session);
int session_send(WOLFSSL *ssl, char *p, int n, void *session);

/* wolfSSL's verify callback on mesh contexts. */
int session_verify(int preverify, WOLFSSL_X509_STORE_CTX *store);

/* wolfSSL's server name callback on servers. */
int session_server_name(WOLFSSL *ssl, int *alert, void *context);

#endif
