/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every line of Istio's rules has a test of its name. */
#include "decide/authorize.h"

#include <stdarg.h>
#include <stdio.h>

#include "mesh.h"
#include "unit.h"

#define CART "spiffe://mesh.example/ns/shop/sa/cart"
#define WEB "spiffe://mesh.example/ns/web/sa/web"
#define FOREIGN "spiffe://other.example/ns/shop/sa/cart"
#define ODD "spiffe://mesh.example/host/42"
#define NOBODY NULL

static char text[8192];
static struct snapshot *snapshot;
static struct authz_decision last;

/* The workload shop/api of these tests, at port 80, with these policies ("ALLOW rules: ...", NULL at the end). */
static void
policies(const char *first, ...)
{
	const char *spec;
	size_t len;
	va_list ap;
	int i = 0;

	snapshot_unref(snapshot);
	snapshot = NULL;
	len = (size_t)sprintf(text, "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
	                            "metadata: {name: api, namespace: shop}\n"
	                            "spec: {address: 10.0.0.1, labels: {app: api}, serviceAccount: api}\n");
	va_start(ap, first);
	for (spec = first; spec != NULL; spec = va_arg(ap, const char *))
		len += (size_t)sprintf(text + len, "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		                                   "metadata: {name: p%d, namespace: shop}\nspec: {%s}\n", i++, spec);
	va_end(ap);
	snapshot = mesh(text);
}

static enum authz_verdict
ask_from(const char *id, const char *source, uint16_t port)
{
	struct authz_input in = { .peer = peer_name_of(id, id != NULL ? strlen(id) : 0), .port = port };
	const struct addr at = ip_port("10.0.0.1:80");

	ck_assert_int_eq(addr_parse_ip(&in.source, source), TULLE_OK);
	in.workload = snapshot_workload(snapshot, &at);
	ck_assert_str_eq(in.workload->name, "api");
	last = authorize(&in);
	return last.verdict;
}

static enum authz_verdict
ask(const char *id)
{
	return ask_from(id, "10.0.0.2", 80);
}

#define ALLOWED(id) ck_assert_int_eq(ask(id), AUTHZ_ALLOW)
#define DENIED(id) ck_assert_int_eq(ask(id), AUTHZ_DENY)

static void
done(void)
{
	snapshot = (snapshot_unref(snapshot), NULL);
}

START_TEST(no_policy_allows)
{
	policies(NULL);
	ALLOWED(CART);
	ALLOWED(NOBODY);
	ck_assert_int_eq(last.reason, AUTHZ_NO_POLICY);
	ck_assert_ptr_null(last.policy);
	ck_assert_uint_eq(last.place.line, 0);
	done();
}
END_TEST

START_TEST(a_matching_deny_denies_even_if_an_allow_matches)
{
	policies("rules: [{}]", "action: DENY, rules: [{from: [{source: {namespaces: [web]}}]}]", NULL);
	ALLOWED(CART);
	ck_assert_int_eq(last.reason, AUTHZ_ALLOW_RULE);
	ck_assert_str_eq(last.policy->meta.name, "p0");
	DENIED(WEB);
	ck_assert_int_eq(last.reason, AUTHZ_DENY_RULE);
	ck_assert_str_eq(last.policy->meta.name, "p1");
	done();
}
END_TEST

START_TEST(no_allow_policy_allows_what_no_deny_matches)
{
	policies("action: DENY, rules: [{from: [{source: {namespaces: [web]}}]}]", NULL);
	ALLOWED(CART);
	ck_assert_int_eq(last.reason, AUTHZ_NO_POLICY);
	DENIED(WEB);
	done();
}
END_TEST

START_TEST(an_allow_policy_that_does_not_match_denies)
{
	policies("rules: [{from: [{source: {namespaces: [web]}}]}]", NULL);
	ALLOWED(WEB);
	DENIED(CART);
	ck_assert_int_eq(last.reason, AUTHZ_NOT_ALLOWED);
	ck_assert_str_eq(last.policy->meta.name, "p0");
	ck_assert_ptr_null(last.rule);
	ck_assert_uint_eq(last.place.line, 6);
	done();
}
END_TEST

START_TEST(any_of_several_allow_policies_allows)
{
	policies("rules: [{from: [{source: {namespaces: [web]}}]}]", "rules: [{from: [{source: {namespaces: [shop]}}]}]",
	    NULL);
	ALLOWED(CART);
	ALLOWED(WEB);
	DENIED(NOBODY);
	done();
}
END_TEST

START_TEST(allow_without_rules_allows_nothing)
{
	policies("action: ALLOW", NULL);
	DENIED(CART);
	policies("rules: []", NULL);
	DENIED(CART);
	done();
}
END_TEST

START_TEST(one_empty_rule_matches_all)
{
	policies("rules: [{}]", NULL);
	ALLOWED(NOBODY);
	policies("action: DENY, rules: [{}]", NULL);
	DENIED(CART);
	done();
}
END_TEST

START_TEST(audit_marks_and_never_decides)
{
	policies("action: AUDIT, rules: [{}]", "action: AUDIT, rules: [{from: [{source: {namespaces: [web]}}]}]", NULL);
	ALLOWED(CART);
	ck_assert_int_eq(last.reason, AUTHZ_NO_POLICY);
	ck_assert_uint_eq(last.n_audit, 1);
	ck_assert_str_eq(last.audit[0]->meta.name, "p0");
	ALLOWED(WEB);
	ck_assert_uint_eq(last.n_audit, 2);
	policies("action: AUDIT, rules: [{}]", "action: DENY, rules: [{}]", NULL);
	DENIED(WEB);
	ck_assert_uint_eq(last.n_audit, 1);
	policies("action: AUDIT, rules: [{}]", "action: AUDIT, rules: [{}]", "action: AUDIT, rules: [{}]",
	    "action: AUDIT, rules: [{}]", "action: AUDIT, rules: [{}]", NULL);
	ALLOWED(WEB);
	ck_assert_uint_eq(last.n_audit, 5);
	done();
}
END_TEST

START_TEST(rules_are_ored_from_and_to_are_anded)
{
	policies("rules: [{from: [{source: {namespaces: [web]}}], to: [{operation: {ports: [80]}}]}, "
	         "{from: [{source: {namespaces: [shop]}}], to: [{operation: {ports: [81]}}]}]", NULL);
	ck_assert_int_eq(ask_from(WEB, "10.0.0.2", 80), AUTHZ_ALLOW);
	ck_assert_uint_eq(last.rule_index, 0);
	ck_assert_int_eq(ask_from(WEB, "10.0.0.2", 81), AUTHZ_DENY);
	ck_assert_int_eq(ask_from(CART, "10.0.0.2", 81), AUTHZ_ALLOW);
	ck_assert_uint_eq(last.rule_index, 1);
	ck_assert_ptr_eq(last.rule, &last.policy->rules.items[1]);
	ck_assert_int_eq(ask_from(CART, "10.0.0.2", 80), AUTHZ_DENY);
	done();
}
END_TEST

START_TEST(list_entries_are_ored_fields_anded_values_ored)
{
	policies("rules: [{from: [{source: {namespaces: [web, x], ipBlocks: [10.0.0.2]}}, {source: {principals: "
	         "[mesh.example/ns/shop/sa/cart]}}], to: [{operation: {ports: [1]}}, {operation: {ports: [80, 2]}}]}]", NULL);
	ALLOWED(CART);
	ALLOWED(WEB);
	ck_assert_int_eq(ask_from(WEB, "10.0.0.3", 80), AUTHZ_DENY);
	ck_assert_int_eq(ask_from(CART, "10.0.0.3", 2), AUTHZ_ALLOW);
	ck_assert_int_eq(ask_from(CART, "10.0.0.3", 1), AUTHZ_ALLOW);
	ck_assert_int_eq(ask_from(CART, "10.0.0.3", 3), AUTHZ_DENY);
	done();
}
END_TEST

START_TEST(not_fields_must_match_none)
{
	policies("rules: [{from: [{source: {notNamespaces: [web, x]}}], to: [{operation: {notPorts: [81]}}]}]", NULL);
	ALLOWED(CART);
	ALLOWED(NOBODY); /* has no namespace, so none of those */
	DENIED(WEB);
	ck_assert_int_eq(ask_from(CART, "10.0.0.2", 81), AUTHZ_DENY);
	policies("rules: [{from: [{source: {namespaces: ['*'], notNamespaces: [web]}}]}]", NULL);
	ALLOWED(CART);
	DENIED(NOBODY);
	DENIED(WEB);
	policies("rules: [{to: [{operation: {ports: [80, 81], notPorts: [81]}}]}]", NULL);
	ck_assert_int_eq(ask_from(CART, "10.0.0.2", 80), AUTHZ_ALLOW);
	ck_assert_int_eq(ask_from(CART, "10.0.0.2", 81), AUTHZ_DENY);
	policies("rules: [{from: [{source: {notIpBlocks: [10.0.0.0/30, fd00::/8]}}]}]", NULL);
	ck_assert_int_eq(ask_from(CART, "10.0.0.4", 80), AUTHZ_ALLOW);
	ck_assert_int_eq(ask_from(CART, "10.0.0.3", 80), AUTHZ_DENY);
	ck_assert_int_eq(ask_from(CART, "fd00::9", 80), AUTHZ_DENY);
	done();
}
END_TEST

START_TEST(principals_are_without_the_scheme)
{
	policies("rules: [{from: [{source: {principals: [mesh.example/ns/shop/sa/cart]}}]}]", NULL);
	ALLOWED(CART);
	DENIED(WEB);
	DENIED(FOREIGN);
	DENIED("spiffe://mesh.example/ns/shop/sa/cart2");
	DENIED("spiffe://mesh.example/ns/shop/sa/Cart");
	DENIED(NOBODY);
	done();
}
END_TEST

START_TEST(strings_are_exact_prefix_suffix_or_present)
{
	static const struct {
		const char *pattern;
		bool cart, web, foreign, odd;
	} cases[] = {
		{ "mesh.example/ns/shop/sa/cart", true, false, false, false },
		{ "mesh.example/*", true, true, false, true },
		{ "*/sa/cart", true, false, true, false },
		{ "*", true, true, true, true },
		{ "mesh.example/ns/shop/sa/cart*", true, false, false, false },
		{ "*mesh.example/ns/shop/sa/cart", true, false, false, false },
		{ "mesh.example/ns/shop/sa/cart/*", false, false, false, false },
		{ "MESH.example/*", false, false, false, false },
	};
	char spec[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(spec, sizeof(spec), "rules: [{from: [{source: {principals: ['%s']}}]}]", cases[i].pattern);
		policies(spec, NULL);
		ck_assert_msg((ask(CART) == AUTHZ_ALLOW) == cases[i].cart, "cart, %s", cases[i].pattern);
		ck_assert_msg((ask(WEB) == AUTHZ_ALLOW) == cases[i].web, "web, %s", cases[i].pattern);
		ck_assert_msg((ask(FOREIGN) == AUTHZ_ALLOW) == cases[i].foreign, "foreign, %s", cases[i].pattern);
		ck_assert_msg((ask(ODD) == AUTHZ_ALLOW) == cases[i].odd, "odd, %s", cases[i].pattern);
		ck_assert_msg(ask(NOBODY) == AUTHZ_DENY, "nobody, %s", cases[i].pattern);
	}
	done();
}
END_TEST

START_TEST(no_identity_never_matches_positively)
{
	static const char *const fields[] = { "principals: ['*']", "namespaces: ['*']", "trustDomains: ['*']",
		"serviceAccounts: [shop/cart]", "principals: ['mesh*']", "namespaces: ['*p']" };
	char spec[200];

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		(void)snprintf(spec, sizeof(spec), "rules: [{from: [{source: {%s}}]}]", fields[i]);
		policies(spec, NULL);
		ck_assert_msg(ask(NOBODY) == AUTHZ_DENY, "%s", fields[i]);
		ck_assert_msg(ask("") == AUTHZ_DENY, "%s", fields[i]);
		ck_assert_msg(ask("spiffe://") == AUTHZ_DENY, "%s", fields[i]);
		ck_assert_msg(ask("https://mesh.example/ns/shop/sa/cart") == AUTHZ_DENY, "%s", fields[i]);
		ck_assert_msg(ask(CART) == AUTHZ_ALLOW, "%s", fields[i]);
	}
	done();
}
END_TEST

