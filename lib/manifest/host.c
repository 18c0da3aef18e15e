/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/host.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "manifest/rules.h"

#define AT(member) offsetof(struct host_config, member)
#define OBJ(nm, sch, hlp) { .name = nm, .type = FIELD_OBJECT, .schema = &(sch), .help = hlp }
#define BOOL(nm, member, hlp) { .name = nm, .type = FIELD_BOOL, .offset = AT(member), .help = hlp }
#define NUM(nm, member, lo, hi, hlp) \
	{ .name = nm, .type = FIELD_NUMBER, .offset = AT(member), .min = lo, .max = hi, .help = hlp }
#define WORD(nm, member, tbl, hlp) { .name = nm, .type = FIELD_WORD, .offset = AT(member), .words = tbl, .help = hlp }
#define TEXT(nm, member, rl, hlp) { .name = nm, .type = FIELD_TEXT, .offset = AT(member), .rule = &(rl), .help = hlp }
#define VALUE(nm, member, vl, hlp) \
	{ .name = nm, .type = FIELD_VALUE, .offset = AT(member), .value = &(vl), .help = hlp }
#define END { .name = NULL }

#define ONLY "only"
#define UNIX_PREFIX "unix://"

/* Sections are parts of struct host_config: offsets count from its start, and only the top has defaults. */
#define SECTION(nm, tbl) { .name = nm, .fields = tbl, .inside = true }

static const struct word sources[] = {
	[IDENTITY_EMBEDDED] = { "embedded", NULL },
	[IDENTITY_FLEET] = { "fleet", NULL },
	[IDENTITY_SPIFFE] = { "spiffe", NULL },
	{ "files", "this version does not take identities from files; use embedded, fleet or spiffe" },
	{ "istio", "this version does not speak to istiod; use embedded, fleet or spiffe" },
	{ NULL, NULL },
};
static const struct word outbound_policies[] = {
	[OUTBOUND_ALLOW_ANY] = { "ALLOW_ANY", NULL },
	[OUTBOUND_REGISTRY_ONLY] = { "REGISTRY_ONLY", NULL },
	{ NULL, NULL },
};
static const struct word access_words[] = {
	[ACCESS_OFF] = { "off", NULL },
	[ACCESS_ERRORS] = { "errors", NULL },
	[ACCESS_ALL] = { "all", NULL },
	{ NULL, NULL },
};
static const struct word manifests_sources[] = {
	[MANIFESTS_FILES] = { "files", NULL },
	[MANIFESTS_AUTHORITY] = { "authority", NULL },
	{ NULL, NULL },
};
static const struct word backends[] = {
	[BACKEND_AUTO] = { "auto", NULL },
	[BACKEND_NFT] = { "nft", NULL },
	[BACKEND_LEGACY] = { "legacy", NULL },
	{ NULL, NULL },
};
static const struct word ipv6_words[] = {
	[IPV6_ON] = { "on", NULL },
	[IPV6_OFF] = { "off", NULL },
	[IPV6_REJECT] = { "reject", NULL },
	{ NULL, NULL },
};
static const struct word log_levels[] = {
	[LOG_LVL_DEBUG] = { "debug", NULL },
	[LOG_LVL_INFO] = { "info", NULL },
	[LOG_LVL_NOTICE] = { "notice", NULL },
	[LOG_LVL_WARN] = { "warn", NULL },
	[LOG_LVL_ERROR] = { "error", NULL },
	{ NULL, NULL },
};

static const struct field port_item = { .type = FIELD_NUMBER, .min = 1, .max = 65535 };
static const struct field uid_item = { .type = FIELD_NUMBER, .min = 0, .max = UINT32_MAX - 1 };
static const struct field cidr_item = { .type = FIELD_VALUE, .value = &value_cidr };

