/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From what is wanted to rules: what is in them, in which order, and that no order of the input changes them. */
#include <string.h>
#include <sys/socket.h>

#include "rules/plan.h"
#include "rules/render.h"
#include "unit.h"

static struct cidr cidrs[4];
static const uint32_t ports[] = { 2525, 22, 3306, 2525 };
static const uint32_t uids[] = { 7002, 7001, 7002 };

static struct steering
ordinary(void)
{
	struct steering s = {
		.outbound = true,
		.inbound = true,
		.own_uids = { 6003, 6001, 6002 },
		.own_uids_n = 3,
		.outbound_port = 15001,
		.inbound_port = 15006,
		.hbone_port = 15008,
		.authority_port = 15012,
		.health_port = 15021,
		.metrics_port = 9464,
	};

	return s;
}

static struct ruleset *
rendered(const struct steering *s, int family)
{
	struct ruleset *r = NULL;
	struct plan *p = NULL;

	ck_assert_int_eq(plan_make(&p, s, (uint8_t)family), TULLE_OK);
	ck_assert_int_eq(render_plan(&r, p), TULLE_OK);
	plan_free(p);
	return r;
}

static const struct ruleset_chain *
chain(const struct ruleset *r, enum table t, const char *name)
{
	const struct ruleset_chain *c = ruleset_chain(r, t, name);

	ck_assert_msg(c != NULL, "no chain %s", name);
	return c;
}

/* Where in <c> the rule stands, -1: nowhere. */
static int
at(const struct ruleset_chain *c, const char *rule)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->rules[i], rule) == 0)
			return (int)i;
	return -1;
}

START_TEST(the_ordinary_plan_reads_like_this)
{
	static const char *const out[] = {
		"-m owner --uid-owner 6001 -j RETURN",
		"-m owner --uid-owner 6002 -j RETURN",
		"-m owner --uid-owner 6003 -j RETURN",
		"-p tcp -m multiport --dports 22,15008,15012 -j RETURN",
		"-o lo -j RETURN",
		"-d 127.0.0.0/8 -j RETURN",
		"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15001",
	};
	static const char *const in[] = {
		"-i lo -j RETURN",
		"-m addrtype ! --dst-type LOCAL -j RETURN",
		"-p tcp -m multiport --dports 22,9464,15008,15012,15021 -j RETURN",
		"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15006",
	};
	struct steering s = ordinary();
	struct ruleset *r = rendered(&s, AF_INET);
	const struct ruleset_chain *c = chain(r, TABLE_NAT, CHAIN_OUT);

	ck_assert_uint_eq(c->n, sizeof(out) / sizeof(out[0]));
	for (size_t i = 0; i < c->n; i++)
		ck_assert_str_eq(c->rules[i], out[i]);
	c = chain(r, TABLE_NAT, CHAIN_IN);
	ck_assert_uint_eq(c->n, sizeof(in) / sizeof(in[0]));
	for (size_t i = 0; i < c->n; i++)
		ck_assert_str_eq(c->rules[i], in[i]);
	c = chain(r, TABLE_MANGLE, CHAIN_ANCHOR);
	ck_assert_uint_eq(c->n, 1);
	ck_assert_str_eq(c->rules[0], "-m conntrack --ctstate INVALID");
	ck_assert_ptr_null(ruleset_chain(r, TABLE_FILTER, CHAIN_GUARD_OUT));
	ruleset_free(r);
}
END_TEST

START_TEST(jumps_of_the_capture_come_first_and_the_anchor_anywhere)
{
	struct steering s = ordinary();
	struct ruleset *r = rendered(&s, AF_INET6);

	ck_assert_uint_eq(r->tables[TABLE_NAT].jumps_n, 2);
	for (size_t i = 0; i < 2; i++)
		ck_assert_uint_eq(r->tables[TABLE_NAT].jumps[i].position, 1);
	ck_assert_uint_eq(r->tables[TABLE_MANGLE].jumps[0].position, 0);
	ck_assert_str_eq(r->tables[TABLE_MANGLE].jumps[0].chain, "INPUT");
	ruleset_free(r);
}
END_TEST

START_TEST(ipv6_has_its_own_addresses)
{
	struct steering s = ordinary();
	struct ruleset *r = rendered(&s, AF_INET6);

	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_OUT), "-d ::1/128 -j RETURN"), 0);
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_OUT), "-d fe80::/10 -j RETURN"), 0);
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_IN), "-d fe80::/10 -j RETURN"), 0);
	ck_assert_int_eq(at(chain(r, TABLE_NAT, CHAIN_OUT), "-d 127.0.0.0/8 -j RETURN"), -1);
	ruleset_free(r);
}
END_TEST

