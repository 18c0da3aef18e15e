/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * objects.h - the objects of mesh.d as they stand in the files, decoded.
 *
 *   Service v1, EndpointSlice discovery.k8s.io/v1, WorkloadEntry
 *   networking.istio.io/v1, AuthorizationPolicy and PeerAuthentication
 *   security.istio.io/v1
 *
 * Nothing here looks at a second object; snapshot.h does.  Every text and
 * list belongs to the arena that the objects were decoded into.
 */
#ifndef TULLE_MANIFEST_OBJECTS_H
#define TULLE_MANIFEST_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "manifest/problem.h"
#include "manifest/yaml.h"

#define LIST_OF(type)              \
	struct {                   \
		const type *items; \
		size_t n;          \
	}

struct label {
	const char *key;
	const char *value;
};

struct labels {
	const struct label *items;
	size_t n;
};

struct meta {
	struct place place;    /* of the object's first key */
	const char *name;
	const char *namespace; /* "default" if the file has none */
	struct labels labels;
	struct labels annotations;
};

/* ---- Service --------------------------------------------------------------- */

/* A port by number or by name; neither: not given. */
struct port_ref {
	uint32_t number; /* 0: none */
	const char *name;
};

enum port_protocol { PROTOCOL_TCP, PROTOCOL_UDP };

struct service_port_spec {
	struct place place;
	const char *name; /* NULL: none; only a service's single port may have none */
	uint32_t port;
	struct port_ref target; /* not given: the same number as <port> */
	int protocol;           /* enum port_protocol */
	const char *app_protocol;
};

struct service_spec {
	struct meta meta;
	LIST_OF(struct addr) cluster_ips; /* empty if headless */
	bool headless;
	LIST_OF(struct service_port_spec) ports;
	struct labels selector; /* empty: endpoints come from EndpointSlices */
};

/* ---- EndpointSlice --------------------------------------------------------- */

struct slice_endpoint {
	struct place place;
	LIST_OF(struct addr) addresses;
	bool ready;
	const char *zone;
};

struct slice_port {
	struct place place;
	const char *name; /* "" if the file has none */
	uint32_t port;    /* 0: not given, the service's own target port */
	int protocol;
};

struct slice_spec {
	struct meta meta;
	const char *service; /* label kubernetes.io/service-name */
	LIST_OF(struct slice_endpoint) endpoints;
	LIST_OF(struct slice_port) ports;
};

/* ---- WorkloadEntry --------------------------------------------------------- */

struct workload_port {
	const char *name;
	uint32_t port;
};

struct workload_spec {
	struct meta meta;
	struct addr address; /* port 0 */
	LIST_OF(struct workload_port) ports;
	struct labels labels;        /* spec.labels, which selectors match */
	const char *service_account; /* NULL: outside the mesh */
	uint32_t weight;             /* 1 if not given */
	const char *locality;        /* "region/zone/subzone", NULL if not given */
};

/* ---- AuthorizationPolicy --------------------------------------------------- */

/* How Istio's policies compare texts: exact, "abc*", "*abc", "*" (present and not empty). */
enum pattern_how { PATTERN_EXACT, PATTERN_PREFIX, PATTERN_SUFFIX, PATTERN_PRESENT };

struct pattern {
	enum pattern_how how;
	const char *text; /* without the star */
	size_t len;
};

struct patterns {
	const struct pattern *items;
	size_t n;
};

struct account_name {
	const char *namespace;
	const char *account;
};

struct cidrs {
	const struct cidr *items;
	size_t n;
};

struct ports {
	const uint32_t *items;
	size_t n;
};

/* All fields that are given (n > 0) must fit; of the values of one field, any. */
struct policy_source {
	struct place place;
	struct patterns principals, not_principals;
	struct patterns namespaces, not_namespaces;
	LIST_OF(struct account_name) service_accounts, not_service_accounts;
	struct patterns trust_domains, not_trust_domains;
	struct cidrs ip_blocks, not_ip_blocks;
};

struct policy_operation {
	struct place place;
	struct ports ports, not_ports;
};

/* One of <from> (if any) and one of <to> (if any) must fit. */
struct policy_rule {
	struct place place;
	LIST_OF(struct policy_source) from;
	LIST_OF(struct policy_operation) to;
};

enum policy_action { POLICY_ALLOW, POLICY_DENY, POLICY_AUDIT };

struct auth_policy {
	struct meta meta;
	int action; /* enum policy_action */
	struct labels selector; /* empty: every workload of the namespace */
	LIST_OF(struct policy_rule) rules; /* none: matches nothing; one that is empty: everything */
};

/* ---- PeerAuthentication ---------------------------------------------------- */

enum mtls_mode { MTLS_UNSET, MTLS_DISABLE, MTLS_PERMISSIVE, MTLS_STRICT };

struct port_mtls {
	const char *key; /* the port's number as written */
	int mode;        /* enum mtls_mode */
	uint32_t port;
};

struct peer_auth {
	struct meta meta;
	struct labels selector;
	int mode; /* enum mtls_mode */
	LIST_OF(struct port_mtls) ports;
};

/* ---- all of them ----------------------------------------------------------- */

enum object_kind {
	OBJECT_SERVICE,
	OBJECT_ENDPOINT_SLICE,
	OBJECT_WORKLOAD_ENTRY,
	OBJECT_AUTHORIZATION_POLICY,
	OBJECT_PEER_AUTHENTICATION,
	OBJECT_KINDS
};

struct object {
	enum object_kind kind;
	union {
		struct meta *meta; /* every object starts with it */
		struct service_spec *service;
		struct slice_spec *slice;
		struct workload_spec *workload;
		struct auth_policy *policy;
		struct peer_auth *peer;
	};
	size_t index;        /* in the order of the files, from 0 */
	struct object *next;
};

#define OBJECTS_MAX 20000 /* of all files together: some checks look at every pair */

struct objects {
	struct object *first, *last;
	size_t n;
	size_t count[OBJECT_KINDS];
};

/* "Service", "EndpointSlice", ... */
const char *object_kind_name(enum object_kind kind);

/*
 * Decodes every document of one file and appends its objects.  A document
 * that is a Kubernetes "List" stands for its items.
 *
 *   TULLE_EINVAL  errors were added to <problems>; good objects are appended
 *                 all the same, so that later checks find more
 *   TULLE_ENOMEM
 */
enum tulle_err objects_parse(struct objects *objects, struct arena *arena, const char *name, const char *data,
    size_t len, struct problems *problems);

/* Does every label of <selector> stand among <labels> with the same value?  An empty selector matches. */
bool labels_match(const struct labels *selector, const struct labels *labels);

/* The value of <key>, NULL if there is none. */
const char *labels_get(const struct labels *labels, const char *key);

#endif
