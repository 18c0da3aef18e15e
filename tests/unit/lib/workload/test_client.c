/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Workload API's client against a server of ours on the same loop. */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "grpc/server.h"
#include "io/sock.h"
#include "proto/workload.pb-c.h"
#include "unit.h"
#include "workload/client.h"

static struct loop *loop;
static struct grpc_server *server;
static struct workload_client *client;
static struct grpc_call *stream;
static char path[] = "/tmp/tulle-test-workload-XXXXXX";
static int calls, dials, updates;
static char last_id[128];
static bool refuse, no_dial;
static enum grpc_status answer; /* not GRPC_OK: every call ends with it */

static void
fetch(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	ck_assert_uint_eq(n, 0);
	ck_assert_str_eq(grpc_call_metadata(call, "workload.spiffe.io"), "true");
	ck_assert_uint_eq(grpc_call_metadata_count(call, "workload.spiffe.io"), 1);
	calls++;
	if (answer != GRPC_OK)
		grpc_finish(call, answer, "no identity issued");
	else
		stream = call;
}

static void
ended(void *arg, struct grpc_call *call)
{
	(void)arg;
	if (call == stream)
		stream = NULL;
}

static const struct grpc_method methods[] = { { "/SpiffeWorkloadAPI/FetchX509SVID", fetch, ended }, { 0 } };

static void
start_server(void)
{
	int fd;

	ck_assert_int_eq(sock_listen_unix(&fd, path, 0600), TULLE_OK);
	ck_assert_int_eq(grpc_server_new(&server, loop, methods, NULL, NULL), TULLE_OK);
	ck_assert_int_eq(grpc_server_listen(server, fd), TULLE_OK);
}

static void
dial(void *arg)
{
	int fd = -1;

	(void)arg;
	dials++;
	if (no_dial)
		return;
	if (sock_connect_unix(&fd, path) == TULLE_OK)
		workload_client_connected(client, fd, NULL);
	else
		workload_client_connected(client, -1, "nobody listens");
}

static bool
update(void *arg, const struct workload_update *u)
{
	(void)arg;
	ck_assert_uint_eq(u->n_svids, 1);
	updates++;
	strncpy(last_id, u->svids[0].id, sizeof(last_id) - 1);
	return !refuse;
}

static void
push(const char *id)
{
	static uint8_t der[] = { 0x30, 0x01, 0x00 };
	X509SVIDResponse m = X509_SVIDRESPONSE__INIT;
	X509SVID s, *list = &s;
	uint8_t wire[1024];

	x509_svid__init(&s);
	s.spiffe_id = (char *)(uintptr_t)id;
	s.x509_svid = s.x509_svid_key = s.bundle = (ProtobufCBinaryData){ .data = der, .len = sizeof(der) };
	m.n_svids = 1;
	m.svids = &list;
	ck_assert_int_eq(grpc_send(stream, wire, x509_svidresponse__pack(&m, wire)), TULLE_OK);
}

static void
setup(void)
{
	static const struct workload_events events = { dial, update };

	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_ne(mkstemp(path), -1);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	start_server();
	ck_assert_int_eq(workload_client_new(&client, loop, &events, NULL), TULLE_OK);
}

static void
teardown(void)
{
	client = workload_client_free(client);
	server = grpc_server_free(server);
	loop = loop_free(loop);
	(void)unlink(path);
}

#define UNTIL(what)                                                      \
	do {                                                             \
		for (int i_ = 0; i_ < 2000 && !(what); i_++)             \
			ck_assert_int_eq(loop_tick(loop, 5), TULLE_OK);  \
		ck_assert(what);                                         \
	} while (0)

static void
rest(unsigned int ms)
{
	uint64_t end = loop_now(loop) + ms;

	while (loop_now(loop) < end)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
}

