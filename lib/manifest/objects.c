/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/objects.h"

#include <string.h>

#include "manifest/kinds.h"
#include "manifest/rules.h"

#define LIST_DEPTH 4 /* Lists of Lists */

static const char needs_http[] = "it needs HTTP, which this version passes as bytes";

static const struct kind kinds[] = {
	{ "Service", "v1", NULL, OBJECT_SERVICE, &schema_service },
	{ "EndpointSlice", "discovery.k8s.io/v1", NULL, OBJECT_ENDPOINT_SLICE, &schema_endpoint_slice },
	{ "WorkloadEntry", "networking.istio.io/v1", NULL, OBJECT_WORKLOAD_ENTRY, &schema_workload_entry },
	{ "AuthorizationPolicy", "security.istio.io/v1", NULL, OBJECT_AUTHORIZATION_POLICY,
	    &schema_authorization_policy },
	{ "PeerAuthentication", "security.istio.io/v1", NULL, OBJECT_PEER_AUTHENTICATION,
	    &schema_peer_authentication },
	{ .name = "HTTPRoute", .refused = needs_http },
	{ .name = "GRPCRoute", .refused = needs_http },
	{ .name = "TCPRoute", .refused = "this version has no routes; a Service splits by the weights of its endpoints" },
	{ .name = "TLSRoute", .refused = "this version has no routes; a Service splits by the weights of its endpoints" },
	{ .name = "ServiceEntry", .refused = "write a Service and WorkloadEntries" },
	{ .name = "XBackendTrafficPolicy", .refused = needs_http },
	{ .name = "DestinationRule", .refused = needs_http },
	{ .name = "HTTPLocalRateLimitPolicy", .refused = needs_http },
	{ .name = "RequestAuthentication", .refused = needs_http },
	{ .name = "VirtualService", .refused = needs_http },
	{ .name = "Endpoints", .refused = "write an EndpointSlice" },
	{ .name = NULL },
};

const char *
object_kind_name(enum object_kind kind)
{
	for (const struct kind *k = kinds; k->name != NULL; k++)
		if (k->schema != NULL && k->kind == kind)
			return k->name;
	return "?";
}

/* ---- what all kinds share ---------------------------------------------------- */

const struct field item_label = { .type = FIELD_TEXT, .offset = offsetof(struct label, value),
	.rule = &rule_label_value };
const struct field item_annotation = { .type = FIELD_TEXT, .offset = offsetof(struct label, value) };
const struct word words_protocol[] = {
	[PROTOCOL_TCP] = { "TCP", NULL },
	[PROTOCOL_UDP] = { "UDP", NULL },
	{ "SCTP", "Tulle carries TCP alone" },
	{ NULL, NULL },
};

/* Annotations that this version knows: a name and why it is refused. */
static const struct word annotations[] = {
	{ "tulle.mesh/inbound-http", needs_http },
	{ "istio.io/dry-run", "write action: AUDIT instead" },
	{ NULL, NULL },
};

/* Everybody's annotations pass; a name of ours is an instruction, and an instruction nobody follows is an error. */
static void
check_annotations(struct decode *d, const struct path *path, const struct yaml_node *metadata)
{
	const struct yaml_node *map = yaml_get(metadata, "annotations"), *child;
	const struct path at = { .up = path, .key = "annotations" };
	const struct word *w;

	if (map == NULL || map->kind != YAML_MAP)
		return;
	for (child = map->first; child != NULL; child = child->next) {
		for (w = annotations; w->name != NULL; w++)
			if (strcmp(w->name, child->key) == 0)
				break;
		if (w->name != NULL)
			decode_error(d, child->key_place, &at, child->key, "known, but not carried out: %s", w->refused);
		else if (strncmp(child->key, "tulle.mesh/", 11) == 0)
			decode_error(d, child->key_place, &at, child->key,
			    "unknown annotation; this version has none of its own");
	}
}

static void
check_metadata(struct decode *d, const struct path *path, const struct yaml_node *node, void *object)
{
	struct meta *m = object;

	if (m->namespace == NULL)
		m->namespace = "default";
	check_annotations(d, path, node);
}

