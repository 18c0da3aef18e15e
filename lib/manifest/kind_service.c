/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Service v1 and EndpointSlice discovery.k8s.io/v1 (Kubernetes API reference). */
#include <string.h>

#include "base/cleanup.h"
#include "manifest/kinds.h"
#include "manifest/rules.h"

static const char not_a_load_balancer[] = "Tulle opens no port of a node or load balancer";

/* ---- Service ------------------------------------------------------------------ */

static const struct word service_types[] = {
	{ "ClusterIP", NULL },
	{ "NodePort", not_a_load_balancer },
	{ "LoadBalancer", not_a_load_balancer },
	{ "ExternalName", "Tulle answers no DNS; call the external name itself" },
	{ NULL, NULL },
};
static const struct word affinities[] = {
	{ "None", NULL },
	{ "ClientIP", "this version has no session affinity" },
	{ NULL, NULL },
};
static const struct word internal_policies[] = {
	{ "Cluster", NULL },
	{ "Local", "this version does not prefer endpoints by node" },
	{ NULL, NULL },
};
static const struct word only_false[] = {
	{ "false", NULL },
	{ "true", "endpoints that are not ready get no traffic" },
	{ NULL, NULL },
};

static const struct field port_fields[] = {
	{ .name = "name", .type = FIELD_TEXT, .offset = offsetof(struct service_port_spec, name),
	    .rule = &rule_port_name, .help = "needed if there are several" },
	{ .name = "port", .type = FIELD_NUMBER, .offset = offsetof(struct service_port_spec, port), .required = true,
	    .min = 1, .max = 65535, .help = "the port that clients dial" },
	{ .name = "targetPort", .type = FIELD_VALUE, .offset = offsetof(struct service_port_spec, target),
	    .value = &value_port_ref, .help = "the endpoints' port, by number or by the name in WorkloadEntry.ports" },
	{ .name = "protocol", .type = FIELD_WORD, .offset = offsetof(struct service_port_spec, protocol),
	    .words = words_protocol, .help = "TCP if not given; UDP passes by" },
	{ .name = "appProtocol", .type = FIELD_TEXT, .offset = offsetof(struct service_port_spec, app_protocol),
	    .rule = &rule_label_key, .help = "what is spoken there" },
	FIELD_NOT_YET("nodePort", not_a_load_balancer),
	FIELDS_END,
};
static const struct schema port_schema = { .name = "a port of a service", .size = sizeof(struct service_port_spec),
	.fields = port_fields, .has_place = true, .place_offset = offsetof(struct service_port_spec, place) };
static const struct field item_port = { .type = FIELD_OBJECT, .schema = &port_schema };
static const struct field item_cluster_ip = { .type = FIELD_VALUE, .value = &value_cluster_ip };

/* What the file says, before clusterIP and clusterIPs are one list. */
struct service_file {
	struct service_spec out;
	struct addr cluster_ip;
	LIST_OF(struct addr) cluster_ips;
	int word; /* of fields that have one good value only */
};
#define AT(member) offsetof(struct service_file, member)

static const struct field spec_fields[] = {
	{ .name = "clusterIP", .type = FIELD_VALUE, .offset = AT(cluster_ip), .value = &value_cluster_ip,
	    .help = "the address that clients dial, or None" },
	{ .name = "clusterIPs", .type = FIELD_LIST, .offset = AT(cluster_ips), .item = &item_cluster_ip,
	    .item_size = sizeof(struct addr), .min = 1, .max = 2, .help = "the same, one for IPv4 and one for IPv6" },
	{ .name = "ports", .type = FIELD_LIST, .offset = AT(out.ports), .required = true, .item = &item_port,
	    .item_size = sizeof(struct service_port_spec), .min = 1, .max = 1000, .help = "what the service offers" },
	FIELD_LABELS("selector", AT(out.selector), "labels of the WorkloadEntries that are its endpoints"),
	{ .name = "type", .type = FIELD_WORD, .offset = AT(word), .words = service_types },
	{ .name = "sessionAffinity", .type = FIELD_WORD, .offset = AT(word), .words = affinities },
	{ .name = "internalTrafficPolicy", .type = FIELD_WORD, .offset = AT(word), .words = internal_policies },
	{ .name = "publishNotReadyAddresses", .type = FIELD_WORD, .offset = AT(word), .words = only_false },
	{ .name = "ipFamilies", .type = FIELD_IGNORED },     /* follow from the addresses */
	{ .name = "ipFamilyPolicy", .type = FIELD_IGNORED }, /* the same */
	FIELD_NOT_YET("externalName", "Tulle answers no DNS; call the external name itself"),
	FIELD_NOT_YET("externalIPs", not_a_load_balancer),
	FIELD_NOT_YET("externalTrafficPolicy", not_a_load_balancer),
	FIELD_NOT_YET("loadBalancerIP", not_a_load_balancer),
	FIELD_NOT_YET("loadBalancerClass", not_a_load_balancer),
	FIELD_NOT_YET("loadBalancerSourceRanges", not_a_load_balancer),
	FIELD_NOT_YET("allocateLoadBalancerNodePorts", not_a_load_balancer),
	FIELD_NOT_YET("healthCheckNodePort", not_a_load_balancer),
	FIELD_NOT_YET("sessionAffinityConfig", "this version has no session affinity"),
	FIELD_NOT_YET("trafficDistribution", "this version does not prefer endpoints by locality"),
	FIELDS_END,
};

