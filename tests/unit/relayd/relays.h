/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relays.h - relays without their processes: what a worker is, in the loop
 * of the test, over real sockets in a network namespace of the test's own.
 * Only the redirection is missing.
 *
 *   RELAY_TEST(a_peer_does_something)
 *   {
 *           relays_setup(MESH, MESH);          hosts a (10.0.0.1) and b (10.0.0.2)
 *           ...
 *           UNTIL(b->flows.n == 0);            turns the loop
 *   }
 *
 * The clock is the test's: clock_skip() lets time pass in no time, so that
 * deadlines are tested as they are.
 */
#ifndef TULLE_TESTS_RELAYS_H
#define TULLE_TESTS_RELAYS_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "events/read.h"
#include "flow/flow.h"
#include "hbone/server.h"
#include "io/sock.h"
#include "net/listen.h"
#include "pki.h"
#include "unit.h"

#define HBONE_PORT 15008
#define A_HBONE "10.0.0.1:15008"
#define B_HBONE "10.0.0.2:15008"
#define B_APP "10.0.0.2:9000"
#define SERVICE "10.96.0.1:80"
#define ID_WEB "spiffe://mesh.test/ns/shop/sa/web"
#define ID_DB "spiffe://mesh.test/ns/shop/sa/db"

/* ---- time ------------------------------------------------------------------ */

static _Atomic uint64_t skipped_ns;

static inline uint64_t
real_ns(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* These stand in for base/clock.c. */
uint64_t
clock_mono_ns(void)
{
	return real_ns(CLOCK_BOOTTIME) + skipped_ns;
}

uint64_t
clock_mono_ms(void)
{
	return clock_mono_ns() / NS_PER_MS;
}

uint64_t
clock_wall_ns(void)
{
	return real_ns(CLOCK_REALTIME);
}

int64_t
clock_wall_sec(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_SEC);
}

static inline void
clock_skip(uint64_t ms)
{
	skipped_ns += ms * NS_PER_MS;
}

/* ---- relays ------------------------------------------------------------------ */

/* One relay: what a worker is, without its thread. */
struct host {
	struct thread th;
	struct creds creds;
	struct pool *pool;
	struct server *server;
	struct flows flows;
	struct talks *talks;
	struct hook hook;
	struct listener listener;
	struct events *events;
	struct events_reader *reader;
	unsigned int up, down; /* tunnels that came up, and that ended */
	unsigned int exhausted;
	enum tulle_err down_error; /* why the last one did */
	char ip[ADDR_TEXT];
};

static struct loop *loop;
static struct host *a, *b;
static struct pki *root;

/* What else wants a turn: raw peers (peer.h). */
static void (*relays_idle)(void);

static inline void
relays_turn(int wait_ms)
{
	ck_assert_int_eq(loop_tick(loop, wait_ms), TULLE_OK);
	if (relays_idle != NULL)
		relays_idle();
}

#ifdef TULLE_SANITIZED
#define UNTIL_SEC 60
#else
#define UNTIL_SEC 20
#endif

