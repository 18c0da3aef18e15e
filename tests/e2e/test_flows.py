# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows under bad starts, audit, resets, stalls and deadlines: what each leaves behind, and that nothing stays."""
import contextlib
import os
import select
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

import certs
import mesh
import netns
from test_peers import PREFACE, SETTINGS, dial, headers, literal

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"
PAGE = "hello from b:8080\n"
BAD = "apiVersion: v1\nkind: Servise\nmetadata: {name: x}\n"
NO_CONFIGURATION = "connection refused: no configuration is in force"


def make_pair(tag):
    """web on host a calls db on host b; nothing runs yet but certd and nginx."""
    m = mesh.Mesh(f"{tag}{os.getpid()}", ["a", "b"])
    try:
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
    except BaseException:
        m.close()
        raise
    return m


# ---- a start with files that are no good


def test_a_bad_manifest_at_the_very_first_start_lets_nothing_pass_and_says_so():
    """No last good configuration either: every connection is refused with its reason, in both directions, until a reload."""
    with make_pair("fs") as m:
        a, b = m["a"], m["b"]
        b.start_relay()
        a.manifest("bad.yaml", BAD)
        relayd = a.start("relayd")
        line = relayd.wait_for("configuration refused: there is no old one")
        assert "bad.yaml:2:" in line["problems"] and "Service" in line["problems"]
        assert relayd.wait_for("no configuration is in force: all connections are refused until a reload succeeds")
        a.rules("apply")
        assert a.curl(f"http://{b.ip}:8080/", check=False, seconds=15).returncode != 0  # plain passage is not assumed either
        line = relayd.wait_for(NO_CONFIGURATION)
        assert line["reason"] == "no_configuration" and line["destination"] == f"{b.ip}:8080"
        told = a.tulle("status", check=False)
        assert told.returncode == 1 and "no configuration is in force" in told.stdout and "bad.yaml:2:" in told.stdout
        a.nginx(8081)
        lines = len(relayd.lines(NO_CONFIGURATION))
        assert b.as_app("curl", "-sS", "--max-time", "5", f"http://{a.ip}:8081/", check=False).returncode != 0
        relayd.wait_for(NO_CONFIGURATION, count=lines + 1)
        os.unlink(os.path.join(a.root, "etc/tulle/mesh.d/bad.yaml"))
        a.reload()
        assert a.curl(URL).stdout == PAGE
        status = a.status()["relayd"]
        assert status["ready"] and status["last_error"] == "" and status["last_good"] is None


def test_a_start_with_a_bad_manifest_runs_on_the_last_good_configuration():
    """What was in force when the relay last ran is in force again, policy and all; a crash of the relay process keeps it."""
    with make_pair("fl") as m:
        a = m["a"]
        m["b"].start_relay()
        a.configure(outboundTrafficPolicy="REGISTRY_ONLY")
        a.start_relay()
        assert a.curl(URL).stdout == PAGE
        a.daemons["relayd"].stop()
        a.manifest("bad.yaml", BAD)
        a.configure(outboundTrafficPolicy="ALLOW_ANY")  # of the same refused set: it must not count either
        relayd = a.start("relayd")
        line = relayd.wait_for("running on the last good configuration")
        assert "bad.yaml:2:" in line["refused"]
        relayd.wait_for("ready", 20)
        assert a.curl(URL).stdout == PAGE
        assert a.curl("http://10.96.0.9/", check=False).returncode != 0
        assert relayd.wait_for("outbound connection denied")["reason"] == "not_in_registry"
        told = a.tulle("status", check=False)
        assert told.returncode == 1 and f"running on the last good configuration of {line['accepted']}" in told.stdout
        before = a.status()["relayd"]
        os.kill(before["relay"]["pid"], signal.SIGKILL)
        assert a.curl(URL).stdout == PAGE
        assert a.status()["relayd"]["last_good"] == before["last_good"] == line["accepted"]
        refused = a.reload(check=False)
        assert refused.returncode == 1 and "bad.yaml:2:" in refused.stderr
        assert a.curl(URL).stdout == PAGE
        os.unlink(os.path.join(a.root, "etc/tulle/mesh.d/bad.yaml"))
        a.reload()
        status = a.status()["relayd"]
        assert status["last_good"] is None and status["last_error"] == ""


