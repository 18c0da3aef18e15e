/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/ca.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "store/crypt.h"
#include "tls/der.h"
#include "tls/issue.h"
#include "tls/spiffe.h"

#define KEY_FILE_MAX 16384

struct ca *
ca_free(struct ca *ca)
{
	if (ca == NULL)
		return NULL;
	key_unref(ca->key);
	free(ca->cert);
	free(ca);
	return NULL;
}

enum tulle_err
ca_folder(const char *dir)
{
	return file_mkdirs(dir, 0700);
}

static char *
key_path(const struct ca *ca, const char *dir)
{
	char *path;

	return asprintf(&path, "%s/%s.key", dir, ca->id) == -1 ? NULL : path;
}

/* Fills in what follows from the certificate. */
static enum tulle_err
set_cert(struct ca *ca, const uint8_t *der, size_t len)
{
	enum tulle_err e = svid_read(&ca->facts, der, len);

	if (e == TULLE_OK)
		e = svid_key_hash(der, len, ca->key_hash);
	if (e)
		return e;
	ca->cert = malloc(len);
	if (ca->cert == NULL)
		return TULLE_ENOMEM;
	memcpy(ca->cert, der, len);
	ca->cert_len = len;
	(void)text_hex(ca->key_hash, (CA_ID - 1) / 2, ca->id);
	return TULLE_OK;
}

enum tulle_err
ca_save_key(const struct ca *ca, const char *dir)
{
	struct buf der = buf_new(KEY_FILE_MAX);
	char AUTO_FREE *path = key_path(ca, dir);
	enum tulle_err e = path == NULL ? TULLE_ENOMEM : key_export(ca->key, &der);

	if (e == TULLE_OK)
		e = file_replace(path, buf_head(&der), buf_len(&der), 0600);
	buf_wipe(&der);
	return e;
}

void
ca_unlink(const struct ca *ca, const char *dir)
{
	char AUTO_FREE *path = key_path(ca, dir);

	if (path != NULL)
		(void)unlink(path);
}

/* Subjects must differ from CA to CA: validators that look an issuer up by name pick any of equal ones. */
static enum tulle_err
certificate(struct ca *ca, const struct ca_make *what)
{
	struct buf public = buf_new(ISSUE_PUBLIC_KEY_MAX), der = buf_new(DER_CERT_MAX);
	uint8_t hash[SVID_HASH];
	char name[64], hex[17];
	enum tulle_err e = key_public(ca->key, &public);

	if (e == TULLE_OK)
		e = crypt_hash(hash, buf_head(&public), buf_len(&public));
	if (e == TULLE_OK) {
		(void)snprintf(name, sizeof(name), "%s %s", what->issuer == NULL ? "root" : "issuing", text_hex(hash, 8, hex));
		e = issue_cert(&der,
		    &(struct issue){ .organization = "Tulle", .common_name = name, .uris = { what->uri }, .ca = true,
		        .path_len = what->issuer == NULL ? 1 : 0, .usage = ISSUE_CA_USAGE, .not_before = what->begin,
		        .not_after = what->end, .public_key = buf_head(&public), .public_key_len = buf_len(&public) },
		    what->issuer == NULL ? NULL : what->issuer->cert, what->issuer == NULL ? 0 : what->issuer->cert_len,
		    what->issuer == NULL ? ca->key : what->issuer->key);
	}
	if (e == TULLE_OK)
		e = set_cert(ca, buf_head(&der), buf_len(&der));
	buf_free(&public);
	buf_free(&der);
	return e;
}

enum tulle_err
ca_make(struct ca **ret, const char *dir, const struct ca_make *what)
{
	struct ca *ca = calloc(1, sizeof(*ca));
	enum tulle_err e;

	if (ca == NULL)
		return TULLE_ENOMEM;
	ca->root = what->issuer == NULL;
	ca->state = what->state;
	e = key_generate(&ca->key);
	if (e == TULLE_OK)
		e = certificate(ca, what);
	if (e == TULLE_OK)
		e = ca_save_key(ca, dir);
	if (e) {
		int saved = errno;

		ca_free(ca);
		errno = saved;
		return e;
	}
	*ret = ca;
	return TULLE_OK;
}

static enum tulle_err
state_parse(enum ca_state *ret, const char *name)
{
	for (enum ca_state s = CA_PREPARED; s < CA_GONE; s++)
		if (strcmp(name, ca_state_name(s)) == 0) {
			*ret = s;
			return TULLE_OK;
		}
	return TULLE_EINVAL;
}

