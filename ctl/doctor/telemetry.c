/* SPDX-License-Identifier: GPL-3.0-or-later */
/* telemetry.c - does every collector take what it is sent? */
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>

#include "base/log.h"
#include "doctor/doctor.h"
#include "http/client.h"
#include "http/url.h"

#define ASK_MS 3000

/* An empty ExportLogsServiceRequest is no bytes at all: a collector answers it with 200. */
struct question {
	struct loop *loop;
	struct http_client *client;
	struct doctor *doctor;
	const char *url;
};

static void
answered(void *arg, enum tulle_err e, const struct http_response *r)
{
	struct question *q = arg;

	if (e != TULLE_OK)
		report_add(&q->doctor->report, WARNING, "collector", "%s: %s: is a collector running there, and is the address in "
		    "telemetry.destinations right?  Records wait in memory, 16 MiB, then the oldest go; traffic is not affected", q->url,
		    http_client_error(q->client));
	else if (r->status / 100 != 2)
		report_add(&q->doctor->report, WARNING, "collector", "%s answers an empty OTLP request with status %u: it is no OTLP/HTTP "
		    "receiver, or needs something that Tulle does not send", q->url, r->status);
	else
		report_add(&q->doctor->report, WELL, "collector", "%s takes OTLP", q->url);
	loop_stop(q->loop);
}

static void
ask(struct doctor *d, const char *text)
{
	static const struct http1_field field = { .name = HTTP1_TEXT("Content-Type"),
		.value = HTTP1_TEXT("application/x-protobuf") };
	const struct http_request request = { .method = "POST", .path = "/v1/logs", .fields = &field, .n = 1, .body = "", .len = 0,
		.timeout_ms = ASK_MS };
	struct question q = { .doctor = d, .url = text };
	struct http_url url;
	const char *why;
	uint32_t uid, gid;

	if (http_url_parse(&url, text, &why) != TULLE_OK || loop_new(&q.loop) != TULLE_OK)
		return;
	/* As telemetryd asks: past the steering rules. */
	if (host_user_id(d->host->users.telemetryd, &uid, &gid) == TULLE_OK && d->root)
		(void)setfsuid(uid);
	if (http_client_new(&q.client, q.loop, &url, &(struct http_client_options){ .connect_ms = ASK_MS }) == TULLE_OK &&
	    http_client_send(q.client, &request, answered, &q) == TULLE_OK)
		(void)loop_run(q.loop);
	q.client = http_client_free(q.client);
	q.loop = loop_free(q.loop);
	if (d->root)
		(void)setfsuid(0);
}

/* Records that were thrown away, whichever the reason. */
static void
look_for_drops(struct doctor *d)
{
	const json_t *destination, *lane, *count;
	const char *signal, *reason;
	size_t i;

	json_array_foreach(json_object_get(d->answers.status[TELEMETRYD], "destinations"), i, destination) {
		json_int_t dropped = 0;

		json_object_foreach((json_t *)json_object_get(destination, "signals"), signal, lane)
			json_object_foreach((json_t *)json_object_get(lane, "dropped"), reason, count)
				dropped += json_integer_value(count);
		if (dropped > 0)
			report_add(&d->report, WARNING, "telemetry", "%" JSON_INTEGER_FORMAT " records for %s were dropped since the start: "
			    "the collector was away for too long, or refused them", dropped, answer_text(destination, "otlp", "?"));
	}
}

void
check_telemetry(struct doctor *d)
{
	look_telemetry(&d->report, &d->answers);
	look_for_drops(d);
	if (d->host == NULL)
		return;
	for (size_t i = 0; i < d->host->telemetry.destinations.n; i++)
		ask(d, d->host->telemetry.destinations.items[i].otlp);
}
