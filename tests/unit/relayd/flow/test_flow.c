/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two relays in one loop: flows of one reach the applications of the other
 * through a real tunnel over real sockets, in a network namespace of the
 * test's own.  Only the redirection is missing.
 */
#include "flow/flow.h"

#include <pthread.h>

#include "relayd/peer.h"

static void
setup_with(const char *manifest_b)
{
	relays_setup(MESH, manifest_b);
}

/* ---- applications: threads with blocking sockets -------------------------------- */

struct app {
	pthread_t thread;
	int listener;
	int connections; /* how many to serve */
};

static void *
echo_main(void *arg)
{
	struct app *app = arg;
	static char buf[65536];
	ssize_t n;

	for (int i = 0; i < app->connections; i++) {
		int fd = accept(app->listener, NULL, NULL);

		while ((n = read(fd, buf, sizeof(buf))) > 0)
			for (ssize_t done = 0, w; done < n; done += w)
				if ((w = write(fd, buf + done, (size_t)(n - done))) <= 0)
					return NULL;
		close(fd);
	}
	return NULL;
}

static void
echo_start(struct app *app, int connections)
{
	struct addr at;

	ck_assert_int_eq(addr_parse(&at, "10.0.0.2:9000"), TULLE_OK);
	ck_assert_int_eq(sock_listen(&app->listener, &at, 128, false), TULLE_OK);
	fcntl(app->listener, F_SETFL, 0);
	app->connections = connections;
	ck_assert_int_eq(pthread_create(&app->thread, NULL, echo_main, app), 0);
	ck_assert_int_eq(pthread_detach(app->thread), 0);
}

struct client {
	pthread_t thread;
	int fd;
	size_t size;
	_Atomic size_t got;
	_Atomic int error;
	_Atomic bool done;
};

static void *
sender_main(void *arg)
{
	struct client *c = arg;
	char *block = calloc(1, c->size);

	for (size_t i = 0; i < c->size; i++)
		block[i] = (char)(i * 31 >> 3);
	for (size_t done = 0; done < c->size;) {
		ssize_t n = write(c->fd, block + done, c->size - done);

		if (n <= 0) {
			c->error = errno; /* the kernel tells an error once: to the sender or to the reader */
			break;
		}
		done += (size_t)n;
	}
	shutdown(c->fd, SHUT_WR);
	free(block);
	return NULL;
}