static enum tulle_err
load_key(struct ca *ca, const char *dir)
{
	char AUTO_FREE *path = key_path(ca, dir);
	char *data;
	size_t len;
	enum tulle_err e = path == NULL ? TULLE_ENOMEM : file_read(path, KEY_FILE_MAX, &data, &len);

	if (e)
		return e;
	e = key_import(&ca->key, (const uint8_t *)data, len);
	explicit_bzero(data, len);
	free(data);
	if (e)
		return e;
	return key_matches(ca->key, ca->cert, ca->cert_len) ? TULLE_OK : TULLE_EINVAL;
}

enum tulle_err
ca_load(struct ca **ret, const char *dir, const char *id, const json_t *value)
{
	const char *text = value_text(value, "cert");
	uint8_t der[DER_CERT_MAX];
	size_t len;
	struct ca *ca = calloc(1, sizeof(*ca));
	enum tulle_err e;

	if (ca == NULL)
		return TULLE_ENOMEM;
	ca->root = strcmp(value_text(value, "tier"), "root") == 0;
	ca->last_leaf = value_int(value, "last_leaf");
	e = state_parse(&ca->state, value_text(value, "state"));
	if (e == TULLE_OK)
		e = text_unbase64url(text, strlen(text), der, sizeof(der), &len);
	if (e == TULLE_OK)
		e = set_cert(ca, der, len);
	if (e == TULLE_OK && strcmp(ca->id, id) != 0)
		e = TULLE_EINVAL;
	if (e == TULLE_OK)
		e = load_key(ca, dir);
	if (e) {
		ca_free(ca);
		return e;
	}
	*ret = ca;
	return TULLE_OK;
}

json_t *
ca_json(const struct ca *ca)
{
	char AUTO_FREE *text = malloc(TEXT_BASE64URL(ca->cert_len));

	if (text == NULL)
		return NULL;
	return json_pack("{ss ss ss sI}", "tier", ca->root ? "root" : "issuing", "state", ca_state_name(ca->state), "cert",
	    text_base64url(ca->cert, ca->cert_len, text), "last_leaf", (json_int_t)ca->last_leaf);
}

static bool
one_certificate(const struct buf *der)
{
	struct der parts[2];
	size_t n;

	return der_split(buf_head(der), buf_len(der), parts, 2, &n) == TULLE_OK && n == 1;
}

/* What is wrong with it as a root, or NULL. */
static const char *
root_fault(const struct ca *ca, const char *td, int64_t now)
{
	struct spiffe_id id;

	if (!ca->facts.is_ca || (ca->facts.has_key_usage && !ca->facts.key_cert_sign))
		return "the certificate is not a CA's";
	if (ca->facts.not_after <= now)
		return "the certificate has expired";
	if (ca->facts.not_before > now + 60)
		return "the certificate is not valid yet: is this host's clock right?";
	if (ca->facts.uri_sans > 1)
		return "the certificate has more than one URI name";
	if (ca->facts.uri_sans == 1 &&
	    (spiffe_parse(&id, ca->facts.id, ca->facts.id_len) != TULLE_OK || id.td_len != strlen(td) ||
	        memcmp(id.td, td, id.td_len) != 0))
		return "the certificate is for another trust domain";
	return NULL;
}

enum tulle_err
ca_import(struct ca **ret, const char *td, const char *cert_pem, const char *key_pem, int64_t now,
    char why[AUTHORITY_WHY])
{
	struct buf der = buf_new(DER_CHAIN_MAX);
	struct ca *ca = calloc(1, sizeof(*ca));
	const char *fault = NULL;

	if (ca == NULL)
		return TULLE_ENOMEM;
	ca->root = true;
	ca->state = CA_ACTIVE;
	if (der_from_pem(&der, cert_pem, strlen(cert_pem)) != TULLE_OK || !one_certificate(&der))
		fault = "the certificate's file must have exactly one PEM CERTIFICATE block";
	else if (set_cert(ca, buf_head(&der), buf_len(&der)) != TULLE_OK)
		fault = "the certificate cannot be read";
	else if (key_import_pem(&ca->key, key_pem, strlen(key_pem)) != TULLE_OK)
		fault = "the key's file has no unencrypted PEM private key that can be read";
	else if (!key_matches(ca->key, ca->cert, ca->cert_len))
		fault = "the key is not the certificate's";
	else
		fault = root_fault(ca, td, now);
	buf_free(&der);
	if (fault != NULL) {
		(void)snprintf(why, AUTHORITY_WHY, "%s%s%.150s", fault, ca->facts.id_len > 0 ? ": " : "", ca->facts.id);
		ca_free(ca);
		return TULLE_EINVAL;
	}
	*ret = ca;
	return TULLE_OK;
}
