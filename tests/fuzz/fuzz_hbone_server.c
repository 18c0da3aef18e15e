/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-links: relayd */
/* Bytes of a peer's client to our server of tunnels: no crash, no leak, windows and numbers of streams kept. */
#include "hbone_fuzz.h"

#include "hbone/server.h"

static struct hbone *tunnel;
static unsigned int ups, downs;

static void
up(void *arg, const struct hbone *h)
{
	(void)arg;
	(void)h;
	ups++;
}

static void
down(void *arg, const struct hbone *h, enum tulle_err e)
{
	(void)arg;
	assert(h == tunnel && e != TULLE_OK);
	downs++;
}

/* As relayd/flow/inbound.c answers: some at once, some later, some never with a tunnel; the authority says which. */
static void
request(void *arg, struct hbone *h, int32_t id, bool connect, const char *authority)
{
	struct app *a;

	(void)arg;
	assert(strlen(authority) <= HBONE_AUTHORITY_MAX);
	if (authority[0] == 'x' || (a = app_new()) == NULL) {
		hbone_reply_error(h, id, 503);
		return;
	}
	hstream_take(&a->tunnel, h, id, &tunnel_events);
	assert(h->nstreams <= HBONE_STREAMS_SERVER);
	if (!connect || authority[0] == 'r') {
		a->tunnel.end_sent = a->tunnel.end_received = true;
		app_close(a, false);
		hbone_reply_error(h, id, 400);
		return;
	}
	if (authority[0] != 'l' && hstream_accept(&a->tunnel) != TULLE_OK)
		app_close(a, true);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char context; /* never looked at without TLS */
	static const struct server_events events = { up, down, request };
	struct creds creds = { .server = (struct tls_context *)(void *)&context };
	struct server *server;

	begin();
	ups = downs = 0;
	assert(server_new(&server, &thread, &creds, &events, NULL) == TULLE_OK);
	assert(server_accept(server, -1, &(struct addr){ 0 }, NULL));
	tunnel = CONTAINER_OF(conn, struct hbone, conn);
	conn->events->ready(conn);
	hbone_flush_all(&thread);
	steps(tunnel, data, size, NULL);
	server = server_free(server);
	assert(ups == 1 && downs == 1 && conn == NULL);
	apps_free();
	return 0;
}
