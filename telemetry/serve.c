/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include "export/prometheus.h"
#include "io/sock.h"
#include "telemetryd.h"

#define TEXT_PLAIN "text/plain; charset=utf-8"

static void
reply_text(struct http_exchange *x, unsigned int status, const char *text)
{
	http_reply(x, status, TEXT_PLAIN, text, strlen(text));
}

static void
handle_metrics(void *arg, struct http_exchange *x)
{
	struct telemetryd *t = arg;
	const struct http1_field *accept = http1_find(http_exchange_head(x), "accept");
	bool open = accept != NULL && prometheus_wants_openmetrics(accept->value.p, accept->value.n);
	struct buf out = buf_new(PROMETHEUS_MAX);
	struct metric_set set;

	telemetryd_gather(t, &set);
	if (prometheus_write(&out, &set, t->settings->resource, t->settings->n_resource, open) == TULLE_OK)
		http_reply(x, 200, open ? OPENMETRICS_TYPE : PROMETHEUS_TYPE, buf_head(&out), buf_len(&out));
	else
		reply_text(x, 500, "too much to tell\n");
	buf_free(&out);
	metric_set_free(&set);
}

static void
handle_health(void *arg, struct http_exchange *x)
{
	(void)arg;
	reply_text(x, 200, "ok\n");
}

static void
handle_ready(void *arg, struct http_exchange *x)
{
	struct telemetryd *t = arg;

	if (source_attached(t->source))
		reply_text(x, 200, "attached to the relay\n");
	else
		reply_text(x, 503, "no relay\n");
}

static const struct http_route routes[] = {
	{ "GET", "/metrics", handle_metrics },
	{ "GET", "/healthz", handle_health },
	{ "GET", "/readyz", handle_ready },
	{ NULL, NULL, NULL },
};

/* Family 0 is every address: both families in one socket, or where there is no IPv6, IPv4. */
static enum tulle_err
listen_anywhere(int *ret_fd, const struct addr *at)
{
	struct addr any = *at;
	enum tulle_err e;

	if (at->family != 0)
		return sock_listen(ret_fd, at, 64, false);
	any.family = AF_INET6;
	e = sock_listen(ret_fd, &any, 64, false);
	if (e != TULLE_ESYS)
		return e;
	any.family = AF_INET;
	return sock_listen(ret_fd, &any, 64, false);
}

enum tulle_err
scrape_open(struct http_server **ret, struct telemetryd *t, const struct listen_at *at)
{
	struct http_server *s = NULL;
	int fd = -1;
	enum tulle_err e;

	if (!at->on) {
		*ret = NULL;
		return TULLE_OK;
	}
	e = listen_anywhere(&fd, &at->at);
	if (e)
		return e;
	e = http_server_new(&s, t->loop, routes, t, NULL);
	if (e == TULLE_OK)
		e = http_server_listen(s, fd);
	if (e) {
		(void)close(fd);
		http_server_free(s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}
