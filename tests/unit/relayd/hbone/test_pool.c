/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our side as a client of tunnels: flows of host a against servers that are not ours. */
#include "hbone/pool.h"

#include "relayd/peer.h"

static int listener; /* of the server under 10.0.0.2:15008 */

static void
setup(void)
{
	relays_setup(MESH, NULL);
	listener = app_listen(B_HBONE);
}

static struct peer *
accept_tunnel(void)
{
	struct peer *p = peer_accept(listener, ID_DB);

	peer_frame(p, SETTINGS, 0, 0, NULL, 0);
	return p;
}

/* How a client ends that gets nothing: -ECONNRESET. */
static int
end_of(int client)
{
	size_t got = 0;

	return app_drain(client, &got);
}

START_TEST(what_the_client_says)
{
	/* HB-01, HB-20: CONNECT and authority, and not a byte before the 200. */
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	ck_assert_uint_eq(app_write(client, 1000), 1000);
	p = accept_tunnel();
	ck_assert_str_eq(tls_session_sni(p->tls), "db.shop.sa.mesh.test");
	ck_assert_str_eq(tls_session_peer_id(p->tls), ID_WEB);
	ck_assert_int_eq(peer_next(p), 1);
	ck_assert_str_eq(p->s[0].authority, "10.0.0.2:9000");
	relays_settle();
	ck_assert_uint_eq(p->s[0].data, 0);
	ck_assert(p->window == HBONE_CONN_WINDOW);
	peer_answer(p, 1, "200");
	UNTIL(p->s[0].data == 1000);
	shutdown(client, SHUT_WR);
	UNTIL(p->s[0].end);
	ck_assert_uint_eq(peer_data(p, 1, 5000, true), 5000);
	{
		size_t got = 0;

		ck_assert_int_eq(app_drain(client, &got), 0);
		ck_assert_uint_eq(got, 5000);
	}
	UNTIL(a->flows.n == 0);
	ck_assert(!p->s[0].rst);
	ck_assert_uint_eq(p->empty_data, 0);
}
END_TEST

START_TEST(only_200_is_success)
{
	/* HB-03, HB-29 */
	static const struct {
		const char *status;
		enum counter_id counter;
	} table[] = { { "201", 0 }, { "204", 0 }, { "302", 0 }, { "400", 0 }, { "401", 0 }, { "403", 0 }, { "503", 0 } };
	struct peer *p = NULL;
	int32_t id;
	int client;

	setup();
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		client = client_open(a, SERVICE);
		if (p == NULL)
			p = accept_tunnel();
		id = peer_next(p);
		peer_headers(p, id, END_STREAM, ":status", table[i].status, NULL);
		peer_word(p, RST_STREAM, id, NGHTTP2_NO_ERROR);
		ck_assert_int_eq(end_of(client), -ECONNRESET);
		close(client);
	}
	ck_assert_uint_eq(a->flows.n, 0);
	ck_assert(!p->ended); /* the tunnel is fine */
	ck_assert_uint_eq(a->up, 1);
}
END_TEST

START_TEST(informational_statuses_are_not_the_answer)
{
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	(void)peer_next(p);
	peer_answer(p, 1, "103");
	relays_settle();
	ck_assert_uint_eq(a->flows.n, 1);
	peer_answer(p, 1, "200");
	ck_assert_uint_eq(app_write(client, 10), 10);
	UNTIL(p->s[0].data == 10);
}
END_TEST

START_TEST(a_200_and_then_a_reset_is_a_failure)
{
	/* HB-02 */
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	(void)peer_next(p);
	peer_answer(p, 1, "200");
	peer_word(p, RST_STREAM, 1, NGHTTP2_CONNECT_ERROR);
	ck_assert_int_eq(end_of(client), -ECONNRESET);
	UNTIL(a->flows.n == 0);
	ck_assert(!p->ended);
}
END_TEST

START_TEST(a_whole_answer_and_a_reset_without_error_is_no_failure)
{
	/* HB-29: the server has said all and wants to hear no more: the client gets every byte and a FIN. */
	struct peer *p;
	size_t got = 0;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	(void)peer_next(p);
	peer_answer(p, 1, "200");
	ck_assert_uint_eq(peer_data(p, 1, 60000, true), 60000);
	peer_word(p, RST_STREAM, 1, NGHTTP2_NO_ERROR);
	ck_assert_int_eq(app_drain(client, &got), 0);
	ck_assert_uint_eq(got, 60000);
	UNTIL(a->flows.n == 0);
}
END_TEST

