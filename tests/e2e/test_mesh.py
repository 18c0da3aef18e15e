# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts, one mesh: what the product is for, with the real daemons, rules, nginx and curl."""
import hashlib
import os
import subprocess
import threading
import time

import pytest

import mesh
import netns

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"
PAGE = "hello from b:8080\n"

STRICT = """apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all, namespace: shop}
spec:
  mtls: {mode: STRICT}
"""
NOBODY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: shop}
spec: {}
"""


@pytest.fixture(scope="module")
def pair():
    """web on host a calls db on host b; both with telemetry, identities that live long."""
    with mesh.Mesh(f"m{os.getpid()}", ["a", "b"]) as m:
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
        for host in m.hosts.values():
            host.start_relay()
            host.start_telemetryd()
        yield m


def enforce(host, name, text):
    """One more manifest on that host, in force; it goes with the test."""
    host.manifest(name, text)
    host.reload()


def tunnels(host, way):
    return [t for w in host.status()["relayd"]["relay"]["workers"] for t in w[way]]


def next_line(daemon, message, before):
    """The line of the log that comes after the first <before> of this message."""
    return daemon.wait_for(message, count=before + 1)


@pytest.fixture(autouse=True)
def only_db_manifest(request):
    """Each test starts with the same manifests in force."""
    yield
    if "pair" not in request.fixturenames:
        return
    m = request.getfixturevalue("pair")
    for host in m.hosts.values():
        folder = os.path.join(host.root, "etc/tulle/mesh.d")
        extra = [f for f in os.listdir(folder) if f != "db.yaml"]
        for f in extra:
            os.unlink(os.path.join(folder, f))
        if extra:
            host.reload()


@pytest.mark.san
def test_a_service_is_reached_through_a_tunnel_between_two_identities(pair):
    a, b = pair["a"], pair["b"]
    assert a.curl(URL).stdout == PAGE
    tunnel, = tunnels(a, "outbound")
    assert tunnel["identity"] == "spiffe://mesh.test/ns/shop/sa/db"
    assert tunnel["tls"] == "TLSv1.3"
    tunnel, = tunnels(b, "inbound")
    assert tunnel["identity"] == "spiffe://mesh.test/ns/shop/sa/web"


def test_an_endpoint_dialled_by_its_own_address_gets_the_tunnel_too(pair):
    """Where b takes no plaintext: there is no other way to the page."""
    enforce(pair["b"], "mtls.yaml", STRICT)
    assert pair["a"].curl(f"http://{pair['b'].ip}:8080/").stdout == PAGE


def test_the_wire_carries_tls_and_not_a_byte_of_the_page(pair):
    """tcpdump on b's link while pages are fetched: tunnels and what belongs to identities, records of TLS, never the text."""
    a, b = pair["a"], pair["b"]
    capture = os.path.join(b.work, "wire.pcap")
    dump = b.spawn("tcpdump", ["tcpdump", "--immediate-mode", "-i", "eth0", "-U", "-Z", "root", "-w", capture,
                                 "tcp or udp"], uid=0)
    netns.wait_for(lambda: "listening on" in dump.log())
    for _ in range(3):
        assert a.curl(URL).stdout == PAGE
    after = ["ncat", "-u", "--send-only", b.ip, "9"]  # a mark behind the pages, itself readable: the capture can see text
    a.as_app(*after, input="end of the pages\n")

    def captured():
        with open(capture, "rb") as f:
            return f.read()
    netns.wait_for(lambda: b"end of the pages" in captured())
    dump.stop()
    data = captured()
    assert b"hello from b" not in data and b"HTTP/1.1" not in data
    assert b"\x17\x03\x03" in data  # application data records
    packets = b.run("tcpdump", "-nn", "-r", capture, "tcp").stdout.splitlines()
    assert len(packets) > 6
    assert all(".15008" in p or ".15012" in p for p in packets), packets


