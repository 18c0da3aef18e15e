/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the flags in scripts/wolfssl exist for, seen in the library that is linked: the macros, the assembly, a
 * verify callback that is always called, and a session that costs about three kilobytes when it is idle.
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/cpuid.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/memory.h>
#include <wolfssl/wolfcrypt/random.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#if !defined(WOLFSSL_ALWAYS_VERIFY_CB) || !defined(WOLFSSL_ALT_NAMES) || !defined(GCM_SMALL) || \
    !defined(HAVE_PK_CALLBACKS) || !defined(HAVE_KEYING_MATERIAL) || !defined(WOLFSSL_CERT_SIGN_CB)
#error "wolfSSL was not built as scripts/wolfssl builds it"
#endif
#if defined(KEEP_PEER_CERT) || defined(SESSION_CERTS) || defined(OPENSSL_EXTRA)
#error "wolfSSL was built with what costs an idle session kilobytes"
#endif
#if defined(__x86_64__) && !defined(WOLFSSL_AESNI)
#error "wolfSSL was built without its assembly"
#endif

#define IDLE_LIMIT 3300 /* bytes of heap per session; 3,096 and 3,120 were measured */

/* ---- an allocator that knows for whom -------------------------------------- */

enum owner { OWNER_SHARED, OWNER_CLIENT, OWNER_SERVER, OWNERS };

struct block {
	size_t size;
	enum owner owner;
	_Alignas(16) unsigned char bytes[];
};

static enum owner owner = OWNER_SHARED; /* who runs now */
static size_t held[OWNERS];

static void *
counted_malloc(size_t size)
{
	struct block *b = malloc(sizeof(*b) + size);

	if (b == NULL)
		return NULL;
	b->size = size;
	b->owner = owner;
	held[owner] += size;
	return b->bytes;
}

static struct block *
block_of(void *p)
{
	return (struct block *)(void *)((unsigned char *)p - offsetof(struct block, bytes));
}

static void
counted_free(void *p)
{
	struct block *b;

	if (p == NULL)
		return;
	b = block_of(p);
	held[b->owner] -= b->size;
	free(b);
}

static void *
counted_realloc(void *p, size_t size)
{
	void *fresh = counted_malloc(size);
	size_t old;

	if (fresh == NULL || p == NULL)
		return fresh;
	old = block_of(p)->size;
	memcpy(fresh, p, old < size ? old : size);
	counted_free(p);
	return fresh;
}

/* ---- two ends and the bytes between them ------------------------------------ */

struct pipe {
	unsigned char bytes[65536];
	size_t len;
};

struct end {
	enum owner owner;
	struct pipe *in, *out;
	WOLFSSL_CTX *ctx;
	WOLFSSL *ssl;
	int verified; /* calls of the verify callback */
	bool chain_ok; /* what wolfSSL thought of the chain in the last of them */
};

static struct pipe to_client, to_server;
static struct end client = { .owner = OWNER_CLIENT, .in = &to_client, .out = &to_server };
static struct end server = { .owner = OWNER_SERVER, .in = &to_server, .out = &to_client };

static int
pipe_recv(WOLFSSL *ssl, char *buf, int n, void *arg)
{
	struct pipe *p = ((struct end *)arg)->in;
	size_t take = p->len < (size_t)n ? p->len : (size_t)n;

	(void)ssl;
	if (take == 0)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	memcpy(buf, p->bytes, take);
	memmove(p->bytes, p->bytes + take, p->len - take);
	p->len -= take;
	return (int)take;
}

static int
pipe_send(WOLFSSL *ssl, char *buf, int n, void *arg)
{
	struct pipe *p = ((struct end *)arg)->out;

	(void)ssl;
	ck_assert_uint_le(p->len + (size_t)n, sizeof(p->bytes));
	memcpy(p->bytes + p->len, buf, (size_t)n);
	p->len += (size_t)n;
	return n;
}

static int
verify_cb(int preverify, WOLFSSL_X509_STORE_CTX *store)
{
	struct end *e = store->userCtx;

	e->verified++;
	e->chain_ok = preverify == 1;
	return preverify;
}

/* ---- certificates: one P-256 authority, leaves with one URI SAN -------------- */

static WC_RNG rng;
static ecc_key ca_key, leaf_key;
static unsigned char ca_der[1024], leaf_der[1024], leaf_key_der[256];
static int ca_len, leaf_len, leaf_key_len;