static void
check_cluster_ips(struct decode *d, const struct path *path, const struct yaml_node *node, struct service_file *f)
{
	const bool has_one = yaml_get(node, "clusterIP") != NULL, has_list = f->cluster_ips.n > 0;
	struct addr *one;

	if (!has_one && !has_list) {
		decode_error(d, node->place, path, "clusterIPs",
		    "is missing; nobody assigns one here: a list of one or two IP addresses of your choosing, or [None], is needed");
		return;
	}
	if (!has_list) {
		one = arena_alloc(d->arena, sizeof(*one));
		if (one == NULL) {
			d->no_memory = true;
			return;
		}
		*one = f->cluster_ip;
		f->cluster_ips.items = one;
		f->cluster_ips.n = 1;
	} else if (has_one && !addr_equal_ip(&f->cluster_ip, &f->cluster_ips.items[0])) {
		decode_error(d, decode_place(node, "clusterIP"), path, "clusterIP",
		    "is not the first of clusterIPs; both say the same, write only clusterIPs");
	}
	for (size_t i = 0; i < f->cluster_ips.n; i++)
		if (f->cluster_ips.items[i].family == 0)
			f->out.headless = true;
	if (f->out.headless && f->cluster_ips.n > 1)
		decode_error(d, decode_place(node, "clusterIPs"), path, "clusterIPs",
		    "has None beside an address; a headless service has None alone");
	else if (f->cluster_ips.n == 2 && f->cluster_ips.items[0].family == f->cluster_ips.items[1].family)
		decode_error(d, decode_place(node, "clusterIPs"), path, "clusterIPs",
		    "has two addresses of one family; one for IPv4 and one for IPv6 are needed");
	if (!f->out.headless) {
		f->out.cluster_ips.items = f->cluster_ips.items;
		f->out.cluster_ips.n = f->cluster_ips.n;
	}
}

static void
check_ports(struct decode *d, const struct path *path, const struct service_file *f)
{
	const struct path ports = { .up = path, .key = "ports" };
	const size_t n = f->out.ports.n;

	for (size_t i = 0; i < n; i++) {
		const struct service_port_spec *p = &f->out.ports.items[i], *q;
		const struct path at = { .up = &ports, .index = i };

		if (p->name == NULL && n > 1)
			decode_error(d, p->place, &at, "name", "is missing; with several ports each needs a name");
		if (p->protocol == PROTOCOL_UDP)
			decode_warn(d, p->place, &at, "protocol", "is UDP, which passes by: Tulle carries TCP alone");
		for (size_t j = 0; j < i; j++) {
			q = &f->out.ports.items[j];
			if (p->name != NULL && q->name != NULL && strcmp(p->name, q->name) == 0)
				decode_error(d, p->place, &at, "name", "is \"%s\" a second time; each needs its own",
				    p->name);
			if (p->port == q->port && p->protocol == q->protocol)
				decode_error(d, p->place, &at, "port", "is %u a second time; each needs its own", p->port);
		}
	}
}

static void
check_spec(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	check_cluster_ips(d, path, node, object);
	check_ports(d, path, object);
}

static const struct schema spec_schema = { .name = "the spec of a Service", .fields = spec_fields, .inside = true,
	.check = check_spec };

static const struct field service_fields[] = {
	FIELDS_OF_ALL,
	{ .name = "spec", .type = FIELD_OBJECT, .required = true, .schema = &spec_schema },
	FIELDS_END,
};
const struct schema schema_service = { .name = "a Service", .size = sizeof(struct service_file),
	.fields = service_fields, .has_place = true, .place_offset = offsetof(struct meta, place) };

/* ---- EndpointSlice -------------------------------------------------------------- */

static const char no_topology[] = "this version does not prefer endpoints by locality";

struct slice_file {
	struct slice_spec out;
	int address_type;
};

static const struct word address_types[] = {
	{ "IPv4", NULL },
	{ "IPv6", NULL },
	{ "FQDN", "Tulle resolves no names" },
	{ NULL, NULL },
};

struct endpoint_file {
	struct slice_endpoint out;
	bool serving, terminating;
};

static const struct field condition_fields[] = {
	{ .name = "ready", .type = FIELD_BOOL, .offset = offsetof(struct endpoint_file, out.ready),
	    .help = "true if not given; others get no traffic" },
	{ .name = "serving", .type = FIELD_BOOL, .offset = offsetof(struct endpoint_file, serving) },
	{ .name = "terminating", .type = FIELD_BOOL, .offset = offsetof(struct endpoint_file, terminating) },
	FIELDS_END,
};
static const struct schema condition_schema = { .name = "conditions", .fields = condition_fields, .inside = true };

static const struct field item_address = { .type = FIELD_VALUE, .value = &value_ip };

