/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * session.h - one TLS connection, in memory: no descriptor, no clock.
 *
 *      ciphertext in                          ciphertext out
 *   tls_session_input() ---> [ session ] ---> the buffer of tls_session_output()
 *   tls_session_read()  <--- [         ] <--- tls_session_write()
 *      plaintext                              plaintext
 *
 * Ciphertext in is lent for the calls that follow and not copied until
 * wolfSSL takes it; ciphertext out is appended to a buffer that the caller
 * names and empties.  That buffer is normally the thread's scratch, so
 * whoever makes a call sends what it appended before touching another
 * session.  Every call may append (alerts, key updates).
 *
 * The output never refuses, so a write is never half done; the caller bounds
 * what it writes.  An idle session owns a WOLFSSL and this small struct.
 *
 * A session belongs to the thread of its context.
 */
#ifndef TULLE_TLS_SESSION_H
#define TULLE_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "tls/context.h"
#include "tls/svid.h"

struct tls_session;

#define TLS_RECORD 16384 /* most plaintext in one record */
#define TLS_EXPECTED_MAX 16

struct tls_session_options {
	/* Clients: the SNI name to send, and for HTTPS the name to check; NULL: none. */
	const char *server_name;
	/*
	 * Mesh clients: the server must be one of these SPIFFE IDs; copied.
	 * None: any SVID that the verifier believes (a pinned client).
	 */
	const char *const *expected;
	size_t expected_n;
	/*
	 * Mesh servers: the SPIFFE ID that answers in place of the set's default
	 * where the client's name chooses none; NULL, or none of the set's: the default.
	 */
	const char *own;
};

/*
 * Makes a session on the context's side (server or client); <o> may be NULL, and
 * is not needed afterwards.  Takes a reference to <c> until the handshake is over.  TULLE_EINVAL,
 * TULLE_ENOMEM, TULLE_ECRYPTO.
 */
enum tulle_err tls_session_new(struct tls_session **ret, struct tls_context *c, const struct tls_session_options *o);

/* Takes NULL.  Always returns NULL.  Sends nothing. */
struct tls_session *tls_session_free(struct tls_session *s);

/* Where ciphertext goes from now on.  Lent; must be set before the first call below. */
void tls_session_output(struct tls_session *s, struct buf *out);

/*
 * Lends <n> bytes of ciphertext.  What an earlier call lent must be used up
 * (tls_session_input_left() is 0: true after a TULLE_AGAIN).
 */
void tls_session_input(struct tls_session *s, const void *p, size_t n);
size_t tls_session_input_left(const struct tls_session *s);

/*
 * Goes on with the handshake.
 *
 *   TULLE_OK       done; input may be left over for tls_session_read()
 *   TULLE_AGAIN    wants more input
 *   TULLE_EDENIED  the peer's certificate was refused: tls_session_reason()
 *   TULLE_EPEER    the peer broke the protocol or sent an alert: tls_session_alert()
 *   TULLE_ECRYPTO, TULLE_ENOMEM
 *
 * After an error the alert for the peer is in the output: send it, then close.
 */
enum tulle_err tls_session_handshake(struct tls_session *s);

/*
 * Takes plaintext, at most <n> bytes, at most one record.
 *
 *   TULLE_OK     *ret_n > 0 bytes; ask again
 *   TULLE_AGAIN  the input is used up
 *   TULLE_EOF    the peer sent close_notify
 *   TULLE_EDENIED  the peer refused our certificate: in TLS 1.3 a client learns that here (HB-06)
 *   TULLE_EPEER, TULLE_ECRYPTO, TULLE_ENOMEM
 */
enum tulle_err tls_session_read(struct tls_session *s, void *p, size_t n, size_t *ret_n);

/* Writes all of it, in records of at most 16 KiB.  TULLE_EPEER after a failure, TULLE_ECRYPTO, TULLE_ENOMEM. */
enum tulle_err tls_session_write(struct tls_session *s, const void *p, size_t n);

/* Says that nothing more will be written; reading goes on.  Repeated calls do nothing. */
void tls_session_close_notify(struct tls_session *s);

/*
 * <n> bytes that only the two ends of this connection can compute, for
 * binding a proof to it (RFC 8446 7.5, without a context value).  Once done,
 * and only where tls_options.exporter was set.  TULLE_EINVAL: neither.
 */
enum tulle_err tls_session_export(const struct tls_session *s, const char *label, void *out, size_t n);

bool tls_session_done(const struct tls_session *s); /* the handshake is over and was good */

/*
 * The peer's SPIFFE ID, proven; valid until tls_session_free().  NULL: the
 * handshake is not over, or the peer showed no certificate where it need not.
 */
const char *tls_session_peer_id(const struct tls_session *s);

/* The ID that a certificate names which may well have been refused: for logs, never for a decision.  NULL: none. */
const char *tls_session_claimed_id(const struct tls_session *s);

const char *tls_session_peer_serial(const struct tls_session *s); /* hexadecimal, "" if none */
int64_t tls_session_peer_not_before(const struct tls_session *s); /* seconds since the epoch, 0 if none; also of one refused */
int64_t tls_session_peer_not_after(const struct tls_session *s);  /* the same */

/* Which of our identities answered or called: its ID, valid until tls_session_free(); NULL if none. */
const char *tls_session_own_id(const struct tls_session *s);

/* The protocol agreed on, lent; NULL: none. */
const char *tls_session_alpn(const struct tls_session *s);

/* The name that the client sent (servers), valid until tls_session_free(); NULL: none, or not a DNS name's length. */
const char *tls_session_sni(const struct tls_session *s);

const char *tls_session_version(const struct tls_session *s); /* "TLSv1.3" */
const char *tls_session_cipher(const struct tls_session *s);  /* "TLS_AES_128_GCM_SHA256" */
const char *tls_session_group(const struct tls_session *s);   /* "X25519" */

/*
 * After TULLE_EDENIED: which rule.  SVID_OK: the peer refused us (see the
 * alert), or an HTTPS server's certificate failed the library's own rules
 * (see tls_session_error()).
 */
enum svid_reason tls_session_reason(const struct tls_session *s);

/* The alert that the peer sent, as RFC 8446 6 names it ("bad_certificate"); NULL: none. */
const char *tls_session_alert(const struct tls_session *s);

/* One phrase for a log about what went wrong, with alert or rule; valid until this thread asks again. */
const char *tls_session_error(const struct tls_session *s);

#endif
