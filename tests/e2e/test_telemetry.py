# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told about connections, and that telling it never touches them."""
import json
import os
import signal

import pytest

import mesh
import netns

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"
COLLECTOR = "10.99.0.9"


class World:
    """Two hosts of a mesh, and a collector on a wire of its own that the rules do not capture."""

    def __init__(self):
        self.mesh = mesh.Mesh(f"y{os.getpid()}", ["a", "b"])
        m = self.mesh
        m.bridge.run("ip", "addr", "add", "10.99.0.9/24", "dev", "br0")
        self.out = os.path.join(m.top, "records.jsonl")
        for i, host in enumerate(m.hosts.values()):
            host.run("ip", "addr", "add", f"10.99.0.{i + 1}/24", "dev", "eth0")
            host.configure(telemetry={"destinations": [{"otlp": f"http://{COLLECTOR}:4318"}], "traces": "100%",
                                      "access": "all", "metrics": ":9464"},
                           capture={"exclude": {"ports": [22], "cidrs": ["10.99.0.0/24"]}})
            host.environ["OTEL_METRIC_EXPORT_INTERVAL"] = "500"
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
        self.collect = None
        self.start_collector()
        for host in m.hosts.values():
            host.start("telemetryd").wait_for("ready", 20)
            host.start_relay()
            host.daemons["telemetryd"].wait_for("attached to the relay", 20)

    def start_collector(self):
        class Wire:  # what Daemon needs of a host
            ns, work, environ, name = self.mesh.bridge, self.mesh.top, {}, "wire"
        self.collect = mesh.Daemon(Wire, "collect", [mesh.binary("tulle"), "collect", "--listen", f"{COLLECTOR}:4318",
                                                     "--out", self.out])
        netns.wait_for_port(self.mesh.bridge, 4318)

    def records(self, signal_name=None):
        found = []
        if os.path.exists(self.out):
            with open(self.out, encoding="utf-8") as f:
                for line in f:
                    if line.endswith("\n"):
                        record = json.loads(line)
                        if signal_name is None or record.get("signal") == signal_name:
                            found.append(record)
        return found

    def closes(self, direction):
        return [r for r in self.records("log") if attributes(r).get("tulle.direction") == direction]

    def metric(self, host, name, **labels):
        text = host.run("curl", "-s", "http://127.0.0.1:9464/metrics").stdout
        want = [f'{k}="{v}"' for k, v in labels.items()]
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith((name + "{", name + " ")) and all(w in line for w in want))

    def close(self):
        for host in self.mesh.hosts.values():  # while the collector is there: telemetryd sends what it has
            host.close()
        if self.collect is not None:
            self.collect.stop()
        self.mesh.close()


def attributes(record):
    return record.get("attributes", record)


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
    """25 connections: 25 records from each side, zstd on the wire, both principals, bytes, outcome."""
    a = world.mesh["a"]
    before = len(world.closes("outbound")), len(world.closes("inbound"))
    for _ in range(25):
        assert a.curl(URL).stdout == "hello from b:8080\n"
    netns.wait_for(lambda: len(world.closes("outbound")) >= before[0] + 25 and
                   len(world.closes("inbound")) >= before[1] + 25, 20 * mesh.PATIENCE)
    assert len(world.closes("outbound")) == before[0] + 25  # and not one more
    for direction in ("outbound", "inbound"):
        r = world.closes(direction)[-1]
        at = attributes(r)
        assert r["encoding"] == "zstd"
        assert at["tulle.source.principal"] == "mesh.test/ns/shop/sa/web"
        assert at["tulle.destination.principal"] == "mesh.test/ns/shop/sa/db"
        assert at["tulle.tls.mode"] == "mutual"
    spans = [r for r in world.records("span")]
    assert len(spans) >= 50  # traces: 100 %


