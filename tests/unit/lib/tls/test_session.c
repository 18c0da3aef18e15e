/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two good peers: handshakes, bytes, ends, names, rotation. */
#include "tls/session.h"

#include "pair.h"
#include "tls/intern.h"
#include "unit.h"

START_TEST(two_good_peers_prove_each_other)
{
	struct pair p = pair_new(NULL, NULL);

	ck_assert_ptr_null(tls_session_peer_id(p.server));
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_str_eq(tls_session_peer_id(p.server), PAIR_CLIENT);
	ck_assert_str_eq(tls_session_peer_id(p.client), PAIR_SERVER);
	ck_assert_str_eq(tls_session_own_id(p.client), PAIR_CLIENT);
	ck_assert_str_eq(tls_session_own_id(p.server), PAIR_SERVER);
	ck_assert_str_eq(tls_session_version(p.client), "TLSv1.3");
	ck_assert_str_eq(tls_session_cipher(p.client), "TLS_AES_128_GCM_SHA256");
	ck_assert_str_eq(tls_session_group(p.client), "X25519");
	ck_assert_uint_eq(strlen(tls_session_peer_serial(p.server)), 32);
	ck_assert_str_eq(tls_session_peer_serial(p.server), p.client_set->items[0]->facts.serial);
	ck_assert_int_eq(tls_session_peer_not_after(p.server), p.client_set->items[0]->facts.not_after);
	ck_assert_ptr_null(tls_session_sni(p.server));
	ck_assert_ptr_null(tls_session_alert(p.server));
	pair_free(&p);
	ck_assert_uint_eq(intern_count(), 0);
}
END_TEST

START_TEST(the_hybrid_group_is_used_where_both_want_it)
{
	struct tls_options hybrid = { .hybrid = true };
	struct pair p = pair_contexts();

	tls_context_unref(p.client_ctx);
	tls_context_unref(p.server_ctx);
	ck_assert_int_eq(tls_context_mesh_server(&p.server_ctx, p.server_set, p.verifier, &hybrid), TULLE_OK);
	ck_assert_int_eq(tls_context_mesh_client(&p.client_ctx, p.client_set->items[0], p.verifier, &hybrid), TULLE_OK);
	for (int i = 0; i < 50; i++) {
		pair_sessions(&p, NULL);
		ck_assert_int_eq(pair_run(&p), TULLE_OK);
		ck_assert_str_eq(tls_session_group(p.client), "X25519MLKEM768");
		pair_free_sessions(&p);
	}
	pair_free(&p);
}
END_TEST

START_TEST(bytes_arrive_whole_both_ways)
{
	struct pair p = pair_new(NULL, NULL);

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	pair_send(&p, p.client, 0);
	pair_send(&p, p.client, 1);
	pair_send(&p, p.server, 100000);
	pair_send(&p, p.client, 5000000);
	pair_free(&p);
}
END_TEST

START_TEST(a_handshake_in_single_bytes_and_half_records_work)
{
	struct pair p = pair_new(NULL, NULL);
	struct buf got = buf_new(1 << 20), wire;
	uint8_t chunk[700];
	size_t n, cut;

	p.slice = 1;
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	memset(chunk, 'x', sizeof(chunk));
	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(tls_session_write(p.client, chunk, sizeof(chunk)), TULLE_OK);
	wire = p.to_server;
	for (size_t step = 1; buf_len(&wire) > 0; step = step * 2 % 1009) {
		enum tulle_err e;

		cut = step < buf_len(&wire) ? step : buf_len(&wire);
		tls_session_input(p.server, buf_head(&wire), cut);
		while ((e = tls_session_read(p.server, chunk, 100, &n)) == TULLE_OK)
			ck_assert_int_eq(buf_append(&got, chunk, n), TULLE_OK);
		ck_assert_int_eq(e, TULLE_AGAIN);
		ck_assert_uint_eq(tls_session_input_left(p.server), 0);
		buf_consume(&wire, cut);
	}
	p.to_server = wire;
	ck_assert_uint_eq(buf_len(&got), 21000);
	buf_free(&got);
	pair_free(&p);
}
END_TEST

