# SPDX-License-Identifier: GPL-3.0-or-later
"""A roll-out in stages, as doc/rollout.md has it: from nothing to deny by default and all the way back, under load.

    client --> web --> api --> db          every arrow a curl that makes a new connection 20 times a second
       `---------------^

The client is a host that nobody thought of: the report finds it.  `pytest -s` prints the table of stages.
"""
import json
import os
import subprocess

import pytest

import mesh
import netns

RATE = 20  # connections a second and arrow
SAMPLE = 1  # seconds for which a stage is looked at
NAMES = ["web", "api", "db", "client"]
ARROWS = [("client", "web"), ("client", "api"), ("web", "api"), ("api", "db")]

STRICT = """apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec:
  mtls: {mode: STRICT}
"""


def entry(host, name):
    return f"""apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}, namespace: shop}}
spec: {{address: "{host.ip}", serviceAccount: {name}, labels: {{app: {name}}}}}
"""


def callers_of(name):
    return [f"{mesh.DOMAIN}/ns/shop/sa/{a}" for a, b in ARROWS if b == name]


def allow(name):
    """Only the callers in the picture; who has none (the client) is called by nobody."""
    rules = f"[{{from: [{{source: {{principals: {json.dumps(callers_of(name))}}}}}]}}]" if callers_of(name) else "[]"
    return f"""apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  action: ALLOW
  rules: {rules}
"""


def audit(name):
    """The same as a question: who else calls?"""
    return f"""apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: others-of-{name}, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  action: AUDIT
  rules: [{{from: [{{source: {{notPrincipals: {json.dumps(callers_of(name))}}}}}]}}]
"""


class Arrow:
    """One caller, one curl: every request a connection of its own, every one of them counted."""

    def __init__(self, caller, callee):
        self.name = f"{caller.name}->{callee.name}"
        self.daemon = caller.spawn(f"load-{callee.name}", [
            "curl", "-s", "--rate", f"{RATE}/s", "-H", "Connection: close", "--max-time", "10", "-o", "/dev/null", "-w",
            "%{stderr}%{http_code} %{exitcode}\\n", f"http://{callee.ip}:8080/?[1-1000000]"])

    def counted(self):
        lines = [line for line in self.daemon.log().splitlines(keepends=True) if line.endswith("\n")]
        return len(lines), [line.strip() for line in lines if line != "200 0\n"]


class Rollout:
    def __init__(self, m):
        self.m, self.meshed, self.manifests = m, [], {}
        self.arrows, self.table = [], []

    # ---- what an operator does

    def put(self, name, text):
        """One manifest on every host of the mesh, as the fleet or a git has it; None takes it away."""
        self.manifests[name] = text
        for host in self.meshed:
            self.bring(host)

    def bring(self, host):
        for name, text in self.manifests.items():
            path = os.path.join(host.root, f"etc/tulle/mesh.d/{name}.yaml")
            if text is not None:
                host.manifest(f"{name}.yaml", text)
            elif os.path.exists(path):
                os.unlink(path)
        host.tulle("check")
        host.reload()

    def mesh(self, host):
        """tulle init or tulle join, daemons, rules: with the manifests of the others, which do not name it yet."""
        first = self.m["web"]
        host.configure(identity={"source": "embedded" if host is first else "fleet", "ttl": "1h",
                                 "default": f"ns/shop/sa/{host.name}"})
        if host is first:
            host.tulle("init")
        else:
            host.tulle("init", "--member")
        certd = host.start("certd")
        if host is not first:
            netns.wait_for(lambda: os.path.exists(os.path.join(host.root, "run/tulle/certd.sock")), 10 * mesh.PATIENCE)
            host.tulle("join", self.m.token(f"shop/{host.name}"))
        certd.wait_for("ready", 20)
        host.start("relayd").wait_for("ready", 20)
        host.start_telemetryd()
        self.meshed.append(host)
        self.bring(host)
        host.rules("apply")

    def unmesh(self, host):
        """Its entry first, so that nobody dials its tunnel port; then rules, then daemons."""
        self.put(host.name, None)
        self.meshed.remove(host)
        host.rules("remove", "--drain=10")
        for name in ("relayd", "telemetryd", "certd"):
            if name != "certd" or host is not self.m["web"]:
                assert host.daemons[name].stop() == 0

    # ---- what is seen

    def report(self):
        """tulle traffic of every host of the mesh, over about the same second."""
        running = [(h, subprocess.Popen(["ip", "netns", "exec", h.ns.name, mesh.binary("tulle"), "traffic", "--root", h.root,
                                         "--for", str(SAMPLE), "--json"], stdout=subprocess.PIPE, text=True))
                   for h in self.meshed]
        return {h.name: json.loads(p.communicate(timeout=30)[0]) for h, p in running}

    def stage(self, name, share, plaintext=()):
        """Looks at one stage: nobody has lost a request, and the share is what it must be."""
        before = [a.counted()[0] for a in self.arrows]
        if self.meshed:
            said = self.report()
        else:
            said = {}
            mesh.sleep(SAMPLE)
        mutual = sum(r["inbound"]["mutual"] for r in said.values())
        plain = sum(r["inbound"]["plaintext"] for r in said.values())
        callers = {t["address"] for r in said.values() for t in r["talks"]
                   if t["direction"] == "inbound" and t["tls"] == "plaintext"}
        requests = sum(a.counted()[0] - b for a, b in zip(self.arrows, before))
        got = mutual / (mutual + plain) if mutual + plain else None
        self.table.append((name, len(self.meshed), requests, mutual, plain, got, sorted(callers)))
        for a in self.arrows:
            assert a.counted()[1] == [], f"{name}: {a.name} lost requests"
        assert requests > len(self.arrows) * SAMPLE * RATE / 4, f"{name}: the load does not run"
        assert callers == {self.m[p].ip for p in plaintext}, self.table
        if share is None:
            assert got is None
        else:
            # Hosts are asked at about the same moment, not the same: a few connections either way.
            assert got == pytest.approx(share, abs=0 if share in (0, 1) else 0.1), self.table
        return said

    def print(self):
        print(f"\n{'stage':44} hosts  requests  mutual  plaintext  share   plaintext callers")
        for name, hosts, requests, mutual, plain, share, callers in self.table:
            share = "-" if share is None else f"{share:.0%}"
            print(f"{name:44} {hosts:5}  {requests:8}  {mutual:6}  {plain:9}  {share:>5}   {' '.join(callers)}")
        total = [a.counted() for a in self.arrows]
        print(f"in all {sum(n for n, _ in total)} requests, {sum(len(bad) for _, bad in total)} failed")


