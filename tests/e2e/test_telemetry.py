# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told about connections, and that telling it never touches them."""
import json
import os
import signal
import socket
import ssl
import time

import pytest

import mesh
import netns
import watched
from watched import DB, URL, WEB

DROPPED = "tulle_telemetry_dropped_total"


class World(watched.Watched):
    """With `tulle collect` on the wire."""

    def __init__(self):
        super().__init__(f"y{os.getpid()}")
        self.out = os.path.join(self.mesh.top, "records.jsonl")
        self.collect = None
        self.start_collector()
        self.start()

    def start_collector(self):
        self.collect = mesh.Daemon(watched.Wire(self), "collect", [
            mesh.binary("tulle"), "collect", "--listen", f"{watched.COLLECTOR}:4318", "--out", self.out])
        watched.wait_for_collector(self)

    def records(self, kind):
        found = []
        if os.path.exists(self.out):
            with open(self.out, encoding="utf-8") as f:
                for line in f:
                    if line.endswith("\n") and f'"signal":"{kind}"' in line.replace(" ", "")[:40]:
                        found.append(json.loads(line))
        return found

    def closes(self, direction, **attributes):
        """The log records of connections; response_flag="UF" is the attribute tulle.response_flag."""
        want = {"tulle.direction": direction, **{f"tulle.{k}": v for k, v in attributes.items()}}
        return [r for r in self.records("log") if want.items() <= r["attributes"].items()]

    def wait_for_close(self, direction, count=1, **attributes):
        netns.wait_for(lambda: len(self.closes(direction, **attributes)) >= count, 20 * mesh.PATIENCE, every=0.1)
        return self.closes(direction, **attributes)[-1]

    def status(self, host):
        return host.status()["telemetryd"]

    def close(self):
        self.stop_hosts()
        if self.collect is not None:
            self.collect.stop()
        super().close()


@pytest.fixture(scope="module")
def world():
    w = World()
    try:
        yield w
    except BaseException:
        w.mesh.dump()
        raise
    finally:
        w.close()


@pytest.mark.san
def test_every_connection_leaves_a_record_on_both_sides(world):
    """25 connections: 25 records and spans from each side, in zstd, with both principals, bytes, times, outcome."""
    world.settle()
    before = {d: len(world.closes(d)) for d in ("outbound", "inbound")}
    sent, received = world.curl(25)
    for direction in before:
        world.wait_for_close(direction, before[direction] + 25)
        assert len(world.closes(direction)) == before[direction] + 25  # and not one more
        for r in world.closes(direction)[-25:]:
            at = r["attributes"]
            assert r["encoding"] == "zstd" and r["wire_bytes"] < r["raw_bytes"]
            assert r["severity"] == "INFO" and at["tulle.outcome"] == "success" and at["tulle.tls.mode"] == "mutual"
            assert at["tulle.source.principal"] == WEB and at["tulle.destination.principal"] == DB
            assert at["tulle.destination.workload"] == "db-1"
            assert 0 < at["tulle.duration_us"] < 10_000_000 * mesh.PATIENCE
            assert sent - 2 <= at["tulle.rx_bytes"] <= sent + 2 and at["tulle.tx_bytes"] == received  # ?1 to ?25
            step = "tulle.tunnel_us" if direction == "outbound" else "tulle.connect_us"
            assert 0 < at[step] <= at["tulle.duration_us"] + 1
    assert world.closes("outbound")[-1]["attributes"]["tulle.destination.service"] == "db.shop.svc.cluster.local"
    spans = lambda: {s["span_id"] for s in world.records("span")}  # traces: 100%
    netns.wait_for(lambda: {r["span_id"] for d in before for r in world.closes(d)} <= spans(), 20 * mesh.PATIENCE)