/* Sends from one thread, reads in this one: what comes back must be what went. */
static void *
client_main(void *arg)
{
	struct client *c = arg;
	pthread_t sender;
	static _Thread_local char buf[65536];
	ssize_t n;

	pthread_create(&sender, NULL, sender_main, c);
	while ((n = read(c->fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != (char)((c->got + (size_t)i) * 31 >> 3))
				c->error = EILSEQ;
		c->got += (size_t)n;
	}
	if (n < 0)
		c->error = errno;
	pthread_join(sender, NULL);
	if (c->error == EPIPE)
		c->error = ECONNRESET;
	close(c->fd);
	c->done = true;
	return NULL;
}

/* A connection of an application of host a, as a redirection would hand it over. */
static void
client_start(struct client *c, size_t size, const char *to)
{
	static int listener = -1;
	struct addr at, dst;
	int fd;

	if (listener == -1) {
		ck_assert_int_eq(addr_parse(&at, "10.0.0.1:15001"), TULLE_OK);
		ck_assert_int_eq(sock_listen(&listener, &at, 128, false), TULLE_OK);
		fcntl(listener, F_SETFL, 0);
	}
	ck_assert_int_eq(addr_parse(&at, "10.0.0.1:15001"), TULLE_OK);
	ck_assert_int_ne(sock_connect(&c->fd, &at), TULLE_ESYS);
	fcntl(c->fd, F_SETFL, 0);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(addr_parse(&dst, to), TULLE_OK);
	c->size = size;
	c->got = 0;
	c->error = 0;
	c->done = false;
	flow_outbound_to(&a->flows, fd, &dst);
	ck_assert_int_eq(pthread_create(&c->thread, NULL, client_main, c), 0);
}

static void
run_until_done(struct client *clients, int n)
{
	for (int ticks = 0; ticks < 2000000; ticks++) {
		bool all = true;

		for (int i = 0; i < n; i++)
			all = all && clients[i].done;
		if (all && a->flows.n == 0 && b->flows.n == 0) {
			for (int i = 0; i < n; i++)
				pthread_join(clients[i].thread, NULL);
			return;
		}
		ck_assert_int_eq(loop_tick(loop, 50), TULLE_OK);
	}
	ck_abort_msg("still %u and %u flows", a->flows.n, b->flows.n);
}

START_TEST(bytes_come_back_whole_and_half_close_is_passed_on)
{
	struct app app;
	struct client c;

	setup_with(MESH);
	echo_start(&app, 1);
	client_start(&c, 8 << 20, "10.96.0.1:80");
	run_until_done(&c, 1);
	ck_assert_int_eq(c.error, 0);
	ck_assert_uint_eq(c.got, 8 << 20);
	ck_assert_uint_eq(a->up, 1);
}
END_TEST

START_TEST(many_flows_share_few_tunnels)
{
	static struct client clients[150];
	static struct app apps[1];

	setup_with(MESH);
	/* an echo server of one thread serves them one after the other: all wait meanwhile, none is lost */
	echo_start(&apps[0], 150);
	for (int i = 0; i < 150; i++)
		client_start(&clients[i], 3000, "10.96.0.1:80");
	run_until_done(clients, 150);
	for (int i = 0; i < 150; i++) {
		ck_assert_int_eq(clients[i].error, 0);
		ck_assert_uint_eq(clients[i].got, 3000);
	}
	ck_assert_uint_eq(a->up, 2); /* 100 streams a tunnel */
}
END_TEST

START_TEST(a_port_with_nothing_behind_it_resets_the_client)
{
	struct client c;

	setup_with(MESH);
	client_start(&c, 10, "10.96.0.1:80");
	run_until_done(&c, 1);
	ck_assert_int_eq(c.error, ECONNRESET);
	ck_assert_uint_eq(a->up, 1); /* the tunnel is fine */
	ck_assert_uint_eq(a->down, 0);
}
END_TEST

START_TEST(a_peer_that_policy_does_not_allow_is_refused)
{
	struct client c;

	setup_with(MESH "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
	                "metadata: {name: nobody, namespace: shop}\nspec: {}\n");
	client_start(&c, 10, "10.96.0.1:80");
	run_until_done(&c, 1);
	ck_assert_int_eq(c.error, ECONNRESET);
}
END_TEST

START_TEST(a_live_flow_is_cut_when_policy_changes)
{
	struct app app;
	struct client c;
	int sent = 0;

	setup_with(MESH);
	echo_start(&app, 1);
	client_start(&c, 64 << 20, SERVICE);
	while (c.got < 100000 && sent++ < 100000)
		ck_assert_int_eq(loop_tick(loop, 50), TULLE_OK);
	relay_configure(b, MESH DENY_ALL);
	run_until_done(&c, 1);
	ck_assert_int_eq(c.error, ECONNRESET);
	ck_assert_uint_lt(c.got, 64 << 20);
}
END_TEST

START_TEST(a_live_flow_between_two_applications_of_one_host_is_cut_too)
{
	int listener, client, app;
	size_t got = 0;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	client = client_open(b, SERVICE);
	app = app_accept(listener);
	app_pass(client, app, "hello");
	relay_configure(b, MESH); /* the same again: nothing happens */
	app_pass(app, client, "hello");
	relay_configure(b, MESH DENY_ALL);
	ck_assert_int_eq(app_drain(client, &got), -ECONNRESET);
	client = client_open(b, SERVICE);
	ck_assert_int_eq(app_drain(client, &got), -ECONNRESET); /* and new ones are not let in */
}
END_TEST

#define AUDIT_ALL                                                                                                          \
	"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: watch, namespace: shop}\n"    \
	"spec: {action: AUDIT, rules: [{}]}\n"

START_TEST(a_local_denial_leaves_the_same_record_as_one_of_a_peer)
{
	struct conn_event e;
	size_t got = 0;

	relays_setup(NULL, MESH DENY_ALL);
	ck_assert_int_eq(app_drain(client_open(b, SERVICE), &got), -ECONNRESET);
	e = last_event(b);
	ck_assert_int_eq(e.outcome, EVENT_DENIED);
	ck_assert_int_eq(e.flag, EVENT_FLAG_UAEX);
	ck_assert_int_eq(e.detail, EVENT_DETAIL_DENIED_BY_POLICY);
	ck_assert_str_eq(events_reader_text(b->reader, 0, e.policy), "shop/nobody");
	ck_assert_str_eq(events_reader_text(b->reader, 0, e.source), "mesh.test/ns/shop/sa/db");
	ck_assert_uint_eq(counted(b, COUNT_AUTHZ_DENY), 1);
	ck_assert_uint_eq(counted(b, COUNT_CONNECT_TUNNEL), 0);
	ck_assert_int_eq(app_drain(client_open(b, B_APP), &got), -ECONNRESET); /* by its own address */
	ck_assert_int_eq(last_event(b).detail, EVENT_DETAIL_DENIED_BY_POLICY);
}
END_TEST

START_TEST(an_audit_policy_counts_local_flows_and_those_of_peers)
{
	int listener, client;

	relays_setup(MESH, MESH AUDIT_ALL);
	listener = app_listen(B_APP);
	client = client_open(b, SERVICE);
	app_pass(client, app_accept(listener), "hello");
	ck_assert_uint_eq(counted(b, COUNT_AUTHZ_AUDIT), 1);
	client = client_open(a, SERVICE);
	app_pass(client, app_accept(listener), "hello");
	ck_assert_uint_eq(counted(b, COUNT_AUTHZ_AUDIT), 2);
	ck_assert_uint_eq(counted(b, COUNT_AUTHZ_ALLOW), 2);
}
END_TEST

/* As in a start with bad files. */
static void
relay_unconfigure(struct host *h)
{
	h->flows.snapshot = snapshot_unref(h->flows.snapshot);
}

START_TEST(without_a_configuration_nothing_passes_and_it_is_told)
{
	struct conn_event e;
	struct peer *p;
	size_t got = 0;

	relays_setup(MESH, MESH);
	relay_unconfigure(a);
	relay_unconfigure(b);
	app_listen(B_APP);
	ck_assert_int_eq(app_drain(client_open(a, B_APP), &got), -ECONNRESET); /* what would be outside the mesh is refused, too */
	e = last_event(a);
	ck_assert_int_eq(e.outcome, EVENT_FAILED);
	ck_assert_int_eq(e.flag, EVENT_FLAG_NR);
	ck_assert_int_eq(e.detail, EVENT_DETAIL_NO_CONFIGURATION);
	ck_assert_uint_eq(counted(a, COUNT_NO_CONFIGURATION), 1);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	UNTIL(p->s[0].status == 503);
	e = last_event(b);
	ck_assert_int_eq(e.detail, EVENT_DETAIL_NO_CONFIGURATION);
	ck_assert_str_eq(events_reader_text(b->reader, 0, e.source), "mesh.test/ns/shop/sa/web");
	ck_assert_uint_eq(counted(b, COUNT_NO_CONFIGURATION), 1);
	relay_configure(b, MESH);
	peer_ask(p, 3, B_APP);
	UNTIL(p->s[1].status == 200);
}
END_TEST

#define TWO_ENDPOINTS                                                                                                      \
	"apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n"                                          \
	"spec: {clusterIPs: [10.96.0.1], selector: {app: db}, ports: [{port: 80, targetPort: 9000}]}\n"                   \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: db-1, namespace: shop}\n"        \
	"spec: {address: 10.0.0.2, labels: {app: db}, serviceAccount: db}\n"                                              \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: db-2, namespace: shop}\n"        \
	"spec: {address: 10.0.0.3, labels: {app: db}, serviceAccount: db}\n"

