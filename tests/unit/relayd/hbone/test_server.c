/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server of tunnels against clients that follow the protocol, bend it, and break it. */
#include "hbone/server.h"

#include "relayd/peer.h"

#define STREAM_MAX (1 << 30)

START_TEST(early_data_is_kept_in_order_until_the_application_is_there)
{
	/* HB-01: a client that does not wait for the 200. */
	int listener, app;
	struct peer *p;
	size_t got = 0;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	ck_assert_uint_eq(peer_data(p, 1, 60000, true), 60000);
	app = app_accept(listener);
	ck_assert_int_eq(app_drain(app, &got), 0);
	ck_assert_uint_eq(got, 60000);
	ck_assert_int_eq(p->s[0].status, 200);
	close(app);
	UNTIL(p->s[0].end && b->flows.n == 0);
	ck_assert(!p->s[0].rst);
	peer_free(p);
	relay_free(b);
}
END_TEST

START_TEST(a_peer_that_never_says_its_preface_is_hung_up_on)
{
	/* HB-05: first no TLS, then TLS and nothing behind it. */
	struct addr where;
	struct peer *p;
	size_t got = 0;
	int fd;

	relays_setup(NULL, MESH);
	where = at(B_HBONE);
	ck_assert_int_ne(sock_connect(&fd, &where), TULLE_ESYS);
	UNTIL(server_tunnels(b->server) == 1);
	clock_skip(TLSCONN_HANDSHAKE_MS - 1000);
	relays_settle();
	ck_assert_uint_eq(server_tunnels(b->server), 1);
	clock_skip(2000);
	UNTIL(server_tunnels(b->server) == 0);
	ck_assert_int_eq(b->down_error, TULLE_ETIMEDOUT);
	ck_assert_int_le(app_drain(fd, &got), 0);

	p = peer_new(ID_WEB, false);
	p->mute = true; /* above TLS: not even the answer to a PING */
	ck_assert_int_ne(sock_connect(&p->fd, &where), TULLE_ESYS);
	UNTIL(p->up && b->up == 1);
	for (int i = 0; i < 4; i++) {
		clock_skip(HBONE_PING_MS);
		relays_settle();
	}
	ck_assert_uint_eq(server_tunnels(b->server), 0);
	ck_assert_int_eq(b->down_error, TULLE_ETIMEDOUT);
}
END_TEST

START_TEST(what_is_settled_at_the_start)
{
	/* HB-12, HB-20: at least 100 streams, a large connection window with the first SETTINGS. */
	struct peer *p;

	relays_setup(NULL, MESH);
	p = peer_connect(B_HBONE, ID_WEB);
	ck_assert_uint_ge(p->max_streams, 100);
	UNTIL(p->window == HBONE_CONN_WINDOW);
	ck_assert_uint_eq(p->initial_window, HBONE_WINDOW);
	ck_assert_uint_ge(p->max_frame, 16384);
}
END_TEST

