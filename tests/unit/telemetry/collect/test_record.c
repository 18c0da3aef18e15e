/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/record.h"

#include <string.h>

#include "unit.h"

static bool
slice_is(struct slice s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

START_TEST(a_principal_has_a_namespace_and_a_workload)
{
	static const char *const others[] = { "", "mesh.example", "mesh.example/ns/shop", "mesh.example/ns/shop/sa/",
		"mesh.example/ns//sa/web", "mesh.example/ns/shop/sa/web/more", "mesh.example/team/shop/sa/web",
		"/ns/shop/sa/web", "_other" };
	struct principal p = principal_parse("mesh.example/ns/shop/sa/web");

	ck_assert(slice_is(p.namespace, "shop"));
	ck_assert(slice_is(p.workload, "web"));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		p = principal_parse(others[i]);
		ck_assert_uint_eq(p.namespace.n + p.workload.n, 0);
	}
}
END_TEST

static struct record
some_record(enum event_kind kind, enum event_outcome outcome)
{
	struct record r = { .source = "", .destination = "", .service = "", .workload = "", .policy = "", .reason = "" };

	r.ev.kind = (uint8_t)kind;
	r.ev.outcome = (uint8_t)outcome;
	return r;
}

START_TEST(levels_choose_what_is_logged)
{
	static const struct {
		enum access_level level;
		enum event_kind kind;
		enum event_outcome outcome;
		enum record_fate fate;
	} table[] = {
		{ LEVEL_OFF, EVENT_CLOSE, EVENT_DENIED, FATE_SAMPLED_OUT },
		{ LEVEL_ERRORS, EVENT_CLOSE, EVENT_SUCCESS, FATE_SAMPLED_OUT },
		{ LEVEL_ERRORS, EVENT_CLOSE, EVENT_DENIED, FATE_EMIT },
		{ LEVEL_ERRORS, EVENT_CLOSE, EVENT_FAILED, FATE_EMIT },
		{ LEVEL_ERRORS, EVENT_CLOSE, EVENT_ABORTED, FATE_EMIT },
		{ LEVEL_ERRORS, EVENT_PROGRESS, EVENT_SUCCESS, FATE_SAMPLED_OUT },
		{ LEVEL_ALL, EVENT_CLOSE, EVENT_SUCCESS, FATE_EMIT },
		{ LEVEL_ALL, EVENT_PROGRESS, EVENT_SUCCESS, FATE_EMIT },
		{ LEVEL_ALL, EVENT_OPEN, EVENT_SUCCESS, FATE_SAMPLED_OUT },
		{ LEVEL_DEBUG, EVENT_OPEN, EVENT_SUCCESS, FATE_EMIT },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct record_caps caps = { 0 };
		struct record r = some_record(table[i].kind, table[i].outcome);

		ck_assert_msg(record_log_fate(&r, table[i].level, &caps, 1) == table[i].fate, "row %zu", i);
	}
}
END_TEST

START_TEST(spans_are_for_the_sampled_and_the_failed)
{
	struct record_caps caps = { 0 };
	struct record r = some_record(EVENT_CLOSE, EVENT_SUCCESS);

	ck_assert_int_eq(record_span_fate(&r, true, &caps, 1), FATE_SAMPLED_OUT);
	r.ev.sampled = 1;
	ck_assert_int_eq(record_span_fate(&r, true, &caps, 1), FATE_EMIT);
	ck_assert(!r.tail_hint);
	ck_assert_int_eq(record_span_fate(&r, false, &caps, 1), FATE_SAMPLED_OUT);
	r = some_record(EVENT_CLOSE, EVENT_FAILED);
	ck_assert_int_eq(record_span_fate(&r, true, &caps, 1), FATE_EMIT);
	ck_assert(r.tail_hint);
	r.ev.kind = EVENT_PROGRESS;
	ck_assert_int_eq(record_span_fate(&r, true, &caps, 1), FATE_SAMPLED_OUT);
}
END_TEST

START_TEST(a_flood_is_capped_and_failures_keep_a_reserve)
{
	struct record_caps caps = { 0 };
	struct record good = some_record(EVENT_CLOSE, EVENT_SUCCESS), bad = some_record(EVENT_CLOSE, EVENT_DENIED);
	unsigned int n = 0, m = 0;

	while (record_log_fate(&good, LEVEL_ALL, &caps, 1000) == FATE_EMIT)
		n++;
	while (record_log_fate(&bad, LEVEL_ALL, &caps, 1000) == FATE_EMIT)
		m++;
	ck_assert_uint_eq(n, 800);
	ck_assert_uint_eq(m, 200);
	/* A second later 500 more, of whatever kind comes. */
	for (m = 0; record_log_fate(&bad, LEVEL_ALL, &caps, 2000) == FATE_EMIT; m++)
		continue;
	ck_assert_uint_eq(m, 500);
	/* A long pause fills it once, not more, and does not overflow. */
	for (m = 0; record_log_fate(&bad, LEVEL_ALL, &caps, UINT64_MAX / 2) == FATE_EMIT; m++)
		continue;
	ck_assert_uint_eq(m, 1000);
}
END_TEST

static const char *
peer_after(const char *peer, enum event_direction direction, const char *source)
{
	static char text[ADDR_TEXT];
	struct record r = some_record(EVENT_CLOSE, EVENT_SUCCESS);

	r.source = source;
	r.ev.direction = (uint8_t)direction;
	ck_assert_int_eq(addr_parse(&r.ev.peer, peer), TULLE_OK);
	record_redact(&r);
	return addr_format(&r.ev.peer, text);
}

START_TEST(addresses_from_outside_the_mesh_are_cut)
{
	ck_assert_str_eq(peer_after("203.0.113.77:5000", EVENT_INBOUND, ""), "203.0.113.0");
	ck_assert_str_eq(peer_after("[2001:db8:1:2:3:4:5:6]:5000", EVENT_INBOUND, ""), "2001:db8:1::");
	ck_assert_str_eq(peer_after("203.0.113.77:5000", EVENT_INBOUND, "mesh.example/ns/a/sa/b"), "203.0.113.77:5000");
	ck_assert_str_eq(peer_after("203.0.113.77:5000", EVENT_OUTBOUND, ""), "203.0.113.77:5000");
	ck_assert_str_eq(peer_after("127.0.0.1:5000", EVENT_INBOUND, ""), "127.0.0.1:5000");
}
END_TEST

UNIT_MAIN("record", a_principal_has_a_namespace_and_a_workload, levels_choose_what_is_logged,
    spans_are_for_the_sampled_and_the_failed, a_flood_is_capped_and_failures_keep_a_reserve,
    addresses_from_outside_the_mesh_are_cut)
