# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers themselves: what the other interop tests take for granted of them."""
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import wait_for


def field(number, body):
    """One length-delimited protobuf field, shorter than 128 bytes."""
    assert len(body) < 128
    return bytes([number << 3 | 2, len(body)]) + body


def one_gauge(name, value):
    """An ExportMetricsServiceRequest with one gauge of one point (opentelemetry/proto/metrics/v1)."""
    point = bytes([6 << 3 | 1]) + value.to_bytes(8, "little")  # as_int, sfixed64
    metric = field(1, name.encode()) + field(5, field(1, point))
    return field(1, field(2, field(2, metric)))


def post(url, body, encoding):
    request = urllib.request.Request(url + "/v1/metrics", data=body, method="POST", headers={
        "Content-Type": "application/x-protobuf", "Content-Encoding": encoding})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status


def test_the_collector_reads_zstd(collector):
    body = subprocess.run(["zstd", "-q", "-c"], input=one_gauge("tulle.test", 42), capture_output=True, check=True).stdout
    assert body[:4] == b"\x28\xb5\x2f\xfd"
    assert post(collector.url, body, "zstd") == 200
    wait_for("the metric", lambda: "tulle.test" in collector.metrics())
    (metric,) = collector.metrics()["tulle.test"]
    assert metric["gauge"]["dataPoints"][0]["asInt"] == "42"


def test_the_collector_refuses_what_is_not_what_it_says(collector):
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(collector.url, b"this is no zstd frame", "zstd")
    assert refused.value.code == 400
    assert collector.batches() == []


def test_go_spiffe_says_that_nobody_serves_its_socket(gospiffe, tmp_path):
    status, lines = gospiffe(tmp_path / "none.sock", "fetch", timeout="2s")
    assert status == 1
    assert lines[-1]["event"] == "failed"
