/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client against a server that is a list of frames. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grpc/client.h"
#include "unit.h"

static struct loop *loop;
static struct grpc_client *client;
static int server; /* the other end */
static int messages, finished, closed;
static enum grpc_status status;
static char text[256];
static enum { NEVER, IN_MESSAGE, IN_FINISHED, IN_CLOSED } free_when;

static void
maybe_free(int here)
{
	if ((int)free_when == here)
		client = grpc_client_free(client);
}

static void
on_message(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	messages++;
	maybe_free(IN_MESSAGE);
}

static void
on_finished(void *arg, enum grpc_status s, const char *t)
{
	(void)arg;
	finished++;
	status = s;
	strncpy(text, t, sizeof(text) - 1);
	maybe_free(IN_FINISHED);
}

static void
on_closed(void *arg, const char *reason)
{
	(void)arg;
	ck_assert_ptr_nonnull(reason);
	closed++;
	maybe_free(IN_CLOSED);
}

static const struct grpc_handler handler = { on_message, on_finished };

static void
setup(int requests)
{
	const struct grpc_client_events events = { .closed = on_closed };
	struct grpc_request *r;
	int p[2];

	messages = finished = closed = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	server = p[1];
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(grpc_client_new(&client, loop, p[0], NULL, &events, NULL), TULLE_OK);
	for (int i = 0; i < requests; i++)
		ck_assert_int_eq(grpc_start(client, &r, "/t.T/X", "x", 1, NULL, 0, 0, &handler, NULL), TULLE_OK);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
}

static void
teardown(void)
{
	client = grpc_client_free(client);
	loop = loop_free(loop);
	(void)close(server);
}