START_TEST(exclusions_are_sorted_and_each_stands_once)
{
	struct steering s = ordinary();
	const struct ruleset_chain *c;
	struct ruleset *r;

	s.ports = ports;
	s.ports_n = 4;
	s.uids = uids;
	s.uids_n = 3;
	ck_assert_int_eq(cidr_parse(&cidrs[0], "10.9.0.0/16"), TULLE_OK);
	ck_assert_int_eq(cidr_parse(&cidrs[1], "fd09::/16"), TULLE_OK);
	ck_assert_int_eq(cidr_parse(&cidrs[2], "10.8.0.1"), TULLE_OK);
	ck_assert_int_eq(cidr_parse(&cidrs[3], "10.9.0.0/16"), TULLE_OK);
	s.cidrs = cidrs;
	s.cidrs_n = 4;
	r = rendered(&s, AF_INET);
	c = chain(r, TABLE_NAT, CHAIN_OUT);
	ck_assert_uint_eq(c->n, 3 + 2 + 1 + 2 + 2 + 1);
	ck_assert_int_eq(at(c, "-m owner --uid-owner 7001 -j RETURN"), 3);
	ck_assert_int_eq(at(c, "-m owner --uid-owner 7002 -j RETURN"), 4);
	ck_assert_int_eq(at(c, "-p tcp -m multiport --dports 22,2525,3306,15008,15012 -j RETURN"), 5);
	ck_assert_int_eq(at(c, "-d 10.8.0.1/32 -j RETURN"), 8);
	ck_assert_int_eq(at(c, "-d 10.9.0.0/16 -j RETURN"), 9);
	c = chain(r, TABLE_NAT, CHAIN_IN);
	ck_assert_int_ge(at(c, "-s 10.8.0.1/32 -j RETURN"), 0);
	ck_assert_int_eq(at(c, "-m owner --uid-owner 7001 -j RETURN"), -1); /* a packet that comes in has no owner */
	ruleset_free(r);
}
END_TEST

START_TEST(a_pod_leaves_ports_alone_in_one_direction_and_its_sidecars)
{
	static const struct port_range in[] = { { 8443, 8443 } }, out[] = { { 3306, 3306 } };
	struct steering s = ordinary();
	struct ruleset *r;

	s.in_ports = in;
	s.in_ports_n = 1;
	s.out_ports = out;
	s.out_ports_n = 1;
	s.sidecar_port = 15020;
	r = rendered(&s, AF_INET);
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_OUT), "-p tcp -m multiport --dports 22,3306,15008,15012 -j RETURN"), 0);
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_IN), "-p tcp -m multiport --dports 22,8443,9464,15008,15012,15020,15021 -j RETURN"), 0);
	ruleset_free(r);
}
END_TEST

START_TEST(ranges_stay_ranges_and_swallow_what_is_in_them)
{
	static const struct port_range in[] = { { 1024, 65535 } }, bad[] = { { 9, 8 } };
	struct port_range out[9];
	struct steering s = ordinary();
	struct ruleset *r;

	for (uint16_t i = 0; i < 9; i++)
		out[i] = (struct port_range){ (uint16_t)(100 + 10 * i), (uint16_t)(105 + 10 * i) };
	out[8] = (struct port_range){ 104, 107 };
	s.in_ports = in;
	s.in_ports_n = 1;
	s.out_ports = out;
	s.out_ports_n = 9;
	r = rendered(&s, AF_INET);
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_IN), "-p tcp -m multiport --dports 22,1024:65535 -j RETURN"), 0);
	/* A multiport match holds 15, and a range counts twice. */
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_OUT),
	                     "-p tcp -m multiport --dports 22,100:107,110:115,120:125,130:135,140:145,150:155,160:165 -j RETURN"), 0);
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_OUT), "-p tcp -m multiport --dports 170:175,15008,15012 -j RETURN"), 0);
	ruleset_free(r);
	s.in_ports = bad;
	ck_assert_int_eq(plan_make(&(struct plan *){ NULL }, &s, AF_INET), TULLE_EINVAL);
}
END_TEST

START_TEST(the_order_of_the_input_does_not_matter)
{
	static const uint32_t shuffled_ports[] = { 3306, 2525, 22 }, shuffled_uids[] = { 7001, 7002 };
	struct steering a = ordinary(), b = ordinary();
	char da[DIGEST_TEXT], db[DIGEST_TEXT];
	struct ruleset *ra, *rb;

	a.ports = ports;
	a.ports_n = 4;
	a.uids = uids;
	a.uids_n = 3;
	b.ports = shuffled_ports;
	b.ports_n = 3;
	b.uids = shuffled_uids;
	b.uids_n = 2;
	b.own_uids[0] = 6001;
	b.own_uids[1] = 6002;
	b.own_uids[2] = 6003;
	ra = rendered(&a, AF_INET);
	rb = rendered(&b, AF_INET);
	ruleset_digest(ra, da);
	ruleset_digest(rb, db);
	ck_assert_str_eq(da, db);
	ruleset_free(ra);
	ruleset_free(rb);
}
END_TEST