def test_a_last_good_configuration_that_is_damaged_is_not_used():
    with mesh.Mesh(f"fd{os.getpid()}", ["a"]) as m:
        a = m["a"]
        m.start_identities({"a": "shop/web"})
        a.start_relay(rules=False)
        a.daemons["relayd"].stop()
        kept = os.path.join(a.root, "var/lib/tulle/relayd/last-good")
        assert os.stat(kept).st_uid == mesh.UIDS["relayd"] and os.stat(kept).st_mode & 0o777 == 0o600
        with open(kept, "r+b") as f:
            f.truncate(os.path.getsize(kept) - 1)
        a.manifest("bad.yaml", BAD)
        line = a.start("relayd").wait_for("no configuration is in force: all connections are refused until a reload succeeds")
        assert line["last_good"]
        assert not a.status()["relayd"]["ready"]


# ---- flows of two hosts below one root that the test made, so that it can be a peer itself


class World:
    def __init__(self):
        self.mesh = m = mesh.Mesh(f"fw{os.getpid()}", ["a", "b"])
        self.a, self.b, self.wire = m["a"], m["b"], m.bridge
        self.authority = certs.Authority(os.path.join(m.top, "ca"), "root", mesh.DOMAIN)
        for host, account in ((self.a, "ns/shop/sa/web"), (self.b, "ns/shop/sa/db")):
            host.configure(identity={"source": "embedded", "ttl": "1h", "default": account})
            host.run(mesh.binary("tulle-certd"), "ca", "import", "--root", host.root, "--cert", self.authority.pem, "--key",
                     self.authority.key)
            host.start("certd").wait_for("ready", 20)
        # Addresses on the wire where the test puts what it likes, and services that lead there.
        for n in (60, 61, 62):
            self.wire.run("ip", "addr", "add", f"10.77.0.{n}/24", "dev", "br0")
        m.manifest("db.yaml", "---\n".join([
            mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", self.b.ip, "db")]),
            mesh.service("mute", "shop", "10.96.0.2", 80, 8080, [("mute-1", "10.77.0.60", "db")]),
            mesh.service("dumb", "shop", "10.96.0.3", 80, 8080, [("dumb-1", "10.77.0.61", "db")]),
            mesh.service("full", "shop", "10.96.0.4", 80, 8080, [("full-1", "10.77.0.62", None)])]))
        self.b.nginx(8080)
        for host in m.hosts.values():
            host.start_relay()
            host.start_telemetryd()
        assert self.a.curl(URL).stdout == PAGE

    def __getitem__(self, name):  # for test_peers.dial()
        return self.mesh[name]

    def client(self, ip=CLUSTER_IP, port=80, blocking=True):
        """A connection of an application of host a."""
        with self.a.ns.inside(), netns.as_uid(mesh.APP_UID):
            s = socket.socket()
        s.settimeout(5)
        s.connect((ip, port))
        s.setblocking(blocking)
        return s

    def flows(self, host):
        return sum(w["flows"] for w in host.status()["relayd"]["relay"]["workers"])

    def process(self, host):
        return host.status()["relayd"]["relay"]["process"]

    def descriptors(self):
        return [self.process(h)["fds"] for h in self.mesh.hosts.values()]

    def settles(self):
        for host in self.mesh.hosts.values():
            netns.wait_for(lambda h=host: self.flows(h) == 0, 10 * mesh.PATIENCE)

    def pss(self, host):
        with open(f"/proc/{host.status()['relayd']['relay']['pid']}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("Pss:"))


@pytest.fixture(scope="module")
def world():
    w = World()
    try:
        yield w
    except BaseException:
        w.mesh.dump()
        raise
    finally:
        w.mesh.close()


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def policy(name, action, rules):
    return ("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
            f"metadata: {{name: {name}, namespace: shop}}\nspec: {{action: {action}, rules: {rules}}}\n")


@contextlib.contextmanager
def manifest(host, name, text):
    host.manifest(name, text)
    host.reload()
    try:
        yield
    finally:
        os.unlink(os.path.join(host.root, "etc/tulle/mesh.d", name))
        host.reload()


def test_an_audit_policy_is_logged_and_counted_and_changes_nothing(world):
    b, message = world.b, "connection matches an audit policy"
    audits = lambda: b.metric("tulle_authz_decision_count_total", decision="audit")
    before = audits()
    with manifest(b, "watch.yaml", policy("watch", "AUDIT", '[{from: [{source: {principals: ["mesh.test/ns/shop/sa/web"]}}]}]')):
        assert world.a.curl(URL).stdout == PAGE
        line = b.daemons["relayd"].wait_for(message)
        assert line["reason"] == "watch" and line["peer_id"] == "spiffe://mesh.test/ns/shop/sa/web"
        assert line["file"].endswith("watch.yaml") and line["line"] > 0
        netns.wait_for(lambda: audits() == before + 1)
        assert b.curl(URL).stdout == PAGE  # db itself, which the policy does not name
        assert len(b.daemons["relayd"].lines(message)) == 1
    with manifest(b, "watch.yaml", policy("watch", "AUDIT", "[{}]")):
        assert b.curl(URL).stdout == PAGE  # a flow between two workloads of one host is seen as well
        line = b.daemons["relayd"].wait_for(message, count=2)
        assert line["peer_id"] == "spiffe://mesh.test/ns/shop/sa/db"
        netns.wait_for(lambda: audits() == before + 2)


def test_a_denied_flow_within_one_host_is_told_as_one_of_a_peer_is(world):
    b = world.b
    denials = lambda: b.metric("tulle_authz_decision_count_total", decision="deny")
    before = denials()
    with manifest(b, "deny.yaml", policy("nobody", "DENY", "[{}]")):
        assert b.curl(URL, check=False).returncode != 0
        line = b.daemons["relayd"].wait_for("local connection denied by policy")
        assert line["reason"] == "denied by a rule" and line["file"].endswith("deny.yaml") and line["line"] > 0
        assert line["peer_id"] == "spiffe://mesh.test/ns/shop/sa/db"
        netns.wait_for(lambda: denials() == before + 1)
    assert b.curl(URL).stdout == PAGE


def full_listener(ns, address):
    """A listening socket whose queue is full: who connects now waits.  The sockets that fill it come along."""
    with ns.inside():
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(address)
        s.listen(0)
        fill = []
        for _ in range(4):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(address)
            fill.append(c)
    return [s, *fill]


def close_all(sockets):
    for s in sockets:
        s.close()


def listen(ns, address):
    with ns.inside():
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(address)
        s.listen(256)
    s.settimeout(10)
    return s


def ends(s):
    """Reads to the end; "eof" or "reset"."""
    s.settimeout(25 * mesh.PATIENCE)
    try:
        while s.recv(65536):
            pass
        return "eof"
    except ConnectionError:
        return "reset"


def reset_while_dialling(world):
    """Host a still connects to an endpoint outside the mesh that does not take it."""
    held = full_listener(world.wire, ("10.77.0.62", 8080))
    clients = [world.client("10.96.0.4") for _ in range(10)]
    netns.wait_for(lambda: world.flows(world.a) == 10)
    for c in clients:
        reset(c)
    world.settles()
    close_all(held)


def reset_while_connect_is_pending(world):
    """Host b still connects to its application; its other end hears of the reset."""
    held = full_listener(world.b.ns, (world.b.ip, 7100))
    clients = [world.client(world.b.ip, 7100) for _ in range(10)]
    netns.wait_for(lambda: world.flows(world.b) == 10)
    for c in clients:
        reset(c)
    world.settles()
    close_all(held)


def reset_in_a_handshake(world):
    """Peers that are gone after half a ClientHello."""
    refused = len(world.b.daemons["relayd"].lines("tunnel refused"))
    for _ in range(10):
        with world.a.ns.inside():
            s = socket.create_connection((world.b.ip, 15008), timeout=5)
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40))
        time.sleep(0.01)
        reset(s)
    world.b.daemons["relayd"].wait_for("tunnel refused", count=refused + 10)


