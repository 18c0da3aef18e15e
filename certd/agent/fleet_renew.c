/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fleet_renew.c - Renew: the node's own certificate, over mutual TLS or, once it has expired, by its old key's proof. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fleet_intern.h"
#include "issue/renew.h"
#include "authority/late.h"
#include "base/log.h"
#include "store/crypt.h"
#include "tls/issue.h"

void
fleet_renewal_failed(struct fleet *f, const char *why)
{
	uint32_t draw = 0;
	int64_t now = fleet_now_ms(), left;

	if (!f->renewing)
		return;
	left = f->node.identity->facts.not_after * 1000 - now;
	f->renewing = false;
	f->next = key_unref(f->next);
	f->failures++;
	(void)crypt_random(&draw, sizeof(draw));
	f->retry_at = now + renew_retry(f->failures, left + now - f->node.issued, left, draw);
	LOG_AT(!renew_worth_saying(f->failures) ? LOG_LVL_DEBUG : left <= 0 ? LOG_LVL_ERROR : LOG_LVL_WARN, "the node's certificate was not renewed", LF_STR("reason", why),
	    LF_UINT("failures", f->failures), LF_INT("remaining", left / 1000));
}

static void
renew_answer(void *arg, const uint8_t *p, size_t n)
{
	struct fleet *f = arg;
	Tulle__V1__RenewResponse *m = tulle__v1__renew_response__unpack(NULL, n, p);
	const Tulle__V1__Bundle *b = m == NULL ? NULL : fleet_own_bundle(m->bundles, m->n_bundles, f->node.td);
	char td[SPIFFE_TD_MAX + 1];
	enum tulle_err e = TULLE_EINVAL;

	(void)snprintf(td, sizeof(td), "%s", f->node.td);
	if (b != NULL) {
		fleet_note_clock(f, m->now);
		e = node_take(&f->node, &f->peer,
		    &(struct node_news){ m->node_chain.data, m->node_chain.len, b->roots.data, b->roots.len, td,
		        (const char *const *)m->accounts, m->n_accounts },
		    f->next, fleet_now_ms());
	}
	if (e) {
		fleet_renewal_failed(f, "the authority's answer is not good");
	} else {
		f->renewing = false;
		f->failures = 0;
		f->retry_at = 0;
		f->next = key_unref(f->next);
		f->dead = TAILQ_EMPTY(&f->asked); /* the next connection shows the new certificate */
	}
	fleet_soon(f);
	tulle__v1__renew_response__free_unpacked(m, NULL);
}

static void
renew_finished(void *arg, enum grpc_status status, const char *text)
{
	struct fleet *f = arg;
	char why[FLEET_WHY];

	if (!f->renewing)
		return;
	fleet_status_text(why, status, text);
	(void)snprintf(f->error, sizeof(f->error), "%s", why);
	fleet_renewal_failed(f, why);
	if (status == GRPC_PERMISSION_DENIED)
		fleet_auto_again(f);
	fleet_soon(f);
}

enum tulle_err
fleet_ask_renewal(struct fleet *f, bool late)
{
	static const struct grpc_handler handler = { renew_answer, renew_finished };
	Tulle__V1__RenewRequest m;
	struct buf csr = buf_new(FLEET_CSR_MAX), voucher = buf_new(FLEET_CSR_MAX);
	uint8_t exporter[TOKEN_EXPORTER];
	char *jwt = fleet_auto_jwt(f);
	enum tulle_err e = key_generate(&f->next);

	tulle__v1__renew_request__init(&m);
	if (e == TULLE_OK)
		e = issue_request(&csr, f->node.identity->facts.id, f->next);
	if (e == TULLE_OK && late) {
		e = tls_session_export(grpc_client_session(f->client), TOKEN_EXPORTER_LABEL, exporter, sizeof(exporter));
		if (e == TULLE_OK)
			e = late_voucher(&voucher, f->node.td, buf_head(&csr), buf_len(&csr), exporter, f->node.identity->key);
		m.node_id = f->node.identity->facts.id;
		m.voucher = fleet_bytes(&voucher);
	}
	if (e == TULLE_OK) {
		m.csr = fleet_bytes(&csr);
		if (jwt != NULL)
			m.jwt = jwt;
		e = fleet_call(f, "/tulle.v1.Authority/Renew", &m.base, FLEET_CALL_MS, &handler);
	}
	buf_free(&csr);
	buf_free(&voucher);
	if (jwt != NULL)
		explicit_bzero(jwt, strlen(jwt));
	free(jwt);
	return e;
}

void
fleet_late_ready(struct fleet *f)
{
	enum tulle_err e = fleet_ask_renewal(f, true);

	if (e)
		fleet_renewal_failed(f, tulle_strerror(e));
}
