/* SPDX-License-Identifier: GPL-3.0-or-later */
/* web.h - a web server on loopback for tests of what is downloaded: one document at /keys, and whatever goes wrong. */
#ifndef TULLE_TESTS_CERTD_WEB_H
#define TULLE_TESTS_CERTD_WEB_H

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/server.h"
#include "io/sock.h"

static struct {
	struct http_server *server;
	struct addr at;
	const char *text;     /* the document */
	unsigned int status;  /* of it */
	unsigned int asked;   /* how often */
	char bearer[256];     /* what was shown last; "": nothing */
	struct http_later *silent;
} web;

static void
web_keys(void *arg, struct http_exchange *x)
{
	const struct http1_head *h = http_exchange_head(x);

	(void)arg;
	web.asked++;
	web.bearer[0] = '\0';
	for (size_t i = 0; i < h->n; i++)
		if (h->fields[i].name.n == 13 && strncasecmp(h->fields[i].name.p, "authorization", 13) == 0)
			(void)snprintf(web.bearer, sizeof(web.bearer), "%.*s", (int)h->fields[i].value.n, h->fields[i].value.p);
	http_reply(x, web.status, "application/json", web.text, strlen(web.text));
}

static void
web_moved(void *arg, struct http_exchange *x)
{
	const struct http1_field f = { .name = HTTP1_TEXT("Location"), .value = HTTP1_TEXT("/keys") };

	(void)arg;
	http_reply_with(x, 302, NULL, &f, 1, NULL, 0);
}

static void
web_gone(void *arg)
{
	(void)arg;
	web.silent = NULL;
}

static void
web_silent(void *arg, struct http_exchange *x)
{
	web.silent = http_later(x, web_gone, arg);
}

static const struct http_route web_routes[] = {
	{ "GET", "/keys", web_keys },
	{ "GET", "/moved", web_moved },
	{ "GET", "/silent", web_silent },
	{ NULL, NULL, NULL },
};

static inline void
web_start(struct loop *l, const char *text)
{
	int fd;

	memset(&web, 0, sizeof(web));
	web.text = text;
	web.status = 200;
	ck_assert_int_eq(addr_parse(&web.at, "127.0.0.1:1"), TULLE_OK);
	web.at.port = 0;
	ck_assert_int_eq(sock_listen(&fd, &web.at, 1, false), TULLE_OK);
	ck_assert_int_eq(sock_local(fd, &web.at), TULLE_OK);
	ck_assert_int_eq(http_server_new(&web.server, l, web_routes, NULL, NULL), TULLE_OK);
	ck_assert_int_eq(http_server_listen(web.server, fd), TULLE_OK);
}

static inline void
web_stop(void)
{
	web.server = http_server_free(web.server);
}

/* The address of <path> on it; until the next call. */
static inline const char *
web_url(const char *path)
{
	static char url[128];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", web.at.port, path);
	return url;
}

#endif
