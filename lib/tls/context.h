/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * context.h - what many TLS sessions of one thread have in common: our
 * identity, whom we believe, suites, groups, ALPN.
 *
 * A context belongs to one thread and is counted without atomics.  It is
 * never changed: rotation makes a new one, sessions under way keep the old
 * one as long as they need it: wolfSSL cannot change a context that others
 * use, but frees one under live sessions cleanly with the last of them.
 *
 * Every mesh context speaks TLS 1.3 only.  No session tickets.
 */
#ifndef TULLE_TLS_CONTEXT_H
#define TULLE_TLS_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "tls/identity.h"
#include "tls/trust.h"

struct tls_context;

/* Choices that all constructors share; a zeroed one is the default. */
struct tls_options {
	const char *alpn; /* protocols that we take, best first, comma-separated ("h2"); NULL: no ALPN */
	bool hybrid;      /* X25519MLKEM768 before X25519 and P-256 */
	bool exporter;    /* tls_session_export() will be asked for: 1.3 KB more a session */
};

/*
 * Server of the mesh: the client must show an SVID that <v> believes.  The
 * identity is chosen by the client's SNI name (spiffe_sni()); without one,
 * or with one that is none of ours, tls_session_options.own answers, else the
 * set's default.  Only identities with keys of the EC kinds can be chosen;
 * others are of use as the default.
 *
 * ALPN: a client that offers none is let in; one that offers a list without
 * any of ours is refused with no_application_protocol.
 *
 * The set and the verifier are kept by reference.
 *   TULLE_EINVAL   the set has no identity
 *   TULLE_ECRYPTO, TULLE_ENOMEM
 */
enum tulle_err tls_context_mesh_server(struct tls_context **ret, struct identity_set *set, struct verifier *v,
    const struct tls_options *o);

/* The same, but a client may also come without a certificate: tls_session_peer_id() is then NULL.  For joining. */
enum tulle_err tls_context_open_server(struct tls_context **ret, struct identity_set *set, struct verifier *v,
    const struct tls_options *o);

/*
 * Client of the mesh as <id>; NULL: without a certificate.  The server must show
 * an SVID that <v> believes (with verifier_new_pinned(): to join).
 */
enum tulle_err tls_context_mesh_client(struct tls_context **ret, struct identity *id, struct verifier *v,
    const struct tls_options *o);

/*
 * Client of foreign HTTPS servers: TLS 1.2 or 1.3, the system's roots or those of
 * the PEM file <ca_file> (NULL: the system's), name checked against
 * tls_session_options.server_name, which must be a DNS name: our wolfSSL does
 * not read IP addresses in certificates, so such a server is refused.
 *   TULLE_ENOENT  no such file, or no root in it
 */
enum tulle_err tls_context_https_client(struct tls_context **ret, const char *ca_file, const struct tls_options *o);

/*
 * Client that believes any server, for probes of an application by its own
 * pod, as kubelet's: TLS 1.2 or 1.3.  Nothing secret may be sent over it.
 * tls_session_options.server_name is sent, if it is a name, and not checked.
 */
enum tulle_err tls_context_unverified_client(struct tls_context **ret);

struct tls_context *tls_context_ref(struct tls_context *c);

/* Takes NULL.  Always returns NULL. */
struct tls_context *tls_context_unref(struct tls_context *c);

/*
 * Starts the library; once per process, before any thread, and before
 * anything else in this folder.  TULLE_ECRYPTO.
 */
enum tulle_err tls_init(void);

/*
 * Proves that this build of the library, with our checks, refuses what must
 * be refused: two URI names, a CA certificate as peer, and an identity
 * signed by another trust domain's CA; and that of two roots in one row
 * both are believed.  Left alone the library gets each of them wrong.  Some
 * milliseconds.  TULLE_ECRYPTO: do not start; *ret_what then names the
 * proof that failed.
 */
enum tulle_err tls_selftest(const char **ret_what);

#endif
