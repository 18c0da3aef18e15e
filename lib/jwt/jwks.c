/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "jwt/jwks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "jwt/intern.h"

unsigned int
jwt_alg_of(const char *name)
{
	static const struct {
		const char *name;
		enum jwt_alg alg;
	} table[] = { { "RS256", JWT_RS256 }, { "PS256", JWT_PS256 }, { "ES256", JWT_ES256 }, { "ES384", JWT_ES384 } };

	for (size_t i = 0; name != NULL && i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(name, table[i].name) == 0)
			return table[i].alg;
	return 0;
}

static const char *
text_of(const json_t *o, const char *field)
{
	return json_string_value(json_object_get(o, field)); /* NULL if it is not there or no text */
}

/* An unsigned number in base64url, leading zeros dropped if it may have any length. */
static bool
number(const json_t *o, const char *field, uint8_t *out, size_t max, size_t *ret_len)
{
	const char *text = text_of(o, field);
	size_t zeros = 0;

	if (text == NULL || text_unbase64url(text, strlen(text), out, max, ret_len) != TULLE_OK)
		return false;
	while (zeros < *ret_len && out[zeros] == 0)
		zeros++;
	memmove(out, out + zeros, *ret_len - zeros);
	*ret_len -= zeros;
	return *ret_len > 0;
}

/* A coordinate: of the curve's full length (RFC 7518 6.2.1.2). */
static bool
coordinate(const json_t *o, const char *field, uint8_t *out, size_t size, size_t *ret_len)
{
	const char *text = text_of(o, field);

	return text != NULL && text_unbase64url(text, strlen(text), out, size, ret_len) == TULLE_OK && *ret_len == size;
}

static bool
for_signatures(const json_t *o)
{
	const json_t *use = json_object_get(o, "use"), *ops = json_object_get(o, "key_ops"), *one;
	size_t i;

	if (use != NULL && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))
		return false;
	if (ops == NULL)
		return true;
	json_array_foreach (ops, i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), "verify") == 0)
			return true;
	return false;
}

/* What the kind of key can do, and no more than its own "alg" says. */
static bool
choose_algs(struct jwk *k, const json_t *o)
{
	const json_t *alg = json_object_get(o, "alg");

	k->algs = k->kind == JWK_RSA ? JWT_RS256 | JWT_PS256 : k->kind == JWK_P256 ? JWT_ES256 : JWT_ES384;
	if (alg != NULL)
		k->algs &= jwt_alg_of(json_string_value(alg));
	return k->algs != 0;
}

static bool
read_material(struct jwk *k, const json_t *o)
{
	const char *kty = text_of(o, "kty"), *crv = text_of(o, "crv");
	size_t size;

	if (kty != NULL && strcmp(kty, "RSA") == 0) {
		k->kind = JWK_RSA;
		return number(o, "n", k->a, JWK_RSA_MAX, &k->a_len) && number(o, "e", k->b, JWK_EXPONENT_MAX, &k->b_len);
	}
	if (kty == NULL || strcmp(kty, "EC") != 0 || crv == NULL)
		return false;
	if (strcmp(crv, "P-256") == 0)
		k->kind = JWK_P256;
	else if (strcmp(crv, "P-384") == 0)
		k->kind = JWK_P384;
	else
		return false;
	size = k->kind == JWK_P256 ? 32 : 48;
	return coordinate(o, "x", k->a, size, &k->a_len) && coordinate(o, "y", k->b, size, &k->b_len);
}

/* A key that a token can name and that we can use. */
static bool
read_key(struct jwk *k, const json_t *o)
{
	const char *kid = text_of(o, "kid");

	*k = (struct jwk){ 0 };
	if (kid == NULL || *kid == '\0' || strlen(kid) > JWT_KID_MAX)
		return false;
	memcpy(k->kid, kid, strlen(kid) + 1);
	return for_signatures(o) && read_material(k, o) && choose_algs(k, o) && jwk_plausible(k);
}

static enum tulle_err
fail(char why[JWT_WHY], enum tulle_err e, const char *text)
{
	(void)snprintf(why, JWT_WHY, "%s", text);
	return e;
}

static enum tulle_err
read_keys(struct jwks *s, const json_t *keys, char why[JWT_WHY])
{
	json_t *one;
	size_t i;

	json_array_foreach (keys, i, one) {
		struct jwk *k = &s->items[s->n];

		if (!json_is_object(one))
			return fail(why, TULLE_EINVAL, "\"keys\" has an item that is no key");
		if (!read_key(k, one)) {
			s->left_out++;
			continue;
		}
		for (size_t j = 0; j < s->n; j++)
			if (strcmp(s->items[j].kid, k->kid) == 0) {
				(void)snprintf(why, JWT_WHY, "two keys have the kid \"%.80s\"", k->kid);
				return TULLE_EINVAL;
			}
		s->n++;
	}
	return s->n > 0 ? TULLE_OK
	                : fail(why, TULLE_EINVAL,
	                      "no key in it can be used: RSA from 2048 bits, P-256 or P-384, with a kid, for signatures");
}

enum tulle_err
jwks_parse(struct jwks **ret, const char *text, size_t len, char why[JWT_WHY])
{
	json_error_t at;
	json_t *doc, *keys;
	struct jwks *s;
	enum tulle_err e;

	if (len > JWKS_BYTES_MAX)
		return fail(why, TULLE_ELIMIT, "it is longer than 256 KiB");
	doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &at);
	if (doc == NULL) {
		(void)snprintf(why, JWT_WHY, "it is not JSON: line %d: %.120s", at.line, at.text);
		return TULLE_EINVAL;
	}
	keys = json_object_get(doc, "keys");
	s = calloc(1, sizeof(*s));
	if (!json_is_array(keys))
		e = fail(why, TULLE_EINVAL, "it has no list \"keys\"");
	else if (json_array_size(keys) > JWKS_KEYS_MAX)
		e = fail(why, TULLE_ELIMIT, "it has more than 64 keys");
	else if (s == NULL || (s->items = calloc(json_array_size(keys) + 1, sizeof(*s->items))) == NULL)
		e = TULLE_ENOMEM;
	else
		e = read_keys(s, keys, why);
	json_decref(doc);
	if (e) {
		jwks_free(s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

struct jwks *
jwks_free(struct jwks *s)
{
	if (s == NULL)
		return NULL;
	free(s->items);
	free(s);
	return NULL;
}

size_t
jwks_usable(const struct jwks *s)
{
	return s->n;
}

size_t
jwks_left_out(const struct jwks *s)
{
	return s->left_out;
}