START_TEST(the_first_bytes_may_come_with_the_end_of_the_handshake)
{
	struct pair p = pair_new(NULL, NULL);
	struct buf got = buf_new(100);

	/* The client is done one flight before the server, and writes at once. */
	ck_assert_int_eq(pair_step(&p, p.client, &p.to_client), TULLE_AGAIN);
	ck_assert_int_eq(pair_step(&p, p.server, &p.to_server), TULLE_AGAIN);
	ck_assert_int_eq(pair_step(&p, p.client, &p.to_client), TULLE_OK);
	ck_assert_int_eq(tls_session_write(p.client, "hello", 5), TULLE_OK);
	tls_session_input(p.server, buf_head(&p.to_server), buf_len(&p.to_server));
	ck_assert_int_eq(tls_session_handshake(p.server), TULLE_OK);
	buf_consume(&p.to_server, buf_len(&p.to_server) - tls_session_input_left(p.server));
	ck_assert_uint_gt(buf_len(&p.to_server), 0);
	ck_assert_int_eq(pair_read(&p, p.server, &got), TULLE_AGAIN);
	ck_assert_mem_eq(buf_head(&got), "hello", 5);
	buf_free(&got);
	pair_free(&p);
}
END_TEST

START_TEST(an_end_of_one_direction_leaves_the_other)
{
	struct pair p = pair_new(NULL, NULL);
	struct buf got = buf_new(1000);

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_int_eq(tls_session_write(p.client, "last", 4), TULLE_OK);
	tls_session_close_notify(p.client);
	tls_session_close_notify(p.client);
	ck_assert_int_eq(tls_session_write(p.client, "more", 4), TULLE_EPEER);
	ck_assert_int_eq(pair_read(&p, p.server, &got), TULLE_EOF);
	ck_assert_mem_eq(buf_head(&got), "last", 4);
	/* The server may still answer, and the client hears it. */
	buf_consume(&got, 4);
	ck_assert_int_eq(tls_session_write(p.server, "answer", 6), TULLE_OK);
	ck_assert_int_eq(pair_read(&p, p.client, &got), TULLE_AGAIN);
	ck_assert_mem_eq(buf_head(&got), "answer", 6);
	tls_session_close_notify(p.server);
	ck_assert_int_eq(pair_read(&p, p.client, NULL), TULLE_EOF);
	ck_assert_ptr_null(tls_session_alert(p.client));
	buf_free(&got);
	pair_free(&p);
}
END_TEST

START_TEST(a_changed_byte_ends_it)
{
	struct pair p = pair_new(NULL, NULL);

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_int_eq(tls_session_write(p.client, "hello", 5), TULLE_OK);
	p.to_server.data[p.to_server.off + 8] ^= 1;
	ck_assert_int_eq(pair_read(&p, p.server, NULL), TULLE_EPEER);
	ck_assert_int_eq(tls_session_reason(p.server), SVID_OK);
	ck_assert_int_eq(tls_session_write(p.server, "x", 1), TULLE_EPEER);
	ck_assert_int_eq(pair_read(&p, p.client, NULL), TULLE_EPEER);
	ck_assert_str_eq(tls_session_alert(p.client), "bad_record_mac");
	pair_free(&p);
}
END_TEST

/* ---- ALPN ---- */

static struct pair
pair_alpn(const char *client, const char *server)
{
	struct tls_options oc = { .alpn = client }, os = { .alpn = server };
	struct pair p = pair_contexts();

	tls_context_unref(p.client_ctx);
	tls_context_unref(p.server_ctx);
	ck_assert_int_eq(tls_context_mesh_client(&p.client_ctx, p.client_set->items[0], p.verifier, &oc), TULLE_OK);
	ck_assert_int_eq(tls_context_mesh_server(&p.server_ctx, p.server_set, p.verifier, &os), TULLE_OK);
	pair_sessions(&p, NULL);
	return p;
}

START_TEST(the_best_common_protocol_is_taken)
{
	struct pair p = pair_alpn("http/1.1,h2", "h2");

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_str_eq(tls_session_alpn(p.client), "h2");
	ck_assert_str_eq(tls_session_alpn(p.server), "h2");
	pair_free(&p);
}
END_TEST

