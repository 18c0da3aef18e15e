/* SPDX-License-Identifier: GPL-3.0-or-later */
/* client_request.c - one request: its start, its deadline, its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/client_intern.h"

void
client_request_free(struct grpc_request *r)
{
	LIST_REMOVE(r, link);
	timer_clear(r->client->loop, &r->deadline);
	if (r->id > 0 && r->client->h2 != NULL)
		(void)nghttp2_session_set_stream_user_data(r->client->h2, r->id, NULL);
	for (size_t i = 0; i < 2 * r->n_metadata; i++)
		free(r->metadata[i]);
	buf_wipe(&r->in); /* responses carry keys */
	buf_wipe(&r->out);
	free(r->path);
	free(r);
}

void
client_request_finish(struct grpc_request *r, enum grpc_status status, const char *text)
{
	struct grpc_handler h = r->handler;
	char copy[GRPC_TEXT_MAX];
	void *arg = r->arg;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	client_request_free(r);
	h.finished(arg, status, copy);
}

static void
refused(struct timer *t)
{
	struct grpc_request *r = CONTAINER_OF(t, struct grpc_request, deadline);
	struct grpc_client *c = r->client;

	client_enter(c);
	client_request_finish(r, GRPC_UNAVAILABLE, "the connection takes no more requests");
	client_leave(c);
}

void
client_request_refuse(struct grpc_request *r)
{
	timer_set(r->client->loop, &r->deadline, 0, refused);
}

static void
deadline_passed(struct timer *t)
{
	struct grpc_request *r = CONTAINER_OF(t, struct grpc_request, deadline);
	struct grpc_client *c = r->client;

	client_enter(c);
	client_abandon(r);
	client_flush(c);
	client_request_finish(r, GRPC_DEADLINE_EXCEEDED, "no answer in time");
	client_leave(c);
}

enum tulle_err
grpc_start(struct grpc_client *c, struct grpc_request **ret, const char *path, const void *p, size_t n,
    const struct grpc_metadata *metadata, size_t n_metadata, uint64_t deadline_ms, const struct grpc_handler *handler,
    void *arg)
{
	struct grpc_request *r;
	bool complete = true;

	if (c->closed || c->freed)
		return TULLE_EUNAVAIL;
	if (c->h2 != NULL && !nghttp2_session_check_request_allowed(c->h2))
		return TULLE_EUNAVAIL; /* GOAWAY, or no stream id is left */
	if (n_metadata > CLIENT_METADATA_MAX)
		return TULLE_ELIMIT;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return TULLE_ENOMEM;
	*r = (struct grpc_request){ .client = c, .out = buf_new(n + GRPC_PREFIX), .in = buf_new(c->response_max + 65536),
		.handler = *handler, .arg = arg, .deadline_ms = deadline_ms, .status = -1, .n_metadata = n_metadata };
	LIST_INSERT_HEAD(&c->requests, r, link);
	r->path = strdup(path);
	for (size_t i = 0; i < n_metadata; i++) {
		r->metadata[2 * i] = strdup(metadata[i].name);
		r->metadata[2 * i + 1] = strdup(metadata[i].value);
		complete = complete && r->metadata[2 * i] != NULL && r->metadata[2 * i + 1] != NULL;
	}
	if (r->path == NULL || !complete || grpc_frame(&r->out, p, n) != TULLE_OK) {
		client_request_free(r);
		return TULLE_ENOMEM;
	}
	if (deadline_ms > 0)
		timer_set(c->loop, &r->deadline, deadline_ms, deadline_passed);
	if (c->h2 != NULL) {
		client_submit(r);
		if (r->id < 0) {
			client_request_free(r);
			return TULLE_EUNAVAIL;
		}
		client_flush(c);
	}
	*ret = r;
	return TULLE_OK;
}

void
grpc_cancel(struct grpc_request *r)
{
	struct grpc_client *c = r->client;

	client_abandon(r);
	client_request_free(r);
	client_flush(c);
}
