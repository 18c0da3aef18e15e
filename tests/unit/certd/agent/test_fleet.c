/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An authority's server and a member on one loop, over real TLS on loopback. */
#include "agent/fleet.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../scratch.h"
#include "agent/cache.h"
#include "authority/members.h"
#include "authority/server.h"
#include "authority/ttl.h"
#include "base/clock.h"
#include "base/log.h"
#include "grpc/client.h"
#include "io/sock.h"
#include "proto/authority.pb-c.h"
#include "store/crypt.h"
#include "tls/context.h"
#include "tls/issue.h"
#include "unit.h"

#define TD "fleet.test"

static const uint8_t seal[32] = { 5 };

static struct world {
	char *dir, *member_dir;
	struct loop *loop;
	struct store *store, *member_store;
	struct authority *authority;
	struct authority_server *server;
	struct published published;
	struct fleet *fleet;
	struct addr at;
	int joined, back, certificates, failures, sets;
	bool refuse; /* the sets */
	bool join_done;
	char join_error[256], failure[256];
	struct key *key; /* of the orders */
} w;

static void
certificate(void *arg, const char *id, const uint8_t *chain, size_t chain_len, const uint8_t *roots, size_t roots_len)
{
	struct svid_facts f;
	struct der parts[DER_CHAIN_CERTS];
	size_t n;

	(void)arg;
	ck_assert_int_eq(der_split(chain, chain_len, parts, DER_CHAIN_CERTS, &n), TULLE_OK);
	ck_assert_int_eq(svid_read(&f, parts[0].p, parts[0].len), TULLE_OK);
	ck_assert_str_eq(f.id, id);
	ck_assert_uint_eq(roots_len, authority_roots(w.authority).len);
	ck_assert_mem_eq(roots, authority_roots(w.authority).p, roots_len);
	w.certificates++;
}

static void
failed(void *arg, const char *id, const char *why)
{
	(void)arg;
	(void)id;
	(void)snprintf(w.failure, sizeof(w.failure), "%s", why);
	w.failures++;
}

static void
is_joined(void *arg)
{
	(void)arg;
	w.joined++;
}

static void
is_back(void *arg)
{
	(void)arg;
	w.back++;
}

static void
is_waiting(void *arg, const char *why)
{
	(void)arg;
	(void)why;
}

static void
manifests(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	w.sets++;
	ck_assert_uint_eq(n, buf_len(&w.published.message));
	ck_assert_mem_eq(p, buf_head(&w.published.message), n);
	fleet_have(w.fleet, w.refuse ? 0 : w.published.number, w.published.digest, w.refuse ? "no room" : "");
}

static const struct fleet_handler handler = { certificate, failed, is_back, is_waiting, is_joined, manifests };

static void
join_done(void *arg, const char *error)
{
	(void)arg;
	w.join_done = true;
	(void)snprintf(w.join_error, sizeof(w.join_error), "%s", error != NULL ? error : "");
}

static void
serve(void)
{
	ck_assert_int_eq(authority_server_new(&w.server, w.loop, &w.at, w.authority, w.store, NULL, TD, 3600, &w.published), TULLE_OK);
}

static void
pick_port(void)
{
	int fd;

	ck_assert_int_eq(addr_parse(&w.at, "127.0.0.1:1"), TULLE_OK);
	w.at.port = 0;
	ck_assert_int_eq(sock_listen(&fd, &w.at, 1, false), TULLE_OK);
	ck_assert_int_eq(sock_local(fd, &w.at), TULLE_OK);
	(void)close(fd);
}

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	ck_assert_int_eq(tls_init(), TULLE_OK);
	memset(&w, 0, sizeof(w));
	w.dir = scratch_new();
	w.member_dir = scratch_new();
	ck_assert_int_eq(loop_new(&w.loop), TULLE_OK);
	ck_assert_int_eq(store_open(&w.store, w.dir), TULLE_OK);
	ck_assert_int_eq(store_open(&w.member_store, w.member_dir), TULLE_OK);
	ck_assert_int_eq(authority_open(&w.authority, w.store, w.dir, TD), TULLE_OK);
	ck_assert_int_eq(authority_create(w.authority, clock_wall_sec()), TULLE_OK);
	(void)authority_advance(w.authority, 3600, clock_wall_sec());
	ck_assert_int_eq(key_generate(&w.key), TULLE_OK);
	pick_port();
	serve();
	ck_assert_int_eq(fleet_new(&w.fleet, w.loop, w.member_store, w.member_dir, seal, &handler, NULL), TULLE_OK);
}

