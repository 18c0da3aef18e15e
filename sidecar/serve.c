/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "http/server.h"
#include "io/sock.h"
#include "run.h"
#include "tls/context.h"

#define OWN_ROUTES 3
#define RELAY_MS 1000 /* for the relay to say whether it is ready: it is in the same pod */
#define CONNECTIONS 64
#define BACKLOG 64

struct serve {
	struct loop *loop; /* lent */
	struct serve_options options;
	struct http_server *http;
	struct http_route *routes; /* owned */
	struct tls_context *unverified;
	struct probe relay; /* its health port, as a probe of our own */
	bool leaving;
};

/* A probe under way for somebody who waits. */
struct asked {
	struct http_later *later;
	struct run *run;
	unsigned int bad; /* the status of a failure */
};

static void
answer(struct http_exchange *x, unsigned int status, const char *text)
{
	http_reply(x, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void
asked_done(void *arg, bool well, const char *why)
{
	struct asked *a = arg;
	char line[320];

	(void)snprintf(line, sizeof(line), "%s\n", why);
	http_later_reply(a->later, well ? 200 : a->bad, "text/plain; charset=utf-8", line, strlen(line));
	free(a);
}

static void
asked_gone(void *arg)
{
	struct asked *a = arg;

	run_cancel(a->run);
	free(a);
}

static void
ask(struct serve *s, struct http_exchange *x, const struct probe *p, const struct addr *pod, unsigned int bad)
{
	struct asked *a = calloc(1, sizeof(*a));

	if (a != NULL) {
		a->bad = bad;
		a->run = run_start(s->loop, p, pod, s->unverified, asked_done, a);
	}
	if (a == NULL || a->run == NULL) {
		free(a);
		answer(x, bad, "the probe could not be started\n");
		return;
	}
	a->later = http_later(x, asked_gone, a);
}

static void
ready(void *arg, struct http_exchange *x)
{
	struct serve *s = arg;
	struct addr here;

	(void)addr_parse_ip(&here, "127.0.0.1");
	if (s->leaving)
		answer(x, 503, "stopping\n");
	else
		ask(s, x, &s->relay, &here, 503);
}

static void
app_health(void *arg, struct http_exchange *x)
{
	struct serve *s = arg;
	const struct http1_head *h = http_exchange_head(x);
	struct addr pod = http_exchange_local(x);

	for (size_t i = 0; i < s->options.probes->n; i++)
		if (http1_text_is(h->path, s->options.probes->items[i].at)) {
			ask(s, x, &s->options.probes->items[i], &pod, 500);
			return;
		}
}

static void
quit(void *arg, struct http_exchange *x)
{
	struct serve *s = arg;

	if (!addr_is_loopback(http_exchange_peer(x))) {
		answer(x, 403, "only from within the pod, at 127.0.0.1\n");
		return;
	}
	answer(x, 200, "ending\n");
	s->options.quit(s->options.arg);
}

static enum tulle_err
make_routes(struct serve *s)
{
	const struct probes *p = s->options.probes;

	s->routes = calloc(p->n + OWN_ROUTES, sizeof(*s->routes));
	if (s->routes == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < p->n; i++)
		s->routes[i] = (struct http_route){ "GET", p->items[i].at, app_health };
	s->routes[p->n] = (struct http_route){ "GET", "/healthz/ready", ready };
	s->routes[p->n + 1] = (struct http_route){ "POST", "/quitquitquit", quit };
	return TULLE_OK;
}

static enum tulle_err
open_port(struct serve *s)
{
	const struct http_server_options o = { .connections_max = CONNECTIONS, .peer_max = CONNECTIONS / 2,
		.body_ms = 301000 /* the longest probe */ };
	struct addr at = { .family = AF_INET6, .port = SERVE_PORT };
	int fd;
	enum tulle_err e = sock_listen(&fd, &at, BACKLOG, false);

	if (e == TULLE_ESYS) { /* a pod without IPv6 */
		at.family = AF_INET;
		e = sock_listen(&fd, &at, BACKLOG, false);
	}
	if (e != TULLE_OK)
		return e;
	e = http_server_new(&s->http, s->loop, s->routes, s, &o);
	if (e == TULLE_OK)
		e = http_server_listen(s->http, fd);
	if (e != TULLE_OK)
		(void)close(fd);
	return e;
}

enum tulle_err
serve_start(struct serve **ret, struct loop *l, const struct serve_options *o)
{
	static char readyz[] = "/readyz";
	struct serve *s = calloc(1, sizeof(*s));
	enum tulle_err e;

	if (s == NULL)
		return TULLE_ENOMEM;
	*s = (struct serve){ .loop = l, .options = *o,
		.relay = { .kind = PROBE_HTTP, .port = o->relay_health, .timeout_ms = RELAY_MS, .path = readyz } };
	e = make_routes(s);
	if (e == TULLE_OK)
		e = tls_context_unverified_client(&s->unverified);
	if (e == TULLE_OK)
		e = open_port(s);
	if (e != TULLE_OK) {
		s->http = http_server_free(s->http);
		s->unverified = tls_context_unref(s->unverified);
		free(s->routes);
		free(s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

void
serve_leave(struct serve *s)
{
	s->leaving = true;
}
