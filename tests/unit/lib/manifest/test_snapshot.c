/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "manifest/table.h"
#include "mesh.h"
#include "unit.h"

#define WORKLOAD(nm, ns, rest) \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: " nm ", namespace: " ns "}\nspec: {" rest "}\n"
#define SERVICE(nm, ns, rest) \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " nm ", namespace: " ns "}\nspec: {" rest "}\n"
#define POLICY(nm, ns, rest)                                                                               \
	"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: " nm            \
	", namespace: " ns "}\nspec: {" rest "}\n"
#define PEER(nm, ns, rest)                                                                                \
	"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: " nm            \
	", namespace: " ns "}\nspec: {" rest "}\n"
#define SLICE(nm, ns, svc, rest)                                                                          \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " nm ", namespace: " ns \
	", labels: {kubernetes.io/service-name: " svc "}}\naddressType: IPv4\n" rest "\n"

static const char shop[] =
    SERVICE("cart", "shop", "clusterIPs: [10.96.0.10, 'fd96::10'], selector: {app: cart}, ports: [{name: http, port: 80, targetPort: web}, {name: admin, port: 81, targetPort: 9000}, {name: other, port: 82}]")
    WORKLOAD("cart-1", "shop", "address: 10.0.0.2, ports: {web: 8080, other: 8282}, labels: {app: cart, tier: one}, serviceAccount: cart, weight: 3, locality: r/z")
    WORKLOAD("cart-2", "shop", "address: 'fd00::3', ports: {web: 8081}, labels: {app: cart}, serviceAccount: cart")
    WORKLOAD("cart-3", "shop", "address: 10.0.0.4, ports: {web: 8080}, labels: {app: cart}")
    WORKLOAD("cart-x", "other", "address: 10.0.0.5, labels: {app: cart}, serviceAccount: cart")
    WORKLOAD("db", "shop", "address: 10.0.0.1, ports: {pg: 5432}, labels: {app: db}, serviceAccount: db")
    WORKLOAD("web", "shop", "address: 10.0.0.1, ports: {http: 80, https: 443}, labels: {app: web}, serviceAccount: web");

static struct snapshot *
unref(const struct snapshot *s)
{
	snapshot_unref(s);
	return NULL;
}

static const struct service_port *
service(const struct snapshot *s, const char *at)
{
	const struct addr a = ip_port(at);

	return snapshot_service(s, &a);
}

static const struct endpoint *
endpoint(const struct snapshot *s, const char *at)
{
	const struct addr a = ip_port(at);

	return snapshot_endpoint(s, &a);
}

static const struct workload *
workload(const struct snapshot *s, const char *at)
{
	const struct addr a = ip_port(at);

	return snapshot_workload(s, &a);
}

START_TEST(a_service_is_found_by_each_address_and_port)
{
	struct snapshot *s = mesh(shop);
	const struct service_port *p = service(s, "10.96.0.10:80");

	ck_assert_ptr_nonnull(p);
	ck_assert_str_eq(p->name, "http");
	ck_assert_str_eq(p->service->name, "cart");
	ck_assert_str_eq(p->service->namespace, "shop");
	ck_assert_ptr_eq(service(s, "[fd96::10]:80"), p);
	ck_assert_str_eq(service(s, "10.96.0.10:81")->name, "admin");
	ck_assert_ptr_null(service(s, "10.96.0.10:8080"));
	ck_assert_ptr_null(service(s, "10.96.0.11:80"));
	ck_assert_uint_eq(s->n_services, 1);
	ck_assert_uint_eq(s->objects[OBJECT_WORKLOAD_ENTRY], 6);
	ck_assert_uint_eq(s->generation, 7);
	ck_assert_uint_eq(strlen(s->revision), 16);
	s = unref(s);
}
END_TEST

