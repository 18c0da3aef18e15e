# SPDX-License-Identifier: GPL-3.0-or-later
"""Two machines with systemd, two commands each, and a mesh is there."""
import json
import re
import subprocess
import time

import pytest
from machine import wait_for

PAGE = "nothing to see here\n"


def manifests(web, client):
    return f"""apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: web, namespace: shop}}
spec: {{address: "{web.address}", serviceAccount: web, labels: {{app: web}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: web6, namespace: shop}}
spec: {{address: "{web.address6}", serviceAccount: web, labels: {{app: web}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: client, namespace: shop}}
spec: {{address: "{client.address}", serviceAccount: client}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: shop}}
spec: {{mtls: {{mode: STRICT}}}}
"""


class Mesh:
    def __init__(self, lab):
        self.lab = lab
        self.web, self.client = lab.machine("web", 11), lab.machine("client", 12)
        began = time.monotonic()
        for m in (self.web, self.client):
            m.run("apt-get", "install", "-y", "/mnt/old.deb")
        self.installed = {m: sorted(m.out("systemctl", "list-units", "--all", "--no-legend", "tulle*").split()) for m in (self.web,)}
        self.web.run("tulle", "init", "--trust-domain", "mesh.example", "--default", "shop/web")
        token = self.web.out("tulle", "token", "--allow", "shop/client", "--address", self.web.address).split()[-1]
        self.client.run("tulle", "join", token)
        self.seconds = time.monotonic() - began
        self.token = token
        # One manifest, on the authority: the other machine follows.
        self.web.write("/etc/tulle/mesh.d/shop.yaml", manifests(self.web, self.client))
        self.web.run("tulle", "check")
        self.web.run("tulle", "reload")
        self.web.write("/var/www/html/index.html", PAGE)
        self.web.run("systemctl", "start", "nginx")
        wait_for(lambda: self.client.get(self.url()) == "200", what="an answer")

    def url(self, six=False):
        return f"http://[{self.web.address6}]/" if six else f"http://{self.web.address}/"


@pytest.fixture(scope="module")
def mesh(lab):
    mesh = Mesh(lab)
    yield mesh
    print(mesh.web.journal("tulle-relayd")[-3000:])


@pytest.mark.quick
def test_nothing_starts_before_it_is_configured(mesh):
    assert mesh.installed[mesh.web] == []


@pytest.mark.quick
def test_two_commands_a_machine_make_a_mesh(mesh):
    assert mesh.seconds < 60, f"{mesh.seconds:.1f} s"
    assert mesh.client.get(mesh.url()) == "200"
    assert mesh.client.get(mesh.url(six=True)) == "200"
    status = json.loads(mesh.client.out("tulle", "status", "--json", check=False))
    assert any(w["outbound"] for w in status["relayd"]["relay"]["workers"]), status["relayd"]
    # The one without a relay in between is refused: it would be plaintext.
    outside = mesh.lab.enter("curl", "-s", "-o", "/dev/null", "-m", "3", mesh.url())
    assert subprocess.run(outside, check=False).returncode != 0
    print(f"two machines from nothing to a mesh: {mesh.seconds:.1f} s")


def manifests_in_force(m):
    """The number of the authority's generation, and the revision, that the relay of this machine has."""
    relayd = json.loads(m.out("tulle", "status", "--json", check=False))["relayd"]
    return relayd["manifests"]["number"], relayd["relay"]["config"]["revision"]


@pytest.mark.quick
def test_one_manifest_on_the_authority_reaches_the_other_machine(mesh):
    def same():
        web = json.loads(mesh.web.out("tulle", "status", "--json", check=False))["certd"]["manifests"]["published"]
        return manifests_in_force(mesh.client) == (web["number"], web["revision"])
    assert wait_for(same, what="the authority's manifests on the member")
    assert mesh.client.out("ls", "/etc/tulle/mesh.d").split() == []
    assert "source: authority" in mesh.client.out("cat", "/etc/tulle/tulle.yaml")
    before = manifests_in_force(mesh.client)
    mesh.web.write("/etc/tulle/mesh.d/more.yaml", "# one more file, a comment\n")
    try:
        mesh.web.run("tulle", "reload")
        began = time.monotonic()
        assert wait_for(lambda: manifests_in_force(mesh.client)[0] > before[0] and same(), what="the change")
        print(f"a change is in force on the other machine after {time.monotonic() - began:.1f} s")
    finally:
        mesh.web.run("rm", "/etc/tulle/mesh.d/more.yaml")
        mesh.web.run("tulle", "reload")
    assert wait_for(same, what="the file gone")
    assert mesh.client.get(mesh.url()) == "200"
    assert "the newest" in mesh.web.out("tulle", "member")