START_TEST(the_next_endpoint_serves_when_one_cannot_be_reached)
{
	/* db-2 has no relay at all: every flow succeeds, and after a first failure db-2 rests. */
	int listener, client;

	relays_setup(TWO_ENDPOINTS, MESH);
	listener = app_listen(B_APP);
	for (int i = 0; i < 50; i++) {
		client = client_open(a, SERVICE);
		app_pass(client, app_accept(listener), "hello");
		close(client);
	}
	ck_assert_uint_le(a->down, 1);
}
END_TEST

START_TEST(a_silent_endpoint_costs_one_deadline_and_then_the_next_one_serves)
{
	/* db-2 takes the connection and never says anything. */
	int listener, silent, client = -1, tries = 0;

	relays_setup(TWO_ENDPOINTS, MESH);
	listener = app_listen(B_APP);
	silent = app_listen("10.0.0.3:15008");
	while (accept4(silent, NULL, NULL, SOCK_NONBLOCK) == -1 && tries++ < 100) {
		client = client_open(a, SERVICE);
		relays_settle();
	}
	ck_assert_int_lt(tries, 100);
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1;)
		(void)fd; /* of the flows that went to db-1 at once */
	clock_skip(TLSCONN_HANDSHAKE_MS + 500);
	app_pass(client, app_accept(listener), "hello");
	ck_assert_int_eq(accept4(silent, NULL, NULL, SOCK_NONBLOCK), -1); /* it was not asked twice */
}
END_TEST

