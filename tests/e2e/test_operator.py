# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators do wrong and what machines run out of: each gets a clear word, and nothing is lost."""
import json
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


@pytest.mark.parametrize("program, port", [("tulle-relayd", 15001), ("tulle-relayd", 15006), ("tulle-relayd", 15008),
                                           ("tulle-relayd", 15021), ("tulle-telemetryd", 9464)])
def test_a_busy_port_is_named(lone, program, port):
    """That of certd is in test_certd.py."""
    lone.spawn("squatter", ["ncat", "-lk", str(port)], uid=0)
    netns.wait_for_port(lone.ns, port)
    done = lone.run(mesh.binary(program), "--root", lone.root, check=False)
    assert done.returncode == 1
    line, = [text for text in done.stderr.splitlines() if str(port) in text]
    assert '"level":"error"' in line and ("port is in use" in line or "another program listens there" in line)


@pytest.mark.parametrize("program, path", [("tulle-relayd", "relayd.sock"), ("tulle-telemetryd", "telemetryd.sock"),
                                           ("tulle-certd", "identity")])
def test_an_unwritable_run_folder_is_named(lone, program, path):
    """As an ordinary user, whom the folder does not belong to."""
    os.makedirs(os.path.join(lone.root, "var/lib/tulle/certd"))
    os.chown(os.path.join(lone.root, "var/lib/tulle/certd"), mesh.APP_UID, mesh.APP_UID)
    done = lone.as_app(lone.public(mesh.binary(program)), "--root", lone.root, check=False)
    assert done.returncode == 1
    assert f"{lone.root}/run/tulle/{path}" in done.stderr and "Permission denied" in done.stderr


def test_a_second_relay_is_refused(pair):
    done = pair["a"].run(mesh.binary("tulle-relayd"), "--root", pair["a"].root, check=False)
    assert done.returncode == 1 and "another relay answers" in done.stderr
    assert pair["a"].curl(URL).stdout == "hello from b:8080\n"


@pytest.mark.parametrize("name, shown", [
    (r"x\e[2J", r"x\u001b[2J"), (r"x\nerror: forged.yaml:1:1", r"x\u000aerror: forged.yaml:1:1"), (r"x\"; reboot", r"x\"; reboot"),
    ("x -j ACCEPT", "x -j ACCEPT"), (r"x\u009b2J", r"x\u009b2J"),
], ids=["escape", "newline", "quote", "iptables", "C1"])
def test_control_sequences_in_a_name_never_reach_the_terminal(pair, name, shown):
    """Refused, and shown harmlessly by every tool, in one line: the file, where it stands, and the name escaped."""
    a = pair["a"]
    a.manifest("evil.yaml", f'apiVersion: v1\nkind: Service\nmetadata: {{name: "{name}", namespace: shop}}\n'
                            'spec: {clusterIPs: [10.96.0.9], ports: [{port: 80}]}\n')
    refused = a.reload(check=False)
    assert refused.returncode == 1
    checked = a.tulle("check", os.path.join(a.root, "etc/tulle/mesh.d"), check=False)
    assert checked.returncode == 1
    status = a.tulle("status", check=False)
    log = a.daemons["relayd"].wait_for("configuration refused: the old one stays")["problems"]
    for text in (refused.stderr, checked.stderr, status.stdout, log):
        line, = [part for part in text.splitlines() if "evil.yaml:3:18" in part]
        assert f'metadata.name: is "{shown}"' in line  # escaped once, also by status
        assert not [part for part in text.splitlines() if part.startswith("error: forged")]
    for text in (refused.stderr, checked.stdout + checked.stderr, status.stdout, a.daemons["relayd"].log()):
        assert not set(text) & {"\x1b", "\x9b"}
    assert a.curl(URL).stdout == "hello from b:8080\n"