START_TEST(authorities_good_and_bad)
{
	/* HB-08, HB-09, HB-10, HB-11 */
	static const struct {
		const char *authority;
		int status;
	} table[] = {
		{ "10.0.0.2:9000", 200 }, { "[::ffff:10.0.0.2]:9000", 200 }, { "10.0.0.2:9001", 503 },
		{ "10.0.0.2", 400 }, { "10.0.0.2:", 400 }, { "10.0.0.2:0", 400 }, { "10.0.0.2:65536", 400 }, { "10.0.0.2:9000x", 400 },
		{ "10.0.0.2:09000000", 400 }, { " 10.0.0.2:9000", 400 }, { "010.0.0.2:9000", 400 }, { "10.0.0.3:9000", 400 },
		{ "127.0.0.1:9000", 400 }, { "fd00::2:9000", 400 }, { "[fd00::2]", 400 }, { "[fd00::2%lo]:9000", 400 },
		{ "[::1]:9000", 400 }, { "db.shop:80", 400 }, { "user@10.0.0.2:9000", 400 }, { "10.0.0.2:15001", 503 },
		{ "10.0.0.2:15006", 503 }, { "10.0.0.2:15008", 503 },
		{ "10.0.0.2:15021", 503 }, { "10.0.0.2:15012", 503 }, { "-", 400 },
	};
	struct peer *p;
	int32_t id = 1;

	/* 10.0.0.3 is of the mesh but not of this host, whatever can be reached there. */
	relays_setup(NULL, MESH "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: db-2, namespace: shop}\n"
	                        "spec: {address: 10.0.0.3, labels: {app: db}, serviceAccount: db}\n");
	app_listen(B_APP);
	app_listen("10.0.0.3:9000");
	app_listen("10.0.0.2:15021"); /* somebody is there: only the rule refuses them */
	app_listen("10.0.0.2:15012");
	p = peer_connect(B_HBONE, ID_WEB);
	for (size_t i = 0; i < ARRAY_LEN(table); i++, id += 2) {
		struct peer_stream *s = peer_stream(p, id);

		peer_ask(p, id, table[i].authority);
		UNTIL(s->status != 0 || s->rst || p->ended);
		ck_assert_msg(s->status == table[i].status || (table[i].status == 400 && s->rst), "%s: %d", table[i].authority,
		    s->status);
		if (s->status >= 400) {
			UNTIL(s->rst); /* the request's side is ended without an error */
			ck_assert_uint_eq(s->rst_code, NGHTTP2_NO_ERROR);
		}
	}
	ck_assert(!p->ended);
}
END_TEST

START_TEST(an_ipv6_authority_is_reached_through_an_ipv6_tunnel)
{
	const char *mesh6 = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: db-1, namespace: shop}\n"
	                    "spec: {address: \"fd00::2\", labels: {app: db}, serviceAccount: db}\n";
	struct peer *p;

	relays_world();
	b = relay_new("fd00::2", ID_DB, mesh6);
	app_listen("[fd00::2]:9000");
	p = peer_connect("[fd00::2]:15008", ID_WEB);
	peer_ask(p, 1, "[fd00::2]:9000");
	UNTIL(p->s[0].status != 0);
	ck_assert_int_eq(p->s[0].status, 200);
	peer_ask(p, 3, "[fd00:0:0:0:0:0:0:2]:9000");
	UNTIL(p->s[1].status != 0);
	ck_assert_int_eq(p->s[1].status, 200);
	peer_ask(p, 5, "fd00::2:9000");
	UNTIL(p->s[2].status != 0 || p->s[2].rst);
	ck_assert_int_ne(p->s[2].status, 200);
}
END_TEST

START_TEST(requests_that_are_not_connect)
{
	/* HB-09: refused or reset, and the tunnel lives. */
	struct peer *p;

	relays_setup(NULL, MESH);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_headers(p, 1, END_STREAM, ":method", "GET", ":scheme", "https", ":path", "/", ":authority", B_APP, NULL);
	(void)peer_stream(p, 1);
	UNTIL(p->s[0].status == 400);
	peer_headers(p, 3, 0, ":method", "CONNECT", ":scheme", "https", ":path", "/", ":authority", B_APP, NULL);
	UNTIL(p->s[1].rst);
	ck_assert_uint_eq(p->s[1].rst_code, NGHTTP2_PROTOCOL_ERROR);
	peer_headers(p, 5, 0, ":method", "CONNECT", NULL);
	UNTIL(p->s[2].rst || p->s[2].status == 400);
	app_listen(B_APP);
	peer_ask(p, 7, B_APP);
	UNTIL(p->s[3].status == 200);
	ck_assert(!p->ended);
}
END_TEST

START_TEST(claims_in_headers_change_nothing)
{
	/* HB-32, HB-33: baggage and forwarded are claims; an unknown or odd header is no reason to refuse. */
	struct peer *p;

	relays_setup(NULL, MESH DENY_ALL);
	app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_headers(p, 1, 0, ":method", "CONNECT", ":authority", B_APP, "baggage", "k8s.namespace.name=admin", "forwarded",
	    "for=\"10.0.0.2\"", "x-forwarded-client-cert", "URI=" ID_DB, NULL);
	(void)peer_stream(p, 1);
	UNTIL(p->s[0].status == 401);
	relay_configure(b, MESH);
	peer_headers(p, 3, 0, ":method", "CONNECT", ":authority", B_APP, "baggage", "", "forwarded", "a", "forwarded", "b", NULL);
	(void)peer_stream(p, 3);
	UNTIL(p->s[1].status == 200);
}
END_TEST

