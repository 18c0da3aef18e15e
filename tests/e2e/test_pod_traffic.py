# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic between pods: who they are on the wire is what their tokens say, over rotations of token, certificate and key."""
import json
import os
import time

import mesh
import netns
import pytest
import tokens

KEYS = {}


def key(n):
    return KEYS.setdefault(n, tokens.Key(f"key-{n}"))


def write(host, name, text):
    """As kubelet writes what it projects: in one step."""
    path = os.path.join(host.work, name)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path + ".new", 0o644)
    os.chmod(host.work, 0o755)
    os.rename(path + ".new", path)
    return path


@pytest.fixture()
def two():
    """Host a: the authority; b, c: pods of accounts shop/web and shop/db, that have joined."""
    with mesh.Mesh(netns.unique("pt"), ("a", "b", "c")) as m:
        a = m["a"]
        jwks = write(a, "jwks.json", tokens.key_set(key(1)))
        a.configure(identity={"ttl": "20s"}, authority={"kubernetes": [{"issuer": tokens.ISSUER, "jwks": jwks, "ttl": "10s"}]})
        a.start("certd").wait_for("ready", 20)
        root = json.loads(a.tulle("status", "--json", check=False).stdout)["certd"]["root"]
        for h, account in ((m["b"], "web"), (m["c"], "db")):
            put_token(h, account)
            h.configure(identity={"source": "fleet", "ttl": "20s", "default": "only", "join": {
                "address": f"{a.ip}:15012", "root": root, "tokenFile": os.path.join(h.work, "token")}})
            h.start("certd")
            h.start_relay()
        m.manifest("db.yaml", entry(m["c"]))
        for h in (m["b"], m["c"]):
            h.reload()
        m["c"].nginx()
        yield m


def put_token(host, account, n=1, **changes):
    write(host, "token", tokens.token(key(n), account=account, pod=f"{account}-1", uid=f"uid-{account}", **changes))


def test_pods_without_a_certd_talk_by_the_sockets_that_their_node_serves():
    with mesh.Mesh(netns.unique("ps"), ("a", "b", "c")) as m:
        a, b, c = m["a"], m["b"], m["c"]
        a.configure(identity={"ttl": "20s"})
        a.identities([{"serviceAccount": f"shop/{n}", "match": {"socket": n}} for n in ("web", "db")])
        a.start("certd").wait_for("ready", 20)
        m.manifest("db.yaml", entry(c))
        c.manifest("policy.yaml", policy("web"))
        for h, name, default in ((b, "web", {}), (c, "db", {"default": "only"})):
            folder = os.path.join(a.root, "run/tulle/identity/pods", name)
            h.configure(identity={"source": "spiffe", "socket": f"unix://{h.root}/run/tulle/node/workload.sock", **default})
            mount = os.path.join(h.root, "run/tulle/node")
            os.makedirs(mount)
            relayd = h.start("relayd", wrap=["unshare", "--mount", "sh", "-c", f'mount --bind -o ro {folder} {mount} && exec "$@"', "sh"])
            relayd.wait_for("ready", 20)
            h.rules("apply")
        c.nginx()
        url = f"http://{c.ip}:8080/"
        assert "hello from c" in b.curl(url).stdout
        # certd makes the socket anew in the same folder, and the certificates go on turning over.
        a.daemons["certd"].stop()
        a.start("certd").wait_for("ready", 20)
        seen = len(b.daemons["relayd"].lines("identity in force"))
        netns.wait_for(lambda: len(b.daemons["relayd"].lines("identity in force")) >= seen + 2, 45)
        assert "hello from c" in b.curl(url).stdout
        c.manifest("policy.yaml", policy("other"))
        c.reload()
        assert b.curl(url, check=False).returncode != 0


def entry(host):
    return f"""apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: db, namespace: shop}}
spec: {{address: {host.ip}, serviceAccount: db, labels: {{app: db}}}}
"""


def policy(account):
    return f"""apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: db, namespace: shop}}
spec: {{action: ALLOW, rules: [{{from: [{{source: {{principals: ["{mesh.DOMAIN}/ns/shop/sa/{account}"]}}}}]}}]}}
"""


def test_pods_talk_as_their_accounts_and_the_policies_of_their_namespace_hold(two):
    b, c = two["b"], two["c"]
    url = f"http://{c.ip}:8080/"
    c.manifest("policy.yaml", policy("web"))
    c.reload()
    assert "hello from c" in b.curl(url).stdout
    c.manifest("policy.yaml", policy("other"))
    c.reload()
    assert b.curl(url, check=False).returncode != 0
    # A policy of another namespace is not this pod's.
    c.manifest("policy.yaml", policy("other").replace("namespace: shop", "namespace: elsewhere"))
    c.reload()
    assert "hello from c" in b.curl(url).stdout


def test_tokens_and_keys_rotate_under_traffic_and_pods_that_go_are_forgotten(two):
    a, b, c = two["a"], two["b"], two["c"]
    url = f"http://{c.ip}:8080/"
    members = lambda: json.loads(a.tulle("status", "--json", check=False).stdout)["certd"]["members"]
    first = {m["host"]: m["serial"] for m in members()}
    assert sorted(first) == ["db-1", "web-1"]
    write(a, "jwks.json", tokens.key_set(key(1), key(2)))
    for h, account in ((b, "web"), (c, "db")):
        put_token(h, account, n=2)
    write(a, "jwks.json", tokens.key_set(key(2)))  # the old key is gone: renewals show the new token
    until = time.monotonic() + 25
    while time.monotonic() < until:
        assert "hello from c" in b.curl(url).stdout
        time.sleep(0.2)
    now = {m["host"]: m for m in members()}
    assert all(now[h]["serial"] != first[h] and now[h]["remaining"] > 0 and now[h]["rejoins"] == 0 for h in first), now
    # The cluster ends pod c: its token is not renewed any more, then it is gone.
    put_token(c, "db", n=1)
    netns.wait_for(lambda: c.daemons["certd"].lines("the node's certificate was not renewed"), 20)
    assert "key-1" in c.daemons["certd"].lines("the node's certificate was not renewed")[0]["reason"]
    c.daemons["certd"].stop()
    netns.wait_for(lambda: [m["host"] for m in members()] == ["web-1"], 45)