@pytest.mark.san
def test_a_large_download_and_upload_arrive_whole(pair):
    a, b = pair["a"], pair["b"]
    got = a.as_app("sh", "-c", f"curl -sS --max-time 60 {URL}big | sha256sum", timeout=90)
    with open(os.path.join(b.work, "nginx-8080/big"), "rb") as f:
        assert got.stdout.split()[0] == hashlib.sha256(f.read()).hexdigest()
    # upwards: ncat on b counts what ncat on a sends, and its end arrives
    sink = os.path.join(b.work, "sink")
    b.spawn("sink", ["sh", "-c", f"ncat -l 7001 | sha256sum > {sink}"], uid=0)
    netns.wait_for_port(b.ns, 7001)
    sent = os.path.join(b.work, "nginx-8080/big")
    a.as_app("sh", "-c", f"ncat --send-only {b.ip} 7001 < {sent}", timeout=90)
    netns.wait_for(lambda: os.path.getsize(sink) > 0, 20 * mesh.PATIENCE)
    with open(sink, encoding="ascii") as f:
        assert f.read().split()[0] == got.stdout.split()[0]


def test_what_is_outside_the_mesh_passes_as_it_is():
    """A port of d that no manifest knows, over IPv4 and IPv6; with REGISTRY_ONLY it does not, and the reason is told."""
    with mesh.Mesh(f"o{os.getpid()}", ["c", "d"]) as m:
        m.start_identities({"c": "x/c", "d": "x/d"})
        m["d"].nginx(9000)
        m["c"].start_relay()
        assert m["c"].curl(f"http://{m['d'].ip}:9000/").stdout == "hello from d:9000\n"
        assert m["c"].curl(f"http://[{m['d'].ip6}]:9000/").stdout == "hello from d:9000\n"
        m["c"].configure(outboundTrafficPolicy="REGISTRY_ONLY")
        m["c"].reload()
        for there in (m["d"].ip, f"[{m['d'].ip6}]"):
            lines = len(m["c"].daemons["relayd"].lines("outbound connection denied"))
            assert m["c"].curl(f"http://{there}:9000/", check=False).returncode != 0
            line = next_line(m["c"].daemons["relayd"], "outbound connection denied", lines)
            assert line["reason"] == "not_in_registry" and line["destination"] == f"{there}:9000"


def test_policy_by_identity_and_port(pair):
    """Somebody else, or another port: 401 inside, a reset for the client; the right one is let in, without a restart."""
    a, b = pair["a"], pair["b"]
    policy = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: db-callers, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: db}}}}
  rules:
  - from: [{{source: {{principals: ["mesh.test/ns/shop/sa/{}"]}}}}]
    to: [{{operation: {{ports: ["{}"]}}}}]
