# SPDX-License-Identifier: GPL-3.0-or-later
"""certd and the relay against go-spiffe, which is what SPIFFE's users link."""
import datetime
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import mesh  # noqa: E402
import netns  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")

GO_UID = 7910  # whose identity is shop/go, shop/cache or, on the stranger's host, shop/stranger
CLUSTER_IP = "10.96.0.1"
DB, GO, CACHE, WEB = (f"spiffe://mesh.test/ns/shop/sa/{name}" for name in ("db", "go", "cache", "web"))


@pytest.fixture(scope="module")
def hosts():
    """One trust domain with 20 s certificates, and a stranger.

    a: the authority; its relay is shop/web, the user GO_UID is shop/go.  b: a member whose relay is shop/db.
    c: a member without a relay, where go-spiffe is shop/cache.  d: an authority of its own, of other.test.
    """
    with mesh.Mesh(f"g{os.getpid()}", ["a", "b", "c", "d"]) as m:
        for host, account in (("a", "go"), ("c", "cache"), ("d", "stranger")):
            m[host].identities([{"serviceAccount": f"shop/{account}", "match": {"uid": str(GO_UID)}}])
        m.start_identities({"a": "shop/web", "b": "shop/db", "c": "shop/cache"}, ttl="20s")
        d = m["d"]
        d.configure(trustDomain="other.test", identity={"source": "embedded", "ttl": "1h", "default": "ns/shop/sa/web"})
        d.tulle("init")
        d.start("certd").wait_for("ready", 20)
        m["b"].start_relay(rules=False)
        m["a"].start_relay()
        yield m


class Go:
    """gospiffe in a host's namespace, as a user; what it says as objects."""

    def __init__(self, host, binary, *args, uid=GO_UID, timeout="20s"):
        binary = host.public(binary)
        socket = f"unix://{host.root}/run/tulle/identity/workload.sock"
        self.path = os.path.join(host.work, f"go-{len(os.listdir(host.work))}.out")
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{host.ns.name}", "setpriv", f"--reuid={uid}", f"--regid={uid}",
                 "--clear-groups", "--", binary, *args], stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, "SPIFFE_ENDPOINT_SOCKET": socket, "TIMEOUT": timeout})

    def lines(self, event=None):
        with open(self.path, encoding="utf-8") as f:
            found = [json.loads(line) for line in f if line.startswith("{") and line.endswith("\n")]
        return [line for line in found if event in (None, line["event"])]

    def wait_for(self, event, count=1, seconds=20):
        """The last line of that event, when there are <count>."""
        netns.wait_for(lambda: len(self.lines(event)) >= count or self.process.poll() is not None, seconds)
        assert len(self.lines(event)) >= count, self.lines()
        return self.lines(event)[-1]

    def end(self, seconds=40):
        """Its exit status."""
        return self.process.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def go(gospiffe_binary):
    """go(HOST, ARGUMENT...): a gospiffe that runs, to be used in a with."""
    return lambda host, *args, **kwargs: Go(host, gospiffe_binary, *args, **kwargs)


def finished(g):
    """Its last line and its exit status, when it is done."""
    with g:
        status = g.end()
        return g.lines()[-1], status