START_TEST(an_idle_flow_ends_after_an_hour_and_not_before)
{
	int listener, client, app;
	size_t got = 0;

	relays_setup(NULL, MESH);
	listener = app_listen(B_APP);
	client = client_open(b, "10.0.0.2:9000");
	app = app_accept(listener);
	app_pass(client, app, "hello");
	for (int i = 0; i < 3; i++) {
		clock_skip(FLOW_IDLE_MS - 60000);
		relays_settle();
		app_pass(app, client, "still there"); /* a byte either way, and the hour starts anew */
	}
	clock_skip(FLOW_IDLE_MS + 1000);
	ck_assert_int_eq(app_drain(client, &got), -ECONNRESET);
	got = 0;
	ck_assert_int_eq(app_drain(app, &got), -ECONNRESET);
	UNTIL(b->flows.n == 0);
}
END_TEST

START_TEST(an_application_that_does_not_accept_is_given_up)
{
	/* A full queue: SYNs are dropped; the tunnel's peer hears 503 at our deadline, not at the kernel's. */
	struct addr where;
	struct peer *p;
	int listener, fill;

	relays_setup(NULL, MESH);
	where = at(B_APP);
	ck_assert_int_eq(sock_listen(&listener, &where, 0, false), TULLE_OK);
	for (int i = 0; i < 4; i++)
		ck_assert_int_ne(sock_connect(&fill, &where), TULLE_ESYS);
	p = peer_connect(B_HBONE, ID_WEB);
	peer_ask(p, 1, B_APP);
	relays_settle();
	ck_assert_int_eq(p->s[0].status, 0);
	clock_skip(FLOW_DIAL_MS + 1000);
	UNTIL(p->s[0].status == 503);
	UNTIL(b->flows.n == 0);
	ck_assert_int_eq(last_event(b).detail, EVENT_DETAIL_CONNECT_TIMEOUT);
	ck_assert_uint_eq(counted(b, COUNT_CONNECT_TIMEOUT), 1);
}
END_TEST