/* Sends one frame of stream <id>. */
static void
frame(uint8_t type, uint8_t flags, uint8_t id, const void *p, size_t n)
{
	uint8_t buf[512] = { 0, (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0, id };

	memcpy(buf + 9, p, n);
	ck_assert_int_eq(send(server, buf, 9 + n, MSG_NOSIGNAL), (ssize_t)(9 + n));
}

#define DATA 0
#define HEADERS 1
#define RESET 3
#define SETTINGS 4
#define GOAWAY 7
#define END_STREAM 1
#define END_HEADERS 4

/* Header fields as HPACK literals without indexing (RFC 7541 6.2.2): pairs of texts, up to a NULL. */
static void
answer(uint8_t flags, uint8_t id, const char *const *fields)
{
	uint8_t buf[512];
	size_t n = 0;

	for (size_t i = 0; fields[i] != NULL; i++) {
		if (i % 2 == 0)
			buf[n++] = 0;
		buf[n++] = (uint8_t)strlen(fields[i]);
		memcpy(buf + n, fields[i], strlen(fields[i]));
		n += strlen(fields[i]);
	}
	frame(HEADERS, flags | END_HEADERS, id, buf, n);
}

static void
run(void)
{
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
}

static const char *const ok_head[] = { ":status", "200", "content-type", "application/grpc", NULL };
static const char *const ok_tail[] = { "grpc-status", "0", NULL };
static const uint8_t one_message[] = { 0, 0, 0, 0, 2, 'h', 'i' };

START_TEST(an_answer_comes_in_pieces)
{
	setup(1);
	frame(SETTINGS, 0, 0, "", 0);
	answer(0, 1, ok_head);
	for (size_t i = 0; i < sizeof(one_message); i++)
		frame(DATA, 0, 1, one_message + i, 1);
	run();
	ck_assert_int_eq(messages, 1);
	ck_assert_int_eq(finished, 0);
	answer(END_STREAM, 1, ok_tail);
	run();
	ck_assert_int_eq(finished, 1);
	ck_assert_int_eq(status, GRPC_OK);
	teardown();
}
END_TEST

START_TEST(answers_that_are_not_grpc_become_a_status)
{
	static const struct {
		const char *code, *type, *grpc;
		enum grpc_status want;
	} cases[] = {
		{ "503", "text/html", NULL, GRPC_UNAVAILABLE },
		{ "404", "text/html", NULL, GRPC_UNIMPLEMENTED },
		{ "401", "text/html", NULL, GRPC_UNAUTHENTICATED },
		{ "503", "application/grpc", "0", GRPC_UNAVAILABLE },
		{ "200", "text/html", NULL, GRPC_UNKNOWN },
		{ "200", "text/html", "0", GRPC_UNKNOWN },
		{ "200", "application/grpc", NULL, GRPC_UNKNOWN },
		{ "200", "application/grpc", "7", GRPC_PERMISSION_DENIED },
		{ "200", "application/grpc", "007", GRPC_UNKNOWN },
		{ "200", "application/grpc", "99", GRPC_UNKNOWN },
		{ "200", "application/grpc", "-1", GRPC_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const fields[] = { ":status", cases[i].code, "content-type", cases[i].type,
			cases[i].grpc != NULL ? "grpc-status" : NULL, cases[i].grpc, NULL };

		setup(1);
		frame(SETTINGS, 0, 0, "", 0);
		answer(END_STREAM, 1, fields);
		run();
		ck_assert_int_eq(finished, 1);
		ck_assert_msg(status == cases[i].want, "case %zu: %s", i, grpc_status_name((int)status));
		ck_assert_int_eq(messages, 0);
		teardown();
	}
}
END_TEST

START_TEST(resets_become_a_status)
{
	static const struct {
		uint8_t code;
		enum grpc_status want;
	} cases[] = { { 7, GRPC_UNAVAILABLE }, { 8, GRPC_CANCELLED }, { 11, GRPC_RESOURCE_EXHAUSTED },
		{ 12, GRPC_PERMISSION_DENIED }, { 2, GRPC_INTERNAL } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t code[4] = { 0, 0, 0, cases[i].code };

		setup(1);
		frame(SETTINGS, 0, 0, "", 0);
		frame(RESET, 0, 1, code, 4);
		run();
		ck_assert_int_eq(finished, 1);
		ck_assert_int_eq(status, cases[i].want);
		ck_assert_int_eq(closed, 0);
		teardown();
	}
}
END_TEST

START_TEST(half_a_message_is_no_success)
{
	setup(1);
	frame(SETTINGS, 0, 0, "", 0);
	answer(0, 1, ok_head);
	frame(DATA, 0, 1, one_message, 6);
	answer(END_STREAM, 1, ok_tail);
	run();
	ck_assert_int_eq(status, GRPC_INTERNAL);
	ck_assert_int_eq(messages, 0);
	teardown();
}
END_TEST

START_TEST(a_message_beyond_the_bound_or_compressed_ends_the_request)
{
	static const uint8_t huge[] = { 0, 0xff, 0, 0, 0 }, squeezed[] = { 1, 0, 0, 0, 0 };

	setup(2);
	frame(SETTINGS, 0, 0, "", 0);
	answer(0, 1, ok_head);
	frame(DATA, 0, 1, huge, sizeof(huge));
	run();
	ck_assert_int_eq(finished, 1);
	ck_assert_int_eq(status, GRPC_RESOURCE_EXHAUSTED);
	answer(0, 3, ok_head);
	frame(DATA, 0, 3, squeezed, sizeof(squeezed));
	run();
	ck_assert_int_eq(finished, 2);
	ck_assert_int_eq(closed, 0);
	teardown();
}
END_TEST

START_TEST(goaway_fails_what_the_server_will_not_do)
{
	static const uint8_t last_1[8] = { 0, 0, 0, 1 };
	struct grpc_request *r;

	setup(2);
	frame(SETTINGS, 0, 0, "", 0);
	frame(GOAWAY, 0, 0, last_1, 8);
	run();
	ck_assert_int_eq(finished, 1); /* stream 3 */
	ck_assert_int_eq(status, GRPC_UNAVAILABLE);
	ck_assert_int_eq(grpc_start(client, &r, "/t.T/X", "x", 1, NULL, 0, 0, &handler, NULL), TULLE_EUNAVAIL);
	answer(0, 1, ok_head);
	answer(END_STREAM, 1, ok_tail);
	run();
	ck_assert_int_eq(finished, 2);
	ck_assert_int_eq(status, GRPC_OK);
	ck_assert_int_eq(closed, 1);
	teardown();
}
END_TEST

START_TEST(garbage_ends_the_connection_and_all_requests)
{
	setup(2);
	ck_assert_int_gt(send(server, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 0);
	run();
	ck_assert_int_eq(finished, 2);
	ck_assert_int_eq(status, GRPC_UNAVAILABLE);
	ck_assert_int_eq(closed, 1);
	teardown();
}
END_TEST

START_TEST(the_client_may_be_freed_inside_any_callback)
{
	for (int when = IN_MESSAGE; when <= IN_CLOSED; when++) {
		setup(2);
		free_when = when;
		frame(SETTINGS, 0, 0, "", 0);
		answer(0, 1, ok_head);
		frame(DATA, 0, 1, one_message, sizeof(one_message));
		frame(DATA, 0, 1, one_message, sizeof(one_message));
		answer(END_STREAM, 1, ok_tail);
		run();
		if (client != NULL) {
			(void)shutdown(server, SHUT_RDWR);
			run();
		}
		ck_assert_ptr_null(client);
		ck_assert_int_eq(messages, when == IN_MESSAGE ? 1 : 2);
		ck_assert_int_eq(finished, when == IN_MESSAGE ? 0 : when == IN_FINISHED ? 1 : 2);
		ck_assert_int_eq(closed, when == IN_CLOSED);
		teardown();
	}
}
END_TEST

START_TEST(texts_survive_the_wire)
{
	char coded[GRPC_TEXT_MAX], back[GRPC_TEXT_MAX];

	grpc_encode_text("100 % \n\xc3\xa4", coded);
	ck_assert_str_eq(coded, "100 %25 %0A%C3%A4");
	grpc_decode_text(coded, strlen(coded), back);
	ck_assert_str_eq(back, "100 % \n\xc3\xa4");
	grpc_decode_text("50%", 3, back);
	ck_assert_str_eq(back, "50%");
	grpc_decode_text("%zz%4", 5, back);
	ck_assert_str_eq(back, "%zz%4");
}
END_TEST

UNIT_MAIN("grpc client", an_answer_comes_in_pieces, answers_that_are_not_grpc_become_a_status, resets_become_a_status,
    half_a_message_is_no_success, a_message_beyond_the_bound_or_compressed_ends_the_request,
    goaway_fails_what_the_server_will_not_do, garbage_ends_the_connection_and_all_requests,
    the_client_may_be_freed_inside_any_callback, texts_survive_the_wire)
