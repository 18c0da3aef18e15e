/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/wolf.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tls/alert.h"
#include "tls/intern.h"
#include "tls/vectors.h"

int
session_recv(WOLFSSL *ssl, char *p, int n, void *arg)
{
	struct tls_session *s = arg;
	size_t take = (size_t)n;

	(void)ssl;
	if (s->in_len == 0)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	if (take > s->in_len)
		take = s->in_len;
	memcpy(p, s->in, take);
	s->in += take;
	s->in_len -= take;
	return (int)take;
}

int
session_send(WOLFSSL *ssl, char *p, int n, void *arg)
{
	struct tls_session *s = arg;

	(void)ssl;
	if (s->out == NULL || buf_append(s->out, p, (size_t)n) != TULLE_OK)
		return WOLFSSL_CBIO_ERR_GENERAL;
	return n;
}

static enum tulle_err
set_expected(struct tls_session *s, const struct tls_session_options *o)
{
	if (o->expected_n == 0)
		return TULLE_OK;
	if (o->expected_n > TLS_EXPECTED_MAX)
		return TULLE_EINVAL;
	s->expected = calloc(1, sizeof(*s->expected) + o->expected_n * sizeof(s->expected->ids[0]));
	if (s->expected == NULL)
		return TULLE_ENOMEM;
	for (; s->expected->n < o->expected_n; s->expected->n++) {
		const char *id = o->expected[s->expected->n];

		s->expected->ids[s->expected->n] = intern_get(id, strlen(id));
		if (s->expected->ids[s->expected->n] == NULL)
			return TULLE_ENOMEM;
	}
	return TULLE_OK;
}

/* The server name that a client sends, and checks if the mesh's own rules do not. */
static enum tulle_err
set_server_name(struct tls_session *s, const struct tls_session_options *o)
{
	unsigned char ip[16];

	if (o->server_name == NULL)
		return s->ctx->mesh || s->ctx->unverified ? TULLE_OK : TULLE_EINVAL;
	if (inet_pton(AF_INET, o->server_name, ip) == 1 || inet_pton(AF_INET6, o->server_name, ip) == 1) {
		/* RFC 6066 3: an address is no server name. */
		if (!s->ctx->mesh && !s->ctx->unverified && wolfSSL_check_ip_address(s->ssl, o->server_name) != WOLFSSL_SUCCESS)
			return TULLE_ECRYPTO;
		return TULLE_OK;
	}
	if (strlen(o->server_name) >= SPIFFE_SNI)
		return TULLE_EINVAL;
	if (wolfSSL_UseSNI(s->ssl, WOLFSSL_SNI_HOST_NAME, o->server_name, (word16)strlen(o->server_name)) !=
	    WOLFSSL_SUCCESS)
		return TULLE_ECRYPTO;
	if (!s->ctx->mesh && !s->ctx->unverified && wolfSSL_check_domain_name(s->ssl, o->server_name) != WOLFSSL_SUCCESS)
		return TULLE_ECRYPTO;
	return TULLE_OK;
}

static enum tulle_err
set_up(struct tls_session *s, const struct tls_session_options *o)
{
	struct tls_context *c = s->ctx;
	enum tulle_err e;

	s->ssl = wolfSSL_new(c->wolf);
	if (s->ssl == NULL)
		return TULLE_ENOMEM;
	wolfSSL_SetIOReadCtx(s->ssl, s);
	wolfSSL_SetIOWriteCtx(s->ssl, s);
	wolfSSL_SetCertCbCtx(s->ssl, s);
	if (c->exporter) /* else the secrets that it needs are dropped with the handshake */
		wolfSSL_KeepArrays(s->ssl);
	if (c->own != NULL) {
		s->own = intern_get(c->own->facts.id, c->own->facts.id_len);
		if (s->own == NULL)
			return TULLE_ENOMEM;
	}
	/* The library lets in a client that offers no ALPN, as we want it. */
	if (c->alpn != NULL &&
	    wolfSSL_UseALPN(s->ssl, c->alpn, (unsigned int)strlen(c->alpn), WOLFSSL_ALPN_FAILED_ON_MISMATCH) !=
		WOLFSSL_SUCCESS)
		return TULLE_ECRYPTO;
	if (c->server) {
		if (c->set != NULL && o->own != NULL)
			s->instead = identity_set_find(c->set, o->own);
		return TULLE_OK;
	}
	e = set_expected(s, o);
	if (e == TULLE_OK)
		e = set_server_name(s, o);
	return e;
}