/* 15 slots a rule: 14 of ours and ssh, tunnel, authority make 17. */
START_TEST(many_ports_are_split_over_rules)
{
	uint32_t many[14];
	struct steering s = ordinary();
	struct ruleset *r;

	for (uint32_t i = 0; i < 14; i++)
		many[i] = 1000 + i;
	s.ports = many;
	s.ports_n = 14;
	r = rendered(&s, AF_INET);
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_OUT),
	                     "-p tcp -m multiport --dports "
	                     "22,1000,1001,1002,1003,1004,1005,1006,1007,1008,1009,1010,1011,1012,1013 -j RETURN"),
	    0);
	ck_assert_int_ge(at(chain(r, TABLE_NAT, CHAIN_OUT), "-p tcp -m multiport --dports 15008,15012 -j RETURN"), 0);
	ruleset_free(r);
}
END_TEST

START_TEST(only_the_named_ports_are_captured_inbound)
{
	static const uint32_t few[] = { 443, 80, 443 };
	uint32_t many[17];
	struct steering s = ordinary();
	struct ruleset *r;
	const struct ruleset_chain *c;

	s.fail_closed = true;
	s.inbound_ports = few;
	s.inbound_ports_n = 3;
	r = rendered(&s, AF_INET);
	c = chain(r, TABLE_NAT, CHAIN_IN);
	ck_assert_str_eq(c->rules[c->n - 1],
	    "-p tcp -m multiport --dports 80,443 -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15006");
	ck_assert_uint_eq(c->n, 4);
	c = chain(r, TABLE_FILTER, CHAIN_GUARD_IN); /* what is not captured must not be reset for it */
	ck_assert_str_eq(c->rules[c->n - 1], "-p tcp -m multiport --dports 80,443 -m tcp --tcp-flags FIN,SYN,RST,ACK SYN "
	                                     "-m conntrack ! --ctstate DNAT -j REJECT --reject-with tcp-reset");
	c = chain(r, TABLE_NAT, CHAIN_OUT);
	ck_assert_int_ge(at(c, "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15001"), 0);
	ruleset_free(r);

	for (uint32_t i = 0; i < 17; i++)
		many[i] = 17 - i;
	s.inbound_ports = many;
	s.inbound_ports_n = 17;
	r = rendered(&s, AF_INET6);
	c = chain(r, TABLE_NAT, CHAIN_IN);
	ck_assert_str_eq(c->rules[c->n - 1],
	    "-p tcp -m multiport --dports 16,17 -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15006");
	ck_assert_int_ge(at(c, "-p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 -m tcp "
	                       "--tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15006"), 0);
	ruleset_free(r);
	many[3] = 0;
	ck_assert_int_eq(plan_make(&(struct plan *){ NULL }, &s, AF_INET), TULLE_EINVAL);
}
END_TEST

START_TEST(every_rule_that_steers_takes_a_first_packet_only)
{
	struct steering s = ordinary();
	struct plan *p = NULL;
	size_t steering = 0;

	s.fail_closed = true;
	ck_assert_int_eq(plan_make(&p, &s, AF_INET), TULLE_OK);
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->chains[i].n; k++) {
			const struct rule *r = &p->chains[i].rules[k];

			if (r->verdict != VERDICT_REDIRECT && r->verdict != VERDICT_RESET)
				continue;
			ck_assert(r->first_packet);
			ck_assert_uint_eq(k, p->chains[i].n - 1);
			steering++;
		}
	}
	ck_assert_uint_eq(steering, 4);
	plan_free(p);
}
END_TEST

/* Tables are applied in this order; the guard has the exceptions of the capture, or it would reset what is let through. */
START_TEST(the_guard_has_the_exceptions_of_the_capture)
{
	struct steering s = ordinary();
	struct ruleset *r;

	s.fail_closed = true;
	s.uids = uids;
	s.uids_n = 3;
	r = rendered(&s, AF_INET);
	for (int way = 0; way < 2; way++) {
		const struct ruleset_chain *capture = chain(r, TABLE_NAT, way == 0 ? CHAIN_OUT : CHAIN_IN);
		const struct ruleset_chain *guard = chain(r, TABLE_FILTER, way == 0 ? CHAIN_GUARD_OUT : CHAIN_GUARD_IN);

		ck_assert_uint_eq(capture->n, guard->n);
		for (size_t i = 0; i + 1 < capture->n; i++)
			ck_assert_str_eq(capture->rules[i], guard->rules[i]);
		ck_assert_str_eq(guard->rules[guard->n - 1],
		    "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate DNAT -j REJECT --reject-with tcp-reset");
	}
	ruleset_free(r);
}
END_TEST

