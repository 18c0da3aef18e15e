/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fleet_join.c - Join: this host becomes a member, by a token. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/fleet_intern.h"
#include "authority/members.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/crypt.h"
#include "tls/issue.h"
#include "tls/spiffe.h"

#define JOIN_PLACEHOLDER SPIFFE_SCHEME "join/tulle/node" /* the authority names the node */

void
fleet_forget_token(struct fleet *f)
{
	explicit_bzero(&f->token, sizeof(f->token));
	if (f->jwt != NULL)
		explicit_bzero(f->jwt, strlen(f->jwt));
	free(f->jwt);
	f->jwt = NULL;
}

void
fleet_finish_join(struct fleet *f, const char *error)
{
	void (*done)(void *, const char *) = f->join_done;

	if (!f->joining)
		return;
	f->joining = false;
	f->join_done = NULL;
	f->next = key_unref(f->next);
	fleet_forget_token(f);
	f->dead = true; /* the next connection is the node's */
	fleet_soon(f);
	(void)snprintf(f->join_error, sizeof(f->join_error), "%s", error != NULL ? error : "");
	if (error != NULL && f->self.host == NULL) /* who joins by itself says it less often */
		log_warn("joining failed", LF_STR("reason", error));
	done(f->join_arg, error);
	if (error == NULL)
		f->handler->joined(f->arg);
}

static void
join_answer(void *arg, const uint8_t *p, size_t n)
{
	struct fleet *f = arg;
	Tulle__V1__JoinResponse *m = tulle__v1__join_response__unpack(NULL, n, p);
	const Tulle__V1__Bundle *b = m == NULL ? NULL : fleet_own_bundle(m->bundles, m->n_bundles, m->trust_domain);
	enum tulle_err e;

	if (b == NULL) {
		fleet_finish_join(f, "the authority's answer makes no sense");
	} else if (f->expected_td[0] != '\0' && strcmp(f->expected_td, m->trust_domain) != 0) {
		char why[200];

		(void)snprintf(why, sizeof(why), "the authority is for trust domain %.60s, but tulle.yaml says trustDomain: %.60s",
		    m->trust_domain, f->expected_td);
		fleet_finish_join(f, why);
	} else {
		fleet_note_clock(f, m->now);
		e = node_take(&f->node, &f->peer,
		    &(struct node_news){ m->node_chain.data, m->node_chain.len, b->roots.data, b->roots.len, m->trust_domain,
		        (const char *const *)m->accounts, m->n_accounts },
		    f->next, fleet_now_ms());
		if (e == TULLE_OK) {
			f->failures = 0;
			f->retry_at = 0;
		}
		fleet_finish_join(f, e == TULLE_OK ? NULL : e == TULLE_EINVAL ? "the authority's answer is not good" : tulle_strerror(e));
	}
	tulle__v1__join_response__free_unpacked(m, NULL);
}