START_TEST(a_request_that_is_never_answered)
{
	/* HB-04: our own deadline; CANCEL; the tunnel survives and serves the next one. */
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	(void)peer_next(p);
	clock_skip(FLOW_DIAL_MS - 1000);
	relays_settle();
	ck_assert_uint_eq(a->flows.n, 1);
	clock_skip(2000);
	ck_assert_int_eq(end_of(client), -ECONNRESET);
	UNTIL(p->s[0].rst);
	ck_assert_uint_eq(p->s[0].rst_code, NGHTTP2_CANCEL);
	client = client_open(a, SERVICE); /* the endpoint rests, but there is no other */
	ck_assert_int_eq(peer_next(p), 3);
	peer_answer(p, 3, "200");
	app_write(client, 1);
	UNTIL(p->s[1].data == 1);
	ck_assert_uint_eq(a->up, 1);
}
END_TEST

START_TEST(a_handshake_that_never_ends_fails_all_who_wait_for_it)
{
	/* HB-05: single flight, one deadline. */
	int clients[20], fd;

	setup();
	for (int i = 0; i < 20; i++)
		clients[i] = client_open(a, SERVICE);
	fd = app_accept(listener); /* and says nothing */
	relays_settle();
	ck_assert_uint_eq(pool_tunnels(a->pool), 1);
	clock_skip(TLSCONN_HANDSHAKE_MS + 1000);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(end_of(clients[i]), -ECONNRESET);
	UNTIL(pool_tunnels(a->pool) == 0 && a->flows.n == 0);
	ck_assert_int_eq(a->down_error, TULLE_ETIMEDOUT);
	ck_assert_uint_eq(a->down, 1);
	close(fd);
}
END_TEST

START_TEST(nobody_listens_where_tunnels_end)
{
	/* The flow's record and the counters say why the tunnel's connection could not be made. */
	int client;

	setup();
	close(listener);
	client = client_open(a, SERVICE);
	ck_assert_int_eq(end_of(client), -ECONNRESET);
	ck_assert_int_eq(last_event(a).detail, EVENT_DETAIL_CONNECT_REFUSED);
	ck_assert_uint_eq(counted(a, COUNT_CONNECT_REFUSED), 1);
	ck_assert_uint_eq(counted(a, COUNT_CONNECT_OTHER), 0);
}
END_TEST

START_TEST(the_server_is_somebody_else)
{
	/* Not a byte of the application goes to a server with another identity (HB-07). */
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	app_write(client, 100);
	p = peer_new("spiffe://mesh.test/ns/shop/sa/other", true);
	p->fd = app_accept(listener);
	ck_assert_int_eq(end_of(client), -ECONNRESET);
	UNTIL(p->ended);
	ck_assert_int_eq(a->down_error, TULLE_EDENIED);
	ck_assert_int_eq(p->max_id, 0);
}
END_TEST

START_TEST(a_lower_limit_of_streams_is_learnt)
{
	/*
	 * HB-13: fifty flows at once, and the server takes ten a connection.
	 * What it refuses comes again on other tunnels, which are filled with ten
	 * from the start: no flow is lost, none is refused twice.
	 */
	static struct peer *p[16];
	unsigned int served = 0, tunnels = 0;
	int clients[50];

	setup();
	for (int i = 0; i < 50; i++)
		clients[i] = client_open(a, SERVICE);
	while (served < 50) {
		struct peer *q = peer_new(ID_DB, true);

		ck_assert_uint_lt(tunnels, ARRAY_LEN(p));
		p[tunnels++] = q;
		q->fd = app_accept(listener);
		UNTIL(q->up && q->preface);
		peer_setting(q, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 10);
		UNTIL(q->settings_acks > 0);
		relays_settle();
		if (tunnels > 1)
			ck_assert_uint_le(q->open_most, 10);
		for (int32_t id = 1; id <= q->max_id; id += 2) {
			if (id / 2 < 10)
				peer_answer(q, id, "200");
			else
				peer_word(q, RST_STREAM, id, NGHTTP2_REFUSED_STREAM);
			served += id / 2 < 10;
		}
		relays_settle();
	}
	ck_assert_uint_eq(tunnels, 5);
	for (int i = 0; i < 50; i++)
		ck_assert_uint_eq(app_write(clients[i], 1), 1);
	for (unsigned int i = 0; i < tunnels; i++)
		for (int k = 0; k < 10; k++)
			UNTIL(p[i]->s[k].data == 1);
	ck_assert_uint_eq(a->flows.n, 50);
}
END_TEST