static void
tear_down(void)
{
	fleet_free(w.fleet);
	authority_server_free(w.server);
	authority_close(w.authority);
	store_close(w.store);
	store_close(w.member_store);
	key_unref(w.key);
	loop_free(w.loop);
	scratch_free(w.dir);
	scratch_free(w.member_dir);
}

/* Runs the loop until <what> is at least <n>, five seconds at most. */
static void
until(const int *what, int n)
{
	uint64_t end = clock_mono_ms() + 5000;

	while (*what < n) {
		ck_assert_msg(clock_mono_ms() < end, "still %d, not %d; join: %s, failure: %s", *what, n, w.join_error, w.failure);
		ck_assert_int_eq(loop_tick(w.loop, 10), TULLE_OK);
	}
}

static void
until_join_is_done(void)
{
	uint64_t end = clock_mono_ms() + 5000;

	while (!w.join_done) {
		ck_assert(clock_mono_ms() < end);
		ck_assert_int_eq(loop_tick(w.loop, 10), TULLE_OK);
	}
}

static struct token
token(void)
{
	const char *accounts[] = { "shop/cart", "shop/jobs" };
	struct token_order o = { .accounts = accounts, .n_accounts = 2, .ttl = 60, .uses = 1, .authority = w.at };
	char why[MEMBER_WHY];
	struct token t;

	ck_assert_int_eq(token_create(w.store, &o, authority_pin(w.authority), clock_wall_sec(), &t, why), TULLE_OK);
	return t;
}

static void
join(const struct token *t)
{
	w.join_done = false;
	ck_assert_int_eq(fleet_join(w.fleet, t, NULL, join_done, NULL), TULLE_OK);
	ck_assert_int_eq(fleet_join(w.fleet, t, NULL, join_done, NULL), TULLE_EBUSY);
	until_join_is_done();
}

static void
order(const char *id, const char *in_request)
{
	struct buf csr = buf_new(DER_CERT_MAX);

	ck_assert_int_eq(issue_request(&csr, in_request, w.key), TULLE_OK);
	fleet_order(w.fleet, id, 600, buf_head(&csr), buf_len(&csr));
	buf_free(&csr);
}

START_TEST(join_order_and_restart)
{
	struct token t;
	json_t *status;

	set_up();
	t = token();
	ck_assert(!fleet_is_member(w.fleet));
	order("spiffe://" TD "/ns/shop/sa/cart", "spiffe://" TD "/ns/shop/sa/cart");
	until(&w.failures, 1);
	ck_assert_str_eq(w.failure, "this host has not joined yet");
	join(&t);
	ck_assert_str_eq(w.join_error, "");
	ck_assert_int_eq(w.joined, 1);
	ck_assert_str_eq(fleet_td(w.fleet), TD);
	/* Several orders are one call; what is not allowed fails alone. */
	order("spiffe://" TD "/ns/shop/sa/cart", "spiffe://" TD "/ns/shop/sa/cart");
	order("spiffe://" TD "/ns/shop/sa/jobs", "spiffe://" TD "/ns/shop/sa/jobs");
	order("spiffe://" TD "/ns/shop/sa/other", "spiffe://" TD "/ns/shop/sa/other");
	until(&w.certificates, 2);
	until(&w.failures, 2);
	ck_assert_ptr_nonnull(strstr(w.failure, "did not allow"));
	/* A request for one account that names another identity. */
	order("spiffe://" TD "/ns/shop/sa/cart", "spiffe://" TD "/ns/shop/sa/jobs");
	until(&w.failures, 3);
	ck_assert_ptr_nonnull(strstr(w.failure, "another identity"));
	/* Again after a restart of the member, without a token. */
	fleet_free(w.fleet);
	ck_assert_int_eq(fleet_new(&w.fleet, w.loop, w.member_store, w.member_dir, seal, &handler, NULL), TULLE_OK);
	ck_assert(fleet_is_member(w.fleet));
	order("spiffe://" TD "/ns/shop/sa/cart", "spiffe://" TD "/ns/shop/sa/cart");
	until(&w.certificates, 3);
	status = fleet_status(w.fleet);
	ck_assert(json_is_true(json_object_get(status, "joined")));
	ck_assert_uint_eq(json_array_size(json_object_get(status, "accounts")), 2);
	json_decref(status);
	status = authority_server_status(w.server);
	ck_assert_int_eq((int)value_int(status, "joins"), 1);
	ck_assert_int_eq((int)value_int(status, "certificates"), 3);
	json_decref(status);
	tear_down();
}
END_TEST