def test_a_reload_of_everything_fails_if_one_daemon_refuses(pair):
    """`tulle reload` without a name: each daemon says what is wrong, the exit status is 1, and all go on as they were."""
    a = pair["a"]
    a.start_telemetryd()
    assert a.tulle("reload").returncode == 0
    a.configure(telemetry={"traces": "every now and then"})
    refused = a.tulle("reload", check=False)
    assert refused.returncode == 1
    for daemon in ("certd", "relayd", "telemetryd"):
        assert daemon in refused.stderr + refused.stdout
    assert refused.stderr.count("telemetry.traces: ") == 3 and "tulle.yaml:" in refused.stderr
    assert a.curl(URL).stdout == "hello from b:8080\n"
    assert all(a.daemons[d].alive() for d in ("certd", "relayd", "telemetryd"))


@pytest.mark.parametrize("daemon", ["relayd", "certd", "telemetryd"])
def test_only_root_and_the_daemons_user_may_reload(pair, daemon):
    """Its user may, too; another may ask how it is, and nothing that he asks for is done."""
    a = pair["a"]
    a.start_telemetryd()
    tulle = a.public(mesh.binary("tulle"))
    as_user = lambda uid: a.run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", tulle, "reload", "--root",
                                a.root, daemon, check=False)
    refused = as_user(mesh.APP_UID)
    assert refused.returncode == 1 and "root" in refused.stderr.replace(a.root, "").replace("--root", "")
    assert as_user(mesh.UIDS[daemon]).returncode == 0
    asked = a.as_app(tulle, "status", "--root", a.root, "--json", check=False)
    assert "error" not in json.loads(asked.stdout)[daemon]  # questions are free


def test_sighup_with_a_bad_file_keeps_the_old_set(pair):
    a = pair["a"]
    a.manifest("bad.yaml", "apiVersion: v1\nkind: Servise\nmetadata: {name: x}\n")
    a.daemons["relayd"].kill(signal.SIGHUP)
    line = a.daemons["relayd"].wait_for("configuration refused: the old one stays")
    assert "bad.yaml:2:" in line["problems"] and "Service" in line["problems"]
    assert a.curl(URL).stdout == "hello from b:8080\n"


def test_status_judges_alike_in_both_forms(pair):
    a = pair["a"]
    a.start_telemetryd()
    for _ in range(2):
        text, both = a.tulle("status", check=False), a.tulle("status", "--json", check=False)
        said = json.loads(both.stdout)
        assert text.returncode == both.returncode and said["ok"] is (both.returncode == 0), text.stdout
        assert {f["what"] for f in said["findings"]} >= {"relayd", "rules", "identity"}
        a.rules("remove", "--now")
    assert both.returncode == 1 and said["rules"] == 4
    assert "not in place, nothing is captured: tulle-nfrules apply" in text.stdout


def test_a_host_leaves_although_a_connection_lives_on(pair):
    """It says how to; what stops daemons on a host with units is seen in tests/machines/test_machines.py."""
    b = pair["a"]
    held = b.spawn("held", ["ncat", "--no-shutdown", CLUSTER_IP, "80"])
    try:
        netns.wait_for(lambda: b.run("ss", "-Htn", "state", "established", "( sport = :15001 )").stdout.strip(), 10 * mesh.PATIENCE)
        stays = b.tulle("leave", "--force", "--drain=1s", check=False)
        assert stays.returncode == 1 and "--drain=TIME" in stays.stderr and "--now" in stays.stderr, stays.stdout + stays.stderr
        assert b.tulle("leave", "--drain=1", check=False).returncode == 2
        for daemon in ("relayd", "certd"):
            b.daemons[daemon].kill()
        gone = b.tulle("leave", "--force", "--now")
        assert "Done" in gone.stdout and "TULLE" not in b.run("iptables-save").stdout
    finally:
        held.stop()