static const struct field endpoint_fields[] = {
	{ .name = "addresses", .type = FIELD_LIST, .offset = offsetof(struct endpoint_file, out.addresses),
	    .required = true, .item = &item_address, .item_size = sizeof(struct addr), .min = 1, .max = 100,
	    .help = "where it is" },
	{ .name = "conditions", .type = FIELD_OBJECT, .schema = &condition_schema },
	{ .name = "zone", .type = FIELD_TEXT, .offset = offsetof(struct endpoint_file, out.zone),
	    .rule = &rule_label_value },
	{ .name = "hostname", .type = FIELD_IGNORED },
	{ .name = "nodeName", .type = FIELD_IGNORED },
	{ .name = "targetRef", .type = FIELD_IGNORED },
	FIELD_NOT_YET("hints", no_topology),
	FIELD_NOT_YET("deprecatedTopology", no_topology),
	FIELDS_END,
};
static const struct endpoint_file endpoint_defaults = { .out = { .ready = true } };

static void
check_endpoint(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	struct endpoint_file *e = object;

	(void)d;
	(void)path;
	(void)node;
	if (e->terminating)
		e->out.ready = false;
}

static const struct schema endpoint_schema = { .name = "an endpoint", .size = sizeof(struct endpoint_file),
	.defaults = &endpoint_defaults, .fields = endpoint_fields, .has_place = true,
	.place_offset = offsetof(struct endpoint_file, out.place), .check = check_endpoint };
static const struct field item_endpoint = { .type = FIELD_OBJECT, .schema = &endpoint_schema };

static const struct field slice_port_fields[] = {
	{ .name = "name", .type = FIELD_TEXT, .offset = offsetof(struct slice_port, name), .max = 63,
	    .help = "the name of the service's port" },
	{ .name = "port", .type = FIELD_NUMBER, .offset = offsetof(struct slice_port, port), .min = 1, .max = 65535,
	    .help = "the endpoints' port" },
	{ .name = "protocol", .type = FIELD_WORD, .offset = offsetof(struct slice_port, protocol),
	    .words = words_protocol },
	{ .name = "appProtocol", .type = FIELD_IGNORED }, /* the Service's own counts */
	FIELDS_END,
};
static const struct slice_port slice_port_defaults = { .name = "" };
static const struct schema slice_port_schema = { .name = "a port of an EndpointSlice",
	.size = sizeof(struct slice_port), .defaults = &slice_port_defaults, .fields = slice_port_fields,
	.has_place = true, .place_offset = offsetof(struct slice_port, place) };
static const struct field item_slice_port = { .type = FIELD_OBJECT, .schema = &slice_port_schema };

static const struct field slice_fields[] = {
	FIELDS_OF_ALL,
	{ .name = "addressType", .type = FIELD_WORD, .offset = offsetof(struct slice_file, address_type),
	    .required = true, .words = address_types, .help = "of all its addresses" },
	{ .name = "endpoints", .type = FIELD_LIST, .offset = offsetof(struct slice_file, out.endpoints),
	    .item = &item_endpoint, .item_size = sizeof(struct endpoint_file), .max = 10000 },
	{ .name = "ports", .type = FIELD_LIST, .offset = offsetof(struct slice_file, out.ports),
	    .item = &item_slice_port, .item_size = sizeof(struct slice_port), .max = 1000 },
	FIELDS_END,
};

/* The list was decoded with the conditions beside each endpoint; leave the endpoints alone in a list of their own. */
static bool
pack_endpoints(struct decode *d, struct slice_file *f)
{
	const struct endpoint_file *in = (const struct endpoint_file *)(const void *)f->out.endpoints.items;
	struct slice_endpoint *out = arena_array(d->arena, f->out.endpoints.n, sizeof(*out));

	if (out == NULL) {
		d->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < f->out.endpoints.n; i++)
		out[i] = in[i].out;
	f->out.endpoints.items = out;
	return true;
}

static void
check_slice(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	struct slice_file *f = object;
	const int family = f->address_type == 0 ? AF_INET : AF_INET6;
	const struct path endpoints = { .up = path, .key = "endpoints" };

	f->out.service = labels_get(&f->out.meta.labels, "kubernetes.io/service-name");
	if (f->out.service == NULL)
		decode_error(d, decode_place(node, "metadata"), path, "metadata.labels",
		    "the label kubernetes.io/service-name is missing; it names the Service");
	if (!pack_endpoints(d, f))
		return;
	for (size_t i = 0; i < f->out.endpoints.n; i++) {
		const struct slice_endpoint *e = &f->out.endpoints.items[i];
		const struct path at = { .up = &endpoints, .index = i };

		for (size_t j = 0; j < e->addresses.n; j++)
			if (e->addresses.items[j].family != family)
				decode_error(d, e->place, &at, "addresses", "has an address that is not %s, as addressType says",
				    address_types[f->address_type].name);
	}
}

const struct schema schema_endpoint_slice = { .name = "an EndpointSlice", .size = sizeof(struct slice_file),
	.fields = slice_fields, .has_place = true, .place_offset = offsetof(struct meta, place),
	.check = check_slice };