static const struct field join_fields[] = {
	{ .name = "address", .type = FIELD_TEXT, .offset = AT(identity.join.address), .required = true, .rule = &rule_endpoint,
	    .help = "where the authority is" },
	{ .name = "root", .type = FIELD_VALUE, .offset = AT(identity.join.root), .required = true, .value = &value_pin,
	    .help = "the hash of its root's public key" },
	{ .name = "tokenFile", .type = FIELD_TEXT, .offset = AT(identity.join.token_file), .required = true,
	    .rule = &rule_path, .help = "a pod's token, or a join token" },
	END,
};
static const struct schema join_section = SECTION("join", join_fields);

static const struct field identity_fields[] = {
	WORD("source", identity.source, sources, "where this host's identities come from"),
	VALUE("ttl", identity.ttl_ms, value_ttl, "how long a certificate lives"),
	TEXT("default", identity.default_name, rule_default, "who processes are that identities.yaml does not name"),
	TEXT("socket", identity.socket, rule_unix_url, "the Workload API of another agent"),
	OBJ("join", join_section, "how this host joins a fleet by itself"),
	END,
};
static const struct schema identity_section = SECTION("identity", identity_fields);

static const struct field exclude_fields[] = {
	{ .name = "ports", .type = FIELD_LIST, .offset = AT(capture.exclude.ports), .item = &port_item,
	    .item_size = sizeof(uint32_t), .max = 1000, .help = "ports that are never captured" },
	{ .name = "cidrs", .type = FIELD_LIST, .offset = AT(capture.exclude.cidrs), .item = &cidr_item,
	    .item_size = sizeof(struct cidr), .max = 1000, .help = "destinations that are never captured" },
	{ .name = "uids", .type = FIELD_LIST, .offset = AT(capture.exclude.uids), .item = &uid_item,
	    .item_size = sizeof(uint32_t), .max = 1000, .help = "users whose connections are never captured" },
	END,
};
static const struct schema exclude_section = SECTION("exclude", exclude_fields);

static const struct field capture_fields[] = {
	BOOL("outbound", capture.outbound, "steer what leaves this host into the relay"),
	BOOL("inbound", capture.inbound, "steer what arrives into the relay"),
	BOOL("failClosed", capture.fail_closed, "reset what should have been captured and was not"),
	{ .name = "inboundPorts", .type = FIELD_LIST, .offset = AT(capture.inbound_ports), .item = &port_item,
	    .item_size = sizeof(uint32_t), .max = 1000, .all = "all", .help = "the ports at which what arrives is steered; none named: all" },
	OBJ("exclude", exclude_section, "what is never captured; Tulle's own users never are"),
	END,
};
static const struct schema capture_section = SECTION("capture", capture_fields);

static const struct field manifests_fields[] = {
	WORD("source", manifests.source, manifests_sources, "where manifests come from: mesh.d of this host, or its authority"),
	END,
};
static const struct schema manifests_section = SECTION("manifests", manifests_fields);

static const struct field relay_fields[] = {
	NUM("workers", relay.workers, 1, 64, "threads that move bytes"),
	VALUE("drain", relay.drain_ms, value_duration, "how long open connections may go on at a stop"),
	VALUE("terminationGrace", relay.termination_grace_ms, value_duration, "how long a stop may take in all"),
	END,
};
static const struct schema relay_section = SECTION("relay", relay_fields);

static const struct field limits_fields[] = {
	NUM("connections", limits.connections, 16, 4000000, "connections at a time"),
	VALUE("memory", limits.memory, value_size, "bytes the relay may hold before it lets nobody new in"),
	END,
};
static const struct schema limits_section = SECTION("limits", limits_fields);

static const struct field destination_fields[] = {
	{ .name = "otlp", .type = FIELD_TEXT, .offset = offsetof(struct otlp_destination, otlp), .required = true,
	    .rule = &rule_http_url, .help = "an OTLP/HTTP receiver" },
	END,
};
static const struct schema destination = { .name = "a destination", .size = sizeof(struct otlp_destination),
	.fields = destination_fields };
static const struct field destination_item = { .type = FIELD_OBJECT, .schema = &destination };