def reset_after_a_half_close(world):
    """The client has said all, and goes without waiting for the answer."""
    with contextlib.closing(listen(world.b.ns, (world.b.ip, 7101))) as server:
        for _ in range(10):
            c = world.client(world.b.ip, 7101)
            c.sendall(b"all of it")
            c.shutdown(socket.SHUT_WR)
            app, _ = server.accept()
            assert ends(app) == "eof"
            reset(c)
            for _ in range(500):  # the reset is heard when something is written at the latest
                try:
                    app.send(b"x" * 1000)
                except OSError:
                    break
                time.sleep(0.01)
            else:
                pytest.fail("the application never heard of the reset")
            app.close()


def reset_by_the_application(world):
    """At once, in the middle of its answer, and after the client's half-close."""
    with contextlib.closing(listen(world.b.ns, (world.b.ip, 7102))) as server:
        for stage in range(9):
            c = world.client(world.b.ip, 7102)
            c.sendall(b"question")
            app, _ = server.accept()
            if stage % 3 == 1:
                assert app.recv(100) == b"question"
                app.sendall(b"half of an answ")
                assert c.recv(100) == b"half of an answ"
            if stage % 3 == 2:
                c.shutdown(socket.SHUT_WR)
                assert ends(app) == "eof"
            reset(app)
            assert ends(c) == "reset"
            c.close()