/* The authority says no more than that; the token tells when it was to end. */
static void
say_refused(const struct fleet *f, char why[FLEET_WHY])
{
	int64_t ago = clock_wall_sec() - f->token.expires;
	char when[32] = "";
	time_t at = (time_t)f->token.expires;
	struct tm tm;

	if (ago < 0) {
		(void)snprintf(why, FLEET_WHY, "the authority refused the token: it was revoked there, or is not one of its tokens (the "
		    "authority's log says which); make another there: tulle token");
		return;
	}
	if (gmtime_r(&at, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)snprintf(why, FLEET_WHY, "the authority refused the token: it expired at %s, %" PRId64 " s ago by this host's clock; make "
	    "another there: tulle token", when, ago);
}

static void
join_finished(void *arg, enum grpc_status status, const char *text)
{
	struct fleet *f = arg;
	char why[FLEET_WHY];

	if (!f->joining)
		return;
	if (status == GRPC_PERMISSION_DENIED && f->jwt != NULL)
		(void)snprintf(why, sizeof(why), "the authority refuses the token: %.250s", text);
	else if (status == GRPC_PERMISSION_DENIED)
		say_refused(f, why);
	else if (status == GRPC_ALREADY_EXISTS)
		(void)snprintf(why, sizeof(why), "the authority refused the token: it has been used already, by another host or by this "
		    "one before it left; make another there: tulle token");
	else
		fleet_status_text(why, status, text);
	fleet_finish_join(f, why);
}

static enum tulle_err
join_request(struct fleet *f, struct buf *csr, uint8_t proof[CRYPT_HASH])
{
	uint8_t exporter[TOKEN_EXPORTER], key[TOKEN_KEY];
	enum tulle_err e = tls_session_export(grpc_client_session(f->client), TOKEN_EXPORTER_LABEL, exporter,
	    sizeof(exporter));

	/* A pod is known by its token, whatever its key; who has a join token is known by the key it was redeemed with. */
	if (e == TULLE_OK)
		e = f->jwt != NULL ? key_generate(&f->next) : node_join_key(&f->node, f->token.id, &f->next);
	if (e == TULLE_OK)
		e = issue_request(csr, JOIN_PLACEHOLDER, f->next);
	if (e || f->jwt != NULL)
		return e;
	if (e == TULLE_OK)
		e = token_key(key, &f->token);
	if (e == TULLE_OK)
		e = token_proof(proof, key, f->token.id, buf_head(csr), buf_len(csr), exporter);
	explicit_bzero(key, sizeof(key));
	return e;
}

void
fleet_join_ready(struct fleet *f)
{
	static const struct grpc_handler handler = { join_answer, join_finished };
	const char *peer = tls_session_peer_id(grpc_client_session(f->client));
	Tulle__V1__JoinRequest m;
	struct spiffe_id id;
	struct buf csr = buf_new(FLEET_CSR_MAX);
	uint8_t proof[CRYPT_HASH];
	char host[65] = "";
	enum tulle_err e;

	if (peer == NULL || spiffe_parse(&id, peer, strlen(peer)) != TULLE_OK ||
	    strcmp(id.path, MEMBER_AUTHORITY_PATH) != 0) {
		fleet_finish_join(f, "the host at the token's address has the right root but is not the authority");
		return;
	}
	if (f->expected_td[0] != '\0' && (id.td_len != strlen(f->expected_td) || memcmp(id.td, f->expected_td, id.td_len) != 0)) {
		char why[FLEET_WHY];

		/* Before anything is asked of it: the token stays good for the host that it is for. */
		(void)snprintf(why, sizeof(why), "the token is for trust domain %.*s, and this host %s %.80s; %s", id.td_len < 80 ? (int)id.td_len : 80, id.td,
		    f->node.joined ? "has joined" : "has trustDomain:", f->expected_td,
		    f->node.joined ? "tulle leave first, if it is to change" : "correct tulle.yaml, or take another token");
		fleet_finish_join(f, why);
		return;
	}
	tulle__v1__join_request__init(&m);
	e = join_request(f, &csr, proof);
	if (e == TULLE_OK) {
		(void)gethostname(host, sizeof(host) - 1);
		if (f->jwt != NULL) {
			m.jwt = f->jwt;
		} else {
			m.token_id = f->token.id;
			m.proof = (ProtobufCBinaryData){ .data = proof, .len = sizeof(proof) };
		}
		m.csr = fleet_bytes(&csr);
		m.host_name = host;
		e = fleet_call(f, "/tulle.v1.Authority/Join", &m.base, FLEET_CALL_MS, &handler);
	}
	buf_free(&csr);
	if (e)
		fleet_finish_join(f, tulle_strerror(e));
}

enum tulle_err
fleet_join(struct fleet *f, const struct token *t, const char *td, void (*done)(void *arg, const char *error), void *arg)
{
	enum tulle_err e;

	if (f->joining || f->renewing)
		return TULLE_EBUSY;
	fleet_hang_up(f);
	fleet_fail_orders(f, &f->asked, "this host joins anew");
	f->token = *t;
	(void)snprintf(f->expected_td, sizeof(f->expected_td), "%s", f->node.joined ? f->node.td : td != NULL ? td : "");
	e = fleet_dial(f, FOR_JOIN);
	if (e) {
		fleet_forget_token(f);
		return e;
	}
	f->joining = true;
	f->join_done = done;
	f->join_arg = arg;
	return TULLE_OK;
}

enum tulle_err
fleet_join_jwt(struct fleet *f, const struct token *t, const char *jwt, const char *td,
    void (*done)(void *arg, const char *error), void *arg)
{
	char *copy = strdup(jwt);
	enum tulle_err e;

	if (copy == NULL)
		return TULLE_ENOMEM;
	e = fleet_join(f, t, td, done, arg);
	if (e) {
		explicit_bzero(copy, strlen(copy));
		free(copy);
		return e;
	}
	f->jwt = copy; /* it is shown once the connection is there, from the loop */
	return TULLE_OK;
}
