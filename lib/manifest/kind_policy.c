/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AuthorizationPolicy and PeerAuthentication, security.istio.io/v1; doc/manifests.md says what they mean. */
#include <string.h>

#include "base/text.h"
#include "manifest/kinds.h"
#include "manifest/rules.h"

static const char needs_http[] = "it needs HTTP, which this version passes as bytes; remove it or use layer 4 fields";

/* ---- AuthorizationPolicy --------------------------------------------------------- */

#define SOURCE(member) offsetof(struct policy_source, member)
#define PATTERNS(nm, at, vl, hlp)                                                                      \
	{ .name = nm, .type = FIELD_LIST, .offset = at, .item = &(vl), .item_size = sizeof(struct pattern), \
	  .min = 1, .max = 1000, .help = hlp }
#define LIST(nm, at, itm, size, hlp) \
	{ .name = nm, .type = FIELD_LIST, .offset = at, .item = &(itm), .item_size = size, .min = 1, .max = 1000, .help = hlp }

static const struct field item_pattern = { .type = FIELD_VALUE, .value = &value_pattern };
static const struct field item_principal = { .type = FIELD_VALUE, .value = &value_principal };
static const struct field item_account = { .type = FIELD_VALUE, .value = &value_account };
static const struct field item_cidr = { .type = FIELD_VALUE, .value = &value_cidr };
static const struct field item_port = { .type = FIELD_NUMBER, .min = 1, .max = 65535, .quotes_ok = true };

static const struct field source_fields[] = {
	PATTERNS("principals", SOURCE(principals), item_principal, "the peer's name, TRUSTDOMAIN/ns/NS/sa/SA"),
	PATTERNS("notPrincipals", SOURCE(not_principals), item_principal, "any other; [\"*\"] is a peer without identity"),
	PATTERNS("namespaces", SOURCE(namespaces), item_pattern, "the peer's namespace"),
	PATTERNS("notNamespaces", SOURCE(not_namespaces), item_pattern, "any other"),
	LIST("serviceAccounts", SOURCE(service_accounts), item_account, sizeof(struct account_name),
	    "the peer's account, NS/SA"),
	LIST("notServiceAccounts", SOURCE(not_service_accounts), item_account, sizeof(struct account_name), "any other"),
	PATTERNS("trustDomains", SOURCE(trust_domains), item_pattern, "the peer's trust domain"),
	PATTERNS("notTrustDomains", SOURCE(not_trust_domains), item_pattern, "any other"),
	LIST("ipBlocks", SOURCE(ip_blocks), item_cidr, sizeof(struct cidr), "the address the peer connects from"),
	LIST("notIpBlocks", SOURCE(not_ip_blocks), item_cidr, sizeof(struct cidr), "any other"),
	FIELD_NOT_YET("remoteIpBlocks", needs_http),
	FIELD_NOT_YET("notRemoteIpBlocks", needs_http),
	FIELD_NOT_YET("requestPrincipals", needs_http),
	FIELD_NOT_YET("notRequestPrincipals", needs_http),
	FIELDS_END,
};

static void
check_source(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	const struct policy_source *s = object;
	const bool accounts = s->service_accounts.n > 0 || s->not_service_accounts.n > 0;
	const bool names = s->principals.n > 0 || s->not_principals.n > 0 || s->namespaces.n > 0 ||
	    s->not_namespaces.n > 0;

	if (accounts && names) /* so says Istio's API */
		decode_error(d, node->place, path, NULL,
		    "has serviceAccounts beside principals or namespaces; write one or the other");
}

static const struct schema source_schema = { .name = "a source", .size = sizeof(struct policy_source),
	.fields = source_fields, .has_place = true, .place_offset = SOURCE(place), .not_empty = true,
	.check = check_source };

