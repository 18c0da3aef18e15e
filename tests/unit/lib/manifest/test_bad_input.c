/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What people and attackers get wrong in manifests, and the exact words they get for it. */
#include "mesh.h"
#include "unit.h"

#define SERVICE "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n"
#define ENTRY "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\nspec:\n"
#define POLICY "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec:\n"
#define PEER "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec:\n"
#define SLICE                                                                                                   \
	"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a, labels: " \
	"{kubernetes.io/service-name: a}}\n"

static void
error(const char *text, const char *line)
{
	mesh_says(text, line, false);
}

static void
warning(const char *text, const char *line)
{
	mesh_says(text, line, true);
}

START_TEST(a_typo_gets_the_right_word)
{
	error(ENTRY "  adress: 10.0.0.2\n  address: 10.0.0.2\n",
	    "mesh.yaml:5:3: spec.adress: unknown field; did you mean \"address\"?");
	error("apiVersion: v1\nkind: Servcie\nmetadata: {name: a}\n",
	    "mesh.yaml:2:7: kind: \"Servcie\" is not supported; did you mean \"Service\"?");
	error(POLICY "  action: ALOW\n", "mesh.yaml:5:11: spec.action: is \"ALOW\"; did you mean \"ALLOW\"?");
	error(PEER "  mtls: {mode: strict}\n", "mesh.yaml:5:16: spec.mtls.mode: is \"strict\"; did you mean \"STRICT\"?");
}
END_TEST

START_TEST(a_wrong_type_gets_what_is_needed)
{
	error(SERVICE "  clusterIPs: [10.96.0.1]\n  ports: [{port: http}]\n",
	    "mesh.yaml:6:18: spec.ports[0].port: is \"http\"; a number from 1 to 65535 is needed");
	error(SERVICE "  clusterIPs: [10.96.0.1]\n  ports: [{port: '80'}]\n",
	    "mesh.yaml:6:18: spec.ports[0].port: is the text \"80\"; a number from 1 to 65535 is needed, without quotes");
	error(SERVICE "  clusterIPs: [10.96.0.1]\n  ports: {port: 80}\n",
	    "mesh.yaml:6:10: spec.ports: is a mapping; a list is needed");
	error(SERVICE "  clusterIPs: 10.96.0.1\n  ports: [{port: 80}]\n",
	    "mesh.yaml:5:15: spec.clusterIPs: is a text, \"10.96.0.1\"; a list is needed");
	error(ENTRY "  address: 10.0.0.2\n  labels: [app]\n", "mesh.yaml:6:11: spec.labels: is a list; a mapping is needed");
	error(ENTRY "  address: 10.0.0.2\n  labels: {version: 1}\n",
	    "mesh.yaml:6:21: spec.labels.version: is a number; a text is needed: write \"1\"");
	error(ENTRY "  address: web.example\n",
	    "mesh.yaml:5:12: spec.address: is \"web.example\"; an IP address, such as 10.0.0.2 or fd00::2 is needed");
	error(ENTRY "  address: 0.0.0.0\n",
	    "mesh.yaml:4:1: spec.address: stands for every address; the address that peers reach is needed");
	error(ENTRY "  address: [10.0.0.2]\n",
	    "mesh.yaml:5:12: spec.address: is a list; an IP address, such as 10.0.0.2 or fd00::2 is needed");
	error(POLICY "  rules:\n  -\n", "mesh.yaml:6:4: spec.rules[0]: is empty; a mapping is needed");
}
END_TEST

START_TEST(an_unknown_field_gets_the_known_ones)
{
	error(POLICY "  rules: [{whom: []}]\n", "mesh.yaml:5:12: spec.rules[0].whom: unknown field; known here: from, to");
	error(ENTRY "  address: 10.0.0.2\n  hostname: x\n",
	    "mesh.yaml:6:3: spec.hostname: unknown field; known here: address, ports, labels, serviceAccount, weight, "
	    "locality");
}
END_TEST