"""
    denials = lambda: b.metric("tulle_authz_decision_count_total", decision="deny")
    for who, port in (("nobody", 8080), ("web", 8081)):
        enforce(b, "policy.yaml", policy.format(who, port))
        counted = denials()
        lines = [len(h.daemons["relayd"].lines(m)) for h, m in ((b, "inbound connection denied by policy"),
                                                                (a, "outbound connection denied"))]
        assert a.curl(URL, check=False).returncode != 0
        line = next_line(b.daemons["relayd"], "inbound connection denied by policy", lines[0])
        assert line["peer_id"] == "spiffe://mesh.test/ns/shop/sa/web"
        assert line["file"].endswith("policy.yaml") and line["line"] > 0
        assert next_line(a.daemons["relayd"], "outbound connection denied", lines[1])["reason"] == "tunnel_denied"
        netns.wait_for(lambda c=counted: denials() == c + 1)
    enforce(b, "policy.yaml", policy.format("web", 8080))
    assert a.curl(URL).stdout == PAGE


def test_a_live_connection_ends_when_policy_no_longer_allows_it(pair):
    a, b = pair["a"], pair["b"]
    slow = a.spawn("slow", ["curl", "-sS", "--limit-rate", "100k", "-o", "/dev/null", URL + "big"])
    netns.wait_for(lambda: any(w["flows"] for w in b.status()["relayd"]["relay"]["workers"]))
    cut = b.metric("tulle_authz_cut_count_total")
    enforce(b, "deny.yaml", NOBODY)
    netns.wait_for(lambda: not slow.alive(), 10 * mesh.PATIENCE)
    assert slow.stop() != 0
    netns.wait_for(lambda: b.metric("tulle_authz_cut_count_total") == cut + 1)


def test_plaintext_from_outside_is_passed_or_refused_as_peer_authentication_says(pair):
    """Host b is called by a stranger in plaintext: PERMISSIVE lets it in, STRICT resets, portLevelMtls is per port."""
    b = pair["b"]
    stranger = netns.Netns(f"s{os.getpid()}")
    try:
        netns.run("ip", "link", "add", "vs", "netns", pair.bridge.name, "type", "veth", "peer", "name", "eth0", "netns",
                  stranger.name)
        pair.bridge.run("ip", "link", "set", "vs", "master", "br0", "up")
        stranger.run("ip", "-batch", "-", input="addr add 10.77.0.99/24 dev eth0\nlink set eth0 up\n")
        ask = lambda port: stranger.run("curl", "-sS", "--max-time", "5", f"http://{b.ip}:{port}/", check=False)
        message = "plaintext refused: PeerAuthentication is STRICT"
        assert ask(8080).stdout == PAGE
        refused = lambda: b.metric("tulle_authz_plaintext_refused_count_total")
        counted, lines = refused(), len(b.daemons["relayd"].lines(message))
        enforce(b, "mtls.yaml", STRICT)
        assert ask(8080).returncode != 0
        next_line(b.daemons["relayd"], message, lines)
        netns.wait_for(lambda: refused() == counted + 1)
        assert pair["a"].curl(URL).stdout == PAGE  # the mesh goes on
        enforce(b, "mtls.yaml", STRICT + "  selector: {matchLabels: {app: db}}\n"
                                         '  portLevelMtls: {"8080": {mode: PERMISSIVE}}\n')
        assert ask(8080).stdout == PAGE
        with netns.Server(b.ns, [8083]):  # another port of the same workload stays closed
            assert ask(8083).returncode != 0
            netns.wait_for(lambda: refused() == counted + 2)
    finally:
        stranger.remove()


def test_a_server_that_speaks_first_needs_no_timer(pair):
    """ncat greets before the client has said anything; the greeting arrives at once."""
    a, b = pair["a"], pair["b"]
    b.spawn("greeter", ["ncat", "-lk", "7000", "-c", "echo 220 ready; cat"])
    netns.wait_for_port(b.ns, 7000)
    began = time.monotonic()
    with netns.Client(a.ns, b.ip, 7000, uid=mesh.APP_UID) as c:
        assert c.greeting == "220 ready"
        assert time.monotonic() - began < 1 * mesh.PATIENCE  # sniffing proxies wait for seconds
        assert c.echo("hello")


MISTAKES = {  # what stands in the file after the first line; where and what is said
    "typo": ("kind: Service\nmetadata: {name: x, namespace: shop}\nspec:\n  prots: [{port: 80}]\n",
             ':5:3: spec.prots: unknown field; did you mean "ports"?'),
    "unknown field": ("kind: Service\nmetadata: {name: x, namespace: shop}\nspec:\n  ports: [{port: 80}]\n  frobnicate: 1\n",
                      ":6:3: spec.frobnicate: unknown field; known here: clusterIP, clusterIPs, ports, selector"),
    "text for a number": ("kind: Service\nmetadata: {name: x, namespace: shop}\nspec:\n  ports: [{port: eighty}]\n",
                          ':5:18: spec.ports[0].port: is "eighty"; a number from 1 to 65535 is needed'),
    "text for a list": ("kind: Service\nmetadata: {name: x, namespace: shop}\nspec:\n  clusterIPs: 10.96.0.9\n"
                        "  ports: [{port: 80}]\n", ':5:15: spec.clusterIPs: is a text, "10.96.0.9"; a list is needed'),
    "unsupported kind": ("kind: ConfigMap\nmetadata: {name: x, namespace: shop}\n",
                         ':2:7: kind: "ConfigMap" is not supported; known are Service, EndpointSlice, WorkloadEntry'),
    "kind that needs HTTP": ("kind: HTTPRoute\nmetadata: {name: x, namespace: shop}\n",
                             ":2:7: kind: HTTPRoute is known, but not carried out: it needs HTTP"),
}


@pytest.mark.san
@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_in_a_manifest_is_told_to_who_reloads_and_the_old_set_stays(pair, what):
    """File, line, column, field and what would be right: for the caller of the reload, the status, and the log; counted."""
    a = pair["a"]
    text, told = MISTAKES[what]
    failures = lambda: a.metric("tulle_config_apply_count_total", outcome="failure")
    before = a.status()["relayd"]["relay"]["config"]
    counted, lines = failures(), len(a.daemons["relayd"].lines("configuration refused: the old one stays"))
    group = "gateway.networking.k8s.io/v1" if "HTTPRoute" in text else "v1"
    a.manifest("a-new-one.yaml", mesh.service("new", "shop", "10.96.0.8", 80, 8080, []))  # all or nothing: good, and not taken
    a.manifest("mistake.yaml", f"apiVersion: {group}\n{text}")
    refused = a.reload(check=False)
    assert refused.returncode == 1
    assert "/mesh.d/mistake.yaml" + told in refused.stderr
    assert a.curl(URL).stdout == PAGE
    status = a.status()["relayd"]
    assert "mistake.yaml" + told in status["last_error"] and status["ready"]
    assert status["relay"]["config"] == before
    assert "mistake.yaml" + told in next_line(a.daemons["relayd"], "configuration refused: the old one stays", lines)["problems"]
    netns.wait_for(lambda: failures() == counted + 1)


@pytest.mark.san
def test_the_relay_process_dies_and_new_connections_work_within_a_second(pair):
    a = pair["a"]
    before = a.status()["relayd"]["relay"]["pid"]
    accepts = lambda: a.status()["relayd"]["starts"]
    starts = accepts()
    os.kill(before, 9)
    began = time.monotonic()
    assert a.curl(URL).stdout == PAGE
    assert time.monotonic() - began < 1 * mesh.PATIENCE
    after = a.status()["relayd"]
    assert after["relay"]["pid"] != before and after["starts"] == starts + 1


def test_an_application_under_the_relays_uid_is_not_captured(pair):
    """It bypasses the mesh: documented, and the reason why that uid must be the relay's alone."""
    a, b = pair["a"], pair["b"]
    uid = str(mesh.UIDS["relayd"])
    captured = lambda: a.metric("tulle_listener_accept_count_total", listener="outbound")
    ask = lambda: a.run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", "curl", "-sS", "--max-time",
                        "5", f"http://{b.ip}:8080/", check=False)
    before = captured()
    assert ask().stdout == PAGE  # as plaintext, which b permits
    assert captured() == before
    enforce(b, "mtls.yaml", STRICT)
    assert ask().returncode != 0  # and so it does not get in where b does not
    assert a.curl(f"http://{b.ip}:8080/").stdout == PAGE
    assert captured() == before + 1


