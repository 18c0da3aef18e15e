/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fleet_sign.c - Sign: certificates that the keeper ordered, up to BATCH in one call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fleet_intern.h"
#include "tls/spiffe.h"

#define BATCH 64 /* certificates asked for in one call */

static void
order_free(struct order *o)
{
	buf_free(&o->csr);
	free(o->id);
	free(o);
}

void
fleet_fail_orders(struct fleet *f, struct orders *list, const char *why)
{
	struct order *o;

	while ((o = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, o, link);
		if (why != NULL)
			f->handler->failed(f->arg, o->id, why);
		order_free(o);
	}
}

void
fleet_order(struct fleet *f, const char *id, int64_t ttl, const uint8_t *csr, size_t len)
{
	struct order *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return; /* the keeper does not wait for ever */
	o->csr = buf_new(FLEET_CSR_MAX);
	o->id = strdup(id);
	o->ttl = ttl;
	if (o->id == NULL || buf_append(&o->csr, csr, len) != TULLE_OK) {
		order_free(o);
		return;
	}
	TAILQ_INSERT_TAIL(&f->waiting, o, link);
	fleet_soon(f);
}

/* ---- the call ---- */

static const char *
account_of(const struct order *o, char *out, size_t size)
{
	struct spiffe_id id;
	struct spiffe_account a;

	if (spiffe_parse(&id, o->id, strlen(o->id)) != TULLE_OK || !spiffe_account(&a, &id))
		return "";
	(void)snprintf(out, size, "%.*s/%.*s", (int)a.ns_len, a.ns, (int)a.sa_len, a.sa);
	return out;
}

static void
sign_answer(void *arg, const uint8_t *p, size_t n)
{
	struct fleet *f = arg;
	Tulle__V1__SignResponse *m = tulle__v1__sign_response__unpack(NULL, n, p);
	const Tulle__V1__Bundle *b = m == NULL ? NULL : fleet_own_bundle(m->bundles, m->n_bundles, f->node.td);
	struct order *o;

	if (b == NULL) {
		fleet_fail_orders(f, &f->asked, "the authority's answer makes no sense");
		tulle__v1__sign_response__free_unpacked(m, NULL);
		return;
	}
	fleet_note_clock(f, m->now);
	(void)node_roots(&f->node, b->roots.data, b->roots.len);
	for (size_t i = 0; (o = TAILQ_FIRST(&f->asked)) != NULL; i++) {
		TAILQ_REMOVE(&f->asked, o, link);
		if (i < m->n_chains && m->chains[i].len > 0)
			f->handler->certificate(f->arg, o->id, m->chains[i].data, m->chains[i].len, b->roots.data, b->roots.len);
		else
			f->handler->failed(f->arg, o->id,
			    i < m->n_errors && m->errors[i][0] != '\0' ? m->errors[i] : "the authority gave no certificate");
		order_free(o);
	}
	fleet_soon(f);
	tulle__v1__sign_response__free_unpacked(m, NULL);
}

static void
sign_finished(void *arg, enum grpc_status status, const char *text)
{
	struct fleet *f = arg;
	char why[FLEET_WHY];

	if (TAILQ_EMPTY(&f->asked))
		return;
	fleet_status_text(why, status, text);
	(void)snprintf(f->error, sizeof(f->error), "%s", why);
	fleet_fail_orders(f, &f->asked, why);
	if (status == GRPC_PERMISSION_DENIED)
		fleet_auto_again(f);
	fleet_soon(f);
}

enum tulle_err
fleet_ask_certificates(struct fleet *f)
{
	static const struct grpc_handler handler = { sign_answer, sign_finished };
	Tulle__V1__SignRequest m;
	Tulle__V1__SignItem items[BATCH], *list[BATCH];
	char accounts[BATCH][600];
	struct order *o;
	size_t n = 0;

	tulle__v1__sign_request__init(&m);
	while (n < BATCH && (o = TAILQ_FIRST(&f->waiting)) != NULL) {
		TAILQ_REMOVE(&f->waiting, o, link);
		TAILQ_INSERT_TAIL(&f->asked, o, link);
		tulle__v1__sign_item__init(&items[n]);
		accounts[n][0] = '\0';
		(void)account_of(o, accounts[n], sizeof(accounts[n]));
		items[n].account = accounts[n];
		items[n].csr = fleet_bytes(&o->csr);
		items[n].ttl_seconds = o->ttl;
		list[n] = &items[n];
		n++;
	}
	m.n_items = n;
	m.items = list;
	return fleet_call(f, "/tulle.v1.Authority/Sign", &m.base, FLEET_CALL_MS, &handler);
}