def seconds_left(svid):
    end = datetime.datetime.fromisoformat(svid["notAfter"].replace("Z", "+00:00"))
    return (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


# ---- the Workload API


def test_fetch(hosts, go):
    line, status = finished(go(hosts["a"], "fetch"))
    assert status == 0, line
    svid, = line["svids"]
    assert svid["id"] == GO and svid["chain"] == 2 and not svid["isCA"]
    assert 0 < seconds_left(svid) <= 20
    assert list(line["bundles"]) == ["mesh.test"] and line["bundles"]["mesh.test"]


def test_the_relays_user_gets_every_identity_the_default_first(hosts, go):
    line, status = finished(go(hosts["a"], "fetch", uid=mesh.UIDS["relayd"]))
    assert status == 0
    assert [(s["id"], s["hint"]) for s in line["svids"]] == [(WEB, "shop/web"), (GO, "shop/go")]


def test_every_member_has_the_authorities_bundle(hosts, go):
    """go-spiffe accepts a certificate of one host on another only because of it."""
    bundles = [finished(go(hosts[name], "fetch", uid=mesh.UIDS["relayd"]))[0]["bundles"] for name in ("a", "b", "c")]
    assert bundles[0] == bundles[1] == bundles[2]


def test_a_watch_sees_rotations_and_survives_a_restart_of_certd(hosts, go):
    a = hosts["a"]
    with go(a, "watch", "1000", timeout="120s") as watch:
        first = watch.wait_for("context")["svids"][0]
        netns.wait_for(lambda: watch.lines("context")[-1]["svids"][0]["serial"] != first["serial"], 20)
        assert seconds_left(first) > 3  # the next one was there long before the old one's end
        # The stream is cut; go-spiffe asks again by itself.
        before = len(watch.lines())
        a.daemons["certd"].stop()
        netns.wait_for(lambda: any(line["event"] == "watch-error" for line in watch.lines()[before:]), 20)
        a.start("certd").wait_for("ready", 20)
        cut = max(i for i, line in enumerate(watch.lines()) if line["event"] == "watch-error")
        netns.wait_for(lambda: any(line["event"] == "context" for line in watch.lines()[cut:]), 20)
        again = watch.lines("context")[-1]["svids"][0]
        assert again["id"] == GO and seconds_left(again) > 0
        netns.wait_for(lambda: watch.lines("context")[-1]["svids"][0]["serial"] != again["serial"], 20)  # and it rotates on


def test_without_the_header_of_spiffe_the_argument_is_invalid(hosts, go):
    line, status = finished(go(hosts["a"], "bare"))
    assert status == 1 and line["code"] == "InvalidArgument"


def test_nobody_else_gets_anything(hosts, go):
    line, status = finished(go(hosts["a"], "fetch", uid=7999))
    assert status == 1 and line["code"] == "PermissionDenied"


def test_jwt_svids_are_not_implemented(hosts, go):
    line, status = finished(go(hosts["a"], "jwt", "somebody"))
    assert status == 1 and line["code"] == "Unimplemented"


# ---- mutual TLS


def test_two_go_programs_speak_with_our_certificates(hosts, go):
    """Both ends go-spiffe, certificates from two certds of one fleet: verified by its rules, not ours."""
    a, c = hosts["a"], hosts["c"]
    with go(c, "listen", f"{c.ip}:7100", GO) as server:
        server.wait_for("listening")
        line, status = finished(go(a, "dial", f"{c.ip}:7100", CACHE))
        assert status == 0 and line["event"] == "echoed", line
        assert server.end() == 0
        assert server.lines("connected")[0]["peer"] == GO


def test_a_client_with_a_right_identity_gets_a_tunnel(hosts, go):
    with go(hosts["a"], "tunnel", f"{hosts['b'].ip}:15008", DB) as client:
        assert client.end() == 0, client.lines()
        connected, = client.lines("connected")
        assert connected["peer"] == DB and connected["tls"] == "TLS 1.3"
        assert client.lines("settings")


def test_a_client_refuses_a_relay_that_is_somebody_else(hosts, go):
    line, status = finished(go(hosts["a"], "tunnel", f"{hosts['b'].ip}:15008", "spiffe://mesh.test/ns/shop/sa/other"))
    assert status == 1 and "unexpected ID" in line["error"]


def test_a_client_of_another_trust_domain_is_refused(hosts, go):
    """By go-spiffe, which has no bundle for the relay; and by the relay, when the client would take anybody."""
    b, d = hosts["b"], hosts["d"]
    line, status = finished(go(d, "tunnel", f"{b.ip}:15008", DB))
    assert status == 1 and "mesh.test" in line["error"]
    refused = [r for r in b.daemons["relayd"].lines("tunnel refused") if r["reason"] == "unknown_trust_domain"]
    with go(d, "tunnel", f"{b.ip}:15008", "any") as client:
        assert client.end() == 1
        assert client.lines("connected")[0]["peer"] == DB and not client.lines("settings")
        assert "remote error: tls" in client.lines()[-1]["error"]  # the alert came after its own handshake
    netns.wait_for(lambda: len([r for r in b.daemons["relayd"].lines("tunnel refused")
                                if r["reason"] == "unknown_trust_domain"]) == len(refused) + 1)


# ---- go-spiffe behind the relay's own tunnels


REFUSED = "tunnel refused by its server"
FAILED = "tunnel failed: handshake"


def call(hosts, server, account):
    """A connection through host a's relay to a service whose endpoint is <server>; its first line, "" if it is refused."""
    hosts["a"].manifest("go.yaml", mesh.service("go", "shop", CLUSTER_IP, 80, 8080, [("go-1", server.ip, account)]))
    hosts["a"].reload()
    try:
        with netns.Client(hosts["a"].ns, CLUSTER_IP, 80, uid=mesh.APP_UID, timeout=10) as c:
            return c.greeting if not c.greeting or c.echo("ping") else "no echo"
    except ConnectionError:
        return ""


def test_a_tunnel_to_a_go_spiffe_server(hosts, go):
    """net/http and go-spiffe serve HBONE: they see the relay's identity, and bytes go both ways."""
    a, c = hosts["a"], hosts["c"]
    with go(c, "hbone", f"{c.ip}:15008", WEB) as server:
        server.wait_for("listening")
        assert call(hosts, c, "cache") == "hello from go"
        assert server.lines("connect") == [{"event": "connect", "authority": f"{c.ip}:8080", "peer": WEB,
                                            "sni": "cache.shop.sa.mesh.test"}]
        assert CACHE in [t["identity"] for w in a.status()["relayd"]["relay"]["workers"] for t in w["outbound"]]


def test_a_go_spiffe_server_refuses_the_relay(hosts, go):
    """It wants somebody else: the application's connection ends, and the relay says that its peer refused it."""
    a, c = hosts["a"], hosts["c"]
    with go(c, "hbone", f"{c.ip}:15008", GO) as server:
        server.wait_for("listening")
        seen = len(a.daemons["relayd"].lines(REFUSED))
        assert call(hosts, c, "cache") == ""
        assert "unexpected ID" in server.wait_for("refused")["error"]
        line = a.daemons["relayd"].wait_for(REFUSED, count=seen + 1)  # written behind the end of its connections
        assert line["alert"] and line["peer"] == f"{c.ip}:15008"
        assert not server.lines("connect")


@pytest.mark.parametrize("where, account, reason", [("c", "db", "unexpected_id"), ("d", "stranger", "unknown_trust_domain")])
def test_the_relay_refuses_a_go_spiffe_server(hosts, go, where, account, reason):
    a, server_host = hosts["a"], hosts[where]
    with go(server_host, "hbone", f"{server_host.ip}:15008", WEB) as server:
        server.wait_for("listening")
        seen = len(a.daemons["relayd"].lines(FAILED))
        assert call(hosts, server_host, account) == ""
        assert a.daemons["relayd"].wait_for(FAILED, count=seen + 1)["reason"] == reason
        server.wait_for("refused")
        assert not server.lines("connect")
