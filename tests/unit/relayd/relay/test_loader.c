/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/loader.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define SERVICE \
	"apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec:\n  clusterIPs: [10.96.0.1]\n" \
	"  selector: {app: db}\n  ports: [{port: 80}]\n---\n" \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: db-1, namespace: shop}\n" \
	"spec: {address: 10.0.0.2, labels: {app: db}, serviceAccount: db}\n"
#define OWN "spiffe://made-up.example/ns/shop/sa/web"

static struct host_config *at_start;
static struct problems problems;
static struct loader l;

static void
setup(const char *host)
{
	problems_init(&problems);
	ck_assert_int_eq(host_config_parse(&at_start, "tulle.yaml", host, strlen(host), &problems), TULLE_OK);
	loader_init(&l, at_start);
}

static enum tulle_err
take(const char *host, const char *mesh)
{
	const struct manifest_file in[] = { { "tulle.yaml", (char *)(uintptr_t)host, strlen(host) },
		{ "mesh.d/a.yaml", (char *)(uintptr_t)mesh, strlen(mesh) } };
	struct wire_config *where = calloc(1, sizeof(*where));
	struct bundle files;
	enum tulle_err e;
	int fd;

	problems_free(&problems);
	problems_init(&problems);
	where->generation = 7;
	ck_assert_int_eq(bundle_pack(&fd, in, 2), TULLE_OK);
	ck_assert_int_eq(bundle_unpack(&files, fd), TULLE_OK);
	close(fd);
	e = loader_take(&l, &files, where, &problems);
	if (e != TULLE_OK) {
		bundle_free(&files);
		free(where);
	}
	return e;
}

/* Who is expected at the service's endpoint. */
static const char *
expected(void)
{
	return l.snapshot->services[0].ports[0].endpoints[0]->identity;
}

static bool
named(const char *field)
{
	for (size_t i = 0; i < problems.n; i++)
		if (strstr(problems.list[i].line, field) != NULL && strstr(problems.list[i].line, "is another now") != NULL)
			return true;
	return false;
}

/* Every field of tulle.yaml but those two that a reload carries out; on the right, another value. */
static const struct {
	const char *field, *yaml;
	bool ours; /* the relay's: it must be named */
} fields[] = {
	{ "identity.source", "identity: {source: fleet}", false },
	{ "identity.ttl", "identity: {ttl: 1h}", false },
	{ "identity.default", "identity: {default: ns/x/sa/y}", true },
	{ "identity.socket", "identity: {source: spiffe, socket: \"unix:///run/x.sock\"}", true },
	{ "identity.join", "identity: {source: fleet, join: {address: \"10.0.0.1:15012\", root: \"sha256:"
	  "0000000000000000000000000000000000000000000000000000000000000000\", tokenFile: /x}}", false },
	{ "capture.outbound", "capture: {outbound: false}", true },
	{ "capture.inbound", "capture: {inbound: false}", true },
	{ "capture.failClosed", "capture: {failClosed: true}", false },
	{ "capture.exclude", "capture: {exclude: {ports: [99]}}", false },
	{ "relay.workers", "relay: {workers: 2}", true },
	{ "relay.drain", "relay: {drain: 1s}", true },
	{ "relay.terminationGrace", "relay: {terminationGrace: 50s}", true },
	{ "limits.connections", "limits: {connections: 16}", true },
	{ "limits.memory", "limits: {memory: 64MiB}", true },
	{ "telemetry.destinations", "telemetry: {destinations: [{otlp: \"http://127.0.0.1:4318\"}]}", false },
	{ "telemetry.metrics", "telemetry: {metrics: \":1\"}", false },
	{ "telemetry.traces", "telemetry: {traces: 2%}", true },
	{ "telemetry.access", "telemetry: {access: all}", false },
	{ "users.relayd", "users: {relayd: nobody}", true },
	{ "users.certd", "users: {certd: nobody}", false },
	{ "users.telemetryd", "users: {telemetryd: nobody}", true },
	{ "ports.outbound", "ports: {outbound: 1}", true },
	{ "ports.inbound", "ports: {inbound: 1}", true },
	{ "ports.hbone", "ports: {hbone: 1}", true },
	{ "ports.health", "ports: {health: 1}", true },
	{ "ports.authority", "ports: {authority: 1}", true },
	{ "authority.listen", "authority: {listen: \"127.0.0.1:15012\"}", false },
	{ "steering.backend", "steering: {backend: nft}", false },
	{ "steering.ipv6", "steering: {ipv6: off}", false },
	{ "logLevel", "logLevel: debug", true },
};

START_TEST(each_changed_field_that_needs_a_start_is_named_and_no_other)
{
	setup("");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		ck_assert_msg(take(fields[i].yaml, SERVICE) == TULLE_OK, "%s", fields[i].field);
		for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
			ck_assert_msg(named(fields[k].field) == (i == k && fields[k].ours), "%s: %s", fields[i].field, fields[k].field);
	}
	ck_assert_int_eq(take("", SERVICE), TULLE_OK);
	ck_assert_uint_eq(problems.n, 0);
}
END_TEST

START_TEST(what_a_reload_carries_out_is_not_warned_of)
{
	setup("");
	ck_assert_int_eq(take("outboundTrafficPolicy: REGISTRY_ONLY\ntrustDomain: other.example\n", SERVICE), TULLE_OK);
	ck_assert_uint_eq(problems.n, 0);
	ck_assert_str_eq(expected(), "spiffe://other.example/ns/shop/sa/db");
}
END_TEST