enum tulle_err
tls_session_new(struct tls_session **ret, struct tls_context *c, const struct tls_session_options *o)
{
	static const struct tls_session_options none;
	struct tls_session *s = calloc(1, sizeof(*s));
	enum tulle_err e;

	if (s == NULL)
		return TULLE_ENOMEM;
	s->ctx = tls_context_ref(c);
	s->server = c->server;
	e = set_up(s, o != NULL ? o : &none);
	if (e != TULLE_OK) {
		tls_session_free(s);
		return e;
	}
	*ret = s;
	return TULLE_OK;
}

/* What only the handshake needed. */
static void
drop_handshake(struct tls_session *s)
{
	if (s->expected != NULL) {
		for (size_t i = 0; i < s->expected->n; i++)
			intern_put(s->expected->ids[i]);
		free(PTR_TAKE(s->expected));
	}
	s->ctx = tls_context_unref(s->ctx);
}

struct tls_session *
tls_session_free(struct tls_session *s)
{
	if (s == NULL)
		return NULL;
	wolfSSL_free(s->ssl);
	drop_handshake(s);
	intern_put(s->peer);
	intern_put(s->own);
	intern_put(s->sni);
	intern_put(s->alpn);
	free(s);
	return NULL;
}

void
tls_session_output(struct tls_session *s, struct buf *out)
{
	s->out = out;
}

void
tls_session_input(struct tls_session *s, const void *p, size_t n)
{
	s->in = p;
	s->in_len = n;
}

size_t
tls_session_input_left(const struct tls_session *s)
{
	return s->in_len;
}

/* Errors that mean a foreign HTTPS server's certificate, judged by the library's own rules. */
static bool
is_certificate_error(int error)
{
	switch (error) {
	case DOMAIN_NAME_MISMATCH:
	case IPADDR_MISMATCH:
	case ASN_NO_SIGNER_E:
	case ASN_SELF_SIGNED_E:
	case ASN_AFTER_DATE_E:
	case ASN_BEFORE_DATE_E:
	case ASN_SIG_CONFIRM_E:
	case VERIFY_CERT_ERROR:
		return true;
	default:
		return false;
	}
}

/* What the result <rc> of a wolfSSL call means. */
static enum tulle_err
outcome(struct tls_session *s, int rc)
{
	int error = wolfSSL_get_error(s->ssl, rc);

	if (error == WOLFSSL_ERROR_WANT_READ)
		return TULLE_AGAIN;
	if (error == WOLFSSL_ERROR_ZERO_RETURN)
		return TULLE_EOF;
	if (!s->failed) {
		s->failed = true;
		s->error = error;
		if (error == NO_PEER_CERT)
			s->reason = SVID_NO_CERTIFICATE;
		else if (error == MAX_CHAIN_ERROR)
			s->reason = SVID_CHAIN_TOO_DEEP;
	}
	if (s->reason != SVID_OK || is_certificate_error(error) || alert_is_about_certificate(tls_session_alert(s)))
		return TULLE_EDENIED;
	return error == MEMORY_E || error == SOCKET_ERROR_E ? TULLE_ENOMEM : TULLE_EPEER;
}

/* The library is content; are we? */
static enum tulle_err
finish_handshake(struct tls_session *s)
{
	unsigned short len = 0;
	char *name = NULL;

	if (s->ctx->must_know_peer && !s->judged)
		s->reason = SVID_NO_CERTIFICATE;
	if (s->reason != SVID_OK) {
		s->failed = true;
		s->error = VERIFY_CERT_ERROR;
		return TULLE_EDENIED;
	}
	if (s->ctx->alpn != NULL && wolfSSL_ALPN_GetProtocol(s->ssl, &name, &len) == WOLFSSL_SUCCESS && len > 0) {
		s->alpn = intern_get(name, len);
		if (s->alpn == NULL)
			return TULLE_ENOMEM;
	}
	if (s->own_chosen)
		(void)wolfSSL_UnloadCertsKeys(s->ssl);
	drop_handshake(s);
	s->done = true;
	return TULLE_OK;
}

enum tulle_err
tls_session_handshake(struct tls_session *s)
{
	enum tulle_err e;
	int rc;

	if (s->done)
		return TULLE_OK;
	if (s->failed)
		return TULLE_EPEER;
	vectors_clean();
	rc = s->server ? wolfSSL_accept(s->ssl) : wolfSSL_connect(s->ssl);
	if (rc == WOLFSSL_SUCCESS)
		return finish_handshake(s);
	e = outcome(s, rc);
	return e == TULLE_EOF ? TULLE_EPEER : e;
}