static const struct field telemetry_fields[] = {
	{ .name = "destinations", .type = FIELD_LIST, .offset = AT(telemetry.destinations), .item = &destination_item,
	    .item_size = sizeof(struct otlp_destination), .max = 16, .help = "where metrics, logs and traces go" },
	VALUE("metrics", telemetry.metrics, value_listen, "where Prometheus finds /metrics"),
	VALUE("traces", telemetry.traces_ppm, value_percent, "how many connections are traced"),
	WORD("access", telemetry.access, access_words, "which connections are logged"),
	END,
};
static const struct schema telemetry_section = SECTION("telemetry", telemetry_fields);

#define USER(nm, member, hlp)                                                                             \
	{ .name = nm, .type = FIELD_TEXT, .offset = AT(member), .rule = &rule_user, .quotes_ok = true, \
	    .help = hlp }
static const struct field users_fields[] = {
	USER("relayd", users.relayd, "who tulle-relayd runs as"),
	USER("certd", users.certd, "who tulle-certd runs as"),
	USER("telemetryd", users.telemetryd, "who tulle-telemetryd runs as"),
	END,
};
static const struct schema users_section = SECTION("users", users_fields);

static const struct field ports_fields[] = {
	NUM("outbound", ports.outbound, 1, 65535, "where captured outbound connections arrive"),
	NUM("inbound", ports.inbound, 1, 65535, "where captured inbound plaintext arrives"),
	NUM("hbone", ports.hbone, 1, 65535, "where peers' tunnels arrive"),
	NUM("authority", ports.authority, 1, 65535, "where members reach the authority"),
	NUM("health", ports.health, 1, 65535, "where the relay answers health checks"),
	END,
};
static const struct schema ports_section = SECTION("ports", ports_fields);

static const struct field namespace_item = { .type = FIELD_TEXT, .rule = &rule_dns_label };
static const struct field account_item = { .type = FIELD_TEXT, .rule = &rule_namespaced };

#define ISSUER(member) offsetof(struct kubernetes_issuer, member)
static const struct field issuer_fields[] = {
	{ .name = "issuer", .type = FIELD_TEXT, .offset = ISSUER(issuer), .required = true, .rule = &rule_word,
	    .help = "the \"iss\" of its tokens" },
	{ .name = "jwks", .type = FIELD_TEXT, .offset = ISSUER(jwks), .required = true, .rule = &rule_key_set,
	    .help = "its public keys: a file or a URL" },
	{ .name = "jwksCA", .type = FIELD_TEXT, .offset = ISSUER(jwks_ca), .rule = &rule_path,
	    .help = "PEM certificates that vouch for that URL" },
	{ .name = "jwksTokenFile", .type = FIELD_TEXT, .offset = ISSUER(jwks_token_file), .rule = &rule_path,
	    .help = "a bearer token for that URL" },
	{ .name = "audience", .type = FIELD_TEXT, .offset = ISSUER(audience), .rule = &rule_word,
	    .help = "whom its tokens must be for" },
	{ .name = "namespaces", .type = FIELD_LIST, .offset = ISSUER(namespaces), .item = &namespace_item,
	    .item_size = sizeof(const char *), .min = 1, .max = 1000, .help = "whose pods may join; all if not given" },
	{ .name = "accounts", .type = FIELD_LIST, .offset = ISSUER(accounts), .item = &account_item,
	    .item_size = sizeof(const char *), .min = 1, .max = 10000, .help = "whose pods may join; all if not given" },
	{ .name = "ttl", .type = FIELD_VALUE, .offset = ISSUER(ttl_ms), .value = &value_ttl,
	    .help = "how long the node certificate of a pod lives" },
	{ .name = "unbound", .type = FIELD_BOOL, .offset = ISSUER(unbound), .help = "take tokens that are bound to no pod, too" },
	END,
};
static const struct kubernetes_issuer issuer_defaults = { .audience = "tulle", .ttl_ms = 3600 * 1000 };
static const struct schema issuer_schema = { .name = "an issuer", .size = sizeof(struct kubernetes_issuer),
	.defaults = &issuer_defaults, .fields = issuer_fields };