@pytest.mark.san
@pytest.mark.parametrize("stage", [reset_while_dialling, reset_while_connect_is_pending, reset_in_a_handshake,
                                   reset_after_a_half_close, reset_by_the_application], ids=lambda f: f.__name__)
def test_a_reset_at_every_stage_leaves_nothing_behind(world, stage):
    assert world.a.curl(URL).stdout == PAGE  # the tunnel is there
    world.settles()
    before = world.descriptors()
    stage(world)
    world.settles()
    netns.wait_for(lambda: world.descriptors() == before)
    assert world.a.curl(URL).stdout == PAGE


FLOWS, OFFERED, WINDOW = 50, 100 << 20, 256 << 10


def pump(writers, readers, seconds, block=bytes(1 << 16)):
    """Writes to all writers and reads from all readers until nothing has moved for a second; ends those who have said all.

    writers: {socket: bytes left}, readers: {socket: bytes that came}.
    """
    poll, by_fd = select.poll(), {}
    for s in {*writers, *readers}:
        by_fd[s.fileno()] = s
        poll.register(s, (select.POLLOUT if writers.get(s) else 0) | (select.POLLIN if s in readers else 0))
    until = time.monotonic() + seconds
    while time.monotonic() < until and (ready := poll.poll(1000)):
        for fd, events in ready:
            s = by_fd[fd]
            with contextlib.suppress(BlockingIOError):
                if events & select.POLLOUT and writers.get(s):
                    writers[s] -= s.send(block[:writers[s]])
                    if writers[s] == 0:
                        s.shutdown(socket.SHUT_WR)
                        poll.modify(s, select.POLLIN if s in readers else 0)
                if events & (select.POLLIN | select.POLLHUP) and s in readers:
                    got = s.recv(1 << 20)
                    readers[s] += len(got)
                    if not got:
                        poll.unregister(s)


