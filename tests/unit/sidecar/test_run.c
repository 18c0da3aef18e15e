/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_run.c - probes against servers of this process. */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "grpc/server.h"
#include "http/server.h"
#include "io/sock.h"
#include "run.h"
#include "unit.h"

static struct loop *loop;
static struct addr here;
static bool told, well;
static char why[300];
static uint8_t health; /* what the gRPC server says */
static char service[64];

static void
on_done(void *arg, bool w, const char *text)
{
	(void)arg;
	told = true;
	well = w;
	(void)snprintf(why, sizeof(why), "%s", text);
}

static bool
probe(const struct probe *p)
{
	uint64_t until = clock_mono_ms() + 5000;

	told = false;
	ck_assert_ptr_nonnull(run_start(loop, p, &here, NULL, on_done, NULL));
	ck_assert(!told);
	while (!told && clock_mono_ms() < until)
		ck_assert_int_eq(loop_tick(loop, 50), TULLE_OK);
	ck_assert(told);
	return well;
}

static void
handle(void *arg, struct http_exchange *x)
{
	const struct http1_head *h = http_exchange_head(x);
	unsigned int status = 200;

	(void)arg;
	if (http1_text_is(h->path, "/sick"))
		status = 500;
	else if (http1_text_is(h->path, "/moved"))
		status = 302;
	else if (http1_text_is(h->path, "/host"))
		for (size_t i = 0; i < h->n; i++)
			if (http1_text_is(h->fields[i].name, "Host"))
				status = http1_text_is(h->fields[i].value, "shop.example") ? 200 : 421;
	http_reply(x, status, NULL, NULL, 0);
}

static void
never(void *arg, struct http_exchange *x)
{
	static void *nothing;

	(void)arg;
	(void)http_later(x, (void (*)(void *))free, nothing);
}

static const struct http_route routes[] = { { "GET", "/", handle }, { "GET", "/sick", handle }, { "GET", "/moved", handle },
	{ "GET", "/host", handle }, { "GET", "/never", never }, { 0 } };

static int
listening(uint16_t *ret_port)
{
	struct addr at = here;
	int fd;

	at.port = 0;
	ck_assert_int_eq(sock_listen(&fd, &at, 16, false), TULLE_OK);
	ck_assert_int_eq(sock_local(fd, &at), TULLE_OK);
	*ret_port = at.port;
	return fd;
}

static void
begin(void)
{
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(addr_parse_ip(&here, "127.0.0.1"), TULLE_OK);
}

START_TEST(an_http_probe_goes_by_the_status)
{
	char root[] = "/", sick[] = "/sick", moved[] = "/moved", host[] = "/host", name[] = "Host", value[] = "shop.example";
	struct probe p = { .kind = PROBE_HTTP, .timeout_ms = 2000, .path = root };
	struct http_server *server;

	begin();
	ck_assert_int_eq(http_server_new(&server, loop, routes, NULL, NULL), TULLE_OK);
	ck_assert_int_eq(http_server_listen(server, listening(&p.port)), TULLE_OK);
	ck_assert_msg(probe(&p), "%s", why);
	p.path = moved;
	ck_assert(probe(&p));
	p.path = sick;
	ck_assert(!probe(&p));
	ck_assert_str_eq(why, "status 500");
	p.path = host;
	ck_assert(!probe(&p));
	p.headers[0] = (struct probe_header){ name, value };
	p.headers_n = 1;
	ck_assert_msg(probe(&p), "%s", why);
	server = http_server_free(server);
	loop = loop_free(loop);
}
END_TEST

START_TEST(a_probe_ends_at_its_timeout)
{
	char path[] = "/never";
	struct probe p = { .kind = PROBE_HTTP, .timeout_ms = 300, .path = path };
	struct http_server *server;
	uint64_t began;

	begin();
	ck_assert_int_eq(http_server_new(&server, loop, routes, NULL, NULL), TULLE_OK);
	ck_assert_int_eq(http_server_listen(server, listening(&p.port)), TULLE_OK);
	began = clock_mono_ms();
	ck_assert(!probe(&p));
	ck_assert_uint_ge(clock_mono_ms() - began, 300);
	ck_assert_uint_le(clock_mono_ms() - began, 2000);
	server = http_server_free(server);
	loop = loop_free(loop);
}
END_TEST

START_TEST(a_tcp_probe_wants_a_connection)
{
	struct probe p = { .kind = PROBE_TCP, .timeout_ms = 1000 };
	int fd;

	begin();
	fd = listening(&p.port);
	ck_assert(probe(&p));
	(void)close(fd);
	ck_assert(!probe(&p));
	ck_assert_str_eq(why, "Connection refused");
	loop = loop_free(loop);
}
END_TEST

static void
check(void *arg, struct grpc_call *call, const uint8_t *request, size_t n)
{
	const uint8_t answer[] = { 0x08, health };

	(void)arg;
	service[0] = '\0';
	if (n > 2)
		(void)snprintf(service, sizeof(service), "%.*s", (int)request[1], (const char *)request + 2);
	if (health != 0)
		ck_assert_int_eq(grpc_send(call, answer, sizeof(answer)), TULLE_OK);
	grpc_finish(call, health != 0 ? GRPC_OK : GRPC_NOT_FOUND, "unknown service");
}

START_TEST(a_grpc_probe_wants_serving)
{
	static const struct grpc_method methods[] = { { .path = "/grpc.health.v1.Health/Check", .run = check }, { 0 } };
	char none[] = "", shop[] = "shop";
	struct probe p = { .kind = PROBE_GRPC, .timeout_ms = 2000, .service = none };
	struct grpc_server *server;

	begin();
	ck_assert_int_eq(grpc_server_new(&server, loop, methods, NULL, NULL), TULLE_OK);
	ck_assert_int_eq(grpc_server_listen(server, listening(&p.port)), TULLE_OK);
	health = 1;
	ck_assert_msg(probe(&p), "%s", why);
	p.service = shop;
	ck_assert_msg(probe(&p), "%s", why);
	ck_assert_str_eq(service, "shop");
	health = 2;
	ck_assert(!probe(&p));
	ck_assert_str_eq(why, "not serving");
	health = 0;
	ck_assert(!probe(&p));
	server = grpc_server_free(server);
	ck_assert(!probe(&p));
	loop = loop_free(loop);
}
END_TEST

START_TEST(a_probe_may_be_given_up)
{
	struct probe p = { .kind = PROBE_TCP, .timeout_ms = 1000 };
	struct run *r;
	int fd;

	begin();
	fd = listening(&p.port);
	told = false;
	r = run_start(loop, &p, &here, NULL, on_done, NULL);
	ck_assert_ptr_nonnull(r);
	run_cancel(r);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
	ck_assert(!told);
	(void)close(fd);
	loop = loop_free(loop);
}
END_TEST

UNIT_MAIN("run", an_http_probe_goes_by_the_status, a_probe_ends_at_its_timeout, a_tcp_probe_wants_a_connection,
    a_grpc_probe_wants_serving, a_probe_may_be_given_up)