static const struct field from_fields[] = {
	{ .name = "source", .type = FIELD_OBJECT, .required = true, .schema = &source_schema,
	    .help = "all fields of it must fit" },
	FIELDS_END,
};
static const struct schema from_schema = { .name = "from", .size = sizeof(struct policy_source),
	.fields = from_fields };
static const struct field item_from = { .type = FIELD_OBJECT, .schema = &from_schema };

#define OPERATION(member) offsetof(struct policy_operation, member)
static const struct field operation_fields[] = {
	LIST("ports", OPERATION(ports), item_port, sizeof(uint32_t), "the application's port"),
	LIST("notPorts", OPERATION(not_ports), item_port, sizeof(uint32_t), "any other"),
	FIELD_NOT_YET("hosts", needs_http),
	FIELD_NOT_YET("notHosts", needs_http),
	FIELD_NOT_YET("methods", needs_http),
	FIELD_NOT_YET("notMethods", needs_http),
	FIELD_NOT_YET("paths", needs_http),
	FIELD_NOT_YET("notPaths", needs_http),
	FIELDS_END,
};
static const struct schema operation_schema = { .name = "an operation", .size = sizeof(struct policy_operation),
	.fields = operation_fields, .has_place = true, .place_offset = OPERATION(place), .not_empty = true };

static const struct field to_fields[] = {
	{ .name = "operation", .type = FIELD_OBJECT, .required = true, .schema = &operation_schema,
	    .help = "all fields of it must fit" },
	FIELDS_END,
};
static const struct schema to_schema = { .name = "to", .size = sizeof(struct policy_operation), .fields = to_fields };
static const struct field item_to = { .type = FIELD_OBJECT, .schema = &to_schema };

static const struct field rule_fields[] = {
	LIST("from", offsetof(struct policy_rule, from), item_from, sizeof(struct policy_source), "one of these sources"),
	LIST("to", offsetof(struct policy_rule, to), item_to, sizeof(struct policy_operation), "one of these operations"),
	FIELD_NOT_YET("when", "this version has no conditions; use from and to"),
	FIELDS_END,
};
static const struct schema rule_schema = { .name = "a rule", .size = sizeof(struct policy_rule),
	.fields = rule_fields, .has_place = true, .place_offset = offsetof(struct policy_rule, place) };
static const struct field item_rule = { .type = FIELD_OBJECT, .schema = &rule_schema };

static const struct word actions[] = {
	[POLICY_ALLOW] = { "ALLOW", NULL },
	[POLICY_DENY] = { "DENY", NULL },
	[POLICY_AUDIT] = { "AUDIT", NULL },
	{ "CUSTOM", "this version asks no external authorizer" },
	{ NULL, NULL },
};

static const struct field policy_spec_fields[] = {
	{ .name = "selector", .type = FIELD_OBJECT, .offset = offsetof(struct auth_policy, selector),
	    .schema = &schema_selector, .help = "the workloads it is for; all of the namespace if not given" },
	{ .name = "action", .type = FIELD_WORD, .offset = offsetof(struct auth_policy, action), .words = actions,
	    .help = "ALLOW if not given" },
	{ .name = "rules", .type = FIELD_LIST, .offset = offsetof(struct auth_policy, rules), .item = &item_rule,
	    .item_size = sizeof(struct policy_rule), .max = 1000, .help = "one must match; none never matches" },
	FIELD_NOT_YET("targetRef", "use selector"),
	FIELD_NOT_YET("targetRefs", "use selector"),
	FIELD_NOT_YET("provider", "this version asks no external authorizer"),
	FIELDS_END,
};
static const struct schema policy_spec = { .name = "the spec of an AuthorizationPolicy",
	.fields = policy_spec_fields, .inside = true };

static const struct field policy_fields[] = {
	FIELDS_OF_ALL,
	{ .name = "spec", .type = FIELD_OBJECT, .schema = &policy_spec },
	FIELDS_END,
};

