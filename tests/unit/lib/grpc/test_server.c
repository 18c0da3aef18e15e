/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server against clients that do what no gRPC library does. */
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grpc/server.h"
#include "io/sock.h"
#include "unit.h"

static struct loop *loop;
static struct grpc_server *server;
static struct grpc_call *stream;
static int ended, listener_port;

static void
run_echo(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	(void)arg;
	ck_assert_int_eq(grpc_send(call, p, n), TULLE_OK);
	grpc_finish(call, GRPC_OK, NULL);
}

static void
run_stream(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	stream = call;
}

static void
stream_ended(void *arg, struct grpc_call *call)
{
	(void)arg;
	ck_assert_ptr_eq(call, stream);
	stream = NULL;
	ended++;
}

static const struct grpc_method methods[] = { { "/t.T/Echo", run_echo, NULL }, { "/t.T/Stream", run_stream, stream_ended },
	{ 0 } };

static void
serve(const struct grpc_server_options *o)
{
	struct addr at, bound;
	int fd;

	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(addr_parse(&at, "127.0.0.1:1"), TULLE_OK);
	at.port = 0;
	ck_assert_int_eq(sock_listen(&fd, &at, 16, false), TULLE_OK);
	ck_assert_int_eq(sock_local(fd, &bound), TULLE_OK);
	listener_port = bound.port;
	ck_assert_int_eq(grpc_server_new(&server, loop, methods, NULL, o), TULLE_OK);
	ck_assert_int_eq(grpc_server_listen(server, fd), TULLE_OK);
	stream = NULL;
	ended = 0;
}

static void
stop(void)
{
	server = grpc_server_free(server);
	loop = loop_free(loop);
}

/* ---- a client made of nghttp2 alone ---- */

struct raw {
	int fd;
	nghttp2_session *h2;
	char status[8], grpc_status[8];
	uint32_t reset; /* of the stream */
	size_t data;
	bool over, goaway, eof, mute; /* mute: does not read */
};

static int
raw_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t namelen, const uint8_t *value,
    size_t valuelen, uint8_t flags, void *arg)
{
	struct raw *r = arg;

	(void)h2;
	(void)frame;
	(void)flags;
	if (namelen == 7 && memcmp(name, ":status", 7) == 0)
		memcpy(r->status, value, valuelen < 7 ? valuelen : 7);
	if (namelen == 11 && memcmp(name, "grpc-status", 11) == 0)
		memcpy(r->grpc_status, value, valuelen < 7 ? valuelen : 7);
	return 0;
}

static int
raw_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct raw *r = arg;

	(void)h2;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		r->goaway = true;
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		r->reset = frame->rst_stream.error_code;
	if (frame->hd.type == NGHTTP2_DATA)
		r->data += frame->hd.length;
	return 0;
}

static int
raw_over(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	(void)h2;
	(void)id;
	(void)error;
	((struct raw *)arg)->over = true;
	return 0;
}

static void
raw_open(struct raw *r)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)listener_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	nghttp2_session_callbacks *cb;

	memset(r, 0, sizeof(*r));
	r->reset = UINT32_MAX;
	r->fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(r->fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(nghttp2_session_callbacks_new(&cb), 0);
	nghttp2_session_callbacks_set_on_header_callback(cb, raw_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, raw_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, raw_over);
	ck_assert_int_eq(nghttp2_session_client_new(&r->h2, cb, r), 0);
	nghttp2_session_callbacks_del(cb);
	ck_assert_int_eq(nghttp2_submit_settings(r->h2, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

static void
raw_close(struct raw *r)
{
	nghttp2_session_del(r->h2);
	(void)close(r->fd);
}

static void
raw_turn(struct raw *r)
{
	uint8_t in[65536];
	const uint8_t *p;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(r->h2, &p)) > 0)
		(void)send(r->fd, p, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
	if (r->mute)
		return;
	while ((n = recv(r->fd, in, sizeof(in), MSG_DONTWAIT)) > 0)
		(void)nghttp2_session_mem_recv(r->h2, in, (size_t)n);
	if (n == 0 || (n == -1 && errno != EAGAIN))
		r->eof = true;
}

#define UNTIL(r, what)                                  \
	do {                                            \
		for (int i_ = 0; i_ < 300 && !(what); i_++) \
			raw_turn(r);                    \
		ck_assert(what);                        \
	} while (0)

static nghttp2_nv
nv(const char *name, const char *value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
		.value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value) };
}

static ssize_t
body_of(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t max, uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	const char *body = source->ptr;

	(void)h2;
	(void)id;
	(void)max;
	(void)arg;
	if (body == NULL)
		return NGHTTP2_ERR_DEFERRED; /* for ever */
	memcpy(buf, body, 5);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return 5;
}

