/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/result.h"

#include <stdio.h>
#include <string.h>

#include "proto/otlp.pb-c.h"

/* Copies what may be shown of a server's text. */
static void
text_take(struct export_result *r, const char *text, size_t len)
{
	size_t n = len < sizeof(r->text) - 1 ? len : sizeof(r->text) - 1;

	for (size_t i = 0; i < n; i++)
		r->text[i] = (uint8_t)text[i] < 0x20 || (uint8_t)text[i] >= 0x7f ? '?' : text[i];
	r->text[n] = '\0';
}

/* The three signals' answers have the same fields.  An answer that cannot be read is a success without comment. */
static void
partial_success(struct export_result *r, const uint8_t *body, size_t len)
{
	Otlp__ExportLogsServiceResponse *m = NULL;

	if (len > 0)
		m = otlp__export_logs_service_response__unpack(NULL, len, body);
	if (m != NULL && m->partial_success != NULL) {
		const Otlp__ExportLogsPartialSuccess *p = m->partial_success;

		if (p->has_rejected_log_records && p->rejected_log_records > 0)
			r->rejected = (uint64_t)p->rejected_log_records;
		if (p->error_message != NULL)
			text_take(r, p->error_message, strlen(p->error_message));
	}
	if (m != NULL)
		otlp__export_logs_service_response__free_unpacked(m, NULL);
}

/* google.rpc.Status if it is one, else the text that a load balancer wrote. */
static void
error_text(struct export_result *r, const uint8_t *body, size_t len)
{
	Otlp__RpcStatus *m = NULL;

	if (len > 0 && len <= 65536)
		m = otlp__rpc_status__unpack(NULL, len, body);
	if (m != NULL && m->message != NULL)
		text_take(r, m->message, strlen(m->message));
	else if (len > 0)
		text_take(r, (const char *)body, len);
	if (m != NULL)
		otlp__rpc_status__free_unpacked(m, NULL);
}

static enum export_verdict
verdict_of_status(unsigned int status)
{
	switch (status) {
	case 429:
	case 502:
	case 503:
	case 504:
		return EXPORT_RETRY;
	case 401:
	case 403:
	case 404:
	case 405:
	case 415:
		return EXPORT_FAULT;
	case 413:
		return EXPORT_SPLIT;
	default:
		return status >= 200 && status < 300 ? EXPORT_DELIVERED : EXPORT_DROP;
	}
}

static enum export_verdict
verdict_of_failure(enum tulle_err e)
{
	if (e == TULLE_EDENIED)
		return EXPORT_PAUSE;
	if (e == TULLE_ELIMIT || e == TULLE_EINVAL)
		return EXPORT_DROP; /* an answer above 4 MiB: not to be tried again */
	return EXPORT_RETRY;
}

void
export_judge(struct export_result *ret, enum tulle_err e, unsigned int status, const uint8_t *body, size_t len)
{
	struct export_result r = { .text = "" };

	if (e != TULLE_OK) {
		r.verdict = verdict_of_failure(e);
		(void)snprintf(r.text, sizeof(r.text), "%s", tulle_strerror(e));
	} else {
		r.verdict = verdict_of_status(status);
		if (r.verdict == EXPORT_DELIVERED)
			partial_success(&r, body, len);
		else
			error_text(&r, body, len);
	}
	*ret = r;
}

bool
export_coding_refused(enum tulle_err e, unsigned int status)
{
	return e == TULLE_OK && (status == 400 || status == 415);
}

uint64_t
backoff_ms(unsigned int failures, uint64_t retry_after_ms, uint32_t random)
{
	uint64_t most = BACKOFF_MAX_MS, wait, asked;

	if (failures < 7)
		most = (uint64_t)BACKOFF_BASE_MS << (failures > 0 ? failures - 1 : 0);
	if (most > BACKOFF_MAX_MS)
		most = BACKOFF_MAX_MS;
	wait = most * random / UINT32_MAX;
	asked = retry_after_ms + retry_after_ms * random / UINT32_MAX / 5;
	return wait > asked ? wait : asked;
}
