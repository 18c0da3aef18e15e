/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PLAN_MEMORY (8u << 20)
#define PORT_SSH 22

/* Ports that are not captured in one direction, sorted and each once. */
struct ports {
	struct port_range list[2 * STEERING_EXCLUDE_MAX + 8];
	size_t n;
};

const char *
table_name(enum table t)
{
	static const char *const names[TABLES] = { "raw", "mangle", "filter", "nat" };

	return names[t];
}

/* ---- chains and rules ---- */

static struct plan_chain *
add_chain(struct plan *p, enum table table, const char *name, const char *hook, bool first)
{
	struct plan_chain *c = &p->chains[p->n++];

	*c = (struct plan_chain){ .table = table, .name = name, .hook = hook, .first = first };
	return c;
}

static enum tulle_err
add_rule(struct plan *p, struct plan_chain *c, struct rule r)
{
	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 32 : 2 * c->cap;
		struct rule *rules = arena_array(&p->arena, cap, sizeof(*rules));

		if (rules == NULL)
			return TULLE_ENOMEM;
		if (c->n > 0)
			memcpy(rules, c->rules, c->n * sizeof(*rules));
		c->rules = rules;
		c->cap = cap;
	}
	c->rules[c->n++] = r;
	return TULLE_OK;
}

/* ---- lists of the operator, put in order ---- */

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int
compare_range(const void *a, const void *b)
{
	const struct port_range *x = a, *y = b;

	return x->from != y->from ? (x->from > y->from) - (x->from < y->from) : (x->to > y->to) - (x->to < y->to);
}

static int
compare_cidr(const void *a, const void *b)
{
	const struct cidr *x = a, *y = b;
	int d = memcmp(x->ip, y->ip, sizeof(x->ip));

	return d != 0 ? d : (int)x->bits - (int)y->bits;
}

static void
sort_ports(struct ports *p)
{
	size_t kept = 0;

	qsort(p->list, p->n, sizeof(p->list[0]), compare_range);
	for (size_t i = 0; i < p->n; i++) {
		struct port_range r = p->list[i];

		if (r.from == 0)
			continue; /* one of Tulle's that is nowhere */
		if (kept == 0 || r.from > p->list[kept - 1].to)
			p->list[kept++] = r;
		else if (r.to > p->list[kept - 1].to)
			p->list[kept - 1].to = r.to;
	}
	p->n = kept;
}

static void
add_port(struct ports *ret, uint32_t port)
{
	ret->list[ret->n++] = (struct port_range){ (uint16_t)port, (uint16_t)port };
}

static void
add_ports(struct ports *ret, const uint32_t *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add_port(ret, ports[i]);
}

static void
add_ranges(struct ports *ret, const struct port_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ret->list[ret->n++] = ranges[i];
}

static void
outbound_ports(struct ports *ret, const struct steering *s)
{
	ret->n = 0;
	add_ports(ret, s->ports, s->ports_n);
	add_ranges(ret, s->out_ports, s->out_ports_n);
	/* ssh is how people repair things; a tunnel needs no other, and joining a mesh must not need the mesh. */
	add_port(ret, PORT_SSH);
	add_port(ret, s->hbone_port);
	add_port(ret, s->authority_port);
	sort_ports(ret);
}

static void
inbound_ports(struct ports *ret, const struct steering *s)
{
	ret->n = 0;
	add_ports(ret, s->ports, s->ports_n);
	add_ranges(ret, s->in_ports, s->in_ports_n);
	add_port(ret, PORT_SSH); /* whatever is configured: nobody locks himself out */
	add_port(ret, s->hbone_port);
	add_port(ret, s->authority_port);
	add_port(ret, s->health_port);
	add_port(ret, s->metrics_port);
	add_port(ret, s->sidecar_port);
	sort_ports(ret);
}

/* ---- the pieces that chains are made of ---- */

static enum tulle_err
return_uids(struct plan *p, struct plan_chain *c, const uint32_t *uids, size_t n)
{
	uint32_t *sorted;
	enum tulle_err e = TULLE_OK;

	if (n == 0)
		return TULLE_OK;
	sorted = arena_array(&p->arena, n, sizeof(*sorted));
	if (sorted == NULL)
		return TULLE_ENOMEM;
	memcpy(sorted, uids, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_u32);
	for (size_t i = 0; i < n && e == TULLE_OK; i++)
		if (i == 0 || sorted[i] != sorted[i - 1])
			e = add_rule(p, c, (struct rule){ .by_uid = true, .uid = sorted[i], .verdict = VERDICT_RETURN });
	return e;
}

static enum tulle_err
return_ports(struct plan *p, struct plan_chain *c, const struct ports *ports)
{
	struct rule r = { .verdict = VERDICT_RETURN };
	enum tulle_err e = TULLE_OK;
	size_t room = RULE_PORTS;

	for (size_t i = 0; i < ports->n && e == TULLE_OK; i++) {
		const struct port_range *one = &ports->list[i];
		size_t takes = one->from == one->to ? 1 : 2;

		if (takes > room) {
			e = add_rule(p, c, r);
			r.ports_n = 0;
			room = RULE_PORTS;
		}
		r.ports[r.ports_n++] = *one;
		room -= takes;
	}
	return e == TULLE_OK && r.ports_n > 0 ? add_rule(p, c, r) : e;
}