START_TEST(endpoints_are_those_the_selector_matches_in_its_namespace)
{
	struct snapshot *s = mesh(shop);
	const struct service_port *p = service(s, "10.96.0.10:80");
	char text[ADDR_TEXT];

	ck_assert_uint_eq(p->n_endpoints, 3);
	ck_assert_str_eq(p->endpoints[0]->name, "shop/cart-1/10.0.0.2:8080");
	ck_assert_str_eq(addr_format(&p->endpoints[0]->addr, text), "10.0.0.2:8080");
	ck_assert_uint_eq(p->endpoints[0]->weight, 3);
	ck_assert(p->endpoints[0]->meshed && !p->endpoints[0]->local);
	ck_assert_str_eq(p->endpoints[0]->identity, "spiffe://mesh.example/ns/shop/sa/cart");
	ck_assert_str_eq(p->endpoints[0]->sni, "cart.shop.sa.mesh.example");
	ck_assert_str_eq(p->endpoints[0]->namespace, "shop");
	ck_assert_str_eq(p->endpoints[0]->workload, "cart-1");
	ck_assert_str_eq(p->endpoints[0]->account, "cart");
	ck_assert_str_eq(p->endpoints[0]->locality, "r/z");
	ck_assert_str_eq(labels_get(&p->endpoints[0]->labels, "tier"), "one");
	ck_assert_str_eq(p->endpoints[1]->name, "shop/cart-2/[fd00::3]:8081");
	ck_assert_uint_eq(p->endpoints[1]->weight, 1);
	ck_assert(!p->endpoints[2]->meshed);
	ck_assert_ptr_null(p->endpoints[2]->identity);
	s = unref(s);
}
END_TEST

START_TEST(target_ports_by_name_number_or_the_entrys_own_map)
{
	struct snapshot *s = mesh(shop);

	ck_assert_uint_eq(service(s, "10.96.0.10:81")->endpoints[1]->addr.port, 9000);
	ck_assert_uint_eq(service(s, "10.96.0.10:82")->endpoints[0]->addr.port, 8282); /* its map has "other" */
	ck_assert_uint_eq(service(s, "10.96.0.10:82")->endpoints[1]->addr.port, 82);   /* nothing else is said */
	s = unref(s);
}
END_TEST

static const char *
identity_at(const struct snapshot *s, const char *at)
{
	const struct addr a = ip_port(at);

	return snapshot_identity_at(s, &a);
}

