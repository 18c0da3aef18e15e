# SPDX-License-Identifier: GPL-3.0-or-later
"""tulle doctor: a mesh that is well gives no complaint, and each classic error is named by one command."""
import glob
import json
import os
import socket

import certd
import pytest

import mesh
import netns

CLUSTER_IP, CLUSTER_IP6 = "10.96.0.1", "fd96::1"
PAGE = "hello from b:8080\n"


def doctor(host, *args, check=False, timeout=60):
    return host.tulle("doctor", *args, check=check, timeout=timeout * mesh.PATIENCE)


def bad(host, *args):
    """What is wrong: [(what, text)]."""
    found = json.loads(doctor(host, "--json", *args).stdout)["findings"]
    return [(f["what"], f["text"]) for f in found if f["health"] in ("warning", "broken")]


def names(host, what, *words, args=()):
    """One finding of <what> has all the words; they are told by what a reader sees, too."""
    done = doctor(host, *args)
    lines = [line for line in done.stdout.splitlines() if line.split()[1:2] == [what] and not line.startswith("ok")]
    assert done.returncode == 1 and any(all(w in line for w in words) for line in lines), done.stdout + done.stderr
    return next(line for line in lines if all(w in line for w in words))


def well(host, *args):
    done = doctor(host, *args)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pair():
    """The authority with web on host a, db on host b, which listens in both families."""
    with mesh.Mesh(netns.unique("doc"), ["a", "b"]) as m:
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080,
                                           [("db-1", m["b"].ip, "db")]).replace(f'["{CLUSTER_IP}"]', f'["{CLUSTER_IP}"]'))
        m.manifest("db6.yaml", mesh.service("db6", "shop", CLUSTER_IP6, 80, 8080, [("db-6", m["b"].ip6, "db")]))
        m["b"].nginx(8080)
        for host in m.hosts.values():
            host.run("ip", "-6", "route", "add", "fd96::/64", "dev", "eth0")
            host.start_relay()
            host.start_telemetryd()
        assert m["a"].curl(f"http://{CLUSTER_IP}/").stdout == PAGE
        yield m


@pytest.fixture(autouse=True)
def mended(request):
    """Each test leaves the mesh as it found it."""
    yield
    if "pair" not in request.fixturenames:
        return
    for host in request.getfixturevalue("pair").hosts.values():
        folder = os.path.join(host.root, "etc/tulle/mesh.d")
        for f in os.listdir(folder):
            if f not in ("db.yaml", "db6.yaml"):
                os.unlink(os.path.join(folder, f))
        host.reload()
        host.rules("apply")


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_host_that_is_well_gives_no_complaint(pair, name):
    host = pair[name]
    assert bad(host) == []
    assert "nothing is wrong" in well(host)
    told = {f["what"] for f in json.loads(doctor(host, "--json").stdout)["findings"]}
    assert {"disk", "manifests", "secrets", "certd", "relayd", "identity", "kernel", "rules", "ports"} <= told


def test_a_destination_that_is_well_is_said_to_be(pair):
    for name in ("db", "shop/db", "shop/db:80", f"{CLUSTER_IP}:80", "db6", f"[{CLUSTER_IP6}]:80"):
        assert "stands" in well(pair["a"], name), name
    assert "answers" in well(pair["a"], f"{pair['b'].ip}:8080")


# ---- the classic errors -----------------------------------------------------------------


def test_a_typo_in_a_manifest_is_named_with_its_place(pair):
    a = pair["a"]
    text = mesh.service("late", "shop", "10.96.0.9", 80, 8080, [("db-1", pair["b"].ip, "db")]).replace("targetPort", "targetPrt")
    a.manifest("typo.yaml", text)
    names(a, "manifests", "typo.yaml:7:", 'did you mean "targetPort"?', "tulle reload")
    assert a.curl(f"http://{CLUSTER_IP}/").stdout == PAGE  # the old set is in force


def test_a_wrong_port_is_named_with_those_that_there_are(pair):
    for name in ("db:81", "shop/db:81", f"{CLUSTER_IP}:81"):
        names(pair["a"], "destination", "wrong port: service shop/db has no port 81, it has 80 (tcp)", "db.yaml:", args=[name])
    names(pair["a"], "destination", "there is no service shop/d", "there are shop/db, shop/db6", args=["shop/d"])


def test_an_application_that_is_down_is_named_on_both_sides(pair):
    a, b = pair["a"], pair["b"]
    b.daemons["nginx-8080"].stop()
    try:
        line = names(b, "application", "service shop/db, port 80: the application is down: nobody listens at 10.77.0.2:8080")
        assert "tulle" not in line.split("listens here")[-1]
        names(a, "destination", "the application is down: the relay at 10.77.0.2:8080 answers", args=["shop/db"])
    finally:
        b.nginx(8080)


def test_an_application_on_loopback_alone_is_named(pair):
    b = pair["b"]
    b.daemons["nginx-8080"].stop()
    with b.ns.inside():
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 8080))
        s.listen()
    try:
        names(b, "application", "listens at 127.0.0.1:8080 alone", "is reached at 10.77.0.2:8080")
    finally:
        s.close()
        b.nginx(8080)


NOBODY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: shop}
spec:
  selector: {matchLabels: {app: db}}
  action: DENY
  rules: [{from: [{source: {serviceAccounts: ["shop/web"]}}]}]
