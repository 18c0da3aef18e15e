/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Channels in pairs over socketpair(), on one real loop. */
#include "tls/channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"
#include "pair.h"
#include "unit.h"

struct end {
	struct channel *c;
	struct buf got;
	int ready, drained, closed;
	enum tulle_err why;
	bool free_on_read, finish_when_ready;
	char error[160];
};

static struct loop *loop;
static struct end a, b; /* client and server */

static void
on_ready(struct channel *c, void *arg)
{
	struct end *e = arg;

	e->ready++;
	if (e->finish_when_ready)
		channel_finish(c);
}

static void
on_read(struct channel *c, const uint8_t *p, size_t n, void *arg)
{
	struct end *e = arg;

	ck_assert_int_eq(buf_append(&e->got, p, n), TULLE_OK);
	if (e->free_on_read)
		e->c = channel_free(c);
}

static void
on_drained(struct channel *c, void *arg)
{
	(void)c;
	((struct end *)arg)->drained++;
}

static void
on_closed(struct channel *c, enum tulle_err why, void *arg)
{
	struct end *e = arg;

	e->closed++;
	e->why = why;
	(void)snprintf(e->error, sizeof(e->error), "%s", channel_error(c));
	e->c = channel_free(c);
}

static const struct channel_handler handler = { on_ready, on_read, on_drained, on_closed };

/* Runs the loop until nothing happens for a while, at most <ms>. */
static void
run(int ms)
{
	uint64_t until;

	ck_assert_int_eq(loop_tick(loop, 0), TULLE_OK);
	until = loop_now(loop) + (uint64_t)ms;
	while (loop_now(loop) < until && !(a.closed && b.closed))
		ck_assert_int_eq(loop_tick(loop, 5), TULLE_OK);
}

static void
open_pair(const struct channel_options *oa, const struct channel_options *ob)
{
	int fds[2];

	a = (struct end){ .got = buf_new(16 << 20) };
	b = (struct end){ .got = buf_new(16 << 20) };
	ck_assert_int_eq(loop_new(&loop), TULLE_OK);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(channel_new(&a.c, loop, fds[0], oa, &handler, &a), TULLE_OK);
	ck_assert_int_eq(channel_new(&b.c, loop, fds[1], ob, &handler, &b), TULLE_OK);
}

static void
close_pair(void)
{
	channel_free(a.c);
	channel_free(b.c);
	buf_free(&a.got);
	buf_free(&b.got);
	loop_free(loop);
}

START_TEST(plain_bytes_come_through_and_finish_ends_both)
{
	open_pair(NULL, NULL);
	ck_assert_int_eq(channel_write(a.c, "too early", 9), TULLE_EPEER);
	run(20);
	ck_assert_int_eq(a.ready, 1);
	ck_assert_int_eq(b.ready, 1);
	ck_assert_int_eq(channel_write(a.c, "hello ", 6), TULLE_OK);
	ck_assert_int_eq(channel_write(a.c, "there", 5), TULLE_OK);
	ck_assert_uint_eq(channel_pending(a.c), 11);
	run(20);
	ck_assert_mem_eq(buf_head(&b.got), "hello there", 11);
	ck_assert_int_eq(a.drained, 1);
	ck_assert_int_eq(channel_write(a.c, "bye", 3), TULLE_OK);
	channel_finish(a.c);
	run(1000);
	ck_assert_uint_eq(buf_len(&b.got), 14);
	ck_assert_int_eq(a.why, TULLE_EOF);
	ck_assert_int_eq(b.why, TULLE_EOF);
	close_pair();
}
END_TEST

START_TEST(the_output_is_bounded_all_or_nothing)
{
	struct channel_options o = { .out_max = 1000 };
	char bytes[1000] = { 0 };

	open_pair(&o, NULL);
	run(20);
	ck_assert_int_eq(channel_write(a.c, bytes, 600), TULLE_OK);
	ck_assert_int_eq(channel_write(a.c, bytes, 600), TULLE_ELIMIT);
	ck_assert_int_eq(channel_write(a.c, bytes, 400), TULLE_OK);
	run(20);
	ck_assert_uint_eq(buf_len(&b.got), 1000);
	close_pair();
}
END_TEST

START_TEST(a_paused_channel_reads_nothing_and_does_not_spin)
{
	open_pair(NULL, NULL);
	run(20);
	channel_pause(b.c, true);
	ck_assert_int_eq(channel_write(a.c, "x", 1), TULLE_OK);
	run(20);
	ck_assert_uint_eq(buf_len(&b.got), 0);
	a.c = channel_free(a.c); /* hang-up while paused */
	run(50);
	ck_assert_int_eq(b.closed, 0);
	channel_pause(b.c, false);
	run(50);
	ck_assert_uint_eq(buf_len(&b.got), 1);
	ck_assert_int_eq(b.closed, 1);
	close_pair();
}
END_TEST

START_TEST(a_user_may_free_it_inside_read)
{
	open_pair(NULL, NULL);
	b.free_on_read = true;
	run(20);
	ck_assert_int_eq(channel_write(a.c, "x", 1), TULLE_OK);
	run(50);
	ck_assert_ptr_null(b.c);
	ck_assert_int_eq(b.closed, 0);
	ck_assert_int_eq(a.closed, 1);
	close_pair();
}
END_TEST

/* Options for TLS over the contexts of a pair. */
static struct pair p;
static const char *const expected[] = { PAIR_SERVER };

