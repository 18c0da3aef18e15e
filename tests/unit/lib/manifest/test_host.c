/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/host.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "unit.h"

static struct host_config *
good(const char *text)
{
	struct host_config *c = NULL;
	struct problems p;
	enum tulle_err e;

	problems_init(&p);
	e = host_config_parse(&c, "tulle.yaml", text, strlen(text), &p);
	ck_assert_msg(p.n == 0, "%s", p.n > 0 ? p.list[0].line : "");
	ck_assert_int_eq(e, TULLE_OK);
	problems_free(&p);
	return c;
}

static void
refused(const char *text, const char *line)
{
	struct host_config *c = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(host_config_parse(&c, "tulle.yaml", text, strlen(text), &p), TULLE_EINVAL);
	ck_assert_ptr_null(c);
	ck_assert_uint_ge(p.n, 1);
	ck_assert_str_eq(p.list[0].line, line);
	problems_free(&p);
}

#define PIN "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

START_TEST(an_empty_file_works)
{
	static const char *const empty[] = { "", "# nothing\n", "---\n", "{}" };

	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		struct host_config *c = good(empty[i]);

		ck_assert_str_eq(c->trust_domain, "mesh.example");
		ck_assert_int_eq(c->identity.source, IDENTITY_EMBEDDED);
		ck_assert_uint_eq(c->identity.ttl_ms, 24 * 3600 * 1000);
		ck_assert_ptr_null(c->identity.default_name);
		ck_assert_str_eq(c->identity.default_namespace, "default");
		ck_assert_ptr_null(c->identity.default_account);
		ck_assert(c->capture.outbound && c->capture.inbound && !c->capture.fail_closed);
		ck_assert_uint_eq(c->capture.exclude.ports.n, 0);
		ck_assert_int_eq(c->outbound_policy, OUTBOUND_ALLOW_ANY);
		ck_assert_uint_eq(c->relay.workers, 1);
		ck_assert_uint_eq(c->relay.drain_ms, 30000);
		ck_assert_uint_eq(c->relay.termination_grace_ms, 45000);
		ck_assert_uint_eq(c->limits.connections, 8000);
		ck_assert_uint_eq(c->limits.memory, 256u << 20);
		ck_assert_uint_eq(c->telemetry.destinations.n, 0);
		ck_assert(c->telemetry.metrics.on);
		ck_assert_uint_eq(c->telemetry.metrics.at.port, 9464);
		ck_assert_uint_eq(c->telemetry.metrics.at.family, 0);
		ck_assert_uint_eq(c->telemetry.traces_ppm, 10000);
		ck_assert_int_eq(c->telemetry.access, ACCESS_ERRORS);
		ck_assert_str_eq(c->users.relayd, "tulle-relayd");
		ck_assert_str_eq(c->users.certd, "tulle-certd");
		ck_assert_str_eq(c->users.telemetryd, "tulle-telemetryd");
		ck_assert_uint_eq(c->ports.outbound, 15001);
		ck_assert_uint_eq(c->ports.inbound, 15006);
		ck_assert_uint_eq(c->ports.hbone, 15008);
		ck_assert_uint_eq(c->ports.authority, 15012);
		ck_assert_uint_eq(c->ports.health, 15021);
		ck_assert_uint_eq(c->authority.listen.at.port, 15012);
		ck_assert_int_eq(c->steering.backend, BACKEND_AUTO);
		ck_assert_int_eq(c->steering.ipv6, IPV6_ON);
		ck_assert_int_eq(c->log_level, LOG_LVL_INFO);
		host_config_free(c);
	}
}
END_TEST

START_TEST(inbound_ports_are_a_list_or_all)
{
	struct host_config *c = good("capture: {inboundPorts: all}\n");

	ck_assert(c->capture.inbound_ports.all && c->capture.inbound_ports.n == 0);
	host_config_free(c);
	c = good("capture: {inboundPorts: [80, 443]}\n");
	ck_assert(!c->capture.inbound_ports.all && c->capture.inbound_ports.n == 2);
	host_config_free(c);
	c = good("capture: {inboundPorts: []}\n");
	ck_assert(!c->capture.inbound_ports.all && c->capture.inbound_ports.n == 0);
	host_config_free(c);
}
END_TEST