START_TEST(updates_come_one_after_the_other)
{
	struct workload_state s;

	setup();
	UNTIL(stream != NULL);
	push("spiffe://mesh.example/a");
	UNTIL(updates == 1);
	push("spiffe://mesh.example/b");
	UNTIL(updates == 2);
	ck_assert_str_eq(last_id, "spiffe://mesh.example/b");
	s = workload_client_state(client);
	ck_assert(s.connected && !s.stopped && !s.denied);
	ck_assert_uint_eq(s.updates, 2);
	ck_assert_str_eq(s.error, "");
	ck_assert_int_eq(calls, 1);
	teardown();
}
END_TEST

START_TEST(a_bad_response_is_reported_and_the_stream_kept)
{
	setup();
	UNTIL(stream != NULL);
	push("spiffe://mesh.example/a");
	UNTIL(updates == 1);
	push("not an ID");
	UNTIL(*workload_client_state(client).error != '\0');
	ck_assert(workload_client_state(client).connected);
	ck_assert_int_eq(updates, 1);
	refuse = true;
	push("spiffe://mesh.example/b");
	UNTIL(updates == 2);
	ck_assert_uint_eq(workload_client_state(client).updates, 1);
	refuse = false;
	push("spiffe://mesh.example/c");
	UNTIL(updates == 3);
	ck_assert_uint_eq(workload_client_state(client).updates, 2);
	ck_assert_str_eq(workload_client_state(client).error, "");
	ck_assert_int_eq(calls, 1);
	teardown();
}
END_TEST

START_TEST(it_comes_back_when_the_server_does)
{
	setup();
	UNTIL(stream != NULL);
	push("spiffe://mesh.example/a");
	UNTIL(updates == 1);
	server = grpc_server_free(server);
	UNTIL(!workload_client_state(client).connected);
	start_server();
	UNTIL(stream != NULL); /* a second, and a bit by chance */
	push("spiffe://mesh.example/b");
	UNTIL(updates == 2);
	ck_assert_int_eq(calls, 2);
	teardown();
}
END_TEST

START_TEST(permission_denied_is_tried_again)
{
	answer = GRPC_PERMISSION_DENIED;
	setup();
	UNTIL(calls == 1 && workload_client_state(client).denied);
	ck_assert(!workload_client_state(client).stopped);
	answer = GRPC_OK;
	UNTIL(stream != NULL);
	push("spiffe://mesh.example/a");
	UNTIL(updates == 1);
	ck_assert(!workload_client_state(client).denied);
	teardown();
}
END_TEST

START_TEST(invalid_argument_is_not)
{
	answer = GRPC_INVALID_ARGUMENT;
	setup();
	UNTIL(workload_client_state(client).stopped);
	rest(2500);
	ck_assert_int_eq(calls, 1);
	ck_assert_int_eq(dials, 1);
	teardown();
}
END_TEST

START_TEST(failures_are_spaced_out)
{
	setup();
	server = grpc_server_free(server);
	UNTIL(dials == 1);
	rest(900);
	ck_assert_int_eq(dials, 1);
	UNTIL(dials == 2); /* after 1 to 1.2 s */
	rest(1900);
	ck_assert_int_eq(dials, 2); /* after 2 s more */
	teardown();
}
END_TEST

START_TEST(an_answer_to_no_question_is_closed)
{
	int p[2];
	char c;

	no_dial = true;
	setup();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	workload_client_connected(client, p[0], NULL); /* before anybody asked */
	ck_assert_int_eq(read(p[1], &c, 1), 0);
	UNTIL(dials == 1);
	workload_client_connected(client, -1, "no");
	ck_assert_str_eq(workload_client_state(client).error, "no");
	teardown();
}
END_TEST

UNIT_MAIN("workload client", updates_come_one_after_the_other, a_bad_response_is_reported_and_the_stream_kept,
    it_comes_back_when_the_server_does, permission_denied_is_tried_again, invalid_argument_is_not,
    failures_are_spaced_out, an_answer_to_no_question_is_closed)
