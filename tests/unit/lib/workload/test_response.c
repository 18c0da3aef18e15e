/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "workload/response.h"

#include <stdio.h>
#include <string.h>

#include "proto/workload.pb-c.h"
#include "unit.h"

#define SVIDS 3

/* The smallest thing that is a row of one "certificate": nobody looks inside here. */
static uint8_t der[] = { 0x30, 0x01, 0x00 };
static uint8_t secret[] = "secret";

static X509SVID svids[SVIDS];
static X509SVID *svid_list[SVIDS];
static X509SVIDResponse__FederatedBundlesEntry bundles[TRUST_DOMAINS_MAX + 1];
static X509SVIDResponse__FederatedBundlesEntry *bundle_list[TRUST_DOMAINS_MAX + 1];
static char names[TRUST_DOMAINS_MAX + 1][32];

#define BYTES(a) ((ProtobufCBinaryData){ .data = (a), .len = sizeof(a) })

static X509SVIDResponse
good(void)
{
	X509SVIDResponse m = X509_SVIDRESPONSE__INIT;

	for (int i = 0; i < SVIDS; i++) {
		static char ids[SVIDS][64];

		x509_svid__init(&svids[i]);
		(void)snprintf(ids[i], sizeof(ids[i]), "spiffe://mesh.example/ns/shop/sa/w%d", i);
		svids[i].spiffe_id = ids[i];
		svids[i].x509_svid = BYTES(der);
		svids[i].x509_svid_key = BYTES(secret);
		svids[i].bundle = BYTES(der);
		svid_list[i] = &svids[i];
	}
	for (size_t i = 0; i < TRUST_DOMAINS_MAX + 1; i++) {
		x509_svidresponse__federated_bundles_entry__init(&bundles[i]);
		(void)snprintf(names[i], sizeof(names[i]), "spiffe://td%zu.example", i);
		bundles[i].key = names[i];
		bundles[i].value = BYTES(der);
		bundle_list[i] = &bundles[i];
	}
	m.n_svids = SVIDS;
	m.svids = svid_list;
	m.n_federated_bundles = 1;
	m.federated_bundles = bundle_list;
	return m;
}

static enum tulle_err
read_it(struct workload_response **ret, const X509SVIDResponse *m)
{
	static uint8_t wire[100000];
	const char *why = NULL;
	enum tulle_err e;
	size_t n = x509_svidresponse__get_packed_size(m);

	ck_assert_uint_le(n, sizeof(wire));
	(void)x509_svidresponse__pack(m, wire);
	e = workload_response_read(ret, wire, n, &why);
	ck_assert((e == TULLE_OK) == (why == NULL));
	return e;
}

START_TEST(a_good_response_is_read_as_it_is)
{
	X509SVIDResponse m = good();
	const struct workload_update *u;
	struct workload_response *r;

	svids[1].hint = (char *)(uintptr_t) "shop/w1";
	ck_assert_int_eq(read_it(&r, &m), TULLE_OK);
	u = workload_response_update(r);
	ck_assert_uint_eq(u->n_svids, SVIDS);
	ck_assert_str_eq(u->svids[0].id, svids[0].spiffe_id);
	ck_assert_str_eq(u->svids[1].hint, "shop/w1");
	ck_assert_uint_eq(u->svids[2].key_len, sizeof(secret));
	ck_assert_mem_eq(u->svids[2].key, secret, sizeof(secret));
	ck_assert_uint_eq(u->n_bundles, 1);
	ck_assert_str_eq(u->bundles[0].td, "td0.example");
	r = workload_response_free(r);
}
END_TEST

START_TEST(of_two_with_one_hint_the_first_stays)
{
	X509SVIDResponse m = good();
	const struct workload_update *u;
	struct workload_response *r;

	svids[0].hint = svids[1].hint = (char *)(uintptr_t) "same";
	ck_assert_int_eq(read_it(&r, &m), TULLE_OK);
	u = workload_response_update(r);
	ck_assert_uint_eq(u->n_svids, 2);
	ck_assert_str_eq(u->svids[0].id, svids[0].spiffe_id);
	ck_assert_str_eq(u->svids[1].id, svids[2].spiffe_id); /* no hint is no conflict */
	r = workload_response_free(r);
}
END_TEST