/* Turns the loop until <cond> holds, for UNTIL_SEC real seconds at most. */
#define UNTIL(cond)                                                                     \
	do {                                                                            \
		uint64_t began = real_ns(CLOCK_BOOTTIME);                               \
                                                                                        \
		while (!(cond)) {                                                       \
			relays_turn(1);                                                 \
			if (real_ns(CLOCK_BOOTTIME) - began > UNTIL_SEC * NS_PER_SEC)   \
				ck_abort_msg("never: %s", #cond);                       \
		}                                                                       \
	} while (0)

/* Lets everything that can happen happen. */
static inline void
relays_settle(void)
{
	for (int i = 0; i < 30; i++)
		relays_turn(1);
}

static inline void
relay_end_of_tick(struct hook *h)
{
	struct host *me = CONTAINER_OF(h, struct host, hook);

	tcp_flush_lent(&me->th);
	hbone_flush_all(&me->th);
	flows_reap(&me->flows);
	pool_reap(me->pool);
	server_reap(me->server);
}

static inline void
relay_tunnel_up(void *arg, const struct hbone *h)
{
	(void)h;
	((struct host *)arg)->up++;
}

static inline void
relay_tunnel_down(void *arg, const struct hbone *h, enum tulle_err e)
{
	struct host *me = arg;

	(void)h;
	me->down++;
	me->down_error = e;
}

static inline void
relay_request(void *arg, struct hbone *h, int32_t id, bool connect, const char *authority)
{
	flow_inbound_tunnel(&((struct host *)arg)->flows, h, id, connect, authority);
}

static const struct server_events relay_server_events = { relay_tunnel_up, relay_tunnel_down, relay_request };
static const struct pool_events relay_pool_events = { relay_tunnel_up, relay_tunnel_down };

static inline void
relay_accept(void *arg, int fd)
{
	struct host *me = arg;
	struct addr peer = { 0 }, local = { 0 };
	const char *own = NULL;

	(void)sock_peer(fd, &peer);
	if (me->flows.snapshot != NULL && sock_local(fd, &local) == TULLE_OK)
		own = snapshot_identity_at(me->flows.snapshot, &local);
	(void)server_accept(me->server, fd, &peer, own);
}

static inline void
relay_exhausted(void *arg)
{
	((struct host *)arg)->exhausted++;
}

/* What identities.yaml says to a host that is configured next; NULL: nothing.  Users are numbers. */
static const char *relay_identities;

/* The snapshot of a host whose address is <ip>. */
static inline struct snapshot *
relay_snapshot(const char *ip, const char *manifest, uint64_t generation)
{
	const struct manifest_file file = { "mesh.yaml", manifest, strlen(manifest) };
	struct snapshot_input in = { .files = &file, .n_files = 1, .n_local = 1, .generation = generation };
	static struct problems problems;
	struct host_config *config;
	struct snapshot *s;
	struct addr local;

	problems_init(&problems);
	ck_assert_int_eq(addr_parse_ip(&local, ip), TULLE_OK);
	ck_assert_int_eq(host_config_parse(&config, "tulle.yaml", "trustDomain: mesh.test\n", 23, &problems), TULLE_OK);
	in.local = &local;
	in.host = config;
	if (relay_identities != NULL)
		ck_assert(identities_parse(&in.identities, "identities.yaml", relay_identities, strlen(relay_identities), &problems) ==
		              TULLE_OK && identities_resolve(in.identities, NULL, NULL, &problems) == TULLE_OK);
	if (snapshot_load(&s, &in, &problems) != TULLE_OK)
		ck_abort_msg("%s", problems.n > 0 ? problems.list[0].line : "no snapshot");
	host_config_free(config);
	return s;
}

static inline void
relay_configure(struct host *h, const char *manifest)
{
	static uint64_t generation = 1;
	struct snapshot *s = relay_snapshot(h->ip, manifest, ++generation);

	flows_configure(&h->flows, s);
	snapshot_unref(s);
}

/* Gives a host an identity, or another one. */
static inline void
relay_identify(struct host *h, const char *id)
{
	struct pki *leaf = pki_leaf(root, id);
	struct identity_set *set = pki_set(root, "mesh.test", leaf, NULL);

	ck_assert_int_eq(creds_update(&h->creds, set), TULLE_OK);
	identity_set_unref(set);
	pki_free(leaf);
}

static inline struct host *
relay_new(const char *ip, const char *id, const char *manifest)
{
	struct host *h = calloc(1, sizeof(*h));
	struct addr local;
	int segment, fd;

	snprintf(h->ip, sizeof(h->ip), "%s", ip);
	thread_init(&h->th, loop, 0);
	relay_identify(h, id);
	ck_assert_int_eq(pool_new(&h->pool, &h->th, &h->creds, &relay_pool_events, h), TULLE_OK);
	ck_assert_int_eq(server_new(&h->server, &h->th, &h->creds, &relay_server_events, h), TULLE_OK);
	ck_assert_int_eq(events_create(&segment, 1), TULLE_OK);
	ck_assert_int_eq(events_attach(&h->events, segment, -1, 0, 1), TULLE_OK);
	events_set_consumer(h->events, true);
	ck_assert_int_eq(events_reader_open(&h->reader, segment), TULLE_OK);
	close(segment);
	ck_assert_int_eq(talks_new(&h->talks, TALKS_MAX), TULLE_OK);
	flows_init(&h->flows, &h->th, &h->creds, h->pool, events_writer(h->events, 0), h->talks);
	h->flows.ports.outbound = 15001;
	h->flows.ports.inbound = 15006;
	h->flows.ports.hbone = HBONE_PORT;
	h->flows.ports.health = 15021;
	h->flows.ports.authority = 15012;
	relay_configure(h, manifest);
	loop_hook(loop, &h->hook, relay_end_of_tick);
	ck_assert_int_eq(addr_parse_ip(&local, ip), TULLE_OK);
	local.port = HBONE_PORT;
	ck_assert_int_eq(sock_listen(&fd, &local, 128, false), TULLE_OK);
	ck_assert_int_eq(listener_start(&h->listener, &h->th, fd, relay_accept, relay_exhausted, h), TULLE_OK);
	return h;
}

#define MESH \
	"apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n" \
	"spec: {clusterIPs: [10.96.0.1], selector: {app: db}, ports: [{port: 80, targetPort: 9000}]}\n" \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: db-1, namespace: shop}\n" \
	"spec: {address: 10.0.0.2, labels: {app: db}, serviceAccount: db}\n"