START_TEST(a_join_that_is_refused_says_why)
{
	struct token t, bad;

	set_up();
	t = token();
	bad = t;
	bad.pin[0] ^= 1;
	join(&bad);
	ck_assert_ptr_nonnull(strstr(w.join_error, "pinned"));
	bad = t;
	bad.secret[0] ^= 1;
	join(&bad);
	ck_assert_ptr_nonnull(strstr(w.join_error, "refused the token"));
	bad = t;
	bad.authority.port ^= 1;
	join(&bad);
	ck_assert_ptr_nonnull(strstr(w.join_error, "authority 127.0.0.1"));
	w.join_done = false;
	ck_assert_int_eq(fleet_join(w.fleet, &t, "other.test", join_done, NULL), TULLE_OK);
	until_join_is_done();
	ck_assert_ptr_nonnull(strstr(w.join_error, "other.test"));
	ck_assert_ptr_null(fleet_td(w.fleet));
	join(&t); /* the same host again: the answer that it did not want counts as lost */
	ck_assert_str_eq(w.join_error, "");
	tear_down();
}
END_TEST

/* Makes the node's certificate due, as if half of its life had passed, and starts anew from disk. */
static void
make_due(int64_t renew_at)
{
	char path[512];
	json_t *saved;

	(void)snprintf(path, sizeof(path), "%s/node", w.member_dir);
	fleet_free(w.fleet);
	ck_assert_int_eq(cache_read(path, seal, &saved), TULLE_OK);
	(void)json_object_set_new(saved, "renew_at", json_integer(renew_at));
	ck_assert_int_eq(cache_write(path, seal, saved), TULLE_OK);
	ck_assert_int_eq(fleet_new(&w.fleet, w.loop, w.member_store, w.member_dir, seal, &handler, NULL), TULLE_OK);
}

static void
member_serials(char now[64], char next[64])
{
	json_t *copy = json_deep_copy(store_table(w.store, "member")), *m;
	const char *node;

	json_object_foreach (copy, node, m) {
		(void)snprintf(now, 64, "%s", value_text(m, "serial"));
		(void)snprintf(next, 64, "%s", value_text(m, "next_serial"));
	}
	json_decref(copy);
}

START_TEST(the_nodes_certificate_is_renewed_in_two_phases)
{
	char before[64], next[64], after[64];
	struct token t;

	set_up();
	t = token();
	join(&t);
	member_serials(before, next);
	ck_assert_str_eq(next, "");
	make_due(1);
	for (int i = 0; i < 300 && next[0] == '\0'; i++) {
		ck_assert_int_eq(loop_tick(w.loop, 10), TULLE_OK);
		member_serials(after, next);
	}
	ck_assert_str_ne(next, "");
	ck_assert_str_eq(after, before); /* both are good until the new one is used */
	order("spiffe://" TD "/ns/shop/sa/cart", "spiffe://" TD "/ns/shop/sa/cart");
	until(&w.certificates, 1);
	member_serials(after, before);
	ck_assert_str_eq(after, next);
	ck_assert_str_eq(before, "");
	tear_down();
}
END_TEST

START_TEST(an_authority_that_comes_back_is_noticed)
{
	struct token t;

	set_up();
	t = token();
	join(&t);
	w.server = authority_server_free(w.server);
	order("spiffe://" TD "/ns/shop/sa/cart", "spiffe://" TD "/ns/shop/sa/cart");
	until(&w.failures, 1);
	ck_assert_ptr_nonnull(strstr(w.failure, "authority"));
	serve();
	order("spiffe://" TD "/ns/shop/sa/cart", "spiffe://" TD "/ns/shop/sa/cart");
	until(&w.certificates, 1);
	ck_assert_int_eq(w.back, 1);
	tear_down();
}
END_TEST

/* ---- what an honest member would never send ---- */

static struct {
	int finished;
	enum grpc_status status;
} reply;

static void
reply_message(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
}

static void
reply_finished(void *arg, enum grpc_status status, const char *text)
{
	(void)arg;
	(void)text;
	reply.status = status;
	reply.finished++;
}

