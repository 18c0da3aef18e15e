/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the library asks us in the middle of a handshake: is this peer to be
 * believed, and which of our identities answers to this server name?
 */
#include "tls/wolf.h"

#include <string.h>

#include "tls/der.h"
#include "tls/intern.h"

/* What a certificate says about itself, refused or not. */
static void
remember_peer(struct tls_session *s, const struct svid_facts *f)
{
	s->peer = intern_put(s->peer);
	if (f->id_len > 0)
		s->peer = intern_get(f->id, f->id_len);
	memcpy(s->peer_serial, f->serial, sizeof(s->peer_serial));
	s->peer_not_before = f->serial[0] != '\0' ? f->not_before : 0;
	s->peer_not_after = f->serial[0] != '\0' ? f->not_after : 0;
}

static bool
is_expected(const struct tls_session *s)
{
	if (s->expected == NULL)
		return true;
	for (size_t i = 0; i < s->expected->n; i++) {
		if (s->expected->ids[i] == s->peer) /* both interned */
			return true;
	}
	return false;
}

static enum svid_reason
judge(struct tls_session *s, const WOLFSSL_X509_STORE_CTX *store)
{
	struct der chain[DER_CHAIN_CERTS];
	struct svid_facts facts;
	enum svid_reason r;

	if (store->totalCerts > DER_CHAIN_CERTS)
		return SVID_CHAIN_TOO_DEEP;
	for (int i = 0; i < store->totalCerts; i++)
		chain[i] = (struct der){ .p = store->certs[i].buffer, .len = store->certs[i].length };
	facts.not_before = facts.not_after = 0;
	r = verifier_check(s->ctx->verifier, chain, (size_t)store->totalCerts,
	    s->server ? SVID_TLS_CLIENT : SVID_TLS_SERVER, &facts);
	remember_peer(s, &facts);
	if (r == SVID_OK && s->peer == NULL)
		return SVID_OTHER; /* no memory for its name */
	if (r == SVID_OK && !is_expected(s))
		return SVID_UNEXPECTED_ID;
	return r;
}

/*
 * The library asks for every leaf, up to twice: first with "no signer",
 * since its own store is empty, then, if that was overruled, once more.  The verdict is ours alone and is reached once; the
 * answers are chosen so that the library's alert fits it: unknown_ca for
 * the first question, certificate_expired where the library itself saw the
 * date, bad_certificate for the second.  Whatever it makes of them,
 * tls_session_handshake() looks at the verdict again.
 */
int
session_verify(int preverify, WOLFSSL_X509_STORE_CTX *store)
{
	struct tls_session *s = store->userCtx;
	bool no_signer = store->error == ASN_NO_SIGNER_E || store->error == ASN_SELF_SIGNED_E;

	if (s == NULL || s->ctx == NULL)
		return 0;
	if (store->totalCerts == 0) /* asked even so */
		return !s->ctx->must_know_peer;
	if (store->error_depth > 0) { /* only called for an intermediate that is broken in itself */
		s->judged = true;
		s->reason = SVID_BAD_INTERMEDIATE;
		return 0;
	}
	if (!s->judged) {
		s->reason = (uint8_t)judge(s, store);
		s->judged = true;
	}
	if (s->reason == SVID_OK)
		return preverify || no_signer;
	if (s->reason == SVID_UNKNOWN_CA || s->reason == SVID_UNKNOWN_TRUST_DOMAIN || s->reason == SVID_ROOT_PIN)
		return 0;
	return !preverify && no_signer;
}

static bool
is_ec(const struct identity *id)
{
	return key_kind(id->key) == KEY_P256 || key_kind(id->key) == KEY_P384;
}

/* Can this session answer as <id>?  Then <id>, else NULL. */
static struct identity *
usable(const struct tls_context *c, struct identity *id)
{
	return id != NULL && (id == c->own || (is_ec(id) && is_ec(c->own))) ? id : NULL;
}

static enum tulle_err
answer_as(struct tls_session *s, WOLFSSL *ssl, const struct identity *id)
{
	if (wolfSSL_use_certificate_chain_buffer_format(ssl, id->chain, (long)id->chain_len,
		WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS ||
	    key_install_session(id->key, ssl) != TULLE_OK)
		return TULLE_ECRYPTO;
	s->own_chosen = true;
	intern_put(s->own);
	s->own = intern_get(id->facts.id, id->facts.id_len);
	return s->own != NULL ? TULLE_OK : TULLE_ENOMEM;
}

/* The identity that the client's name says, else the session's own, else the default, if there is one. */
static enum tulle_err
choose_identity(struct tls_session *s, WOLFSSL *ssl, const struct tls_context *c)
{
	struct identity *id = s->sni != NULL ? usable(c, identity_set_find_sni(c->set, s->sni, strlen(s->sni))) : NULL;

	if (id == NULL)
		id = usable(c, s->instead);
	if (id == NULL && !c->set->has_default)
		return TULLE_ENOENT;
	return id == NULL || id == c->own ? TULLE_OK : answer_as(s, ssl, id);
}

int
session_server_name(WOLFSSL *ssl, int *alert, void *arg)
{
	struct tls_session *s = wolfSSL_GetIOReadCtx(ssl);
	const struct tls_context *c = arg;
	void *name = NULL;
	size_t len = wolfSSL_SNI_GetRequest(ssl, WOLFSSL_SNI_HOST_NAME, &name);
	const bool named = len > 0 && len < SPIFFE_SNI; /* else none, or no name of ours */
	enum tulle_err e;

	if (s->sni != NULL || s->own_chosen) /* asked after a retry */
		return noack_return;
	if (named && (s->sni = intern_get(name, len)) == NULL)
		e = TULLE_ENOMEM;
	else
		e = choose_identity(s, ssl, c);
	if (e == TULLE_OK)
		return named ? 0 : noack_return;
	*alert = e == TULLE_ENOENT ? unrecognized_name : internal_error;
	return fatal_return;
}
