/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_http.c - the small server and the small client against each other, and the server against hand-written bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/client.h"
#include "http/resolve.h"
#include "http/server.h"
#include "io/sock.h"
#include "unit.h"

static struct loop *loop;
static struct http_server *server;
static struct http_client *client;
static struct addr at;

/* What the last handler saw and the last answer was. */
static char seen[65536];
static enum tulle_err outcome;
static unsigned int status;
static char answer[4096];
static size_t answer_len;
static bool answered;

static void
handle_hello(void *arg, struct http_exchange *x)
{
	(void)arg;
	http_reply(x, 200, "text/plain", "hello\n", 6);
}

static void
handle_echo(void *arg, struct http_exchange *x)
{
	size_t n;
	const uint8_t *body = http_exchange_body(x, &n);

	(void)arg;
	(void)snprintf(seen, sizeof(seen), "%.*s", (int)http_exchange_head(x)->query.n, http_exchange_head(x)->query.p);
	http_reply(x, 201, "application/octet-stream", body, n);
}

static void
handle_silent(void *arg, struct http_exchange *x)
{
	(void)arg;
	(void)x;
}

static void
handle_broken(void *arg, struct http_exchange *x)
{
	struct http1_field f = { .name = HTTP1_TEXT("X"), .value = HTTP1_TEXT("a\r\nInjected: b") };

	(void)arg;
	http_reply_with(x, 200, "text/plain", &f, 1, "x", 1);
}

static struct timer later_timer;
static struct http_later *later;
static bool later_gone;

static void
later_due(struct timer *t)
{
	(void)t;
	http_later_reply(later, 200, "text/plain", "late\n", 5);
}

static void
on_gone(void *arg)
{
	(void)arg;
	later_gone = true;
}

static void
handle_later(void *arg, struct http_exchange *x)
{
	(void)arg;
	ck_assert(addr_is_loopback(http_exchange_peer(x)));
	ck_assert_uint_eq(http_exchange_local(x).port, at.port);
	later = http_later(x, on_gone, NULL);
	timer_set(loop, &later_timer, 50, later_due);
}

static void
handle_never(void *arg, struct http_exchange *x)
{
	(void)arg;
	later = http_later(x, on_gone, NULL);
}

static const struct http_route routes[] = {
	{ "GET", "/later", handle_later },
	{ "GET", "/never", handle_never },
	{ "GET", "/hello", handle_hello },
	{ "POST", "/echo", handle_echo },
	{ "GET", "/silent", handle_silent },
	{ "GET", "/broken", handle_broken },
	{ NULL, NULL, NULL },
};

static void
start(const struct http_server_options *o)
{
	int fd;
	struct addr any;

	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(http_server_new(&server, loop, routes, NULL, o), TULLE_OK);
	ck_assert_int_eq(addr_parse_ip(&any, "127.0.0.1"), TULLE_OK);
	ck_assert_int_eq(sock_listen(&fd, &any, 16, false), TULLE_OK);
	ck_assert_int_eq(sock_local(fd, &at), TULLE_OK);
	ck_assert_int_eq(http_server_listen(server, fd), TULLE_OK);
}

static void
stop(void)
{
	client = http_client_free(client);
	server = http_server_free(server);
	loop = loop_free(loop);
}

static void
done(void *arg, enum tulle_err e, const struct http_response *r)
{
	(void)arg;
	answered = true;
	outcome = e;
	if (r != NULL) {
		status = r->status;
		answer_len = r->len;
		(void)snprintf(answer, sizeof(answer), "%s", (const char *)r->body);
	}
}

static void
connect_client(const char *host)
{
	struct http_url url;
	char text[128];
	const char *why;

	(void)snprintf(text, sizeof(text), "http://%s:%u", host, at.port);
	ck_assert_int_eq(http_url_parse(&url, text, &why), TULLE_OK);
	ck_assert_int_eq(http_client_new(&client, loop, &url, NULL), TULLE_OK);
}

/* Runs the loop until the answer is there, at most five seconds. */
static void
wait_answer(void)
{
	uint64_t until = clock_mono_ms() + 5000;

	while (!answered && clock_mono_ms() < until)
		ck_assert_int_eq(loop_tick(loop, 100), TULLE_OK);
	ck_assert(answered);
}