START_TEST(a_client_without_alpn_is_let_in)
{
	struct pair p = pair_alpn(NULL, "h2");

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_ptr_null(tls_session_alpn(p.server));
	pair_free(&p);
}
END_TEST

START_TEST(a_list_without_ours_is_refused)
{
	struct pair p = pair_alpn("istio-peer-exchange,istio", "h2");

	ck_assert_int_eq(pair_run(&p), TULLE_EPEER);
	ck_assert_int_eq(p.server_result, TULLE_EPEER);
	ck_assert_str_eq(tls_session_alert(p.client), "no_application_protocol");
	pair_free(&p);
}
END_TEST

/* ---- several identities ---- */

#define OTHER "spiffe://mesh.test/ns/shop/sa/Stock_1"
#define OTHER_SNI "Stock_1.shop.sa.mesh.test"

static struct pair
pair_two_identities(struct pki **ret_other)
{
	struct tls_options h2 = { .alpn = "h2" };
	struct pair p = pair_contexts();

	*ret_other = pki_leaf(p.root, OTHER);
	identity_set_unref(p.server_set);
	tls_context_unref(p.server_ctx);
	p.server_set = pki_set(p.root, PAIR_TD, p.server_leaf, *ret_other, NULL);
	ck_assert_int_eq(tls_context_mesh_server(&p.server_ctx, p.server_set, p.verifier, &h2), TULLE_OK);
	return p;
}

START_TEST(the_server_name_chooses_the_identity)
{
	static const char *const other[] = { OTHER };
	struct tls_session_options o = { .server_name = OTHER_SNI, .expected = other, .expected_n = 1 };
	struct pki *leaf;
	struct pair p = pair_two_identities(&leaf);

	pair_sessions(&p, &o);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_str_eq(tls_session_peer_id(p.client), OTHER);
	ck_assert_str_eq(tls_session_own_id(p.server), OTHER);
	ck_assert_str_eq(tls_session_sni(p.server), OTHER_SNI);
	pair_send(&p, p.server, 1000);
	pair_free(&p);
	pki_free(leaf);
}
END_TEST

START_TEST(without_a_default_only_a_known_name_is_answered)
{
	static const char *const other[] = { OTHER };
	struct tls_session_options o = { .server_name = OTHER_SNI, .expected = other, .expected_n = 1 };
	struct pki *leaf;
	struct pair p = pair_two_identities(&leaf);

	identity_set_choose_default(p.server_set, NULL);
	pair_sessions(&p, &o);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_str_eq(tls_session_own_id(p.server), OTHER);
	pair_free_sessions(&p);
	o.server_name = "www.example.org";
	o.expected_n = 0;
	pair_sessions(&p, &o);
	ck_assert_int_ne(pair_run(&p), TULLE_OK);
	ck_assert_int_ne(p.server_result, TULLE_OK);
	ck_assert_str_eq(tls_session_alert(p.client), "unrecognized_name");
	pair_free_sessions(&p);
	pair_sessions(&p, NULL);
	ck_assert_int_ne(pair_run(&p), TULLE_OK);
	ck_assert_int_ne(p.server_result, TULLE_OK);
	pair_free(&p);
	pki_free(leaf);
}
END_TEST

START_TEST(an_unknown_or_missing_name_gets_the_default)
{
	static const char *const expected[] = { PAIR_SERVER };
	struct tls_session_options o = { .server_name = "www.example.org", .expected = expected, .expected_n = 1 };
	struct pki *leaf;
	struct pair p = pair_two_identities(&leaf);

	pair_sessions(&p, &o);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_str_eq(tls_session_own_id(p.server), PAIR_SERVER);
	ck_assert_str_eq(tls_session_sni(p.server), "www.example.org");
	pair_free_sessions(&p);
	pair_sessions(&p, NULL);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_str_eq(tls_session_own_id(p.server), PAIR_SERVER);
	pair_free(&p);
	pki_free(leaf);
}
END_TEST

