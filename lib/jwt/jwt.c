/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "jwt/jwt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "jwt/intern.h"

static enum tulle_err deny(char why[JWT_WHY], enum tulle_err e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static enum tulle_err
deny(char why[JWT_WHY], enum tulle_err e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, JWT_WHY, fmt, ap);
	va_end(ap);
	return e;
}

/* ---- parsing ---- */

/* One part: base64url of a JSON object. */
static enum tulle_err
read_object(json_t **ret, const char *text, size_t len, const char *what, char why[JWT_WHY])
{
	char AUTO_FREE *raw = malloc(len + 1);
	json_error_t at;
	size_t n;
	json_t *o;

	if (raw == NULL)
		return TULLE_ENOMEM;
	if (text_unbase64url(text, len, raw, len, &n) != TULLE_OK)
		return deny(why, TULLE_EINVAL, "its %s is not base64url without padding", what);
	o = json_loadb(raw, n, JSON_REJECT_DUPLICATES, &at);
	if (!json_is_object(o)) {
		json_decref(o);
		return deny(why, TULLE_EINVAL, "its %s is not a JSON object in which each member stands once", what);
	}
	*ret = o;
	return TULLE_OK;
}

/* What the header must have and must not have (RFC 7515 4.1). */
static enum tulle_err
check_header(const json_t *h, char why[JWT_WHY])
{
	const char *alg = json_string_value(json_object_get(h, "alg")), *kid = json_string_value(json_object_get(h, "kid"));
	const json_t *typ = json_object_get(h, "typ");

	if (json_object_get(h, "crit") != NULL)
		return deny(why, TULLE_EINVAL, "its header has \"crit\": an extension that is not known here");
	if (alg == NULL)
		return deny(why, TULLE_EINVAL, "its header has no \"alg\"");
	if (jwt_alg_of(alg) == 0)
		return deny(why, TULLE_EINVAL, "its algorithm is \"%.20s\"; RS256, PS256, ES256 and ES384 are accepted", alg);
	if (kid == NULL || *kid == '\0')
		return deny(why, TULLE_EINVAL, "its header has no \"kid\", which says whose key signed it");
	if (strlen(kid) > JWT_KID_MAX)
		return deny(why, TULLE_EINVAL, "its \"kid\" is longer than %d bytes", JWT_KID_MAX);
	if (typ != NULL && (!json_is_string(typ) || strcasecmp(json_string_value(typ), "JWT") != 0))
		return deny(why, TULLE_EINVAL, "its \"typ\" is not JWT: it is a token for another purpose");
	return TULLE_OK;
}

static enum tulle_err
read_parts(struct jwt *t, const char *text, size_t len, char why[JWT_WHY])
{
	const char *first = memchr(text, '.', len), *second, *end = text + len;
	enum tulle_err e;

	second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
	if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
		return deny(why, TULLE_EINVAL, "it is not three parts with dots between them");
	e = read_object(&t->header, text, (size_t)(first - text), "header", why);
	if (e == TULLE_OK)
		e = check_header(t->header, why);
	if (e == TULLE_OK)
		e = read_object(&t->claims, first + 1, (size_t)(second - first - 1), "payload", why);
	if (e)
		return e;
	if (second + 1 == end || text_unbase64url(second + 1, (size_t)(end - second - 1), t->signature, sizeof(t->signature),
	                             &t->signature_len) != TULLE_OK)
		return deny(why, TULLE_EINVAL, "its signature is missing, not base64url without padding, or too long");
	t->input_len = (size_t)(second - text);
	t->input = strndup(text, t->input_len);
	return t->input != NULL ? TULLE_OK : TULLE_ENOMEM;
}

enum tulle_err
jwt_parse(struct jwt **ret, const char *text, size_t len, char why[JWT_WHY])
{
	struct jwt *t;
	enum tulle_err e;

	if (len > JWT_BYTES_MAX)
		return deny(why, TULLE_ELIMIT, "it is longer than %d bytes", JWT_BYTES_MAX);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return TULLE_ENOMEM;
	e = read_parts(t, text, len, why);
	if (e) {
		jwt_free(t);
		return e;
	}
	*ret = t;
	return TULLE_OK;
}

struct jwt *
jwt_free(struct jwt *t)
{
	if (t == NULL)
		return NULL;
	json_decref(t->header);
	json_decref(t->claims);
	free(t->input);
	free(t);
	return NULL;
}

/* ---- the signature ---- */

