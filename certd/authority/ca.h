/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ca.h - one CA: certificate, key, state; made, loaded and kept on disk.
 * The parts of authority.c; nobody else includes it but its test.
 */
#ifndef TULLE_CERTD_AUTHORITY_CA_H
#define TULLE_CERTD_AUTHORITY_CA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "authority/authority.h"
#include "authority/rollover.h"
#include "base/err.h"
#include "tls/keys.h"
#include "tls/svid.h"

#define ISSUING_MAX 8
#define CA_ID 33 /* 16 bytes of the hash of the public key in hexadecimal, and a NUL */

struct ca {
	char id[CA_ID];
	bool root;
	enum ca_state state;
	int64_t last_leaf; /* of an old one */
	uint8_t *cert;     /* owned, DER */
	size_t cert_len;
	struct key *key; /* owned */
	struct svid_facts facts;
	uint8_t key_hash[SVID_HASH]; /* of the public key */
};

/* Takes NULL.  Always returns NULL. */
struct ca *ca_free(struct ca *ca);

/* Makes the folder of the keys, 0700.  TULLE_ESYS. */
enum tulle_err ca_folder(const char *dir);

/* What to make: a root if there is no issuer. */
struct ca_make {
	const char *uri;
	int64_t begin, end;
	enum ca_state state;
	const struct ca *issuer;
};

/* Makes a key and a certificate, and saves the key.  TULLE_ECRYPTO, TULLE_ESYS, TULLE_ENOMEM. */
enum tulle_err ca_make(struct ca **ret, const char *dir, const struct ca_make *what);

/* Reads what ca_json() wrote, and the key's file.  TULLE_EINVAL, TULLE_ENOENT (the key), TULLE_ESYS, TULLE_ENOMEM. */
enum tulle_err ca_load(struct ca **ret, const char *dir, const char *id, const json_t *value);

/* A root from PEM texts, checked; its key is not saved.  TULLE_EINVAL with <why>. */
enum tulle_err ca_import(struct ca **ret, const char *td, const char *cert_pem, const char *key_pem, int64_t now,
    char why[AUTHORITY_WHY]);

/* TULLE_ESYS, TULLE_ENOMEM, TULLE_ECRYPTO. */
enum tulle_err ca_save_key(const struct ca *ca, const char *dir);

/* Removes the key's file. */
void ca_unlink(const struct ca *ca, const char *dir);

/* What the store keeps of it.  NULL: out of memory. */
json_t *ca_json(const struct ca *ca);

#endif
