/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decide/authorize.h"

#include <string.h>

/* ---- names ------------------------------------------------------------------ */

static struct span
span_until(struct span *rest, char stop)
{
	const char *at = rest->len > 0 ? memchr(rest->p, stop, rest->len) : NULL;
	struct span head = { rest->p, at != NULL ? (size_t)(at - rest->p) : rest->len };
	const size_t used = at != NULL ? head.len + 1 : head.len;

	rest->p += used;
	rest->len -= used;
	return head;
}

static bool
span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

struct peer_name
peer_name_of(const char *id, size_t len)
{
	static const char scheme[] = "spiffe://";
	struct peer_name name = { .principal = { "", 0 } };
	struct span rest, part[4];

	if (id == NULL || len <= sizeof(scheme) - 1 || memcmp(id, scheme, sizeof(scheme) - 1) != 0)
		return name;
	rest = (struct span){ id + sizeof(scheme) - 1, len - (sizeof(scheme) - 1) };
	name.principal = rest;
	name.trust_domain = span_until(&rest, '/');
	for (size_t i = 0; i < 4; i++)
		part[i] = span_until(&rest, '/');
	if (rest.len == 0 && span_is(part[0], "ns") && span_is(part[2], "sa") && part[1].len > 0 && part[3].len > 0 &&
	    part[3].p + part[3].len == id + len) {
		name.namespace = part[1];
		name.account = part[3];
	}
	return name;
}

/* ---- one field: does any of its values fit? ----------------------------------- */

/* An empty <s>, a peer without that name, fits nothing, not even "*". */
static bool
pattern_fits(const struct pattern *p, struct span s)
{
	if (s.len == 0 || s.len < p->len)
		return false;
	switch (p->how) {
	case PATTERN_EXACT:
		return s.len == p->len && memcmp(s.p, p->text, p->len) == 0;
	case PATTERN_PREFIX:
		return memcmp(s.p, p->text, p->len) == 0;
	case PATTERN_SUFFIX:
		return memcmp(s.p + s.len - p->len, p->text, p->len) == 0;
	case PATTERN_PRESENT:
		return true;
	}
	return false;
}

static bool
any_pattern(const struct patterns *list, struct span s)
{
	for (size_t i = 0; i < list->n; i++)
		if (pattern_fits(&list->items[i], s))
			return true;
	return false;
}

static bool
any_account(const struct account_name *list, size_t n, const struct peer_name *peer, const char *own_namespace)
{
	if (peer->account.len == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (span_is(peer->account, list[i].account) &&
		    span_is(peer->namespace, list[i].namespace != NULL ? list[i].namespace : own_namespace))
			return true;
	return false;
}

static bool
any_block(const struct cidrs *list, const struct addr *a)
{
	for (size_t i = 0; i < list->n; i++)
		if (cidr_contains(&list->items[i], a))
			return true;
	return false;
}

static bool
any_port(const struct ports *list, uint16_t port)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i] == port)
			return true;
	return false;
}

/* ---- sources, operations, rules, policies ---------------------------------------- */

/* A field that is not given says nothing; one that is must fit, and its "not" twin must not. */
static bool
patterns_allow(const struct patterns *yes, const struct patterns *no, struct span s)
{
	return (yes->n == 0 || any_pattern(yes, s)) && !any_pattern(no, s);
}

static bool
source_fits(const struct policy_source *s, const struct authz_input *in, const char *own_namespace)
{
	const struct peer_name *peer = &in->peer;

	return patterns_allow(&s->principals, &s->not_principals, peer->principal) &&
	    patterns_allow(&s->namespaces, &s->not_namespaces, peer->namespace) &&
	    patterns_allow(&s->trust_domains, &s->not_trust_domains, peer->trust_domain) &&
	    (s->service_accounts.n == 0 ||
		any_account(s->service_accounts.items, s->service_accounts.n, peer, own_namespace)) &&
	    !any_account(s->not_service_accounts.items, s->not_service_accounts.n, peer, own_namespace) &&
	    (s->ip_blocks.n == 0 || any_block(&s->ip_blocks, &in->source)) &&
	    !any_block(&s->not_ip_blocks, &in->source);
}

static bool
operation_fits(const struct policy_operation *o, const struct authz_input *in)
{
	return (o->ports.n == 0 || any_port(&o->ports, in->port)) && !any_port(&o->not_ports, in->port);
}

static bool
rule_fits(const struct policy_rule *r, const struct authz_input *in, const char *own_namespace)
{
	bool from = r->from.n == 0, to = r->to.n == 0;
	size_t i;

	for (i = 0; i < r->from.n && !from; i++)
		from = source_fits(&r->from.items[i], in, own_namespace);
	for (i = 0; i < r->to.n && !to; i++)
		to = operation_fits(&r->to.items[i], in);
	return from && to;
}

/* The first rule that fits, NULL if none. */
static const struct policy_rule *
policy_match(const struct auth_policy *p, const struct authz_input *in)
{
	for (size_t i = 0; i < p->rules.n; i++)
		if (rule_fits(&p->rules.items[i], in, p->meta.namespace))
			return &p->rules.items[i];
	return NULL;
}

static bool
by_rule(struct authz_decision *d, const struct auth_policy *p, const struct authz_input *in)
{
	const struct policy_rule *r = policy_match(p, in);

	if (r == NULL)
		return false;
	d->policy = p;
	d->rule = r;
	d->rule_index = (size_t)(r - p->rules.items);
	d->place = r->place;
	return true;
}

static void
audit(struct authz_decision *d, const struct authz_input *in, const struct auth_policy *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (policy_match(list[i], in) == NULL)
			continue;
		if (d->n_audit < AUTHZ_AUDIT_MAX)
			d->audit[d->n_audit] = list[i];
		d->n_audit++;
	}
}

struct authz_decision
authorize(const struct authz_input *in)
{
	const struct workload *w = in->workload;
	const struct auth_policy *const *deny = w->policies, *const *allow = deny + w->n_deny;
	struct authz_decision d = { .verdict = AUTHZ_DENY };
	size_t i;

	audit(&d, in, allow + w->n_allow, w->n_audit);
	d.reason = AUTHZ_DENY_RULE;
	for (i = 0; i < w->n_deny; i++)
		if (by_rule(&d, deny[i], in))
			return d;
	d.verdict = AUTHZ_ALLOW;
	if (w->n_allow == 0) {
		d.reason = AUTHZ_NO_POLICY;
		return d;
	}
	d.reason = AUTHZ_ALLOW_RULE;
	for (i = 0; i < w->n_allow; i++)
		if (by_rule(&d, allow[i], in))
			return d;
	d.verdict = AUTHZ_DENY;
	d.reason = AUTHZ_NOT_ALLOWED;
	d.policy = allow[0];
	d.place = allow[0]->meta.place;
	return d;
}

const char *
authz_reason_text(enum authz_reason reason)
{
	switch (reason) {
	case AUTHZ_NO_POLICY:
		return "no policy applies";
	case AUTHZ_ALLOW_RULE:
		return "allowed by a rule";
	case AUTHZ_DENY_RULE:
		return "denied by a rule";
	case AUTHZ_NOT_ALLOWED:
		return "no rule allows it";
	}
	return "unknown";
}