#define DENY_ALL \
	"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n" \
	"metadata: {name: nobody, namespace: shop}\nspec: {}\n"

/*
 * A namespace with a loop; addresses 10.0.0.1 to .3, fd00::2.
 *
 * An IPv6 address can be bound at once, but the kernel puts its local route in later, from a work queue.  On a busy
 * machine a connection can be quicker: its SYN finds nobody, and a second later the connection is over.
 */
static inline void
relays_net(void)
{
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(system("ip link set lo up && ip addr add 10.0.0.1/32 dev lo && ip addr add 10.0.0.2/32 dev lo && "
	                        "ip addr add 10.0.0.3/32 dev lo && ip addr add fd00::2/128 dev lo nodad && i=0 && "
	                        "until ip -6 route show table local | grep -q fd00::2; do "
	                        "i=$((i + 1)) && [ $i -lt 1000 ] && sleep 0.01 || exit 1; done"),
	    0);
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
}

/* And a root, but no relay yet. */
static inline void
relays_world(void)
{
	relays_net();
	ck_assert_int_eq(tls_init(), TULLE_OK);
	root = pki_root("mesh.test");
}

/* Hosts a and b; NULL: that one is not there. */
static inline void
relays_setup(const char *manifest_a, const char *manifest_b)
{
	relays_world();
	if (manifest_a != NULL)
		a = relay_new("10.0.0.1", ID_WEB, manifest_a);
	if (manifest_b != NULL)
		b = relay_new("10.0.0.2", ID_DB, manifest_b);
}

/* Ends a host as a process that stops would, so that leaks and late uses show. */
static inline void
relay_free(struct host *h)
{
	flows_end_all(&h->flows, EVENT_DETAIL_SHUTDOWN);
	h->pool = pool_free(h->pool);
	h->server = server_free(h->server);
	flows_reap(&h->flows);
	flows_done(&h->flows);
	h->talks = talks_free(h->talks);
	listener_stop(&h->listener);
	creds_clear(&h->creds);
}

/* The newest record that a host left behind. */
static inline struct conn_event
last_event(struct host *h)
{
	struct conn_event e = { 0 }, next;

	while (events_read(h->reader, 0, &next) == TULLE_OK)
		e = next;
	events_reader_release(h->reader);
	return e;
}