START_TEST(pings_are_answered_at_once_also_while_an_application_is_blocked)
{
	/* HB-17, HB-23 */
	static const uint8_t payload[8] = { 0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54 };
	struct peer *p;
	int listener;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	(void)app_accept(listener); /* and never reads */
	UNTIL(p->s[0].status == 200);
	for (int idle = 0; idle < 30; idle++)
		idle = peer_data(p, 1, STREAM_MAX, false) > 0 ? 0 : (relays_turn(1), idle);
	ck_assert_int_lt(p->s[0].window, 16384);
	for (unsigned int i = 0; i < 8; i++) { /* 80 s of it */
		clock_skip(HBONE_PING_MS);
		peer_frame(p, PING, 0, 0, payload, 8);
		UNTIL(p->ping_acks == i + 1);
	}
	ck_assert(!p->ended);
	ck_assert_uint_eq(server_tunnels(b->server), 1);
}
END_TEST

START_TEST(one_reader_that_stalls_stops_nobody_else_and_memory_is_bounded)
{
	/* HB-18: 50 others move, each through and back, while the first stream is stuck. */
	static char back[65536];
	int listener, stalled, app[50];
	struct peer *p;
	struct flow *f;
	size_t got;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	stalled = app_accept(listener);
	UNTIL(p->s[0].status == 200);
	for (int idle = 0; idle < 30; idle++)
		idle = peer_data(p, 1, STREAM_MAX, false) > 0 ? 0 : (relays_turn(1), idle);
	for (int i = 0; i < 50; i++) {
		peer_ask(p, 3 + 2 * i, B_APP);
		app[i] = app_accept(listener);
		UNTIL(p->s[1 + i].status == 200);
	}
	for (int i = 0; i < 50; i++) {
		size_t sent = 0;

		got = 0;
		while (got < 400000) { /* more than one stream's window */
			sent += peer_data(p, 3 + 2 * i, 400000 - sent, false);
			relays_turn(1);
			(void)app_read(app[i], &got);
		}
		ck_assert_uint_eq(app_write(app[i], sizeof(back)), sizeof(back));
		UNTIL(p->s[1 + i].data == sizeof(back));
	}
	TAILQ_FOREACH(f, &b->flows.all, link)
		ck_assert_uint_le(buf_len(&f->up.tcp.out), HBONE_WINDOW);
	ck_assert_int_gt(p->window, HBONE_CONN_WINDOW / 2); /* credit comes back in halves, but all of it */
	got = 0;
	peer_frame(p, DATA, END_STREAM, 1, NULL, 0);
	ck_assert_int_eq(app_drain(stalled, &got), 0);
	ck_assert_uint_gt(got, HBONE_WINDOW);
}
END_TEST

START_TEST(aborted_uploads_leave_the_tunnel_with_its_full_window)
{
	/* HB-19: a hundred streams whose data nobody read: 25 MiB through a window of 16. */
	struct peer *p;
	int listener;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	for (int i = 0; i < 100; i++) {
		int32_t id = 1 + 2 * i;
		size_t got = 0;
		int app;

		peer_ask(p, id, B_APP);
		app = app_accept(listener);
		UNTIL(peer_stream(p, id)->status == 200);
		ck_assert_uint_ge(peer_data(p, id, HBONE_WINDOW, false), HBONE_WINDOW - 16384);
		peer_word(p, RST_STREAM, id, NGHTTP2_CANCEL);
		ck_assert_int_eq(app_drain(app, &got), -ECONNRESET); /* HB-28: RST_STREAM becomes RST */
		close(app);
	}
	UNTIL(b->flows.n == 0);
	ck_assert_int_gt(p->window, HBONE_CONN_WINDOW / 2);
	ck_assert(!p->ended);
}
END_TEST