/* The rule that all the exceptions lead up to, for the ports at which what arrives is captured: all, or those that are named. */
static enum tulle_err
at_inbound_ports(struct plan *p, struct plan_chain *c, const struct steering *s, struct rule r)
{
	uint32_t *sorted = arena_array(&p->arena, s->inbound_ports_n + 1, sizeof(*sorted));
	enum tulle_err e = TULLE_OK;

	if (sorted == NULL)
		return TULLE_ENOMEM;
	if (s->inbound_ports_n == 0)
		return add_rule(p, c, r);
	memcpy(sorted, s->inbound_ports, s->inbound_ports_n * sizeof(*sorted));
	qsort(sorted, s->inbound_ports_n, sizeof(*sorted), compare_u32);
	for (size_t i = 0; i < s->inbound_ports_n && e == TULLE_OK; i++) {
		if (i == 0 || sorted[i] != sorted[i - 1])
			r.ports[r.ports_n++] = (struct port_range){ (uint16_t)sorted[i], (uint16_t)sorted[i] };
		if (r.ports_n == RULE_PORTS || (r.ports_n > 0 && i + 1 == s->inbound_ports_n)) {
			e = add_rule(p, c, r);
			r.ports_n = 0;
		}
	}
	return e;
}

/* What goes to (or, if <by_source>, comes from) the excluded blocks of this family. */
static enum tulle_err
return_cidrs(struct plan *p, struct plan_chain *c, const struct steering *s, bool by_source)
{
	struct cidr *sorted;
	enum tulle_err e = TULLE_OK;
	size_t n = 0;

	if (s->cidrs_n == 0)
		return TULLE_OK;
	sorted = arena_array(&p->arena, s->cidrs_n, sizeof(*sorted));
	if (sorted == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < s->cidrs_n; i++)
		if (s->cidrs[i].family == p->family)
			sorted[n++] = s->cidrs[i];
	qsort(sorted, n, sizeof(*sorted), compare_cidr);
	for (size_t i = 0; i < n && e == TULLE_OK; i++) {
		struct rule r = { .verdict = VERDICT_RETURN };

		if (i > 0 && compare_cidr(&sorted[i], &sorted[i - 1]) == 0)
			continue;
		*(by_source ? &r.from : &r.to) = sorted[i];
		e = add_rule(p, c, r);
	}
	return e;
}

/* A link-local address means nothing without its interface, which REDIRECT loses. */
static enum tulle_err
return_link_local(struct plan *p, struct plan_chain *c)
{
	struct cidr link_local;

	if (p->family != AF_INET6 || cidr_parse(&link_local, "fe80::/10") != TULLE_OK)
		return TULLE_OK;
	return add_rule(p, c, (struct rule){ .to = link_local, .verdict = VERDICT_RETURN });
}

/* All that is not captured on its way out; what is behind it in <c> sees only the rest. */
static enum tulle_err
outbound_exceptions(struct plan *p, struct plan_chain *c, const struct steering *s)
{
	struct ports ports;
	struct cidr loopback;
	enum tulle_err e;

	/* First, and for every protocol: this is what keeps the relay from talking to itself. */
	e = return_uids(p, c, s->own_uids, s->own_uids_n);
	if (e == TULLE_OK)
		e = return_uids(p, c, s->uids, s->uids_n);
	outbound_ports(&ports, s);
	if (e == TULLE_OK)
		e = return_ports(p, c, &ports);
	if (e == TULLE_OK)
		e = add_rule(p, c, (struct rule){ .link = LINK_OUT_LO, .verdict = VERDICT_RETURN });
	if (e == TULLE_OK)
		e = cidr_parse(&loopback, p->family == AF_INET ? "127.0.0.0/8" : "::1/128");
	if (e == TULLE_OK)
		e = add_rule(p, c, (struct rule){ .to = loopback, .verdict = VERDICT_RETURN });
	if (e == TULLE_OK)
		e = return_link_local(p, c);
	if (e == TULLE_OK)
		e = return_cidrs(p, c, s, false);
	return e;
}

/* All that is not captured on its way in. */
static enum tulle_err
inbound_exceptions(struct plan *p, struct plan_chain *c, const struct steering *s)
{
	struct ports ports;
	enum tulle_err e;

	e = add_rule(p, c, (struct rule){ .link = LINK_IN_LO, .verdict = VERDICT_RETURN });
	/* What is only passing through (containers, a router) has its own end elsewhere. */
	if (e == TULLE_OK)
		e = add_rule(p, c, (struct rule){ .to_others = true, .verdict = VERDICT_RETURN });
	if (e == TULLE_OK)
		e = return_link_local(p, c);
	if (e == TULLE_OK)
		e = return_cidrs(p, c, s, true);
	inbound_ports(&ports, s);
	if (e == TULLE_OK)
		e = return_ports(p, c, &ports);
	return e;
}