START_TEST(an_endpoint_outside_the_mesh_that_does_not_accept_is_given_up)
{
	struct addr where = at("10.0.0.3:8080");
	int full, fill, client;
	size_t got = 0;

	relays_setup(MESH, NULL);
	ck_assert_int_eq(sock_listen(&full, &where, 0, false), TULLE_OK);
	for (int i = 0; i < 4; i++)
		ck_assert_int_ne(sock_connect(&fill, &where), TULLE_ESYS);
	client = client_open(a, "10.0.0.3:8080");
	relays_settle();
	clock_skip(FLOW_DIAL_MS + 1000);
	ck_assert_int_eq(app_drain(client, &got), -ECONNRESET);
	ck_assert_int_eq(last_event(a).detail, EVENT_DETAIL_CONNECT_TIMEOUT); /* there was no tunnel that could be late */
	ck_assert_uint_eq(counted(a, COUNT_CONNECT_TIMEOUT), 1);
}
END_TEST

START_TEST(plain_flows_end_when_only_the_registry_may_be_reached)
{
	static const char plain[] = "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: old, namespace: shop}\n"
	                            "spec: {address: \"fd00::2\", ports: {p: 9100}}\n";
	char AUTO_FREE *mesh = NULL;
	struct snapshot *s;
	int unknown, known, tunnel, at_unknown, at_known, at_tunnel;
	size_t got = 0;

	ck_assert_int_ne(asprintf(&mesh, "%s%s", MESH, plain), -1);
	relays_setup(mesh, MESH);
	at_unknown = app_listen("10.0.0.3:8080");
	at_known = app_listen("[fd00::2]:9100");
	at_tunnel = app_listen(B_APP);
	unknown = client_open(a, "10.0.0.3:8080");
	at_unknown = app_accept(at_unknown);
	known = client_open(a, "[fd00::2]:9100");
	at_known = app_accept(at_known);
	tunnel = client_open(a, SERVICE);
	at_tunnel = app_accept(at_tunnel);
	app_pass(unknown, at_unknown, "hello");

	s = relay_snapshot(a->ip, mesh, 100);
	s->outbound_policy = OUTBOUND_REGISTRY_ONLY;
	flows_configure(&a->flows, s);
	snapshot_unref(s);
	ck_assert_int_eq(app_drain(unknown, &got), -ECONNRESET);
	ck_assert_int_eq(last_event(a).detail, EVENT_DETAIL_NOT_IN_REGISTRY);
	ck_assert_uint_eq(counted(a, COUNT_POLICY_CUT), 1);
	app_pass(known, at_known, "hello");
	app_pass(tunnel, at_tunnel, "hello");
}
END_TEST

START_TEST(a_flow_that_is_half_closed_for_ever_ends_as_an_idle_one)
{
	int listener, client, app;
	size_t got = 0;

	relays_setup(MESH, MESH);
	listener = app_listen(B_APP);
	client = client_open(a, SERVICE);
	app = app_accept(listener);
	app_pass(client, app, "hello");
	shutdown(client, SHUT_WR);
	ck_assert_int_eq(app_drain(app, &got), 0);
	clock_skip(FLOW_IDLE_MS - 60000);
	relays_settle();
	ck_assert_uint_eq(a->flows.n, 1);
	clock_skip(120000);
	ck_assert_int_eq(app_drain(client, &got), -ECONNRESET);
	UNTIL(a->flows.n == 0 && b->flows.n == 0);
	ck_assert_int_eq(last_event(a).detail, EVENT_DETAIL_IDLE_TIMEOUT);
	ck_assert_uint_ge(counted(a, COUNT_TIMEOUT_CUT) + counted(b, COUNT_TIMEOUT_CUT), 1); /* whoever looks first, or both */
}
END_TEST