START_TEST(a_missing_field_is_named)
{
	error(ENTRY "  weight: 1\n",
	    "mesh.yaml:5:3: spec.address: is missing; an IP address, such as 10.0.0.2 or fd00::2 is needed");
	error("apiVersion: v1\nkind: Service\nmetadata: {}\nspec: {clusterIPs: [10.96.0.1], ports: [{port: 80}]}\n",
	    "mesh.yaml:3:11: metadata.name: is missing; a DNS name (labels of a-z, 0-9 and -, joined by dots) is needed");
	error("kind: Service\nmetadata: {name: a}\n",
	    "mesh.yaml:1:1: apiVersion: is missing; every object says its apiVersion and kind");
	error("apiVersion: v1\nkind: [Service]\n", "mesh.yaml:2:7: kind: is not a text; a text is needed");
	error("- a\n",
	    "mesh.yaml:1:1: is not a mapping; an object with apiVersion, kind and metadata is needed");
	error(SERVICE "  ports: [{port: 80}]\n",
	    "mesh.yaml:5:3: spec.clusterIPs: is missing; nobody assigns one here: a list of one or two IP addresses of "
	    "your choosing, or [None], is needed");
	error("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\n",
	    "mesh.yaml:3:1: metadata.labels: the label kubernetes.io/service-name is missing; it names the Service");
}
END_TEST

START_TEST(an_unsupported_kind_or_version_gets_the_supported_ones)
{
	error("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
	    "mesh.yaml:2:7: kind: \"Deployment\" is not supported; known are Service, EndpointSlice, WorkloadEntry, "
	    "AuthorizationPolicy and PeerAuthentication");
	error("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\n",
	    "mesh.yaml:2:7: kind: HTTPRoute is known, but not carried out: it needs HTTP, which this version passes as "
	    "bytes");
	error("apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {name: a}\n",
	    "mesh.yaml:1:13: apiVersion: \"security.istio.io/v1beta1\" is not supported for PeerAuthentication; "
	    "\"security.istio.io/v1\" is needed");
	error("apiVersion: v1\nkind: List\nitems: {}\n", "mesh.yaml:3:1: items: a List has a list of objects here");
}
END_TEST

START_TEST(a_known_field_that_does_nothing_is_refused_with_its_reason)
{
	error(SERVICE "  type: ExternalName\n  clusterIPs: [10.96.0.1]\n  ports: [{port: 80}]\n",
	    "mesh.yaml:5:9: spec.type: ExternalName is known, but not carried out: Tulle answers no DNS; call the external "
	    "name itself");
	error(SERVICE "  externalIPs: []\n  clusterIPs: [10.96.0.1]\n  ports: [{port: 80}]\n",
	    "mesh.yaml:5:3: spec.externalIPs: known, but not carried out: Tulle opens no port of a node or load balancer");
	error(SERVICE "  clusterIPs: [10.96.0.1]\n  ports: [{port: 80, protocol: SCTP}]\n",
	    "mesh.yaml:6:32: spec.ports[0].protocol: SCTP is known, but not carried out: Tulle carries TCP alone");
	error(POLICY "  action: CUSTOM\n",
	    "mesh.yaml:5:11: spec.action: CUSTOM is known, but not carried out: this version asks no external authorizer");
	error(POLICY "  rules: [{to: [{operation: {methods: [GET]}}]}]\n",
	    "mesh.yaml:5:30: spec.rules[0].to[0].operation.methods: known, but not carried out: it needs HTTP, which this "
	    "version passes as bytes; remove it or use layer 4 fields");
	error(POLICY "  rules: [{from: [{source: {requestPrincipals: ['*']}}]}]\n",
	    "mesh.yaml:5:29: spec.rules[0].from[0].source.requestPrincipals: known, but not carried out: it needs HTTP, "
	    "which this version passes as bytes; remove it or use layer 4 fields");
	error("apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {tulle.mesh/inbound-http: 'true'}}\n"
	      "spec: {clusterIPs: [10.96.0.1], ports: [{port: 80}]}\n",
	    "mesh.yaml:3:35: metadata.annotations.tulle.mesh/inbound-http: known, but not carried out: it needs HTTP, "
	    "which this version passes as bytes");
	error("apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {tulle.mesh/wieght: '1', other/x: y}}\n"
	      "spec: {clusterIPs: [10.96.0.1], ports: [{port: 80}]}\n",
	    "mesh.yaml:3:35: metadata.annotations.tulle.mesh/wieght: unknown annotation; this version has none of its own");
}
END_TEST