static const struct field issuer_item = { .type = FIELD_OBJECT, .schema = &issuer_schema };

static const struct field authority_fields[] = {
	VALUE("listen", authority.listen, value_listen, "where the embedded authority listens"),
	{ .name = "kubernetes", .type = FIELD_LIST, .offset = AT(authority.kubernetes), .item = &issuer_item,
	    .item_size = sizeof(struct kubernetes_issuer), .max = 16, .help = "whose pods may join with their own tokens" },
	END,
};
static const struct schema authority_section = SECTION("authority", authority_fields);

static const struct field steering_fields[] = {
	WORD("backend", steering.backend, backends, "which iptables to use"),
	BOOL("repair", steering.repair, "put rules back that another program took away"),
	WORD("ipv6", steering.ipv6, ipv6_words, "steer IPv6, leave it alone, or refuse it"),
	END,
};
static const struct schema steering_section = SECTION("steering", steering_fields);

static const struct field host_fields[] = {
	TEXT("trustDomain", trust_domain, rule_trust_domain, "the trust domain of this host's identities"),
	OBJ("identity", identity_section, "this host's certificates"),
	OBJ("capture", capture_section, "what is steered into the relay"),
	WORD("outboundTrafficPolicy", outbound_policy, outbound_policies, "what happens to destinations that the mesh does not know"),
	OBJ("manifests", manifests_section, "the manifests of the mesh"),
	OBJ("relay", relay_section, "the relay's processes"),
	OBJ("limits", limits_section, "bounds of the relay"),
	OBJ("telemetry", telemetry_section, "what is told about connections, and to whom"),
	OBJ("users", users_section, "who the daemons run as"),
	OBJ("ports", ports_section, "ports of Tulle itself"),
	OBJ("authority", authority_section, "the embedded authority"),
	OBJ("steering", steering_section, "the rules that steer"),
	WORD("logLevel", log_level, log_levels, "the least important thing that is logged"),
	END,
};

static const struct host_config defaults = {
	.trust_domain = "mesh.example",
	.identity = { .source = IDENTITY_EMBEDDED, .ttl_ms = 24 * 3600 * 1000 },
	.capture = { .outbound = true, .inbound = true },
	.outbound_policy = OUTBOUND_ALLOW_ANY,
	.relay = { .workers = 1, .drain_ms = 30000, .termination_grace_ms = 45000 },
	.limits = { .connections = 8000, .memory = 256u << 20 },
	.telemetry = { .metrics = { true, { .port = 9464 } }, .traces_ppm = 10000, .access = ACCESS_ERRORS },
	.users = { "tulle-relayd", "tulle-certd", "tulle-telemetryd" },
	.ports = { 15001, 15006, 15008, 15012, 15021 },
	.authority = { { true, { .port = 15012 } } },
	.steering = { BACKEND_AUTO, IPV6_ON, true },
	.log_level = LOG_LVL_INFO,
};

/* Where <field> of <section> stands. */
static struct place
inner(const struct yaml_node *root, const char *section, const char *field)
{
	const struct yaml_node *node = yaml_get(root, section);

	return node != NULL ? decode_place(node, field) : root->place;
}

static void
check_identity(struct decode *d, const struct path *path, const struct yaml_node *node, const struct host_config *c)
{
	const bool only = c->identity.default_name != NULL && strcmp(c->identity.default_name, ONLY) == 0;

	if (c->identity.join.address != NULL && c->identity.source != IDENTITY_FLEET)
		decode_error(d, inner(node, "identity", "join"), path, "identity.join", "is for source: fleet; this host has another source");
	if (c->identity.socket != NULL && c->identity.source != IDENTITY_SPIFFE)
		decode_error(d, inner(node, "identity", "socket"), path, "identity.socket", "is for source: spiffe; this host has another source");
	if (only && c->identity.source == IDENTITY_EMBEDDED)
		decode_error(d, inner(node, "identity", "default"), path, "identity.default",
		    "\"only\" is the one identity that an authority elsewhere allows: it needs source: fleet or spiffe");
}