def test_a_roll_out_in_stages_and_all_the_way_back_loses_nothing():
    with mesh.Mesh(f"ro{os.getpid()}", NAMES) as m:
        r = Rollout(m)
        web, api, db, client = (m[n] for n in NAMES)
        for name in NAMES[:3]:
            m[name].nginx(8080)
        r.arrows = [Arrow(m[a], m[b]) for a, b in ARROWS]
        try:
            roll_out(r, web, api, db, client)
            roll_back(r, web, api, db, client)
        finally:
            r.print()


def plaintext(host):
    """Whom STRICT would refuse at this host: the question that is asked before it."""
    done = host.tulle("traffic", "--plaintext", "--since", "3s", check=False)
    assert done.returncode in (0, 3), done.stderr
    return done


def roll_out(r, web, api, db, client):
    r.stage("nothing", None)
    said = web.tulle("traffic", check=False)
    assert said.returncode == 1 and "tulle-relayd is not running" in said.stderr

    r.mesh(web)
    r.stage("web, empty configuration", 0, ["client"])
    r.put("web", entry(web, "web"))
    r.mesh(api)
    r.stage("api, which no manifest names yet", 0, ["client", "web"])
    r.put("api", entry(api, "api"))
    r.stage("api named", 1 / 3, ["client"])
    r.mesh(db)
    r.put("db", entry(db, "db"))
    r.stage("db", 1 / 2, ["client"])

    told = web.as_app(web.public(mesh.binary("tulle")), "traffic", "--root", web.root, check=False)
    assert told.returncode == 1 and client.ip not in told.stdout + told.stderr, told  # addresses are for root alone
    done = plaintext(web)
    assert done.returncode == 3 and client.ip in done.stdout and "STRICT would refuse" in done.stdout, done.stdout
    r.mesh(client)
    r.put("client", entry(client, "client"))
    r.stage("client, the last plaintext caller", 1)
    mesh.sleep(3)
    for host in (web, api, db):
        assert plaintext(host).returncode == 0, plaintext(host).stdout

    r.put("strict", STRICT)
    assert r.m.bridge.run("curl", "-s", "-m", "2", f"http://{web.ip}:8080/", check=False).returncode != 0
    r.stage("STRICT", 1)

    r.put("audit", "---\n".join(audit(n) for n in NAMES[:3]))
    r.stage("AUDIT of all other callers", 1)
    assert db.curl(f"http://{web.ip}:8080/").stdout == "hello from web:8080\n"
    told = json.loads(web.tulle("traffic", "--json").stdout)["talks"]
    assert {t["source"]: t["audited"] for t in told if t["audited"]} == {f"{mesh.DOMAIN}/ns/shop/sa/db": 1}

    r.put("allow", "---\n".join(allow(n) for n in NAMES))
    assert db.curl(f"http://{web.ip}:8080/", check=False).returncode != 0
    said = r.stage("deny by default, three policies", 1)
    assert [r["inbound"]["denied"] for r in said.values()] == [0] * 4


def roll_back(r, web, api, db, client):
    r.put("allow", None)
    r.put("audit", None)
    assert db.curl(f"http://{web.ip}:8080/").stdout == "hello from web:8080\n"
    r.stage("back: no policies", 1)
    r.put("strict", None)
    r.stage("back: permissive", 1)
    r.unmesh(client)
    r.stage("back: without the client", 1 / 2, ["client"])
    r.unmesh(db)
    r.stage("back: without db", 1 / 3, ["client"])
    r.unmesh(api)
    r.stage("back: without api", 0, ["client"])
    r.unmesh(web)
    web.daemons["certd"].stop()
    r.stage("back: nothing", None)
    for host in r.m.hosts.values():
        assert "TULLE" not in host.run("sh", "-c", "iptables-nft-save; ip6tables-nft-save").stdout
