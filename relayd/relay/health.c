/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/health.h"

#include <stdlib.h>
#include <string.h>

#include "http/server.h"

struct health {
	struct http_server *http;
	bool ready;
};

static void
reply(struct http_exchange *x, unsigned int status, const char *text)
{
	http_reply(x, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void
healthz(void *arg, struct http_exchange *x)
{
	(void)arg;
	reply(x, 200, "ok\n");
}

static void
readyz(void *arg, struct http_exchange *x)
{
	const struct health *h = arg;

	if (h->ready)
		reply(x, 200, "ready\n");
	else
		reply(x, 503, "not ready: no identity or no configuration yet, or draining\n");
}

static const struct http_route routes[] = {
	{ "GET", "/healthz", healthz },
	{ "GET", "/readyz", readyz },
	{ 0 },
};

enum tulle_err
health_start(struct health **ret, struct loop *l, int fd)
{
	struct health *h = calloc(1, sizeof(*h));
	enum tulle_err e;

	if (h == NULL)
		return TULLE_ENOMEM;
	if (fd != -1) {
		e = http_server_new(&h->http, l, routes, h, NULL);
		if (e == TULLE_OK)
			e = http_server_listen(h->http, fd);
		if (e != TULLE_OK) {
			(void)http_server_free(h->http);
			free(h);
			return e;
		}
	}
	*ret = h;
	return TULLE_OK;
}

void
health_set_ready(struct health *h, bool ready)
{
	h->ready = ready;
}

void
health_stop(struct health *h)
{
	h->http = http_server_free(h->http);
}