START_TEST(half_close_client_first)
{
	/* HB-26: the end, then a long answer. */
	struct peer *p;
	size_t got = 0, sent = 0;
	int listener, app;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	app = app_accept(listener);
	UNTIL(p->s[0].status == 200);
	ck_assert_uint_eq(peer_data(p, 1, 10, true), 10);
	ck_assert_int_eq(app_drain(app, &got), 0);
	ck_assert_uint_eq(got, 10);
	while (sent < 3000000) {
		sent += app_write(app, 3000000 - sent);
		relays_turn(1);
	}
	close(app);
	UNTIL(p->s[0].end);
	ck_assert_uint_eq(p->s[0].data, 3000000);
	UNTIL(b->flows.n == 0);
	ck_assert(!p->s[0].rst);
	ck_assert_uint_eq(p->empty_data, 0); /* HB-24: Envoy counts them */
}
END_TEST

START_TEST(half_close_application_first)
{
	/* HB-27: its end, and everything that the client still sends arrives. */
	struct peer *p;
	size_t got = 0, sent = 0;
	int listener, app;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	app = app_accept(listener);
	UNTIL(p->s[0].status == 200);
	ck_assert_uint_eq(app_write(app, 100), 100);
	shutdown(app, SHUT_WR);
	UNTIL(p->s[0].end);
	ck_assert_uint_eq(p->s[0].data, 100);
	while (sent < 2000000) {
		sent += peer_data(p, 1, 2000000 - sent, true);
		relays_turn(1);
		(void)app_read(app, &got);
	}
	ck_assert_int_eq(app_drain(app, &got), 0);
	ck_assert_uint_eq(got, 2000000);
	UNTIL(b->flows.n == 0);
	ck_assert(!p->s[0].rst);
}
END_TEST

START_TEST(a_reset_of_the_application_is_told_as_one)
{
	/* HB-28 */
	struct peer *p;
	int listener, app;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	app = app_accept(listener);
	UNTIL(p->s[0].status == 200);
	app_reset(app);
	UNTIL(p->s[0].rst);
	ck_assert_uint_eq(p->s[0].rst_code, NGHTTP2_CONNECT_ERROR);
	UNTIL(b->flows.n == 0);
	ck_assert(!p->ended);
}
END_TEST

START_TEST(an_answer_before_a_hang_up_with_bytes_unread_arrives)
{
	/* A server that does not want the body: answers 413 and closes.  Without a mesh the answer is read, too. */
	static const char answer[] = "HTTP/1.1 413 too large\r\n\r\n";
	struct peer *p;
	int listener, app;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	app = app_accept(listener);
	UNTIL(p->s[0].status == 200);
	for (int idle = 0; idle < 30; idle++)
		idle = peer_data(p, 1, STREAM_MAX, false) > 0 ? 0 : (relays_turn(1), idle);
	ck_assert_int_eq(send(app, answer, sizeof(answer) - 1, 0), sizeof(answer) - 1);
	close(app); /* with a full receive queue: the kernel sends a reset */
	UNTIL(p->s[0].rst);
	ck_assert_uint_eq(p->s[0].data, sizeof(answer) - 1);
	ck_assert_uint_eq(p->s[0].rst_code, NGHTTP2_CONNECT_ERROR);
}
END_TEST

START_TEST(a_burst_of_aborted_requests_costs_the_neighbours_nothing)
{
	/* HB-30: 500 asked for and reset in one breath, then again; a flow beside them goes on. */
	struct peer *p;
	int listener, app;
	size_t got = 0;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	app = app_accept(listener);
	UNTIL(p->s[0].status == 200);
	for (int i = 1; i <= 1000; i++) {
		peer_ask(p, 1 + 2 * i, B_APP);
		peer_word(p, RST_STREAM, 1 + 2 * i, NGHTTP2_CANCEL);
	}
	UNTIL(b->flows.n == 1);
	ck_assert_uint_eq(peer_data(p, 1, 1000, true), 1000);
	ck_assert_int_eq(app_drain(app, &got), 0);
	ck_assert_uint_eq(got, 1000);
	ck_assert(!p->ended);
	ck_assert_uint_eq(p->goaways, 0);
}
END_TEST

