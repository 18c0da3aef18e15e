# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators do wrong and what machines run out of: each gets a clear word, and nothing is lost."""
import os
import signal
import socket
import struct
import time

import pytest

import mesh
import netns

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"


@pytest.fixture
def pair():
    """web on host a calls db on host b."""
    with mesh.Mesh(f"o{os.getpid()}", ["a", "b"]) as m:
        m.start_identities({"a": "shop/web", "b": "shop/db"}, ttl="20s")
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
        for host in m.hosts.values():
            host.start_relay()
        assert m["a"].curl(URL).stdout == "hello from b:8080\n"
        yield m


@pytest.fixture
def lone():
    with mesh.Mesh(f"l{os.getpid()}", ["a"]) as m:
        yield m["a"]


DAEMONS = ["tulle-relayd", "tulle-certd", "tulle-telemetryd"]


@pytest.mark.parametrize("program", [*DAEMONS, "tulle-nfrules"])
def test_an_unknown_flag_is_refused_with_the_way_out(lone, program):
    done = lone.run(mesh.binary(program), "--frobnicate", check=False)
    assert done.returncode == 2
    assert "frobnicate" in done.stderr and ("--help" in done.stderr or "Usage" in done.stderr)


@pytest.mark.parametrize("program", DAEMONS)
def test_a_bad_tulle_yaml_names_file_line_and_field(lone, program):
    lone.write("etc/tulle/tulle.yaml", "trustDomain: mesh.test\ncapture:\n  outbuond: true\n")
    done = lone.run(mesh.binary(program), "--root", lone.root, check=False)
    assert done.returncode == 1
    text = done.stderr + done.stdout
    assert "tulle.yaml:3:3: capture.outbuond: unknown field" in text and "outbound" in text


def test_a_busy_port_is_named(lone):
    lone.spawn("squatter", ["ncat", "-lk", "15008"], uid=0)
    netns.wait_for_port(lone.ns, 15008)
    done = lone.run(mesh.binary("tulle-relayd"), "--root", lone.root, check=False)
    assert done.returncode == 1
    assert "port is in use" in done.stderr and "15008" in done.stderr


def test_an_unwritable_run_folder_is_named(lone):
    """As an ordinary user, whom the folder does not belong to."""
    done = lone.as_app(lone.public(mesh.binary("tulle-relayd")), "--root", lone.root, check=False)
    assert done.returncode == 1
    assert f"{lone.root}/run/tulle/relayd.sock" in done.stderr and "Permission denied" in done.stderr


def test_a_second_relay_is_refused(pair):
    done = pair["a"].run(mesh.binary("tulle-relayd"), "--root", pair["a"].root, check=False)
    assert done.returncode == 1 and "another relay answers" in done.stderr
    assert pair["a"].curl(URL).stdout == "hello from b:8080\n"


def test_control_sequences_in_a_name_never_reach_the_terminal(pair):
    """A newline, a quote and an escape in names of a manifest: refused, and shown harmlessly by every tool."""
    a = pair["a"]
    a.manifest("evil.yaml", 'apiVersion: v1\nkind: Service\nmetadata: {name: "x\\e[2J\\n\\"; reboot", namespace: shop}\n'
                            'spec: {clusterIPs: [10.96.0.9], ports: [{port: 80}]}\n')
    refused = a.reload(check=False)
    assert refused.returncode == 1
    checked = a.tulle("check", os.path.join(a.root, "etc/tulle/mesh.d"), check=False)
    assert checked.returncode == 1
    status = a.tulle("status", check=False)
    for text in (refused.stderr, checked.stdout + checked.stderr, status.stdout, a.daemons["relayd"].log()):
        assert "\x1b" not in text
    assert "evil.yaml:3" in refused.stderr
    assert a.curl(URL).stdout == "hello from b:8080\n"


def test_only_root_and_the_daemons_user_may_reload(pair):
    a = pair["a"]
    refused = a.as_app(a.public(mesh.binary("tulle")), "reload", "--root", a.root, "relayd", check=False)
    assert refused.returncode == 1 and "root" in refused.stderr
    asked = a.as_app(a.public(mesh.binary("tulle")), "status", "--root", a.root, "--json", check=False)
    assert '"ready": true' in asked.stdout  # questions are free


def test_sighup_with_a_bad_file_keeps_the_old_set(pair):
    a = pair["a"]
    a.manifest("bad.yaml", "apiVersion: v1\nkind: Servise\nmetadata: {name: x}\n")
    a.daemons["relayd"].kill(signal.SIGHUP)
    line = a.daemons["relayd"].wait_for("configuration refused: the old one stays")
    assert "bad.yaml:2:" in line["problems"] and "Service" in line["problems"]
    assert a.curl(URL).stdout == "hello from b:8080\n"


def test_certd_away_for_longer_than_a_renewal_interval(pair):
    """Traffic goes on with the certificates there are; renewal catches up when certd is back."""
    a, b = pair["a"], pair["b"]
    serial = lambda h: h.status()["relayd"]["relay"]["identities"][0]["serial"]
    before = serial(a)
    for host in (a, b):
        host.daemons["certd"].kill(signal.SIGKILL)
        host.daemons["certd"].stop()
    until = time.monotonic() + 12  # a renewal was due after 10 s at the latest
    while time.monotonic() < until:
        assert a.curl(URL).stdout == "hello from b:8080\n"
        time.sleep(0.2)
    assert serial(a) in (before, serial(a))
    for host in (a, b):
        host.start("certd").wait_for("ready", 20)
    netns.wait_for(lambda: serial(a) != before, 30)
    assert a.curl(URL).stdout == "hello from b:8080\n"