/* <body>: five bytes of an empty message; NULL: a body that never comes. */
static void
raw_ask(struct raw *r, const char *method, const char *path, const char *type, const char *timeout, const char *body)
{
	const nghttp2_nv all[] = { nv(":method", method), nv(":scheme", "http"), nv(":path", path), nv(":authority", "x"),
		nv("content-type", type), nv("te", "trailers"), nv("grpc-timeout", timeout != NULL ? timeout : "") };
	const nghttp2_data_provider data = { .source.ptr = (void *)(uintptr_t)body, .read_callback = body_of };

	r->over = false;
	memset(r->status, 0, sizeof(r->status));
	memset(r->grpc_status, 0, sizeof(r->grpc_status));
	ck_assert_int_gt(nghttp2_submit_request(r->h2, NULL, all, timeout != NULL ? 7 : 6, &data, NULL), 0);
}

static const char whole[5];
static const char squeezed[5] = { 1 };

START_TEST(what_is_not_grpc_gets_an_http_status)
{
	struct raw r;

	serve(NULL);
	raw_open(&r);
	raw_ask(&r, "POST", "/t.T/Echo", "application/json", NULL, whole);
	UNTIL(&r, r.over);
	ck_assert_str_eq(r.status, "415");
	raw_ask(&r, "POST", "/t.T/Echo", "application/grpcx", NULL, whole);
	UNTIL(&r, r.over);
	ck_assert_str_eq(r.status, "415");
	raw_ask(&r, "PUT", "/t.T/Echo", "application/grpc", NULL, whole);
	UNTIL(&r, r.over);
	ck_assert_str_eq(r.status, "405");
	raw_ask(&r, "POST", "/t.T/Echo", "application/grpc+proto", NULL, whole);
	UNTIL(&r, r.over);
	ck_assert_str_eq(r.status, "200");
	ck_assert_str_eq(r.grpc_status, "0");
	raw_close(&r);
	stop();
}
END_TEST

START_TEST(odd_requests_get_the_right_grpc_status)
{
	static const struct {
		const char *path, *timeout, *body, *want;
	} cases[] = {
		{ "/t.T/Echo", NULL, squeezed, "12" },
		{ "/t.T/Nothing", NULL, whole, "12" },
		{ "/t.T/Echo", "5 S", whole, "13" },
		{ "/t.T/Echo", "0S", whole, "4" },
		{ "/t.T/Echo", "5S", whole, "0" },
	};
	struct raw r;

	serve(NULL);
	raw_open(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		raw_ask(&r, "POST", cases[i].path, "application/grpc", cases[i].timeout, cases[i].body);
		UNTIL(&r, r.over);
		ck_assert_str_eq(r.grpc_status, cases[i].want);
	}
	ck_assert_uint_eq(grpc_server_calls(server), 0);
	{
		const nghttp2_nv all[] = { nv(":method", "POST"), nv(":scheme", "http"), nv(":path", "/t.T/Echo"),
			nv(":authority", "x"), nv("content-type", "application/grpc"), nv("te", "trailers") };

		r.over = false;
		ck_assert_int_gt(nghttp2_submit_request(r.h2, NULL, all, 6, NULL, NULL), 0);
		UNTIL(&r, r.over);
		ck_assert_str_eq(r.grpc_status, "13"); /* no message at all */
	}
	raw_close(&r);
	stop();
}
END_TEST

START_TEST(an_early_refusal_does_not_wait_for_the_body)
{
	struct raw r;

	serve(NULL);
	raw_open(&r);
	raw_ask(&r, "POST", "/t.T/Nothing", "application/grpc", NULL, NULL);
	UNTIL(&r, r.over);
	ck_assert_str_eq(r.grpc_status, "12");
	ck_assert_uint_eq(r.reset, NGHTTP2_NO_ERROR);
	ck_assert_uint_eq(grpc_server_calls(server), 0);
	raw_close(&r);
	stop();
}
END_TEST

START_TEST(a_request_that_never_ends_is_given_up)
{
	struct raw r;

	serve(&(struct grpc_server_options){ .request_ms = 50 });
	raw_open(&r);
	raw_ask(&r, "POST", "/t.T/Echo", "application/grpc", NULL, NULL);
	UNTIL(&r, r.over);
	ck_assert_str_eq(r.grpc_status, "4");
	ck_assert_uint_eq(grpc_server_calls(server), 0);
	raw_close(&r);
	stop();
}
END_TEST

