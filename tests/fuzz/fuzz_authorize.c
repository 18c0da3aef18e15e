/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policies and a peer out of bytes; the decision must be that of a second
 * implementation, which works on plain strings and follows the words of
 * Istio's reference one by one.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "decide/authorize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- bytes into policies ------------------------------------------------------ */

static const uint8_t *in;
static size_t left;

static unsigned int
take(unsigned int below)
{
	if (left == 0)
		return 0;
	left--;
	return *in++ % below;
}

#define VALUES 3

static const char *const ids[] = { NULL, "spiffe://td/ns/a/sa/x", "spiffe://td/ns/a/sa/y", "spiffe://td/ns/b/sa/x",
	"spiffe://td2/ns/a/sa/x", "spiffe://td/host/1", "spiffe://td/ns/ab/sa/xy", "spiffe://td" };
static const char *const principal_words[] = { "*", "td/*", "*/sa/x", "td/ns/a/sa/x", "td/ns/a*", "*x", "td/ns/b/sa/x" };
static const char *const short_words[] = { "*", "a", "b", "a*", "*b", "td", "td2", "td*", "ab" };
static const char *const addresses[] = { "10.0.0.1", "10.0.1.1", "fd00::1", "fd01::1" };
static const char *const blocks[] = { "10.0.0.0/24", "10.0.0.0/16", "fd00::/16", "0.0.0.0/0", "10.0.1.1" };
static const char *const accounts[][2] = { { "a", "x" }, { "b", "x" }, { NULL, "x" }, { NULL, "y" }, { "ab", "xy" } };

#define LEN(a) ((unsigned int)(sizeof(a) / sizeof((a)[0])))

struct words {
	struct pattern items[VALUES];
	const char *plain[VALUES]; /* for the second implementation */
	size_t n;
};

struct source {
	struct words principals[2], namespaces[2], trust_domains[2]; /* [1]: the "not" twin */
	struct account_name accounts[2][VALUES];
	size_t n_accounts[2];
	struct cidr cidrs[2][VALUES];
	size_t n_cidrs[2];
};

struct operation {
	uint32_t ports[2][VALUES];
	size_t n_ports[2];
};

#define POLICIES 4
#define RULES 2
#define PARTS 2

static struct source sources[POLICIES][RULES][PARTS];
static struct operation operations[POLICIES][RULES][PARTS];
static struct policy_source from[POLICIES][RULES][PARTS];
static struct policy_operation to[POLICIES][RULES][PARTS];
static struct policy_rule rules[POLICIES][RULES];
static struct auth_policy policies[POLICIES];

static struct patterns
take_words(struct words *w, const char *const *choice, unsigned int n_choice)
{
	w->n = take(4) == 0 ? 1 + take(VALUES) : 0;
	for (size_t i = 0; i < w->n; i++) {
		const char *t = w->plain[i] = choice[take(n_choice)];
		const size_t n = strlen(t);

		if (strcmp(t, "*") == 0)
			w->items[i] = (struct pattern){ PATTERN_PRESENT, "", 0 };
		else if (*t == '*')
			w->items[i] = (struct pattern){ PATTERN_SUFFIX, t + 1, n - 1 };
		else if (t[n - 1] == '*')
			w->items[i] = (struct pattern){ PATTERN_PREFIX, t, n - 1 };
		else
			w->items[i] = (struct pattern){ PATTERN_EXACT, t, n };
	}
	return (struct patterns){ w->items, w->n };
}