static void
check_policy(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	const struct auth_policy *p = object;

	if (p->action != POLICY_ALLOW && p->rules.n == 0)
		decode_warn(d, decode_place(node, "spec"), path, "spec.rules", "there are none, so this %s never matches",
		    actions[p->action].name);
}

const struct schema schema_authorization_policy = { .name = "an AuthorizationPolicy",
	.size = sizeof(struct auth_policy), .fields = policy_fields, .has_place = true,
	.place_offset = offsetof(struct meta, place), .check = check_policy };

/* ---- PeerAuthentication ------------------------------------------------------------ */

static const struct word modes[] = {
	[MTLS_UNSET] = { "UNSET", NULL },
	[MTLS_DISABLE] = { "DISABLE", NULL },
	[MTLS_PERMISSIVE] = { "PERMISSIVE", NULL },
	[MTLS_STRICT] = { "STRICT", NULL },
	{ NULL, NULL },
};

static bool
is_port_number(const char *text)
{
	uint64_t port;

	return *text != '0' && text_uint(text, 65535, &port) == TULLE_OK;
}

static const struct text_rule rule_port_number = { is_port_number, "a port's number from 1 to 65535" };

static const struct field mtls_fields[] = {
	{ .name = "mode", .type = FIELD_WORD, .offset = offsetof(struct peer_auth, mode), .words = modes,
	    .help = "STRICT refuses plaintext, PERMISSIVE takes it" },
	FIELDS_END,
};
static const struct schema mtls_schema = { .name = "mtls", .fields = mtls_fields, .inside = true };

static const struct field port_mode_fields[] = {
	{ .name = "mode", .type = FIELD_WORD, .offset = offsetof(struct port_mtls, mode), .words = modes },
	FIELDS_END,
};
static const struct schema port_mode = { .name = "the mode of a port", .fields = port_mode_fields, .inside = true };
static const struct field item_port_mode = { .type = FIELD_OBJECT, .schema = &port_mode };

static const struct field peer_spec_fields[] = {
	{ .name = "selector", .type = FIELD_OBJECT, .offset = offsetof(struct peer_auth, selector),
	    .schema = &schema_selector, .help = "the workloads it is for; all of the namespace if not given" },
	{ .name = "mtls", .type = FIELD_OBJECT, .schema = &mtls_schema, .help = "the mode of every port" },
	{ .name = "portLevelMtls", .type = FIELD_MAP, .offset = offsetof(struct peer_auth, ports),
	    .item = &item_port_mode, .key = &rule_port_number, .item_size = sizeof(struct port_mtls), .max = 256,
	    .help = "the mode of single ports, by number" },
	FIELDS_END,
};
static const struct schema peer_spec = { .name = "the spec of a PeerAuthentication", .fields = peer_spec_fields,
	.inside = true };

static const struct field peer_fields[] = {
	FIELDS_OF_ALL,
	{ .name = "spec", .type = FIELD_OBJECT, .schema = &peer_spec },
	FIELDS_END,
};

static void
check_peer(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	struct peer_auth *p = object;
	struct port_mtls *ports;
	uint64_t number = 0;

	if (p->ports.n > 0 && p->selector.n == 0)
		decode_error(d, decode_place(node, "spec"), path, "spec.portLevelMtls",
		    "stands without a selector; ports belong to workloads, so spec.selector.matchLabels is needed");
	ports = arena_array(d->arena, p->ports.n, sizeof(*ports));
	if (ports == NULL) {
		d->no_memory = true;
		return;
	}
	for (size_t i = 0; i < p->ports.n; i++) {
		ports[i] = p->ports.items[i];
		(void)text_uint(ports[i].key, 65535, &number); /* its form is the key's rule */
		ports[i].port = (uint32_t)number;
	}
	p->ports.items = ports;
}

const struct schema schema_peer_authentication = { .name = "a PeerAuthentication", .size = sizeof(struct peer_auth),
	.fields = peer_fields, .has_place = true, .place_offset = offsetof(struct meta, place), .check = check_peer };