@pytest.mark.san
def test_metrics_count_and_survive_both_kinds_of_death(world):
    a, b = world.a, world.b
    who = {"tulle_source_principal": WEB, "tulle_destination_principal": DB}
    ends = {"outbound": a, "inbound": b}
    count = lambda d: world.metric(ends[d], "tulle_connection_count_total", direction=d, outcome="success", **who)
    moved = lambda d, way: world.metric(ends[d], "tulle_connection_io_bytes_total", direction=d, network_io_direction=way,
                                        **who)
    before = {d: (count(d), moved(d, "receive"), moved(d, "transmit")) for d in ends}
    sent, received = world.curl(9)
    for d in ends:
        netns.wait_for(lambda d=d: count(d) == before[d][0] + 9, 20)
        assert moved(d, "receive") == before[d][1] + 9 * sent and moved(d, "transmit") == before[d][2] + 9 * received
        assert world.metric(ends[d], "tulle_connection_active", direction=d) == 0
    world.kill_telemetryd(a)
    world.curl()  # while nobody looks
    world.start_telemetryd(a)
    netns.wait_for(lambda: count("outbound") == before["outbound"][0] + 10)
    os.kill(a.status()["relayd"]["relay"]["pid"], signal.SIGKILL)
    world.curl()
    netns.wait_for(lambda: count("outbound") == before["outbound"][0] + 11)
    assert world.metric(a, "tulle_relay_start_count_total") >= 2
    sums = lambda: [r["value"] for r in world.records("metric") if r["name"] == "tulle.connection.count" and
                    r["attributes"].get("direction") == "outbound" and r["attributes"].get("outcome") == "success"]
    netns.wait_for(lambda: sums()[-1] == count("outbound"), 20 * mesh.PATIENCE)  # OTLP says what /metrics says
    assert sums() == sorted(sums())


@pytest.mark.san
def test_a_refusal_is_recorded_with_reason_flag_and_policy(world):
    """By both relays: the one that refuses names its policy, the other one says that it was refused."""
    a, b = world.a, world.b
    watched.forbid(b)
    try:
        assert a.curl(URL, check=False).returncode != 0
    finally:
        watched.forgive(b)
    r = world.wait_for_close("inbound", response_flag="UAEX")
    at = r["attributes"]
    assert r["severity"] == "WARN" and r["body"] == "connection denied" and at["tulle.outcome"] == "denied"
    assert at["tulle.response_detail"] == "denied_by_policy" and at["tulle.authz.policy"] == "shop/nobody"
    assert at["tulle.source.principal"] == WEB and at["tulle.destination.principal"] == DB
    at = world.wait_for_close("outbound", response_flag="UAEX")["attributes"]
    assert at["tulle.outcome"] == "denied" and at["tulle.response_detail"] == "tunnel_denied"
    netns.wait_for(lambda: world.metric(b, "tulle_authz_decision_count_total", decision="deny") >= 1)
    netns.wait_for(lambda: world.metric(a, "tulle_connection_count_total", direction="outbound", outcome="denied") >= 1)


def test_a_failure_is_recorded_with_reason_and_flag(world):
    assert world.a.curl(f"http://{world.b.ip}:9999/", check=False).returncode != 0
    for direction, detail in (("inbound", "connect_refused"), ("outbound", "tunnel_refused")):
        r = world.wait_for_close(direction, response_flag="UF", response_detail=detail)
        assert r["severity"] == "WARN" and r["body"] == "connection failed"
        assert r["attributes"]["destination.port"] == 9999
    netns.wait_for(lambda: world.metric(world.b, "tulle_upstream_connect_failure_count_total",
                                        error_type="refused") >= 1)


