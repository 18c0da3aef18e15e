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