@pytest.mark.san
def test_metrics_count_and_survive_both_kinds_of_death(world):
    a = world.mesh["a"]
    count = lambda: world.metric(a, "tulle_connection_count_total", direction="outbound", outcome="success")
    before = count()
    for _ in range(5):
        a.curl(URL)
    netns.wait_for(lambda: count() == before + 5)
    a.daemons["telemetryd"].kill(signal.SIGKILL)
    a.daemons["telemetryd"].stop()
    a.curl(URL)  # while nobody looks
    a.start("telemetryd").wait_for("attached to the relay", 20)
    netns.wait_for(lambda: count() == before + 6)
    os.kill(a.status()["relayd"]["relay"]["pid"], signal.SIGKILL)
    a.curl(URL)
    netns.wait_for(lambda: count() == before + 7)


def test_a_refusal_is_recorded_with_reason_flag_and_policy(world):
    a, b = world.mesh["a"], world.mesh["b"]
    b.manifest("deny.yaml", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
                            "metadata: {name: nobody, namespace: shop}\nspec: {}\n")
    b.reload()
    try:
        assert a.curl(URL, check=False).returncode != 0
        denied = lambda: [r for r in world.closes("inbound") if attributes(r).get("tulle.response_flag") == "UAEX"]
        netns.wait_for(denied, 20 * mesh.PATIENCE)
        at = attributes(denied()[-1])
        assert at["tulle.response_detail"] == "denied_by_policy" and "shop/nobody" in at["tulle.authz.policy"]
        netns.wait_for(lambda: world.metric(b, "tulle_authz_decision_count_total", decision="deny") >= 1)
    finally:
        os.unlink(os.path.join(b.root, "etc/tulle/mesh.d/deny.yaml"))
        b.reload()
    failed = a.curl(f"http://{b.ip}:9999/", check=False)
    assert failed.returncode != 0
    netns.wait_for(lambda: [r for r in world.closes("outbound") if attributes(r).get("tulle.response_flag") == "UF"],
                   20 * mesh.PATIENCE)


def test_a_dead_collector_costs_no_request_and_its_return_brings_the_records(world):
    a = world.mesh["a"]
    world.collect.stop()
    before = len(world.closes("outbound"))
    for _ in range(10):
        assert a.curl(URL).stdout == "hello from b:8080\n"
    world.start_collector()
    netns.wait_for(lambda: len(world.closes("outbound")) >= before + 10, 40 * mesh.PATIENCE)
    assert world.metric(a, "tulle_telemetry_dropped_total", reason="queue_full") == 0


def test_cost_of_every_daemon_is_among_the_metrics(world):
    a = world.mesh["a"]
    names = ("tulle-relayd", "tulle-relayd/relay", "tulle-certd", "tulle-telemetryd")
    for metric in ("tulle_process_cpu_time_seconds_total", "tulle_process_memory_usage_bytes",
                   "tulle_process_open_file_descriptor_count"):
        netns.wait_for(lambda m=metric: all(world.metric(a, m, process_name=n) > 0 for n in names), 30)
    expiry = world.metric(a, "tulle_certificate_expiry_seconds", role="own_leaf")
    assert 0 < expiry <= 3600


def test_nothing_personal_leaves_the_host(world):
    """Marked secrets in path, query, headers and body of a request: in no record, no metric, no log."""
    a = world.mesh["a"]
    mark = "geheim4711"
    a.curl(f"{URL}{mark}?token={mark}", "-H", f"Authorization: Bearer {mark}", "-H", f"Cookie: {mark}", "-d", mark,
           check=False)
    before = len(world.closes("outbound"))
    a.curl(URL)
    netns.wait_for(lambda: len(world.closes("outbound")) > before, 20 * mesh.PATIENCE)
    with open(world.out, encoding="utf-8") as f:
        assert mark not in f.read()
    for host in world.mesh.hosts.values():
        assert mark not in host.run("curl", "-s", "http://127.0.0.1:9464/metrics").stdout
        for name in ("relayd", "telemetryd", "certd"):
            assert mark not in host.daemons[name].log()
