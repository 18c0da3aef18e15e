/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "http1/parse.h"

static const char *
parse_authority(struct http_url *u, const char *p, size_t n)
{
	const char *host = p, *colon = NULL;
	size_t host_n = n;

	if (n == 0 || n > 260 || !http1_authority_valid((struct http1_text){ p, n }, false))
		return "needs a host name or an address (IPv6 in brackets), and a port from 1 to 65535 if any";
	for (size_t i = n; i > 0 && p[i - 1] != ']'; i--)
		if (p[i - 1] == ':')
			colon = p + i - 1;
	if (colon != NULL) {
		host_n = (size_t)(colon - p);
		u->port = (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	if (*host == '[') {
		host++;
		host_n -= 2;
	}
	if (host_n >= sizeof(u->host))
		return "the host name is longer than 255 characters";
	memcpy(u->host, host, host_n);
	u->host[host_n] = '\0';
	(void)snprintf(u->authority, sizeof(u->authority), "%.*s", (int)n, p);
	return NULL;
}

static const char *
parse_http(struct http_url *u, const char *text)
{
	size_t n = strcspn(text, "/?#"), path_n;
	const char *why;

	why = parse_authority(u, text, n);
	if (why != NULL)
		return why;
	text += n;
	path_n = strlen(text);
	while (path_n > 0 && text[path_n - 1] == '/')
		path_n--;
	for (size_t i = 0; i < path_n; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '?' || text[i] == '#')
			return "the path may not have a query, a fragment, spaces or other than ASCII characters";
	if (path_n >= sizeof(u->path))
		return "the path is longer than 255 characters";
	memcpy(u->path, text, path_n);
	return NULL;
}

static const char *
parse_unix(struct http_url *u, const char *text)
{
	if (*text != '/' || strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return "needs the absolute path of a socket, at most 107 characters";
	(void)snprintf(u->host, sizeof(u->host), "%s", text);
	(void)snprintf(u->authority, sizeof(u->authority), "localhost");
	u->unix_socket = true;
	return NULL;
}

enum tulle_err
http_url_parse(struct http_url *ret, const char *text, const char **ret_why)
{
	struct http_url u = { .port = 80 };
	const char *why;

	if (strncmp(text, "http://", 7) == 0) {
		why = parse_http(&u, text + 7);
	} else if (strncmp(text, "https://", 8) == 0) {
		u.tls = true;
		u.port = 443;
		why = parse_http(&u, text + 8);
	} else if (strncmp(text, "unix:", 5) == 0) {
		why = parse_unix(&u, text + 5);
	} else {
		why = "must begin with http://, https:// or unix:/";
	}
	if (why != NULL) {
		*ret_why = why;
		return TULLE_EINVAL;
	}
	*ret = u;
	return TULLE_OK;
}