static inline uint64_t
counted(const struct host *h, enum counter_id id)
{
	return events_reader_counter(h->reader, id);
}

/* ---- applications: sockets of the test, non-blocking ------------------------------ */

static inline struct addr
at(const char *text)
{
	struct addr x;

	ck_assert_msg(addr_parse(&x, text) == TULLE_OK, "%s", text);
	return x;
}

static inline int
app_listen(const char *where)
{
	struct addr x = at(where);
	int fd;

	ck_assert_int_eq(sock_listen(&fd, &x, 1024, false), TULLE_OK);
	return fd;
}

static inline int
app_accept(int listener)
{
	int fd = -1;

	UNTIL((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
	return fd;
}

/* A connection of an application of <h> to <to>, as a redirection would hand it over. */
static inline int
client_open(struct host *h, const char *to)
{
	struct addr where = at("127.0.0.1:15001"), dst = at(to);
	static int listener = -1;
	int client, fd;

	if (listener == -1)
		ck_assert_int_eq(sock_listen(&listener, &where, 1024, false), TULLE_OK);
	ck_assert_int_ne(sock_connect(&client, &where), TULLE_ESYS);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	flow_outbound_to(&h->flows, fd, &dst);
	return client;
}

/* Reads what is there; adds to *got.  1: more may come, 0: the end, else -errno. */
static inline int
app_read(int fd, size_t *got)
{
	static char sink[65536];
	ssize_t n;

	while ((n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		*got += (size_t)n;
	if (n == 0)
		return 0;
	return errno == EAGAIN ? 1 : -errno;
}

/* Writes as many of <n> zero bytes as the socket takes. */
static inline size_t
app_write(int fd, size_t n)
{
	static const char zeros[65536];
	size_t done = 0;
	ssize_t w;

	while (done < n && (w = send(fd, zeros, n - done < sizeof(zeros) ? n - done : sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		done += (size_t)w;
	return done;
}

/* Reads until the end; how it ended, as app_read(). */
static inline int
app_drain(int fd, size_t *got)
{
	int end = 1;

	UNTIL((end = app_read(fd, got)) <= 0);
	return end;
}

/* Sends a text and waits for it at the other end. */
static inline void
app_pass(int from, int to, const char *text)
{
	char back[256];
	size_t len = strlen(text), have = 0;
	ssize_t n;

	ck_assert_int_eq(send(from, text, len, MSG_NOSIGNAL), (ssize_t)len);
	while (have < len) {
		n = -1;
		UNTIL((n = recv(to, back + have, len - have, MSG_DONTWAIT)) != -1 || errno != EAGAIN);
		ck_assert_int_gt(n, 0);
		have += (size_t)n;
	}
	ck_assert_int_eq(memcmp(back, text, len), 0);
}

static inline void
app_reset(int fd)
{
	sock_reset_on_close(fd);
	close(fd);
}

/* ---- running --------------------------------------------------------------------- */

/* Needs root; without it the tests are skipped, and say so. */
#define RELAY_MAIN(name, ...)                                                         \
	int main(void)                                                                \
	{                                                                             \
		const TTest *tests[] = { __VA_ARGS__ };                               \
		Suite *suite = suite_create(name);                                    \
		TCase *tc = tcase_create(name);                                       \
		SRunner *runner;                                                      \
		int failed;                                                           \
                                                                                      \
		if (geteuid() != 0) {                                                 \
			puts("100%: skipped: needs root for a network namespace");   \
			return EXIT_SUCCESS;                                          \
		}                                                                     \
		tcase_set_timeout(tc, 120);                                           \
		for (size_t i = 0; i < ARRAY_LEN(tests); i++)                         \
			tcase_add_test(tc, tests[i]);                                 \
		suite_add_tcase(suite, tc);                                           \
		runner = srunner_create(suite);                                       \
		srunner_run_all(runner, CK_NORMAL);                                   \
		failed = srunner_ntests_failed(runner);                               \
		srunner_free(runner);                                                 \
		return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;                     \
	}

#endif