START_TEST(every_field_is_read)
{
	struct host_config *c = good("trustDomain: corp.example\n"
	                             "identity: {source: fleet, ttl: 10s, default: ns/shop/sa/web}\n"
	                             "capture: {outbound: false, inbound: false, failClosed: true,\n"
	                             "  exclude: {ports: [22, 53], cidrs: [10.0.0.0/8, fd00::/8], uids: [0, 1000]}}\n"
	                             "outboundTrafficPolicy: REGISTRY_ONLY\n"
	                             "relay: {workers: 4, drain: 1m, terminationGrace: 1m30s}\n"
	                             "limits: {connections: 100, memory: 64MiB}\n"
	                             "telemetry: {destinations: [{otlp: 'http://127.0.0.1:4318'}, {otlp: 'https://c.example/x'}],\n"
	                             "  metrics: '[::1]:9000', traces: 0.25%, access: all}\n"
	                             "users: {relayd: 7001, certd: '7002', telemetryd: nobody}\n"
	                             "ports: {outbound: 1, inbound: 2, hbone: 3, authority: 4, health: 5}\n"
	                             "steering: {backend: legacy, ipv6: reject}\n"
	                             "logLevel: debug\n");

	ck_assert_str_eq(c->trust_domain, "corp.example");
	ck_assert_int_eq(c->identity.source, IDENTITY_FLEET);
	ck_assert_uint_eq(c->identity.ttl_ms, 10000);
	ck_assert_str_eq(c->identity.default_name, "ns/shop/sa/web");
	ck_assert_str_eq(c->identity.default_namespace, "shop");
	ck_assert_str_eq(c->identity.default_account, "web");
	ck_assert(!c->capture.outbound && !c->capture.inbound && c->capture.fail_closed);
	ck_assert_uint_eq(c->capture.exclude.ports.n, 2);
	ck_assert_uint_eq(c->capture.exclude.ports.items[1], 53);
	ck_assert_uint_eq(c->capture.exclude.cidrs.n, 2);
	ck_assert_uint_eq(c->capture.exclude.cidrs.items[0].bits, 8);
	ck_assert_uint_eq(c->capture.exclude.uids.n, 2);
	ck_assert_uint_eq(c->capture.exclude.uids.items[0], 0);
	ck_assert_int_eq(c->outbound_policy, OUTBOUND_REGISTRY_ONLY);
	ck_assert_uint_eq(c->relay.workers, 4);
	ck_assert_uint_eq(c->relay.termination_grace_ms, 90000);
	ck_assert_uint_eq(c->limits.memory, 64u << 20);
	ck_assert_uint_eq(c->telemetry.destinations.n, 2);
	ck_assert_str_eq(c->telemetry.destinations.items[1].otlp, "https://c.example/x");
	ck_assert_uint_eq(c->telemetry.metrics.at.port, 9000);
	ck_assert_uint_eq(c->telemetry.metrics.at.family, AF_INET6);
	ck_assert_uint_eq(c->telemetry.traces_ppm, 2500);
	ck_assert_int_eq(c->telemetry.access, ACCESS_ALL);
	ck_assert_str_eq(c->users.relayd, "7001");
	ck_assert_str_eq(c->users.certd, "7002");
	ck_assert_uint_eq(c->ports.health, 5);
	ck_assert_uint_eq(c->authority.listen.at.port, 4);
	ck_assert_int_eq(c->steering.backend, BACKEND_LEGACY);
	ck_assert_int_eq(c->steering.ipv6, IPV6_REJECT);
	ck_assert_int_eq(c->log_level, LOG_LVL_DEBUG);
	host_config_free(c);
}
END_TEST

