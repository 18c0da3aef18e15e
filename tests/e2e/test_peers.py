# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that must not get in, and bytes that are no HBONE: refused, with the reason in the log and a counter."""
import os
import re
import socket
import ssl

import pytest

import certs
import mesh
import netns

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
WEB = "spiffe://mesh.test/ns/shop/sa/web"
HANDSHAKES = "tulle_tls_handshake_count_total"


@pytest.fixture(scope="module")
def pair():
    """Both hosts issue below one root that the test made, so that it can make any certificate it likes."""
    with mesh.Mesh(f"p{os.getpid()}", ["a", "b"]) as m:
        m.authority = certs.Authority(os.path.join(m.top, "ca"), "root", mesh.DOMAIN)
        m.stranger = certs.Authority(os.path.join(m.top, "ca2"), "stranger", "other.test")
        m.impostor = certs.Authority(os.path.join(m.top, "ca3"), "impostor", mesh.DOMAIN)
        for host, account in (("a", "ns/shop/sa/web"), ("b", "ns/shop/sa/db")):
            h = m[host]
            h.configure(identity={"source": "embedded", "ttl": "1h", "default": account})
            h.run(mesh.binary("tulle-certd"), "ca", "import", "--root", h.root, "--cert", m.authority.pem, "--key",
                  m.authority.key)
            h.start("certd").wait_for("ready", 20)
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
        for host in m.hosts.values():
            host.start_relay(rules=host.name == "a")
            host.start_telemetryd()
        assert m["a"].curl(URL).stdout == "hello from b:8080\n"  # two authorities, one root
        yield m


def dial(pair, cert=None, alpn=("h2",), version=ssl.TLSVersion.TLSv1_3):
    """A TLS client in host a's namespace, past the rules (as root of a host whose port 15008 is exempt)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if cert:
        context.load_cert_chain(*cert)
    with pair["a"].ns.inside():
        raw = socket.create_connection((pair["b"].ip, 15008), timeout=5)
    try:
        return context.wrap_socket(raw)
    except (ssl.SSLError, OSError):
        raw.close()
        raise


def is_refused(pair, cert, **kwargs):
    """True if nothing comes but an alert or an end; in TLS 1.3 a client hears of a refusal when it reads."""
    try:
        s = dial(pair, cert, **kwargs)
        s.sendall(PREFACE + SETTINGS)
        return s.recv(100) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def bad_peer(pair, what):
    ca = pair.authority
    return {
        "no_certificate": lambda: None,
        "expired": lambda: ca.leaf("expired", WEB, start="20200101000000Z", end="20200102000000Z"),
        "not_yet_valid": lambda: ca.leaf("early", WEB, start="20400101000000Z", end="20400102000000Z"),
        "unknown_trust_domain": lambda: pair.stranger.leaf("foreign", "spiffe://other.test/ns/shop/sa/web"),
        "unknown_ca": lambda: pair.impostor.leaf("forged", WEB),
        "two_uri_sans": lambda: ca.leaf("two", WEB, "spiffe://mesh.test/ns/shop/sa/db"),
        "no_uri_san": lambda: ca.leaf("none"),
        "is_ca": lambda: ca.leaf("ca", WEB, ca=True, usage="critical,digitalSignature,keyCertSign"),
        "root_path": lambda: ca.leaf("rootpath", "spiffe://mesh.test"),
        "bad_id": lambda: ca.leaf("badid", "https://mesh.test/ns/shop/sa/web"),
    }[what]()


@pytest.mark.parametrize("what", ["no_certificate", "expired", "not_yet_valid", "unknown_trust_domain", "unknown_ca",
                                  "two_uri_sans", "no_uri_san", "is_ca", "root_path", "bad_id"])
def test_a_peer_with_a_wrong_certificate_is_refused_logged_and_counted(pair, what):
    b = pair["b"]
    before = b.metric(HANDSHAKES, direction="inbound", error_type=what)
    lines = len(b.daemons["relayd"].lines("tunnel refused"))
    assert is_refused(pair, bad_peer(pair, what))
    b.daemons["relayd"].wait_for("tunnel refused", count=lines + 1)
    assert b.daemons["relayd"].lines("tunnel refused")[-1]["reason"] == what
    netns.wait_for(lambda: b.metric(HANDSHAKES, direction="inbound", error_type=what) == before + 1)
    assert pair["a"].curl(URL).stdout == "hello from b:8080\n"


def test_a_peer_with_a_right_certificate_gets_in(pair):
    """The same client with a good leaf: what the others lack is all that is missing."""
    assert not is_refused(pair, pair.authority.leaf("good", WEB))


def test_tls_1_2_and_foreign_protocols_are_refused(pair):
    b, good = pair["b"], pair.authority.leaf("good2", WEB)
    refused = lambda: b.metric(HANDSHAKES, direction="inbound", error_type="other")
    before = refused()
    assert is_refused(pair, good, version=ssl.TLSVersion.TLSv1_2)
    assert is_refused(pair, good, alpn=("http/1.1", "istio-peer-exchange"))
    netns.wait_for(lambda: refused() == before + 2)
    assert not is_refused(pair, good, alpn=())  # no ALPN at all is taken (ztunnel-like peers)


@pytest.mark.parametrize("data, kind", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not_tls"), (bytes(range(256)) * 64, "not_tls"), (PREFACE + SETTINGS, "not_tls"),
    (b"\x16\x03\x01\xff\xff", "other"), (b"\x16\x03\x01\x00\x20" + b"x" * 32, "other"), (b"", "other"),
], ids=["http1", "garbage", "h2 in the clear", "cut hello", "a hello that is none", "nothing"])
def test_what_is_not_tls_is_dropped_at_15008(pair, data, kind):
    """Hung up on, with the reason in the log and a counter; nothing of it is answered."""
    b = pair["b"]
    counted = lambda: b.metric(HANDSHAKES, direction="inbound", error_type=kind)
    before, lines = counted(), len(b.daemons["relayd"].lines("tunnel refused"))
    with pair["a"].ns.inside():
        s = socket.create_connection((pair["b"].ip, 15008), timeout=5)
    with s:
        answer = b""
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)  # it may have been hung up on by now
            while chunk := s.recv(4096):
                answer += chunk
        except (ConnectionError, BrokenPipeError):
            pass
        assert b"HTTP" not in answer and len(answer) < 100  # a TLS alert at most
    line = b.daemons["relayd"].wait_for("tunnel refused", count=lines + 1)
    assert line["reason"] == "not_tls" if kind == "not_tls" else line["reason"] != "not_tls"
    netns.wait_for(lambda: counted() == before + 1)
    assert pair["a"].curl(URL).stdout == "hello from b:8080\n"


def test_a_client_hello_to_the_plaintext_port_is_opaque(pair):
    """TLS from outside to an application's port, where plaintext is permitted: the application answers it, not we."""
    b = pair["b"]
    b.rules("apply")
    captured = lambda: b.metric("tulle_listener_accept_count_total", listener="inbound")
    before = captured()
    try:
        b.spawn("tls-app", ["ncat", "-lk", "--ssl", "7443", "-c", "echo secret"], uid=0)
        netns.wait_for_port(b.ns, 7443)
        uid = str(mesh.UIDS["relayd"])  # past a's own rules: as a host without Tulle would
        done = pair["a"].run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", "openssl", "s_client",
                             "-quiet", "-connect", f"{b.ip}:7443", input="", check=False)
        assert "secret" in done.stdout
        assert captured() == before + 1  # by way of us
    finally:
        b.rules("remove", "--now")