def test_a_port_with_nothing_behind_it_is_refused_at_once(pair):
    a, b = pair["a"], pair["b"]
    counted = b.metric("tulle_upstream_connect_failure_count_total", error_type="refused")
    lines = len(b.daemons["relayd"].lines("the application cannot be reached"))
    began = time.monotonic()
    assert a.curl(f"http://{b.ip}:9999/", check=False).returncode != 0
    assert time.monotonic() - began < 2 * mesh.PATIENCE
    assert next_line(b.daemons["relayd"], "the application cannot be reached", lines)["reason"] == "connect_refused"
    netns.wait_for(lambda: b.metric("tulle_upstream_connect_failure_count_total", error_type="refused") == counted + 1)


@pytest.mark.parametrize("port", [15001, 15006])
def test_a_connection_made_straight_to_a_capture_port_is_refused(pair, port):
    b = pair["b"]
    counted = b.metric("tulle_listener_direct_count_total")
    lines = len(b.daemons["relayd"].lines("connection made straight to a capture port"))
    refused = b.run("curl", "-sS", "--max-time", "3", f"http://127.0.0.1:{port}/", check=False)
    assert refused.returncode in (7, 52, 56)  # reset at once: curl may or may not have seen that it was connected
    next_line(b.daemons["relayd"], "connection made straight to a capture port", lines)
    netns.wait_for(lambda: b.metric("tulle_listener_direct_count_total") == counted + 1)


