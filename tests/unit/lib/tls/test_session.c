/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Good and bad handshakes between two sessions, all in memory. */
#include "tls/session.h"

#include "pair.h"
#include "unit.h"

START_TEST(two_good_peers_prove_each_other)
{
	struct pair p = pair_new(NULL, NULL);

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	ck_assert_str_eq(tls_session_peer_id(p.server), PAIR_CLIENT);
	ck_assert_str_eq(tls_session_peer_id(p.client), PAIR_SERVER);
	ck_assert_str_eq(tls_session_own_id(p.client), PAIR_CLIENT);
	ck_assert_str_eq(tls_session_version(p.client), "TLSv1.3");
	ck_assert_str_eq(tls_session_alpn(p.client), "h2");
	ck_assert_str_eq(tls_session_alpn(p.server), "h2");
	ck_assert_str_eq(tls_session_cipher(p.client), "TLS_AES_128_GCM_SHA256");
	ck_assert_str_eq(tls_session_group(p.client), "X25519");
	ck_assert_uint_eq(strlen(tls_session_peer_serial(p.server)), 32);
	pair_free(&p);
}
END_TEST

START_TEST(bytes_arrive_whole_both_ways)
{
	struct pair p = pair_new(NULL, NULL);

	ck_assert_int_eq(pair_run(&p), TULLE_OK);
	pair_send(&p, p.client, 1);
	pair_send(&p, p.server, 100000);
	pair_send(&p, p.client, 5000000);
	pair_free(&p);
}
END_TEST

UNIT_MAIN("session", two_good_peers_prove_each_other, bytes_arrive_whole_both_ways)