START_TEST(a_limit_that_falls_later_holds_for_new_streams)
{
	struct peer *p, *q;
	int client[3];

	setup();
	client[0] = client_open(a, SERVICE);
	client[1] = client_open(a, SERVICE);
	p = accept_tunnel();
	UNTIL(p->max_id == 3);
	peer_answer(p, 1, "200");
	peer_answer(p, 3, "200");
	peer_setting(p, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
	relays_settle();
	client[2] = client_open(a, SERVICE);
	q = accept_tunnel();
	ck_assert_int_eq(peer_next(q), 1);
	peer_answer(q, 1, "200");
	ck_assert_int_eq(p->max_id, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(app_write(client[i], 7), 7);
	UNTIL(p->s[0].data == 7 && p->s[1].data == 7 && q->s[0].data == 7);
}
END_TEST

/* A download of a client that reads: so much that it is bulk. */
static void
pour(struct peer *p, int32_t id, int client)
{
	size_t sent = 0, got = 0;

	while (sent < HBONE_BULK + (1 << 20)) {
		sent += peer_data(p, id, 65536, false);
		relays_turn(0);
		ck_assert_int_eq(app_read(client, &got), 1);
	}
}

START_TEST(bulk_keeps_new_flows_off_its_tunnel)
{
	struct peer *p, *q;
	int bulk, client, id;

	setup();
	bulk = client_open(a, SERVICE);
	p = accept_tunnel();
	id = peer_next(p);
	peer_answer(p, id, "200");
	client = client_open(a, SERVICE); /* before it is bulk: one tunnel */
	peer_answer(p, peer_next(p), "200");
	pour(p, id, bulk);
	(void)client_open(a, SERVICE);
	q = accept_tunnel();
	peer_answer(q, peer_next(q), "200");
	(void)client_open(a, SERVICE); /* the one that carries none, as long as there is room */
	peer_answer(q, peer_next(q), "200");
	ck_assert_uint_eq(pool_tunnels(a->pool), 2);
	ck_assert_uint_eq(app_write(client, 5), 5); /* who was there stays there */
	UNTIL(p->s[1].data == 5);
	clock_skip(HBONE_BULK_MS + 1000); /* when it is over its tunnel is as good as the other */
	relays_settle();
	app_reset(client);
	app_reset(bulk);
	UNTIL(p->open_now == 0);
	(void)client_open(a, SERVICE);
	ck_assert_int_eq(peer_next(p), 5);
	ck_assert_uint_eq(pool_tunnels(a->pool), 2);
}
END_TEST

START_TEST(four_tunnels_are_made_for_spreading_and_no_more)
{
	struct peer *p[POOL_SPREAD];
	int client;

	setup();
	for (int i = 0; i < POOL_SPREAD; i++) {
		client = client_open(a, SERVICE);
		p[i] = accept_tunnel();
		peer_answer(p[i], peer_next(p[i]), "200");
		pour(p[i], 1, client);
	}
	for (int i = 0; i < 8; i++)
		(void)client_open(a, SERVICE);
	for (int i = 0; i < POOL_SPREAD; i++)
		ck_assert_int_eq(peer_next(p[i]), 3); /* they are shared out */
	ck_assert_uint_eq(pool_tunnels(a->pool), POOL_SPREAD);
}
END_TEST

START_TEST(a_refused_stream_comes_again_once_on_another_tunnel)
{
	/* HB-14 */
	struct peer *p, *q;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	peer_word(p, RST_STREAM, peer_next(p), NGHTTP2_REFUSED_STREAM);
	q = accept_tunnel();
	ck_assert_int_eq(peer_next(q), 1);
	ck_assert_str_eq(q->s[0].authority, "10.0.0.2:9000");
	peer_word(q, RST_STREAM, 1, NGHTTP2_REFUSED_STREAM);
	ck_assert_int_eq(end_of(client), -ECONNRESET); /* twice is enough */
	ck_assert_int_eq(p->max_id, 1);
	UNTIL(a->flows.n == 0);
}
END_TEST

START_TEST(a_peer_that_is_restarted_loses_no_flow)
{
	/* HB-14, HB-15: GOAWAY with a last id below a request in flight: it goes to a new connection; older ones end in peace. */
	struct peer *p, *q;
	int old, fresh;
	size_t got = 0;

	setup();
	old = client_open(a, SERVICE);
	p = accept_tunnel();
	peer_answer(p, peer_next(p), "200");
	fresh = client_open(a, SERVICE);
	ck_assert_int_eq(peer_next(p), 3);
	peer_goaway(p, 1, NGHTTP2_NO_ERROR);
	q = accept_tunnel();
	ck_assert_int_eq(peer_next(q), 1);
	peer_answer(q, 1, "200");
	app_write(fresh, 5);
	UNTIL(q->s[0].data == 5);
	app_write(old, 6);
	UNTIL(p->s[0].data == 6);
	ck_assert_uint_eq(peer_data(p, 1, 10, true), 10);
	shutdown(old, SHUT_WR);
	ck_assert_int_eq(app_drain(old, &got), 0);
	ck_assert_uint_eq(got, 10);
	UNTIL(p->ended); /* nothing is left in it */
	ck_assert_uint_eq(pool_tunnels(a->pool), 1);
}
END_TEST

START_TEST(a_first_goaway_takes_no_new_streams)
{
	/* A polite server says 2^31-1 first: what is asked for goes on, what is new goes elsewhere. */
	struct peer *p, *q;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	(void)peer_next(p);
	peer_goaway(p, 0x7fffffff, NGHTTP2_NO_ERROR);
	relays_settle();
	(void)client_open(a, SERVICE);
	q = accept_tunnel();
	(void)peer_next(q);
	ck_assert_int_eq(p->max_id, 1);
	peer_answer(p, 1, "200");
	app_write(client, 9);
	UNTIL(p->s[0].data == 9);
}
END_TEST

START_TEST(a_tunnel_that_dies_while_a_request_waits)
{
	/* The peer was restarted and an old tunnel is stale: what was asked for and not answered goes through a new one. */
	struct peer *p, *q;
	int waiting, open;

	setup();
	open = client_open(a, SERVICE);
	p = accept_tunnel();
	peer_answer(p, peer_next(p), "200");
	waiting = client_open(a, SERVICE);
	(void)peer_next(p);
	app_reset(p->fd);
	p->fd = -1;
	ck_assert_int_eq(end_of(open), -ECONNRESET);
	q = accept_tunnel();
	peer_answer(q, peer_next(q), "200");
	app_write(waiting, 3);
	UNTIL(q->s[0].data == 3);
	ck_assert_uint_eq(a->flows.n, 1);
}
END_TEST

START_TEST(a_dead_peer_is_noticed_within_half_a_minute)
{
	/* HB-25: nothing answers any more, not even PING: flows end, the next one makes a new tunnel. */
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	peer_answer(p, peer_next(p), "200");
	relays_settle();
	p->mute = true;
	for (int i = 0; i < 3; i++) {
		clock_skip(HBONE_PING_MS);
		relays_settle();
	}
	ck_assert_int_eq(end_of(client), -ECONNRESET);
	ck_assert_int_eq(a->down_error, TULLE_ETIMEDOUT);
	ck_assert_uint_ge(p->pings, 1);
}
END_TEST

START_TEST(pings_only_when_it_is_quiet)
{
	/* HB-24 */
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	peer_answer(p, peer_next(p), "200");
	relays_settle();
	for (int i = 0; i < 20; i++) {
		clock_skip(5000);
		peer_data(p, 1, 1, false);
		relays_settle();
	}
	ck_assert_uint_eq(p->pings, 0);
	for (int i = 0; i < 6; i++) {
		clock_skip(HBONE_PING_MS);
		relays_settle();
	}
	ck_assert_uint_ge(p->pings, 3);
	ck_assert_uint_le(p->pings, 7);
	ck_assert(!p->ended);
	close(client);
}
END_TEST

START_TEST(a_tunnel_without_streams_is_closed_after_a_while_in_good_order)
{
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	peer_answer(p, peer_next(p), "200");
	relays_settle();
	close(client);
	peer_frame(p, DATA, END_STREAM, 1, NULL, 0);
	UNTIL(a->flows.n == 0);
	clock_skip(POOL_IDLE_MS / 2);
	relays_settle();
	ck_assert_uint_eq(pool_tunnels(a->pool), 1);
	(void)client_open(a, SERVICE); /* used again: the time starts anew when it ends */
	ck_assert_int_eq(peer_next(p), 3);
	peer_headers(p, 3, END_STREAM, ":status", "503", NULL);
	UNTIL(a->flows.n == 0);
	for (int i = 0; i < 7; i++) {
		clock_skip(POOL_IDLE_MS / 6);
		relays_settle();
	}
	ck_assert_uint_eq(pool_tunnels(a->pool), 0);
	ck_assert_uint_eq(p->goaways, 1);
	ck_assert_uint_eq(p->goaway_code, NGHTTP2_NO_ERROR);
	ck_assert_int_eq(p->error, TULLE_EOF);
}
END_TEST

START_TEST(aborted_downloads_leave_the_tunnel_with_its_full_window)
{
	/* HB-19: clients that never read and go: 25 MiB through a window of 16. */
	struct peer *p = NULL;
	int client;
	char first;

	setup();
	for (int i = 0; i < 100; i++) {
		int32_t id;

		client = client_open(a, SERVICE);
		if (p == NULL)
			p = accept_tunnel();
		id = peer_next(p);
		peer_answer(p, id, "200");
		if (i == 0) {
			relays_settle();
			ck_assert_int_eq(p->window, HBONE_CONN_WINDOW);
		}
		ck_assert_uint_ge(peer_data(p, id, HBONE_WINDOW, false), HBONE_WINDOW - 16384);
		UNTIL(recv(client, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
		app_reset(client);
		UNTIL(peer_stream(p, id)->rst);
		ck_assert_uint_eq(p->s[id / 2].rst_code, NGHTTP2_CONNECT_ERROR); /* HB-28 */
	}
	relays_settle();
	ck_assert_int_gt(p->window, HBONE_CONN_WINDOW / 2 - 2 * HBONE_WINDOW); /* credit comes back in halves */
	ck_assert_uint_eq(a->up, 1);
	UNTIL(a->flows.n == 0);
}
END_TEST

START_TEST(a_client_that_does_not_read_stops_its_stream_alone)
{
	/* HB-18 the other way round; memory stays within the window. */
	struct peer *p;
	struct flow *f;
	size_t got = 0, sent = 0;
	int stuck, moving;

	setup();
	stuck = client_open(a, SERVICE);
	p = accept_tunnel();
	peer_answer(p, peer_next(p), "200");
	moving = client_open(a, SERVICE);
	peer_answer(p, peer_next(p), "200");
	relays_settle();
	for (int idle = 0; idle < 30; idle++)
		idle = peer_data(p, 1, 1 << 30, false) > 0 ? 0 : (relays_turn(1), idle);
	while (got < 2000000) {
		sent += peer_data(p, 3, 2000000 - sent, false);
		relays_turn(1);
		(void)app_read(moving, &got);
	}
	TAILQ_FOREACH(f, &a->flows.all, link)
		ck_assert_uint_le(buf_len(&f->down.tcp.out), HBONE_WINDOW);
	got = 0;
	peer_frame(p, DATA, END_STREAM, 1, NULL, 0);
	shutdown(stuck, SHUT_WR);
	ck_assert_int_eq(app_drain(stuck, &got), 0);
	ck_assert_uint_gt(got, HBONE_WINDOW);
}
END_TEST

START_TEST(a_window_that_shrinks_below_zero)
{
	/* HB-21: nothing is sent until it is positive, and then everything is. */
	struct peer *p;
	size_t sent;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	p->no_credit = true;
	peer_answer(p, peer_next(p), "200");
	sent = app_write(client, 200000);
	ck_assert_uint_eq(sent, 200000);
	UNTIL(p->s[0].data == 65535);
	peer_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000);
	peer_word(p, WINDOW_UPDATE, 0, 10000000);
	peer_word(p, WINDOW_UPDATE, 1, 60000);
	relays_settle();
	ck_assert_uint_eq(p->s[0].data, 65535);
	peer_word(p, WINDOW_UPDATE, 1, 10000000);
	UNTIL(p->s[0].data == 200000);
}
END_TEST

START_TEST(bulk_in_both_frame_sizes)
{
	/* HB-22: a peer that takes 16 KiB, and one that takes a megabyte: every byte arrives, nothing larger than it may be. */
	for (int large = 0; large < 2; large++) {
		struct peer *p;
		size_t sent = 0;
		int client;

		if (large == 0)
			setup();
		client = client_open(a, "10.0.0.2:9000");
		p = large == 0 ? accept_tunnel() : NULL;
		if (p == NULL)
			p = accept_tunnel();
		if (large)
			peer_setting(p, NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 1 << 20);
		peer_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4 << 20);
		peer_word(p, WINDOW_UPDATE, 0, 16 << 20);
		peer_answer(p, peer_next(p), "200");
		while (sent < (8u << 20)) {
			sent += app_write(client, (8u << 20) - sent);
			relays_turn(1);
		}
		shutdown(client, SHUT_WR);
		UNTIL(p->s[0].end);
		ck_assert_uint_eq(p->s[0].data, 8u << 20);
		ck_assert_uint_ge(p->data_frames, large ? 120 : 500);
		/* the next round needs a tunnel of its own */
		peer_goaway(p, 0x7fffffff, NGHTTP2_NO_ERROR);
		relays_settle();
	}
}
END_TEST

START_TEST(a_server_that_breaks_the_protocol)
{
	/* Data before the answer, data on a closed stream, garbage: the flow fails or the tunnel does; we live. */
	for (int i = 0; i < 4; i++) {
		struct peer *p;
		int client;

		if (i == 0)
			setup();
		clock_skip(61000); /* the endpoint rests no longer */
		relays_settle();
		client = client_open(a, SERVICE);
		p = accept_tunnel();
		(void)peer_next(p);
		switch (i) {
		case 0:
			peer_data(p, 1, 100, false);
			break;
		case 1:
			peer_headers(p, 1, 0, ":status", "2000", NULL);
			break;
		case 2:
			peer_frame(p, PUSH_PROMISE, END_HEADERS, 1, (uint8_t[]){ 0, 0, 0, 2 }, 4);
			break;
		default:
			peer_raw(p, (uint8_t[]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 9);
			break;
		}
		ck_assert_int_eq(end_of(client), -ECONNRESET);
		close(client);
		peer_close(p);
		UNTIL(a->flows.n == 0 && pool_tunnels(a->pool) == 0);
	}
}
END_TEST

START_TEST(ending_the_pool_ends_the_flows)
{
	/* As at the end of a process: with tunnels in every state. */
	struct peer *p;
	int client;

	setup();
	client = client_open(a, SERVICE);
	p = accept_tunnel();
	peer_answer(p, peer_next(p), "200");
	relays_settle();
	(void)client_open(a, SERVICE);
	(void)client_open(a, "10.0.0.2:9001");
	relays_turn(1);
	pool_drain(a->pool);
	relays_settle();
	(void)client_open(a, SERVICE); /* too late: told at once */
	relay_free(a);
	ck_assert_uint_eq(a->flows.n, 0);
	ck_assert_int_eq(end_of(client), -ECONNRESET);
	peer_free(p);
}
END_TEST

RELAY_MAIN("pool", what_the_client_says, only_200_is_success, informational_statuses_are_not_the_answer,
    a_200_and_then_a_reset_is_a_failure, a_whole_answer_and_a_reset_without_error_is_no_failure,
    a_request_that_is_never_answered, a_handshake_that_never_ends_fails_all_who_wait_for_it, nobody_listens_where_tunnels_end, the_server_is_somebody_else,
    a_lower_limit_of_streams_is_learnt, a_limit_that_falls_later_holds_for_new_streams,
    bulk_keeps_new_flows_off_its_tunnel, four_tunnels_are_made_for_spreading_and_no_more,
    a_refused_stream_comes_again_once_on_another_tunnel, a_peer_that_is_restarted_loses_no_flow,
    a_first_goaway_takes_no_new_streams, a_tunnel_that_dies_while_a_request_waits,
    a_dead_peer_is_noticed_within_half_a_minute, pings_only_when_it_is_quiet,
    a_tunnel_without_streams_is_closed_after_a_while_in_good_order,
    aborted_downloads_leave_the_tunnel_with_its_full_window, a_client_that_does_not_read_stops_its_stream_alone,
    a_window_that_shrinks_below_zero, bulk_in_both_frame_sizes, a_server_that_breaks_the_protocol,
    ending_the_pool_ends_the_flows)
