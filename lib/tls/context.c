/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/wolf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>


#define SUITES_AES                                                                        \
	"TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256"
#define SUITES_CHACHA                                                                     \
	"TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384"
/* Only servers outside the mesh may speak 1.2: forward secrecy and AEAD, nothing else. */
#define SUITES_12                                                                        \
	":ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"                     \
	":ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"                     \
	":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* Without hardware AES the library's small GCM does 6 MB/s; ChaCha20 is faster there. */
static bool
cpu_has_aes(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	return (getauxval(AT_HWCAP) & (1 << 3)) != 0; /* HWCAP_AES */
#else
	return false;
#endif
}

enum tulle_err
tls_init(void)
{
	return wolfSSL_Init() == WOLFSSL_SUCCESS ? TULLE_OK : TULLE_ECRYPTO;
}

struct tls_context *
tls_context_ref(struct tls_context *c)
{
	c->refs++;
	return c;
}

struct tls_context *
tls_context_unref(struct tls_context *c)
{
	if (c == NULL || --c->refs > 0)
		return NULL;
	if (c->wolf != NULL)
		wolfSSL_CTX_free(c->wolf);
	identity_set_unref(c->set);
	identity_unref(c->own);
	verifier_unref(c->verifier);
	free(c->alpn);
	free(c);
	return NULL;
}

/* What all contexts have in common. */
static enum tulle_err
context_new(struct tls_context **ret, WOLFSSL_METHOD *(*method)(void), const char *suites,
    const struct tls_options *o)
{
	int hybrid[] = { WOLFSSL_X25519MLKEM768, WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1 };
	struct tls_context *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return TULLE_ENOMEM;
	c->refs = 1;
	c->wolf = wolfSSL_CTX_new(method()); /* takes what method() makes, also on failure */
	if (c->wolf == NULL)
		goto fail;
	wolfSSL_CTX_SetIORecv(c->wolf, session_recv);
	wolfSSL_CTX_SetIOSend(c->wolf, session_send);
	(void)wolfSSL_CTX_set_session_cache_mode(c->wolf, WOLFSSL_SESS_CACHE_OFF);
	(void)wolfSSL_CTX_no_ticket_TLSv13(c->wolf);
	if (wolfSSL_CTX_set_cipher_list(c->wolf, suites) != WOLFSSL_SUCCESS ||
	    wolfSSL_CTX_set_groups(c->wolf, o->hybrid ? hybrid : hybrid + 1, o->hybrid ? 3 : 2) != WOLFSSL_SUCCESS)
		goto fail;
	if (o->alpn != NULL) {
		c->alpn = strdup(o->alpn);
		if (c->alpn == NULL)
			goto fail;
	}
	*ret = c;
	return TULLE_OK;

fail:
	tls_context_unref(c);
	return TULLE_ECRYPTO;
}

static enum tulle_err
mesh_context(struct tls_context **ret, bool server, struct verifier *v, const struct tls_options *o)
{
	static const struct tls_options none;
	enum tulle_err e;

	e = context_new(ret, server ? wolfTLSv1_3_server_method : wolfTLSv1_3_client_method,
	    cpu_has_aes() ? SUITES_AES : SUITES_CHACHA, o != NULL ? o : &none);
	if (e != TULLE_OK)
		return e;
	(*ret)->server = server;
	(*ret)->mesh = true;
	(*ret)->exporter = o != NULL && o->exporter;
	(*ret)->verifier = verifier_ref(v);
	return TULLE_OK;
}

/*
 * Our certificate and the way to sign with it.  The library's own store of
 * roots stays empty: peers are judged in session_verify().
 */
