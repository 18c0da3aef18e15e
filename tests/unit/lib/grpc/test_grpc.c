/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server and a client of ours on one loop, over a real Unix socket. */
#include <string.h>
#include <unistd.h>

#include "grpc/client.h"
#include "grpc/server.h"
#include "io/sock.h"
#include "unit.h"

static struct loop *loop;
static struct grpc_server *server;
static struct grpc_client *client;
static char path[] = "/tmp/tulle-test-grpc-XXXXXX";
static struct grpc_call *stream;
static int ended;
static bool closed;

static void
run_echo(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	(void)arg;
	ck_assert_int_eq(grpc_send(call, p, n), TULLE_OK);
	grpc_finish(call, GRPC_OK, NULL);
}

static void
run_refuse(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	ck_assert_str_eq(grpc_call_metadata(call, "x-test"), "value");
	ck_assert_uint_eq(grpc_call_metadata_count(call, "x-test"), 1);
	ck_assert_ptr_null(grpc_call_metadata(call, "absent"));
	grpc_finish(call, GRPC_PERMISSION_DENIED, "no: 100 % \xc3\xa4");
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

static const struct grpc_method methods[] = { { "/t.T/Echo", run_echo, NULL }, { "/t.T/Refuse", run_refuse, NULL },
	{ "/t.T/Stream", run_stream, stream_ended }, { 0 } };

static void
on_closed(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
	closed = true;
}

struct answer {
	int messages;
	size_t len;
	uint8_t first;
	int status; /* -1: none yet */
	char text[256];
};

static void
on_message(void *arg, const uint8_t *p, size_t n)
{
	struct answer *a = arg;

	a->messages++;
	a->len = n;
	a->first = n > 0 ? p[0] : 0;
}

static void
on_finished(void *arg, enum grpc_status status, const char *text)
{
	struct answer *a = arg;

	a->status = (int)status;
	strncpy(a->text, text, sizeof(a->text) - 1);
}

static const struct grpc_handler handler = { on_message, on_finished };

static void
setup(void)
{
	const struct grpc_client_events events = { .closed = on_closed };
	int fd;

	ck_assert_int_ne(mkstemp(path), -1);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(sock_listen_unix(&fd, path, 0600), TULLE_OK);
	ck_assert_int_eq(grpc_server_new(&server, loop, methods, NULL, NULL), TULLE_OK);
	ck_assert_int_eq(grpc_server_listen(server, fd), TULLE_OK);
	ck_assert_int_eq(sock_connect_unix(&fd, path), TULLE_OK);
	ck_assert_int_eq(grpc_client_new(&client, loop, fd, NULL, &events, NULL), TULLE_OK);
}

static void
teardown(void)
{
	client = grpc_client_free(client);
	server = grpc_server_free(server);
	loop = loop_free(loop);
	(void)unlink(path);
}

static struct grpc_request *
ask(struct answer *a, const char *method, const void *p, size_t n, uint64_t deadline)
{
	static const struct grpc_metadata metadata = { "x-test", "value" };
	struct grpc_request *r;

	*a = (struct answer){ .status = -1 };
	ck_assert_int_eq(grpc_start(client, &r, method, p, n, &metadata, 1, deadline, &handler, a), TULLE_OK);
	return r;
}

static void
run_until_finished(const struct answer *a)
{
	for (int i = 0; i < 1000 && a->status < 0; i++)
		ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
	ck_assert_int_ge(a->status, 0);
}

START_TEST(a_unary_call_comes_back)
{
	struct answer a;

	setup();
	ask(&a, "/t.T/Echo", "hello", 5, 5000);
	run_until_finished(&a);
	ck_assert_int_eq(a.status, GRPC_OK);
	ck_assert_int_eq(a.messages, 1);
	ck_assert_uint_eq(a.len, 5);
	ck_assert_uint_eq(grpc_server_calls(server), 0);
	teardown();
}
END_TEST

START_TEST(a_refusal_has_its_status_and_text)
{
	struct answer a;

	setup();
	ask(&a, "/t.T/Refuse", NULL, 0, 0);
	run_until_finished(&a);
	ck_assert_int_eq(a.status, GRPC_PERMISSION_DENIED);
	ck_assert_str_eq(a.text, "no: 100 % \xc3\xa4");
	ask(&a, "/t.T/Nothing", NULL, 0, 0);
	run_until_finished(&a);
	ck_assert_int_eq(a.status, GRPC_UNIMPLEMENTED);
	teardown();
}
END_TEST

START_TEST(a_request_that_is_too_long_is_refused)
{
	static uint8_t big[20000];
	struct answer a;

	setup();
	ask(&a, "/t.T/Echo", big, sizeof(big), 5000);
	run_until_finished(&a);
	ck_assert_int_eq(a.status, GRPC_RESOURCE_EXHAUSTED);
	ask(&a, "/t.T/Echo", big, 16000, 5000); /* the connection lives */
	run_until_finished(&a);
	ck_assert_int_eq(a.status, GRPC_OK);
	teardown();
}
END_TEST

START_TEST(a_stream_delivers_big_messages_until_it_is_finished)
{
	static uint8_t big[1000000];
	struct answer a;

	setup();
	ask(&a, "/t.T/Stream", NULL, 0, 0);
	while (stream == NULL)
		ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
	for (int i = 1; i <= 5; i++) {
		big[0] = (uint8_t)i;
		ck_assert_int_eq(grpc_send(stream, big, sizeof(big)), TULLE_OK);
		ck_assert_int_eq(grpc_send(stream, big, 1), TULLE_EBUSY); /* the consumer is slow */
		for (int t = 0; t < 1000 && a.messages < i; t++)
			ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
		ck_assert_int_eq(a.messages, i);
		ck_assert_uint_eq(a.first, i);
		ck_assert_uint_eq(a.len, sizeof(big));
		ck_assert_int_eq(loop_tick(loop, 1), TULLE_OK);
	}
	grpc_finish(stream, GRPC_UNAVAILABLE, "enough");
	run_until_finished(&a);
	ck_assert_int_eq(a.status, GRPC_UNAVAILABLE);
	ck_assert_str_eq(a.text, "enough");
	ck_assert_int_eq(ended, 0);
	teardown();
}
END_TEST

START_TEST(who_cancels_is_forgotten_and_the_handler_hears_it)
{
	struct grpc_request *r;
	struct answer a;

	setup();
	r = ask(&a, "/t.T/Stream", NULL, 0, 0);
	while (stream == NULL)
		ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
	grpc_cancel(r);
	for (int i = 0; i < 100 && ended == 0; i++)
		ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
	ck_assert_int_eq(ended, 1);
	ck_assert_int_eq(a.status, -1);
	teardown();
}
END_TEST

START_TEST(a_deadline_ends_the_call_at_both_ends)
{
	struct answer a;

	setup();
	ask(&a, "/t.T/Stream", NULL, 0, 100);
	run_until_finished(&a);
	ck_assert_int_eq(a.status, GRPC_DEADLINE_EXCEEDED);
	for (int i = 0; i < 100 && ended == 0; i++)
		ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
	ck_assert_int_eq(ended, 1);
	teardown();
}
END_TEST

START_TEST(a_server_that_goes_fails_every_call)
{
	struct answer a;

	setup();
	ask(&a, "/t.T/Stream", NULL, 0, 0);
	while (stream == NULL)
		ck_assert_int_eq(loop_tick(loop, 20), TULLE_OK);
	server = grpc_server_free(server);
	ck_assert_int_eq(ended, 1);
	run_until_finished(&a);
	ck_assert_int_eq(a.status, GRPC_UNAVAILABLE);
	ck_assert(closed);
	teardown();
}
END_TEST

START_TEST(timeouts_are_read_strictly)
{
	static const char *const bad[] = { "", "1", "S", "-1S", "1 S", "123456789S", "1s", "1.5S" };
	uint64_t ms;

	ck_assert_int_eq(grpc_timeout("99999999H", 9, &ms), TULLE_OK);
	ck_assert_uint_eq(ms, UINT64_C(99999999) * 3600000);
	ck_assert_int_eq(grpc_timeout("1n", 2, &ms), TULLE_OK);
	ck_assert_uint_eq(ms, 1);
	ck_assert_int_eq(grpc_timeout("0S", 2, &ms), TULLE_OK);
	ck_assert_uint_eq(ms, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(grpc_timeout(bad[i], strlen(bad[i]), &ms), TULLE_EINVAL);
}
END_TEST

UNIT_MAIN("grpc", a_unary_call_comes_back, a_refusal_has_its_status_and_text, a_request_that_is_too_long_is_refused,
    a_stream_delivers_big_messages_until_it_is_finished, who_cancels_is_forgotten_and_the_handler_hears_it,
    a_deadline_ends_the_call_at_both_ends, a_server_that_goes_fails_every_call, timeouts_are_read_strictly)