START_TEST(hostile_names_are_refused_and_shown_escaped)
{
	error("apiVersion: v1\nkind: Service\nmetadata: {name: \"a\\nb\"}\nspec: {clusterIPs: [10.96.0.1], ports: [{port: 80}]}\n",
	    "mesh.yaml:3:18: metadata.name: is \"a\\u000ab\"; a text without control characters is needed");
	error("apiVersion: v1\nkind: Service\nmetadata: {name: 'a\"b'}\nspec: {clusterIPs: [10.96.0.1], ports: [{port: 80}]}\n",
	    "mesh.yaml:3:18: metadata.name: is \"a\\\"b\"; a DNS name (labels of a-z, 0-9 and -, joined by dots) is needed");
	error("apiVersion: v1\nkind: Service\nmetadata: {name: \"\\e[31mred\"}\nspec: {clusterIPs: [10.96.0.1], ports: [{port: 80}]}\n",
	    "mesh.yaml:3:18: metadata.name: is \"\\u001b[31mred\"; a text without control characters is needed");
	error("apiVersion: v1\nkind: Service\nmetadata: {name: '-j ACCEPT; rm -rf /'}\nspec: {clusterIPs: [10.96.0.1], ports: [{port: 80}]}\n",
	    "mesh.yaml:3:18: metadata.name: is \"-j ACCEPT; rm -rf /\"; a DNS name (labels of a-z, 0-9 and -, joined by "
	    "dots) is needed");
	error("apiVersion: v1\nkind: \"\\e]0;x\\a\"\nmetadata: {name: a}\n",
	    "mesh.yaml:2:7: kind: \"\\u001b]0;x\\u0007\" is not supported; known are Service, EndpointSlice, WorkloadEntry, "
	    "AuthorizationPolicy and PeerAuthentication");
	error(ENTRY "  address: 10.0.0.2\n  \"a\\nb\": 1\n",
	    "mesh.yaml:6:3: spec.a\\u000ab: unknown field; known here: address, ports, labels, serviceAccount, weight, "
	    "locality");
	error(ENTRY "  address: 10.0.0.2\n  labels: {\"a\\nb\": x}\n",
	    "mesh.yaml:6:12: spec.labels: has the key \"a\\u000ab\"; a label key, such as app or app.kubernetes.io/name is "
	    "needed");
	error(ENTRY "  address: 10.0.0.2\n  serviceAccount: ../../x\n",
	    "mesh.yaml:6:19: spec.serviceAccount: is \"../../x\"; a DNS name (labels of a-z, 0-9 and -, joined by dots) is "
	    "needed");
	error(POLICY "  rules: [{from: [{source: {principals: [\"a\\0b\"]}}]}]\n",
	    "mesh.yaml:5:42: a text with a NUL in it is not supported");
}
END_TEST