START_TEST(not_principals_star_is_exactly_the_unauthenticated)
{
	policies("action: DENY, rules: [{from: [{source: {notPrincipals: ['*']}}]}]", NULL);
	DENIED(NOBODY);
	ALLOWED(CART);
	ALLOWED(FOREIGN);
	ALLOWED(ODD);
	done();
}
END_TEST

START_TEST(namespaces_are_of_any_trust_domain)
{
	policies("rules: [{from: [{source: {namespaces: [shop]}}]}]", NULL);
	ALLOWED(CART);
	ALLOWED(FOREIGN);
	DENIED(WEB);
	DENIED(ODD);
	policies("rules: [{from: [{source: {namespaces: [shop], trustDomains: [mesh.example]}}]}]", NULL);
	ALLOWED(CART);
	DENIED(FOREIGN);
	policies("rules: [{from: [{source: {notTrustDomains: [mesh.example]}}]}]", NULL);
	DENIED(CART);
	ALLOWED(FOREIGN);
	done();
}
END_TEST

START_TEST(service_accounts_default_to_the_policys_namespace)
{
	policies("rules: [{from: [{source: {serviceAccounts: [cart, web/web]}}]}]", NULL);
	ALLOWED(CART);
	ALLOWED(WEB);
	DENIED("spiffe://mesh.example/ns/web/sa/cart");
	DENIED(ODD);
	policies("rules: [{from: [{source: {notServiceAccounts: [web/web]}}]}]", NULL);
	ALLOWED(CART);
	ALLOWED(NOBODY);
	DENIED(WEB);
	done();
}
END_TEST

