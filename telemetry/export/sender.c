/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/sender.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/client.h"

#define HEADERS_MAX 8

struct path {
	struct sender *sender; /* lent */
	enum signal signal;
	struct lane *lane;          /* owned */
	struct http_client *client; /* owned */
	struct timer timer;
};

struct sender {
	struct loop *loop; /* lent */
	const struct sender_options *options;
	char *url; /* owned */
	struct tls_context *tls; /* one reference, or NULL */
	struct path paths[SIGNALS];
};

static uint32_t
random_word(void)
{
	uint32_t r = 0;

	/* If there is none, everybody waits the shortest time: a lesser evil than not to try again. */
	(void)!getrandom(&r, sizeof(r), 0);
	return r;
}

static void
request_done(void *arg, enum tulle_err e, const struct http_response *r)
{
	struct path *p = arg;
	uint64_t after = 0;

	if (r == NULL) {
		log_debug("telemetry request failed", LF_STR("destination", p->sender->url), LF_ERR(e),
		    LF_STR("why", http_client_error(p->client)));
		lane_done(p->lane, e, 0, NULL, 0, 0, clock_wall_ns(), random_word());
		return;
	}
	if (!http_retry_after(r, clock_wall_sec(), &after))
		after = 0;
	lane_done(p->lane, TULLE_OK, r->status, r->body, r->len, after, clock_wall_ns(), random_word());
}

static enum tulle_err
path_send(void *arg, const uint8_t *body, size_t len, bool zstd)
{
	struct path *p = arg;
	struct http1_field fields[3 + HEADERS_MAX] = {
		{ .name = HTTP1_TEXT("content-type"), .value = HTTP1_TEXT("application/x-protobuf") },
		{ .name = HTTP1_TEXT("user-agent"), .value = HTTP1_TEXT("tulle-telemetryd/" TULLE_VERSION) },
	};
	const char *const *h = p->sender->options->headers;
	size_t n = 2;

	if (zstd)
		fields[n++] = (struct http1_field){
			.name = HTTP1_TEXT("content-encoding"), .value = HTTP1_TEXT("zstd") };
	for (; h != NULL && h[0] != NULL && n < 3 + HEADERS_MAX; h += 2, n++)
		fields[n] = (struct http1_field){ .name = { h[0], strlen(h[0]) }, .value = { h[1], strlen(h[1]) } };
	return http_client_send(p->client,
	    &(struct http_request){ .method = "POST", .path = signal_path(p->signal), .fields = fields, .n = n,
		.body = body, .len = len, .timeout_ms = p->sender->options->timeout_ms },
	    request_done, p);
}

static void
path_due(struct timer *t)
{
	lane_due(CONTAINER_OF(t, struct path, timer)->lane);
}

static void
path_wait(void *arg, uint64_t ms)
{
	struct path *p = arg;

	timer_set(p->sender->loop, &p->timer, ms, path_due);
}

static const struct lane_ops path_ops = { .send = path_send, .wait = path_wait };

enum tulle_err
sender_new(struct sender **ret, struct loop *l, const char *url, const struct sender_options *o, struct zstd *z,
    const char **ret_why)
{
	struct sender *s = calloc(1, sizeof(*s));
	struct http_url where;
	enum tulle_err e = TULLE_OK;

	*ret_why = "out of memory";
	if (s == NULL)
		return TULLE_ENOMEM;
	s->loop = l;
	s->options = o;
	s->url = strdup(url);
	if (s->url == NULL)
		e = TULLE_ENOMEM;
	else
		e = http_url_parse(&where, url, ret_why);
	if (e == TULLE_OK && where.tls) {
		*ret_why = "the roots for https cannot be read";
		e = tls_context_https_client(&s->tls, o->ca_file, NULL);
	}
	for (int i = 0; e == TULLE_OK && i < SIGNALS; i++) {
		struct path *p = &s->paths[i];
		const struct http_client_options options = { .tls = s->tls };

		p->sender = s;
		p->signal = (enum signal)i;
		e = lane_new(&p->lane, p->signal, s->url, o->compress, z, &path_ops, p);
		if (e == TULLE_OK)
			e = http_client_new(&p->client, l, &where, &options);
	}
	if (e) {
		sender_free(s, DROP_REMOVED);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

struct sender *
sender_free(struct sender *s, enum drop_reason why)
{
	uint64_t lost = 0;

	if (s == NULL)
		return NULL;
	for (int i = 0; i < SIGNALS; i++) {
		struct path *p = &s->paths[i];
		struct lane_status status = { 0 };

		if (p->lane != NULL)
			lane_status(p->lane, &status);
		lost += status.queued;
		timer_clear(s->loop, &p->timer);
		p->client = http_client_free(p->client);
		p->lane = lane_free(p->lane, why);
	}
	if (lost > 0)
		log_warn("telemetry not delivered", LF_STR("destination", s->url), LF_UINT("records", lost),
		    LF_STR("reason", drop_name(why)));
	tls_context_unref(s->tls);
	free(s->url);
	free(s);
	return NULL;
}

void
sender_options_set(struct sender *s, const struct sender_options *o)
{
	s->options = o;
}

const char *
sender_url(const struct sender *s)
{
	return s->url;
}

void
sender_push(struct sender *s, struct payload *p)
{
	lane_push(s->paths[p->signal].lane, p);
}

bool
sender_empty(const struct sender *s)
{
	for (int i = 0; i < SIGNALS; i++)
		if (!lane_empty(s->paths[i].lane))
			return false;
	return true;
}

void
sender_status(const struct sender *s, enum signal signal, struct lane_status *ret)
{
	lane_status(s->paths[signal].lane, ret);
}