START_TEST(policy_values_are_judged)
{
	error(POLICY "  rules: [{from: [{source: {principals: ['spiffe://td/ns/a/sa/b']}}]}]\n",
	    "mesh.yaml:5:42: spec.rules[0].from[0].source.principals[0]: is \"spiffe://td/ns/a/sa/b\"; "
	    "TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT without \"spiffe://\", with a star at its beginning or end at most "
	    "is needed");
	error(POLICY "  rules: [{from: [{source: {namespaces: ['a*b']}}]}]\n",
	    "mesh.yaml:5:42: spec.rules[0].from[0].source.namespaces[0]: is \"a*b\"; a text, with a star at its beginning "
	    "or end at most is needed");
	error(POLICY "  rules: [{from: [{source: {namespaces: []}}]}]\n",
	    "mesh.yaml:5:41: spec.rules[0].from[0].source.namespaces: has 0 entries; 1 to 1000 are needed");
	error(POLICY "  rules: [{from: []}]\n", "mesh.yaml:5:18: spec.rules[0].from: has 0 entries; 1 to 1000 are needed");
	error(POLICY "  rules: [{from: [{}]}]\n",
	    "mesh.yaml:5:19: spec.rules[0].from[0].source: is missing; a mapping is needed");
	error(POLICY "  rules: [{from: [{source: {}}]}]\n",
	    "mesh.yaml:5:28: spec.rules[0].from[0].source: is empty; a source needs at least one field");
	error(POLICY "  rules: [{from: [{source: {serviceAccounts: ['a/*']}}]}]\n",
	    "mesh.yaml:5:47: spec.rules[0].from[0].source.serviceAccounts[0]: is \"a/*\"; NAMESPACE/SERVICEACCOUNT or "
	    "SERVICEACCOUNT, without a star is needed");
	error(POLICY "  rules: [{from: [{source: {serviceAccounts: [a/b], namespaces: [c]}}]}]\n",
	    "mesh.yaml:5:28: spec.rules[0].from[0].source: has serviceAccounts beside principals or namespaces; write one "
	    "or the other");
	error(POLICY "  rules: [{from: [{source: {ipBlocks: [10.0.0.0/40]}}]}]\n",
	    "mesh.yaml:5:40: spec.rules[0].from[0].source.ipBlocks[0]: is \"10.0.0.0/40\"; an address block, such as "
	    "10.0.0.0/8 or fd00::/8 is needed");
	error(POLICY "  rules: [{to: [{operation: {ports: ['http']}}]}]\n",
	    "mesh.yaml:5:38: spec.rules[0].to[0].operation.ports[0]: is \"http\"; a number from 1 to 65535 is needed");
	error(PEER "  portLevelMtls: {80: {mode: STRICT}}\n",
	    "mesh.yaml:4:1: spec.portLevelMtls: stands without a selector; ports belong to workloads, so "
	    "spec.selector.matchLabels is needed");
	error(PEER "  selector: {matchLabels: {a: b}}\n  portLevelMtls: {http: {mode: STRICT}}\n",
	    "mesh.yaml:6:19: spec.portLevelMtls: has the key \"http\"; a port's number from 1 to 65535 is needed");
	warning(POLICY "  action: DENY\n", "mesh.yaml:4:1: spec.rules: there are none, so this DENY never matches");
	warning(POLICY "  rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/b]}}]}]\n",
	    "mesh.yaml:5:28: principals: \"cluster.local\" is not the trust domain of this mesh; write mesh.example/...");
	warning(POLICY "  rules: [{from: [{source: {notPrincipals: [cluster.local/ns/a/sa/b]}}]}]\n",
	    "mesh.yaml:5:28: notPrincipals: \"cluster.local\" is not the trust domain of this mesh; write mesh.example/...");
	warning(POLICY "  rules: [{from: [{source: {trustDomains: [cluster.local]}}]}]\n",
	    "mesh.yaml:5:28: trustDomains: \"cluster.local\" is not the trust domain of this mesh; write mesh.example");
	warning(POLICY "  rules: [{from: [{source: {notTrustDomains: [cluster.local]}}]}]\n",
	    "mesh.yaml:5:28: notTrustDomains: \"cluster.local\" is not the trust domain of this mesh; write mesh.example");
	warning(POLICY "  rules: [{from: [{source: {namespaces: [cluster.local/ns/a]}}]}]\n",
	    "mesh.yaml:5:28: namespaces: no namespace has a slash; principals take whole names");
	warning(POLICY "  rules: [{from: [{source: {notNamespaces: [a/b*]}}]}]\n",
	    "mesh.yaml:5:28: notNamespaces: no namespace has a slash; principals take whole names");
	warning(POLICY "  selector: {matchLabels: {a: b}}\n",
	    "mesh.yaml:1:1: spec.selector: no WorkloadEntry of namespace default has these labels");
}
END_TEST

