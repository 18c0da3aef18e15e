# SPDX-License-Identifier: GPL-3.0-or-later
"""tulle collect: receives OTLP over HTTP and prints one line of JSON a record.  curl is the sender."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
TULLE = pathlib.Path(os.environ.get("TULLE_BUILD", REPO / "build")) / "tulle"
PROTOBUF = "Content-Type: application/x-protobuf"


def field(number, data):
    """One length-delimited field of protobuf, short enough for a length of one byte."""
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def log_request(text):
    """ExportLogsServiceRequest with one record whose body is <text>."""
    return field(1, field(2, field(2, field(5, field(1, text.encode())))))


def zstd(data):
    """A zstd frame with one raw block (RFC 8878): no library needed."""
    assert len(data) < 256
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + (len(data) << 3 | 1).to_bytes(3, "little") + data


class Collector:
    def __init__(self, tmp_path):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.out = tmp_path / "records.jsonl"
        self.process = subprocess.Popen(
            [TULLE, "collect", "--listen", f"127.0.0.1:{self.port}", "--out", self.out], stderr=subprocess.PIPE, text=True)
        assert "receiving OTLP" in self.process.stderr.readline()

    def post(self, path, body, *options):
        """Returns status and the head and body of the answer."""
        answer = subprocess.run(
            ["curl", "-sS", "-i", "--max-time", "10", "-X", "POST", "--data-binary", "@-", *options,
             f"http://127.0.0.1:{self.port}{path}"],
            input=body, stdout=subprocess.PIPE, check=True).stdout
        # curl shows "100 Continue" as an answer of its own
        while answer.startswith(b"HTTP/1.1 100"):
            answer = answer.split(b"\r\n\r\n", 1)[1]
        head, _, rest = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), rest

    def records(self):
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def stop(self, signo=signal.SIGTERM):
        self.process.send_signal(signo)
        return self.process.wait(timeout=10)


@pytest.fixture
def collector(tmp_path):
    c = Collector(tmp_path)
    yield c
    if c.process.poll() is None:
        c.stop()


def test_plain_and_zstd_bodies_become_lines(collector):
    plain = log_request("hello")
    status, head, body = collector.post("/v1/logs", plain, "-H", PROTOBUF)
    assert (status, body) == (200, b"")
    assert "Content-Type: application/x-protobuf" in head
    packed = zstd(log_request("squeezed"))
    status, _, _ = collector.post("/v1/logs", packed, "-H", PROTOBUF, "-H", "Content-Encoding: zstd")
    assert status == 200
    first, second = collector.records()
    assert (first["signal"], first["body"], first["encoding"]) == ("log", "hello", "identity")
    assert first["wire_bytes"] == first["raw_bytes"] == len(plain)
    assert (second["body"], second["encoding"]) == ("squeezed", "zstd")
    assert (second["wire_bytes"], second["raw_bytes"]) == (len(packed), len(log_request("squeezed")))


def test_chunked_bodies_are_put_together(collector):
    status, _, _ = collector.post("/v1/logs", log_request("in pieces"), "-H", PROTOBUF, "-H", "Transfer-Encoding: chunked")
    assert status == 200
    assert collector.records()[0]["body"] == "in pieces"


def test_large_bodies_wait_for_100_continue(collector):
    # 2 MiB: many records; curl asks before it sends as much
    body = log_request("many") * 160000
    assert len(body) > 1 << 21
    status, _, _ = collector.post("/v1/logs", body, "-H", PROTOBUF, "-H", "Expect: 100-continue")
    assert status == 200
    assert len(collector.records()) == 160000


def test_an_empty_request_is_a_probe(collector):
    for path in ("/v1/logs", "/v1/metrics", "/v1/traces"):
        assert collector.post(path, b"", "-H", PROTOBUF)[0] == 200
    assert collector.records() == []


@pytest.mark.parametrize("path, body, options, status, word", [
    ("/v1/logs", b"garbage", ["-H", PROTOBUF], 400, b"OTLP"),
    ("/v1/logs", b"garbage", ["-H", PROTOBUF, "-H", "Content-Encoding: zstd"], 400, b"zstd"),
    ("/v1/logs", b"", ["-H", PROTOBUF, "-H", "Content-Encoding: gzip"], 415, b"zstd or identity"),
    ("/v1/logs", b"{}", ["-H", "Content-Type: application/json"], 415, b"x-protobuf"),
    ("/v1/nothing", b"", ["-H", PROTOBUF], 404, b"not found"),
])
def test_what_cannot_be_read_is_refused(collector, path, body, options, status, word):
    got, head, answer = collector.post(path, body, *options)
    assert got == status
    assert word in answer
    if status == 415:
        assert "Accept-Encoding: zstd, identity" in head
    assert collector.records() == []
    # and the collector is as well as before
    assert collector.post("/v1/logs", log_request("after"), "-H", PROTOBUF)[0] == 200


def test_too_large_a_body_is_refused(collector):
    status, _, _ = collector.post("/v1/logs", bytes(21 << 20), "-H", PROTOBUF)
    assert status == 413


def zstd_bomb(megabytes):
    """A zstd frame of eight blocks a megabyte, each of which is one zero, repeated 128 KiB times: four bytes a block."""
    block = (131072 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = (131072 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x68" + block * (8 * megabytes - 1) + last


def peak(process):
    """The most memory that it ever held, in bytes."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def test_a_body_that_explodes_is_refused_before_it_does(collector):
    """32 KB that would be 1 GiB: refused after a little of it, and the collector is as well as before."""
    before = peak(collector.process)
    bomb = zstd_bomb(1024)
    assert len(bomb) < 40000
    status, _, answer = collector.post("/v1/logs", bomb, "-H", PROTOBUF, "-H", "Content-Encoding: zstd")
    assert status in (400, 413), answer
    assert peak(collector.process) - before < 16 << 20
    assert collector.records() == []
    assert collector.post("/v1/logs", log_request("after"), "-H", PROTOBUF)[0] == 200


def test_text_from_outside_is_escaped(collector):
    assert collector.post("/v1/logs", log_request('a"b\n\x1b[31m'), "-H", PROTOBUF)[0] == 200
    assert "\x1b" not in collector.out.read_text()
    assert len(collector.out.read_text().splitlines()) == 1
    assert collector.records()[0]["body"] == 'a"b\n\x1b[31m'


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told(collector, signo):
    assert collector.stop(signo) == 0


def test_mistakes_on_the_command_line(collector):
    def run(*options):
        return subprocess.run([TULLE, "collect", *options], stderr=subprocess.PIPE, text=True, timeout=10)

    wrong = run("--listen", "nowhere")
    assert wrong.returncode == 2 and "ADDRESS:PORT" in wrong.stderr
    assert run("--bogus").returncode == 2
    assert run("extra").returncode == 2
    busy = run("--listen", f"127.0.0.1:{collector.port}")
    assert busy.returncode == 1 and "in use" in busy.stderr
    unwritable = run("--out", "/nonexistent/file")
    assert unwritable.returncode == 1 and "/nonexistent/file" in unwritable.stderr
