# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh of two hosts, and the real OpenTelemetry Collector as the place where all they tell goes."""
import os
import sys

import pytest

from conftest import wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import mesh  # noqa: E402
import watched  # noqa: E402
from watched import DB, URL, WEB  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")

# The severities and span fields by their OTLP numbers, as the Collector's JSON has them.
INFO, WARN, CLIENT, INTERNAL, ERROR = 9, 13, 3, 1, 2


class World(watched.Watched):
    def __init__(self, new_collector):
        super().__init__(f"c{os.getpid()}")
        self.new_collector, self.collector = new_collector, None
        self.start_collector()
        self.start()

    def start_collector(self):
        self.collector = self.new_collector(self.mesh.top, address=f"{watched.COLLECTOR}:4318",
                                            enter=["ip", "netns", "exec", self.wire.name])

    def settle(self):
        super().settle()
        hosts = self.mesh.hosts.values()
        for kind, found in (("logs", self.collector.logs), ("traces", self.collector.spans)):
            wait_for(f"{kind} in the file", lambda k=kind, f=found: len(f()) == sum(self.lane(h, k)["delivered"] for h in hosts))

    def close(self):
        self.stop_hosts()
        if self.collector is not None:
            self.collector.stop()
        super().close()


@pytest.fixture(scope="module")
def world(new_collector):
    w = World(new_collector)
    try:
        yield w
    finally:
        w.close()


def plain(attributes):
    """OTLP's list of attributes as a dictionary of Python's values."""
    found = {}
    for a in attributes:
        (kind, value), = a["value"].items()
        found[a["key"]] = int(value) if kind == "intValue" else value
    assert len(found) == len(attributes)  # no key twice: OTLP forbids it
    return found


def connections(found, direction, **more):
    """Those of (resource, record) that are of this direction."""
    want = {"tulle.direction": direction, **{f"tulle.{k}": v for k, v in more.items()}}
    return [(plain(resource["attributes"]), record, plain(record["attributes"])) for resource, record in found
            if want.items() <= plain(record["attributes"]).items()]


def test_logs_and_spans_of_every_connection(world):
    """20 connections: the Collector has 20 log records and 20 spans of each side, and they belong together."""
    c = world.collector
    count = lambda: [len(connections(found, d)) for found in (c.logs(), c.spans()) for d in ("outbound", "inbound")]
    world.settle()
    before = count()
    sent, received = world.curl(20)
    wait_for("logs and spans", lambda: count() == [n + 20 for n in before])
    for direction, service, kind in (("outbound", "web", CLIENT), ("inbound", "db", INTERNAL)):
        spans = {s["spanId"]: (s, at) for _, s, at in connections(c.spans(), direction)}
        for resource, record, at in connections(c.logs(), direction)[-20:]:
            assert resource["service.name"] == service and resource["service.namespace"] == "shop"
            assert record["severityNumber"] == INFO and record["body"]["stringValue"] == "connection closed"
            assert at["tulle.source.principal"] == WEB and at["tulle.destination.principal"] == DB
            assert abs(at["tulle.rx_bytes"] - sent) <= 2 and at["tulle.tx_bytes"] == received
            span, same = spans[record["spanId"]]
            assert span["traceId"] == record["traceId"] and len(span["traceId"]) == 32
            assert span["name"] == "tulle.connection" and span["kind"] == kind
            took = int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])
            assert took // 1000 == at["tulle.duration_us"] and took > 0
            assert {k: v for k, v in at.items() if k != "tulle.duration_us"} == same


def test_all_of_it_travels_in_zstd_and_nothing_is_refused(world):
    world.curl()
    for host in world.mesh.hosts.values():
        for kind in ("logs", "traces", "metrics"):
            wait_for(f"{kind} of {host.name}", lambda h=host, k=kind: world.lane(h, k)["delivered"] > 0)
            l = world.lane(host, kind)
            assert l["compression"] == "zstd" and l["rejected"] == 0 and not l["fault"] and not l["dropped"]


def test_a_refusal_is_an_error_for_the_collector_too(world):
    watched.forbid(world.b)
    try:
        assert world.a.curl(URL, check=False).returncode != 0
    finally:
        watched.forgive(world.b)
    c = world.collector
    denied = {"outcome": "denied", "response_flag": "UAEX"}
    wait_for("the records", lambda: all(connections(found, d, **denied) for found in (c.logs(), c.spans())
                                        for d in ("inbound", "outbound")))
    _, record, at = connections(c.logs(), "inbound", **denied)[-1]
    assert record["severityNumber"] == WARN and at["tulle.authz.policy"] == "shop/nobody"
    _, span, at = connections(c.spans(), "inbound", **denied)[-1]
    assert span["status"]["code"] == ERROR and at["error.type"] == "denied_by_policy"


def points(world, name, kind="sum", **attributes):
    """Host a's points of a metric that have these attributes, in the order of their time."""
    want = {k.replace("_", "."): v for k, v in attributes.items()}
    found = []
    for metric in world.collector.metrics().get(name, []):
        if plain(metric["resource"]["attributes"])["service.name"] != "web":
            continue
        for p in metric[kind]["dataPoints"]:
            if want.items() <= plain(p.get("attributes", [])).items():
                found.append((int(p["timeUnixNano"]), p))
    return [p for _, p in sorted(found, key=lambda pair: pair[0])]


def test_metrics_are_cumulative_sums_with_units(world):
    who = {"direction": "outbound", "outcome": "success", "tulle_source_principal": WEB}
    value = lambda: points(world, "tulle.connection.count", **who)[-1]["asDouble"]
    world.curl()
    wait_for("the counter", lambda: points(world, "tulle.connection.count", **who))
    count = lambda: world.metric(world.a, "tulle_connection_count_total", direction="outbound", outcome="success")
    wait_for("what /metrics says", lambda: value() == count())
    before = value()
    world.curl(7)
    wait_for("seven more", lambda: value() == before + 7)
    metric = world.collector.metrics()["tulle.connection.count"][-1]
    assert metric["unit"] == "{connection}"
    assert metric["sum"]["aggregationTemporality"] == 2 and metric["sum"]["isMonotonic"]
    sums = points(world, "tulle.connection.count", **who)
    assert len({p["startTimeUnixNano"] for p in sums}) == 1  # one counter, never begun anew
    durations = points(world, "tulle.connection.duration", "histogram", direction="outbound", tulle_tls_mode="mutual")
    last = durations[-1]
    assert int(last["count"]) == sum(int(n) for n in last["bucketCounts"]) >= before + 7 and last["sum"] > 0
    assert world.collector.metrics()["tulle.connection.duration"][-1]["unit"] == "s"
    expiry = points(world, "tulle.certificate.expiry", "gauge", role="own_leaf")
    assert 0 < expiry[-1]["asDouble"] <= 3600


def test_the_collector_goes_and_comes_back(world):
    """Down for a while: no request fails, every record arrives once."""
    world.settle()
    count = lambda: len(connections(world.collector.logs(), "outbound"))
    before = count()
    world.collector.stop()
    world.curl(30)
    queue = lambda: world.lane(world.a, "logs")
    wait_for("the queue", lambda: queue()["queued"] >= 30 and queue()["failures"] > 0)
    world.start_collector()
    wait_for("the records", lambda: count() >= before + 30, 40)
    world.settle()
    assert count() == before + 30 and queue()["dropped"] == {}


def test_the_collector_complains_of_nothing(world):
    text = world.collector.said()
    assert "\terror\t" not in text and "\twarn\t" not in text, text