static void
open_tls(const struct tls_session_options *session)
{
	struct channel_options oa = { .tls = p.client_ctx, .session = { .expected = expected, .expected_n = 1 } };
	struct channel_options ob = { .tls = p.server_ctx };

	if (session != NULL)
		oa.session = *session;
	open_pair(&oa, &ob);
}

START_TEST(tls_megabytes_come_through)
{
	size_t n = 900000;
	uint8_t *data = malloc(n);

	p = pair_contexts();
	open_tls(NULL);
	run(50);
	ck_assert_int_eq(a.ready + b.ready, 2);
	ck_assert_str_eq(tls_session_peer_id(channel_session(b.c)), PAIR_CLIENT);
	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(i ^ i >> 9);
	ck_assert_int_eq(channel_write(a.c, data, n), TULLE_OK);
	channel_finish(a.c);
	run(2000);
	ck_assert_uint_eq(buf_len(&b.got), n);
	ck_assert_mem_eq(buf_head(&b.got), data, n);
	ck_assert_int_eq(a.why, TULLE_EOF);
	ck_assert_int_eq(b.why, TULLE_EOF);
	free(data);
	close_pair();
	pair_free(&p);
}
END_TEST

START_TEST(a_refused_server_hears_why)
{
	static const char *const other[] = { "spiffe://mesh.test/ns/shop/sa/other" };
	struct tls_session_options o = { .expected = other, .expected_n = 1 };

	p = pair_contexts();
	open_tls(&o);
	run(1500);
	ck_assert_int_eq(a.why, TULLE_EDENIED);
	ck_assert_int_eq(b.why, TULLE_EDENIED);
	ck_assert_str_eq(a.error, svid_reason_phrase(SVID_UNEXPECTED_ID));
	ck_assert_str_eq(b.error, "the peer sent the alert bad_certificate");
	close_pair();
	pair_free(&p);
}
END_TEST

/* The server refuses after the client is content: the client's bytes are under way and a reset would eat the alert. */
START_TEST(a_refused_client_hears_why_though_it_has_written)
{
	struct issue what = pki_leaf_body(PAIR_CLIENT);
	struct tls_context *bad;
	struct identity *id;
	struct pki *leaf;

	p = pair_contexts();
	what.not_after = pki_now() - 10;
	leaf = pki_issue(p.root, &what);
	id = pki_identity(leaf, "");
	ck_assert_int_eq(tls_context_mesh_client(&bad, id, p.verifier, NULL), TULLE_OK);
	tls_context_unref(p.client_ctx);
	p.client_ctx = bad;
	open_tls(NULL);
	while (a.ready == 0)
		ck_assert_int_eq(loop_tick(loop, 10), TULLE_OK);
	ck_assert_int_eq(channel_write(a.c, "PRI * HTTP/2.0", 14), TULLE_OK);
	run(1500);
	ck_assert_int_eq(b.why, TULLE_EDENIED);
	ck_assert_str_eq(b.error, svid_reason_phrase(SVID_EXPIRED));
	ck_assert_int_eq(a.why, TULLE_EDENIED);
	ck_assert_ptr_nonnull(strstr(a.error, "alert"));
	close_pair();
	identity_unref(id);
	pki_free(leaf);
	pair_free(&p);
}
END_TEST

START_TEST(a_silent_peer_runs_into_the_deadline)
{
	struct channel_options oa = { .ready_ms = 100 };

	p = pair_contexts();
	oa.tls = p.server_ctx;
	open_pair(&oa, NULL);
	run(400);
	ck_assert_int_eq(a.why, TULLE_ETIMEDOUT);
	close_pair();
	pair_free(&p);
}
END_TEST

START_TEST(idleness_ends_it_but_traffic_keeps_it)
{
	struct channel_options oa = { .idle_ms = 120 };

	open_pair(&oa, NULL);
	for (int i = 0; i < 5; i++) {
		run(60);
		ck_assert_int_eq(a.closed, 0);
		ck_assert_int_eq(channel_write(b.c, "x", 1), TULLE_OK);
	}
	run(400);
	ck_assert_int_eq(a.why, TULLE_ETIMEDOUT);
	close_pair();
}
END_TEST

START_TEST(tls_that_breaks_off_is_no_good_end)
{
	p = pair_contexts();
	open_tls(NULL);
	run(50);
	a.c = channel_free(a.c); /* without close_notify */
	run(100);
	ck_assert_int_eq(b.why, TULLE_ERESET);
	close_pair();
	pair_free(&p);
}
END_TEST

START_TEST(finishing_before_it_is_open_ends_it)
{
	p = pair_contexts();
	open_tls(NULL);
	channel_finish(a.c);
	run(500);
	ck_assert_int_eq(a.why, TULLE_EOF);
	ck_assert_int_eq(b.closed, 1);
	close_pair();
	open_pair(NULL, NULL);
	a.finish_when_ready = true;
	run(500);
	ck_assert_int_eq(a.closed + b.closed, 2);
	close_pair();
	pair_free(&p);
}
END_TEST

UNIT_MAIN("channel", plain_bytes_come_through_and_finish_ends_both, the_output_is_bounded_all_or_nothing,
    a_paused_channel_reads_nothing_and_does_not_spin, a_user_may_free_it_inside_read, tls_megabytes_come_through,
    a_refused_server_hears_why, a_refused_client_hears_why_though_it_has_written, a_silent_peer_runs_into_the_deadline,
    idleness_ends_it_but_traffic_keeps_it, tls_that_breaks_off_is_no_good_end, finishing_before_it_is_open_ends_it)