enum tulle_err
jwt_verify(const struct jwt *t, const struct jwks *keys, char why[JWT_WHY])
{
	const char *kid = json_string_value(json_object_get(t->header, "kid"));
	const char *name = json_string_value(json_object_get(t->header, "alg"));
	const unsigned int alg = jwt_alg_of(name);
	enum tulle_err e;

	for (size_t i = 0; i < keys->n; i++) {
		const struct jwk *k = &keys->items[i];

		if (strcmp(k->kid, kid) != 0)
			continue;
		if ((k->algs & alg) == 0)
			return deny(why, TULLE_EDENIED, "it says %s, and the key \"%.60s\" is not for that", name, kid);
		e = jwk_verify(k, (enum jwt_alg)alg, t->input, t->input_len, t->signature, t->signature_len);
		return e == TULLE_EDENIED ? deny(why, e, "its signature is not that of the key \"%.60s\"", kid) : e;
	}
	return deny(why, TULLE_ENOENT, "it is signed by a key that the issuer's key set does not have (kid \"%.60s\")", kid);
}

/* ---- the claims ---- */

/* A NumericDate (RFC 7519 2); a fraction is cut off.  False: there, but no such number. */
static bool
date(const json_t *claims, const char *name, bool *ret_there, int64_t *ret)
{
	const json_t *v = json_object_get(claims, name);

	*ret_there = v != NULL;
	*ret = 0;
	if (v == NULL)
		return true;
	if (json_is_integer(v))
		*ret = json_integer_value(v);
	else if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < 1e15)
		*ret = (int64_t)json_real_value(v);
	else
		return false;
	return *ret >= 0 && *ret < INT64_C(1000000000000000);
}

static enum tulle_err
check_times(const json_t *claims, int64_t now, char why[JWT_WHY])
{
	int64_t exp, nbf, iat;
	bool has_exp, has_nbf, has_iat;

	if (!date(claims, "exp", &has_exp, &exp) || !date(claims, "nbf", &has_nbf, &nbf) ||
	    !date(claims, "iat", &has_iat, &iat))
		return deny(why, TULLE_EDENIED, "its \"exp\", \"nbf\" or \"iat\" is not a time");
	if (!has_exp || !has_iat)
		return deny(why, TULLE_EDENIED, "it has no \"%s\": a token without a bound to its life is refused",
		    has_exp ? "iat" : "exp");
	if (now >= exp + JWT_LEEWAY)
		return deny(why, TULLE_EDENIED, "it has expired, %lld seconds ago", (long long)(now - exp));
	if ((has_nbf && nbf > now + JWT_LEEWAY) || iat > now + JWT_LEEWAY)
		return deny(why, TULLE_EDENIED, "it is not yet valid, for %lld seconds: do the clocks agree?",
		    (long long)((has_nbf && nbf > iat ? nbf : iat) - now));
	if (exp <= iat || exp - iat > JWT_LIFE_MAX)
		return deny(why, TULLE_EDENIED, "it was made for %lld seconds; at most %d are accepted", (long long)(exp - iat),
		    JWT_LIFE_MAX);
	return TULLE_OK;
}

/* The audiences as they are, for people. */
static void
show_audience(char out[80], const json_t *aud)
{
	const char *first = json_string_value(json_is_array(aud) ? json_array_get(aud, 0) : aud);

	(void)snprintf(out, 80, first == NULL ? "nobody" : json_array_size(aud) > 1 ? "\"%.50s\" and others" : "\"%.50s\"",
	    first);
}

/* Every item must be a text: a list with something else in it is no list of audiences. */
static bool
has_audience(const json_t *aud, const char *wanted)
{
	const json_t *one;
	bool found = false;
	size_t i;

	if (json_is_string(aud))
		return strcmp(json_string_value(aud), wanted) == 0;
	json_array_foreach (aud, i, one) {
		if (!json_is_string(one))
			return false;
		found = found || strcmp(json_string_value(one), wanted) == 0;
	}
	return found;
}

enum tulle_err
jwt_check(const struct jwt *t, const struct jwt_rules *rules, char why[JWT_WHY])
{
	const json_t *aud = json_object_get(t->claims, "aud");
	char shown[80];

	if (strcmp(jwt_issuer(t), rules->issuer) != 0)
		return deny(why, TULLE_EDENIED, "its issuer is \"%.60s\", not \"%.60s\"", jwt_issuer(t), rules->issuer);
	if (!has_audience(aud, rules->audience)) {
		show_audience(shown, aud);
		return deny(why, TULLE_EDENIED, "it is for audience %s, not \"%.60s\"", shown, rules->audience);
	}
	return check_times(t->claims, rules->now, why);
}

const json_t *
jwt_claims(const struct jwt *t)
{
	return t->claims;
}

const char *
jwt_issuer(const struct jwt *t)
{
	const char *iss = json_string_value(json_object_get(t->claims, "iss"));

	return iss != NULL ? iss : "";
}