"""


def test_a_policy_that_denies_is_named_with_file_and_line(pair):
    a, b = pair["a"], pair["b"]
    for host in (a, b):
        host.manifest("nobody.yaml", NOBODY)
        host.reload()
    names(a, "policy", "spiffe://mesh.test/ns/shop/sa/web is denied by policy shop/nobody", "nobody.yaml:7", args=["db"])
    os.unlink(os.path.join(a.root, "etc/tulle/mesh.d/nobody.yaml"))  # the caller may not know the other side's policies
    a.reload()
    names(a, "destination", "denied by a policy of the other side", args=["db"])
    line, = [t for t in b.tulle("status", check=False).stdout.splitlines() if "denied by policy" in t]
    assert "nobody.yaml:7: shop/nobody" in line and "spiffe://mesh.test/ns/shop/sa/web" in line


@pytest.mark.parametrize("flush", [("nft", "flush", "ruleset"), ("iptables", "-t", "nat", "-F"), ("iptables-nft", "-t", "nat", "-F", "OUTPUT")])
def test_rules_that_another_firewall_flushed_are_named(pair, flush):
    a = pair["a"]
    a.run(*flush)
    names(a, "rules", "flushed: tulle-nfrules put the rules in place at 20", "tulle-nfrules apply")
    a.rules("apply")
    assert bad(a) == []


def test_rules_that_were_removed_are_not_called_flushed(pair):
    a = pair["a"]
    a.rules("remove", "--now")
    line = names(a, "rules", "not in place")
    assert "flushed" not in line


@pytest.mark.parametrize("how, words", [
    (("-j", "DROP"), ("is blocked: the host answers at port 8080 and not at port 15008",)),
    (("-j", "REJECT"), ("is blocked: a firewall rejects it (ICMP from 10.77.0.2)",)),
    (("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"), ("10.77.0.2:15008 refuses", "a firewall in between")),
], ids=["drop", "reject", "reset"])
def test_port_15008_blocked_between_two_hosts_is_named(pair, how, words):
    a, b = pair["a"], pair["b"]
    rule = ["INPUT", "-p", "tcp", "--dport", "15008", *[w for w in how if w not in ("-p", "tcp")]]
    b.run("iptables", "-I", *rule)
    try:
        names(a, "peer", "db-1: ", *words)
        names(a, "destination", *words, args=["db"])
    finally:
        b.run("iptables", "-D", *rule)


def test_port_15008_blocked_by_this_host_itself_is_named(pair):
    a = pair["a"]
    rule = ["OUTPUT", "-p", "tcp", "--dport", "15008", "-j", "REJECT"]
    a.run("iptables", "-I", *rule)
    try:
        names(a, "peer", "is blocked by a firewall of this host, on the way out")
    finally:
        a.run("iptables", "-D", *rule)


# ---- a host that is to join, and its authority: on loopback, without a relay -----------------


@pytest.fixture
def world():
    w = certd.World()
    yield w
    w.close()


def told(host, *, what):
    """Lines of doctor about <what>; a relay is missing here, so the exit status says nothing."""
    return [line for line in host.tulle("doctor").stdout.splitlines() if line.split()[1:2] == [what]]


def test_an_expired_token_is_named_by_join_and_by_doctor(world):
    authority = world.host("authority", "default: ns/default/sa/a", authority=certd.free_port()).start()
    m = world.host("member", "source: fleet, default: ns/default/sa/m").start()
    token = authority.token("default/m", args=("--ttl", "5s"))
    netns.wait_for(lambda: authority.tulle("token", "--list").stdout == "no token is open\n", 10 * mesh.PATIENCE)
    done = m.tulle("join", token)
    assert done.returncode == 1 and "the authority refused the token: it expired at 20" in done.stderr, done.stderr
    line, = told(m, what="join")
    assert line.startswith("FAIL") and "it expired at 20" in line and "make another there: tulle token" in line
    assert m.tulle("join", authority.token("default/m")).returncode == 0
    assert told(m, what="join") == []


FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


@pytest.mark.skipif(not FAKETIME or mesh.sanitized(), reason="needs libfaketime, which does not go with sanitizers")
@pytest.mark.parametrize("offset, seconds, words", [
    ("-3h", range(10700, 10801), "behind the authority's: certificates are refused"),
    ("+2h", range(7195, 7206), "ahead of the authority's: certificates may be refused"),
    ("+200d", range(86400 * 30, 86400 * 200), "ahead of the authority's: certificates are refused"),
])
def test_a_clock_that_is_off_is_named_with_seconds(world, monkeypatch, offset, seconds, words):
    authority = world.host("authority", "default: ns/default/sa/a", authority=certd.free_port()).start()
    m = world.host("member", "source: fleet, default: ns/default/sa/m")
    for name, value in (("LD_PRELOAD", FAKETIME[0]), ("FAKETIME", offset), ("DONT_FAKE_MONOTONIC", "1")):
        monkeypatch.setenv(name, value)
    m.start()
    for name in ("LD_PRELOAD", "FAKETIME", "DONT_FAKE_MONOTONIC"):
        monkeypatch.delenv(name)
    done = m.tulle("join", authority.token("default/m"))
    line, = told(m, what="clock")
    figure = int(next(w for w in line.split() if w.isdigit()))
    assert figure in seconds and words in line and "set the clocks (NTP)" in line, line
    if "are refused" in words:
        assert done.returncode == 1 and f"s {words.split(':')[0]}" in done.stderr, done.stderr