START_TEST(a_service_is_consistent)
{
	error(SERVICE "  clusterIPs: [None, 10.0.0.1]\n  ports: [{port: 80}]\n",
	    "mesh.yaml:5:3: spec.clusterIPs: has None beside an address; a headless service has None alone");
	error(SERVICE "  clusterIPs: [10.0.0.1, 10.0.0.2]\n  ports: [{port: 80}]\n",
	    "mesh.yaml:5:3: spec.clusterIPs: has two addresses of one family; one for IPv4 and one for IPv6 are needed");
	error(SERVICE "  clusterIP: 10.0.0.3\n  clusterIPs: [10.0.0.1]\n  ports: [{port: 80}]\n",
	    "mesh.yaml:5:3: spec.clusterIP: is not the first of clusterIPs; both say the same, write only clusterIPs");
	error(SERVICE "  clusterIPs: [10.0.0.1]\n  ports: [{port: 80, name: a}, {port: 81}]\n",
	    "mesh.yaml:6:32: spec.ports[1].name: is missing; with several ports each needs a name");
	error(SERVICE "  clusterIPs: [10.0.0.1]\n  ports: [{port: 80, name: a}, {port: 81, name: a}]\n",
	    "mesh.yaml:6:32: spec.ports[1].name: is \"a\" a second time; each needs its own");
	error(SERVICE "  clusterIPs: [10.0.0.1]\n  ports: [{port: 80, name: a}, {port: 80, name: b}]\n",
	    "mesh.yaml:6:32: spec.ports[1].port: is 80 a second time; each needs its own");
	warning(SERVICE "  clusterIPs: [10.0.0.1]\n  ports: [{port: 53, protocol: UDP}]\n",
	    "mesh.yaml:6:11: spec.ports[0].protocol: is UDP, which passes by: Tulle carries TCP alone");
	warning(SERVICE "  clusterIPs: [10.0.0.1]\n  ports: [{port: 80}]\n  selector: {app: x}\n",
	    "mesh.yaml:1:1: spec.selector: no WorkloadEntry of namespace default has these labels; Service a has no "
	    "endpoint");
	warning(SERVICE "  clusterIPs: [10.0.0.1]\n  ports: [{port: 80}]\n",
	    "mesh.yaml:1:1: Service default/a has no endpoint: no selector and no ready EndpointSlice");
	warning(SLICE "addressType: IPv4\n",
	    "mesh.yaml:1:1: metadata.labels: there is no Service default/a; nobody uses this EndpointSlice");
	error(SLICE "addressType: IPv4\nendpoints: [{addresses: ['fd00::2']}]\n",
	    "mesh.yaml:5:13: endpoints[0].addresses: has an address that is not IPv4, as addressType says");
	error(SLICE "addressType: FQDN\n",
	    "mesh.yaml:4:14: addressType: FQDN is known, but not carried out: Tulle resolves no names");
}
END_TEST