START_TEST(ipv6_can_be_off_or_rejected)
{
	struct steering s = ordinary();
	struct ruleset *r;
	const struct ruleset_chain *c;

	s.v6 = STEERING_V6_OFF;
	r = rendered(&s, AF_INET6);
	ck_assert(ruleset_empty(r));
	ruleset_free(r);
	r = rendered(&s, AF_INET);
	ck_assert(ruleset_hooked(r));
	ruleset_free(r);

	s.v6 = STEERING_V6_REJECT;
	r = rendered(&s, AF_INET6);
	ck_assert_ptr_null(ruleset_chain(r, TABLE_NAT, CHAIN_OUT));
	c = chain(r, TABLE_FILTER, CHAIN_GUARD_OUT);
	ck_assert_str_eq(c->rules[c->n - 1], "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REJECT --reject-with tcp-reset");
	ruleset_free(r);
}
END_TEST

START_TEST(nothing_to_capture_leaves_only_the_anchor)
{
	struct steering s = ordinary();
	struct ruleset *r;

	s.outbound = s.inbound = false;
	r = rendered(&s, AF_INET);
	ck_assert(!ruleset_empty(r) && !ruleset_hooked(r));
	ruleset_free(r);
}
END_TEST

START_TEST(input_that_makes_no_plan_is_refused)
{
	static uint32_t many[STEERING_EXCLUDE_MAX + 1];
	static const uint32_t none[] = { 0 }, beyond[] = { 65536 };
	struct steering s = ordinary();
	struct plan *p = NULL;

	s.ports = none;
	s.ports_n = 1;
	ck_assert_int_eq(plan_make(&p, &s, AF_INET), TULLE_EINVAL);
	s.ports = beyond;
	ck_assert_int_eq(plan_make(&p, &s, AF_INET), TULLE_EINVAL);
	s = ordinary();
	s.inbound_port = s.outbound_port;
	ck_assert_int_eq(plan_make(&p, &s, AF_INET), TULLE_EINVAL);
	s = ordinary();
	s.outbound_port = 0;
	ck_assert_int_eq(plan_make(&p, &s, AF_INET), TULLE_EINVAL);
	s = ordinary();
	s.uids = many;
	s.uids_n = STEERING_EXCLUDE_MAX + 1;
	ck_assert_int_eq(plan_make(&p, &s, AF_INET), TULLE_ELIMIT);
	ck_assert_ptr_null(p);
}
END_TEST

START_TEST(the_longest_lists_make_a_plan)
{
	static uint32_t many[STEERING_EXCLUDE_MAX];
	static struct cidr blocks[STEERING_EXCLUDE_MAX];
	struct steering s = ordinary();
	struct ruleset *r;

	for (uint32_t i = 0; i < STEERING_EXCLUDE_MAX; i++) {
		many[i] = 1 + i;
		blocks[i] = (struct cidr){ .family = AF_INET, .bits = 32, .ip = { 10, 1, (uint8_t)(i >> 8), (uint8_t)i } };
	}
	s.ports = s.uids = many;
	s.cidrs = blocks;
	s.ports_n = s.uids_n = s.cidrs_n = STEERING_EXCLUDE_MAX;
	r = rendered(&s, AF_INET);
	ck_assert_uint_gt(chain(r, TABLE_NAT, CHAIN_OUT)->n, 2 * STEERING_EXCLUDE_MAX);
	ruleset_free(r);
}
END_TEST

UNIT_MAIN("plan", the_ordinary_plan_reads_like_this, jumps_of_the_capture_come_first_and_the_anchor_anywhere,
    ipv6_has_its_own_addresses, exclusions_are_sorted_and_each_stands_once,
    a_pod_leaves_ports_alone_in_one_direction_and_its_sidecars, ranges_stay_ranges_and_swallow_what_is_in_them, the_order_of_the_input_does_not_matter,
    many_ports_are_split_over_rules, only_the_named_ports_are_captured_inbound,
    every_rule_that_steers_takes_a_first_packet_only,
    the_guard_has_the_exceptions_of_the_capture, ipv6_can_be_off_or_rejected, nothing_to_capture_leaves_only_the_anchor,
    input_that_makes_no_plan_is_refused, the_longest_lists_make_a_plan)