START_TEST(a_session_may_have_a_default_of_its_own)
{
	static const struct {
		const char *own, *sni, *answers;
		bool no_default;
	} cases[] = {
		{ OTHER, NULL, OTHER, false },
		{ OTHER, "www.example.org", OTHER, false },
		{ OTHER, "cart.shop.sa.mesh.test", PAIR_SERVER, false }, /* a name is stronger */
		{ OTHER, NULL, OTHER, true },
		{ PAIR_SERVER, NULL, PAIR_SERVER, true },
		{ PAIR_SERVER, OTHER_SNI, OTHER, true },
		{ "spiffe://mesh.test/ns/shop/sa/gone", NULL, PAIR_SERVER, false }, /* no certificate for it here */
	};
	struct pki *leaf;
	struct pair p = pair_two_identities(&leaf);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_session_options o = { .server_name = cases[i].sni, .expected = &cases[i].answers, .expected_n = 1 };

		identity_set_choose_default(p.server_set, cases[i].no_default ? NULL : "ns/shop/sa/cart");
		pair_sessions_own(&p, &o, cases[i].own);
		ck_assert_int_eq(pair_run(&p), TULLE_OK);
		ck_assert_str_eq(tls_session_own_id(p.server), cases[i].answers);
		pair_send(&p, p.server, 1000);
		pair_free_sessions(&p);
	}
	pair_free(&p);
	pki_free(leaf);
}
END_TEST

/* ---- rotation ---- */

START_TEST(live_sessions_outlast_their_contexts_and_identities)
{
	struct pair p = pair_new(NULL, NULL);

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	p.client_ctx = tls_context_unref(p.client_ctx);
	p.server_ctx = tls_context_unref(p.server_ctx);
	p.verifier = verifier_unref(p.verifier);
	p.client_set = identity_set_unref(p.client_set);
	p.server_set = identity_set_unref(p.server_set);
	pair_send(&p, p.client, 50000);
	pair_send(&p, p.server, 50000);
	ck_assert_str_eq(tls_session_peer_id(p.server), PAIR_CLIENT);
	ck_assert_str_eq(tls_session_own_id(p.server), PAIR_SERVER);
	pair_free(&p);
}
END_TEST

START_TEST(a_handshake_under_way_keeps_what_it_needs)
{
	struct pair p = pair_new(NULL, NULL);

	ck_assert_int_eq(pair_step(&p, p.client, &p.to_client), TULLE_AGAIN);
	ck_assert_int_eq(pair_step(&p, p.server, &p.to_server), TULLE_AGAIN);
	p.client_ctx = tls_context_unref(p.client_ctx);
	p.server_ctx = tls_context_unref(p.server_ctx);
	p.verifier = verifier_unref(p.verifier);
	p.client_set = identity_set_unref(p.client_set);
	p.server_set = identity_set_unref(p.server_set);
	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	pair_send(&p, p.client, 1000);
	pair_free(&p);
}
END_TEST

START_TEST(many_sessions_share_one_scratch_and_one_name)
{
	struct pair p = pair_new(NULL, NULL);
	struct tls_session *more[8];

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	for (size_t i = 0; i < 8; i++) {
		more[i] = p.client;
		p.client = NULL;
		p.server = tls_session_free(p.server);
		pair_sessions(&p, NULL);
		ck_assert_int_eq(pair_run(&p), TULLE_OK);
		ck_assert_ptr_eq(tls_session_peer_id(more[i]), tls_session_peer_id(p.client));
	}
	for (size_t i = 0; i < 8; i++)
		tls_session_free(more[i]);
	pair_free(&p);
	ck_assert_uint_eq(intern_count(), 0);
}
END_TEST

UNIT_MAIN("session", two_good_peers_prove_each_other, the_hybrid_group_is_used_where_both_want_it,
    bytes_arrive_whole_both_ways, a_handshake_in_single_bytes_and_half_records_work,
    the_first_bytes_may_come_with_the_end_of_the_handshake, an_end_of_one_direction_leaves_the_other,
    a_changed_byte_ends_it, the_best_common_protocol_is_taken, a_client_without_alpn_is_let_in,
    a_list_without_ours_is_refused, the_server_name_chooses_the_identity, without_a_default_only_a_known_name_is_answered,
    an_unknown_or_missing_name_gets_the_default,
    a_session_may_have_a_default_of_its_own,
    live_sessions_outlast_their_contexts_and_identities, a_handshake_under_way_keeps_what_it_needs,
    many_sessions_share_one_scratch_and_one_name)