static void
take_source(struct source *s, struct policy_source *out)
{
	*out = (struct policy_source){ .place = { "f", 1, 1 } };
	out->principals = take_words(&s->principals[0], principal_words, LEN(principal_words));
	out->not_principals = take_words(&s->principals[1], principal_words, LEN(principal_words));
	out->namespaces = take_words(&s->namespaces[0], short_words, LEN(short_words));
	out->not_namespaces = take_words(&s->namespaces[1], short_words, LEN(short_words));
	out->trust_domains = take_words(&s->trust_domains[0], short_words, LEN(short_words));
	out->not_trust_domains = take_words(&s->trust_domains[1], short_words, LEN(short_words));
	for (int twin = 0; twin < 2; twin++) {
		s->n_accounts[twin] = take(4) == 0 ? 1 + take(VALUES) : 0;
		for (size_t i = 0; i < s->n_accounts[twin]; i++) {
			const unsigned int a = take(LEN(accounts));

			s->accounts[twin][i] = (struct account_name){ accounts[a][0], accounts[a][1] };
		}
		s->n_cidrs[twin] = take(4) == 0 ? 1 + take(VALUES) : 0;
		for (size_t i = 0; i < s->n_cidrs[twin]; i++)
			if (cidr_parse(&s->cidrs[twin][i], blocks[take(LEN(blocks))]) != TULLE_OK)
				assert(0);
	}
	out->service_accounts.items = s->accounts[0];
	out->service_accounts.n = s->n_accounts[0];
	out->not_service_accounts.items = s->accounts[1];
	out->not_service_accounts.n = s->n_accounts[1];
	out->ip_blocks = (struct cidrs){ s->cidrs[0], s->n_cidrs[0] };
	out->not_ip_blocks = (struct cidrs){ s->cidrs[1], s->n_cidrs[1] };
}

static void
take_operation(struct operation *o, struct policy_operation *out)
{
	for (int twin = 0; twin < 2; twin++) {
		o->n_ports[twin] = take(3) == 0 ? 1 + take(VALUES) : 0;
		for (size_t i = 0; i < o->n_ports[twin]; i++)
			o->ports[twin][i] = 80 + take(3);
	}
	*out = (struct policy_operation){ .ports = { o->ports[0], o->n_ports[0] },
		.not_ports = { o->ports[1], o->n_ports[1] } };
}

static void
take_policy(size_t p)
{
	struct auth_policy *out = &policies[p];

	*out = (struct auth_policy){ .meta = { .place = { "f", 1, 1 }, .name = "p", .namespace = take(2) ? "a" : "b" } };
	out->rules.items = rules[p];
	out->rules.n = take(RULES + 1);
	for (size_t r = 0; r < out->rules.n; r++) {
		rules[p][r] = (struct policy_rule){ .place = { "f", 2, 1 } };
		rules[p][r].from.items = from[p][r];
		rules[p][r].from.n = take(PARTS + 1);
		rules[p][r].to.items = to[p][r];
		rules[p][r].to.n = take(PARTS + 1);
		for (size_t i = 0; i < rules[p][r].from.n; i++)
			take_source(&sources[p][r][i], &from[p][r][i]);
		for (size_t i = 0; i < rules[p][r].to.n; i++)
			take_operation(&operations[p][r][i], &to[p][r][i]);
	}
}

/* ---- the second implementation --------------------------------------------------- */

static const char *peer_principal, *peer_td, *peer_ns, *peer_sa; /* "" if there is none */
static struct addr peer_addr;
static uint16_t peer_port;

static bool
word_fits(const char *word, const char *value)
{
	const size_t w = strlen(word), v = strlen(value);

	if (v == 0)
		return false;
	if (strcmp(word, "*") == 0)
		return true;
	if (word[0] == '*')
		return v >= w - 1 && strcmp(value + v - (w - 1), word + 1) == 0;
	if (word[w - 1] == '*')
		return strncmp(value, word, w - 1) == 0;
	return strcmp(value, word) == 0;
}

static bool
words_fit(const struct words twins[2], const char *value)
{
	bool yes = twins[0].n == 0;

	for (size_t i = 0; i < twins[0].n; i++)
		yes |= word_fits(twins[0].plain[i], value);
	for (size_t i = 0; i < twins[1].n; i++)
		yes &= !word_fits(twins[1].plain[i], value);
	return yes;
}

