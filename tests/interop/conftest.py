# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the interop tests: other people's programs, started for one test and stopped after it."""
import json
import os
import shutil
import socket
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def wait_for(what, condition, seconds=15):
    """The first true value of <condition>; fails naming <what> if none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def peer(name):
    """The path of a peer that scripts/peers builds; skips the test if it cannot be had."""
    if shutil.which("go") is None:
        pytest.skip("Go is missing: it builds the interop peers")
    script = os.path.join(ROOT, "scripts", "peers")
    built = subprocess.run([script, name], capture_output=True, text=True, timeout=900, check=False)
    if built.returncode != 0:
        pytest.fail(f"scripts/peers {name}: {built.stdout}{built.stderr}")
    return subprocess.run([script, "--print", name], capture_output=True, text=True, check=True).stdout.strip()


class Collector:
    """An OpenTelemetry Collector that writes all it receives to a file, one line of OTLP JSON a batch.

    <address> is where it listens for OTLP over HTTP, a free port of this host if there is none; <enter> is a command
    that runs it somewhere else.
    """

    def __init__(self, binary, folder, address=None, enter=()):
        self.address = address or f"127.0.0.1:{free_port()}"
        self.out = os.path.join(folder, "out.json")
        self.log_path = os.path.join(folder, "otelcol.log")
        config = os.path.join(folder, "otelcol.yaml")
        pipeline = "{receivers: [otlp], exporters: [file]}"
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"""
receivers:
  otlp:
    protocols:
      http: {{endpoint: "{self.address}"}}
exporters:
  file: {{path: {self.out}, append: true, flush_interval: 200ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {pipeline}, metrics: {pipeline}, logs: {pipeline}}}
""")
        self.log = open(self.log_path, "w", encoding="utf-8")
        self.process = subprocess.Popen([*enter, binary, "--config", config], stdout=self.log, stderr=self.log)
        wait_for("the collector to be ready", self.is_up)

    def is_up(self):
        text = self.said()
        assert self.process.poll() is None, text
        return "Everything is ready" in text

    def said(self):
        """Its log."""
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    @property
    def url(self):
        return f"http://{self.address}"

    def batches(self):
        """Every batch received so far, as OTLP JSON; a line that is still being written is left for later."""
        if not os.path.exists(self.out):
            return []
        with open(self.out, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def _all(self, resources, scopes, objects):
        for batch in self.batches():
            for resource in batch.get(resources, []):
                for scope in resource[scopes]:
                    for one in scope[objects]:
                        yield resource["resource"], one

    def metrics(self):
        """name: list of the metric's objects, of all batches; each has its resource, too."""
        found = {}
        for resource, metric in self._all("resourceMetrics", "scopeMetrics", "metrics"):
            found.setdefault(metric["name"], []).append({**metric, "resource": resource})
        return found

    def logs(self):
        """(resource, record) of all batches; spans() the same."""
        return list(self._all("resourceLogs", "scopeLogs", "logRecords"))

    def spans(self):
        return list(self._all("resourceSpans", "scopeSpans", "spans"))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture
def collector(tmp_path):
    c = Collector(peer("otelcol"), str(tmp_path))
    yield c
    c.stop()


@pytest.fixture(scope="session")
def new_collector():
    """new_collector(FOLDER, ...): a Collector that its caller stops."""
    binary = peer("otelcol")
    return lambda folder, **kwargs: Collector(binary, str(folder), **kwargs)


@pytest.fixture(scope="session")
def gospiffe_binary():
    """go-spiffe's client itself, for who runs it in a namespace or as another user."""
    return peer("gospiffe")


@pytest.fixture
def gospiffe():
    """run(SOCKET, ARGUMENT...): go-spiffe's client against a Workload API; its status and its lines."""
    binary = peer("gospiffe")

    def run(sock, *args, timeout="10s"):
        env = dict(os.environ, SPIFFE_ENDPOINT_SOCKET=f"unix://{sock}", TIMEOUT=timeout)
        done = subprocess.run([binary, *args], capture_output=True, text=True, env=env, timeout=60, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    return run
