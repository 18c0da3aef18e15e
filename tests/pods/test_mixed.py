# SPDX-License-Identifier: GPL-3.0-or-later
"""Two machines with systemd and a pod in one mesh: strict mutual TLS, IPv4 and IPv6, under load while every daemon of each
is restarted and the machines' package is upgraded and downgraded.  Every failed request is counted and printed."""
import json
import subprocess

import manifests
import pytest
import tokens
from load import Load, Table
from machine import SYSTEM
from pod import wait_for

# What may fail of a step's requests, all loads together.  Steps that are not named: none.  As a pod's relay has no systemd that
# keeps its ports while it is started again, connections of these milliseconds are refused.
BOUNDS = {"relayd of the pod killed": 10}


class Mixed(manifests.Mesh):
    """The authority is a machine, web; client joins it by a token of its own, the pod by the one of its account."""

    number = 11

    def __init__(self, cluster):
        self.cluster, self.accounts = cluster, {"web": 11, "client": 12, "worker": 41}
        self.key = tokens.Key("cluster-1")
        self.web, self.client = (cluster.lab.machine(name, self.accounts[name]) for name in ("web", "client"))
        self.machines = (self.web, self.client)
        web, client = self.machines
        for m in self.machines:
            m.run("apt-get", "install", "-y", "/mnt/old.deb")
            m.run("systemctl", "start", "nginx")
        web.run("tulle", "init", "--trust-domain", "mesh.example", "--default", "shop/web")
        web.write("/etc/tulle/jwks.json", tokens.key_set(self.key))
        kubernetes = [{"issuer": tokens.ISSUER, "jwks": "/etc/tulle/jwks.json", "audience": "tulle"}]
        web.run("tee", "-a", "/etc/tulle/tulle.yaml", given="authority: " + json.dumps({"listen": ":15012", "kubernetes": kubernetes}) + "\n")
        web.run("systemctl", "restart", "tulle-certd")
        client.run("tulle", "join", web.out("tulle", "token", "--allow", "shop/client", "--address", web.address).split()[-1])
        web.write("/etc/tulle/mesh.d/shop.yaml", self.manifests()["shop.yaml"])
        web.run("tulle", "check")
        web.run("tulle", "reload")
        self.root = json.loads(web.out("tulle", "status", "--json", check=False))["certd"]["root"]
        self.pod = self.play("worker")

    def well(self):
        """Nothing failed.  A warning may be there: a member says for a while that its authority was not heard since its certd started."""
        for m in self.machines:
            try:
                wait_for(lambda m=m: "FAIL" not in m.out("tulle", "status", check=False), 30, f"a status without failure on {m.name}")
            except AssertionError:
                print(m.out("tulle", "status", check=False))
                raise
            assert m.active("tulle-rules") == "active"

    def in_the_pod(self):
        """The application's own namespaces and user."""
        return ["nsenter", "-t", str(self.pod.pid("app")), "-a", "-S", "1000", "-G", "1000", "--"]

    def loads(self):
        """Each of the three asks and is asked."""
        pairs = (("machine to machine", self.client.inside(), self.web, 80), ("machine to pod", self.web.inside(), self.pod, 8080),
                 ("pod to machine", self.in_the_pod(), self.client, 80))
        for name, prefix, to, port in pairs:
            for family, host in (("IPv4", to.address), ("IPv6", f"[{to.address6}]")):
                yield Load(f"{name}, {family}", prefix, f"http://{host}:{port}/", self.cluster.path / f"{name} {family}", pause=0.05)

    def daemons(self):
        """{name: pid on this machine} of the pod; the kernel keeps 15 bytes of a name."""
        sidecar = self.pod.pid("tulle")
        pids = open(f"/proc/{sidecar}/task/{sidecar}/children", encoding="ascii").read().split()
        return {open(f"/proc/{p}/comm", encoding="ascii").read().strip(): int(p) for p in pids}

    def kill_in_the_pod(self, name):
        name = f"tulle-{name}"[:15]
        before = self.daemons()[name]
        subprocess.run(["kill", "-KILL", str(before)], check=True)
        wait_for(lambda: self.daemons().get(name) not in (None, before), 10, f"another {name}")
        wait_for(self.pod.ready, 15, "readiness")


@pytest.fixture(scope="module")
def mesh(cluster, debs):
    (cluster.path / "debs").symlink_to(debs)  # what machines mount at /mnt
    mesh = Mixed(cluster)
    yield mesh
    for m in mesh.machines:
        print(m.name, m.journal()[-3000:])
    print(mesh.pod.logs("tulle")[-3000:])


def test_machines_and_a_pod_in_one_mesh_lose_nothing_while_daemons_come_and_go(mesh):
    mesh.well()
    members = {m["host"]: m["accounts"] for m in json.loads(mesh.web.out("tulle", "status", "--json", check=False))["certd"]["members"]}
    assert members["client"] == ["shop/client"] and members["worker"] == ["shop/worker"], members
    for who, port in ((mesh.web, 80), (mesh.client, 80), (mesh.pod, 8080)):  # who has no identity is refused by each
        for host in (who.address, f"[{who.address6}]"):
            url = f"http://{host}:{port}/"
            assert subprocess.run(mesh.cluster.lab.enter("curl", "-gs", "-m", "3", url), env=SYSTEM, check=False,
                                  capture_output=True).returncode != 0, url
    loads = list(mesh.loads())
    table = Table(*loads)
    try:
        wait_for(lambda: all(any(r.status == 0 for r in load.requests()) for load in loads), 30, "traffic")
        with table.step("nothing"):
            pass
        for daemon in ("certd", "telemetryd", "relayd"):
            for m in mesh.machines:
                with table.step(f"{daemon} of {m.name} restarted"):
                    m.run("systemctl", "restart", f"tulle-{daemon}")
            with table.step(f"{daemon} of the pod killed"):
                mesh.kill_in_the_pod(daemon)
        for m in mesh.machines:
            with table.step(f"reload of {m.name}"):
                m.run("tulle", "reload")
        for which, verb in (("new.deb", "upgrade"), ("old.deb", "downgrade")):
            for m in mesh.machines:
                with table.step(f"{verb} of {m.name}"):
                    m.run("apt-get", "install", "-y", "--allow-downgrades", f"/mnt/{which}")
            mesh.well()
    finally:
        for load in loads:
            load.stop()
        table.show()
    assert all(good > 0 for _, _, _, good, _ in table.rows())
    failed = {}
    for step, _, bad in table.failed():
        failed[step] = failed.get(step, 0) + len(bad)
    print(f"failed requests by step: {failed or 'none'}")
    assert {step: n for step, n in failed.items() if n > BOUNDS.get(step, 0)} == {}