static void
gone(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
}

static enum grpc_status
ask_as_stranger(const char *path, const void *p, size_t n)
{
	static const struct grpc_handler h = { reply_message, reply_finished };
	struct grpc_client_options o = { 0 };
	struct grpc_client *c;
	struct grpc_request *r;
	struct verifier *v;

	ck_assert_int_eq(verifier_new_pinned(&v, authority_pin(w.authority)), TULLE_OK);
	ck_assert_int_eq(tls_context_mesh_client(&o.channel.tls, NULL, v, &(struct tls_options){ .alpn = "h2" }), TULLE_OK);
	ck_assert_int_eq(
	    grpc_client_connect(&c, w.loop, &w.at, &o, &(struct grpc_client_events){ .closed = gone }, NULL), TULLE_OK);
	reply.finished = 0;
	ck_assert_int_eq(grpc_start(c, &r, path, p, n, NULL, 0, 3000, &h, NULL), TULLE_OK);
	until(&reply.finished, 1);
	grpc_client_free(c);
	tls_context_unref(o.channel.tls);
	verifier_unref(v);
	return reply.status;
}

START_TEST(a_stranger_gets_nothing)
{
	Tulle__V1__SignRequest sign;
	Tulle__V1__RenewRequest renew;
	uint8_t packed[256];
	char id[SPIFFE_ID_MAX + 1];

	set_up();
	tulle__v1__sign_request__init(&sign);
	tulle__v1__renew_request__init(&renew);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Sign", packed, tulle__v1__sign_request__pack(&sign, packed)),
	    GRPC_PERMISSION_DENIED);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Renew", packed, tulle__v1__renew_request__pack(&renew, packed)),
	    GRPC_PERMISSION_DENIED);
	renew.node_id = member_id(id, TD, "0123456789abcdef");
	renew.voucher = (ProtobufCBinaryData){ .data = (uint8_t[]){ 0x30, 0 }, .len = 2 };
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Renew", packed, tulle__v1__renew_request__pack(&renew, packed)),
	    GRPC_PERMISSION_DENIED);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Join", "", 0), GRPC_PERMISSION_DENIED);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Join", "\xff\xff", 2), GRPC_INVALID_ARGUMENT);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Sign", "\xff\xff", 2), GRPC_INVALID_ARGUMENT);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Renew", "\xff\xff", 2), GRPC_INVALID_ARGUMENT);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Manifests", "", 0), GRPC_PERMISSION_DENIED);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/Manifests", "\xff\xff", 2), GRPC_INVALID_ARGUMENT);
	ck_assert_int_eq(ask_as_stranger("/tulle.v1.Authority/None", "", 0), GRPC_UNIMPLEMENTED);
	tear_down();
}
END_TEST

/* ---- manifests ---- */

static void
publish(const char *text)
{
	struct manifest_file item = { "a.yaml", text, strlen(text) };
	char why[GENERATION_WHY];
	bool changed;

	if (w.published.path == NULL)
		ck_assert_int_eq(publish_open(&w.published, w.store, w.authority, w.dir, TD), TULLE_OK);
	ck_assert_int_eq(publish_files(&w.published, &(struct manifest_files){ &item, 1, strlen(text) }, clock_wall_sec(), &changed, why),
	    TULLE_OK);
	ck_assert(changed);
	authority_server_published(w.server);
}

static int
held(void)
{
	json_t *status = authority_server_status(w.server);
	int n = (int)value_int(status, "manifests_held");

	json_decref(status);
	return n;
}

static void
until_held(void)
{
	uint64_t end = clock_mono_ms() + 5000;

	while (held() == 0) {
		ck_assert(clock_mono_ms() < end);
		ck_assert_int_eq(loop_tick(w.loop, 10), TULLE_OK);
	}
}

static void
turn(int ms)
{
	uint64_t end = clock_mono_ms() + (uint64_t)ms;

	while (clock_mono_ms() < end)
		ck_assert_int_eq(loop_tick(w.loop, 10), TULLE_OK);
}