def headers(stream, block, end_stream=False):
    n = len(block)
    return bytes([n >> 16, n >> 8 & 255, n & 255, 1, 0x4 | (1 if end_stream else 0)]) + stream.to_bytes(4, "big") + block


def literal(name, value):
    """HPACK: a literal without indexing, without Huffman."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def ask(pair, block):
    """One request on a fresh tunnel with a right certificate; the :status of the answer, None if the stream is reset."""
    s = dial(pair, pair.authority.leaf("asker", WEB))
    s.settimeout(5)
    s.sendall(PREFACE + SETTINGS + headers(1, block))
    data = b""
    while True:
        while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
            length, kind = int.from_bytes(data[:3], "big"), data[3]
            stream, payload = int.from_bytes(data[5:9], "big"), data[9:9 + length]
            data = data[9 + length:]
            if stream == 1 and kind == 1:  # HEADERS: an indexed :status, or a literal one
                return {0x88: 200, 0x8c: 400}.get(payload[0]) or int(re.search(rb"[1-5]\d\d", payload).group())
            if stream == 1 and kind == 3:  # RST_STREAM
                return None
        chunk = s.recv(4096)
        assert chunk, "the tunnel ended"
        data += chunk


@pytest.mark.parametrize("method, authority, status", [
    (b"CONNECT", "{b}:8080", 200),
    (b"CONNECT", "10.77.0.1:8080", 400),        # an open relay is what we are not
    (b"CONNECT", "127.0.0.1:8080", 400),        # what listens there is not meant for others
    (b"CONNECT", "{b}", 400),                   # no port
    (b"CONNECT", "db.shop:80", 400),            # a name
    (b"CONNECT", "[::ffff:10.77.0.1]:80", 400),
    (b"CONNECT", "{b}:15001", 503),
    (b"CONNECT", "{b}:15008", 503),
    (b"CONNECT", "{b}:1", 503),                 # nothing listens there
])
def test_which_requests_a_tunnel_takes(pair, method, authority, status):
    authority = authority.format(b=pair["b"].ip).encode()
    assert ask(pair, literal(b":method", method) + literal(b":authority", authority)) == status


def test_a_request_that_is_not_connect_is_refused(pair):
    block = (literal(b":method", b"GET") + literal(b":scheme", b"https") + literal(b":path", b"/") +
             literal(b":authority", pair["b"].ip.encode() + b":8080"))
    assert ask(pair, block) == 400
    connect_with_path = literal(b":method", b"CONNECT") + literal(b":path", b"/") + literal(b":authority", b"x:1")
    assert ask(pair, connect_with_path) is None  # malformed: the stream is reset (RFC 9113 8.5)


def test_the_server_must_be_who_is_expected(pair):
    """The manifest of a expects another account than b has: no byte is sent, the reason is logged."""
    a, b = pair["a"], pair["b"]

    def requests():
        with open(os.path.join(b.work, "nginx-8080/access.log"), encoding="utf-8") as f:
            return len(f.readlines())
    asked = requests()
    a.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", b.ip, "somebody")]))
    a.reload()
    try:
        # the tunnel to the old identity must not be used for the new one
        assert a.curl(URL, check=False).returncode != 0
        line = a.daemons["relayd"].wait_for("tunnel failed: handshake")
        assert line["reason"] == "unexpected_id"
        netns.wait_for(lambda: a.metric(HANDSHAKES, direction="outbound", error_type="unexpected_id") == 1)
        assert requests() == asked
    finally:
        a.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", pair["b"].ip, "db")]))
        a.reload()
    assert a.curl(URL).stdout == "hello from b:8080\n"
