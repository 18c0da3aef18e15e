# SPDX-License-Identifier: GPL-3.0-or-later
"""How the demo judges a capture: what tcpdump lost is not put down to the mesh, and plaintext is."""
import pathlib
import struct
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "demo"))
import story  # noqa: E402

RECORD = b"\x17\x03\x03\x00\x10" + bytes(16)


def hello(kind, middle, extension):
    extensions = struct.pack("!H", len(extension)) + extension
    body = bytes([kind, 0, 0, 0]) + b"\x03\x03" + bytes(32) + b"\0" + middle + extensions
    return b"\x16\x03\x03" + struct.pack("!H", len(body)) + body


CLIENT = hello(1, b"\x00\x02\x13\x01\x01\x00", b"\0\0\0\x06" + b"\0\x04\0\0\x01a")
SERVER = hello(2, b"\x13\x01\x00", b"\0\x2b\0\x02\x03\x04")


def frame(from_client, sport, dport, seq, flags, body=b""):
    ends = (bytes([10, 77, 0, 1]), bytes([10, 77, 0, 2])) if from_client else (bytes([10, 77, 0, 2]), bytes([10, 77, 0, 1]))
    ports = (sport, dport) if from_client else (dport, sport)
    tcp = struct.pack("!HHIIBBHHH", *ports, seq, 0, 0x50, flags, 0, 0, 0)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(body), 0, 0, 64, 6, 0) + ends[0] + ends[1]
    return bytes(12) + b"\x08\x00" + ip + tcp + body


def connection(sport, dport, said, lose=()):
    """Frames of one connection whose sides said <said>; the pieces numbered in <lose> are not among them."""
    frames, seqs = [frame(True, sport, dport, 99, 2), frame(False, sport, dport, 199, 0x12)], [100, 200]
    for client, body in said:
        frames.append(frame(client, sport, dport, seqs[not client], 0x10, body))
        seqs[not client] += len(body)
    return [f for n, f in enumerate(frames) if n not in lose]


TUNNEL = [(True, CLIENT), (False, SERVER), (True, RECORD), (False, RECORD), (True, RECORD)]


@pytest.fixture
def judge(tmp_path, monkeypatch):
    def judged(frames, dropped):
        capture = tmp_path / "wire.pcap"
        capture.write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)
                            + b"".join(struct.pack("<IIII", 0, 0, len(f), len(f)) + f for f in frames))
        tale = story.Story(None)
        tale.dump, tale.capture = None, str(capture)
        tale.web = types.SimpleNamespace(log=lambda name: f"9 packets captured\n9 packets received by filter\n{dropped} packets dropped by kernel\n")
        monkeypatch.setattr(tale, "_end_capture", lambda dump: None, raising=False)
        tale.on_the_wire()
        return tale.failures
    return judged


def test_a_whole_capture_is_judged(judge):
    assert judge(connection(4000, 15008, TUNNEL), 0) == []


def test_what_tcpdump_lost_is_not_put_down_to_the_mesh(judge):
    """A second tunnel with a hole, a third without its first packet."""
    frames = connection(4000, 15008, TUNNEL) + connection(4001, 15008, TUNNEL, lose=(4,)) + connection(4002, 15008, TUNNEL, lose=(0, 2))
    assert judge(frames, 3) == []


def test_a_tunnel_that_was_lost_is_told_as_that(judge):
    failure, = judge(connection(4000, 15008, TUNNEL, lose=(4,)), 1)
    assert "tcpdump has no tunnel whole" in failure and "lost 1 packets" in failure


@pytest.mark.parametrize("dropped", [0, 5])
def test_plaintext_is_found_with_and_without_losses(judge, dropped):
    frames = connection(4000, 15008, TUNNEL) + connection(4001, 8080, [(True, b"GET / HTTP/1.1\r\n\r\n")])
    assert len(judge(frames, dropped)) == 3