START_TEST(listening_can_be_off_or_everywhere)
{
	struct host_config *c = good("telemetry: {metrics: off}\nauthority: {listen: ':7000'}\n");

	ck_assert(!c->telemetry.metrics.on);
	ck_assert(c->authority.listen.on);
	ck_assert_uint_eq(c->authority.listen.at.port, 7000);
	ck_assert_uint_eq(c->ports.authority, 7000);
	host_config_free(c);
}
END_TEST

START_TEST(every_mistake_names_its_place_and_the_way_out)
{
	refused("trustDomian: x\n", "tulle.yaml:1:1: trustDomian: unknown field; did you mean \"trustDomain\"?");
	refused("trustDomain: Mesh.Example\n",
	    "tulle.yaml:1:14: trustDomain: is \"Mesh.Example\"; a trust domain (a-z, 0-9, ., - and _) is needed");
	refused("identity: {ttl: 9s}\n",
	    "tulle.yaml:1:17: identity.ttl: is \"9s\"; a duration of at least 10s, such as 24h is needed");
	refused("identity: {source: files}\n",
	    "tulle.yaml:1:20: identity.source: files is known, but not carried out: this version does not take identities "
	    "from files; use embedded, fleet or spiffe");
	refused("identity: {default: only}\n",
	    "tulle.yaml:1:12: identity.default: \"only\" is the one identity that an authority elsewhere allows: it needs "
	    "source: fleet or spiffe");
	refused("identity: {socket: \"unix:///run/x.sock\"}\n",
	    "tulle.yaml:1:12: identity.socket: is for source: spiffe; this host has another source");
	refused("identity: {source: spiffe, socket: /run/x.sock}\n",
	    "tulle.yaml:1:36: identity.socket: is \"/run/x.sock\"; a Unix socket, such as unix:///run/spire/agent.sock is "
	    "needed");
	refused("identity: {join: {address: \"10.0.0.1:15012\", root: \"" PIN "\", tokenFile: /t}}\n",
	    "tulle.yaml:1:12: identity.join: is for source: fleet; this host has another source");
	refused("identity: {source: fleet, join: {address: 10.0.0.1, root: \"" PIN "\", tokenFile: /t}}\n",
	    "tulle.yaml:1:43: identity.join.address: is \"10.0.0.1\"; an address and a port, such as 10.0.0.1:15012 or "
	    "authority.example:15012 is needed");
	refused("identity: {source: fleet, join: {address: \"a.b:1\", root: \"sha256:00\", tokenFile: /t}}\n",
	    "tulle.yaml:1:58: identity.join.root: is \"sha256:00\"; sha256: and 64 hexadecimal digits, as tulle status prints "
	    "it on the authority is needed");
	refused("identity: {source: fleet, join: {address: \"a.b:1\", root: \"" PIN "\"}}\n",
	    "tulle.yaml:1:33: identity.join.tokenFile: is missing; an absolute path, such as /etc/tulle/file is needed");
	refused("authority: {kubernetes: [{issuer: x, jwks: k.json}]}\n",
	    "tulle.yaml:1:44: authority.kubernetes[0].jwks: is \"k.json\"; an absolute path or a URL is needed");
	refused("authority: {kubernetes: [{issuer: x, jwks: /a}, {issuer: x, jwks: /b}]}\n",
	    "tulle.yaml:1:13: authority.kubernetes: has the issuer \"x\" twice");
	refused("authority: {kubernetes: [{issuer: x, jwks: /a, jwksCA: /b}]}\n",
	    "tulle.yaml:1:13: authority.kubernetes: jwksCA and jwksTokenFile are for a URL; jwks is a file");
	refused("authority: {kubernetes: [{issuer: x, jwks: \"http://a/k\", jwksTokenFile: /b}]}\n",
	    "tulle.yaml:1:13: authority.kubernetes: jwksTokenFile is for an https URL: a token is not sent in the clear");
	refused("identity: {source: fleets}\n", "tulle.yaml:1:20: identity.source: is \"fleets\"; did you mean \"fleet\"?");
	refused("identity: {default: shop/cart}\n",
	    "tulle.yaml:1:21: identity.default: is \"shop/cart\"; ns/NAMESPACE/sa/SERVICEACCOUNT, or only is needed");
	refused("identity: embedded\n",
	    "tulle.yaml:1:11: identity: is a text, \"embedded\"; a mapping is needed");
	refused("capture: {outbound: yes}\n", "tulle.yaml:1:21: capture.outbound: is \"yes\"; true or false is needed");
	refused("capture: {exclude: {ports: 22}}\n",
	    "tulle.yaml:1:28: capture.exclude.ports: is a number, \"22\"; a list is needed");
	refused("capture: {exclude: {ports: [22, 70000]}}\n",
	    "tulle.yaml:1:33: capture.exclude.ports[1]: is \"70000\"; a number from 1 to 65535 is needed");
	refused("capture: {exclude: {ports: [22, ]}}\nrelay: [1]\n", "tulle.yaml:2:8: relay: is a list; a mapping is needed");
	refused("capture: {exclude: {cidrs: [10.0.0.0/33]}}\n",
	    "tulle.yaml:1:29: capture.exclude.cidrs[0]: is \"10.0.0.0/33\"; an address block, such as 10.0.0.0/8 or "
	    "fd00::/8 is needed");
	refused("capture:\n  exclude:\n    uids:\n    -\n",
	    "tulle.yaml:4:6: capture.exclude.uids[0]: is empty; a number from 0 to 4294967294 is needed");
	refused("relay: {workers: 0}\n", "tulle.yaml:1:18: relay.workers: is \"0\"; a number from 1 to 64 is needed");
	refused("relay: {workers: 010}\n", "tulle.yaml:1:18: relay.workers: is \"010\"; a number from 1 to 64 is needed");
	refused("relay: {drain: 10}\n",
	    "tulle.yaml:1:16: relay.drain: is \"10\"; a duration, such as 30s or 1h30m is needed");
	refused("relay: {drain: 50s}\n",
	    "tulle.yaml:1:1: relay.drain: is longer than relay.terminationGrace; draining must end before the process "
	    "is killed");
	refused("limits: {memory: 1MiB}\n", "tulle.yaml:1:1: limits.memory: is 1048576 bytes; at least 16MiB are needed");
	refused("limits: {memory: lots}\n",
	    "tulle.yaml:1:18: limits.memory: is \"lots\"; a size, such as 256MiB is needed");
	refused("telemetry: {traces: 101%}\n",
	    "tulle.yaml:1:21: telemetry.traces: is \"101%\"; a percentage from 0% to 100%, such as 1% or 0.5% is needed");
	refused("telemetry: {metrics: 9464}\n",
	    "tulle.yaml:1:22: telemetry.metrics: is \"9464\"; ADDRESS:PORT, :PORT or off is needed");
	refused("telemetry: {access: some}\n",
	    "tulle.yaml:1:21: telemetry.access: is \"some\"; one of off, errors, all is needed");
	refused("telemetry: {destinations: [{}]}\n",
	    "tulle.yaml:1:28: telemetry.destinations[0].otlp: is missing; a URL, such as http://127.0.0.1:4318 is needed");
	refused("telemetry: {destinations: [{otlp: 'ftp://x'}]}\n",
	    "tulle.yaml:1:35: telemetry.destinations[0].otlp: is \"ftp://x\"; a URL, such as http://127.0.0.1:4318 is needed");
	refused("users: {relayd: -1}\n", "tulle.yaml:1:17: users.relayd: is \"-1\"; a user's name or number is needed");
	refused("ports: {hbone: 15001}\n",
	    "tulle.yaml:1:1: ports: outbound and hbone are both 15001; each needs a port of its own");
	refused("trustDomain: 5\n", "tulle.yaml:1:14: trustDomain: is a number; a text is needed: write \"5\"");
	refused("a: 1\n---\nb: 2\n",
	    "tulle.yaml:3:1: a second document; this file holds one, remove the --- before it");
	refused("[1]\n", "tulle.yaml:1:1: is a list; a mapping is needed");
}
END_TEST