enum tulle_err
tls_session_read(struct tls_session *s, void *p, size_t n, size_t *ret_n)
{
	int rc;

	if (!s->done || s->failed)
		return TULLE_EPEER;
	if (s->in_len == 0 && wolfSSL_pending(s->ssl) == 0)
		return TULLE_AGAIN;
	rc = wolfSSL_read(s->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
	if (rc <= 0)
		return outcome(s, rc);
	*ret_n = (size_t)rc;
	return TULLE_OK;
}

enum tulle_err
tls_session_write(struct tls_session *s, const void *p, size_t n)
{
	const uint8_t *from = p;
	enum tulle_err e;
	int rc;

	if (!s->done || s->failed || s->closing)
		return TULLE_EPEER;
	while (n > 0) {
		rc = wolfSSL_write(s->ssl, from, n > TLS_RECORD ? TLS_RECORD : (int)n);
		if (rc <= 0) {
			e = outcome(s, rc);
			return e == TULLE_AGAIN || e == TULLE_EOF ? TULLE_EPEER : e;
		}
		from += rc;
		n -= (size_t)rc;
	}
	return TULLE_OK;
}

void
tls_session_close_notify(struct tls_session *s)
{
	if (!s->done || s->failed || s->closing)
		return;
	s->closing = true;
	(void)wolfSSL_shutdown(s->ssl);
}

enum tulle_err
tls_session_export(const struct tls_session *s, const char *label, void *out, size_t n)
{
	if (!s->done ||
	    wolfSSL_export_keying_material(s->ssl, out, n, label, strlen(label), NULL, 0, 0) != WOLFSSL_SUCCESS)
		return TULLE_EINVAL;
	return TULLE_OK;
}

bool
tls_session_done(const struct tls_session *s)
{
	return s->done;
}

const char *
tls_session_peer_id(const struct tls_session *s)
{
	return s->done ? s->peer : NULL;
}

const char *
tls_session_claimed_id(const struct tls_session *s)
{
	return s->peer;
}

const char *
tls_session_peer_serial(const struct tls_session *s)
{
	return s->peer_serial;
}

int64_t
tls_session_peer_not_before(const struct tls_session *s)
{
	return s->peer_not_before;
}

int64_t
tls_session_peer_not_after(const struct tls_session *s)
{
	return s->peer_not_after;
}

const char *
tls_session_own_id(const struct tls_session *s)
{
	return s->own;
}

const char *
tls_session_alpn(const struct tls_session *s)
{
	return s->alpn;
}

const char *
tls_session_sni(const struct tls_session *s)
{
	return s->sni;
}

const char *
tls_session_version(const struct tls_session *s)
{
	return wolfSSL_get_version(s->ssl);
}

const char *
tls_session_cipher(const struct tls_session *s)
{
	return wolfSSL_get_cipher(s->ssl);
}

const char *
tls_session_group(const struct tls_session *s)
{
	const char *name = wolfSSL_get_curve_name(s->ssl);

	return name != NULL ? name : "";
}

enum svid_reason
tls_session_reason(const struct tls_session *s)
{
	return (enum svid_reason)s->reason;
}

const char *
tls_session_alert(const struct tls_session *s)
{
	WOLFSSL_ALERT_HISTORY h;

	if (wolfSSL_get_alert_history(s->ssl, &h) != WOLFSSL_SUCCESS || h.last_rx.code < 0 ||
	    h.last_rx.code == close_notify)
		return NULL;
	return alert_name(h.last_rx.code);
}

const char *
tls_session_error(const struct tls_session *s)
{
	static _Thread_local char text[256];
	const char *alert = tls_session_alert(s);

	if (s->reason != SVID_OK)
		(void)snprintf(text, sizeof(text), "%s", svid_reason_phrase((enum svid_reason)s->reason));
	else if (alert != NULL)
		(void)snprintf(text, sizeof(text), "the peer sent the alert %s", alert);
	else if (s->failed)
		(void)snprintf(text, sizeof(text), "%s (%d)",
		    wolfSSL_ERR_reason_error_string((unsigned long)s->error), s->error);
	else
		(void)snprintf(text, sizeof(text), "no error");
	return text;
}