/* ---- the chains ---- */

/*
 * One rule that needs connection tracking and does nothing: while it is
 * there, taking away the others does not end tracking for the namespace,
 * which would hang every redirected connection.
 */
static enum tulle_err
plan_anchor(struct plan *p)
{
	struct plan_chain *c = add_chain(p, TABLE_MANGLE, CHAIN_ANCHOR, "INPUT", false);

	return add_rule(p, c, (struct rule){ .invalid = true });
}

/* With nat rules the guard resets what they missed; without (v6: reject) all new connections. */
static enum tulle_err
plan_guards(struct plan *p, const struct steering *s, bool steered)
{
	struct rule reset = { .first_packet = true, .not_redirected = steered, .verdict = VERDICT_RESET };
	enum tulle_err e = TULLE_OK;
	struct plan_chain *c;

	if (s->outbound) {
		c = add_chain(p, TABLE_FILTER, CHAIN_GUARD_OUT, "OUTPUT", true);
		e = outbound_exceptions(p, c, s);
		if (e == TULLE_OK)
			e = add_rule(p, c, reset);
	}
	if (s->inbound && e == TULLE_OK) {
		c = add_chain(p, TABLE_FILTER, CHAIN_GUARD_IN, "INPUT", true);
		e = inbound_exceptions(p, c, s);
		if (e == TULLE_OK)
			e = steered ? at_inbound_ports(p, c, s, reset) : add_rule(p, c, reset);
	}
	return e;
}

/*
 * Only a first packet is redirected: a later one of a connection that was
 * there before the rules would be torn from its peer.
 */
static enum tulle_err
plan_capture(struct plan *p, const struct steering *s)
{
	struct rule redirect = { .first_packet = true, .verdict = VERDICT_REDIRECT };
	enum tulle_err e = TULLE_OK;
	struct plan_chain *c;

	if (s->outbound) {
		c = add_chain(p, TABLE_NAT, CHAIN_OUT, "OUTPUT", true);
		e = outbound_exceptions(p, c, s);
		redirect.to_port = s->outbound_port;
		if (e == TULLE_OK)
			e = add_rule(p, c, redirect);
	}
	if (s->inbound && e == TULLE_OK) {
		c = add_chain(p, TABLE_NAT, CHAIN_IN, "PREROUTING", true);
		e = inbound_exceptions(p, c, s);
		redirect.to_port = s->inbound_port;
		if (e == TULLE_OK)
			e = at_inbound_ports(p, c, s, redirect);
	}
	return e;
}

static bool
ports_valid(const uint32_t *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i] == 0 || ports[i] > UINT16_MAX)
			return false;
	return true;
}

static bool
ranges_valid(const struct port_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ranges[i].from == 0 || ranges[i].to < ranges[i].from)
			return false;
	return true;
}

static enum tulle_err
check_input(const struct steering *s)
{
	if (s->ports_n > STEERING_EXCLUDE_MAX || s->in_ports_n > STEERING_EXCLUDE_MAX || s->out_ports_n > STEERING_EXCLUDE_MAX ||
	    s->cidrs_n > STEERING_EXCLUDE_MAX || s->uids_n > STEERING_EXCLUDE_MAX ||
	    s->inbound_ports_n > STEERING_EXCLUDE_MAX || s->own_uids_n > STEERING_OWN_UIDS)
		return TULLE_ELIMIT;
	if (!ports_valid(s->ports, s->ports_n) || !ports_valid(s->inbound_ports, s->inbound_ports_n) ||
	    !ranges_valid(s->in_ports, s->in_ports_n) || !ranges_valid(s->out_ports, s->out_ports_n))
		return TULLE_EINVAL;
	if ((s->outbound && s->outbound_port == 0) || (s->inbound && s->inbound_port == 0))
		return TULLE_EINVAL;
	if (s->outbound && s->inbound && s->outbound_port == s->inbound_port)
		return TULLE_EINVAL;
	return TULLE_OK;
}

enum tulle_err
plan_make(struct plan **ret, const struct steering *s, uint8_t family)
{
	bool v6 = family == AF_INET6;
	struct plan *p;
	enum tulle_err e;

	e = check_input(s);
	if (e != TULLE_OK)
		return e;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return TULLE_ENOMEM;
	p->family = family;
	p->arena = arena_new(PLAN_MEMORY);

	if (!v6 || s->v6 == STEERING_V6_ON) {
		e = plan_anchor(p);
		if (e == TULLE_OK && s->fail_closed)
			e = plan_guards(p, s, true);
		if (e == TULLE_OK)
			e = plan_capture(p, s);
	} else if (s->v6 == STEERING_V6_REJECT) {
		e = plan_anchor(p);
		if (e == TULLE_OK)
			e = plan_guards(p, s, false);
	}
	if (e != TULLE_OK) {
		plan_free(p);
		return e;
	}
	*ret = p;
	return TULLE_OK;
}

struct plan *
plan_free(struct plan *p)
{
	if (p != NULL)
		arena_free(&p->arena);
	free(p);
	return NULL;
}