START_TEST(endless_resets_end_the_tunnel)
{
	static uint8_t rounds[400 * (9 + 64 + 13)];
	struct peer *p;

	relays_setup(NULL, MESH);
	p = peer_connect(B_HBONE, ID_WEB);
	for (int32_t i = 0; i < 30 * 400 && !p->ended && p->goaways == 0; i += 400) {
		size_t n = 0;

		/* one write a round: HEADERS and RST_STREAM, four hundred times */
		for (int32_t k = 0; k < 400; k++) {
			uint8_t block[64], *f = rounds + n;
			size_t len = put_literal(block, ":method", "CONNECT");

			len += put_literal(block + len, ":authority", "10.0.0.2:1");
			memcpy(f, (uint8_t[]){ 0, 0, (uint8_t)len, HEADERS, END_HEADERS }, 5);
			put32(f + 5, (uint32_t)(1 + 2 * (i + k)));
			memcpy(f + 9, block, len);
			f += 9 + len;
			memcpy(f, (uint8_t[]){ 0, 0, 4, RST_STREAM, 0 }, 5);
			put32(f + 5, (uint32_t)(1 + 2 * (i + k)));
			put32(f + 9, NGHTTP2_CANCEL);
			n += 9 + len + 13;
		}
		npeers = 0; /* its answers are of no interest: too many streams for the peer's table */
		peer_raw(p, rounds, n);
		relays_turn(1);
	}
	UNTIL(server_tunnels(b->server) == 0);
	ck_assert_uint_eq(b->flows.n, 0);
}
END_TEST

