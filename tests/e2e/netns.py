# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are network namespaces: make, join, enter and always remove them.

    with netns.pair("t1") as (host, peer):      # two namespaces, one wire, IPv4 and IPv6
        host.run("ip", "route")                 # a program inside
        with host.inside(), netns.as_uid(6001): # this thread inside, as a user
            s = socket.create_connection((peer.ip4, 80))

A socket belongs to the namespace and to the user in which it was made, whoever uses it later, so servers and
clients of a test are ordinary sockets and threads of the test itself.
"""
import contextlib
import encodings.idna  # now: as_uid() may not read the library, and a failed import is remembered
import ctypes
import os
import platform
import socket
import subprocess
import threading
import time

PREFIX = "tulle-"
TIMEOUT = 20  # seconds; nothing here takes as long

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_SETFSUID = {"x86_64": 122, "aarch64": 151}[platform.machine()]


def run(*argv, check=True, **kwargs):
    """A program with its output as text; a failure shows what it said."""
    kwargs.setdefault("timeout", TIMEOUT)
    done = subprocess.run(argv, capture_output=True, text=True, **kwargs)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Netns:
    """One namespace; ip4 and ip6 are its addresses on the wire, once it has one."""

    def __init__(self, name):
        self.name = PREFIX + name
        self.ip4 = self.ip6 = None
        run("ip", "netns", "add", self.name)
        # Without the second that IPv6 waits before it believes that an address is its own.
        self.run("sh", "-c", "ip link set lo up; cd /proc/sys/net/ipv6/conf; echo 0 >all/accept_dad; echo 0 >default/accept_dad")

    def address(self, family):
        return self.ip6 if family == socket.AF_INET6 else self.ip4

    def run(self, *argv, **kwargs):
        return run("ip", "netns", "exec", self.name, *argv, **kwargs)

    def popen(self, *argv, **kwargs):
        return subprocess.Popen(["ip", "netns", "exec", self.name, *argv], text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, **kwargs)

    @contextlib.contextmanager
    def inside(self):
        """This thread is in the namespace; other threads are not."""
        with open("/proc/thread-self/ns/net", encoding="ascii") as home, \
                open(f"/run/netns/{self.name}", encoding="ascii") as there:
            _setns(there.fileno())
            try:
                yield self
            finally:
                _setns(home.fileno())

    def remove(self):
        """The namespace goes when the last process and socket in it has; its name goes now."""
        run("ip", "netns", "del", self.name, check=False)


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def as_uid(uid):
    """Sockets that this thread makes belong to <uid>; other threads and everything else stay as they are."""
    before = _libc.syscall(_SETFSUID, uid)
    try:
        yield
    finally:
        _libc.syscall(_SETFSUID, before)


@contextlib.contextmanager
def namespace(name):
    ns = Netns(name)
    try:
        yield ns
    finally:
        ns.remove()


def join(a, b, net=77):
    """A wire between two namespaces: 10.NET.0.1 and .2, fd77:NET::1 and ::2."""
    run("ip", "link", "add", "eth0", "netns", a.name, "type", "veth", "peer", "name", "eth0", "netns", b.name)
    for ns in (a, b):
        ns.run("ip", "link", "set", "eth0", "up")
    for ns, n in ((a, 1), (b, 2)):  # on a wire that is up: an IPv6 address from before costs the first SYN a second
        ns.ip4, ns.ip6 = f"10.{net}.0.{n}", f"fd77:{net}::{n}"
        ns.run("ip", "-batch", "-", input=f"addr add {ns.ip4}/24 dev eth0\naddr add {ns.ip6}/64 dev eth0 nodad\n")


@contextlib.contextmanager
def pair(name, net=77):
    with namespace(name + "-h") as host, namespace(name + "-p") as peer:
        join(host, peer, net)
        yield host, peer


def wait_for(what, seconds=10, every=0.02):
    """Waits until what() is true, and returns it."""
    until = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < until, f"still not so after {seconds} s: {what}"
        time.sleep(every)


def wait_for_port(ns, port, seconds=10):
    """Until somebody listens on a TCP port in the namespace."""
    wait_for(lambda: ns.run("ss", "-Hltn", f"sport = :{port}").stdout.strip(), seconds)


class Server:
    """Answers every connection on its ports with greet(connection), then echoes; a thread of the test.

    `with Server(ns, [80, 443]) as s:` is up when the block begins, and gone with all its connections when it ends.
    """

    def __init__(self, ns, ports, greet=None, uid=0):
        self.greet = greet or (lambda conn: b"direct\n")
        self.accepted = 0
        self._listeners, self._connections = [], []
        with ns.inside(), as_uid(uid):
            for port in ports:
                s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                s.bind(("::", port))
                s.listen(64)
                self._listeners.append(s)

    def __enter__(self):
        for s in self._listeners:
            threading.Thread(target=self._accept, args=(s,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for s in self._listeners + self._connections:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = listener.accept()
                self.accepted += 1
                self._connections.append(conn)
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with contextlib.suppress(OSError):
            conn.sendall(self.greet(conn))
            while data := conn.recv(65536):
                conn.sendall(data)
            conn.close()


class Client:
    """A connection from <ns> as <uid>; `greeting` is the first line that came."""

    def __init__(self, ns, address, port, uid=0, timeout=5):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with ns.inside(), as_uid(uid):
            self.sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(timeout)
            self.sock.connect((address, port))
            self.file = self.sock.makefile("rb")
            self.greeting = self.file.readline().decode().strip()
        except BaseException:
            self.sock.close()
            raise

    def echo(self, text="ping"):
        """Do bytes still go there and back?"""
        self.sock.sendall(text.encode() + b"\n")
        return self.file.readline().decode().strip() == text

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ask(ns, address, port, uid=0, timeout=5):
    """Connects, returns the first line, closes."""
    with Client(ns, address, port, uid, timeout) as c:
        return c.greeting


def unique(stem):
    """A short name that no other run has."""
    return f"{stem}{os.getpid() % 100000}"