@pytest.mark.quick
def test_every_service_is_well_and_tight(mesh):
    for m in (mesh.web, mesh.client):
        wait_for(lambda m=m: m.run("tulle", "status", check=False).returncode == 0, what="a status without complaint")
        for unit in ("tulle.target", "tulle-certd", "tulle-relayd", "tulle-telemetryd", "tulle-rules"):
            assert m.active(unit) == "active", m.journal(f"{unit}*")
    for unit in ("tulle-certd", "tulle-relayd", "tulle-telemetryd"):
        figure = mesh.web.out("systemd-analyze", "security", "--no-pager", unit, check=False).splitlines()[-1]
        exposure = float(re.search(r": ([0-9.]+) ", figure).group(1))
        assert exposure <= 1.7, figure
        pid = mesh.web.out("systemctl", "show", "-p", "MainPID", "--value", unit).strip()
        facts = mesh.web.out("cat", f"/proc/{pid}/status")
        for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
            assert line in facts, (unit, line)


@pytest.mark.quick
def test_the_journal_has_fields(mesh):
    lines = [json.loads(line) for line in mesh.web.out("journalctl", "-u", "tulle-relayd", "-o", "json", "--no-pager").splitlines()]
    by_relay_process = [line for line in lines if line.get("MESSAGE") == "configuration in force"]
    assert by_relay_process and by_relay_process[-1]["TULLE_SERVICES"] == "0"


@pytest.mark.quick
def test_a_reload_of_a_bad_file_fails_where_it_was_asked_for(mesh):
    mesh.web.write("/etc/tulle/mesh.d/wrong.yaml", "apiVersion: v1\nkind: Servise\nmetadata: {name: a}\n")
    try:
        for command in (("systemctl", "reload", "tulle-relayd"), ("tulle", "reload", "relayd")):
            assert mesh.web.run(*command, check=False).returncode != 0
        assert mesh.client.get(mesh.url()) == "200"
    finally:
        mesh.web.run("rm", "/etc/tulle/mesh.d/wrong.yaml")
    mesh.web.run("systemctl", "reload", "tulle-relayd", "tulle-certd", "tulle-telemetryd", "tulle-rules")


@pytest.mark.quick
def test_a_reload_of_certd_leaves_the_relay_its_manifests(mesh):
    """systemd sets the mode of a unit's state folders anew whenever it runs something for it."""
    for _ in range(2):
        mesh.client.run("systemctl", "reload", "tulle-certd")
        assert mesh.client.out("stat", "-c", "%a", "/var/lib/tulle/mesh") == "755\n"
        mesh.client.run("systemctl", "reload", "tulle-relayd")
    assert mesh.client.get(mesh.url()) == "200"


LOAD = """end=$((SECONDS + {seconds})); good=0; bad=0
while [ $SECONDS -lt $end ]; do
  if curl -gs -o /dev/null -m 5 --fail {url}; then good=$((good + 1)); else bad=$((bad + 1)); fi
  sleep 0.01
done; echo $good $bad"""


def under_load(mesh, what, seconds=6):
    load = mesh.client.spawn("bash", "-c", LOAD.format(seconds=seconds, url=mesh.url()))
    time.sleep(1)
    what()
    good, bad = map(int, load.communicate(timeout=60)[0].split())
    return good, bad


@pytest.mark.quick
@pytest.mark.parametrize("unit", ["tulle-certd", "tulle-telemetryd", "tulle-relayd"])
@pytest.mark.parametrize("where", ["web", "client"])
def test_a_daemon_is_restarted_alone_and_no_request_fails(mesh, unit, where):
    m = getattr(mesh, where)
    good, bad = under_load(mesh, lambda: m.run("systemctl", "restart", unit))
    print(f"{unit} restarted on {where}: {good} requests, {bad} failed")
    assert good > 50 and bad == 0, m.journal(unit)[-2000:]
    assert m.active("tulle-rules") == "active"