START_TEST(no_more_streams_than_were_announced)
{
	/* HB-12: as many as were announced; who knows the number and goes beyond it breaks the protocol. */
	struct peer *p;

	relays_setup(NULL, MESH);
	app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	for (unsigned int i = 0; i < p->max_streams; i++)
		peer_ask(p, 1 + 2 * (int32_t)i, B_APP);
	UNTIL(b->flows.n == p->max_streams && p->s[p->max_streams - 1].status == 200);
	peer_ask(p, 1 + 2 * (int32_t)p->max_streams, B_APP);
	UNTIL(p->ended && b->flows.n == 0);
	ck_assert_uint_eq(p->goaway_code, NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(a_drain_loses_no_request_that_was_on_its_way)
{
	/* HB-16: 2^31-1 first; what comes before the second GOAWAY is answered; the second has the true last id. */
	struct peer *p;
	int listener, app;
	size_t got = 0;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	app = app_accept(listener);
	server_drain(b->server);
	UNTIL(p->goaways == 1);
	ck_assert_int_eq(p->last_id, 0x7fffffff);
	peer_ask(p, 3, B_APP);
	UNTIL(p->s[1].status == 200);
	clock_skip(1100);
	UNTIL(p->goaways == 2);
	ck_assert_int_eq(p->last_id, 3);
	ck_assert_uint_eq(p->goaway_code, NGHTTP2_NO_ERROR);
	ck_assert_uint_eq(peer_data(p, 1, 1000, true), 1000); /* streams under way are served */
	ck_assert_int_eq(app_drain(app, &got), 0);
	close(app);
	close(app_accept(listener));
	peer_frame(p, DATA, END_STREAM, 3, NULL, 0);
	UNTIL(p->ended && server_tunnels(b->server) == 0); /* and with the last one the tunnel ends */
	ck_assert_uint_eq(got, 1000);
	ck_assert_uint_eq(b->flows.n, 0);
}
END_TEST

START_TEST(garbage_behind_tls_ends_the_tunnel_and_nothing_else)
{
	static const struct {
		const char *what;
		uint8_t bytes[64];
		size_t n;
	} table[] = {
		{ "HTTP/1 instead of the preface", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27 },
		{ "zeros", { 0 }, 64 },
	};
	static uint8_t huge[100];
	struct peer *p, *good;

	relays_setup(NULL, MESH);
	app_listen(B_APP);
	good = peer_connect(B_HBONE, ID_WEB);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct addr where = at(B_HBONE);

		p = peer_new(ID_WEB, false);
		ck_assert_int_ne(sock_connect(&p->fd, &where), TULLE_ESYS);
		UNTIL(p->up);
		peer_raw(p, table[i].bytes, table[i].n);
		UNTIL(p->ended);
	}
	/* a frame larger than allowed, DATA on stream 0, HEADERS with a compression error, an even stream id, floods */
	for (int i = 0; i < 6; i++) {
		p = peer_connect(B_HBONE, ID_WEB);
		switch (i) {
		case 0:
			peer_raw(p, (uint8_t[]){ 0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1 }, 9);
			break;
		case 1:
			peer_frame(p, DATA, 0, 0, huge, 10);
			break;
		case 2:
			peer_frame(p, HEADERS, END_HEADERS, 1, (uint8_t[]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 7);
			break;
		case 3:
			peer_headers(p, 2, 0, ":method", "CONNECT", ":authority", B_APP, NULL);
			break;
		case 4:
			peer_word(p, WINDOW_UPDATE, 0, 0x7fffffff);
			break;
		default: /* CONTINUATION without end (VU#421644) */
			peer_frame(p, HEADERS, 0, 1, huge, 0);
			for (int k = 0; k < 1000 && !p->ended; k++) {
				peer_frame(p, CONTINUATION, 0, 1, huge, 0);
				if (k % 50 == 0)
					relays_turn(1);
			}
			break;
		}
		UNTIL(p->ended);
		peer_close(p);
	}
	UNTIL(server_tunnels(b->server) == 1);
	peer_ask(good, 1, B_APP);
	UNTIL(good->s[0].status == 200);
}
END_TEST

START_TEST(a_tunnel_that_vanishes_takes_its_flows_along)
{
	/* The peer's process is killed: every application behind it sees a reset, no flow and no socket stays. */
	int listener, app[20];
	unsigned int sockets;
	struct peer *p;
	size_t got = 0;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	sockets = b->th.sockets;
	p = peer_connect(B_HBONE, ID_WEB);
	for (int i = 0; i < 20; i++) {
		peer_ask(p, 1 + 2 * i, B_APP);
		app[i] = app_accept(listener);
	}
	UNTIL(p->s[19].status == 200);
	peer_close(p);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(app_drain(app[i], &got), -ECONNRESET);
	UNTIL(b->flows.n == 0 && server_tunnels(b->server) == 0);
	ck_assert_uint_eq(b->th.sockets, sockets);
}
END_TEST

START_TEST(a_rotation_leaves_tunnels_alone_and_new_ones_get_the_new_certificate)
{
	struct peer *old, *fresh;
	char serial[SVID_SERIAL];

	relays_setup(NULL, MESH);
	app_listen(B_APP);
	old = peer_connect(B_HBONE, ID_WEB);
	peer_ask(old, 1, B_APP);
	UNTIL(old->s[0].status == 200);
	snprintf(serial, sizeof(serial), "%s", tls_session_peer_serial(old->tls));
	for (int i = 0; i < 50; i++)
		relay_identify(b, ID_DB);
	fresh = peer_connect(B_HBONE, ID_WEB);
	ck_assert_str_ne(tls_session_peer_serial(fresh->tls), serial);
	peer_ask(old, 3, B_APP);
	peer_ask(fresh, 1, B_APP);
	UNTIL(old->s[1].status == 200 && fresh->s[0].status == 200);
	peer_free(old);
	peer_free(fresh);
	relay_free(b);
}
END_TEST

RELAY_MAIN("server", early_data_is_kept_in_order_until_the_application_is_there,
    a_peer_that_never_says_its_preface_is_hung_up_on, what_is_settled_at_the_start, authorities_good_and_bad,
    an_ipv6_authority_is_reached_through_an_ipv6_tunnel, requests_that_are_not_connect, claims_in_headers_change_nothing,
    pings_are_answered_at_once_also_while_an_application_is_blocked,
    one_reader_that_stalls_stops_nobody_else_and_memory_is_bounded,
    aborted_uploads_leave_the_tunnel_with_its_full_window, half_close_client_first, half_close_application_first,
    a_reset_of_the_application_is_told_as_one, an_answer_before_a_hang_up_with_bytes_unread_arrives,
    a_burst_of_aborted_requests_costs_the_neighbours_nothing, endless_resets_end_the_tunnel,
    no_more_streams_than_were_announced, a_drain_loses_no_request_that_was_on_its_way,
    garbage_behind_tls_ends_the_tunnel_and_nothing_else, a_tunnel_that_vanishes_takes_its_flows_along,
    a_rotation_leaves_tunnels_alone_and_new_ones_get_the_new_certificate)