static void
check_issuers(struct decode *d, const struct path *path, const struct yaml_node *node, const struct host_config *c)
{
	for (size_t i = 0; i < c->authority.kubernetes.n; i++) {
		const struct kubernetes_issuer *k = &c->authority.kubernetes.items[i];

		for (size_t j = 0; j < i; j++)
			if (strcmp(k->issuer, c->authority.kubernetes.items[j].issuer) == 0)
				decode_error(d, inner(node, "authority", "kubernetes"), path, "authority.kubernetes",
				    "has the issuer \"%s\" twice", k->issuer);
		if (k->jwks[0] == '/' && (k->jwks_ca != NULL || k->jwks_token_file != NULL))
			decode_error(d, inner(node, "authority", "kubernetes"), path, "authority.kubernetes",
			    "jwksCA and jwksTokenFile are for a URL; jwks is a file");
		if (strncmp(k->jwks, "http://", 7) == 0 && k->jwks_token_file != NULL)
			decode_error(d, inner(node, "authority", "kubernetes"), path, "authority.kubernetes",
			    "jwksTokenFile is for an https URL: a token is not sent in the clear");
	}
}

static void
check_host(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	struct host_config *c = object;
	const uint32_t ports[] = { c->ports.outbound, c->ports.inbound, c->ports.hbone, c->ports.authority,
		c->ports.health };
	static const char *const names[] = { "outbound", "inbound", "hbone", "authority", "health" };

	check_identity(d, path, node, c);
	check_issuers(d, path, node, c);
	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		for (size_t j = 0; j < i; j++)
			if (ports[i] == ports[j])
				decode_error(d, decode_place(node, "ports"), path, "ports",
				    "%s and %s are both %u; each needs a port of its own", names[j], names[i],
				    ports[i]);
	if (c->limits.memory < 16u << 20)
		decode_error(d, decode_place(node, "limits"), path, "limits.memory",
		    "is %lu bytes; at least 16MiB are needed", (unsigned long)c->limits.memory);
	if (c->manifests.source == MANIFESTS_AUTHORITY && c->identity.source != IDENTITY_FLEET)
		decode_error(d, decode_place(node, "manifests"), path, "manifests.source",
		    "is authority, but identity.source is not fleet: only a member of a fleet has an authority to ask; a host "
		    "with its own publishes its mesh.d and says files");
	if (c->relay.drain_ms > c->relay.termination_grace_ms)
		decode_error(d, decode_place(node, "relay"), path, "relay.drain",
		    "is longer than relay.terminationGrace; draining must end before the process is killed");
}

static const struct schema host_schema = {
	.name = "tulle.yaml",
	.size = sizeof(struct host_config),
	.defaults = &defaults,
	.fields = host_fields,
	.check = check_host,
};

/* "ns/NS/sa/SA", or "only", has been checked already. */
static bool
split_default(struct host_config *c)
{
	const char *ns, *slash;

	if (c->identity.default_name != NULL && strcmp(c->identity.default_name, ONLY) == 0) {
		c->identity.default_only = true;
		c->identity.default_name = NULL;
	}
	if (c->identity.default_name == NULL) {
		c->identity.default_namespace = "default";
		return true;
	}
	ns = c->identity.default_name + 3;
	slash = strchr(ns, '/');
	c->identity.default_namespace = arena_text(&c->arena, ns, (size_t)(slash - ns));
	c->identity.default_account = slash + 4;
	return c->identity.default_namespace != NULL;
}