def test_many_at_once(pair):
    """h2load as an HTTP/1.1 client: 5,000 requests over 150 connections, more than one tunnel holds; none fails."""
    done = pair["a"].as_app("h2load", "--h1", "-n", "5000", "-c", "150", URL, timeout=60 * mesh.PATIENCE)
    assert "5000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout


@pytest.mark.san
def test_certificates_rotate_under_traffic_and_nothing_fails():
    """20 s lifetimes: two rotations while requests go on; serials differ, no request fails, tunnels stay."""
    with mesh.Mesh(f"r{os.getpid()}", ["a", "b"]) as m:
        m.start_identities({"a": "shop/web", "b": "shop/db"}, ttl="20s")
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
        for host in m.hosts.values():
            host.start_relay()
        assert m["a"].curl(URL).stdout == PAGE
        first, = tunnels(m["a"], "outbound")
        serials = {name: set() for name in m.hosts}
        failed, sent, stop = [], [0], threading.Event()

        def traffic():
            while not stop.is_set():
                done = m["a"].curl(URL, check=False)
                sent[0] += 1
                if done.stdout != PAGE:
                    failed.append(done.stderr)
                time.sleep(0.05)

        client = threading.Thread(target=traffic)
        client.start()
        try:
            def rotated_twice():
                for name, host in m.hosts.items():
                    serials[name].add(host.status()["relayd"]["relay"]["identities"][0]["serial"])
                return all(len(s) >= 3 for s in serials.values())
            netns.wait_for(rotated_twice, 60, every=0.5)
        finally:
            stop.set()
            client.join()
        assert not failed and sent[0] > 50
        last, = tunnels(m["a"], "outbound")
        assert last["serial"] == first["serial"] in serials["b"]  # the tunnel of the first certificates carried them all