static void
make_certs(void)
{
	static const char uri[] = "spiffe://mesh.test/ns/default/sa/web";
	Cert cert;

	ck_assert_int_eq(wc_InitRng(&rng), 0);
	ck_assert_int_eq(wc_ecc_init(&ca_key), 0);
	ck_assert_int_eq(wc_ecc_init(&leaf_key), 0);
	ck_assert_int_eq(wc_ecc_make_key(&rng, 32, &ca_key), 0);
	ck_assert_int_eq(wc_ecc_make_key(&rng, 32, &leaf_key), 0);

	ck_assert_int_eq(wc_InitCert(&cert), 0);
	(void)snprintf(cert.subject.org, sizeof(cert.subject.org), "mesh.test");
	cert.isCA = 1;
	cert.sigType = CTC_SHA256wECDSA;
	ck_assert_int_gt(wc_MakeCert(&cert, ca_der, sizeof(ca_der), NULL, &ca_key, &rng), 0);
	ca_len = wc_SignCert(cert.bodySz, cert.sigType, ca_der, sizeof(ca_der), NULL, &ca_key, &rng);
	ck_assert_int_gt(ca_len, 0);

	ck_assert_int_eq(wc_InitCert(&cert), 0);
	(void)snprintf(cert.subject.org, sizeof(cert.subject.org), "leaf");
	cert.sigType = CTC_SHA256wECDSA;
	ck_assert_int_eq(wc_SetIssuerBuffer(&cert, ca_der, ca_len), 0);
	/* GeneralNames: a SEQUENCE of one uniformResourceIdentifier, [6]. */
	cert.altNames[0] = 0x30;
	cert.altNames[1] = (byte)(sizeof(uri) - 1 + 2);
	cert.altNames[2] = 0x86;
	cert.altNames[3] = (byte)(sizeof(uri) - 1);
	memcpy(cert.altNames + 4, uri, sizeof(uri) - 1);
	cert.altNamesSz = (int)sizeof(uri) - 1 + 4;
	ck_assert_int_gt(wc_MakeCert(&cert, leaf_der, sizeof(leaf_der), NULL, &leaf_key, &rng), 0);
	leaf_len = wc_SignCert(cert.bodySz, cert.sigType, leaf_der, sizeof(leaf_der), NULL, &ca_key, &rng);
	ck_assert_int_gt(leaf_len, 0);
	leaf_key_len = wc_EccKeyToDer(&leaf_key, leaf_key_der, sizeof(leaf_key_der));
	ck_assert_int_gt(leaf_key_len, 0);
}

/* ---- a handshake -------------------------------------------------------------- */

static void
end_open(struct end *e, WOLFSSL_METHOD *method)
{
	int group = WOLFSSL_ECC_X25519;

	e->verified = 0;
	owner = OWNER_SHARED;
	e->ctx = wolfSSL_CTX_new(method);
	ck_assert_ptr_nonnull(e->ctx);
	ck_assert_int_eq(wolfSSL_CTX_load_verify_buffer(e->ctx, ca_der, ca_len, SSL_FILETYPE_ASN1), WOLFSSL_SUCCESS);
	ck_assert_int_eq(wolfSSL_CTX_use_certificate_buffer(e->ctx, leaf_der, leaf_len, SSL_FILETYPE_ASN1), WOLFSSL_SUCCESS);
	ck_assert_int_eq(
	    wolfSSL_CTX_use_PrivateKey_buffer(e->ctx, leaf_key_der, leaf_key_len, SSL_FILETYPE_ASN1), WOLFSSL_SUCCESS);
	ck_assert_int_eq(wolfSSL_CTX_set_cipher_list(e->ctx, "TLS13-AES128-GCM-SHA256"), WOLFSSL_SUCCESS);
	ck_assert_int_eq(wolfSSL_CTX_set_groups(e->ctx, &group, 1), WOLFSSL_SUCCESS);
	wolfSSL_CTX_set_verify(e->ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify_cb);
	wolfSSL_CTX_SetIORecv(e->ctx, pipe_recv);
	wolfSSL_CTX_SetIOSend(e->ctx, pipe_send);

	owner = e->owner;
	e->ssl = wolfSSL_new(e->ctx);
	ck_assert_ptr_nonnull(e->ssl);
	wolfSSL_SetIOReadCtx(e->ssl, e);
	wolfSSL_SetIOWriteCtx(e->ssl, e);
	wolfSSL_SetCertCbCtx(e->ssl, e);
	owner = OWNER_SHARED;
}

static void
end_close(struct end *e)
{
	owner = e->owner;
	wolfSSL_free(e->ssl);
	owner = OWNER_SHARED;
	wolfSSL_CTX_free(e->ctx);
	e->ssl = NULL;
	e->ctx = NULL;
}

/* One step of the handshake; true when this end has finished. */
static bool
end_step(struct end *e)
{
	int ret, err;

	owner = e->owner;
	ret = e == &client ? wolfSSL_connect(e->ssl) : wolfSSL_accept(e->ssl);
	err = wolfSSL_get_error(e->ssl, ret);
	owner = OWNER_SHARED;
	ck_assert_msg(ret == WOLFSSL_SUCCESS || err == WOLFSSL_ERROR_WANT_READ, "handshake: error %d", err);
	return ret == WOLFSSL_SUCCESS;
}

