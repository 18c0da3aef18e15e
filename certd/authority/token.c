/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/crypt.h"

#define VERSION "tulle1"
#define ID_BYTES 9
#define CHECK_BYTES 3
#define CHECK_TEXT TEXT_BASE64URL(CHECK_BYTES)

static const char not_whole[] = "it is not whole: it was cut or mistyped when it was copied";

/* A hash that cannot be made gives a check that fits nothing. */
static char *
check_of(const char *text, size_t n, char out[CHECK_TEXT])
{
	uint8_t hash[CRYPT_HASH];

	if (crypt_hash(hash, text, n) != TULLE_OK)
		memset(hash, 0xff, sizeof(hash));
	return text_base64url(hash, CHECK_BYTES, out);
}

enum tulle_err
token_new(struct token *ret, const uint8_t pin[TOKEN_PIN], const struct addr *authority, int64_t expires)
{
	struct token t = { .authority = *authority, .expires = expires };
	uint8_t id[ID_BYTES];
	enum tulle_err e = crypt_random(id, sizeof(id));

	if (e == TULLE_OK)
		e = crypt_random(t.secret, sizeof(t.secret));
	if (e)
		return e;
	(void)text_base64url(id, sizeof(id), t.id);
	memcpy(t.pin, pin, TOKEN_PIN);
	*ret = t;
	explicit_bzero(&t, sizeof(t));
	return TULLE_OK;
}

char *
token_format(const struct token *t, char out[TOKEN_TEXT])
{
	char secret[TEXT_BASE64URL(TOKEN_SECRET)], pin[TEXT_BASE64URL(TOKEN_PIN)], ip[ADDR_TEXT];
	char check[CHECK_TEXT];
	size_t n;

	n = (size_t)snprintf(out, TOKEN_TEXT, VERSION ".%s.%s.%s.%" PRId64 ".%s_%u", t->id,
	    text_base64url(t->secret, TOKEN_SECRET, secret), text_base64url(t->pin, TOKEN_PIN, pin), t->expires,
	    addr_format_ip(&t->authority, ip), t->authority.port);
	(void)snprintf(out + n, TOKEN_TEXT - n, ".%s", check_of(out, n, check));
	explicit_bzero(secret, sizeof(secret));
	return out;
}

int
token_id_valid(const char *id)
{
	uint8_t bytes[ID_BYTES];
	size_t n;

	return strlen(id) == TOKEN_ID - 1 && text_unbase64url(id, TOKEN_ID - 1, bytes, sizeof(bytes), &n) == TULLE_OK &&
	    n == ID_BYTES;
}

/* Exactly <n> bytes of base64url up to the next full stop, which is taken too. */
static enum tulle_err
part(const char **text, void *out, size_t n)
{
	const char *dot = strchr(*text, '.');
	size_t got;

	if (dot == NULL || text_unbase64url(*text, (size_t)(dot - *text), out, n, &got) != TULLE_OK || got != n)
		return TULLE_EINVAL;
	*text = dot + 1;
	return TULLE_OK;
}

/* Decimal digits up to the next full stop, which is taken too. */
static enum tulle_err
seconds(const char **text, int64_t *ret)
{
	const char *dot = strchr(*text, '.');
	char digits[20];
	uint64_t v;

	if (dot == NULL || (size_t)(dot - *text) >= sizeof(digits))
		return TULLE_EINVAL;
	memcpy(digits, *text, (size_t)(dot - *text));
	digits[dot - *text] = '\0';
	if (text_uint(digits, INT64_MAX, &v) != TULLE_OK)
		return TULLE_EINVAL;
	*ret = (int64_t)v;
	*text = dot + 1;
	return TULLE_OK;
}

/* HOST_PORT, from <text> to <end>. */
static enum tulle_err
address(struct addr *ret, const char *text, const char *end)
{
	char ip[ADDR_TEXT], *sep;
	uint64_t port;

	if (end < text || (size_t)(end - text) >= sizeof(ip))
		return TULLE_EINVAL;
	memcpy(ip, text, (size_t)(end - text));
	ip[end - text] = '\0';
	sep = strrchr(ip, '_');
	if (sep == NULL)
		return TULLE_EINVAL;
	*sep = '\0';
	if (addr_parse_ip(ret, ip) != TULLE_OK || text_uint(sep + 1, 65535, &port) != TULLE_OK || port == 0)
		return TULLE_EINVAL;
	ret->port = (uint16_t)port;
	return TULLE_OK;
}

enum tulle_err
token_parse(struct token *ret, const char *text, const char **ret_why)
{
	struct token t = { 0 };
	uint8_t id[ID_BYTES];
	const char *end = strrchr(text, '.');
	char check[CHECK_TEXT];

	if (strlen(text) >= TOKEN_TEXT) {
		*ret_why = "it is too long for a token";
		return TULLE_EINVAL;
	}
	if (strncmp(text, VERSION ".", sizeof(VERSION)) != 0) {
		*ret_why = "a token begins with \"" VERSION ".\"";
		return TULLE_EINVAL;
	}
	if (strcmp(check_of(text, (size_t)(end - text), check), end + 1) != 0) {
		*ret_why = not_whole;
		return TULLE_EINVAL;
	}
	text += sizeof(VERSION);
	if (part(&text, id, sizeof(id)) != TULLE_OK || part(&text, t.secret, sizeof(t.secret)) != TULLE_OK ||
	    part(&text, t.pin, sizeof(t.pin)) != TULLE_OK || seconds(&text, &t.expires) != TULLE_OK) {
		*ret_why = not_whole;
		explicit_bzero(&t, sizeof(t));
		return TULLE_EINVAL;
	}
	if (address(&t.authority, text, end) != TULLE_OK) {
		*ret_why = "its end is not an address and a port";
		explicit_bzero(&t, sizeof(t));
		return TULLE_EINVAL;
	}
	(void)text_base64url(id, sizeof(id), t.id);
	*ret = t;
	explicit_bzero(&t, sizeof(t));
	return TULLE_OK;
}

enum tulle_err
token_key(uint8_t ret[TOKEN_KEY], const struct token *t)
{
	char label[64];

	(void)snprintf(label, sizeof(label), "tulle join token %s", t->id);
	return crypt_derive(ret, t->secret, TOKEN_SECRET, label);
}

enum tulle_err
token_proof(uint8_t ret[32], const uint8_t key[TOKEN_KEY], const char *id, const uint8_t *csr, size_t csr_len,
    const uint8_t exporter[TOKEN_EXPORTER])
{
	uint8_t hash[CRYPT_HASH];
	enum tulle_err e = crypt_hash(hash, csr, csr_len);

	if (e)
		return e;
	return crypt_mac(ret, key,
	    (const struct crypt_piece[]){ { id, strlen(id) }, { hash, sizeof(hash) }, { exporter, TOKEN_EXPORTER } }, 3);
}