@pytest.mark.parametrize("which", ["new.deb", "old.deb"])
def test_an_upgrade_and_a_downgrade_lose_no_request(mesh, which):
    for m in (mesh.web, mesh.client):
        good, bad = under_load(mesh, lambda m=m: m.run("apt-get", "install", "-y", "--allow-downgrades", f"/mnt/{which}"), 8)
        print(f"{which} on {m.name}: {good} requests, {bad} failed")
        assert good > 50 and bad == 0, m.journal()[-2000:]
    for m in (mesh.web, mesh.client):
        wait_for(lambda m=m: m.run("tulle", "status", check=False).returncode == 0, what="a status without complaint")


def test_a_relay_that_was_killed_comes_back(mesh):
    pid = mesh.client.out("systemctl", "show", "-p", "MainPID", "--value", "tulle-relayd").strip()
    good, bad = under_load(mesh, lambda: mesh.client.run("kill", "-KILL", pid))
    print(f"the parent killed: {good} requests, {bad} failed")
    assert good > 50 and bad <= 1  # the one that was under way


def test_a_stopped_relay_leaves_the_host_its_network(mesh):
    client, web = mesh.client, mesh.web
    web.run("sed", "-i", "s/STRICT/PERMISSIVE/", "/etc/tulle/mesh.d/shop.yaml")
    web.run("tulle", "reload")
    try:
        client.run("systemctl", "stop", "tulle-relayd")
        assert client.active("tulle-rules") == "inactive"
        assert "TULLE" not in client.out("iptables-save")
        assert client.get(mesh.url()) == "200"
        client.run("systemctl", "start", "tulle.target", "tulle-relayd", "tulle-rules")
        assert client.active("tulle-rules") == "active"
    finally:
        web.run("sed", "-i", "s/PERMISSIVE/STRICT/", "/etc/tulle/mesh.d/shop.yaml")
        web.run("tulle", "reload")
    wait_for(lambda: client.get(mesh.url()) == "200", what="the mesh again")


def test_a_relay_that_fails_for_good_leaves_the_host_its_network(mesh):
    client = mesh.client
    client.run("cp", "/etc/tulle/tulle.yaml", "/root/good.yaml")
    client.run("bash", "-c", "echo 'trustDomian: x' >> /etc/tulle/tulle.yaml")
    try:
        client.run("systemctl", "restart", "tulle-relayd", check=False)
        wait_for(lambda: client.active("tulle-relayd") == "failed", 30, "the end of all attempts")
        wait_for(lambda: "TULLE" not in client.out("iptables-save"), 30, "a host without rules")
    finally:
        client.run("cp", "/root/good.yaml", "/etc/tulle/tulle.yaml")
        client.run("systemctl", "reset-failed", "tulle-relayd")
        client.run("systemctl", "start", "tulle-relayd", "tulle-rules")
    wait_for(lambda: client.get(mesh.url()) == "200", what="the mesh again")


def test_the_machine_starts_again_and_so_does_the_mesh(mesh):
    mesh.client.stop()
    mesh.client.start()
    wait_for(lambda: mesh.client.active("tulle-rules") == "active", 30, "the rules")
    wait_for(lambda: mesh.client.get(mesh.url()) == "200", 30, "an answer")
    assert mesh.client.run("tulle", "status", check=False).stdout.count("FAIL") == 0


@pytest.mark.quick
def test_a_host_leaves_and_joins_again(mesh):
    client, web = mesh.client, mesh.web
    said = web.run("tulle", "leave", check=False)
    assert said.returncode == 1 and "the authority of 1 other" in said.stderr  # the client depends on it
    before = json.loads(client.out("tulle", "status", "--json", check=False))["certd"]["member"]["node"]
    assert "This would be done" in client.out("tulle", "leave", "--dry-run")
    assert client.active("tulle-relayd") == "active"
    client.run("tulle", "leave")
    assert "TULLE" not in client.out("iptables-save")
    assert client.active("tulle.target") == "inactive" and client.active("tulle-certd") == "inactive"
    for folder in ("certd", "relayd", "mesh"):
        assert client.run("test", "-e", f"/var/lib/tulle/{folder}", check=False).returncode == 1
    web.run("tulle", "member", "forget", before)
    token = web.out("tulle", "token", "--allow", "shop/client", "--address", web.address).split()[-1]
    client.write("/root/token", token + "\n")  # as cloud-init would
    client.run("tulle", "join", "--file", "/root/token")
    wait_for(lambda: client.get(mesh.url()) == "200", 30, "the mesh again")
    again = client.run("tulle", "join", token, check=False)  # a token works once
    assert again.returncode != 0 or "joined" in again.stdout
