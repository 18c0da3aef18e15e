/* SPDX-License-Identifier: GPL-3.0-or-later */
/* name.c - the field names that mean something to the message itself. */
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "http1/body.h"
#include "http1/chars.h"

enum http1_name
http1_name_of(const char *name, size_t n)
{
#define IS(s) (strncasecmp(name, s, sizeof(s) - 1) == 0)
	/* Almost every field is told apart by length and at most one comparison. */
	switch (n) {
	case 2:
		return IS("te") ? HTTP1_TE : HTTP1_OTHER;
	case 4:
		return IS("host") ? HTTP1_HOST : HTTP1_OTHER;
	case 6:
		return IS("expect") ? HTTP1_EXPECT : HTTP1_OTHER;
	case 7:
		if (IS("upgrade"))
			return HTTP1_UPGRADE;
		return IS("trailer") ? HTTP1_TRAILER : HTTP1_OTHER;
	case 10:
		if (IS("connection"))
			return HTTP1_CONNECTION;
		return IS("keep-alive") ? HTTP1_KEEP_ALIVE : HTTP1_OTHER;
	case 14:
		return IS("content-length") ? HTTP1_CONTENT_LENGTH : HTTP1_OTHER;
	case 16:
		return IS("proxy-connection") ? HTTP1_PROXY_CONNECTION : HTTP1_OTHER;
	case 17:
		return IS("transfer-encoding") ? HTTP1_TRANSFER_ENCODING : HTTP1_OTHER;
	default:
		return HTTP1_OTHER;
	}
#undef IS
}

/* Who somebody is, said by a proxy: Forwarded and its elder relatives. */
static bool
is_identity(const char *name, size_t n)
{
	static const char *const exact[] = { "authorization", "proxy-authorization", "cookie", "forwarded",
		"x-real-ip", "x-client-cert", "x-request-id" };
	static const char *const prefix[] = { "x-forwarded-", "x-tulle-", "x-envoy-" };

	for (size_t i = 0; i < ARRAY_LEN(exact); i++)
		if (n == strlen(exact[i]) && strncasecmp(name, exact[i], n) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(prefix); i++)
		if (n >= strlen(prefix[i]) && strncasecmp(name, prefix[i], strlen(prefix[i])) == 0)
			return true;
	return false;
}

bool
http1_lookalike(const char *name, size_t n)
{
	char copy[HTTP1_NAME_MAX];

	if (n > sizeof(copy) || memchr(name, '_', n) == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		copy[i] = name[i] == '_' ? '-' : name[i];
	return http1_name_of(copy, n) != HTTP1_OTHER || is_identity(copy, n);
}

bool
http1_trailer_allowed(const struct http1_field *f)
{
	static const char *const refused[] = { "authorization", "proxy-authorization", "proxy-authenticate",
		"www-authenticate", "authentication-info", "cookie", "set-cookie", "forwarded", "via", "max-forwards",
		"cache-control", "range", "age", "date", "expires", "location", "retry-after", "vary", "warning", "pragma",
		"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range" };

	/* Framing, Host, Connection and the like, whatever marked them (9110 6.5.1). */
	if (f->id != HTTP1_OTHER || http1_name_of(f->name.p, f->name.n) != HTTP1_OTHER)
		return false;
	if (f->name.n >= 8 && strncasecmp(f->name.p, "content-", 8) == 0)
		return false;
	if (is_identity(f->name.p, f->name.n) || http1_lookalike(f->name.p, f->name.n))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (http1_text_is_nocase(f->name, refused[i]))
			return false;
	return true;
}

const struct http1_field *
http1_find(const struct http1_head *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (http1_text_is_nocase(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

void
http1_drop(struct http1_head *h, unsigned int set)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->n; i++) {
		if ((HTTP1_BIT(h->fields[i].id) & set) != 0 && h->fields[i].id != HTTP1_OTHER)
			continue;
		if (kept != i)
			h->fields[kept] = h->fields[i];
		kept++;
	}
	h->n = kept;
}

enum http1_asked
http1_asked_of(struct http1_text method)
{
	if (http1_text_is(method, "HEAD"))
		return HTTP1_ASKED_HEAD;
	return http1_text_is(method, "CONNECT") ? HTTP1_ASKED_CONNECT : HTTP1_ASKED_OTHER;
}
