# SPDX-License-Identifier: GPL-3.0-or-later
"""tulle doctor: a mesh that is well gives no complaint, and each classic error is named by one command."""
import glob
import json
import os
import re
import socket

import certd
import pytest

import mesh
import netns
from test_certd import StandIn

CLUSTER_IP, CLUSTER_IP6 = "10.96.0.1", "fd96::1"
PAGE = "hello from b:8080\n"


# Sentences that doc/troubleshooting.md quotes: each is heard by a test below.
SAID = {
    "typo": 'unknown field; did you mean "targetPort"?; mend the line, then tulle reload',
    "port": "wrong port: service shop/db has no port 81, it has 80 (tcp)",
    "down": "service shop/db, port 80: the application is down: nobody listens at 10.77.0.2:8080",
    "down there": "the application is down: the relay at 10.77.0.2:8080 answers, and nobody takes the connection there",
    "loopback": "listens at 127.0.0.1:8080 alone",
    "policy": "spiffe://mesh.test/ns/shop/sa/web is denied by policy shop/nobody",
    "policy there": "denied by a policy of the other side: the AuthorizationPolicies at 10.77.0.2:8080",
    "flushed": "flushed: tulle-nfrules put the rules in place at 20",
    "drop": "is blocked: the host answers at port 8080 and not at port 15008",
    "reject": "is blocked: a firewall rejects it (ICMP from 10.77.0.2)",
    "reset": "10.77.0.2:15008 refuses: nobody listens at port 15008 there",
    "expired": "the authority refused the token: it expired at 20",
    "clock": "s ahead of the authority's: certificates may be refused; set the clocks (NTP)",
    "clock refused": "s behind the authority's: certificates are refused; set the clocks (NTP)",
}


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
    names(a, "manifests", "typo.yaml:7:", SAID["typo"])
    assert a.curl(f"http://{CLUSTER_IP}/").stdout == PAGE  # the old set is in force


def test_a_wrong_port_is_named_with_those_that_there_are(pair):
    for name in ("db:81", "shop/db:81", f"{CLUSTER_IP}:81"):
        names(pair["a"], "destination", SAID["port"], "db.yaml:", args=[name])
    names(pair["a"], "destination", "there is no service shop/d", "there are shop/db, shop/db6", args=["shop/d"])


def test_an_application_that_is_down_is_named_on_both_sides(pair):
    a, b = pair["a"], pair["b"]
    b.daemons["nginx-8080"].stop()
    try:
        line = names(b, "application", SAID["down"])
        assert "tulle" not in line.split("listens here")[-1]
        names(a, "destination", SAID["down there"], args=["shop/db"])
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
        names(b, "application", SAID["loopback"], "is reached at 10.77.0.2:8080")
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
    names(a, "policy", SAID["policy"], "nobody.yaml:7", args=["db"])
    os.unlink(os.path.join(a.root, "etc/tulle/mesh.d/nobody.yaml"))  # the caller may not know the other side's policies
    a.reload()
    names(a, "destination", SAID["policy there"], args=["db"])
    line, = [t for t in b.tulle("status", check=False).stdout.splitlines() if "denied by policy" in t]
    assert "nobody.yaml:7: shop/nobody" in doctor(b).stdout
    assert "nobody.yaml:7: shop/nobody" in line and "spiffe://mesh.test/ns/shop/sa/web" in line


@pytest.mark.parametrize("flush", [("nft", "flush", "ruleset"), ("iptables", "-t", "nat", "-F"), ("iptables-nft", "-t", "nat", "-F", "OUTPUT")])
def test_rules_that_another_firewall_flushed_are_named(pair, flush):
    a = pair["a"]
    a.run(*flush)
    names(a, "rules", SAID["flushed"], "tulle-nfrules apply")
    a.rules("apply")
    assert bad(a) == []


def test_a_firewall_of_this_host_that_judges_what_was_redirected_is_named(pair):
    """What firewalld and ufw leave to be seen; what they do is in tests/machines/test_firewalls.py."""
    a = pair["a"]
    a.run("nft", "add", "table", "inet", "firewalld")
    a.run("iptables-nft-restore", "--noflush", input="*filter\n:ufw-before-input - [0:0]\n-A INPUT -j ufw-before-input\nCOMMIT\n")
    names(a, "firewall", "firewalld is active and lets in", "capture.inboundPorts")
    names(a, "firewall", "ufw allow 15006/tcp", "capture.inboundPorts")
    a.configure(capture={"inboundPorts": [8080]})
    a.rules("apply")
    assert [what for what, _ in bad(a) if what == "firewall"] == []
    del a.settings["capture"]
    a.configure()
    a.run("nft", "delete", "table", "inet", "firewalld")
    a.run("iptables-nft-restore", "--noflush", input="*filter\n-D INPUT -j ufw-before-input\n-X ufw-before-input\nCOMMIT\n")
    a.rules("apply")
    assert bad(a) == []