static const struct field metadata_fields[] = {
	{ .name = "name", .type = FIELD_TEXT, .offset = offsetof(struct meta, name), .required = true,
	    .rule = &rule_dns_name, .help = "unique for its kind in its namespace" },
	{ .name = "namespace", .type = FIELD_TEXT, .offset = offsetof(struct meta, namespace), .rule = &rule_dns_label,
	    .help = "default if not given" },
	FIELD_LABELS("labels", offsetof(struct meta, labels), "names that selectors match"),
	{ .name = "annotations", .type = FIELD_MAP, .offset = offsetof(struct meta, annotations),
	    .item = &item_annotation, .key = &rule_label_key, .item_size = sizeof(struct label), .max = 256,
	    .help = "remarks; those that start with tulle.mesh/ must be known" },
	FIELD_NOT_YET("generateName", "there is no API server that makes a name; write name"),
	{ .name = "uid", .type = FIELD_IGNORED },
	{ .name = "resourceVersion", .type = FIELD_IGNORED },
	{ .name = "generation", .type = FIELD_IGNORED },
	{ .name = "creationTimestamp", .type = FIELD_IGNORED },
	{ .name = "managedFields", .type = FIELD_IGNORED },
	{ .name = "ownerReferences", .type = FIELD_IGNORED },
	{ .name = "finalizers", .type = FIELD_IGNORED },
	{ .name = "selfLink", .type = FIELD_IGNORED },
	FIELDS_END,
};
const struct schema schema_metadata = { .name = "metadata", .fields = metadata_fields, .inside = true,
	.check = check_metadata };

static const struct field selector_fields[] = {
	FIELD_LABELS("matchLabels", 0, "labels that a workload must have"),
	FIELD_NOT_YET("matchExpressions", "Istio's selectors have matchLabels alone"),
	FIELDS_END,
};
const struct schema schema_selector = { .name = "selector", .size = sizeof(struct labels),
	.fields = selector_fields };

/* ---- one document ------------------------------------------------------------ */

struct reader {
	struct objects *objects;
	struct decode d;
	bool bad;
	bool full; /* said once */
};

static void
refuse(struct reader *r, struct place at, const char *field, const char *what)
{
	problem_error(r->d.problems, at, field, "%s", what);
	r->bad = true;
}

/* The text of a field that every object must have, NULL (and an error) if it is not right. */
static const struct yaml_node *
text_field(struct reader *r, const struct yaml_node *doc, const char *name)
{
	const struct yaml_node *node = yaml_get(doc, name);

	if (node == NULL || yaml_is_null(node))
		refuse(r, doc->place, name, "is missing; every object says its apiVersion and kind");
	else if (node->kind != YAML_SCALAR)
		refuse(r, node->place, name, "is not a text; a text is needed");
	else
		return node;
	return NULL;
}

static const struct kind *
find_kind(struct reader *r, const struct yaml_node *doc)
{
	const struct yaml_node *name = text_field(r, doc, "kind");
	const struct yaml_node *version = text_field(r, doc, "apiVersion");
	const char *names[sizeof(kinds) / sizeof(kinds[0])], *near;
	char shown[PROBLEM_SHOWN];
	const struct kind *k;
	size_t n = 0;

	if (name == NULL || version == NULL)
		return NULL;
	for (k = kinds; k->name != NULL && strcmp(k->name, name->text) != 0; k++)
		names[n++] = k->name;
	names[n] = NULL;
	if (k->name == NULL) {
		r->bad = true;
		near = problem_nearest(name->text, names);
		if (near != NULL)
			problem_error(r->d.problems, name->place, "kind", "%s is not supported; did you mean \"%s\"?",
			    problem_show(shown, name->text), near);
		else
			problem_error(r->d.problems, name->place, "kind",
			    "%s is not supported; known are Service, EndpointSlice, WorkloadEntry, "
			    "AuthorizationPolicy and PeerAuthentication", problem_show(shown, name->text));
		return NULL;
	}
	if (k->refused != NULL) {
		r->bad = true;
		problem_error(r->d.problems, name->place, "kind", "%s is known, but not carried out: %s", k->name,
		    k->refused);
		return NULL;
	}
	if (strcmp(version->text, k->api_version) != 0) {
		r->bad = true;
		problem_error(r->d.problems, version->place, "apiVersion", "%s is not supported for %s; \"%s\" is needed",
		    problem_show(shown, version->text), k->name, k->api_version);
		return NULL;
	}
	return k;
}

