/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two relays in one loop: flows of one reach the applications of the other
 * through a real tunnel over real sockets, in a network namespace of the
 * test's own.  Only the redirection is missing.
 */
#include "flow/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hbone/server.h"
#include "io/sock.h"
#include "net/listen.h"
#include "pki.h"
#include "unit.h"

#define HBONE_PORT 15008
#define APP_PORT 9000

/* One relay: what a worker is, without its thread. */
struct host {
	struct thread th;
	struct creds creds;
	struct pool *pool;
	struct server *server;
	struct flows flows;
	struct hook hook;
	struct listener listener;
	struct events *events;
	unsigned int up, down;
};

static struct loop *loop;
static struct host *a, *b;
static struct pki *root;

static void
end_of_tick(struct hook *h)
{
	struct host *me = CONTAINER_OF(h, struct host, hook);

	tcp_flush_lent(&me->th);
	hbone_flush_all(&me->th);
	flows_reap(&me->flows);
	pool_reap(me->pool);
	server_reap(me->server);
}

static void
tunnel_up(void *arg, const struct hbone *h)
{
	(void)h;
	((struct host *)arg)->up++;
}

static void
tunnel_down(void *arg, const struct hbone *h, enum tulle_err e)
{
	(void)h;
	(void)e;
	((struct host *)arg)->down++;
}

static void
request(void *arg, struct hbone *h, int32_t id, bool connect, const char *authority)
{
	flow_inbound_tunnel(&((struct host *)arg)->flows, h, id, connect, authority);
}

static const struct server_events server_events = { tunnel_up, tunnel_down, request };
static const struct pool_events pool_events = { tunnel_up, tunnel_down };

static void
accept_tunnel(void *arg, int fd)
{
	server_accept(((struct host *)arg)->server, fd);
}

static void
exhausted(void *arg)
{
	(void)arg;
}

static struct host *
host_new(const char *ip, const char *id, const char *manifest)
{
	const struct manifest_file file = { "mesh.yaml", manifest, strlen(manifest) };
	struct snapshot_input in = { .files = &file, .n_files = 1, .n_local = 1, .generation = 1 };
	struct host *h = calloc(1, sizeof(*h));
	static struct problems problems;
	struct host_config *config;
	struct identity_set *set;
	struct snapshot *snapshot;
	struct pki *leaf = pki_leaf(root, id);
	struct addr local;
	int segment, fd;

	problems_init(&problems);
	ck_assert_int_eq(addr_parse_ip(&local, ip), TULLE_OK);
	ck_assert_int_eq(host_config_parse(&config, "tulle.yaml", "trustDomain: mesh.test\n", 23, &problems), TULLE_OK);
	in.local = &local;
	in.host = config;
	if (snapshot_load(&snapshot, &in, &problems) != TULLE_OK)
		ck_abort_msg("%s", problems.n > 0 ? problems.list[0].line : "no snapshot");
	thread_init(&h->th, loop, 0);
	set = pki_set(root, "mesh.test", leaf, NULL);
	ck_assert_int_eq(creds_update(&h->creds, set), TULLE_OK);
	identity_set_unref(set);
	ck_assert_int_eq(pool_new(&h->pool, &h->th, &h->creds, &pool_events, h), TULLE_OK);
	ck_assert_int_eq(server_new(&h->server, &h->th, &h->creds, &server_events, h), TULLE_OK);
	ck_assert_int_eq(events_create(&segment, 1), TULLE_OK);
	ck_assert_int_eq(events_attach(&h->events, segment, -1, 0, 1), TULLE_OK);
	close(segment);
	flows_init(&h->flows, &h->th, &h->creds, h->pool, events_writer(h->events, 0));
	h->flows.ports.hbone = HBONE_PORT;
	flows_configure(&h->flows, snapshot);
	snapshot_unref(snapshot);
	loop_hook(loop, &h->hook, end_of_tick);
	local.port = HBONE_PORT;
	ck_assert_int_eq(sock_listen(&fd, &local, 128, false), TULLE_OK);
	ck_assert_int_eq(listener_start(&h->listener, &h->th, fd, accept_tunnel, exhausted, h), TULLE_OK);
	host_config_free(config);
	pki_free(leaf);
	return h;
}

#define MESH \
	"apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n" \
	"spec: {clusterIPs: [10.96.0.1], selector: {app: db}, ports: [{port: 80, targetPort: 9000}]}\n" \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: db-1, namespace: shop}\n" \
	"spec: {address: 10.0.0.2, labels: {app: db}, serviceAccount: db}\n"

static void
setup_with(const char *manifest_b)
{
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(system("ip link set lo up && ip addr add 10.0.0.1/32 dev lo && ip addr add 10.0.0.2/32 dev lo"), 0);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	root = pki_root("mesh.test");
	a = host_new("10.0.0.1", "spiffe://mesh.test/ns/shop/sa/web", MESH);
	b = host_new("10.0.0.2", "spiffe://mesh.test/ns/shop/sa/db", manifest_b);
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
	struct snapshot_input in = { .n_files = 1, .n_local = 1, .generation = 2 };
	const char *text = MESH "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
	                        "metadata: {name: nobody, namespace: shop}\nspec: {}\n";
	const struct manifest_file file = { "mesh.yaml", text, strlen(text) };
	static struct problems problems;
	struct host_config *config;
	struct snapshot *next;
	struct addr local;
	int sent = 0;

	setup_with(MESH);
	echo_start(&app, 1);
	client_start(&c, 64 << 20, "10.96.0.1:80");
	while (c.got < 100000 && sent++ < 100000)
		ck_assert_int_eq(loop_tick(loop, 50), TULLE_OK);
	problems_init(&problems);
	ck_assert_int_eq(addr_parse_ip(&local, "10.0.0.2"), TULLE_OK);
	ck_assert_int_eq(host_config_parse(&config, "tulle.yaml", "trustDomain: mesh.test\n", 23, &problems), TULLE_OK);
	in.files = &file;
	in.local = &local;
	in.host = config;
	ck_assert_int_eq(snapshot_load(&next, &in, &problems), TULLE_OK);
	flows_configure(&b->flows, next);
	snapshot_unref(next);
	host_config_free(config);
	run_until_done(&c, 1);
	ck_assert_int_eq(c.error, ECONNRESET);
	ck_assert_uint_lt(c.got, 64 << 20);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { bytes_come_back_whole_and_half_close_is_passed_on, many_flows_share_few_tunnels,
		a_port_with_nothing_behind_it_resets_the_client, a_peer_that_policy_does_not_allow_is_refused,
		a_live_flow_is_cut_when_policy_changes };
	Suite *suite = suite_create("flow");
	TCase *tc = tcase_create("flow");
	SRunner *runner;
	int failed;

	if (geteuid() != 0) {
		puts("100%: skipped: needs root for a network namespace");
		return EXIT_SUCCESS;
	}
	tcase_set_timeout(tc, 120);
	for (size_t i = 0; i < ARRAY_LEN(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
