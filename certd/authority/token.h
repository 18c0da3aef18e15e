/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * token.h - the text of a join token, and the proof that its holder gives
 * (pure).
 *
 *   tulle1.ID.SECRET.PIN.EXPIRES.HOST_PORT.CHECK
 *
 * One line without a character that a shell or a mail program minds.  ID,
 * SECRET and PIN are base64url: 9 random bytes, 16 random bytes, and the
 * SHA-256 of the root's public key, by which the new host knows the
 * authority.  EXPIRES is in seconds since the epoch: for words to people,
 * the authority decides by its own record.  HOST_PORT is an IP address and a
 * port with an underscore between them.  CHECK is the start of the SHA-256 of
 * all that stands before it: what was cut or mistyped is found before
 * anybody is asked.
 *
 * The secret never travels.  The authority keeps only a key derived from it
 * and cannot print the token again.
 */
#ifndef TULLE_CERTD_AUTHORITY_TOKEN_H
#define TULLE_CERTD_AUTHORITY_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

#define TOKEN_ID 13 /* 12 characters and a NUL */
#define TOKEN_SECRET 16
#define TOKEN_PIN 32
#define TOKEN_KEY 32
#define TOKEN_TEXT 160 /* room for any token and its NUL */
#define TOKEN_EXPORTER 32

/* Both ends take this label for the TLS exporter (RFC 8446 7.5, RFC 5705). */
#define TOKEN_EXPORTER_LABEL "EXPORTER-tulle-join"

struct token {
	char id[TOKEN_ID];
	uint8_t secret[TOKEN_SECRET]; /* wipe it */
	uint8_t pin[TOKEN_PIN];
	struct addr authority;
	int64_t expires; /* seconds since the epoch */
};

/* A new one with random id and secret.  TULLE_ECRYPTO. */
enum tulle_err token_new(struct token *ret, const uint8_t pin[TOKEN_PIN], const struct addr *authority, int64_t expires);

/* Returns <out>. */
char *token_format(const struct token *t, char out[TOKEN_TEXT]);

/* TULLE_EINVAL: not a token; *ret_why then says what is wrong with it, for people (static). */
enum tulle_err token_parse(struct token *ret, const char *text, const char **ret_why);

/* Is this the form of a token's id? */
int token_id_valid(const char *id);

/* What the authority stores.  TULLE_ECRYPTO. */
enum tulle_err token_key(uint8_t ret[TOKEN_KEY], const struct token *t);

/*
 * HMAC(key, id || SHA-256(csr) || exporter): bound to the key that is to be
 * certified and to this one connection.  TULLE_ECRYPTO.
 */
enum tulle_err token_proof(uint8_t ret[32], const uint8_t key[TOKEN_KEY], const char *id, const uint8_t *csr,
    size_t csr_len, const uint8_t exporter[TOKEN_EXPORTER]);

#endif