START_TEST(who_says_nothing_is_hung_up_on)
{
	struct raw r;

	serve(&(struct grpc_server_options){ .hello_ms = 50 });
	raw_open(&r);
	r.mute = false;
	nghttp2_session_del(r.h2); /* not even a preface */
	r.h2 = NULL;
	for (int i = 0; i < 100 && !r.eof; i++) {
		char c;

		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
		for (ssize_t n = 1; n > 0;) {
			n = recv(r.fd, &c, 1, MSG_DONTWAIT);
			r.eof = n == 0;
		}
	}
	ck_assert(r.eof);
	(void)close(r.fd);
	stop();
}
END_TEST

START_TEST(an_idle_connection_is_sent_away_one_with_a_call_is_not)
{
	struct raw r;

	serve(&(struct grpc_server_options){ .idle_ms = 100 });
	raw_open(&r);
	raw_ask(&r, "POST", "/t.T/Stream", "application/grpc", NULL, whole);
	UNTIL(&r, stream != NULL);
	for (int i = 0; i < 40; i++) /* 400 ms, at most */
		raw_turn(&r);
	usleep(150000);
	raw_turn(&r);
	raw_turn(&r);
	ck_assert(!r.eof && !r.goaway);
	grpc_finish(stream, GRPC_OK, NULL);
	UNTIL(&r, r.over);
	UNTIL(&r, r.goaway && r.eof);
	raw_close(&r);
	stop();
}
END_TEST

START_TEST(a_client_that_does_not_read_loses_its_connection)
{
	static uint8_t big[4000000];
	struct raw r;

	serve(&(struct grpc_server_options){ .stall_ms = 100 });
	raw_open(&r);
	raw_ask(&r, "POST", "/t.T/Stream", "application/grpc", NULL, whole);
	UNTIL(&r, stream != NULL);
	r.mute = true;
	ck_assert_int_eq(grpc_send(stream, big, sizeof(big)), TULLE_OK); /* more than its window */
	UNTIL(&r, ended == 1);
	ck_assert_uint_eq(grpc_server_calls(server), 0);
	raw_close(&r);
	stop();
}
END_TEST

START_TEST(one_peer_does_not_take_all_connections)
{
	struct raw a, b;

	serve(&(struct grpc_server_options){ .connections_peer_max = 1 });
	raw_open(&a);
	raw_ask(&a, "POST", "/t.T/Echo", "application/grpc", NULL, whole);
	UNTIL(&a, a.over);
	raw_open(&b);
	UNTIL(&b, b.eof);
	raw_close(&a);
	raw_close(&b);
	stop();
}
END_TEST

START_TEST(a_flood_of_frames_that_cost_nothing_ends_the_connection)
{
	struct raw r;

	serve(NULL);
	raw_open(&r);
	raw_ask(&r, "POST", "/t.T/Echo", "application/grpc", NULL, whole);
	UNTIL(&r, r.over);
	for (int i = 0; i < 2000 && !r.eof; i++) {
		(void)nghttp2_submit_ping(r.h2, NGHTTP2_FLAG_NONE, NULL);
		if (i % 100 == 0)
			raw_turn(&r);
	}
	UNTIL(&r, r.eof);
	raw_close(&r);
	stop();
}
END_TEST

static void
finish_when_sent(void *arg, struct grpc_call *call)
{
	(void)arg;
	stream = NULL;
	grpc_finish(call, GRPC_OK, NULL);
}

static bool in_send;

static void
again_when_sent(void *arg, struct grpc_call *call)
{
	(void)arg;
	ck_assert(!in_send);
	grpc_call_on_sent(call, finish_when_sent);
	ck_assert_int_eq(grpc_send(call, "12345", 5), TULLE_OK);
}

START_TEST(a_handler_may_send_and_finish_when_told_that_all_is_sent)
{
	struct raw r;

	serve(NULL);
	raw_open(&r);
	raw_ask(&r, "POST", "/t.T/Stream", "application/grpc", NULL, whole);
	UNTIL(&r, stream != NULL);
	grpc_call_on_sent(stream, again_when_sent);
	in_send = true;
	ck_assert_int_eq(grpc_send(stream, "1", 1), TULLE_OK);
	in_send = false;
	UNTIL(&r, r.over);
	ck_assert_str_eq(r.grpc_status, "0");
	ck_assert_uint_eq(r.data, 6 + 10);
	raw_close(&r);
	stop();
}
END_TEST

UNIT_MAIN("grpc server", what_is_not_grpc_gets_an_http_status, odd_requests_get_the_right_grpc_status,
    an_early_refusal_does_not_wait_for_the_body, a_request_that_never_ends_is_given_up, who_says_nothing_is_hung_up_on,
    an_idle_connection_is_sent_away_one_with_a_call_is_not, a_client_that_does_not_read_loses_its_connection,
    one_peer_does_not_take_all_connections, a_flood_of_frames_that_cost_nothing_ends_the_connection,
    a_handler_may_send_and_finish_when_told_that_all_is_sent)
