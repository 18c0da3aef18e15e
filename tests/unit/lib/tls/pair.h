/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pair.h - a client and a server session joined in memory, for the tests of
 * this folder.
 */
#ifndef TULLE_TESTS_TLS_PAIR_H
#define TULLE_TESTS_TLS_PAIR_H

#include <check.h>

#include "pki.h"
#include "tls/session.h"

#define PAIR_TD "mesh.test"
#define PAIR_CLIENT "spiffe://mesh.test/ns/shop/sa/web"
#define PAIR_SERVER "spiffe://mesh.test/ns/shop/sa/cart"

struct pair {
	struct pki *root, *client_leaf, *server_leaf;
	struct identity_set *client_set, *server_set;
	struct verifier *verifier;
	struct tls_context *client_ctx, *server_ctx;
	struct tls_session *client, *server;
	struct buf to_server, to_client;
	enum tulle_err client_result, server_result;
	size_t slice; /* bytes that arrive at once; 0: all there are */
};

/* Contexts for good identities; ALPN h2 on both sides. */
static inline struct pair
pair_contexts(void)
{
	struct tls_options h2 = { .alpn = "h2" };
	struct pair p = { .to_server = buf_new(64 << 20), .to_client = buf_new(64 << 20) };

	ck_assert_int_eq(tls_init(), TULLE_OK);
	p.root = pki_root(PAIR_TD);
	p.client_leaf = pki_leaf(p.root, PAIR_CLIENT);
	p.server_leaf = pki_leaf(p.root, PAIR_SERVER);
	p.client_set = pki_set(p.root, PAIR_TD, p.client_leaf, NULL);
	p.server_set = pki_set(p.root, PAIR_TD, p.server_leaf, NULL);
	ck_assert_int_eq(verifier_new(&p.verifier, p.client_set->trust), TULLE_OK);
	ck_assert_int_eq(tls_context_mesh_server(&p.server_ctx, p.server_set, p.verifier, &h2), TULLE_OK);
	ck_assert_int_eq(tls_context_mesh_client(&p.client_ctx, p.client_set->items[0], p.verifier, &h2), TULLE_OK);
	return p;
}

/* Sessions of the present contexts; <own>: whom the server is to be without a name. */
static inline void
pair_sessions_own(struct pair *p, const struct tls_session_options *client, const char *own)
{
	static const char *const expected[] = { PAIR_SERVER };
	struct tls_session_options usual = { .expected = expected, .expected_n = 1 };

	ck_assert_int_eq(tls_session_new(&p->server, p->server_ctx, &(struct tls_session_options){ .own = own }), TULLE_OK);
	ck_assert_int_eq(tls_session_new(&p->client, p->client_ctx, client != NULL ? client : &usual), TULLE_OK);
}

static inline void
pair_sessions(struct pair *p, const struct tls_session_options *client)
{
	pair_sessions_own(p, client, NULL);
}

/* A pair ready for pair_run(); a context given replaces the usual one and is taken. */
static inline struct pair
pair_new(struct tls_context *client, struct tls_context *server)
{
	struct pair p = pair_contexts();

	if (client != NULL) {
		tls_context_unref(p.client_ctx);
		p.client_ctx = client;
	}
	if (server != NULL) {
		tls_context_unref(p.server_ctx);
		p.server_ctx = server;
	}
	pair_sessions(&p, NULL);
	return p;
}

/* Hands what waits in <b> to <s> and lets it shake hands. */
static inline enum tulle_err
pair_step(struct pair *p, struct tls_session *s, struct buf *b)
{
	enum tulle_err e;
	size_t n = buf_len(b);

	if (p->slice > 0 && n > p->slice)
		n = p->slice;
	tls_session_output(s, s == p->client ? &p->to_server : &p->to_client);
	tls_session_input(s, n > 0 ? buf_head(b) : NULL, n);
	e = tls_session_handshake(s);
	buf_consume(b, n - tls_session_input_left(s));
	tls_session_input(s, NULL, 0);
	return e;
}

/* Runs both handshakes to their ends.  OK if both are; else the first failure, and both results are in <p>. */
static inline enum tulle_err
pair_run(struct pair *p)
{
	size_t before;

	p->client_result = p->server_result = TULLE_AGAIN;
	for (int quiet = 0; quiet < 3;) {
		before = buf_len(&p->to_client) + buf_len(&p->to_server);
		if (p->client_result == TULLE_AGAIN)
			p->client_result = pair_step(p, p->client, &p->to_client);
		if (p->server_result == TULLE_AGAIN)
			p->server_result = pair_step(p, p->server, &p->to_server);
		if (p->client_result != TULLE_AGAIN && p->server_result != TULLE_AGAIN)
			break;
		quiet = before == buf_len(&p->to_client) + buf_len(&p->to_server) ? quiet + 1 : 0;
	}
	return p->client_result != TULLE_OK ? p->client_result : p->server_result;
}

/* Reads what has arrived at <s>, all of it, into <into>.  AGAIN when there is no more. */
static inline enum tulle_err
pair_read(struct pair *p, struct tls_session *s, struct buf *into)
{
	struct buf *b = s == p->client ? &p->to_client : &p->to_server;
	enum tulle_err e;
	uint8_t chunk[20000];
	size_t n;

	tls_session_input(s, buf_len(b) > 0 ? buf_head(b) : NULL, buf_len(b));
	while ((e = tls_session_read(s, chunk, sizeof(chunk), &n)) == TULLE_OK) {
		if (into != NULL)
			ck_assert_int_eq(buf_append(into, chunk, n), TULLE_OK);
	}
	buf_consume(b, buf_len(b) - tls_session_input_left(s));
	tls_session_input(s, NULL, 0);
	return e;
}

/* Sends <n> bytes from one end to the other and compares. */
static inline void
pair_send(struct pair *p, struct tls_session *from, size_t n)
{
	struct buf got = buf_new(n + 1);
	uint8_t *data = malloc(n + 1);

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 11));
	ck_assert_int_eq(tls_session_write(from, data, n), TULLE_OK);
	ck_assert_int_eq(pair_read(p, from == p->client ? p->server : p->client, &got), TULLE_AGAIN);
	ck_assert_uint_eq(buf_len(&got), n);
	ck_assert(n == 0 || memcmp(buf_head(&got), data, n) == 0);
	buf_free(&got);
	free(data);
}

static inline void
pair_free_sessions(struct pair *p)
{
	p->client = tls_session_free(p->client);
	p->server = tls_session_free(p->server);
	buf_free(&p->to_client);
	buf_free(&p->to_server);
}

static inline void
pair_free(struct pair *p)
{
	pair_free_sessions(p);
	tls_context_unref(p->client_ctx);
	tls_context_unref(p->server_ctx);
	verifier_unref(p->verifier);
	identity_set_unref(p->client_set);
	identity_set_unref(p->server_set);
	pki_free(p->client_leaf);
	pki_free(p->server_leaf);
	pki_free(p->root);
}

#endif