def test_a_refused_handshake_is_counted_by_its_reason(world):
    """A TLS client without a certificate at port 15008: one more, at /metrics and at the collector."""
    name = "tulle_tls_handshake_count_total"
    before = world.metric(world.b, name, direction="inbound", error_type="no_certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with world.a.ns.inside():
        raw = socket.create_connection((world.b.ip, 15008), timeout=5)
    with raw, pytest.raises(OSError):
        with context.wrap_socket(raw) as s:
            s.sendall(b"PRI * HTTP/2.0\r\n\r\n")
            if not s.recv(100):
                raise ConnectionError("an end without a word")
    netns.wait_for(lambda: world.metric(world.b, name, direction="inbound", error_type="no_certificate") == before + 1)
    told = lambda: [r for r in world.records("metric") if r["name"] == "tulle.tls.handshake.count" and
                    r["attributes"].get("error.type") == "no_certificate" and r["value"] == before + 1]
    netns.wait_for(told, 20 * mesh.PATIENCE)


@pytest.mark.san
def test_a_dead_telemetryd_costs_no_request_and_loses_no_record(world):
    """Killed, then traffic: all answered; what the rings kept is told when it is back, each connection once."""
    world.settle()
    before = len(world.closes("outbound"))
    world.curl()
    world.wait_for_close("outbound", before + 1)
    world.kill_telemetryd(world.a)
    world.curl(40)
    world.start_telemetryd(world.a)
    world.wait_for_close("outbound", before + 41)
    assert len({(r["resource"]["service.instance.id"], r["attributes"]["tulle.connection.id"])
                for r in world.closes("outbound")[before:]}) == 41


@pytest.mark.san
def test_a_dead_collector_costs_no_request_and_its_return_brings_the_records(world):
    """All is queued and nothing dropped; status says what is wrong; then each arrives once."""
    world.settle()
    before = len(world.closes("outbound"))
    world.collect.stop()
    world.curl(40)
    netns.wait_for(lambda: world.lane(world.a, "logs")["queued"] >= 40, 20 * mesh.PATIENCE)
    netns.wait_for(lambda: world.lane(world.a, "logs")["failures"] > 0, 20 * mesh.PATIENCE)
    assert world.lane(world.a, "logs")["last_error"]
    world.start_collector()
    world.wait_for_close("outbound", before + 40)
    assert len(world.closes("outbound")) == before + 40
    assert world.metric(world.a, DROPPED, signal="logs") == 0


def test_a_silent_collector_costs_no_request(world):
    """It takes connections and never answers: traffic does not notice, status says what is wrong, and nothing is lost."""
    world.settle()
    before = len(world.closes("outbound"))
    world.collect.stop()
    with world.wire.inside():
        silent = socket.create_server((watched.COLLECTOR, 4318))
    try:
        began = time.monotonic()
        world.curl(40)
        assert time.monotonic() - began < 5 * mesh.PATIENCE
        netns.wait_for(lambda: world.lane(world.a, "logs")["failures"] > 0, 40 * mesh.PATIENCE, every=0.2)
        assert "time" in world.lane(world.a, "logs")["last_error"]
    finally:
        silent.close()
        world.start_collector()
    world.wait_for_close("outbound", before + 40)
    assert world.metric(world.a, DROPPED, signal="logs") == 0


def test_what_is_too_much_is_dropped_and_counted_by_reason(world):
    """More connections than the ring holds while telemetryd is dead: none fails, and every event has its place.

    The ring takes 7,168 successes, the rest is no_consumer; of those that are left more than the rate allows is rate_cap.
    """
    a = world.a
    events = lambda: world.status(a)["events"]
    world.settle()
    before, logs = events(), len(world.closes("outbound"))
    world.kill_telemetryd(a)
    for _ in range(4):
        world.curl(1900)
    world.start_telemetryd(a)
    netns.wait_for(lambda: events()["in_ring"] == 0 and events()["taken"] == 7168, 20 * mesh.PATIENCE)
    lost = 4 * 1900 - 7168
    assert events()["no_consumer"] - before["no_consumer"] + events()["ring_full"] - before["ring_full"] == lost
    assert world.metric(a, "tulle_event_dropped_count_total") == events()["no_consumer"] + events()["ring_full"]
    capped = world.metric(a, DROPPED, signal="logs", reason="rate_cap")
    assert 4000 < capped < 7168
    assert world.metric(a, DROPPED, signal="traces", reason="rate_cap") > capped  # spans have the smaller allowance
    netns.wait_for(lambda: len(world.closes("outbound")) == logs + 7168 - capped, 20 * mesh.PATIENCE, every=0.2)
    lane = world.lane(a, "logs")
    assert lane["accepted"] == lane["delivered"] + lane["rejected"] + lane["queued"] + sum(lane["dropped"].values())


def test_cost_of_every_daemon_is_among_the_metrics(world):
    a = world.a
    names = ("tulle-relayd", "tulle-relayd/relay", "tulle-certd", "tulle-telemetryd")
    for metric in ("tulle_process_cpu_time_seconds_total", "tulle_process_memory_usage_bytes",
                   "tulle_process_open_file_descriptor_count", "tulle_process_start_time_seconds"):
        netns.wait_for(lambda m=metric: all(world.metric(a, m, process_name=n) > 0 for n in names), 30)
    told = lambda: {r["attributes"]["process.name"] for r in world.records("metric") if r["name"] == "tulle.process.cpu.time"}
    netns.wait_for(lambda: told() == set(names), 20 * mesh.PATIENCE)
    assert world.metric(a, "tulle_process_up") == 3


def test_how_long_the_certificate_lasts_is_told(world):
    for host in (world.a, world.b):
        assert 0 < world.metric(host, "tulle_certificate_expiry_seconds", role="own_leaf") <= 3600
        assert 4 * 365 * 86400 < world.metric(host, "tulle_certificate_expiry_seconds", role="trust_anchor") < 6 * 365 * 86400
    netns.wait_for(lambda: [r for r in world.records("metric") if r["name"] == "tulle.certificate.expiry" and
                            0 < r["value"] <= 3600 and r["attributes"] == {"role": "own_leaf"}], 20 * mesh.PATIENCE)


@pytest.mark.san
def test_nothing_personal_leaves_the_host(world):
    """Marked secrets in path, query, headers and body of a request: in no record, no metric, no log, no status."""
    a = world.a
    mark = "geheim4711"
    world.settle()
    before = len(world.closes("outbound"))
    a.curl(f"{URL}{mark}?token={mark}", "-H", f"Authorization: Bearer {mark}", "-H", f"Cookie: {mark}", "-A", mark, "-d",
           mark, check=False)
    world.wait_for_close("outbound", before + 1)
    with open(world.out, encoding="utf-8") as f:
        assert mark not in f.read()
    for host in world.mesh.hosts.values():
        assert mark not in world.scrape(host) and mark not in json.dumps(host.status())
        for name in ("relayd", "telemetryd", "certd"):
            assert mark not in host.daemons[name].log()
    with open(os.path.join(world.b.work, "nginx-8080/access.log"), encoding="utf-8") as f:
        assert mark in f.read()  # it did go that way


def test_of_a_client_without_an_identity_only_its_network_is_told(world):
    """A stranger in plaintext: the record has 10.77.0.0 and no port."""
    world.settle()
    before = len(world.closes("inbound", **{"tls.mode": "none"}))
    world.wire.run("ip", "addr", "add", "10.77.0.99/24", "dev", "br0")
    try:
        assert world.wire.run("curl", "-sS", f"http://{world.b.ip}:8080/").stdout == watched.PAGE
    finally:
        world.wire.run("ip", "addr", "del", "10.77.0.99/24", "dev", "br0")
    at = world.wait_for_close("inbound", before + 1, **{"tls.mode": "none"})["attributes"]
    assert at["network.peer.address"] == "10.77.0.0" and "network.peer.port" not in at
    assert "tulle.source.principal" not in at
    with open(world.out, encoding="utf-8") as f:
        assert "10.77.0.99" not in f.read()
