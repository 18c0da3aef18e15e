/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "grpc/client.h"
#include "http/client.h"
#include "io/sock.h"

#define WHY_MAX 256
#define SERVING 1       /* HealthCheckResponse.ServingStatus */

struct run {
	struct loop *loop;
	const struct probe *probe; /* lent */
	run_done *done;
	void *arg;
	struct timer deadline, later;
	bool well;
	char why[WHY_MAX];
	/* One of them: */
	struct http_client *http;
	struct { int fd; struct watch watch; } tcp;
	struct { struct grpc_client *client; bool answered; } grpc;
};

void
run_cancel(struct run *r)
{
	timer_clear(r->loop, &r->deadline);
	timer_clear(r->loop, &r->later);
	(void)http_client_free(r->http);
	(void)grpc_client_free(r->grpc.client);
	loop_del(r->loop, &r->tcp.watch);
	if (r->tcp.fd != -1)
		(void)close(r->tcp.fd);
	free(r);
}

/* <r> is gone afterwards. */
static void
finish(struct run *r)
{
	run_done *done = r->done;
	void *arg = r->arg;
	char why[WHY_MAX];
	bool well = r->well;

	memcpy(why, r->why, sizeof(why));
	run_cancel(r);
	done(arg, well, why);
}

static void
on_later(struct timer *t)
{
	finish(CONTAINER_OF(t, struct run, later));
}

/* What is known at once is told from the loop, too. */
static void
settle(struct run *r, bool well, const char *why)
{
	r->well = well;
	(void)snprintf(r->why, sizeof(r->why), "%s", why);
	timer_set(r->loop, &r->later, 0, on_later);
}

static void
on_deadline(struct timer *t)
{
	struct run *r = CONTAINER_OF(t, struct run, deadline);

	settle(r, false, "no answer in time");
	finish(r);
}

/* ---- HTTP ---- */

static void
http_done(void *arg, enum tulle_err e, const struct http_response *answer)
{
	struct run *r = arg;

	if (e != TULLE_OK) {
		r->well = false;
		(void)snprintf(r->why, sizeof(r->why), "%s", http_client_error(r->http));
	} else {
		r->well = answer->status >= 200 && answer->status < 400;
		(void)snprintf(r->why, sizeof(r->why), "status %u", answer->status);
	}
	timer_set(r->loop, &r->later, 0, on_later); /* not from within the client's callback */
}

/* Host and framing are the client's own; Host can be another name there. */
static size_t
header_fields(const struct probe *p, struct http1_field *out, const char **ret_host)
{
	static const char *const ours[] = { "Connection", "Content-Length", "Transfer-Encoding", "TE", "Upgrade", "Trailer" };
	bool agent = false;
	size_t n = 0;

	for (size_t i = 0; i < p->headers_n; i++) {
		const struct probe_header *h = &p->headers[i];
		bool skip = false;

		for (size_t k = 0; k < ARRAY_LEN(ours); k++)
			skip |= strcasecmp(h->name, ours[k]) == 0;
		agent |= strcasecmp(h->name, "User-Agent") == 0;
		if (strcasecmp(h->name, "Host") == 0)
			*ret_host = h->value;
		else if (!skip)
			out[n++] = (struct http1_field){ .name = { h->name, strlen(h->name) }, .value = { h->value, strlen(h->value) } };
	}
	if (!agent)
		out[n++] = (struct http1_field){ .name = HTTP1_TEXT("User-Agent"), .value = HTTP1_TEXT("tulle-sidecar/" TULLE_VERSION) };
	return n;
}

static enum tulle_err
start_http(struct run *r, const struct addr *to, struct tls_context *tls)
{
	const struct probe *p = r->probe;
	const struct http_client_options o = { .tls = tls, .connect_ms = p->timeout_ms };
	struct http1_field fields[PROBE_HEADERS + 1];
	struct http_url url = { .tls = p->tls, .port = p->port };
	const char *host = NULL;
	char ip[ADDR_TEXT];
	size_t n = header_fields(p, fields, &host);
	enum tulle_err e;

	(void)snprintf(url.host, sizeof(url.host), "%s", p->host != NULL ? p->host : addr_format_ip(to, ip));
	if (host != NULL)
		(void)snprintf(url.authority, sizeof(url.authority), "%s", host);
	else
		(void)snprintf(url.authority, sizeof(url.authority), strchr(url.host, ':') != NULL ? "[%s]:%u" : "%s:%u", url.host, p->port);
	e = http_client_new(&r->http, r->loop, &url, &o);
	if (e == TULLE_OK)
		e = http_client_send(r->http,
		    &(struct http_request){ .method = "GET", .path = p->path, .fields = fields, .n = n, .timeout_ms = p->timeout_ms },
		    http_done, r);
	return e;
}

