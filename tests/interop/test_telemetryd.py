# SPDX-License-Identifier: GPL-3.0-or-later
"""tulle-telemetryd against the real OpenTelemetry Collector."""
import json
import os
import signal
import socket
import subprocess
import urllib.request

import pytest

from conftest import ROOT, free_port, wait_for

BINARY = os.path.join(ROOT, os.environ.get("BUILD", "build"), "tulle-telemetryd")


class Telemetryd:
    def __init__(self, folder, destination, **environment):
        self.root = str(folder)
        self.metrics = free_port()
        os.makedirs(self.root + "/etc/tulle")
        with open(self.root + "/etc/tulle/tulle.yaml", "w", encoding="utf-8") as f:
            f.write(f'telemetry: {{destinations: [{{otlp: "{destination}"}}], metrics: "127.0.0.1:{self.metrics}"}}\n'
                    f'users: {{telemetryd: "{os.getuid()}"}}\n')
        self.process = subprocess.Popen(
            [BINARY, "--root", self.root], stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, OTEL_METRIC_EXPORT_INTERVAL="500", **environment))
        wait_for("the control socket", lambda: os.path.exists(self.root + "/run/tulle/telemetryd.sock"))

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.root + "/run/tulle/telemetryd.sock")
            s.sendall(json.dumps({"command": command}).encode() + b"\n")
            return json.loads(s.makefile().readline())["result"]

    def lane(self, signal_name):
        return self.ask("status")["destinations"][0]["signals"][signal_name]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=15)[1]


@pytest.fixture
def telemetryd(tmp_path):
    started = []

    def start(destination, **environment):
        started.append(Telemetryd(tmp_path / f"host{len(started)}", destination, **environment))
        return started[-1]

    yield start
    for t in started:
        if t.process.poll() is None:
            t.process.kill()
            t.process.wait()


def test_metrics_arrive_in_zstd_and_nothing_is_rejected(collector, telemetryd):
    t = telemetryd(collector.url)
    wait_for("its own metrics", lambda: "tulle.process.memory.usage" in collector.metrics())
    assert t.lane("metrics")["compression"] == "zstd"
    metric = collector.metrics()["tulle.process.memory.usage"][-1]
    assert metric["unit"] == "By"
    (point,) = [p for p in metric["sum"]["dataPoints"]
                if p["attributes"][0]["value"]["stringValue"] == "tulle-telemetryd"]
    assert 1 << 20 < point["asDouble"] < 64 << 20
    assert metric["sum"]["aggregationTemporality"] == 2
    t.stop()
    assert t.process.returncode == 0
    resource = collector.batches()[-1]["resourceMetrics"][0]["resource"]["attributes"]
    assert {"key": "service.name", "value": {"stringValue": "tulle"}} in resource


def test_without_zstd_if_so_configured(collector, telemetryd):
    t = telemetryd(collector.url, OTEL_EXPORTER_OTLP_COMPRESSION="none")
    wait_for("its own metrics", lambda: "tulle.process.memory.usage" in collector.metrics())
    assert t.lane("metrics")["compression"] == "none"


def test_a_wrong_path_is_a_fault_that_status_and_log_tell(collector, telemetryd):
    t = telemetryd(collector.url + "/nowhere")
    wait_for("the fault", lambda: t.lane("metrics")["fault"])
    lane = t.lane("metrics")
    assert "404" in lane["last_error"]
    assert lane["accepted"] == lane["rejected"] + lane["delivered"] + lane["queued"] + sum(lane["dropped"].values())
    lines = [json.loads(line) for line in t.stop().splitlines()]
    assert any(line["message"] == "telemetry destination fails" and "404" in line["why"] for line in lines)


def test_a_scrape_says_the_same(telemetryd):
    t = telemetryd("http://127.0.0.1:1")
    text = urllib.request.urlopen(f"http://127.0.0.1:{t.metrics}/metrics", timeout=5).read().decode()
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert "tulle_process_cpu_time_seconds_total" in names