START_TEST(percentages_are_exact)
{
	static const struct {
		const char *text;
		uint32_t ppm;
	} cases[] = { { "0%", 0 }, { "1%", 10000 }, { "0.0001%", 1 }, { "12.5%", 125000 }, { "100%", 1000000 } };
	static const char *const bad[] = { "1", "%", "1.%", ".5%", "0.00001%", "100.0001%", "1000%", "1%x", "-1%" };
	char text[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host_config *c;

		(void)snprintf(text, sizeof(text), "telemetry: {traces: %s}", cases[i].text);
		c = good(text);
		ck_assert_uint_eq(c->telemetry.traces_ppm, cases[i].ppm);
		host_config_free(c);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct host_config *c = NULL;
		struct problems p;

		problems_init(&p);
		(void)snprintf(text, sizeof(text), "telemetry: {traces: '%s'}", bad[i]);
		ck_assert_msg(host_config_parse(&c, "t", text, strlen(text), &p) == TULLE_EINVAL, "took %s", bad[i]);
		problems_free(&p);
	}
}
END_TEST

START_TEST(all_mistakes_of_a_file_are_found)
{
	const char *text = "relay: {workers: x}\nlimits: {connections: y}\nfoo: 1\n";
	struct host_config *c = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(host_config_parse(&c, "t", text, strlen(text), &p), TULLE_EINVAL);
	ck_assert_uint_eq(p.errors, 3);
	ck_assert_uint_eq(p.list[1].place.line, 2);
	ck_assert_uint_eq(p.list[1].place.column, 23);
	problems_free(&p);
}
END_TEST