/* One round of random endings: what the applications do at both ends. */
static void
end_somehow(unsigned int *seed, int listener, int *clients, int n)
{
	int apps[64], napps = 0, fd;

	for (int turns = rand_r(seed) % 6; turns > 0; turns--)
		relays_turn(1);
	while (napps < 64 && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1)
		apps[napps++] = fd;
	for (int i = 0; i < n; i++) {
		if (rand_r(seed) % 2)
			(void)app_write(clients[i], (size_t)rand_r(seed) % 100000);
		if (rand_r(seed) % 3 == 0) {
			shutdown(clients[i], SHUT_WR);
			relays_turn(0);
		}
	}
	while (napps > 0) {
		fd = apps[--napps];
		if (rand_r(seed) % 2)
			(void)app_write(fd, (size_t)rand_r(seed) % 100000);
		if (rand_r(seed) % 2)
			app_reset(fd);
		else
			close(fd);
	}
	for (int i = 0; i < n; i++) {
		if (rand_r(seed) % 2)
			app_reset(clients[i]);
		else
			close(clients[i]);
	}
}

START_TEST(random_endings_leak_no_stream_and_no_socket)
{
	/* HB-31: two thousand flows, closed or reset from either side at any stage, sixteen at a time. */
	int listener, clients[16], fd;
	unsigned int seed = 12345, sockets_a, sockets_b;

	relays_setup(MESH, MESH);
	listener = app_listen(B_APP);
	sockets_a = a->th.sockets;
	sockets_b = b->th.sockets;
	for (int round = 0; round < 125; round++) {
		for (int i = 0; i < 16; i++)
			clients[i] = client_open(a, rand_r(&seed) % 8 == 0 ? "10.0.0.2:9001" : SERVICE); /* 9001: nobody */
		end_somehow(&seed, listener, clients, 16);
	}
	for (int i = 0; i < 3000 && (a->flows.n > 0 || b->flows.n > 0); i++) {
		relays_turn(1);
		while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1)
			close(fd);
	}
	ck_assert_uint_eq(a->flows.n, 0);
	ck_assert_uint_eq(b->flows.n, 0);
	clock_skip(POOL_IDLE_MS + 1000);
	UNTIL(pool_tunnels(a->pool) == 0 && server_tunnels(b->server) == 0);
	ck_assert_uint_eq(a->th.sockets, sockets_a);
	ck_assert_uint_eq(b->th.sockets, sockets_b);
	relay_free(a);
	relay_free(b);
}
END_TEST

START_TEST(rotation_under_load_fails_nothing)
{
	static struct client clients[8];
	struct app app;

	setup_with(MESH);
	echo_start(&app, 8);
	for (int i = 0; i < 8; i++)
		client_start(&clients[i], 1 << 20, SERVICE);
	for (int i = 0; i < 100; i++) {
		relay_identify(i % 2 ? a : b, i % 2 ? ID_WEB : ID_DB);
		ck_assert_int_eq(loop_tick(loop, 1), TULLE_OK);
	}
	run_until_done(clients, 8);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(clients[i].error, 0);
		ck_assert_uint_eq(clients[i].got, 1 << 20);
	}
}
END_TEST

RELAY_MAIN("flow", bytes_come_back_whole_and_half_close_is_passed_on, many_flows_share_few_tunnels,
    a_port_with_nothing_behind_it_resets_the_client, a_peer_that_policy_does_not_allow_is_refused,
    a_live_flow_is_cut_when_policy_changes, a_local_denial_leaves_the_same_record_as_one_of_a_peer,
    an_audit_policy_counts_local_flows_and_those_of_peers, without_a_configuration_nothing_passes_and_it_is_told,
    a_live_flow_between_two_applications_of_one_host_is_cut_too,
    the_next_endpoint_serves_when_one_cannot_be_reached,
    a_silent_endpoint_costs_one_deadline_and_then_the_next_one_serves, an_idle_flow_ends_after_an_hour_and_not_before,
    an_application_that_does_not_accept_is_given_up, an_endpoint_outside_the_mesh_that_does_not_accept_is_given_up,
    plain_flows_end_when_only_the_registry_may_be_reached,
    a_flow_that_is_half_closed_for_ever_ends_as_an_idle_one, random_endings_leak_no_stream_and_no_socket,
    rotation_under_load_fails_nothing)