static bool
naive_source(const struct source *s, const char *own)
{
	bool yes = words_fit(s->principals, peer_principal) && words_fit(s->namespaces, peer_ns) &&
	    words_fit(s->trust_domains, peer_td);

	for (int twin = 0; twin < 2; twin++) {
		bool account = false, block = false;

		for (size_t i = 0; i < s->n_accounts[twin]; i++) {
			const char *ns = s->accounts[twin][i].namespace;

			account |= *peer_sa != '\0' && strcmp(peer_sa, s->accounts[twin][i].account) == 0 &&
			    strcmp(peer_ns, ns != NULL ? ns : own) == 0;
		}
		for (size_t i = 0; i < s->n_cidrs[twin]; i++)
			block |= cidr_contains(&s->cidrs[twin][i], &peer_addr);
		if (s->n_accounts[twin] > 0)
			yes &= account == (twin == 0);
		if (s->n_cidrs[twin] > 0)
			yes &= block == (twin == 0);
	}
	return yes;
}

static bool
naive_operation(const struct operation *o)
{
	bool yes = true;

	for (int twin = 0; twin < 2; twin++) {
		bool port = false;

		for (size_t i = 0; i < o->n_ports[twin]; i++)
			port |= o->ports[twin][i] == peer_port;
		if (o->n_ports[twin] > 0)
			yes &= port == (twin == 0);
	}
	return yes;
}

static bool
naive_policy(size_t p)
{
	bool any = false;

	for (size_t r = 0; r < policies[p].rules.n; r++) {
		bool f = rules[p][r].from.n == 0, t = rules[p][r].to.n == 0;

		for (size_t i = 0; i < rules[p][r].from.n; i++)
			f |= naive_source(&sources[p][r][i], policies[p].meta.namespace);
		for (size_t i = 0; i < rules[p][r].to.n; i++)
			t |= naive_operation(&operations[p][r][i]);
		any |= f && t;
	}
	return any;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const parts[][4] = { { "", "", "", "" }, { "td/ns/a/sa/x", "td", "a", "x" },
		{ "td/ns/a/sa/y", "td", "a", "y" }, { "td/ns/b/sa/x", "td", "b", "x" }, { "td2/ns/a/sa/x", "td2", "a", "x" },
		{ "td/host/1", "td", "", "" }, { "td/ns/ab/sa/xy", "td", "ab", "xy" }, { "td", "td", "", "" } };
	const struct auth_policy *list[POLICIES];
	struct workload w = { .name = "w", .policies = list };
	struct authz_input input = { .workload = &w };
	bool denied = false, allowed = false;
	struct authz_decision d;
	size_t audits = 0, who;

	in = data;
	left = size;
	w.n_deny = take(2);
	w.n_allow = take(3);
	w.n_audit = take(2);
	w.n_policies = w.n_deny + w.n_allow + w.n_audit;
	who = take(LEN(ids));
	peer_principal = parts[who][0];
	peer_td = parts[who][1];
	peer_ns = parts[who][2];
	peer_sa = parts[who][3];
	if (addr_parse_ip(&peer_addr, addresses[take(LEN(addresses))]) != TULLE_OK)
		assert(0);
	peer_port = (uint16_t)(80 + take(3));
	for (size_t p = 0; p < w.n_policies; p++) {
		take_policy(p);
		list[p] = &policies[p];
	}
	input.peer = peer_name_of(ids[who], ids[who] != NULL ? strlen(ids[who]) : 0);
	input.source = peer_addr;
	input.port = peer_port;
	d = authorize(&input);

	for (size_t p = 0; p < w.n_policies; p++) {
		const bool fits = naive_policy(p);

		if (p < w.n_deny)
			denied |= fits;
		else if (p < w.n_deny + w.n_allow)
			allowed |= fits;
		else
			audits += fits;
	}
	assert(d.verdict == (denied || (w.n_allow > 0 && !allowed) ? AUTHZ_DENY : AUTHZ_ALLOW));
	assert(d.n_audit == audits);
	assert((d.rule != NULL) == (d.reason == AUTHZ_DENY_RULE || d.reason == AUTHZ_ALLOW_RULE));
	assert((d.policy == NULL) == (d.reason == AUTHZ_NO_POLICY));
	return 0;
}
