/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * url.h - where an HTTP server is: "http://HOST[:PORT][/PATH]", "https://..."
 * or "unix:/PATH/OF/SOCKET".  Pure.
 */
#ifndef TULLE_HTTP_URL_H
#define TULLE_HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct http_url {
	bool tls;
	bool unix_socket;     /* host is then the path of the socket, path is "" */
	char host[256];       /* a name, IPv4, or IPv6 without brackets */
	uint16_t port;        /* 80 and 443 unless said otherwise */
	char authority[280];  /* for Host: "collector:4318", "[fd00::2]" as written */
	char path[256];       /* what stands in front of every request's path; no slash at its end, may be "" */
};

/*
 * Reads <text>.  No user, query or fragment.
 *   TULLE_EINVAL  *ret_why (never NULL) says in a phrase what would be right
 */
enum tulle_err http_url_parse(struct http_url *ret, const char *text, const char **ret_why);

#endif