def test_certd_away_for_longer_than_a_renewal_interval(pair):
    """Traffic goes on with the certificates there are, past the time of their renewal; it catches up when certd is back."""
    a, b = pair["a"], pair["b"]
    own = lambda h: h.status()["relayd"]["relay"]["identities"][0]
    life = 20
    for host in (a, b):
        host.daemons["certd"].kill(signal.SIGKILL)
        host.daemons["certd"].stop()
    before = {h.name: own(h) for h in (a, b)}
    until = max(i["not_after"] for i in before.values()) - life * 0.3  # renewal is due at half of the life, a tenth more or less
    assert until > time.time() + 1, before
    while time.time() < until:
        assert a.curl(URL).stdout == "hello from b:8080\n"
        time.sleep(0.2)
    for host in (a, b):
        assert own(host)["serial"] == before[host.name]["serial"]  # nobody renewed it, and its time was over
        assert own(host)["not_after"] - time.time() < life / 2
    for host in (a, b):
        host.start("certd").wait_for("ready", 20)
    for host in (a, b):
        netns.wait_for(lambda h=host: own(h)["serial"] != before[h.name]["serial"], 10 * mesh.PATIENCE, every=0.1)
        assert own(host)["not_after"] - time.time() > life / 2
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
    a.start_telemetryd()
    clients = []
    for _ in range(24):
        with a.ns.inside(), netns.as_uid(mesh.APP_UID):
            clients.append(socket.create_connection((CLUSTER_IP, 80), timeout=5))
    a.daemons["relayd"].wait_for("out of descriptors: accepting pauses")
    netns.wait_for(lambda: a.metric("tulle_listener_pause_count_total") >= 1)
    cpu = lambda: a.status()["relayd"]["relay"]["process"]["cpu_ns"]
    began = cpu()
    time.sleep(1)
    assert cpu() - began < 0.3e9 * mesh.PATIENCE  # it does not spin
    clients[0].sendall(b"GET / HTTP/1.1\r\nHost: db\r\nConnection: close\r\n\r\n")
    assert b"hello from b" in clients[0].recv(65536) + clients[0].recv(65536)  # who is in is served
    for c in clients:
        c.close()
    assert a.curl(URL).stdout == "hello from b:8080\n"


def lose_the_parent(host):
    """SIGKILL to the relay's parent; until new connections are refused."""
    host.daemons["relayd"].kill(signal.SIGKILL)
    host.daemons["relayd"].stop()
    netns.wait_for(lambda: host.curl(URL, check=False).returncode != 0)
    assert host.curl(URL, check=False).returncode in (7, 56)  # refused at once: nobody waits in a queue that nobody serves


def test_the_parent_is_killed(pair):
    """Connections under way are served to their end, new ones are refused, status says so; a new relay takes over."""
    a = pair["a"]
    download = a.spawn("download", ["curl", "-sS", "--limit-rate", "2M", "-o", "/dev/null", "-w", "%{size_download}",
                                    URL + "big"])
    netns.wait_for(lambda: any(w["flows"] for w in a.status()["relayd"]["relay"]["workers"]))
    lose_the_parent(a)
    said = a.tulle("status", check=False)
    assert said.returncode != 0 and "relayd" in said.stdout and "new connections are refused" in said.stdout
    assert download.alive()
    a.start_relay(rules=False)  # beside the old one, which still serves the download
    assert a.curl(URL).stdout == "hello from b:8080\n"
    netns.wait_for(lambda: not download.alive(), 30)
    assert download.log().endswith(str(8 << 20))