static enum tulle_err
read_object(struct reader *r, const struct yaml_node *doc)
{
	const struct kind *k = find_kind(r, doc);
	struct object *o;

	if (k == NULL)
		return TULLE_OK;
	if (r->objects->n == OBJECTS_MAX) {
		if (!r->full)
			problem_error(r->d.problems, doc->place, NULL, "more than %d objects", OBJECTS_MAX);
		r->full = r->bad = true;
		return TULLE_OK;
	}
	o = arena_alloc(r->d.arena, sizeof(*o));
	if (o == NULL)
		return TULLE_ENOMEM;
	o->kind = k->kind;
	o->meta = arena_alloc(r->d.arena, k->schema->size);
	if (o->meta == NULL)
		return TULLE_ENOMEM;
	if (!schema_decode(&r->d, NULL, k->schema, doc, o->meta)) {
		r->bad = true;
		return r->d.no_memory ? TULLE_ENOMEM : TULLE_OK;
	}
	if (r->objects->last != NULL)
		r->objects->last->next = o;
	else
		r->objects->first = o;
	r->objects->last = o;
	o->index = r->objects->n++;
	r->objects->count[k->kind]++;
	return TULLE_OK;
}

static enum tulle_err
read_document(struct reader *r, const struct yaml_node *doc, unsigned int depth)
{
	const struct yaml_node *kind = yaml_get(doc, "kind"), *items, *child;
	enum tulle_err e = TULLE_OK;

	if (doc->kind != YAML_MAP) {
		refuse(r, doc->place, NULL, "is not a mapping; an object with apiVersion, kind and metadata is needed");
		return TULLE_OK;
	}
	if (kind == NULL || kind->kind != YAML_SCALAR || strcmp(kind->text, "List") != 0)
		return read_object(r, doc);
	items = yaml_get(doc, "items");
	if (items == NULL || items->kind != YAML_LIST || depth == LIST_DEPTH) {
		refuse(r, decode_place(doc, "items"), "items", "a List has a list of objects here");
		return TULLE_OK;
	}
	for (child = items->first; child != NULL && e == TULLE_OK; child = child->next)
		e = read_document(r, child, depth + 1);
	return e;
}

enum tulle_err
objects_parse(struct objects *objects, struct arena *arena, const char *name, const char *data, size_t len,
    struct problems *problems)
{
	struct reader r = { .objects = objects, .d = { .arena = arena, .problems = problems } };
	struct arena scratch = arena_new(128u << 20);
	struct yaml_documents docs = { 0 };
	const char *own_name;
	enum tulle_err e;

	own_name = arena_text(arena, name, strlen(name)); /* places in the objects keep it */
	if (own_name == NULL)
		return TULLE_ENOMEM;
	e = yaml_parse(&docs, &scratch, own_name, data, len, problems);
	if (e == TULLE_EINVAL) {
		r.bad = true; /* docs has what came before a duplicate key; after a syntax error it is empty */
		e = TULLE_OK;
	}
	for (size_t i = 0; i < docs.n && e == TULLE_OK; i++)
		e = read_document(&r, docs.roots[i], 0);
	arena_free(&scratch);
	if (e == TULLE_OK && r.bad)
		e = TULLE_EINVAL;
	return e;
}

/* ---- labels ------------------------------------------------------------------- */

const char *
labels_get(const struct labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->n; i++)
		if (strcmp(labels->items[i].key, key) == 0)
			return labels->items[i].value;
	return NULL;
}

bool
labels_match(const struct labels *selector, const struct labels *labels)
{
	const char *value;

	for (size_t i = 0; i < selector->n; i++) {
		value = labels_get(labels, selector->items[i].key);
		if (value == NULL || strcmp(value, selector->items[i].value) != 0)
			return false;
	}
	return true;
}