START_TEST(a_member_that_follows_is_given_each_generation_at_once)
{
	struct token t;
	const char *error;
	uint64_t began;

	set_up();
	publish("one");
	t = token();
	join(&t);
	turn(100);
	ck_assert_int_eq(w.sets, 0); /* it does not follow */
	fleet_follow(w.fleet, true);
	until(&w.sets, 1);
	until_held();
	ck_assert_int_ne(fleet_manifests_heard(w.fleet, &error), 0);
	began = clock_mono_ms();
	publish("two");
	until(&w.sets, 2);
	ck_assert_uint_lt(clock_mono_ms() - began, 1000);
	until_held();
	ck_assert_int_eq(held(), 1);
	/* Certificates go over the same connection meanwhile. */
	order("spiffe://" TD "/ns/shop/sa/cart", "spiffe://" TD "/ns/shop/sa/cart");
	until(&w.certificates, 1);
	ck_assert_int_eq(held(), 1);
	publish_close(&w.published);
	tear_down();
}
END_TEST

/* As after a restart, or when the authority was away: it knows within a moment that it is not behind. */
START_TEST(a_member_that_has_the_newest_already_is_told_so_before_it_is_held)
{
	const char *error;
	struct token t;

	set_up();
	publish("one");
	t = token();
	join(&t);
	fleet_have(w.fleet, w.published.number, w.published.digest, "");
	fleet_follow(w.fleet, true);
	until_held();
	ck_assert_int_ne(fleet_manifests_heard(w.fleet, &error), 0);
	w.server = authority_server_free(w.server);
	turn(100);
	(void)fleet_manifests_heard(w.fleet, &error);
	ck_assert_str_ne(error, "");
	serve();
	until_held();
	(void)fleet_manifests_heard(w.fleet, &error);
	ck_assert_str_eq(error, "");
	ck_assert_int_eq(w.sets, 0);
	publish_close(&w.published);
	tear_down();
}
END_TEST

START_TEST(a_set_that_was_refused_is_not_sent_again_at_once)
{
	struct token t;

	set_up();
	publish("one");
	t = token();
	join(&t);
	w.refuse = true;
	fleet_have(w.fleet, 0, w.published.digest, "");
	fleet_follow(w.fleet, true);
	until(&w.sets, 1);
	turn(500);
	ck_assert_int_eq(w.sets, 1);
	publish_close(&w.published);
	tear_down();
}
END_TEST

START_TEST(a_banned_member_waits_in_vain)
{
	struct token t;
	const char *node;

	set_up();
	publish("one");
	t = token();
	join(&t);
	fleet_follow(w.fleet, true);
	until(&w.sets, 1);
	until_held();
	node = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)store_table(w.store, "member")));
	ck_assert_int_eq((int)value_int(authority_server_has(w.server, node), "number"), (int)w.published.number);
	ck_assert_int_eq(member_ban(w.store, node, true), TULLE_OK);
	publish("two"); /* found out when it is to be sent ... */
	turn(300);
	ck_assert_int_eq(w.sets, 1);
	ck_assert_int_eq(member_ban(w.store, node, false), TULLE_OK);
	fleet_follow(w.fleet, false);
	fleet_follow(w.fleet, true);
	until(&w.sets, 2);
	until_held();
	authority_server_banned(w.server, node); /* ... or at once */
	ck_assert_int_eq(held(), 0);
	ck_assert_ptr_null(authority_server_has(w.server, node));
	publish_close(&w.published);
	tear_down();
}
END_TEST

START_TEST(an_authority_that_comes_back_is_asked_again)
{
	const char *error;
	struct token t;

	set_up();
	publish("one");
	t = token();
	join(&t);
	fleet_follow(w.fleet, true);
	until(&w.sets, 1);
	until_held();
	w.server = authority_server_free(w.server);
	turn(100);
	(void)fleet_manifests_heard(w.fleet, &error);
	ck_assert_str_ne(error, "");
	serve();
	publish("two");
	until(&w.sets, 2); /* the first try comes after one to three seconds */
	(void)fleet_manifests_heard(w.fleet, &error);
	ck_assert_str_eq(error, "");
	publish_close(&w.published);
	tear_down();
}
END_TEST

UNIT_MAIN("certd/fleet", join_order_and_restart, a_member_that_follows_is_given_each_generation_at_once,
    a_member_that_has_the_newest_already_is_told_so_before_it_is_held, a_set_that_was_refused_is_not_sent_again_at_once, a_banned_member_waits_in_vain, an_authority_that_comes_back_is_asked_again, a_join_that_is_refused_says_why,
    the_nodes_certificate_is_renewed_in_two_phases, an_authority_that_comes_back_is_noticed, a_stranger_gets_nothing)