START_TEST(ip_blocks_are_of_the_peer)
{
	policies("rules: [{from: [{source: {ipBlocks: [10.0.0.0/24, 'fd00::/16']}}]}]", NULL);
	ck_assert_int_eq(ask_from(NOBODY, "10.0.0.255", 80), AUTHZ_ALLOW);
	ck_assert_int_eq(ask_from(NOBODY, "10.0.1.0", 80), AUTHZ_DENY);
	ck_assert_int_eq(ask_from(NOBODY, "fd00::1", 80), AUTHZ_ALLOW);
	ck_assert_int_eq(ask_from(NOBODY, "fd01::1", 80), AUTHZ_DENY);
	ck_assert_int_eq(ask_from(NOBODY, "::ffff:10.0.0.9", 80), AUTHZ_ALLOW);
	done();
}
END_TEST

START_TEST(the_decision_names_its_rule)
{
	policies("rules: [{from: [{source: {namespaces: [nobody]}}]}, {to: [{operation: {ports: ['80']}}]}]", NULL);
	ALLOWED(CART);
	ck_assert_uint_eq(last.rule_index, 1);
	ck_assert_str_eq(last.place.file, "mesh.yaml");
	ck_assert_uint_eq(last.place.line, 9);
	ck_assert_uint_eq(last.place.column, 60);
	ck_assert_str_eq(authz_reason_text(last.reason), "allowed by a rule");
	ck_assert_str_eq(authz_reason_text(AUTHZ_DENY_RULE), "denied by a rule");
	ck_assert_str_eq(authz_reason_text(AUTHZ_NO_POLICY), "no policy applies");
	ck_assert_str_eq(authz_reason_text(AUTHZ_NOT_ALLOWED), "no rule allows it");
	done();
}
END_TEST