START_TEST(an_address_is_somebody_if_one_alone_is_there)
{
	static const struct {
		const char *text, *is;
	} cases[] = {
		{ "", NULL },
		{ WORKLOAD("cart", "shop", "address: 10.0.0.1, ports: {web: 8080}, serviceAccount: cart"), "spiffe://mesh.example/ns/shop/sa/cart" },
		{ WORKLOAD("a", "shop", "address: 10.0.0.1, ports: {a: 1}, serviceAccount: cart")
		  WORKLOAD("b", "shop", "address: 10.0.0.1, ports: {b: 2}, serviceAccount: cart"), "spiffe://mesh.example/ns/shop/sa/cart" },
		{ WORKLOAD("a", "shop", "address: 10.0.0.1, ports: {a: 1}, serviceAccount: cart")
		  WORKLOAD("b", "shop", "address: 10.0.0.1, ports: {b: 2}, serviceAccount: db"), NULL },
		{ WORKLOAD("a", "shop", "address: 10.0.0.1, ports: {a: 1}, serviceAccount: cart")
		  WORKLOAD("b", "shop", "address: 10.0.0.1, ports: {b: 2}"), NULL },
		{ WORKLOAD("far", "shop", "address: 10.0.0.9, serviceAccount: cart"), NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snapshot *s = mesh(cases[i].text);
		const char *is = identity_at(s, "10.0.0.1:15008");

		ck_assert_msg(cases[i].is == NULL ? is == NULL : is != NULL && strcmp(is, cases[i].is) == 0, "case %zu: %s", i,
		    is != NULL ? is : "nobody");
		ck_assert_ptr_null(identity_at(s, "10.0.0.2:15008"));
		s = unref(s);
	}
}
END_TEST

START_TEST(an_endpoint_can_be_dialled_directly)
{
	struct snapshot *s = mesh(shop);
	const struct endpoint *e = endpoint(s, "10.0.0.2:8080");

	ck_assert_ptr_eq(e, service(s, "10.96.0.10:80")->endpoints[0]);
	e = endpoint(s, "10.0.0.5:1234"); /* any port of a workload that lives alone */
	ck_assert_str_eq(e->name, "other/cart-x/10.0.0.5");
	ck_assert_uint_eq(e->addr.port, 0);
	ck_assert_str_eq(e->identity, "spiffe://mesh.example/ns/other/sa/cart");
	ck_assert_str_eq(endpoint(s, "10.0.0.1:5432")->workload, "db");
	ck_assert_str_eq(endpoint(s, "10.0.0.1:443")->workload, "web");
	ck_assert(endpoint(s, "10.0.0.1:443")->local);
	ck_assert_ptr_null(endpoint(s, "10.0.0.1:22")); /* two live there, neither has it */
	ck_assert_ptr_null(endpoint(s, "10.9.9.9:80"));
	s = unref(s);
}
END_TEST

START_TEST(ours_are_found_by_local_address_and_port)
{
	struct snapshot *s = mesh(shop);

	ck_assert_uint_eq(s->n_workloads, 3);
	ck_assert_str_eq(workload(s, "10.0.0.1:5432")->name, "db");
	ck_assert_str_eq(workload(s, "10.0.0.1:5432")->identity, "spiffe://mesh.example/ns/shop/sa/db");
	ck_assert_str_eq(workload(s, "10.0.0.1:80")->sni, "web.shop.sa.mesh.example");
	ck_assert_str_eq(workload(s, "10.0.0.1:22")->name, ""); /* the host itself */
	ck_assert_str_eq(workload(s, "10.0.0.1:22")->namespace, "default");
	ck_assert_ptr_null(workload(s, "10.0.0.1:22")->identity);
	ck_assert_str_eq(workload(s, "10.0.0.9:80")->name, "");
	s = unref(s);

	s = mesh(WORKLOAD("all", "a", "address: 'fd00::1', serviceAccount: x") WORKLOAD("one", "a", "address: 'fd00::1', ports: {p: 80}, serviceAccount: y")
		WORKLOAD("sole", "a", "address: 10.0.0.1, ports: {p: 80}, serviceAccount: z"));
	ck_assert_str_eq(workload(s, "[fd00::1]:80")->name, "one");
	ck_assert_str_eq(workload(s, "[fd00::1]:81")->name, "all");
	ck_assert_str_eq(workload(s, "10.0.0.1:80")->name, "sole");
	ck_assert_str_eq(workload(s, "10.0.0.1:81")->name, "sole");
	s = unref(s);
}
END_TEST

/* What was delivered to an address is judged by the policies for it, also before the address counts as ours. */
START_TEST(a_workload_is_found_before_its_address_is_known_to_be_local)
{
	struct snapshot *s = mesh(WORKLOAD("vip", "shop", "address: 10.0.0.50, ports: {p: 80}, labels: {app: vip}, serviceAccount: vip")
		POLICY("no", "shop", "selector: {matchLabels: {app: vip}}, action: DENY, rules: [{}]")
		PEER("strict", "shop", "selector: {matchLabels: {app: vip}}, mtls: {mode: STRICT}"));
	const struct workload *w = workload(s, "10.0.0.50:80");

	ck_assert_str_eq(w->name, "vip");
	ck_assert_str_eq(w->identity, "spiffe://mesh.example/ns/shop/sa/vip");
	ck_assert_uint_eq(w->n_deny, 1);
	ck_assert_int_eq(workload_mtls(w, 80), MTLS_STRICT);
	ck_assert_ptr_eq(workload(s, "10.0.0.50:81"), w);
	ck_assert_uint_eq(s->n_workloads, 1); /* it is not ours for all that */
	ck_assert_str_eq(s->workloads[0].name, "");
	ck_assert(!endpoint(s, "10.0.0.50:80")->local);
	s = unref(s);
}
END_TEST

START_TEST(slices_give_endpoints_too)
{
	struct snapshot *s = mesh(
	    SERVICE("legacy", "shop", "clusterIPs: [10.96.0.20], ports: [{name: a, port: 1}, {name: b, port: 2}]")
	    SLICE("legacy-1", "shop", "legacy", "endpoints: [{addresses: [10.1.0.1]}, {addresses: [10.1.0.2], conditions: {ready: false}}, {addresses: [10.1.0.3], conditions: {ready: true, terminating: true}}, {addresses: [10.0.0.2], conditions: {ready: true, serving: true}}]\nports: [{name: a, port: 1001}, {name: b, port: 1002}]")
	    WORKLOAD("w", "shop", "address: 10.0.0.2, serviceAccount: w"));
	const struct service_port *p = service(s, "10.96.0.20:2");

	ck_assert_uint_eq(p->n_endpoints, 2);
	ck_assert_str_eq(p->endpoints[0]->name, "-/-/10.1.0.1:1002");
	ck_assert(!p->endpoints[0]->meshed);
	ck_assert_ptr_null(p->endpoints[0]->namespace);
	ck_assert_str_eq(p->endpoints[1]->name, "shop/w/10.0.0.2:1002"); /* the address is a WorkloadEntry's: meshed */
	ck_assert_str_eq(p->endpoints[1]->identity, "spiffe://mesh.example/ns/shop/sa/w");
	ck_assert_ptr_eq(endpoint(s, "10.1.0.1:1001"), service(s, "10.96.0.20:1")->endpoints[0]);
	ck_assert_ptr_null(endpoint(s, "10.1.0.1:1003"));
	s = unref(s);

	s = mesh(SERVICE("nameless", "shop", "clusterIPs: [10.96.0.21], ports: [{port: 1, targetPort: 11}]")
		SLICE("n-1", "shop", "nameless", "endpoints: [{addresses: [10.1.0.1]}]\nports: [{}]"));
	ck_assert_uint_eq(service(s, "10.96.0.21:1")->endpoints[0]->addr.port, 11);
	s = unref(s);

	mesh_says(SERVICE("x", "shop", "clusterIPs: [10.96.0.21], selector: {a: b}, ports: [{name: q, port: 1}]") SLICE("n-1",
		      "shop", "x", "endpoints: [{addresses: [10.1.0.1]}]\nports: [{name: r, port: 2}]")
		      WORKLOAD("w", "shop", "address: 10.0.0.2, labels: {a: b}"),
	    "mesh.yaml:7:1: ports: none has the name \"q\" of a port of Service shop/x; it gets no endpoint from here", true);
}
END_TEST

START_TEST(a_headless_service_has_no_address_but_endpoints)
{
	struct snapshot *s = mesh(
	    SERVICE("h", "a", "clusterIP: None, ports: [{port: 5000}], selector: {app: h}")
	    WORKLOAD("h-1", "a", "address: 10.0.0.9, labels: {app: h}, serviceAccount: h"));

	ck_assert_uint_eq(s->services[0].n_cluster_ips, 0);
	ck_assert_uint_eq(s->services[0].ports[0].n_endpoints, 1);
	ck_assert_str_eq(endpoint(s, "10.0.0.9:5000")->account, "h");
	s = unref(s);
}
END_TEST

START_TEST(udp_ports_are_left_out)
{
	struct snapshot *s = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(mesh_load(&s, SERVICE("dns", "a", "clusterIP: 10.96.0.53, selector: {a: b}, ports: [{name: u, port: 53, protocol: UDP}, {name: t, port: 53}]")
			     WORKLOAD("w", "a", "address: 10.0.0.9, labels: {a: b}"), &p), TULLE_OK);
	ck_assert_uint_eq(s->services[0].n_ports, 1);
	ck_assert_str_eq(service(s, "10.96.0.53:53")->name, "t");
	ck_assert_uint_eq(p.warnings, 1);
	problems_free(&p);
	s = unref(s);
}
END_TEST

START_TEST(labels_of_the_metadata_count_before_those_of_the_spec)
{
	struct snapshot *s = mesh(
	    SERVICE("s", "a", "clusterIP: 10.96.0.1, selector: {x: meta, y: spec}, ports: [{port: 1}]")
	    "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w, namespace: a, labels: {x: meta}}\n"
	    "spec: {address: 10.0.0.9, labels: {x: spec, y: spec}}\n");

	ck_assert_uint_eq(s->services[0].ports[0].n_endpoints, 1);
	s = unref(s);
}
END_TEST

START_TEST(a_list_stands_for_its_items)
{
	struct snapshot *s = mesh("apiVersion: v1\nkind: List\nitems:\n"
	                          "- apiVersion: networking.istio.io/v1\n  kind: WorkloadEntry\n  metadata: {name: a}\n"
	                          "  spec: {address: 10.0.0.9}\n"
	                          "- apiVersion: v1\n  kind: List\n  items: []\n");

	ck_assert_uint_eq(s->objects[OBJECT_WORKLOAD_ENTRY], 1);
	s = unref(s);
}
END_TEST

START_TEST(policies_apply_by_namespace_root_and_selector)
{
	struct snapshot *s = mesh(
	    WORKLOAD("web", "shop", "address: 10.0.0.1, ports: {p: 80}, labels: {app: web}")
	    WORKLOAD("db", "shop", "address: 10.0.0.1, ports: {p: 81}, labels: {app: db}")
	    POLICY("audit", "shop", "action: AUDIT, rules: [{}]")
	    POLICY("all", "shop", "rules: [{}]")
	    POLICY("web", "shop", "selector: {matchLabels: {app: web}}, rules: [{}]")
	    POLICY("other", "else", "rules: [{}]")
	    POLICY("mesh", "istio-system", "action: DENY, rules: [{to: [{operation: {ports: [1]}}]}]")
	    POLICY("mesh", "tulle-system", "selector: {matchLabels: {app: db}}, rules: [{}]"));
	const struct workload *web = workload(s, "10.0.0.1:80"), *db = workload(s, "10.0.0.1:81");

	ck_assert_uint_eq(s->n_policies, 6);
	ck_assert_uint_eq(web->n_policies, 4);
	ck_assert_uint_eq(web->n_deny, 1);
	ck_assert_uint_eq(web->n_allow, 2);
	ck_assert_uint_eq(web->n_audit, 1);
	ck_assert_str_eq(web->policies[0]->meta.name, "mesh");
	ck_assert_str_eq(web->policies[1]->meta.name, "all");
	ck_assert_str_eq(web->policies[2]->meta.name, "web");
	ck_assert_str_eq(web->policies[3]->meta.name, "audit");
	ck_assert_str_eq(db->policies[2]->meta.namespace, "tulle-system");
	ck_assert_uint_eq(workload(s, "10.0.0.1:82")->n_policies, 1); /* the host itself: the mesh-wide DENY */
	s = unref(s);
}
END_TEST

START_TEST(mtls_of_workload_before_namespace_before_mesh)
{
	struct snapshot *s = mesh(
	    WORKLOAD("web", "shop", "address: 10.0.0.1, ports: {p: 80}, labels: {app: web}")
	    WORKLOAD("db", "shop", "address: 10.0.0.1, ports: {p: 81}, labels: {app: db}")
	    WORKLOAD("x", "else", "address: 10.0.0.1, ports: {p: 82}, labels: {app: db}")
	    PEER("mesh", "istio-system", "mtls: {mode: STRICT}")
	    PEER("ns", "shop", "mtls: {mode: DISABLE}")
	    PEER("web", "shop", "selector: {matchLabels: {app: web}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {80: {mode: STRICT}, 90: {mode: UNSET}, 91: {}}")
	    PEER("db", "shop", "selector: {matchLabels: {app: db}}, mtls: {mode: UNSET}"));
	const struct workload *web = workload(s, "10.0.0.1:80");

	ck_assert_int_eq(workload_mtls(web, 80), MTLS_STRICT);
	ck_assert_int_eq(workload_mtls(web, 90), MTLS_PERMISSIVE);
	ck_assert_int_eq(workload_mtls(web, 91), MTLS_PERMISSIVE);
	ck_assert_int_eq(workload_mtls(web, 443), MTLS_PERMISSIVE);
	ck_assert_int_eq(workload_mtls(workload(s, "10.0.0.1:81"), 81), MTLS_DISABLE); /* UNSET inherits */
	ck_assert_int_eq(workload_mtls(workload(s, "10.0.0.1:82"), 82), MTLS_STRICT);
	ck_assert_int_eq(workload_mtls(workload(s, "10.0.0.1:83"), 83), MTLS_STRICT);
	s = unref(s);

	s = mesh(PEER("sel", "istio-system", "selector: {matchLabels: {app: db}}, mtls: {mode: STRICT}")
		WORKLOAD("root", "istio-system", "address: 10.0.0.1, ports: {p: 80}, labels: {app: db}")
		WORKLOAD("other", "shop", "address: 10.0.0.1, ports: {p: 81}, labels: {app: db}"));
	ck_assert_int_eq(workload_mtls(workload(s, "10.0.0.1:80"), 80), MTLS_STRICT);
	ck_assert_int_eq(workload_mtls(workload(s, "10.0.0.1:81"), 81), MTLS_PERMISSIVE); /* a selector is of one namespace */
	s = unref(s);

	mesh_says(PEER("a", "istio-system", "") PEER("b", "tulle-system", ""),
	    "mesh.yaml:7:1: PeerAuthentication istio-system/a (mesh.yaml:2) is for the whole mesh, too; write one", false);
	mesh_says(WORKLOAD("web", "shop", "address: 10.0.0.1, labels: {app: web}") PEER("a", "shop", "selector: {matchLabels: {app: web}}")
		      PEER("b", "shop", "selector: {matchLabels: {app: web}}"),
	    "mesh.yaml:12:1: spec.selector: PeerAuthentication shop/a is for workload web, too (mesh.yaml:7); one at a time "
	    "decides", false);
}
END_TEST

START_TEST(what_is_learnt_survives_a_reload)
{
	struct snapshot *first = mesh(shop), *second = NULL;
	const struct endpoint *same, *moved, *kept;
	char changed[sizeof(shop)];
	struct problems p;
	char *weight;

	problems_init(&p);
	memcpy(changed, shop, sizeof(shop));
	weight = strstr(changed, "weight: 3");
	weight[8] = '5';
	atomic_store(&service(first, "10.96.0.10:80")->endpoints[0]->state->failures, 4);
	ck_assert_int_eq(mesh_load_from(&second, changed, first, &p), TULLE_OK);
	ck_assert_str_ne(first->revision, second->revision);
	moved = service(second, "10.96.0.10:80")->endpoints[0];
	same = service(second, "10.96.0.10:80")->endpoints[1];
	ck_assert_ptr_eq(same, service(first, "10.96.0.10:80")->endpoints[1]);   /* unchanged: the same object */
	ck_assert_ptr_ne(moved, service(first, "10.96.0.10:80")->endpoints[0]);  /* another weight: another object, */
	ck_assert_uint_eq(moved->weight, 5);
	ck_assert_ptr_eq(moved->state, service(first, "10.96.0.10:80")->endpoints[0]->state); /* the same memory of it */
	kept = endpoint_ref(service(first, "10.96.0.10:80")->endpoints[0]);
	snapshot_ref(first);
	snapshot_unref(first);
	first = unref(first);
	ck_assert_uint_eq(kept->weight, 3); /* a flow keeps it beyond its snapshot */
	ck_assert_uint_eq(atomic_load(&moved->state->failures), 4);
	second = unref(second);
	ck_assert_uint_eq(atomic_load(&kept->state->failures), 4);
	ck_assert_ptr_null(endpoint_unref(kept));
	ck_assert_ptr_null(endpoint_unref(NULL));
	problems_free(&p);
}
END_TEST

START_TEST(the_revision_is_of_names_and_bytes_or_the_callers)
{
	const struct manifest_file a[] = { { "/x/a.yaml", "", 0 }, { "/x/b.yaml", "# 1", 3 } };
	const struct manifest_file b[] = { { "/other/a.yaml", "", 0 }, { "/other/b.yaml", "# 1", 3 } };
	const struct manifest_file c[] = { { "/x/a.yaml", "# 1", 3 }, { "/x/b.yaml", "", 0 } };
	struct snapshot_input in = { .files = a, .n_files = 2 };
	struct snapshot *s[4] = { NULL };
	struct host_config *host = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(host_config_parse(&host, "t", "identity: {default: ns/shop/sa/web}", 35, &p), TULLE_OK);
	in.host = host;
	ck_assert_int_eq(snapshot_load(&s[0], &in, &p), TULLE_OK);
	in.files = b;
	ck_assert_int_eq(snapshot_load(&s[1], &in, &p), TULLE_OK);
	in.files = c;
	ck_assert_int_eq(snapshot_load(&s[2], &in, &p), TULLE_OK);
	in.revision = "generation-12";
	ck_assert_int_eq(snapshot_load(&s[3], &in, &p), TULLE_OK);
	host_config_free(host);
	ck_assert_str_eq(s[0]->revision, s[1]->revision);
	ck_assert_str_ne(s[0]->revision, s[2]->revision);
	ck_assert_str_eq(s[3]->revision, "generation-12");
	ck_assert_str_eq(s[0]->workloads[0].identity, "spiffe://mesh.example/ns/shop/sa/web"); /* outlives the host config */
	for (int i = 0; i < 4; i++)
		snapshot_unref(s[i]);
	problems_free(&p);
}
END_TEST

START_TEST(a_mesh_with_many_endpoints_is_found_again)
{
	static char text[1 << 20];
	struct snapshot *s = NULL;
	struct problems p;
	char at[64];
	size_t len;

	problems_init(&p);
	len = (size_t)sprintf(text, SERVICE("big", "a", "clusterIP: 10.96.0.1, selector: {a: b}, ports: [{port: 7}]"));
	for (int i = 0; i < 3000; i++)
		len += (size_t)sprintf(text + len, WORKLOAD("w%d", "a", "address: 10.1.%d.%d, labels: {a: b}, serviceAccount: s%d"), i,
		    i / 250, i % 250, i);
	ck_assert_int_eq(mesh_load(&s, text, &p), TULLE_OK);
	ck_assert_uint_eq(service(s, "10.96.0.1:7")->n_endpoints, 3000);
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(at, sizeof(at), "10.1.%d.%d:7", i / 250, i % 250);
		ck_assert_ptr_eq(endpoint(s, at), service(s, "10.96.0.1:7")->endpoints[i]);
	}
	problems_free(&p);
	s = unref(s);
}
END_TEST