def test_readers_that_stall_cost_no_more_than_their_windows_and_all_recovers(world):
    """50 flows, 100 MB offered each way, and nobody reads: memory is bounded, nothing spins, others go on; then all arrives."""
    a, b = world.a, world.b
    hosts = (a, b)
    with contextlib.closing(listen(b.ns, (b.ip, 7200))) as server:
        clients, apps = [], []
        for _ in range(FLOWS):
            clients.append(world.client(b.ip, 7200))
            apps.append(server.accept()[0])
        for s in (*clients, *apps):
            s.setblocking(False)
        empty = {h: world.pss(h) for h in hosts}
        left = {s: OFFERED for s in (*clients, *apps)}
        pump(left, {}, 60 * mesh.PATIENCE)
        taken = {s: OFFERED - n for s, n in left.items()}
        assert all(0 < n < OFFERED // 2 for n in taken.values())  # the offer was stopped in the sockets
        # On each host a flow's bytes out of the tunnel wait, at most a window, in a buffer that may be twice as large; what
        # goes into the tunnel waits in the application's socket.  8 MiB are for what a tunnel and its sockets share.
        for h in hosts:
            assert world.pss(h) - empty[h] <= FLOWS * 2 * WINDOW + (8 << 20) or mesh.sanitized()
        cpu = [world.process(h)["cpu_ns"] for h in hosts]
        time.sleep(1)
        for h, began in zip(hosts, cpu):
            assert world.process(h)["cpu_ns"] - began < 0.3e9 * mesh.PATIENCE
        assert a.curl(URL).stdout == PAGE  # in the same tunnel
        # They read again: every byte that was taken arrives, and the ends.
        for s in left:
            s.shutdown(socket.SHUT_WR)
        came = {s: 0 for s in left}
        pump({}, came, 120 * mesh.PATIENCE)
        for c, s in zip(clients, apps):
            assert came[c] == taken[s] and came[s] == taken[c]
        close_all(clients + apps)
    world.settles()
    for h in hosts:  # and the memory is given back, but for what the allocator keeps
        netns.wait_for(lambda h=h: world.pss(h) - empty[h] <= (12 << 20) or mesh.sanitized())
    assert a.curl(URL).stdout == PAGE


class MuteServer:
    """Takes a tunnel's TLS and settings at 10.77.0.60, and never answers a CONNECT."""

    def __init__(self, world):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(*world.authority.leaf("mute", "spiffe://mesh.test/ns/shop/sa/db"))
        context.load_verify_locations(world.authority.pem)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
        self.listener = context.wrap_socket(listen(world.wire, ("10.77.0.60", 15008)), server_side=True)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            conn, _ = self.listener.accept()
            conn.sendall(SETTINGS)
            while conn.recv(65536):
                pass

    def close(self):
        self.listener.close()


def test_every_state_has_a_deadline_and_says_which_one_it_was(world):
    """All at once, to wait for the longest alone: silence before, in and after a handshake, before and after a CONNECT."""
    a, b = world.a, world.b
    before = world.descriptors()
    mute = MuteServer(world)
    held = [*full_listener(world.wire, ("10.77.0.62", 8080)), *full_listener(b.ns, (b.ip, 7300)),
            listen(world.wire, ("10.77.0.61", 15008))]
    with a.ns.inside():
        silent = socket.create_connection((b.ip, 15008), timeout=5)  # never says ClientHello
    asker = dial(world, world.authority.leaf("asker", "spiffe://mesh.test/ns/shop/sa/other"))
    asker.sendall(PREFACE + SETTINGS + headers(1, literal(b":method", b"CONNECT") + literal(b":authority", f"{b.ip}:7300".encode())))
    quiet = dial(world, world.authority.leaf("quiet", "spiffe://mesh.test/ns/shop/sa/quiet"))  # not even a preface
    clients = {name: world.client(ip) for name, ip in
               (("mute", "10.96.0.2"), ("dumb", "10.96.0.3"), ("full", "10.96.0.4"))}
    began = time.monotonic()
    assert {name: ends(c) for name, c in clients.items()} == dict.fromkeys(clients, "reset")
    assert 9 < time.monotonic() - began < 20 * mesh.PATIENCE
    failed = {line["destination"]: line["reason"] for line in a.daemons["relayd"].lines("outbound connection failed")}
    assert failed["10.96.0.2:80"] == "tunnel_timeout"   # CONNECT never answered
    assert failed["10.96.0.3:80"] == "tunnel_timeout"   # a handshake that never ends
    assert failed["10.96.0.4:80"] == "connect_timeout"  # a connect that is never taken
    line = a.daemons["relayd"].wait_for("tunnel failed: handshake")
    assert line["peer"] == "10.77.0.61:15008" and line["reason"] == "timed out"
    lines = b.daemons["relayd"].lines("tunnel refused")
    assert [x for x in lines if x["reason"] == "timed out"], lines[-3:]
    assert ends(silent) in ("eof", "reset")
    line = b.daemons["relayd"].wait_for("the application cannot be reached", 20)
    assert line["reason"] == "connect_timeout" and line["destination"] == f"{b.ip}:7300"
    b.daemons["relayd"].wait_for("tunnel ended: its peer does not answer", 40, count=2)  # no PING of ours either
    assert {x["peer_id"].rsplit("/")[-1] for x in b.daemons["relayd"].lines("tunnel ended: its peer does not answer")} == \
        {"quiet", "other"}
    mute.close()
    close_all([*held, *clients.values(), silent, asker, quiet])
    world.settles()
    assert a.curl(URL).stdout == PAGE
    netns.wait_for(lambda: all(now <= then + 2 for now, then in zip(world.descriptors(), before)), 40)


def test_a_peer_that_breaks_the_protocol_again_and_again_does_not_flood_the_log(world):
    leaf = world.authority.leaf("breaker", "spiffe://mesh.test/ns/shop/sa/breaker")
    b, message = world.b, "tunnel broken by its peer"
    began, times = time.monotonic(), 250
    for _ in range(times):
        s = dial(world, leaf)
        with contextlib.suppress(OSError):
            s.sendall(b"PUT * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            s.recv(100)
        s.close()
    line = b.daemons["relayd"].wait_for(message)
    assert line["reason"] and line["peer_id"] == "spiffe://mesh.test/ns/shop/sa/breaker"
    lines = len(b.daemons["relayd"].lines(message))
    assert lines <= 101 + 20 * (time.monotonic() - began)
    assert lines < times or time.monotonic() - began > times / 20  # a machine so slow has no flood
    assert world.a.curl(URL).stdout == PAGE