static void
pass(struct end *from, struct end *to, const char *text)
{
	char got[64];
	int n = (int)strlen(text);

	owner = from->owner;
	ck_assert_int_eq(wolfSSL_write(from->ssl, text, n), n);
	owner = to->owner;
	ck_assert_int_eq(wolfSSL_read(to->ssl, got, sizeof(got)), n);
	owner = OWNER_SHARED;
	ck_assert_mem_eq(got, text, (size_t)n);
}

static void
setup(void)
{
	bool client_done = false, server_done = false;

	ck_assert_int_eq(wolfSSL_SetAllocators(counted_malloc, counted_free, counted_realloc), 0);
	ck_assert_int_eq(wolfSSL_Init(), WOLFSSL_SUCCESS);
	make_certs();
	to_client.len = to_server.len = 0;
	end_open(&client, wolfTLSv1_3_client_method());
	end_open(&server, wolfTLSv1_3_server_method());
	for (int i = 0; i < 10 && !(client_done && server_done); i++) {
		client_done = client_done || end_step(&client);
		server_done = server_done || end_step(&server);
	}
	ck_assert(client_done && server_done);
	/* Both ways, so that the tickets that follow a handshake have been read. */
	pass(&client, &server, "ping");
	pass(&server, &client, "pong");
}

static void
teardown(void)
{
	end_close(&client);
	end_close(&server);
	(void)wc_ecc_free(&ca_key);
	(void)wc_ecc_free(&leaf_key);
	(void)wc_FreeRng(&rng);
	(void)wolfSSL_Cleanup();
}

START_TEST(verify_callback_is_called_for_a_good_chain_on_both_ends)
{
	ck_assert_int_ge(client.verified, 1);
	ck_assert_int_ge(server.verified, 1);
	ck_assert(client.chain_ok && server.chain_ok);
	ck_assert_str_eq(wolfSSL_get_version(client.ssl), "TLSv1.3");
}
END_TEST

START_TEST(an_idle_session_costs_about_three_kilobytes)
{
	printf("heap bytes of an idle session: client %zu, server %zu (limit %d)\n", held[OWNER_CLIENT],
	    held[OWNER_SERVER], IDLE_LIMIT);
	ck_assert_uint_gt(held[OWNER_CLIENT], 1000); /* the hooks do count */
	ck_assert_uint_gt(held[OWNER_SERVER], 1000);
	ck_assert_uint_le(held[OWNER_CLIENT], IDLE_LIMIT);
	ck_assert_uint_le(held[OWNER_SERVER], IDLE_LIMIT);
}
END_TEST

START_TEST(a_session_gives_everything_back)
{
	owner = OWNER_CLIENT;
	wolfSSL_free(client.ssl);
	owner = OWNER_SERVER;
	wolfSSL_free(server.ssl);
	owner = OWNER_SHARED;
	client.ssl = server.ssl = NULL;
	ck_assert_uint_eq(held[OWNER_CLIENT], 0);
	ck_assert_uint_eq(held[OWNER_SERVER], 0);
}
END_TEST

/* Whether the first "flags" line of /proc/cpuinfo has the word. */
static bool
cpu_has_aes(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[8192];
	bool found = false;

	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = strncmp(line, "flags", 5) == 0 && strstr(line, " aes ") != NULL;
	(void)fclose(f);
	return found;
}

START_TEST(aes_runs_in_hardware_where_there_is_some)
{
#ifdef __x86_64__
	static const unsigned char key[16];
	Aes aes;

	ck_assert_int_eq(wc_AesInit(&aes, NULL, INVALID_DEVID), 0);
	ck_assert_int_eq(wc_AesGcmSetKey(&aes, key, sizeof(key)), 0);
	ck_assert_int_eq(aes.use_aesni, cpu_has_aes());
	ck_assert_int_eq(IS_INTEL_AESNI(cpuid_get_flags()) != 0, cpu_has_aes());
	wc_AesFree(&aes);
#endif
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("wolfssl_build");
	TCase *session = tcase_create("session"), *cpu = tcase_create("cpu");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(session, setup, teardown);
	tcase_add_test(session, verify_callback_is_called_for_a_good_chain_on_both_ends);
	tcase_add_test(session, an_idle_session_costs_about_three_kilobytes);
	tcase_add_test(session, a_session_gives_everything_back);
	tcase_add_test(cpu, aes_runs_in_hardware_where_there_is_some);
	suite_add_tcase(suite, session);
	suite_add_tcase(suite, cpu);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
