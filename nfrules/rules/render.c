/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/render.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct line {
	char *out;
	size_t len;
};

/* Appends a word, with a space before all but the first. */
static void __attribute__((format(printf, 2, 3)))
put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (l->len > 0 && l->len < RULE_TEXT - 1)
		l->out[l->len++] = ' ';
	va_start(ap, fmt);
	n = vsnprintf(l->out + l->len, RULE_TEXT - l->len, fmt, ap);
	va_end(ap);
	l->len += (size_t)n;
	if (l->len > RULE_TEXT - 1)
		l->len = RULE_TEXT - 1; /* cannot be: every rule of a plan is shorter */
}

/* iptables-save leaves a block of length 0 out. */
static void
put_cidr(struct line *l, const char *option, const struct cidr *c)
{
	struct addr a = { .family = c->family };
	char ip[ADDR_TEXT];

	if (c->family == 0 || c->bits == 0)
		return;
	memcpy(a.ip, c->ip, sizeof(a.ip));
	put(l, "%s %s/%u", option, addr_format_ip(&a, ip), c->bits);
}

static void
put_ports(struct line *l, const struct rule *r)
{
	put(l, "-p tcp -m multiport --dports ");
	for (size_t i = 0; i < r->ports_n; i++) {
		const struct port_range *one = &r->ports[i];
		char port[16];
		int n = snprintf(port, sizeof(port), "%s%u", i > 0 ? "," : "", one->from);

		if (one->to != one->from)
			n += snprintf(port + n, sizeof(port) - (size_t)n, ":%u", one->to);

		if (l->len + (size_t)n < RULE_TEXT) {
			memcpy(l->out + l->len, port, (size_t)n + 1);
			l->len += (size_t)n;
		}
	}
}

char *
render_rule(const struct rule *r, char out[RULE_TEXT])
{
	struct line l = { .out = out };

	out[0] = '\0';
	put_cidr(&l, "-s", &r->from);
	put_cidr(&l, "-d", &r->to);
	if (r->link == LINK_IN_LO)
		put(&l, "-i lo");
	else if (r->link == LINK_OUT_LO)
		put(&l, "-o lo");
	if (r->ports_n > 0)
		put_ports(&l, r);
	if (r->first_packet)
		put(&l, "%s-m tcp --tcp-flags FIN,SYN,RST,ACK SYN", r->ports_n > 0 ? "" : "-p tcp ");
	if (r->by_uid)
		put(&l, "-m owner --uid-owner %u", r->uid);
	if (r->to_others)
		put(&l, "-m addrtype ! --dst-type LOCAL");
	if (r->not_redirected)
		put(&l, "-m conntrack ! --ctstate DNAT");
	if (r->invalid)
		put(&l, "-m conntrack --ctstate INVALID");
	switch (r->verdict) {
	case VERDICT_NONE:
		break;
	case VERDICT_RETURN:
		put(&l, "-j RETURN");
		break;
	case VERDICT_REDIRECT:
		put(&l, "-j REDIRECT --to-ports %u", r->to_port);
		break;
	case VERDICT_RESET:
		put(&l, "-j REJECT --reject-with tcp-reset");
		break;
	}
	return out;
}

static enum tulle_err
render_chain(struct ruleset *r, const struct plan_chain *pc)
{
	struct ruleset_chain *c = ruleset_add_chain(r, pc->table, pc->name);
	char text[RULE_TEXT];
	enum tulle_err e = TULLE_OK;

	if (c == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < pc->n && e == TULLE_OK; i++)
		e = ruleset_add_rule(r, c, render_rule(&pc->rules[i], text));
	if (e != TULLE_OK)
		return e;
	(void)snprintf(text, sizeof(text), "-j %s", pc->name);
	return ruleset_add_jump(r, pc->table, pc->hook, text, pc->name, pc->first ? 1 : 0);
}

enum tulle_err
render_plan(struct ruleset **ret, const struct plan *p)
{
	struct ruleset *r = ruleset_new();
	enum tulle_err e = TULLE_OK;

	if (r == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < p->n && e == TULLE_OK; i++)
		e = render_chain(r, &p->chains[i]);
	if (e != TULLE_OK) {
		ruleset_free(r);
		return e;
	}
	*ret = r;
	return TULLE_OK;
}