def test_two_identities_at_one_address_are_chosen_by_sni():
    """Host b is shop/db on 8080 and shop/cache on 8081: each tunnel is made to the identity that the manifest expects."""
    with mesh.Mesh(f"i{os.getpid()}", ["a", "b"]) as m:
        a, b = m["a"], m["b"]
        for host, account in ((a, "ns/shop/sa/web"), (b, "ns/shop/sa/db")):
            host.configure(identity={"source": "embedded" if host is a else "fleet", "default": account, "ttl": "1h"})
        b.identities([{"serviceAccount": "shop/cache", "match": {"uid": "9999"}}])
        a.tulle("init")
        a.start("certd").wait_for("ready", 20)
        b.tulle("init", "--member")
        b.start("certd")
        netns.wait_for(lambda: os.path.exists(os.path.join(b.root, "run/tulle/certd.sock")))
        b.tulle("join", m.token("shop/db", "shop/cache"))
        b.daemons["certd"].wait_for("ready", 20)
        entry = """---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {0}-1, namespace: shop}}
spec: {{address: "{1}", ports: {{tcp: {2}}}, labels: {{app: {0}}}, serviceAccount: {0}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {0}, namespace: shop}}
spec: {{clusterIPs: ["{3}"], selector: {{app: {0}}}, ports: [{{name: tcp, port: 80, targetPort: {2}}}]}}
"""
        m.manifest("shop.yaml", entry.format("db", b.ip, 8080, CLUSTER_IP) + entry.format("cache", b.ip, 8081, "10.96.0.2"))
        # cache takes calls from web only, db from nobody: the policies must not be mixed up either
        m.manifest("policy.yaml", "".join(f"""---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {app}, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: {app}}}}}, rules: [{{from: [{{source: {{serviceAccounts: ["shop/{who}"]}}}}]}}]}}
""" for app, who in (("cache", "web"), ("db", "other"))))
        for port in (8080, 8081):
            b.nginx(port)
        for host in m.hosts.values():
            host.start_relay()
        assert a.curl("http://10.96.0.2/").stdout == "hello from b:8081\n"
        assert a.curl(URL, check=False).returncode != 0
        assert {t["identity"] for t in tunnels(a, "outbound")} == {"spiffe://mesh.test/ns/shop/sa/cache", "spiffe://mesh.test/ns/shop/sa/db"}
        assert len(b.status()["relayd"]["relay"]["identities"]) == 2


def answers(host, peer, folder):
    """Whom host <peer> answers as on 15008 to a client with <folder>'s certificate that sends no server name."""
    done = host.run("openssl", "s_client", "-noservername", "-connect", f"{peer}:15008", "-cert", f"{folder}/svid.pem",
                    "-key", f"{folder}/svid_key.pem", "-alpn", "h2", input="", check=False)
    names = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"], input=done.stdout, capture_output=True, text=True)
    assert "URI:" in names.stdout, done.stdout[-1000:] + done.stderr[-1000:]
    assert "ALPN protocol: h2" in done.stdout
    return names.stdout.split("URI:")[1].strip()


def test_without_sni_the_only_workload_at_the_address_answers_else_the_hosts_default():
    """As ztunnel and Envoy dial: over a reload from one workload at the address to two, and to none."""
    entry = """---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {0}-1, namespace: shop}}
spec: {{address: "{1}", ports: {{tcp: {2}}}, labels: {{app: {0}}}, serviceAccount: {0}}}
"""
    with mesh.Mesh(f"n{os.getpid()}", ["a", "b"]) as m:
        a, b = m["a"], m["b"]
        for host, account in ((a, "ns/shop/sa/web"), (b, "ns/shop/sa/host")):
            host.configure(identity={"source": "embedded" if host is a else "fleet", "default": account, "ttl": "1h"})
        b.identities([{"serviceAccount": f"shop/{who}", "match": {"uid": uid}} for who, uid in (("cart", "9999"), ("db", "9998"))])
        a.tulle("init")
        a.start("certd").wait_for("ready", 20)
        b.tulle("init", "--member")
        b.start("certd")
        netns.wait_for(lambda: os.path.exists(os.path.join(b.root, "run/tulle/certd.sock")))
        b.tulle("join", m.token("shop/host", "shop/cart", "shop/db"))
        b.daemons["certd"].wait_for("ready", 20)
        folder = os.path.join(a.work, "svid")
        os.mkdir(folder)
        os.chown(folder, mesh.UIDS["relayd"], mesh.UIDS["relayd"])
        a.run("setpriv", f"--reuid={mesh.UIDS['relayd']}", f"--regid={mesh.UIDS['relayd']}", "--clear-groups", "--",
              a.public(mesh.binary("tulle")), "svid", "--root", a.root, "--write", folder)
        cart, db = entry.format("cart", b.ip, 8080), entry.format("db", b.ip, 8081)
        b.manifest("shop.yaml", cart)
        b.start_relay(rules=False)
        netns.wait_for(lambda: len(b.status()["relayd"]["relay"]["identities"]) == 3)
        assert answers(a, b.ip, folder) == "spiffe://mesh.test/ns/shop/sa/cart"
        for text, who in ((cart + db, "host"), (db, "db"), (entry.format("far", "10.77.0.9", 8080), "host")):
            b.manifest("shop.yaml", text)
            b.reload()
            assert answers(a, b.ip, folder) == f"spiffe://mesh.test/ns/shop/sa/{who}"
        b.manifest("shop.yaml", cart)  # and of IPv6 the address is another
        b.reload()
        assert answers(a, f"[{b.ip6}]", folder) == "spiffe://mesh.test/ns/shop/sa/host"