static enum tulle_err
context_identity(struct tls_context *c, struct identity *id)
{
	if (wolfSSL_CTX_use_certificate_chain_buffer_format(c->wolf, id->chain, (long)id->chain_len,
		WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS)
		return TULLE_ECRYPTO;
	c->own = identity_ref(id);
	return key_install(id->key, c->wolf);
}

static enum tulle_err
mesh_server(struct tls_context **ret, struct identity_set *set, struct verifier *v, const struct tls_options *o,
    int verify)
{
	struct tls_context *c;
	enum tulle_err e;

	if (set->n == 0)
		return TULLE_EINVAL;
	e = mesh_context(&c, true, v, o);
	if (e != TULLE_OK)
		return e;
	c->set = identity_set_ref(set);
	/* Without a default something must be loaded all the same: session_server_name() lets nobody have it unasked. */
	e = context_identity(c, set->items[0]);
	if (e != TULLE_OK) {
		tls_context_unref(c);
		return e;
	}
	wolfSSL_CTX_set_verify(c->wolf, verify, session_verify);
	c->must_know_peer = (verify & WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT) != 0;
	wolfSSL_CTX_set_servername_callback(c->wolf, session_server_name);
	(void)wolfSSL_CTX_set_servername_arg(c->wolf, c);
	*ret = c;
	return TULLE_OK;
}

enum tulle_err
tls_context_mesh_server(struct tls_context **ret, struct identity_set *set, struct verifier *v,
    const struct tls_options *o)
{
	return mesh_server(ret, set, v, o, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT);
}

enum tulle_err
tls_context_open_server(struct tls_context **ret, struct identity_set *set, struct verifier *v,
    const struct tls_options *o)
{
	return mesh_server(ret, set, v, o, WOLFSSL_VERIFY_PEER);
}

enum tulle_err
tls_context_mesh_client(struct tls_context **ret, struct identity *id, struct verifier *v,
    const struct tls_options *o)
{
	struct tls_context *c;
	enum tulle_err e;

	e = mesh_context(&c, false, v, o);
	if (e != TULLE_OK)
		return e;
	if (id != NULL)
		e = context_identity(c, id);
	if (e != TULLE_OK) {
		tls_context_unref(c);
		return e;
	}
	wolfSSL_CTX_set_verify(c->wolf, WOLFSSL_VERIFY_PEER, session_verify);
	c->must_know_peer = true;
	*ret = c;
	return TULLE_OK;
}

static enum tulle_err
load_roots(WOLFSSL_CTX *wolf, const char *ca_file)
{
	if (ca_file == NULL)
		return wolfSSL_CTX_load_system_CA_certs(wolf) == WOLFSSL_SUCCESS ? TULLE_OK : TULLE_ENOENT;
	if (access(ca_file, R_OK) != 0)
		return TULLE_ENOENT;
	return wolfSSL_CTX_load_verify_locations(wolf, ca_file, NULL) == WOLFSSL_SUCCESS ? TULLE_OK : TULLE_ENOENT;
}

enum tulle_err
tls_context_https_client(struct tls_context **ret, const char *ca_file, const struct tls_options *o)
{
	static const struct tls_options none;
	struct tls_context *c;
	enum tulle_err e;

	e = context_new(&c, wolfSSLv23_client_method,
	    cpu_has_aes() ? SUITES_AES SUITES_12 : SUITES_CHACHA SUITES_12, o != NULL ? o : &none);
	if (e != TULLE_OK)
		return e;
	e = load_roots(c->wolf, ca_file);
	if (e == TULLE_OK && wolfSSL_CTX_SetMinVersion(c->wolf, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS)
		e = TULLE_ECRYPTO;
	if (e != TULLE_OK) {
		tls_context_unref(c);
		return e;
	}
	wolfSSL_CTX_set_verify(c->wolf, WOLFSSL_VERIFY_PEER, NULL);
	*ret = c;
	return TULLE_OK;
}

enum tulle_err
tls_context_unverified_client(struct tls_context **ret)
{
	static const struct tls_options none;
	struct tls_context *c;
	enum tulle_err e;

	e = context_new(&c, wolfSSLv23_client_method, cpu_has_aes() ? SUITES_AES SUITES_12 : SUITES_CHACHA SUITES_12, &none);
	if (e != TULLE_OK)
		return e;
	if (wolfSSL_CTX_SetMinVersion(c->wolf, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS) {
		tls_context_unref(c);
		return TULLE_ECRYPTO;
	}
	wolfSSL_CTX_set_verify(c->wolf, WOLFSSL_VERIFY_NONE, NULL);
	c->unverified = true;
	*ret = c;
	return TULLE_OK;
}