START_TEST(too_many_objects_are_refused)
{
	static char text[YAML_MAX_BYTES];
	struct snapshot *s = NULL;
	struct problems p;
	size_t len = 0;

	problems_init(&p);
	len = (size_t)sprintf(text, "apiVersion: v1\nkind: List\nitems:\n");
	for (int i = 0; i < OBJECTS_MAX + 5; i++)
		len += (size_t)sprintf(text + len, "- {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p%d}}\n", i);
	ck_assert_int_eq(mesh_load(&s, text, &p), TULLE_EINVAL);
	ck_assert_uint_eq(p.errors, 1);
	ck_assert_str_eq(p.list[0].line, "mesh.yaml:20004:3: more than 20000 objects");
	problems_free(&p);
}
END_TEST

START_TEST(a_table_keeps_the_order_of_equal_hashes)
{
	struct arena arena = arena_new(1 << 20);
	static int values[200];
	struct table t = { 0 };
	size_t at;
	int *v, n = 0;

	at = table_start(&t, 5);
	ck_assert_ptr_null(table_next(&t, 5, &at));
	for (int i = 0; i < 200; i++) {
		values[i] = i;
		ck_assert(table_put(&t, &arena, i % 2 ? 15 : (uint64_t)i << 40, &values[i]));
	}
	for (at = table_start(&t, 15); (v = table_next(&t, 15, &at)) != NULL; n++)
		ck_assert_int_eq(*v, 2 * n + 1);
	ck_assert_int_eq(n, 100);
	arena_free(&arena);
}
END_TEST

UNIT_MAIN("snapshot", a_service_is_found_by_each_address_and_port,
    endpoints_are_those_the_selector_matches_in_its_namespace, target_ports_by_name_number_or_the_entrys_own_map,
    an_endpoint_can_be_dialled_directly, ours_are_found_by_local_address_and_port, a_workload_is_found_before_its_address_is_known_to_be_local, slices_give_endpoints_too,
    an_address_is_somebody_if_one_alone_is_there,
    a_headless_service_has_no_address_but_endpoints, udp_ports_are_left_out,
    labels_of_the_metadata_count_before_those_of_the_spec, a_list_stands_for_its_items,
    policies_apply_by_namespace_root_and_selector, mtls_of_workload_before_namespace_before_mesh,
    what_is_learnt_survives_a_reload, the_revision_is_of_names_and_bytes_or_the_callers,
    a_mesh_with_many_endpoints_is_found_again, too_many_objects_are_refused, a_table_keeps_the_order_of_equal_hashes)
