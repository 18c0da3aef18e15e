/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The last failures of a worker: a fixed number each way, with who and why. */
#include <string.h>

#include "flow/failures.h"
#include "unit.h"

static void
note(struct failures *f, enum event_direction way, enum event_outcome outcome, enum event_detail detail, uint16_t port)
{
	struct conn_event ev = { .direction = (uint8_t)way, .outcome = (uint8_t)outcome, .detail = (uint16_t)detail };

	ck_assert_int_eq(addr_parse(&ev.peer, "10.0.0.1:40000"), TULLE_OK);
	ck_assert_int_eq(addr_parse(&ev.original, "10.96.0.1:80"), TULLE_OK);
	ev.original.port = port;
	failures_note(f, &ev, "spiffe://x/ns/a/sa/b");
}

START_TEST(the_oldest_go_and_one_way_does_not_push_out_the_other)
{
	static struct failures f;
	json_t *o, *out, *in;

	note(&f, EVENT_OUTBOUND, EVENT_FAILED, EVENT_DETAIL_TUNNEL_REFUSED, 80);
	note(&f, EVENT_OUTBOUND, EVENT_SUCCESS, EVENT_DETAIL_ENDED, 81);
	note(&f, EVENT_OUTBOUND, EVENT_ABORTED, EVENT_DETAIL_CLIENT_RESET, 82);
	for (uint16_t i = 0; i < 3 * FAILURES_KEPT; i++)
		note(&f, EVENT_INBOUND, EVENT_FAILED, EVENT_DETAIL_CONNECT_REFUSED, (uint16_t)(1000 + i));
	o = failures_json(&f);
	out = json_object_get(o, "outbound");
	in = json_object_get(o, "inbound");
	ck_assert_uint_eq(json_array_size(out), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(out, 0), "reason")), "tunnel_refused");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(out, 0), "identity")), "spiffe://x/ns/a/sa/b");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(out, 0), "upstream")), "");
	ck_assert_uint_eq(json_array_size(in), FAILURES_KEPT);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(in, FAILURES_KEPT - 1), "destination")), "10.96.0.1:1047");
	json_decref(o);
}
END_TEST

START_TEST(a_policy_is_told_with_its_own_failure_only)
{
	static struct failures f;
	json_t *o, *in;

	failures_policy(&f, "/etc/tulle/mesh.d/p.yaml", 7, "shop", "nobody", "spiffe://x/ns/a/sa/caller");
	note(&f, EVENT_INBOUND, EVENT_DENIED, EVENT_DETAIL_DENIED_BY_POLICY, 80);
	note(&f, EVENT_INBOUND, EVENT_DENIED, EVENT_DETAIL_DENIED_BY_POLICY, 81);
	o = failures_json(&f);
	in = json_object_get(o, "inbound");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(in, 0), "policy")), "/etc/tulle/mesh.d/p.yaml:7: shop/nobody");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(in, 0), "identity")), "spiffe://x/ns/a/sa/caller");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(in, 1), "policy")), "");
	json_decref(o);
}
END_TEST

UNIT_MAIN("failures", the_oldest_go_and_one_way_does_not_push_out_the_other,
    a_policy_is_told_with_its_own_failure_only)