def test_rules_that_were_removed_are_not_called_flushed(pair):
    a = pair["a"]
    a.rules("remove", "--now")
    line = names(a, "rules", "not in place")
    assert "flushed" not in line


@pytest.mark.parametrize("how, words", [
    (("-j", "DROP"), (SAID["drop"],)),
    (("-j", "REJECT"), (SAID["reject"],)),
    (("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"), (SAID["reset"], "a firewall in between")),
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


def test_port_15008_blocked_is_named_where_no_service_is_there(pair):
    """A server that is called by its own address needs a WorkloadEntry alone; one that a service has, too, is told once."""
    a, b = pair["a"], pair["b"]
    rule = ["INPUT", "-p", "tcp", "--dport", "15008", "-j", "DROP"]
    b.run("iptables", "-I", *rule)
    b.run("ip", "addr", "add", "10.77.0.60/24", "dev", "eth0")
    entry = ("apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {}, namespace: shop}}\n"
             'spec: {{address: "{}", serviceAccount: db, ports: {{http: 8080}}}}\n')
    a.manifest("alone.yaml", entry.format("alone", "10.77.0.60") + "---\n" + entry.format("here", a.ip))
    try:
        names(a, "peer", "alone: port 15008 of 10.77.0.60 ")
        told = [text for what, text in bad(a) if what == "peer"]
        assert len(told) == 2 and not [t for t in told if f"port 15008 of {a.ip} " in t], told
    finally:
        b.run("ip", "addr", "del", "10.77.0.60/24", "dev", "eth0")
        b.run("iptables", "-D", *rule)


def test_port_15008_blocked_by_this_host_itself_is_named(pair):
    a = pair["a"]
    rule = ["OUTPUT", "-p", "tcp", "--dport", "15008", "-j", "REJECT"]
    a.run("iptables", "-I", *rule)
    try:
        names(a, "peer", "is blocked by a firewall of this host, on the way out")
    finally:
        a.run("iptables", "-D", *rule)


# ---- what else is looked at ------------------------------------------------------------------


def test_a_rule_of_others_before_ours_is_named(pair):
    a = pair["a"]
    a.run("iptables", "-t", "nat", "-I", "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")
    try:
        names(a, "rules", "nat OUTPUT: not-first", "rules of others come before ours")
    finally:
        a.run("iptables", "-t", "nat", "-D", "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")


def test_files_that_were_changed_and_not_reloaded_are_named(pair):
    a = pair["a"]
    a.manifest("late.yaml", mesh.service("late", "shop", "10.96.0.9", 80, 8080, [("late-1", a.ip, "web")]))
    names(a, "manifests", "was changed", "is not in force", "tulle reload")


def test_a_port_of_ours_that_another_program_has_is_named(pair):
    b = pair["b"]
    b.daemons["relayd"].stop()
    squatter = b.spawn("squatter", ["ncat", "-lk", "15008"])
    try:
        netns.wait_for_port(b.ns, 15008)
        names(b, "ports", f"port 15008 (ports.hbone) is taken by ncat (pid {squatter.pid})")
    finally:
        squatter.stop()
        b.start_relay()


def test_a_feature_that_the_kernel_lacks_is_named(pair, tmp_path):
    """A stand-in for iptables-restore that answers as a kernel without the owner match does."""
    a = pair["a"]
    tool = tmp_path / "iptables-restore"
    tool.write_text("#!/bin/sh\ninput=$(cat)\ncase $input in *owner*) echo 'iptables-restore: match owner is unknown' >&2; exit 2;;"
                    " esac\n")
    tool.chmod(0o755)
    done = a.run("env", f"PATH={tmp_path}:{os.environ['PATH']}", mesh.binary("tulle"), "doctor", "--root", a.root, check=False)
    assert done.returncode == 1
    assert "FAIL  kernel      IPv4: the kernel has no owner match" in done.stdout and "NETFILTER_XT_MATCH_OWNER" in done.stdout


def test_secrets_that_others_may_read_are_named(pair):
    b = pair["b"]
    folder = os.path.join(b.root, "var/lib/tulle/certd")
    mode = os.stat(folder).st_mode
    os.chmod(folder, 0o755)
    try:
        names(b, "secrets", "may be read or written by others (mode 0755)")
    finally:
        os.chmod(folder, mode)


def test_a_collector_is_asked(pair):
    a = pair["a"]
    a.configure(telemetry={"destinations": [{"otlp": "http://127.0.0.1:4399"}]})
    try:
        names(a, "collector", "http://127.0.0.1:4399: ", "is a collector running there")
        a.spawn("collect", [a.public(mesh.binary("tulle")), "collect", "--listen", "127.0.0.1:4399"])
        netns.wait_for_port(a.ns, 4399)
        assert "http://127.0.0.1:4399 takes OTLP" in doctor(a, "--all").stdout and bad(a) == []
        a.daemons["collect"].stop()
    finally:
        del a.settings["telemetry"]
        a.configure()


def test_a_way_to_the_authority_that_is_blocked_is_named(pair):
    b = pair["b"]
    rule = ["OUTPUT", "-p", "tcp", "--dport", "15012", "-j", "DROP"]
    b.run("iptables", "-I", *rule)
    try:
        names(b, "authority", "no answer from 10.77.0.1:15012", "a firewall drops port 15012")
    finally:
        b.run("iptables", "-D", *rule)


def test_who_is_not_root_is_told_what_was_not_looked_at(pair):
    a = pair["a"]
    done = a.as_app(a.public(mesh.binary("tulle")), "doctor", "--root", a.root, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-     kernel      not looked at: that needs root" in done.stdout


def test_wrong_usage_is_2_and_nothing_is_looked_at(pair):
    for args in (("a/b/c",), ("db:0",), ("db", "web"), ("--nonsense",)):
        done = doctor(pair["a"], *args)
        assert done.returncode == 2 and done.stdout == "" and "tulle doctor" in done.stderr, (args, done)


def test_status_tells_what_an_operator_asks_first(pair):
    a, b = pair["a"], pair["b"]
    page = b.tulle("status").stdout
    assert re.search(r"^ok    manifests  revision [0-9a-f]{16}, in force since 20\d\d-\S+Z, ", page, re.M), page
    assert re.search(r"^ok    service    shop/db:80: .*; the application here listens$", page, re.M), page
    assert a.curl(f"http://{CLUSTER_IP}/").stdout == PAGE
    assert re.search(r"^ok    peer       to 10.77.0.2:15008 spiffe://mesh.test/ns/shop/sa/db, TLS", a.tulle("status").stdout, re.M)
    b.daemons["nginx-8080"].stop()
    try:
        a.curl(f"http://{CLUSTER_IP}/", check=False)
        done = b.tulle("status", check=False)
        assert done.returncode == 1 and "nobody listens here at 10.77.0.2:8080" in done.stdout, done.stdout
        page = a.tulle("status", check=False).stdout
        assert re.search(r"^-     failed     to 10.96.0.1:80 \(spiffe://mesh.test/ns/shop/sa/db\): tunnel_refused, \d+ times, last \d+ s ago; "
                         r"tulle doctor 10.96.0.1:80$", page, re.M), page
    finally:
        b.nginx(8080)


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
    assert done.returncode == 1 and SAID["expired"] in done.stderr, done.stderr
    line, = told(m, what="join")
    assert line.startswith("FAIL") and "it expired at 20" in line and "make another there: tulle token" in line
    assert m.tulle("join", authority.token("default/m")).returncode == 0
    assert told(m, what="join") == []


FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


@pytest.mark.skipif(not FAKETIME or mesh.sanitized(), reason="needs libfaketime, which does not go with sanitizers")
@pytest.mark.parametrize("offset, seconds, words", [
    ("-3h", range(10700, 10801), SAID["clock refused"]),
    ("+2h", range(7195, 7206), SAID["clock"]),
    ("+200d", range(86400 * 30, 86400 * 200), "s ahead of the authority's: certificates are refused"),
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
        assert done.returncode == 1 and words.split(":")[0] in done.stderr, done.stderr


@pytest.mark.parametrize("which", SAID)
def test_the_page_on_troubleshooting_quotes_it(which):
    with open(os.path.join(mesh.TOP, "doc/troubleshooting.md"), encoding="utf-8") as f:
        assert SAID[which] in f.read()


def test_a_disk_that_is_full_is_named(world):
    h = world.host("full", "default: ns/default/sa/a")
    folder = h.path("var/lib/tulle")
    os.makedirs(folder)
    netns.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
    try:
        line, = told(h, what="disk")
        assert line.startswith("FAIL") and "is full" in line
    finally:
        netns.run("umount", folder)


def test_a_daemon_of_another_version_is_named(world):
    h = world.host("old", "default: ns/default/sa/a")
    StandIn(h, {"state": "ready", "source": "embedded", "trust_domain": "t.test", "alarms": [], "version": "0.0.9"})
    lines = told(h, what="certd")
    assert any(line.startswith("warn") and "is of version 0.0.9, this command of " in line for line in lines), lines