START_TEST(of_two_bundles_for_one_trust_domain_the_last_stays)
{
	static uint8_t two[] = { 0x30, 0x01, 0x00, 0x30, 0x01, 0x00 };
	X509SVIDResponse m = good();
	struct workload_response *r;

	m.n_federated_bundles = 2;
	bundles[1].key = (char *)(uintptr_t) "td0.example";
	bundles[1].value = BYTES(two);
	ck_assert_int_eq(read_it(&r, &m), TULLE_OK);
	ck_assert_uint_eq(workload_response_update(r)->n_bundles, 1);
	ck_assert_uint_eq(workload_response_update(r)->bundles[0].len, sizeof(two));
	r = workload_response_free(r);
}
END_TEST

/* Each breaks a good response in one place. */
static void none(X509SVIDResponse *m) { m->n_svids = 0; }
static void no_id(X509SVIDResponse *m) { m->svids[1]->spiffe_id = (char *)(uintptr_t) ""; }
static void bad_id(X509SVIDResponse *m) { m->svids[1]->spiffe_id = (char *)(uintptr_t) "spiffe://mesh.example/a//b"; }
static void td_id(X509SVIDResponse *m) { m->svids[0]->spiffe_id = (char *)(uintptr_t) "spiffe://mesh.example"; }
static void no_chain(X509SVIDResponse *m) { m->svids[2]->x509_svid.len = 0; }
static void cut_chain(X509SVIDResponse *m) { m->svids[2]->x509_svid.len = 2; }
static void no_key(X509SVIDResponse *m) { m->svids[2]->x509_svid_key.len = 0; }
static void no_bundle(X509SVIDResponse *m) { m->svids[0]->bundle.len = 0; }
static void bad_hint(X509SVIDResponse *m) { m->svids[0]->hint = (char *)(uintptr_t) "\xff"; }
static void bad_td(X509SVIDResponse *m) { m->federated_bundles[0]->key = (char *)(uintptr_t) "spiffe://UPPER"; }
static void cut_bundle(X509SVIDResponse *m) { m->federated_bundles[0]->value.len = 1; }
static void many_tds(X509SVIDResponse *m) { m->n_federated_bundles = TRUST_DOMAINS_MAX + 1; }

START_TEST(a_fault_anywhere_throws_all_of_it_away)
{
	static void (*const faults[])(X509SVIDResponse *) = { none, no_id, bad_id, td_id, no_chain, cut_chain, no_key,
		no_bundle, bad_hint, bad_td, cut_bundle, many_tds };
	struct workload_response *r = NULL;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		X509SVIDResponse m = good();

		faults[i](&m);
		ck_assert_msg(read_it(&r, &m) == TULLE_EPEER, "fault %zu was taken", i);
		ck_assert_ptr_null(r);
	}
}
END_TEST

START_TEST(an_empty_federated_bundle_believes_nobody)
{
	X509SVIDResponse m = good();
	struct workload_response *r;

	bundles[0].value.len = 0;
	ck_assert_int_eq(read_it(&r, &m), TULLE_OK);
	ck_assert_uint_eq(workload_response_update(r)->n_bundles, 1);
	ck_assert_uint_eq(workload_response_update(r)->bundles[0].len, 0);
	r = workload_response_free(r);
}
END_TEST

START_TEST(small_bytes_do_not_become_much_memory)
{
	static uint8_t wire[1000000];
	struct workload_response *r;
	const char *why = "";

	for (size_t i = 0; i < sizeof(wire); i += 2)
		wire[i] = 0x0a; /* half a million SVIDs without a field */
	ck_assert_int_eq(workload_response_read(&r, wire, sizeof(wire), &why), TULLE_ELIMIT);
	ck_assert_str_eq(why, "the response takes too much memory");
	ck_assert_int_eq(workload_response_read(&r, (const uint8_t *)"\x0a\x05", 2, &why), TULLE_EPEER);
}
END_TEST

UNIT_MAIN("workload response", a_good_response_is_read_as_it_is, of_two_with_one_hint_the_first_stays,
    of_two_bundles_for_one_trust_domain_the_last_stays, a_fault_anywhere_throws_all_of_it_away,
    an_empty_federated_bundle_believes_nobody, small_bytes_do_not_become_much_memory)
