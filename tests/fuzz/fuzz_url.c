/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where an HTTP server is.  Invariants: what is refused says why; what is
 * taken has nothing in it that could end a line of a request, and written
 * again from its parts it reads the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check_plain(const char *s, size_t size)
{
	CHECK(memchr(s, '\0', size) != NULL);
	for (; *s != '\0'; s++)
		CHECK(*s > ' ' && *s <= '~');
}

static void
check(const struct http_url *u)
{
	const char *why = NULL;
	struct http_url again;
	char text[1024];

	CHECK(u->host[0] != '\0' && u->port != 0);
	if (u->unix_socket) {
		CHECK(!u->tls && u->host[0] == '/' && u->path[0] == '\0' && strcmp(u->authority, "localhost") == 0);
		(void)snprintf(text, sizeof(text), "unix:%s", u->host);
	} else {
		check_plain(u->host, sizeof(u->host));
		check_plain(u->authority, sizeof(u->authority));
		check_plain(u->path, sizeof(u->path));
		CHECK(strpbrk(u->host, "[]/@?#") == NULL && strpbrk(u->authority, "/@?#") == NULL);
		CHECK(u->path[0] == '\0' || (u->path[0] == '/' && u->path[strlen(u->path) - 1] != '/'));
		CHECK(strpbrk(u->path, "?#") == NULL);
		(void)snprintf(text, sizeof(text), "%s://%s%s", u->tls ? "https" : "http", u->authority, u->path);
	}
	CHECK(http_url_parse(&again, text, &why) == TULLE_OK);
	CHECK(again.tls == u->tls && again.unix_socket == u->unix_socket && again.port == u->port);
	CHECK(strcmp(again.host, u->host) == 0 && strcmp(again.authority, u->authority) == 0 &&
	    strcmp(again.path, u->path) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct http_url u;
	const char *why = NULL;

	if (http_url_parse(&u, text, &why) == TULLE_OK)
		check(&u);
	else
		CHECK(why != NULL && *why != '\0');
	free(text);
	return 0;
}
