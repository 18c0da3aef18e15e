# SPDX-License-Identifier: GPL-3.0-or-later
"""The classic errors on machines with systemd: each staged, each named by one command, and mended as it says."""
import time

import pytest
from machine import wait_for


def manifests(web):
    return f"""apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec:
  clusterIPs: ["10.96.0.1"]
  selector: {{app: web}}
  ports: [{{name: http, port: 80}}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: web-1, namespace: shop}}
spec: {{address: "{web.address}", serviceAccount: web, labels: {{app: web}}}}
"""


def doctor(m, *args):
    return m.run("tulle", "doctor", *args, check=False)


def names(m, what, *words, args=()):
    """One finding about <what> has all the words."""
    done = doctor(m, *args)
    lines = [line for line in done.stdout.splitlines() if line.split()[1:2] == [what]]
    assert done.returncode == 1 and any(all(w in line for w in words) for line in lines), done.stdout + done.stderr


def wait_until_well(m):
    wait_for(lambda: doctor(m).returncode == 0, 20, f"a {m.name} without complaint: {doctor(m).stdout}")


@pytest.fixture(scope="module")
def mesh(lab):
    lab.web, lab.client = lab.machine("web", 11), lab.machine("client", 12)
    for m in (lab.web, lab.client):
        m.run("apt-get", "install", "-y", "/mnt/old.deb")
        m.run("ip", "route", "add", "10.96.0.0/16", "dev", "host0")
    lab.web.run("tulle", "init", "--trust-domain", "mesh.example", "--default", "shop/web")
    lab.early = lab.web.out("tulle", "token", "--allow", "shop/client", "--address", lab.web.address, "--ttl", "5s").split()[-1]
    time.sleep(6)
    lab.refused = lab.client.run("tulle", "join", lab.early, check=False)
    lab.after_refusal = doctor(lab.client).stdout
    token = lab.web.out("tulle", "token", "--allow", "shop/client", "--address", lab.web.address).split()[-1]
    lab.client.run("tulle", "join", token)
    lab.web.write("/etc/tulle/mesh.d/shop.yaml", manifests(lab.web))
    lab.web.run("tulle", "reload")  # and the authority brings them to the client
    lab.web.run("systemctl", "start", "nginx")
    wait_for(lambda: lab.client.get("http://10.96.0.1/") == "200", 20, "the mesh")
    return lab


@pytest.mark.quick
def test_machines_that_are_well_give_no_complaint(mesh):
    for m in (mesh.web, mesh.client):
        wait_until_well(m)
    assert "stands" in doctor(mesh.client, "web").stdout


@pytest.mark.quick
def test_an_expired_token_is_named_where_it_was_used(mesh):
    assert mesh.refused.returncode == 1 and "refused the token: it expired at 20" in mesh.refused.stderr, mesh.refused.stderr
    assert any(line.startswith("FAIL  join") and "it expired at 20" in line for line in mesh.after_refusal.splitlines()), \
        mesh.after_refusal


def test_a_typo_in_tulle_yaml_is_named_with_the_unit_that_failed_of_it(mesh):
    client = mesh.client
    client.run("cp", "/etc/tulle/tulle.yaml", "/root/good.yaml")
    client.run("bash", "-c", "echo 'captur: {outbound: true}' >>/etc/tulle/tulle.yaml")
    try:
        client.run("systemctl", "restart", "tulle-telemetryd", check=False)
        wait_for(lambda: client.active("tulle-telemetryd") in ("failed", "activating"), 30, "the failure")
        names(client, "tulle.yaml", "/etc/tulle/tulle.yaml:", 'did you mean "capture"?')
        names(client, "telemetryd", "systemd says of tulle-telemetryd.service", "journalctl -u tulle-telemetryd.service")
    finally:
        client.run("cp", "/root/good.yaml", "/etc/tulle/tulle.yaml")
        client.run("systemctl", "reset-failed", "tulle-telemetryd")
        client.run("systemctl", "start", "tulle-telemetryd")
    wait_until_well(client)


def test_a_daemon_that_was_stopped_is_named_with_its_unit(mesh):
    mesh.client.run("systemctl", "stop", "tulle-certd")
    try:
        names(mesh.client, "certd", "systemd says of tulle-certd.service: inactive")
    finally:
        mesh.client.run("systemctl", "start", "tulle-certd")
    wait_until_well(mesh.client)


@pytest.mark.quick
def test_rules_that_another_firewall_flushed_are_named_and_come_back(mesh):
    client = mesh.client
    for table in ("nat", "mangle", "filter"):
        client.run("iptables", "-t", table, "-F")
        client.run("iptables", "-t", table, "-X", check=False)
    names(client, "rules", "flushed: tulle-nfrules put the rules in place at 20", "systemctl restart tulle-rules")
    client.run("systemctl", "restart", "tulle-rules")
    wait_until_well(client)


@pytest.mark.quick
def test_port_15008_that_a_firewall_drops_is_named(mesh):
    rule = ["INPUT", "-p", "tcp", "--dport", "15008", "-j", "DROP"]
    mesh.web.run("iptables", "-I", *rule)
    try:
        names(mesh.client, "peer", "is blocked: the host answers at port 80 and not at port 15008")
    finally:
        mesh.web.run("iptables", "-D", *rule)
    wait_until_well(mesh.client)


def test_an_application_that_is_down_is_named_on_both_machines(mesh):
    mesh.web.run("systemctl", "stop", "nginx")
    try:
        names(mesh.web, "application", f"service shop/web, port 80: the application is down: nobody listens at {mesh.web.address}:80")
        names(mesh.client, "destination", "the application is down: the relay at", args=["web"])
    finally:
        mesh.web.run("systemctl", "start", "nginx")
    wait_until_well(mesh.web)