/* The authority's port is one thing with two names: listen says where, ports.authority what others dial. */
static enum tulle_err
finish(struct host_config *c, const struct yaml_node *root, struct problems *problems)
{
	const struct yaml_node *ports = root != NULL ? yaml_get(root, "ports") : NULL;
	const struct yaml_node *authority = root != NULL ? yaml_get(root, "authority") : NULL;
	const bool port_given = ports != NULL && yaml_get(ports, "authority") != NULL;
	const bool listen_given = authority != NULL && yaml_get(authority, "listen") != NULL;

	if (port_given && !listen_given)
		c->authority.listen.at.port = (uint16_t)c->ports.authority;
	else if (listen_given && !port_given && c->authority.listen.on)
		c->ports.authority = c->authority.listen.at.port;
	else if (authority != NULL && c->authority.listen.on && c->authority.listen.at.port != c->ports.authority)
		problem_warn(problems, authority->key_place, "authority.listen",
		    "has port %u, but ports.authority says %u", c->authority.listen.at.port, c->ports.authority);
	if (c->identity.socket != NULL)
		c->identity.socket += strlen(UNIX_PREFIX);
	c->trust_domain_given = root != NULL && yaml_get(root, "trustDomain") != NULL;
	return split_default(c) ? TULLE_OK : TULLE_ENOMEM;
}

static enum tulle_err
parse_into(struct host_config *c, const char *name, const char *data, size_t len, struct problems *problems)
{
	struct arena scratch = arena_new(64u << 20), own = c->arena;
	struct decode d = { .arena = &own, .problems = problems };
	struct yaml_documents docs = { 0 };
	enum tulle_err e;
	bool good;

	e = yaml_parse(&docs, &scratch, name, data, len, problems);
	if (e == TULLE_OK && docs.n > 1) {
		problem_error(problems, docs.roots[1]->place, NULL,
		    "a second document; this file holds one, remove the --- before it");
		e = TULLE_EINVAL;
	}
	if (e == TULLE_OK && docs.n == 0)
		*c = defaults;
	if (e == TULLE_OK && docs.n == 1) {
		good = schema_decode(&d, NULL, &host_schema, docs.roots[0], c);
		if (!good)
			e = d.no_memory ? TULLE_ENOMEM : TULLE_EINVAL;
	}
	c->arena = own; /* the decoder copied the defaults over it */
	if (e == TULLE_OK)
		e = finish(c, docs.n == 1 ? docs.roots[0] : NULL, problems);
	arena_free(&scratch);
	return e;
}

enum tulle_err
host_config_parse(struct host_config **ret, const char *name, const char *data, size_t len,
    struct problems *problems)
{
	struct host_config *c = calloc(1, sizeof(*c));
	enum tulle_err e;

	if (c == NULL)
		return TULLE_ENOMEM;
	c->arena = arena_new(16u << 20);
	e = parse_into(c, name, data, len, problems);
	if (e != TULLE_OK) {
		(void)host_config_free(c);
		return e;
	}
	*ret = c;
	return TULLE_OK;
}

enum tulle_err
host_config_read(struct host_config **ret, const char *path, struct problems *problems)
{
	char AUTO_FREE *data = NULL;
	size_t len = 0;
	enum tulle_err e;

	e = file_read(path, YAML_MAX_BYTES, &data, &len);
	if (e != TULLE_OK && e != TULLE_ENOENT) {
		problem_error(problems, (struct place){ path, 0, 0 }, NULL, "cannot be read: %s",
		    e == TULLE_ESYS ? log_errno_text(errno) : tulle_strerror(e));
		return e == TULLE_ENOMEM ? e : TULLE_EINVAL;
	}
	return host_config_parse(ret, path, data, len, problems);
}

struct host_config *
host_config_free(struct host_config *c)
{
	if (c == NULL)
		return NULL;
	arena_free(&c->arena);
	free(c);
	return NULL;
}

enum tulle_err
host_user_id(const char *user, uint32_t *ret_uid, uint32_t *ret_gid)
{
	struct passwd pw, *found = NULL;
	char room[4096];
	uint64_t id;

	if (text_uint(user, UINT32_MAX - 1, &id) == TULLE_OK) {
		*ret_uid = (uint32_t)id;
		*ret_gid = (uint32_t)id;
		return TULLE_OK;
	}
	if (getpwnam_r(user, &pw, room, sizeof(room), &found) != 0 || found == NULL)
		return TULLE_ENOENT;
	*ret_uid = pw.pw_uid;
	*ret_gid = pw.pw_gid;
	return TULLE_OK;
}