/* ---- TCP ---- */

static void
tcp_ready(struct watch *w, uint32_t events)
{
	struct run *r = CONTAINER_OF(w, struct run, tcp.watch);
	bool well = sock_connected(r->tcp.fd) == TULLE_OK;

	(void)events;
	settle(r, well, well ? "connected" : strerror(errno));
	finish(r);
}

static enum tulle_err
start_tcp(struct run *r, const struct addr *to)
{
	enum tulle_err e = sock_connect(&r->tcp.fd, to);

	if (e == TULLE_AGAIN)
		return loop_add(r->loop, &r->tcp.watch, r->tcp.fd, EPOLLOUT, tcp_ready);
	settle(r, e == TULLE_OK, e == TULLE_OK ? "connected" : strerror(errno));
	return TULLE_OK;
}

/* ---- gRPC ---- */

/* HealthCheckResponse {status = 1}: 0x08, one byte.  Anything else is no answer that says SERVING. */
static void
grpc_message(void *arg, const uint8_t *p, size_t n)
{
	struct run *r = arg;

	r->grpc.answered = n >= 2 && p[0] == 0x08 && p[1] == SERVING;
}

static void
grpc_finished(void *arg, enum grpc_status status, const char *text)
{
	struct run *r = arg;

	if (timer_active(&r->later))
		return;
	if (status != GRPC_OK)
		settle(r, false, text != NULL && *text != '\0' ? text : "the call failed");
	else
		settle(r, r->grpc.answered, r->grpc.answered ? "serving" : "not serving");
}

static void
grpc_closed(void *arg, const char *reason)
{
	struct run *r = arg;

	if (!timer_active(&r->later))
		settle(r, false, reason);
}

static enum tulle_err
start_grpc(struct run *r, const struct addr *to)
{
	static const struct grpc_client_events events = { .closed = grpc_closed };
	static const struct grpc_handler handler = { .message = grpc_message, .finished = grpc_finished };
	const struct probe *p = r->probe;
	const struct grpc_client_options o = { .channel = { .ready_ms = p->timeout_ms }, .response_max = 4096 };
	uint8_t message[2 + PROBE_SERVICE_MAX];
	size_t len = strlen(p->service), n = 0;
	struct grpc_request *request;

	if (grpc_client_connect(&r->grpc.client, r->loop, to, &o, &events, r) != TULLE_OK) {
		settle(r, false, strerror(errno));
		return TULLE_OK;
	}
	if (len > 0) { /* HealthCheckRequest {service = 1} */
		message[n++] = 0x0a;
		message[n++] = (uint8_t)len; /* probes.c has seen to it that one byte will do */
		memcpy(message + n, p->service, len);
		n += len;
	}
	return grpc_start(r->grpc.client, &request, "/grpc.health.v1.Health/Check", message, n, NULL, 0, p->timeout_ms, &handler, r);
}

struct run *
run_start(struct loop *l, const struct probe *p, const struct addr *pod, struct tls_context *tls, run_done *done, void *arg)
{
	struct run *r = calloc(1, sizeof(*r));
	struct addr to = *pod;
	enum tulle_err e = TULLE_EINVAL;

	if (r == NULL)
		return NULL;
	*r = (struct run){ .loop = l, .probe = p, .done = done, .arg = arg, .tcp = { .fd = -1, .watch = WATCH_INIT } };
	if (p->kind == PROBE_TCP && p->host != NULL)
		(void)addr_parse_ip(&to, p->host);
	to.port = p->port;
	timer_set(l, &r->deadline, p->timeout_ms, on_deadline);
	switch (p->kind) {
	case PROBE_HTTP:
		e = start_http(r, &to, tls);
		break;
	case PROBE_TCP:
		e = start_tcp(r, &to);
		break;
	case PROBE_GRPC:
		e = start_grpc(r, &to);
		break;
	}
	if (e == TULLE_OK)
		return r;
	run_cancel(r);
	return NULL;
}
