# SPDX-License-Identifier: GPL-3.0-or-later
"""certd and the relay against go-spiffe, which is what SPIFFE's users link."""
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import mesh  # noqa: E402
import netns  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")

WORKLOAD_UID = 7910


@pytest.fixture(scope="module")
def hosts():
    """a: the authority, whose uid 7910 is shop/go; b: a member that runs a relay as shop/db."""
    with mesh.Mesh(f"g{os.getpid()}", ["a", "b"]) as m:
        m["a"].identities([{"serviceAccount": "shop/go", "match": {"uid": str(WORKLOAD_UID)}}])
        m.start_identities({"a": "shop/web", "b": "shop/db"}, ttl="20s")
        m["b"].start_relay(rules=False)
        yield m


def go(host, binary, *args, uid=WORKLOAD_UID, timeout="60s", **kwargs):
    """gospiffe in the host's namespace as a user; its lines as objects, and its exit status."""
    binary = host.public(binary)
    socket = f"unix://{host.root}/run/tulle/identity/workload.sock"
    done = host.run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", "env",
                    f"SPIFFE_ENDPOINT_SOCKET={socket}", f"TIMEOUT={timeout}", binary, *args, check=False, timeout=90,
                    **kwargs)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def test_fetch(hosts, gospiffe_binary):
    lines, status = go(hosts["a"], gospiffe_binary, "fetch")
    assert status == 0, lines
    svid, = lines[0]["svids"]
    assert svid["id"] == "spiffe://mesh.test/ns/shop/sa/go" and svid["chain"] == 2


def test_the_relays_user_gets_every_identity_the_default_first(hosts, gospiffe_binary):
    lines, status = go(hosts["a"], gospiffe_binary, "fetch", uid=mesh.UIDS["relayd"])
    assert status == 0
    assert [(s["id"], s["hint"]) for s in lines[0]["svids"]] == [
        ("spiffe://mesh.test/ns/shop/sa/web", "shop/web"), ("spiffe://mesh.test/ns/shop/sa/go", "shop/go")]


def test_watch_sees_rotations(hosts, gospiffe_binary):
    lines, status = go(hosts["a"], gospiffe_binary, "watch", "3")
    assert status == 0
    serials = {line["svids"][0]["serial"] for line in lines if "svids" in line}
    assert len(serials) >= 2  # at least one rotation of the 20 s certificate among three updates


def test_watch_survives_a_restart_of_certd(hosts, gospiffe_binary):
    a = hosts["a"]
    socket = f"unix://{a.root}/run/tulle/identity/workload.sock"
    log = os.path.join(a.work, "watch.out")
    binary = a.public(gospiffe_binary)
    with open(log, "wb") as out:
        watcher = subprocess.Popen(["ip", "netns", "exec", a.ns.name, "setpriv", f"--reuid={WORKLOAD_UID}",
                                    f"--regid={WORKLOAD_UID}", "--clear-groups", "--", "env",
                                    f"SPIFFE_ENDPOINT_SOCKET={socket}", "TIMEOUT=60s", binary, "watch", "4"], stdout=out)
    try:
        netns.wait_for(lambda: os.path.getsize(log) > 0)
        a.daemons["certd"].stop()
        a.start("certd").wait_for("ready", 20)
        assert watcher.wait(60) == 0  # two more after it came back
    finally:
        watcher.kill()


def test_nobody_else_gets_anything(hosts, gospiffe_binary):
    lines, status = go(hosts["a"], gospiffe_binary, "fetch", uid=7999, timeout="3s")
    assert status == 1 and ("PermissionDenied" in lines[-1]["error"] or "deadline" in lines[-1]["error"])


def test_mutual_tls_with_the_relay(hosts, gospiffe_binary):
    """go-spiffe as client of port 15008: it accepts the relay's certificate as shop/db and as nobody else's."""
    address = f"{hosts['b'].ip}:15008"
    lines, status = go(hosts["a"], gospiffe_binary, "dial", address, "spiffe://mesh.test/ns/shop/sa/other", timeout="10s")
    assert status == 1 and "unexpected ID" in lines[-1]["error"]
    # As shop/db the handshake is good: what follows is no HTTP/2, and the relay ends the tunnel for that.
    before = len(hosts["b"].daemons["relayd"].lines("tunnel broken by its peer"))
    go(hosts["a"], gospiffe_binary, "dial", address, "spiffe://mesh.test/ns/shop/sa/db", timeout="10s")
    line = hosts["b"].daemons["relayd"].wait_for("tunnel broken by its peer", 10, count=before + 1)
    assert line["peer"] == "spiffe://mesh.test/ns/shop/sa/go"


def test_two_go_programs_speak_with_our_certificates(hosts, gospiffe_binary):
    """Both ends go-spiffe, certificates from two certds of one fleet: verified by its rules, not ours."""
    a, b = hosts["a"], hosts["b"]
    socket = f"unix://{b.root}/run/tulle/identity/workload.sock"
    uid = mesh.UIDS["relayd"]
    server = subprocess.Popen(["ip", "netns", "exec", b.ns.name, "setpriv", f"--reuid={uid}", f"--regid={uid}",
                               "--clear-groups", "--", "env", f"SPIFFE_ENDPOINT_SOCKET={socket}", "TIMEOUT=30s",
                               b.public(gospiffe_binary), "listen", f"{b.ip}:7100", "spiffe://mesh.test/ns/shop/sa/go"], stdout=subprocess.PIPE)
    try:
        netns.wait_for_port(b.ns, 7100)
        lines, status = go(a, gospiffe_binary, "dial", f"{b.ip}:7100", "spiffe://mesh.test/ns/shop/sa/db", timeout="20s")
        assert status == 0, lines
        assert server.wait(20) == 0
    finally:
        server.kill()