def test_telemetryd_killed_does_not_touch_traffic(pair):
    a = pair["a"]
    a.start("telemetryd").wait_for("attached to the relay")
    a.daemons["telemetryd"].kill(signal.SIGKILL)
    a.daemons["telemetryd"].stop()
    assert a.curl(URL).stdout == "hello from b:8080\n"
    a.start("telemetryd").wait_for("attached to the relay")
    assert a.curl(URL).stdout == "hello from b:8080\n"


def test_descriptors_run_out_and_come_back(pair):
    """The relay process may open few files: it pauses, lives, serves whom it has, and goes on when some are free."""
    a = pair["a"]
    needed = a.status()["relayd"]["relay"]["process"]["fds"]
    a.daemons["relayd"].stop()
    limit = needed + 12
    a.start("relayd", wrap=("prlimit", f"--nofile={limit}:{limit}")).wait_for("ready", 20)
    clients = []
    for _ in range(24):
        with a.ns.inside(), netns.as_uid(mesh.APP_UID):
            clients.append(socket.create_connection((CLUSTER_IP, 80), timeout=5))
    a.daemons["relayd"].wait_for("out of descriptors: accepting pauses")
    cpu = lambda: a.status()["relayd"]["relay"]["process"]["cpu_ns"]
    began = cpu()
    time.sleep(1)
    assert cpu() - began < 0.3e9 * mesh.PATIENCE  # it does not spin
    clients[0].sendall(b"GET / HTTP/1.1\r\nHost: db\r\nConnection: close\r\n\r\n")
    assert b"hello from b" in clients[0].recv(65536) + clients[0].recv(65536)  # who is in is served
    for c in clients:
        c.close()
    assert a.curl(URL).stdout == "hello from b:8080\n"


def test_the_parent_is_killed(pair):
    """Connections under way are served to their end, new ones are refused, status says so; a new relay takes over."""
    a, b = pair["a"], pair["b"]
    download = a.spawn("download", ["curl", "-sS", "--limit-rate", "2M", "-o", "/dev/null", "-w", "%{size_download}",
                                    URL + "big"])
    netns.wait_for(lambda: any(w["flows"] for w in a.status()["relayd"]["relay"]["workers"]))
    a.daemons["relayd"].kill(signal.SIGKILL)
    a.daemons["relayd"].stop()
    netns.wait_for(lambda: a.curl(URL, check=False).returncode != 0)
    assert a.curl(URL, check=False).returncode in (7, 56)  # refused at once: nobody waits in a queue that nobody serves
    said = a.tulle("status", check=False).stdout
    assert "relayd" in said and "new connections are refused" in said
    assert download.alive()
    a.start_relay(rules=False)  # beside the old one, which still serves the download
    assert a.curl(URL).stdout == "hello from b:8080\n"
    netns.wait_for(lambda: not download.alive(), 30)
    assert download.log().endswith(str(8 << 20))


def test_sigterm_drains(pair):
    """A download under way ends whole; the relay ends with status 0 once it has."""
    a, b = pair["a"], pair["b"]
    download = a.spawn("download", ["curl", "-sS", "--limit-rate", "4M", "-o", "/dev/null", "-w", "%{size_download}",
                                    URL + "big"])
    netns.wait_for(lambda: any(w["flows"] for w in a.status()["relayd"]["relay"]["workers"]))
    relayd = a.daemons["relayd"]
    relayd.kill(signal.SIGTERM)
    assert relayd.proc.wait(30) == 0
    assert download.proc.wait(5) == 0
    assert download.log().endswith(str(8 << 20))


def test_a_client_that_resets_at_every_stage(pair):
    """200 connections closed with a reset at once, after a moment, or with a request half written; nothing leaks."""
    a, b = pair["a"], pair["b"]
    for i in range(200):
        with a.ns.inside(), netns.as_uid(mesh.APP_UID):
            s = socket.create_connection((CLUSTER_IP, 80), timeout=5)
        if i % 3:
            s.sendall(b"GET / HTTP/1.1\r\nHost: db\r\n")
        if i % 3 == 2:
            s.sendall(b"\r\n")
            s.recv(1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    for host in (a, b):
        netns.wait_for(lambda h=host: all(w["flows"] == 0 for w in h.status()["relayd"]["relay"]["workers"]))
    assert a.curl(URL).stdout == "hello from b:8080\n"
    assert len([t for w in a.status()["relayd"]["relay"]["workers"] for t in w["outbound"]]) == 1


def test_the_next_endpoint_is_tried_when_one_cannot_be_reached(pair):
    """Two endpoints, one of which nobody is behind: every request succeeds."""
    a, b = pair["a"], pair["b"]
    a.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080,
                                       [("db-1", b.ip, "db"), ("db-2", "10.77.0.200", "db")]))
    b.run("ip", "addr", "add", "10.77.0.200/24", "dev", "eth0")  # an address of b: nothing listens behind it for db-2
    b.manifest("other.yaml", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
                             "metadata: {name: x, namespace: shop}\nspec: {mtls: {mode: PERMISSIVE}}\n")
    b.reload()
    a.reload()
    for _ in range(10):
        assert a.curl(URL).stdout == "hello from b:8080\n"


def test_memory_limit_refuses_new_connections_and_says_so(pair):
    """limits.memory at its least, and a relay that needs more: nobody new is let in, the log names the limit."""
    a = pair["a"]
    a.configure(limits={"memory": "16MiB"})
    a.daemons["relayd"].stop()
    relayd = a.start("relayd")
    relayd.wait_for("ready", 20)
    held = a.status()["relayd"]["relay"]["process"]["rss_bytes"]
    assert 0 < held < 16 << 20 or mesh.sanitized()  # an idle relay is far below the least limit
    assert a.curl(URL).stdout == "hello from b:8080\n"
