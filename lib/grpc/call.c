/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers: messages, trailers, and the end of a call. */
#include <stdio.h>
#include <stdlib.h>

#include "grpc/intern.h"

static void
call_free(struct grpc_call *call)
{
	struct grpc_conn *c = call->conn;

	LIST_REMOVE(call, link);
	c->server->ncalls--;
	timer_clear(c->server->loop, &call->deadline);
	for (size_t i = 0; i < call->n_metadata; i++) {
		free(call->names[i]);
		free(call->values[i]);
	}
	buf_wipe(&call->in);
	buf_wipe(&call->out); /* answers carry keys */
	free(call);
}

void
call_gone(struct grpc_call *call)
{
	struct grpc_server *s = call->conn->server;

	if (call->running && !call->finishing && call->method->ended != NULL) {
		call->finishing = true; /* whatever the handler still does with it */
		call->method->ended(s->arg, call);
	}
	call_free(call);
}

static void
submit_trailers(struct grpc_call *call)
{
	char status[16], text[GRPC_TEXT_MAX];
	nghttp2_nv all[2];

	(void)snprintf(status, sizeof(status), "%d", (int)call->status);
	grpc_encode_text(call->text, text);
	all[0] = grpc_nv("grpc-status", status);
	all[1] = grpc_nv("grpc-message", text);
	(void)nghttp2_submit_trailer(call->conn->h2, call->id, all, text[0] != '\0' ? 2 : 1);
}

/* What was taken has left: sent() follows from the loop, never from within grpc_send(). */
static void
note_sent(struct grpc_call *call)
{
	if (call->sent == NULL)
		return;
	call->sent_due = true;
	conn_later(call->conn);
}

static ssize_t
read_response(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t max, uint32_t *flags, nghttp2_data_source *source,
    void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(h2, id);
	size_t n;

	(void)source;
	(void)arg;
	if (call == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = buf_len(&call->out);
	if (n == 0 && !call->finishing) {
		call->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > max)
		n = max;
	if (n > 0) {
		memcpy(buf, buf_head(&call->out), n);
		buf_consume(&call->out, n);
		call->conn->since = loop_now(call->conn->server->loop);
	}
	if (buf_len(&call->out) > 0)
		return (ssize_t)n;
	buf_wipe(&call->out);
	if (call->finishing) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		submit_trailers(call);
	} else {
		note_sent(call);
	}
	return (ssize_t)n;
}

static enum tulle_err
submit_headers(struct grpc_call *call)
{
	const nghttp2_data_provider data = { .read_callback = read_response };
	const nghttp2_nv all[] = { grpc_nv(":status", "200"), grpc_nv("content-type", "application/grpc") };

	if (call->answered)
		return TULLE_OK;
	if (nghttp2_submit_response(call->conn->h2, call->id, all, 2, &data) != 0)
		return TULLE_ENOMEM;
	call->answered = true;
	return TULLE_OK;
}

static void
resume(struct grpc_call *call)
{
	if (call->deferred) {
		call->deferred = false;
		(void)nghttp2_session_resume_data(call->conn->h2, call->id);
	}
	conn_flush(call->conn);
}

enum tulle_err
grpc_send(struct grpc_call *call, const void *p, size_t n)
{
	enum tulle_err e;

	if (n > call->conn->server->limits.response_max)
		return TULLE_ELIMIT;
	if (buf_len(&call->out) > 0)
		return TULLE_EBUSY;
	e = grpc_frame(&call->out, p, n);
	if (e == TULLE_OK)
		e = submit_headers(call);
	if (e == TULLE_OK)
		resume(call);
	else
		buf_wipe(&call->out);
	return e;
}

void
grpc_call_on_sent(struct grpc_call *call, void (*sent)(void *arg, struct grpc_call *call))
{
	call->sent = sent;
	if (buf_len(&call->out) == 0)
		note_sent(call); /* nothing waits: it has left already */
}

void
grpc_finish(struct grpc_call *call, enum grpc_status status, const char *message)
{
	char code[16], text[GRPC_TEXT_MAX];
	struct grpc_conn *c = call->conn;

	if (call->finishing)
		return;
	call->finishing = true;
	call->sent = NULL;
	call->sent_due = false;
	call->status = status;
	timer_clear(c->server->loop, &call->deadline);
	(void)snprintf(call->text, sizeof(call->text), "%s", message != NULL ? message : "");
	if (call->answered) {
		resume(call);
		return;
	}
	/* Nothing was sent: status and all in one HEADERS frame (trailers-only). */
	(void)snprintf(code, sizeof(code), "%d", (int)status);
	grpc_encode_text(call->text, text);
	{
		const nghttp2_nv all[] = { grpc_nv(":status", "200"), grpc_nv("content-type", "application/grpc"),
			grpc_nv("grpc-status", code), grpc_nv("grpc-message", text) };

		(void)nghttp2_submit_response(c->h2, call->id, all, text[0] != '\0' ? 4 : 3, NULL);
	}
	call->answered = true;
	conn_flush(c);
}

void
call_http(struct grpc_call *call, const char *status)
{
	const nghttp2_nv all[] = { grpc_nv(":status", status) };

	call->finishing = true;
	call->answered = true;
	timer_clear(call->conn->server->loop, &call->deadline);
	(void)nghttp2_submit_response(call->conn->h2, call->id, all, 1, NULL);
}

/*
 * A request that was answered before it was whole would keep its stream for
 * as long as the client likes: it is told to stop (RFC 9113 8.1).
 */
int
call_frame_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_call *call;

	(void)arg;
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (call != NULL && !call->whole)
		(void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_NO_ERROR);
	return 0;
}

void
grpc_call_set_data(struct grpc_call *call, void *data)
{
	call->data = data;
}

void *
grpc_call_data(const struct grpc_call *call)
{
	return call->data;
}

const char *
grpc_call_metadata(const struct grpc_call *call, const char *name)
{
	for (size_t i = 0; i < call->n_metadata; i++)
		if (strcmp(call->names[i], name) == 0)
			return call->values[i];
	return NULL;
}

unsigned int
grpc_call_metadata_count(const struct grpc_call *call, const char *name)
{
	unsigned int n = 0;

	for (size_t i = 0; i < call->n_metadata; i++)
		n += strcmp(call->names[i], name) == 0;
	return n;
}

int
grpc_call_fd(const struct grpc_call *call)
{
	return channel_fd(call->conn->channel);
}

struct tls_session *
grpc_call_session(const struct grpc_call *call)
{
	return channel_session(call->conn->channel);
}
