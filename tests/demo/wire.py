# SPDX-License-Identifier: GPL-3.0-or-later
"""What a packet capture shows: TCP conversations, put together again, and TLS in them.

Reads tcpdump's classic format, Ethernet, IPv4.  RFC 8446 says how TLS looks from outside: records, of which only the two
hellos are readable.
"""
import re
import struct

HANDSHAKE, APPLICATION_DATA = 22, 23
CIPHERS = {0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256"}
SERVER_NAME, SUPPORTED_VERSIONS = 0, 43
TLS13 = 0x0304


def packets(data):
    """(source, source port, destination, destination port, sequence number, flags, payload) of every TCP packet."""
    if len(data) < 24:
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from(order + "I", data, at + 8)[0]
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        if frame[12:14] != b"\x08\x00" or len(frame) < 54 or frame[23] != 6:
            continue
        head = 14 + (frame[14] & 15) * 4
        total = struct.unpack_from("!H", frame, 16)[0]
        sport, dport, seq = struct.unpack_from("!HHI", frame, head)
        body = frame[head + (frame[head + 12] >> 4) * 4:14 + total]
        yield (".".join(map(str, frame[26:30])), sport, ".".join(map(str, frame[30:34])), dport, seq, frame[head + 13], body)


class Direction:
    """One half of a conversation."""

    def __init__(self):
        self.pieces, self.first = [], None

    def add(self, seq, flags, body):
        if flags & 2:  # SYN
            self.first = seq + 1
        if body:
            self.pieces.append((seq, body))

    def bytes(self):
        """What was sent, in order, each byte once; None if a part is missing."""
        if not self.pieces:
            return b""
        base = self.first if self.first is not None else self.pieces[0][0]
        out = bytearray()
        for seq, body in sorted(self.pieces, key=lambda p: (p[0] - base) & 0xffffffff):
            offset = (seq - base) & 0xffffffff
            if offset > len(out):
                return None
            out += body[len(out) - offset:] if len(out) - offset < len(body) else b""
        return bytes(out)


    def whole(self):
        """Captured from its SYN on, without a gap."""
        return self.first is not None and self.bytes() is not None


def lost(said):
    """How many packets tcpdump did not get or write, by its last words; 0 if it says nothing of it."""
    return sum(int(n) for n in re.findall(r"^(\d+) packets? dropped by", said, re.M))


def conversations(path):
    """{(client, server, server port, client port): (Direction of the client, Direction of the server)}"""
    with open(path, "rb") as f:
        data = f.read()
    found, clients = {}, {}
    for src, sport, dst, dport, seq, flags, body in packets(data):
        here, there = (src, sport), (dst, dport)
        pair = frozenset((here, there))
        if flags & 0x12 == 2:  # SYN alone: the client's first
            clients[pair] = here
        client = clients.setdefault(pair, here if sport > dport else there)
        server = there if client == here else here
        key = (client[0], server[0], server[1], client[1])
        halves = found.setdefault(key, (Direction(), Direction()))
        halves[0 if client == here else 1].add(seq, flags, body)
    return found


def records(stream):
    """[(type, body)] if the bytes are TLS records from first to last (which may be cut); None if not."""
    out, at = [], 0
    while at < len(stream):
        head = stream[at:at + 5]
        if len(head) == 5:
            kind, version, length = struct.unpack("!BHH", head)
            if not 20 <= kind <= 23 or version not in (0x0301, 0x0303) or not 0 < length <= 16384 + 256:
                return None
            out.append((kind, stream[at + 5:at + 5 + length]))
            at += length
        at += 5
    return out


def _extensions(body, at):
    out, end = {}, at + 2 + struct.unpack_from("!H", body, at)[0]
    at += 2
    while at + 4 <= end:
        kind, length = struct.unpack_from("!HH", body, at)
        out[kind] = body[at + 4:at + 4 + length]
        at += 4 + length
    return out


def client_hello(body):
    """Its extensions (RFC 8446 4.1.2)."""
    at = 4 + 2 + 32
    at += 1 + body[at]
    at += 2 + struct.unpack_from("!H", body, at)[0]
    at += 1 + body[at]
    return _extensions(body, at)


def server_hello(body):
    """(cipher suite, extensions) (RFC 8446 4.1.3)."""
    at = 4 + 2 + 32
    at += 1 + body[at]
    return struct.unpack_from("!H", body, at)[0], _extensions(body, at + 3)


class Tls:
    """A conversation, as far as it can be read from outside."""

    def __init__(self, halves):
        self.version = self.cipher = self.name = None
        self.encrypted = 0  # bytes of application data records, both ways
        streams = [h.bytes() for h in halves]
        self.complete = None not in streams
        parsed = [records(s or b"") for s in streams]
        self.is_tls = self.complete and None not in parsed
        if not self.is_tls:
            return
        for side, messages in enumerate(parsed):
            self.encrypted += sum(len(b) for kind, b in messages if kind == APPLICATION_DATA)
            hello = next((b for kind, b in messages if kind == HANDSHAKE), None)
            if hello and side == 0 and hello[0] == 1:
                name = client_hello(hello).get(SERVER_NAME, b"")
                self.name = name[5:].decode("ascii", "replace")
            elif hello and side == 1 and hello[0] == 2:
                self.cipher, extensions = server_hello(hello)
                version = extensions.get(SUPPORTED_VERSIONS, b"\0\0")
                self.version = struct.unpack("!H", version)[0]
