/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WorkloadEntry networking.istio.io/v1. */
#include <string.h>

#include "manifest/kinds.h"
#include "manifest/rules.h"

#define AT(member) offsetof(struct workload_spec, member)

static const struct field item_port = { .type = FIELD_NUMBER, .offset = offsetof(struct workload_port, port),
	.min = 1, .max = 65535 };

static const struct field spec_fields[] = {
	{ .name = "address", .type = FIELD_VALUE, .offset = AT(address), .required = true, .value = &value_ip,
	    .help = "where it listens" },
	{ .name = "ports", .type = FIELD_MAP, .offset = AT(ports), .item = &item_port, .key = &rule_port_name,
	    .item_size = sizeof(struct workload_port), .max = 256, .help = "its ports by name; the names that targetPort may use" },
	FIELD_LABELS("labels", AT(labels), "what selectors match"),
	{ .name = "serviceAccount", .type = FIELD_TEXT, .offset = AT(service_account), .rule = &rule_dns_name,
	    .help = "who it is; without one it is outside the mesh" },
	{ .name = "weight", .type = FIELD_NUMBER, .offset = AT(weight), .min = 1, .max = 65535,
	    .help = "its share of new connections, relative to others" },
	{ .name = "locality", .type = FIELD_TEXT, .offset = AT(locality), .min = 1, .max = 256,
	    .help = "region/zone/subzone" },
	FIELD_NOT_YET("network", "every address must be reachable; there are no gateways between networks"),
	FIELDS_END,
};
static const struct schema spec_schema = { .name = "the spec of a WorkloadEntry", .fields = spec_fields,
	.inside = true };

static const struct field workload_fields[] = {
	FIELDS_OF_ALL,
	{ .name = "spec", .type = FIELD_OBJECT, .required = true, .schema = &spec_schema },
	FIELDS_END,
};
static const struct workload_spec defaults = { .weight = 1 };

/* Labels of the metadata count, too, and before those of the spec, as in Istio. */
static bool
merge_labels(struct decode *d, struct workload_spec *w)
{
	const struct labels *meta = &w->meta.labels, *spec = &w->labels;
	struct label *all = arena_array(d->arena, meta->n + spec->n, sizeof(*all));
	size_t n = 0;

	if (all == NULL) {
		d->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < meta->n; i++)
		all[n++] = meta->items[i];
	for (size_t i = 0; i < spec->n; i++)
		if (labels_get(meta, spec->items[i].key) == NULL)
			all[n++] = spec->items[i];
	w->labels = (struct labels){ all, n };
	return true;
}

static void
check_workload(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	struct workload_spec *w = object;

	for (size_t i = 0; i < w->ports.n; i++)
		for (size_t j = 0; j < i; j++)
			if (w->ports.items[i].port == w->ports.items[j].port)
				decode_error(d, decode_place(node, "spec"), path, "spec.ports",
				    "%s and %s are both %u; each port has one name", w->ports.items[j].name,
				    w->ports.items[i].name, w->ports.items[i].port);
	if (addr_is_any(&w->address))
		decode_error(d, decode_place(node, "spec"), path, "spec.address",
		    "stands for every address; the address that peers reach is needed");
	(void)merge_labels(d, w);
}

const struct schema schema_workload_entry = { .name = "a WorkloadEntry", .size = sizeof(struct workload_spec),
	.defaults = &defaults, .fields = workload_fields, .has_place = true,
	.place_offset = offsetof(struct meta, place), .check = check_workload };
