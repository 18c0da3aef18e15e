/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys.h - private keys.  keys.c is the only file that touches one.
 *
 * An EC key is never given to wolfSSL's context: the context gets a
 * signing callback, so that the key can leave this
 * process later without anything above noticing.  Keys of other kinds come
 * only from files of others and are loaded into the context.
 *
 * A key is immutable, counted atomically and wiped with its last reference.
 */
#ifndef TULLE_TLS_KEYS_H
#define TULLE_TLS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct key;

enum key_kind { KEY_P256, KEY_P384, KEY_ED25519, KEY_RSA };

/* A new P-256 key.  TULLE_ENOMEM, TULLE_ECRYPTO. */
enum tulle_err key_generate(struct key **ret);

/*
 * Reads a DER key, PKCS#8 (or the kind's own form: SEC 1, PKCS#1).
 * <der> is copied; the caller wipes its own.  TULLE_EINVAL, TULLE_ENOMEM.
 */
enum tulle_err key_import(struct key **ret, const uint8_t *der, size_t len);

/* The same from PEM text.  TULLE_EINVAL, TULLE_ENOMEM. */
enum tulle_err key_import_pem(struct key **ret, const char *pem, size_t len);

/* Appends the unencrypted PKCS#8 form; the caller uses buf_wipe().  Errors as buf_append(), TULLE_ECRYPTO. */
enum tulle_err key_export(const struct key *k, struct buf *out);

/* Appends the DER SubjectPublicKeyInfo.  Errors as buf_append(). */
enum tulle_err key_public(const struct key *k, struct buf *out);

enum key_kind key_kind(const struct key *k);

/* Is this the key of that certificate? */
bool key_matches(const struct key *k, const uint8_t *cert, size_t len);

struct key *key_ref(struct key *k);

/* Takes NULL.  Always returns NULL.  Any thread. */
struct key *key_unref(struct key *k);

/*
 * Signs what wc_MakeCert_ex() or wc_MakeCertReq_ex() left in <buf>
 * (<body> bytes, room for <size>) in place; *ret_len is the whole.  Cert.sigType
 * must have been key_sig_type().  TULLE_ECRYPTO.
 */
enum tulle_err key_sign_cert(const struct key *k, uint8_t *buf, size_t body, size_t size, size_t *ret_len);

/* wolfCrypt's CTC_* for this kind of key. */
int key_sig_type(const struct key *k);

/*
 * Appends a signature over <n> bytes (signature.h checks it): over their
 * SHA-256 with ECDSA or RSA (PKCS#1 v1.5), with Ed25519 over themselves.
 * What is signed must begin with a label of its purpose.  TULLE_ECRYPTO,
 * and what buf_append() says.
 */
enum tulle_err key_sign(const struct key *k, const void *p, size_t n, struct buf *out);

/*
 * Lets a WOLFSSL_CTX, which already has the certificate, sign with <k>,
 * which must outlive every handshake of that context.  TULLE_ECRYPTO.
 */
struct WOLFSSL_CTX;
enum tulle_err key_install(struct key *k, struct WOLFSSL_CTX *ctx);

/* The same for one session whose identity was chosen by SNI; EC keys only. */
struct WOLFSSL;
enum tulle_err key_install_session(struct key *k, struct WOLFSSL *ssl);

#endif
