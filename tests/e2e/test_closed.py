# SPDX-License-Identifier: GPL-3.0-or-later
"""Something is missing: the default identity, an address, the folder of manifests. Nothing opens because of that."""
import os

import pytest

import mesh
import netns

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"


def principals(host, way):
    return {t["identity"] for w in host.status()["relayd"]["relay"]["workers"] for t in w[way]}


@pytest.mark.parametrize("default", [None, "ns/shop/sa/web"], ids=["not-set", "not-allowed"])
def test_without_its_default_identity_a_host_speaks_as_nobody(default):
    """Host b may be shop/cache, and is asked for it; but who has no entry of his own there does not become it."""
    with mesh.Mesh(f"n{os.getpid()}", ["a", "b"]) as m:
        a, b = m["a"], m["b"]
        a.configure(identity={"source": "embedded", "ttl": "1h", "default": "ns/shop/sa/db"})
        b.configure(identity={"source": "fleet", "ttl": "1h", **({"default": default} if default else {})})
        b.identities([{"serviceAccount": "shop/cache", "match": {"uid": "9999"}}])
        a.tulle("init")
        a.start("certd").wait_for("ready", 20)
        b.tulle("init", "--member")
        b.start("certd")
        netns.wait_for(lambda: os.path.exists(os.path.join(b.root, "run/tulle/certd.sock")), 10 * mesh.PATIENCE)
        b.tulle("join", m.token("shop/cache"))
        m.manifest("shop.yaml", "---\n".join([
            mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", a.ip, "db")]),
            mesh.service("cache", "shop", "10.96.0.2", 80, 8080, [("cache-1", b.ip, "cache")])]))
        for host in (a, b):
            host.nginx(8080)
            host.start_relay()
        netns.wait_for(lambda: b.status()["relayd"]["relay"]["identities"], 20 * mesh.PATIENCE)
        assert b.curl(URL, check=False).returncode != 0
        assert b.daemons["relayd"].wait_for("outbound connection failed")["reason"] == "no_identity"
        assert b.daemons["relayd"].wait_for("no identity for connections of this host: those into the mesh fail")
        assert not principals(a, "inbound") and not principals(b, "outbound")
        # who is asked for by name is still there
        assert a.curl("http://10.96.0.2/").stdout == "hello from b:8080\n"
        assert principals(a, "outbound") == {"spiffe://mesh.test/ns/shop/sa/cache"}
        told = [line for line in b.tulle("status", check=False).stdout.splitlines() if line.startswith("FAIL  identity")]
        assert len(told) == 1 and "(no_identity)" in told[0] and (default or "identity.default is not set") in told[0]


SECRET = """---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {0}, namespace: shop}}
spec: {{address: "{1}", labels: {{app: {0}}}, serviceAccount: db}}
"""
STRICT = """---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {0}, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: {0}}}}}, mtls: {{mode: STRICT}}}}
"""
DENY = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {0}, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: {0}}}}}, action: DENY, rules: [{{}}]}}
"""


@pytest.fixture(scope="module")
def pair():
    with mesh.Mesh(f"k{os.getpid()}", ["a", "b"]) as m:
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
        m.bridge.run("ip", "addr", "add", "10.77.0.99/24", "dev", "br0")  # an outsider, who speaks plaintext
        for host in m.hosts.values():
            host.start_relay()
        yield m


def outsider(pair, ip):
    """How curl of an outsider ends: 0 means that the page came."""
    return pair.bridge.run("curl", "-sS", "--max-time", "5", f"http://{ip}:8080/", check=False).returncode


@pytest.mark.parametrize("rule, ip", [(STRICT, "10.77.0.50"), (DENY, "10.77.0.51")], ids=["strict", "deny"])
def test_the_rules_for_an_address_hold_from_its_first_moment(pair, rule, ip):
    """A virtual address comes to host b: what is written for its workload holds before the relay looks at the addresses."""
    b, before = pair["b"], len(pair["b"].daemons["relayd"].lines("addresses of this host changed"))
    assert outsider(pair, b.ip) == 0
    b.manifest("vip.yaml", SECRET.format("vip", ip) + rule.format("vip"))
    b.reload()
    b.run("ip", "addr", "add", f"{ip}/24", "dev", "eth0")
    tries = [outsider(pair, ip) for _ in range(3)]
    early = len(b.daemons["relayd"].lines("addresses of this host changed")) == before
    netns.wait_for(lambda: len(b.daemons["relayd"].lines("addresses of this host changed")) > before, 15 * mesh.PATIENCE)
    tries.append(outsider(pair, ip))
    os.unlink(os.path.join(b.root, "etc/tulle/mesh.d/vip.yaml"))
    b.run("ip", "addr", "del", f"{ip}/24", "dev", "eth0")
    b.reload()
    assert early and 0 not in tries, tries
    assert outsider(pair, b.ip) == 0


def test_a_folder_of_manifests_that_vanishes_takes_no_policy_along(pair):
    """mesh.d is moved away: the policies stay in force at a reload and over a restart, and status says why."""
    b = pair["b"]
    folder = os.path.join(b.root, "etc/tulle/mesh.d")
    b.manifest("deny.yaml", DENY.format("db").replace("selector: {matchLabels: {app: db}}, ", ""))
    b.manifest("note.txt", "about this folder\n")
    assert "note.txt: is ignored" in b.reload().stderr
    assert pair["a"].curl(URL, check=False).returncode != 0
    os.rename(folder, folder + ".away")
    try:
        done = b.reload(check=False)
        assert done.returncode == 1 and "mesh.d is missing" in done.stderr
        assert pair["a"].curl(URL, check=False).returncode != 0
        b.daemons["relayd"].stop()
        b.start("relayd").wait_for("running on the last good configuration", 20)
        assert pair["a"].curl(URL, check=False).returncode != 0 and outsider(pair, b.ip) != 0
        assert [line for line in b.tulle("status", check=False).stdout.splitlines()
                if line.startswith("FAIL  manifests") and "mesh.d is missing" in line]
    finally:
        os.rename(folder + ".away", folder)
    for name in ("deny.yaml", "note.txt"):
        os.unlink(os.path.join(folder, name))
    assert b.reload().stderr == ""
    assert pair["a"].curl(URL).stdout == "hello from b:8080\n"
