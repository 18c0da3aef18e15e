/* SPDX-License-Identifier: GPL-3.0-or-later */
/* target.c - the four forms of a request target, and authorities (9112 3.2, 9110 4.2, H1-06 to H1-09). */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "http1/chars.h"

static bool
port_valid(const char *p, size_t n)
{
	unsigned int port = 0;

	if (n < 1 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!http1_is_digit(p[i]))
			return false;
		port = port * 10 + (unsigned int)(p[i] - '0');
	}
	return port >= 1 && port <= 65535;
}

/* The length of a bracketed IPv6 address at the start of <a>, brackets included; 0: there is none. */
static size_t
ipv6_len(struct http1_text a)
{
	const char *end = memchr(a.p, ']', a.n);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr in6;
	size_t n;

	if (end == NULL)
		return 0;
	n = (size_t)(end - a.p) - 1;
	if (n == 0 || n >= sizeof(text))
		return 0;
	memcpy(text, a.p + 1, n);
	text[n] = '\0';
	/* A NUL inside would end the text early. */
	if (strlen(text) != n || inet_pton(AF_INET6, text, &in6) != 1)
		return 0;
	return n + 2;
}

/* The length of a name or an IPv4 address at the start of <a>, up to a colon; 0: none. */
static size_t
name_len(struct http1_text a)
{
	size_t i = 0;

	while (i < a.n && a.p[i] != ':') {
		if (http1_is(a.p[i], HTTP1_C_HOST))
			i++;
		else if (a.p[i] == '%' && a.n - i >= 3 && http1_all(a.p + i + 1, 2, HTTP1_C_HEX))
			i += 3;
		else
			return 0;
	}
	return i;
}

bool
http1_authority_valid(struct http1_text a, bool need_port)
{
	size_t n;

	if (a.p == NULL || a.n == 0)
		return false;
	n = a.p[0] == '[' ? ipv6_len(a) : name_len(a);
	if (n == 0)
		return false;
	if (n == a.n)
		return !need_port;
	return a.p[n] == ':' && port_valid(a.p + n + 1, a.n - n - 1);
}

/* Splits "/path?query". */
static void
split_path(struct http1_head *h, struct http1_text t)
{
	const char *q = memchr(t.p, '?', t.n);

	h->path = t;
	if (q != NULL) {
		h->path.n = (size_t)(q - t.p);
		h->query = (struct http1_text){ q + 1, t.n - h->path.n - 1 };
	}
}

static enum http1_result
absolute(struct http1_head *h, struct http1_text t)
{
	size_t scheme = t.n >= 7 && strncasecmp(t.p, "http://", 7) == 0 ? 7
	    : t.n >= 8 && strncasecmp(t.p, "https://", 8) == 0          ? 8
	                                                                  : 0;
	size_t n = 0;

	if (scheme == 0)
		return HTTP1_E_TARGET;
	h->form = HTTP1_FORM_ABSOLUTE;
	h->https = scheme == 8;
	t.p += scheme;
	t.n -= scheme;
	while (n < t.n && t.p[n] != '/' && t.p[n] != '?')
		n++;
	h->authority = (struct http1_text){ t.p, n };
	if (!http1_authority_valid(h->authority, false))
		return HTTP1_E_TARGET;
	split_path(h, (struct http1_text){ t.p + n, t.n - n });
	/* An empty path is "/", but for OPTIONS the whole server (9112 3.2.4). */
	if (h->path.n == 0)
		h->path = http1_text_is(h->method, "OPTIONS") && h->query.p == NULL ? HTTP1_TEXT("*") : HTTP1_TEXT("/");
	return HTTP1_OK;
}

enum http1_result
http1_target_parse(struct http1_head *h)
{
	struct http1_text t = h->target;

	if (t.n == 0 || !http1_all(t.p, t.n, HTTP1_C_TARGET))
		return HTTP1_E_TARGET;
	if (http1_text_is(h->method, "CONNECT")) {
		h->form = HTTP1_FORM_AUTHORITY;
		h->authority = t;
		return http1_authority_valid(t, true) ? HTTP1_OK : HTTP1_E_TARGET;
	}
	if (t.p[0] == '/') {
		h->form = HTTP1_FORM_ORIGIN;
		split_path(h, t);
		return HTTP1_OK;
	}
	if (t.n == 1 && t.p[0] == '*') {
		h->form = HTTP1_FORM_ASTERISK;
		h->path = t;
		return http1_text_is(h->method, "OPTIONS") ? HTTP1_OK : HTTP1_E_TARGET;
	}
	return absolute(h, t);
}