START_TEST(names_come_apart)
{
	static const char *const odd[] = { "spiffe://td/ns/a/sa/", "spiffe://td/ns//sa/b", "spiffe://td/ns/a/sa/b/",
		"spiffe://td/ns/a/sa/b/c", "spiffe://td/ns/a/s/b", "spiffe://td/n/a/sa/b", "spiffe://td", "spiffe://td/",
		"spiffe://td/ns/a/sa" };
	struct peer_name n = peer_name_of(CART, strlen(CART));

	ck_assert_uint_eq(n.principal.len, strlen("mesh.example/ns/shop/sa/cart"));
	ck_assert_int_eq(memcmp(n.trust_domain.p, "mesh.example", n.trust_domain.len), 0);
	ck_assert_int_eq(memcmp(n.namespace.p, "shop", 4), 0);
	ck_assert_uint_eq(n.namespace.len, 4);
	ck_assert_int_eq(memcmp(n.account.p, "cart", 4), 0);
	ck_assert_uint_eq(n.account.len, 4);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		n = peer_name_of(odd[i], strlen(odd[i]));
		ck_assert_msg(n.namespace.len == 0 && n.account.len == 0, "%s", odd[i]);
		ck_assert_msg(n.trust_domain.len == 2, "%s", odd[i]);
	}
}
END_TEST

START_TEST(a_nul_in_a_name_is_a_byte_like_any_other)
{
	static const char nul[] = "spiffe://mesh.example/ns/shop/sa/cart\0x";
	struct authz_input in = { .peer = peer_name_of(nul, sizeof(nul) - 1), .port = 80 };
	const struct addr at = ip_port("10.0.0.1:80");

	policies("rules: [{from: [{source: {principals: [mesh.example/ns/shop/sa/cart]}}, {source: {serviceAccounts: [shop/cart]}}]}]",
	    NULL);
	in.workload = snapshot_workload(snapshot, &at);
	ck_assert_int_eq(authorize(&in).verdict, AUTHZ_DENY);
	done();
}
END_TEST

UNIT_MAIN("authorize", no_policy_allows, a_matching_deny_denies_even_if_an_allow_matches,
    no_allow_policy_allows_what_no_deny_matches, an_allow_policy_that_does_not_match_denies,
    any_of_several_allow_policies_allows, allow_without_rules_allows_nothing, one_empty_rule_matches_all,
    audit_marks_and_never_decides, rules_are_ored_from_and_to_are_anded,
    list_entries_are_ored_fields_anded_values_ored, not_fields_must_match_none, principals_are_without_the_scheme,
    strings_are_exact_prefix_suffix_or_present, no_identity_never_matches_positively,
    not_principals_star_is_exactly_the_unauthenticated, namespaces_are_of_any_trust_domain,
    service_accounts_default_to_the_policys_namespace, ip_blocks_are_of_the_peer, the_decision_names_its_rule,
    names_come_apart, a_nul_in_a_name_is_a_byte_like_any_other)