def test_ipv6_all_the_way():
    """Service, endpoint and tunnel over IPv6."""
    with mesh.Mesh(f"v{os.getpid()}", ["a", "b"]) as m:
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", "fd96::1", 80, 8080, [("db-1", m["b"].ip6, "db")]))
        m["b"].nginx(8080)
        for host in m.hosts.values():
            host.start_relay()
        refused = m["a"].curl("http://[fd96::1]/", check=False)  # the kernel asks for a route before the rules see anything
        assert refused.returncode == 7, refused.stderr
        m["a"].run("ip", "-6", "route", "add", "fd96::/112", "dev", "eth0")  # a default route would do as well
        assert m["a"].curl("http://[fd96::1]/").stdout == PAGE
        tunnel, = tunnels(m["a"], "outbound")
        assert tunnel["peer"] == f"[{m['b'].ip6}]:15008" and tunnel["tls"] == "TLSv1.3"


def test_a_workload_calls_itself_by_its_service(pair):
    """On b, the service's address leads back to b: no tunnel, the same judgement, the page."""
    b = pair["b"]
    assert b.curl(URL).stdout == PAGE
    assert tunnels(b, "outbound") == []
    enforce(b, "deny.yaml", NOBODY)
    assert b.curl(URL, check=False).returncode != 0


@pytest.mark.san
def test_two_workers_share_the_load():
    """relay.workers: 2 on both hosts: both accept, policy and identity reach both, a reload under traffic loses nothing."""
    with mesh.Mesh(f"w{os.getpid()}", ["a", "b"]) as m:
        a, b = m["a"], m["b"]
        for host in m.hosts.values():
            host.configure(relay={"workers": 2})
        m.start_identities({"a": "shop/web", "b": "shop/db"}, ttl="20s")
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", b.ip, "db")]))
        b.nginx(8080)
        for host in m.hosts.values():
            host.start_relay()
        load = a.spawn("load", ["h2load", "--h1", "-n", "20000", "-c", "64", URL])
        while load.alive():
            for host in m.hosts.values():
                host.reload()
            time.sleep(0.05)
        assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in load.log(), load.log()
        workers = a.status()["relayd"]["relay"]["workers"]
        assert len(workers) == 2 and all(w["outbound"] for w in workers)


def test_without_a_trust_domain_in_the_files_the_relay_has_its_identitys():
    """A host of its own with an empty tulle.yaml: certd makes a trust domain up, and the relay expects peers of that."""
    with mesh.Mesh(f"t{os.getpid()}", ["a"]) as m:
        a = m["a"]
        a.write("etc/tulle/tulle.yaml", "users: {relayd: '7701', certd: '7702', telemetryd: '7703'}\n"
                                        "identity: {default: ns/shop/sa/web}\n")
        a.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", "10.77.0.77", "db")]))
        a.start("certd").wait_for("ready", 20)
        a.start_relay(rules=False)
        own = a.status()["relayd"]["relay"]["identities"][0]["id"]
        domain = own.split("/")[2]
        assert domain != "mesh.example" and own.endswith("/ns/shop/sa/web")
        a.rules("apply")
        a.curl(URL, check=False, seconds=3)
        line = a.daemons["relayd"].wait_for("outbound connection failed", 20)
        assert line["expected"] == f"spiffe://{domain}/ns/shop/sa/db"