START_TEST(objects_do_not_collide)
{
	error(ENTRY "  address: 10.0.0.2\n---\n" ENTRY "  address: 10.0.0.3\n",
	    "mesh.yaml:7:1: metadata.name: there is a WorkloadEntry default/a already (mesh.yaml:1); names are unique for "
	    "a kind and namespace");
	error(SERVICE "  clusterIPs: [10.96.0.1]\n  ports: [{port: 80}]\n  selector: {a: b}\n---\n"
	              "apiVersion: v1\nkind: Service\nmetadata: {name: c, namespace: d}\n"
	              "spec: {clusterIPs: [10.96.0.1], ports: [{port: 80}], selector: {a: b}}\n---\n" ENTRY
	              "  address: 10.0.0.2\n  labels: {a: b}\n---\n"
	              "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a, namespace: d}\n"
	              "spec: {address: 10.0.0.3, labels: {a: b}}\n",
	    "mesh.yaml:12:41: port: 10.96.0.1:80 is that of Service default/a, too (mesh.yaml:1); every cluster address and "
	    "port has one service");
	error(ENTRY "  address: 10.0.0.2\n---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: b}\n"
	            "spec: {address: 10.0.0.2}\n",
	    "mesh.yaml:7:1: spec.address: 10.0.0.2 is that of WorkloadEntry default/a, too (mesh.yaml:1); give each its "
	    "spec.ports");
	error(ENTRY "  address: 10.0.0.2\n  ports: {x: 1, y: 2}\n---\napiVersion: networking.istio.io/v1\n"
	            "kind: WorkloadEntry\nmetadata: {name: b}\nspec: {address: 10.0.0.2, ports: {z: 2}}\n",
	    "mesh.yaml:8:1: spec.ports: 2 of 10.0.0.2 is a port of WorkloadEntry default/a, too (mesh.yaml:1); each port "
	    "has one owner");
	error(ENTRY "  address: 10.0.0.2\n  ports: {x: 1, y: 1}\n",
	    "mesh.yaml:4:1: spec.ports: x and y are both 1; each port has one name");
	error(PEER "  mtls: {mode: STRICT}\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
	           "metadata: {name: b}\n",
	    "mesh.yaml:7:1: PeerAuthentication default/a (mesh.yaml:1) is for the whole namespace, too; write one");
	error(SERVICE "  clusterIPs: [10.96.0.1]\n  ports: [{port: 80, targetPort: http}]\n  selector: {a: b}\n---\n" ENTRY
	              "  address: 10.0.0.2\n  labels: {a: b}\n---\n"
	              "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: b}\n"
	              "spec: {address: 10.0.0.3, labels: {a: b}, ports: {http: 8080}}\n",
	    "mesh.yaml:6:11: targetPort: \"http\" is not among the ports of WorkloadEntry default/a (mesh.yaml:9); name it "
	    "there or write its number");
	error(SERVICE "  clusterIPs: [10.96.0.1]\n  ports: [{port: 80}]\n  selector: {a: b}\n---\n" ENTRY
	              "  address: 10.0.0.2\n  labels: {a: b}\n  ports: {x: 1}\n---\n"
	              "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: b}\n"
	              "spec: {address: 10.0.0.2, ports: {y: 2}}\n",
	    "mesh.yaml:6:11: targetPort: 80 at 10.0.0.2 is not among the ports of WorkloadEntry default/a (mesh.yaml:9), "
	    "and others live at that address");
}
END_TEST

START_TEST(every_mistake_of_a_load_is_told)
{
	const char *text = SERVICE "  clusterIPs: [x]\n  ports: [{port: 0}]\n---\n" ENTRY "  adress: 10.0.0.2\n---\n" POLICY
	                           "  action: NO\n";
	struct snapshot *s = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(mesh_load(&s, text, &p), TULLE_EINVAL);
	ck_assert_ptr_null(s);
	ck_assert_uint_eq(p.errors, 5);
	problems_free(&p);
}
END_TEST

UNIT_MAIN("bad input", a_typo_gets_the_right_word, a_wrong_type_gets_what_is_needed,
    an_unknown_field_gets_the_known_ones, a_missing_field_is_named,
    an_unsupported_kind_or_version_gets_the_supported_ones,
    a_known_field_that_does_nothing_is_refused_with_its_reason, hostile_names_are_refused_and_shown_escaped,
    policy_values_are_judged, a_service_is_consistent, objects_do_not_collide, every_mistake_of_a_load_is_told)