static enum tulle_err
call(const char *method, const char *path, const void *body, size_t len)
{
	struct http_request r = { .method = method, .path = path, .body = body, .len = len, .timeout_ms = 4000 };

	answered = false;
	ck_assert_int_eq(http_client_send(client, &r, done, NULL), TULLE_OK);
	ck_assert(!answered); /* never from within */
	ck_assert_int_eq(http_client_send(client, &r, done, NULL), TULLE_EBUSY);
	wait_answer();
	return outcome;
}

START_TEST(client_and_server_understand_each_other)
{
	start(NULL);
	connect_client("127.0.0.1");
	ck_assert_int_eq(call("GET", "/hello", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(status, 200);
	ck_assert_str_eq(answer, "hello\n");
	ck_assert_int_eq(call("POST", "/echo?a=b", "some bytes", 10), TULLE_OK);
	ck_assert_uint_eq(status, 201);
	ck_assert_str_eq(answer, "some bytes");
	ck_assert_str_eq(seen, "a=b");
	ck_assert_int_eq(call("HEAD", "/hello", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(status, 200);
	ck_assert_uint_eq(answer_len, 0);
	ck_assert_int_eq(call("POST", "/hello", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(status, 405);
	ck_assert_int_eq(call("GET", "/nowhere", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(status, 404);
	ck_assert_int_eq(call("GET", "/silent", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(status, 500);
	ck_assert_int_eq(call("GET", "/broken", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(status, 500);
	ck_assert_uint_eq(http_server_connections(server), 1); /* all on one connection */
	stop();
}
END_TEST

START_TEST(a_handler_may_answer_later)
{
	struct http_server_options o = { .body_ms = 300 };

	start(&o);
	connect_client("127.0.0.1");
	later_gone = false;
	ck_assert_int_eq(call("GET", "/later", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(status, 200);
	ck_assert_str_eq(answer, "late\n");
	ck_assert_int_eq(call("HEAD", "/later", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(answer_len, 0);
	ck_assert_int_eq(call("GET", "/hello", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(http_server_connections(server), 1); /* still the same one */
	ck_assert(!later_gone);
	ck_assert_int_ne(call("GET", "/never", NULL, 0), TULLE_OK); /* the server's patience ends */
	ck_assert(later_gone);
	stop();
}
END_TEST

START_TEST(names_are_looked_up)
{
	start(NULL);
	connect_client("localhost");
	ck_assert_int_eq(call("GET", "/hello", NULL, 0), TULLE_OK);
	client = http_client_free(client);
	connect_client("no-such-host.invalid");
	ck_assert_int_eq(call("GET", "/hello", NULL, 0), TULLE_ENOENT);
	ck_assert_ptr_nonnull(strstr(http_client_error(client), "no-such-host.invalid"));
	stop();
}
END_TEST

START_TEST(unix_sockets_work_too)
{
	char path[] = "/tmp/tulle-test-http-XXXXXX", name[64], text[80];
	struct http_url url;
	const char *why;
	int fd;

	start(NULL);
	ck_assert_ptr_nonnull(mkdtemp(path));
	(void)snprintf(name, sizeof(name), "%s/s", path);
	(void)snprintf(text, sizeof(text), "unix:%s", name);
	ck_assert_int_eq(sock_listen_unix(&fd, name, 0600), TULLE_OK);
	ck_assert_int_eq(http_server_listen(server, fd), TULLE_OK);
	ck_assert_int_eq(http_url_parse(&url, text, &why), TULLE_OK);
	ck_assert_int_eq(http_client_new(&client, loop, &url, NULL), TULLE_OK);
	ck_assert_int_eq(call("GET", "/hello", NULL, 0), TULLE_OK);
	ck_assert_uint_eq(status, 200);
	client = http_client_free(client);
	(void)unlink(name);
	ck_assert_int_eq(http_client_new(&client, loop, &url, NULL), TULLE_OK);
	ck_assert_int_eq(call("GET", "/hello", NULL, 0), TULLE_EUNAVAIL);
	(void)rmdir(path);
	stop();
}
END_TEST

START_TEST(large_bodies_go_both_ways)
{
	struct http_server_options o = { .body_max = 3u << 20 };
	size_t n = 3u << 20;
	char *body = malloc(n);

	memset(body, 'x', n);
	start(&o);
	connect_client("127.0.0.1");
	ck_assert_int_eq(call("POST", "/echo", body, n), TULLE_OK);
	ck_assert_uint_eq(status, 201);
	ck_assert_uint_eq(answer_len, n);
	free(body);
	stop();
}
END_TEST

START_TEST(a_client_bounds_the_answer)
{
	struct http_server_options so = { .body_max = 100000 };
	struct http_client_options o = { .response_max = 1000 };
	struct http_url url;
	char text[64], body[1001];
	const char *why;

	memset(body, 'x', sizeof(body));
	start(&so);
	(void)snprintf(text, sizeof(text), "http://127.0.0.1:%u", at.port);
	ck_assert_int_eq(http_url_parse(&url, text, &why), TULLE_OK);
	ck_assert_int_eq(http_client_new(&client, loop, &url, &o), TULLE_OK);
	ck_assert_int_eq(call("POST", "/echo", body, 1000), TULLE_OK);
	ck_assert_int_eq(call("POST", "/echo", body, 1001), TULLE_ELIMIT);
	ck_assert_int_eq(call("GET", "/hello", NULL, 0), TULLE_OK);
	stop();
}
END_TEST

START_TEST(nobody_there_is_said_so)
{
	start(NULL);
	connect_client("127.0.0.1");
	server = http_server_free(server);
	ck_assert_int_eq(call("GET", "/hello", NULL, 0), TULLE_EUNAVAIL);
	ck_assert_ptr_nonnull(strstr(http_client_error(client), "refused"));
	stop();
}
END_TEST

/* A listener that never answers, or answers with <text> by hand. */
static int listener = -1, peer = -1;
static const void *hand_body;
static size_t hand_len;

static void
start_by_hand(void)
{
	struct addr any;

	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(addr_parse_ip(&any, "127.0.0.1"), TULLE_OK);
	ck_assert_int_eq(sock_listen(&listener, &any, 16, false), TULLE_OK);
	ck_assert_int_eq(sock_local(listener, &at), TULLE_OK);
	connect_client("127.0.0.1");
}

static enum tulle_err
answer_by_hand(const char *text, bool then_close)
{
	struct http_request r = { .method = "GET", .path = "/", .timeout_ms = 1000, .body = hand_body, .len = hand_len };
	char request[1024];
	bool sent = false;

	answered = false;
	ck_assert_int_eq(http_client_send(client, &r, done, NULL), TULLE_OK);
	while (!answered) {
		ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
		if (peer == -1)
			peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (peer != -1 && !sent && recv(peer, request, sizeof(request), 0) > 0) {
			sent = true;
			ck_assert_int_eq(send(peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
			if (then_close) {
				(void)close(peer);
				peer = -1;
			}
		}
	}
	return outcome;
}

START_TEST(answers_of_every_framing)
{
	start_by_hand();
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false), TULLE_OK);
	ck_assert_str_eq(answer, "ok");
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n", false), TULLE_OK);
	ck_assert_str_eq(answer, "yes");
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 200 OK\r\n\r\nto the end", true), TULLE_OK);
	ck_assert_str_eq(answer, "to the end");
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", true), TULLE_ERESET); /* H1-30 */
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n", true), TULLE_ERESET);
	ck_assert_int_eq(answer_by_hand("", true), TULLE_ERESET);
	ck_assert_int_eq(answer_by_hand("SSH-2.0-OpenSSH\r\n", true), TULLE_EPEER);
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 101 Switching\r\n\r\n", true), TULLE_EPEER);
	ck_assert_int_eq(answer_by_hand("", false), TULLE_ETIMEDOUT);
	(void)close(peer);
	(void)close(listener);
	stop();
}
END_TEST

START_TEST(h1_40_bytes_on_an_idle_connection_end_it)
{
	char c;

	start_by_hand();
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false), TULLE_OK);
	ck_assert_int_eq(send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 42, MSG_NOSIGNAL), 42);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
	/* It has been closed; the next answer comes over another connection. */
	ssize_t n = recv(peer, &c, 1, 0);
	ck_assert(n == 0 || (n == -1 && errno == ECONNRESET));
	(void)close(peer);
	peer = -1;
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood", false), TULLE_OK);
	ck_assert_str_eq(answer, "good");
	(void)close(peer);
	(void)close(listener);
	stop();
}
END_TEST

START_TEST(h1_41_an_early_answer_ends_the_connection)
{
	char bytes[4096];
	ssize_t n;

	start_by_hand();
	hand_len = 8u << 20; /* more than any socket takes at once */
	hand_body = calloc(1, hand_len);
	ck_assert_ptr_nonnull(hand_body);
	ck_assert_int_eq(answer_by_hand("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", false), TULLE_OK);
	ck_assert_uint_eq(status, 413);
	do {
		ck_assert_int_eq(loop_tick(loop, 0), TULLE_OK);
		n = recv(peer, bytes, sizeof(bytes), 0);
	} while (n > 0);
	ck_assert(n == 0 || errno == ECONNRESET); /* EAGAIN: still open */
	free((void *)(uintptr_t)hand_body);
	(void)close(peer);
	(void)close(listener);
	stop();
}
END_TEST

START_TEST(rs_07_interim_answers_are_counted)
{
	char text[4096], *p = text;

	for (int i = 0; i < 17; i++)
		p = stpcpy(p, "HTTP/1.1 103 Early Hints\r\n\r\n");
	start_by_hand();
	ck_assert_int_eq(answer_by_hand(text, true), TULLE_EPEER);
	(void)close(listener);
	stop();
}
END_TEST

/* Sends <text> by hand and gathers what comes until the server closes, or <ms> have passed. */
static const char *
raw(const char *text, uint64_t ms)
{
	static char got[65536];
	uint64_t until = clock_mono_ms() + ms;
	size_t n = 0;
	ssize_t k;
	int fd;

	ck_assert_int_ne(sock_connect(&fd, &at), TULLE_ESYS);
	for (size_t sent = 0; clock_mono_ms() < until;) {
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
		if (sent < strlen(text)) {
			k = send(fd, text + sent, strlen(text) - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
			sent += k > 0 ? (size_t)k : 0;
		}
		k = recv(fd, got + n, sizeof(got) - 1 - n, MSG_DONTWAIT);
		if (k == 0)
			break;
		n += k > 0 ? (size_t)k : 0;
	}
	(void)close(fd);
	got[n] = '\0';
	return got;
}

static unsigned int
count(const char *in, const char *what)
{
	unsigned int n = 0;

	for (; (in = strstr(in, what)) != NULL; in++)
		n++;
	return n;
}

#define H "Host: a\r\n"

START_TEST(h1_38_pipelined_requests_are_answered_in_order)
{
	const char *got;

	start(NULL);
	got = raw("GET /hello HTTP/1.1\r\n" H "\r\nPOST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
	          "GET /none HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET /hello HTTP/1.1\r\n" H "\r\n", 2000);
	ck_assert_uint_eq(count(got, "HTTP/1.1 "), 3); /* nothing behind "close" */
	ck_assert_ptr_nonnull(strstr(got, "hello\nHTTP/1.1 201 Created"));
	ck_assert_ptr_nonnull(strstr(got, "abHTTP/1.1 404 Not Found"));
	stop();
}
END_TEST

START_TEST(h1_39_a_broken_request_ends_the_connection)
{
	const char *got;

	start(NULL);
	got = raw("GET /hello HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hello HTTP/1.1\r\n" H
	          "\r\n", 2000);
	ck_assert_ptr_nonnull(strstr(got, "HTTP/1.1 400 Bad Request"));
	ck_assert_ptr_nonnull(strstr(got, "H1-20"));
	ck_assert_uint_eq(count(got, "HTTP/1.1 "), 1);
	ck_assert_ptr_nonnull(strstr(raw("GET /hello HTTP/3.0\r\n\r\n", 2000), "HTTP/1.1 505 "));
	ck_assert_ptr_nonnull(strstr(raw("\x16\x03\x01\x02\n", 2000), "HTTP/1.1 400 "));
	stop();
}
END_TEST

START_TEST(sl_01_a_slow_head_is_cut_off)
{
	struct http_server_options o = { .head_ms = 200 };
	uint64_t from;

	start(&o);
	from = clock_mono_ms();
	ck_assert_ptr_nonnull(strstr(raw("GET /hello HT", 3000), "HTTP/1.1 408 "));
	ck_assert_uint_lt(clock_mono_ms() - from, 2000);
	stop();
}
END_TEST

START_TEST(sl_06_one_connection_too_many_is_told)
{
	struct http_server_options o = { .connections_max = 2, .peer_max = 2 };
	int a, b;

	start(&o);
	ck_assert_int_ne(sock_connect(&a, &at), TULLE_ESYS);
	ck_assert_int_ne(sock_connect(&b, &at), TULLE_ESYS);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
	ck_assert_uint_eq(http_server_connections(server), 2);
	ck_assert_ptr_nonnull(strstr(raw("", 2000), "HTTP/1.1 503 "));
	(void)close(a);
	(void)close(b);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
	ck_assert_ptr_nonnull(strstr(raw("GET /hello HTTP/1.0\r\n\r\n", 2000), "HTTP/1.1 200 "));
	stop();
}
END_TEST

/* A connection to the server from <ip>, after which it had its turn. */
static int
open_from(const char *ip)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_storage from, to;
	struct addr own;
	socklen_t len;

	ck_assert_int_eq(addr_parse_ip(&own, ip), TULLE_OK);
	len = addr_to_sockaddr(&own, &from);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, len), 0);
	len = addr_to_sockaddr(&at, &to);
	ck_assert(connect(fd, (struct sockaddr *)&to, len) == 0 || errno == EINPROGRESS);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
	return fd;
}

START_TEST(one_address_cannot_take_all_connections)
{
	/* As the health port and /metrics are served: by default. */
	const char *got;
	int fds[20];

	start(NULL);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = open_from("127.0.0.2");
	ck_assert_uint_eq(http_server_connections(server), 8);
	got = raw("GET /hello HTTP/1.0\r\n\r\n", 2000);
	ck_assert_msg(strstr(got, "HTTP/1.1 200 ") != NULL, "%s", got);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		(void)close(fds[i]);
	stop();
}
END_TEST

START_TEST(sl_05_an_idle_connection_is_hung_up_on)
{
	struct http_server_options o = { .idle_ms = 200 };
	uint64_t from = clock_mono_ms();
	int fd;

	start(&o);
	fd = open_from("127.0.0.2");
	ck_assert_uint_eq(http_server_connections(server), 1);
	while (http_server_connections(server) > 0 && clock_mono_ms() < from + 5000)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
	ck_assert_uint_eq(http_server_connections(server), 0);
	ck_assert_uint_ge(clock_mono_ms() - from, 150);
	(void)close(fd);
	stop();
}
END_TEST

START_TEST(sl_07_a_body_too_large_is_refused_before_it_comes)
{
	const char *got;

	start(NULL);
	got = raw("POST /echo HTTP/1.1\r\n" H "Content-Length: 65537\r\nExpect: 100-continue\r\n\r\n", 2000);
	ck_assert_ptr_nonnull(strstr(got, "HTTP/1.1 413 "));
	ck_assert_uint_eq(count(got, "100 Continue"), 0);
	got = raw("POST /echo HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", 300);
	ck_assert_uint_eq(count(got, "100 Continue"), 1);
	stop();
}
END_TEST

UNIT_MAIN("http", client_and_server_understand_each_other, a_handler_may_answer_later, names_are_looked_up, unix_sockets_work_too,
    large_bodies_go_both_ways, a_client_bounds_the_answer, nobody_there_is_said_so, answers_of_every_framing,
    h1_40_bytes_on_an_idle_connection_end_it, h1_41_an_early_answer_ends_the_connection, rs_07_interim_answers_are_counted,
    h1_38_pipelined_requests_are_answered_in_order, h1_39_a_broken_request_ends_the_connection,
    sl_01_a_slow_head_is_cut_off, sl_05_an_idle_connection_is_hung_up_on,
    sl_06_one_connection_too_many_is_told, one_address_cannot_take_all_connections,
    sl_07_a_body_too_large_is_refused_before_it_comes)
