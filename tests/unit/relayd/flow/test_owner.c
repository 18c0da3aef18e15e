/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose connection is it: what a flow does while it is being found out, and with what comes out. */
#include "owner/diag.h"

#include "relayd/relays.h"

#define CART "- {serviceAccount: shop/web, match: {unit: cart.service}}\n"
#define MISSING "- {serviceAccount: shop/missing, match: {uid: 9}}\n"

/* ---- what the kernel would say; this stands in for lib/owner/diag.c ---- */

static struct diag_owner says;
static enum tulle_err fails;
static unsigned int questions;

enum tulle_err
diag_open(struct diag **ret)
{
	static char some;

	*ret = (struct diag *)(void *)&some;
	return TULLE_OK;
}

struct diag *
diag_close(struct diag *d)
{
	(void)d;
	return NULL;
}

enum tulle_err
diag_find(struct diag *d, const struct addr *local, const struct addr *remote, struct diag_owner *ret)
{
	ck_assert_ptr_nonnull(d);
	ck_assert(addr_is_loopback(local));
	ck_assert_uint_eq(remote->port, 80);
	questions++;
	*ret = says;
	return fails;
}

/* ---- and the parent process ---- */

static uint64_t asked[8];
static unsigned int n_asked;

static void
ask_unit(void *arg, uint64_t cgroup)
{
	ck_assert_ptr_eq(arg, &n_asked);
	ck_assert_uint_lt(n_asked, 8);
	asked[n_asked++] = cgroup;
}

static int listener;

static void
setup(const char *identities)
{
	relays_world();
	relay_identities = identities;
	a = relay_new("10.0.0.1", ID_WEB, MESH);
	relay_identities = NULL;
	b = relay_new("10.0.0.2", ID_DB, MESH);
	a->flows.owners.ask_unit = ask_unit;
	a->flows.owners.arg = &n_asked;
	listener = app_listen(B_APP);
}

static void
served(int client)
{
	int app = app_accept(listener);
	struct conn_event e;

	close(app);
	close(client);
	UNTIL(a->flows.n == 0 && b->flows.n == 0);
	e = last_event(a);
	ck_assert_str_eq(events_reader_text(a->reader, 0, e.source), "mesh.test/ns/shop/sa/web");
}

static void
refused(int client, enum event_detail detail)
{
	size_t got = 0;
	struct conn_event e;

	ck_assert_int_eq(app_drain(client, &got), -ECONNRESET);
	e = last_event(a);
	ck_assert_int_eq(e.outcome, EVENT_FAILED);
	ck_assert_int_eq(e.detail, detail);
	ck_assert_uint_eq(b->flows.n, 0);
	close(client);
}

START_TEST(without_entries_nobody_is_asked)
{
	setup(NULL);
	served(client_open(a, SERVICE));
	ck_assert_uint_eq(questions, 0);
}
END_TEST

START_TEST(what_is_outside_the_mesh_is_not_asked_for)
{
	int plain = -1;
	struct addr where;

	setup(CART);
	where = at("10.0.0.3:80");
	ck_assert_int_eq(sock_listen(&plain, &where, 5, false), TULLE_OK);
	close(client_open(a, "10.0.0.3:80"));
	close(app_accept(plain));
	UNTIL(a->flows.n == 0);
	ck_assert_uint_eq(questions, 0);
	close(plain);
}
END_TEST

START_TEST(a_flow_waits_for_the_unit_of_its_owner)
{
	int first, second;

	setup(CART);
	says = (struct diag_owner){ .uid_known = true, .uid = 7, .cgroup = 100 };
	first = client_open(a, SERVICE);
	second = client_open(a, SERVICE);
	relays_settle();
	ck_assert_uint_eq(a->flows.n, 2);
	ck_assert_uint_eq(n_asked, 1); /* once for both */
	ck_assert_uint_eq(asked[0], 100);
	flows_unit(&a->flows, 99, "other.service");
	relays_settle();
	ck_assert_uint_eq(pool_tunnels(a->pool), 0);
	flows_unit(&a->flows, 100, "cart.service");
	close(app_accept(listener));
	close(app_accept(listener));
	close(first);
	close(second);
	UNTIL(a->flows.n == 0);
	served(client_open(a, SERVICE)); /* known by now */
	ck_assert_uint_eq(n_asked, 1);
	relay_free(a);
	relay_free(b);
}
END_TEST

START_TEST(a_unit_that_nobody_knows_is_nobody)
{
	int client;

	setup(CART);
	says = (struct diag_owner){ .uid_known = true, .uid = 7, .cgroup = 100 };
	client = client_open(a, SERVICE);
	flows_unit(&a->flows, 100, NULL);
	refused(client, EVENT_DETAIL_OWNER_UNKNOWN);
	client = client_open(a, SERVICE); /* asked again: it may have been too early */
	ck_assert_uint_eq(n_asked, 2);
	clock_skip(6000);
	refused(client, EVENT_DETAIL_OWNER_UNKNOWN);
	flows_unit(&a->flows, 100, "cart.service"); /* too late */
	says.cgroup = 0;
	refused(client_open(a, SERVICE), EVENT_DETAIL_OWNER_UNKNOWN);
	ck_assert_uint_eq(n_asked, 2);
}
END_TEST

START_TEST(a_flow_that_ends_while_it_waits_is_forgotten)
{
	setup(CART);
	says = (struct diag_owner){ .uid_known = true, .uid = 7, .cgroup = 100 };
	(void)client_open(a, SERVICE);
	flows_end_all(&a->flows, EVENT_DETAIL_SHUTDOWN);
	relays_settle();
	flows_unit(&a->flows, 100, "cart.service");
	ck_assert_uint_eq(a->flows.n, 0);
	relay_free(a);
	relay_free(b);
}
END_TEST

START_TEST(a_socket_that_was_closed_has_no_owner)
{
	setup(MISSING);
	fails = TULLE_ENOENT;
	refused(client_open(a, SERVICE), EVENT_DETAIL_OWNER_UNKNOWN);
	fails = TULLE_OK;
	says = (struct diag_owner){ .uid_known = true, .uid = 8 };
	served(client_open(a, SERVICE)); /* the default */
	says.uid_known = false; /* the kernel says "root" of such a socket, who would be the default */
	refused(client_open(a, SERVICE), EVENT_DETAIL_OWNER_UNKNOWN);
}
END_TEST

START_TEST(an_identity_without_a_certificate_is_nobody)
{
	setup(MISSING);
	says = (struct diag_owner){ .uid_known = true, .uid = 9, .cgroup = 100 };
	refused(client_open(a, SERVICE), EVENT_DETAIL_NO_IDENTITY);
	ck_assert_uint_eq(n_asked, 0); /* the user alone decides */
	ck_assert_uint_eq(pool_tunnels(a->pool), 0);
}
END_TEST

RELAY_MAIN("owner", without_entries_nobody_is_asked, what_is_outside_the_mesh_is_not_asked_for,
    a_flow_waits_for_the_unit_of_its_owner, a_unit_that_nobody_knows_is_nobody,
    a_flow_that_ends_while_it_waits_is_forgotten, a_socket_that_was_closed_has_no_owner,
    an_identity_without_a_certificate_is_nobody)