START_TEST(a_port_said_twice_differently_is_warned_of)
{
	const char *text = "ports: {authority: 7000}\nauthority: {listen: ':7001'}\n";
	struct host_config *c = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_int_eq(host_config_parse(&c, "t", text, strlen(text), &p), TULLE_OK);
	ck_assert_uint_eq(p.warnings, 1);
	ck_assert_str_eq(p.list[0].line, "t:2:1: authority.listen: has port 7001, but ports.authority says 7000");
	problems_free(&p);
	host_config_free(c);
}
END_TEST

START_TEST(files_are_read_and_a_missing_one_is_empty)
{
	char path[] = "/tmp/tulle-test-host-XXXXXX";
	struct host_config *c = NULL;
	struct problems p;

	problems_init(&p);
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(host_config_read(&c, "/nonexistent/tulle.yaml", &p), TULLE_OK);
	host_config_free(c);
	c = NULL;
	ck_assert_int_eq(host_config_read(&c, path, &p), TULLE_EINVAL);
	ck_assert_ptr_null(c);
	ck_assert_ptr_nonnull(strstr(p.list[0].line, "cannot be read: "));
	ck_assert_int_eq(rmdir(path), 0);
	problems_free(&p);
	ck_assert_ptr_null(host_config_free(NULL));
}
END_TEST

START_TEST(users_are_numbers_or_names)
{
	uint32_t uid = 9, gid = 9;

	ck_assert_int_eq(host_user_id("7001", &uid, &gid), TULLE_OK);
	ck_assert_uint_eq(uid, 7001);
	ck_assert_uint_eq(gid, 7001);
	ck_assert_int_eq(host_user_id("root", &uid, &gid), TULLE_OK);
	ck_assert_uint_eq(uid, 0);
	ck_assert_int_eq(host_user_id("no-such-user-here", &uid, &gid), TULLE_ENOENT);
	ck_assert_uint_eq(uid, 0);
}
END_TEST

UNIT_MAIN("host", an_empty_file_works, inbound_ports_are_a_list_or_all, every_field_is_read, listening_can_be_off_or_everywhere,
    every_mistake_names_its_place_and_the_way_out, percentages_are_exact, all_mistakes_of_a_file_are_found,
    a_port_said_twice_differently_is_warned_of, files_are_read_and_a_missing_one_is_empty, users_are_numbers_or_names)