static enum tulle_err
take_identities(const char *identities, const char *users)
{
	const struct manifest_file in[] = { { "tulle.yaml", "", 0 }, { "identities.yaml", identities, strlen(identities) },
		{ BUNDLE_USERS, users, strlen(users) }, { "mesh.d/a.yaml", SERVICE, sizeof(SERVICE) - 1 } };
	struct wire_config *where = calloc(1, sizeof(*where));
	struct bundle files;
	enum tulle_err e;
	int fd;

	ck_assert_int_eq(bundle_pack(&fd, in, 4), TULLE_OK);
	ck_assert_int_eq(bundle_unpack(&files, fd), TULLE_OK);
	close(fd);
	e = loader_take(&l, &files, where, &problems);
	if (e != TULLE_OK) {
		bundle_free(&files);
		free(where);
	}
	return e;
}

START_TEST(identities_are_part_of_the_snapshot)
{
	const struct snapshot *before;
	bool changed;

	setup("");
	ck_assert_int_eq(take("", SERVICE), TULLE_OK);
	ck_assert_ptr_null(l.snapshot->identities);
	ck_assert_int_eq(take_identities("- {serviceAccount: shop/cart, match: {uid: cart}}\n", "12 cart\n"), TULLE_OK);
	ck_assert_uint_eq(l.snapshot->n_services, 1);
	ck_assert_uint_eq(l.snapshot->identities->n, 1);
	ck_assert(l.snapshot->identities->items[0].uid_known);
	ck_assert_uint_eq(l.snapshot->identities->items[0].uid, 12);
	ck_assert_int_eq(loader_follow(&l, OWN, strlen(OWN), true, &problems, &changed), TULLE_OK);
	ck_assert(changed);
	ck_assert_uint_eq(l.snapshot->identities->n, 1);
	before = l.snapshot;
	ck_assert_int_eq(take_identities("- {serviceAccount: shop/cart, match: {uid: cart}}\n", "12 carts\n"), TULLE_EINVAL);
	ck_assert_int_eq(take_identities("- {serviceAccount: shop, match: {uid: 1}}\n", ""), TULLE_EINVAL);
	ck_assert_ptr_eq(l.snapshot, before);
}
END_TEST

START_TEST(a_mistake_leaves_everything_as_it_was)
{
	const struct snapshot *before;

	setup("");
	ck_assert_int_eq(take("", SERVICE), TULLE_OK);
	before = l.snapshot;
	ck_assert_int_eq(take("", "kind: Servise\n"), TULLE_EINVAL);
	ck_assert_uint_gt(problems.errors, 0);
	ck_assert_int_eq(take("relay: {wokers: 1}\n", SERVICE), TULLE_EINVAL);
	ck_assert_ptr_eq(l.snapshot, before);
	ck_assert_uint_eq(l.files.n, 2);
}
END_TEST

static enum tulle_err
follow(const char *id, bool *ret_changed)
{
	problems_free(&problems);
	problems_init(&problems);
	return loader_follow(&l, id, strlen(id), false, &problems, ret_changed);
}

START_TEST(our_trust_domain_is_followed_where_the_files_name_none)
{
	bool changed;

	setup("");
	ck_assert_int_eq(follow(OWN, &changed), TULLE_OK); /* before there is a configuration */
	ck_assert(!changed);
	ck_assert_int_eq(take("", SERVICE), TULLE_OK);
	ck_assert_str_eq(expected(), "spiffe://made-up.example/ns/shop/sa/db");
	ck_assert_int_eq(follow(OWN, &changed), TULLE_OK);
	ck_assert(!changed);
	ck_assert_int_eq(follow("spiffe://third.example/ns/shop/sa/web", &changed), TULLE_OK);
	ck_assert(changed);
	ck_assert_str_eq(expected(), "spiffe://third.example/ns/shop/sa/db");
	ck_assert_int_eq(take("trustDomain: named.example\n", SERVICE), TULLE_OK);
	ck_assert_int_eq(follow(OWN, &changed), TULLE_OK);
	ck_assert(!changed);
	ck_assert_str_eq(expected(), "spiffe://named.example/ns/shop/sa/db");
}
END_TEST

START_TEST(a_trust_domain_that_cannot_be_followed_is_told_and_tried_again)
{
	const struct snapshot *before;
	char *text, kept;
	bool changed;

	setup("");
	ck_assert_int_eq(take("", SERVICE), TULLE_OK);
	before = l.snapshot;
	text = (char *)(uintptr_t)l.files.files[1].data;
	kept = text[0];
	text[0] = '\t'; /* what was good cannot be loaded any more */
	ck_assert_int_eq(follow(OWN, &changed), TULLE_EINVAL);
	ck_assert_uint_gt(problems.errors, 0);
	ck_assert(!changed);
	ck_assert_ptr_eq(l.snapshot, before);
	text[0] = kept;
	ck_assert_int_eq(follow(OWN, &changed), TULLE_OK); /* the next renewal */
	ck_assert(changed);
	ck_assert_str_eq(expected(), "spiffe://made-up.example/ns/shop/sa/db");
}
END_TEST

UNIT_MAIN("loader", each_changed_field_that_needs_a_start_is_named_and_no_other,
    what_a_reload_carries_out_is_not_warned_of, a_mistake_leaves_everything_as_it_was, identities_are_part_of_the_snapshot,
    our_trust_domain_is_followed_where_the_files_name_none, a_trust_domain_that_cannot_be_followed_is_told_and_tried_again)