@pytest.mark.parametrize("fail_closed", [False, True])
def test_the_parent_is_killed_and_the_capture_lost_what_passes_is_as_configured(pair, fail_closed):
    """failClosed: with the rules in place all is refused either way; without the capture it says whether traffic passes."""
    a = pair["a"]
    direct = f"http://{pair['b'].ip}:8080/"  # a way that there is without the mesh, too
    a.configure(capture={"failClosed": fail_closed})
    a.rules("apply")
    lose_the_parent(a)
    assert a.curl(direct, check=False).returncode != 0
    for tool in ("iptables", "ip6tables"):
        a.run(tool, "-t", "nat", "-F")
    if fail_closed:
        assert a.curl(direct, check=False).returncode == 7
    else:
        assert a.curl(direct).stdout == "hello from b:8080\n"
    said = a.tulle("status", check=False)
    assert said.returncode != 0 and "start tulle-relayd" in said.stdout
    assert ("are reset while its guard stands" if fail_closed else "pass by the mesh in plaintext") in said.stdout
    a.start_relay()
    assert a.curl(URL).stdout == "hello from b:8080\n"
    assert a.tulle("rules", "check").returncode == 0


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
    """Of three endpoints one is an address that no host has, one refuses port 15008: every request succeeds."""
    a, b = pair["a"], pair["b"]
    a.start_telemetryd()
    pair.bridge.run("ip", "addr", "add", "10.77.0.201/24", "dev", "br0")  # a host without a relay
    a.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080,
                                       [("db-1", b.ip, "db"), ("db-2", "10.77.0.200", "db"), ("db-3", "10.77.0.201", "db")]))
    a.reload()
    failed = lambda why: a.metric("tulle_upstream_connect_failure_count_total", error_type=why)
    other = lambda: a.metric("tulle_upstream_next_endpoint_count_total")
    assert other() == 0
    until = time.monotonic() + 60 * mesh.PATIENCE
    while not (failed("refused") and (failed("unreachable") or failed("timeout"))):  # who is drawn first is chance
        assert time.monotonic() < until
        assert a.curl(URL, seconds=20).stdout == "hello from b:8080\n"
    failures = sum(failed(why) for why in ("refused", "unreachable", "timeout", "tunnel", "_OTHER"))
    assert other() == failures >= 2  # each failure, and nothing else, was followed by another endpoint
    for _ in range(5):
        assert a.curl(URL, seconds=20).stdout == "hello from b:8080\n"


def stalled_download(host):
    """A connection that has asked for a megabyte and does not read it."""
    with host.ns.inside(), netns.as_uid(mesh.APP_UID):
        s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(20 * mesh.PATIENCE)
    s.connect((CLUSTER_IP, 80))
    s.sendall(b"GET /big HTTP/1.1\r\nHost: db\r\nRange: bytes=0-1048575\r\nConnection: close\r\n\r\n")
    return s


def finish(s):
    """Reads to the end; how many bytes of content came."""
    data = bytearray()
    while chunk := s.recv(1 << 16):
        data += chunk
    s.close()
    return len(data) - data.index(b"\r\n\r\n") - 4


@pytest.mark.skipif(mesh.sanitized(), reason="a sanitizer's shadow memory is resident, too: the relay does not measure")
def test_memory_limit_refuses_new_connections_and_says_so(pair):
    """A hundred readers stall until limits.memory bites: nobody new is let in, by name; they read on, and it is over."""
    a = pair["a"]
    a.configure(limits={"memory": "16MiB"})
    a.daemons["relayd"].stop()
    relayd = a.start_relay(rules=False)
    a.start_telemetryd()
    refused = lambda: a.metric("tulle_listener_limit_count_total")
    assert a.curl(URL).stdout == "hello from b:8080\n" and refused() == 0
    readers = [stalled_download(a) for _ in range(100)]
    line = relayd.wait_for("limits.memory is reached: new connections are refused", 20)
    assert line["held"] > line["limit"] == 16 << 20
    assert a.metric("tulle_memory_usage_bytes") > 16 << 20
    assert a.curl(URL, check=False).returncode != 0
    assert relayd.wait_for("connection refused: a limit is reached")["limit"] == "limits.memory"
    netns.wait_for(lambda: refused() == 1)
    assert finish(readers[0]) == 1 << 20  # who is in is served
    assert not relayd.lines("memory is below its limit again")
    for s in readers[1:]:
        assert finish(s) == 1 << 20
    line = relayd.wait_for("memory is below its limit again", 20)
    assert line["held"] < 16 << 20
    assert a.curl(URL).stdout == "hello from b:8080\n"
    assert refused() == 1
