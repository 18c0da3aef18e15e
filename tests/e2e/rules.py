# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the steering rules share: tulle-nfrules in a namespace, a small relay, dumps to compare."""
import os
import pathlib
import re
import socket
import struct

import netns

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TULLE_BUILD", REPO / "build")).resolve()
NFRULES = str(BUILD / "tulle-nfrules")

RELAY, CERTD, TELEMETRYD = 6001, 6002, 6003
USERS = f"users: {{relayd: {RELAY}, certd: {CERTD}, telemetryd: {TELEMETRYD}}}\n"
OUT, IN, HEALTH = 15001, 15006, 15021
EQUAL, FAILED, REFUSED, DRIFT, ABSENT, RESIDUE = 0, 1, 2, 3, 4, 5

SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h; the IPv6 one has the same number


def original_destination(conn):
    """By the family of the peer, not of the socket: a v4 peer of a v6 listener is asked at the v4 level."""
    if conn.getpeername()[0].startswith("::ffff:"):
        raw = conn.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), struct.unpack("!H", raw[2:4])[0]
    raw = conn.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
    return socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack("!H", raw[2:4])[0]


def relay_greeting(conn):
    """Who the caller wanted to reach, and through which of the two ports it came."""
    if conn.getsockname()[1] == HEALTH:
        return b"HTTP/1.1 200 OK\r\n\r\n"
    address, port = original_destination(conn)
    way = {OUT: "outbound", IN: "inbound"}[conn.getsockname()[1]]
    return f"{way} {address} {port}\n".encode()


class Host:
    """A namespace with a root of its own and tulle-nfrules."""

    def __init__(self, ns, root, backend):
        self.ns, self.root, self.backend = ns, root, backend
        (root / "etc/tulle").mkdir(parents=True, exist_ok=True)
        self.configure("")

    def configure(self, text, backend=True):
        steering = f"steering: {{backend: {self.backend}}}\n" if backend and "steering:" not in text else ""
        (self.root / "etc/tulle/tulle.yaml").write_text(USERS + steering + text, encoding="utf-8")

    def nfrules(self, *args, status=None, **kwargs):
        done = self.ns.run(NFRULES, "--root", str(self.root), *args, check=False, **kwargs)
        text = done.stdout + done.stderr
        if status is not None:
            assert done.returncode == status, f"{args}: exit status {done.returncode}, not {status}\n{text}"
        return text

    def apply(self, *args):
        return self.nfrules("apply", *args, status=0)

    def check(self, status):
        return self.nfrules("check", status=status)

    def tool(self, family, tool, *args, backend=None, **kwargs):
        """iptables of this host's backend: tool is "", "-save" or "-restore"."""
        six = "6" if family == socket.AF_INET6 else ""
        return self.ns.run(f"ip{six}tables-{backend or self.backend}{tool}", *args, **kwargs)

    def dump(self, backend=None):
        """Both families, without the time and the counters of the built-in chains."""
        text = "".join(self.tool(f, "-save", backend=backend).stdout for f in (socket.AF_INET, socket.AF_INET6))
        text = re.sub(r"^#.*\n", "", text, flags=re.M)
        return re.sub(r"\[\d+:\d+\]", "[0:0]", text)

    def relay(self, ready=False):
        return netns.Server(self.ns, [OUT, IN] + [HEALTH] * ready, relay_greeting, uid=RELAY)
