/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raw bytes to a gRPC server, and a response to the Workload API's client: no crash, no leak, bounded. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "grpc/server.h"
#include "io/sock.h"
#include "workload/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
run(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)grpc_call_metadata(call, "workload.spiffe.io");
	(void)grpc_send(call, p, n);
	grpc_finish(call, GRPC_OK, "done");
}

static const uint8_t *answer;
static size_t answer_len;

static void
run_answer(void *arg, struct grpc_call *call, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	(void)grpc_send(call, answer, answer_len);
}

static const struct grpc_method methods[] = { { "/t.T/Echo", run, NULL },
	{ "/SpiffeWorkloadAPI/FetchX509SVID", run_answer, NULL }, { 0 } };

static void
dial(void *arg)
{
	(void)arg;
}

static bool
update(void *arg, const struct workload_update *u)
{
	(void)arg;
	assert(u->n_svids > 0 && u->n_svids <= IDENTITIES_MAX);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct workload_events events = { dial, update };
	struct workload_client *client;
	struct grpc_server *server;
	char path[64];
	struct loop *loop;
	int listener, fd;

	log_set_threshold(LOG_LVL_ERROR);
	(void)snprintf(path, sizeof(path), "/tmp/tulle-fuzz-grpc-%d", (int)getpid());
	if (loop_new(&loop) != TULLE_OK || sock_listen_unix(&listener, path, 0600) != TULLE_OK)
		return 0;
	assert(grpc_server_new(&server, loop, methods, NULL, NULL) == TULLE_OK);
	assert(grpc_server_listen(server, listener) == TULLE_OK);
	assert(sock_connect_unix(&fd, path) == TULLE_OK);
	if (size > 0 && data[0] & 1) { /* the client's side */
		answer = data + 1;
		answer_len = size - 1;
		assert(workload_client_new(&client, loop, &events, NULL) == TULLE_OK);
		(void)loop_tick(loop, 11);
		workload_client_connected(client, fd, NULL);
		for (int i = 0; i < 6; i++)
			(void)loop_tick(loop, 0);
		client = workload_client_free(client);
	} else {
		(void)send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		for (int i = 0; i < 5; i++)
			(void)loop_tick(loop, 0);
		assert(grpc_server_calls(server) <= 64);
		close(fd);
	}
	server = grpc_server_free(server);
	loop = loop_free(loop);
	(void)unlink(path);
	return 0;
}
