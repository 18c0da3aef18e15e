/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/relay_intern.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire.h"

void
relay_tell(struct relay *r, uint32_t type, const void *body, size_t len)
{
	if (msg_send(r->start->channel, type, body, len, NULL, 0) != TULLE_OK)
		log_debug("parent does not listen", LF_UINT("type", type));
}

/* Ready: new connections would be treated as configured. */
void
relay_update_ready(struct relay *r)
{
	bool ready = r->loader.snapshot != NULL && r->set != NULL && !r->draining;
	const struct wire_flag flag = { .on = ready };

	if (ready == r->ready)
		return;
	r->ready = ready;
	health_set_ready(r->health, ready);
	relay_tell(r, WIRE_READY, &flag, sizeof(flag));
}

/* ---- status ---- */

/* In the message itself if it fits: there may be no descriptor left for a file. */
static void
send_text(struct relay *r, const struct wire_status *head, const char *text)
{
	size_t len = strlen(text);
	int AUTO_FD fd = -1;

	if (len <= MSG_BODY_MAX - sizeof(*head)) {
		memcpy(r->msg.body, head, sizeof(*head));
		memcpy(r->msg.body + sizeof(*head), text, len);
		(void)msg_send(r->start->channel, WIRE_STATUS_REPLY, r->msg.body, sizeof(*head) + len, NULL, 0);
	} else if (msg_seal(&fd, text, len) == TULLE_OK) {
		(void)msg_send(r->start->channel, WIRE_STATUS_REPLY, head, sizeof(*head), &fd, 1);
	}
}

void
relay_send_report(void *arg, uint64_t id, json_t *workers)
{
	struct relay *r = arg;
	const struct snapshot *s = r->loader.snapshot;
	const struct wire_status head = { .id = id };
	json_t *doc = json_pack("{s:i, s:b, s:b, s:o, s:o}", "pid", (int)getpid(), "ready", r->ready, "draining", r->draining,
	    "identities", report_identities(r->set), "workers", workers);
	char *text;

	(void)json_object_set_new(doc, "identity_source", identity_client_json(r->identity));
	if (r->start->config->identity.default_name != NULL)
		(void)json_object_set_new(doc, "identity_default", json_string(r->start->config->identity.default_name));
	if (s != NULL)
		(void)json_object_set_new(doc, "config", json_pack("{s:I, s:s, s:I, s:i, s:i, s:i, s:o}", "generation",
		    (json_int_t)s->generation, "revision", s->revision, "since", (json_int_t)r->in_force_since, "workloads", (int)s->n_workloads, "endpoints",
		    (int)s->n_endpoints, "policies", (int)s->n_policies, "services", report_services(s)));
	(void)json_object_set_new(doc, "process", own_process_json(&r->self));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	if (text != NULL)
		send_text(r, &head, text);
	free(text);
}

void
relay_send_traffic(void *arg, uint64_t id, json_t *workers)
{
	struct relay *r = arg;
	const struct wire_status head = { .id = id };
	json_t *doc = json_pack("{s:I, s:o}", "since", (json_int_t)(r->self.started_ns / NS_PER_SEC), "workers", workers);
	char *text = json_dumps(doc, JSON_COMPACT);

	json_decref(doc);
	if (text != NULL)
		send_text(r, &head, text);
	free(text);
}

void
relay_send_pong(void *arg, uint64_t id)
{
	const struct wire_ping pong = { .id = id };

	relay_tell(arg, WIRE_PONG, &pong, sizeof(pong));
}
