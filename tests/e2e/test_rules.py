# SPDX-License-Identifier: GPL-3.0-or-later
"""Steering: what is captured, what is not, and what happens to connections that live while the rules change."""
import socket
import subprocess
import time

import pytest

import netns
import rules
from rules import ABSENT, EQUAL, FAILED, HEALTH, IN, OUT, REFUSED, Host

PORTS = [80, 22, 2525, 8080, 9000, 9464, 15008, 15012, 15021]

FAMILIES = {"v4": socket.AF_INET, "v6": socket.AF_INET6}


@pytest.fixture(params=["nft", "legacy"])
def backend(request):
    return request.param


@pytest.fixture(params=list(FAMILIES))
def family(request):
    return FAMILIES[request.param]


@pytest.fixture
def pair():
    with netns.pair(netns.unique("nfr")) as both:
        yield both


@pytest.fixture
def host(pair, tmp_path, backend):
    return Host(pair[0], tmp_path, backend)


@pytest.fixture
def peer(pair):
    with netns.Server(pair[1], PORTS):
        yield pair[1]


def text(address):
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address)) if ":" in address else address


# ---- what is captured, and what is not ----

def test_outbound_is_captured_and_the_relay_learns_what_was_dialled(host, peer, family):
    there = peer.address(family)
    with host.relay():
        host.apply()
        assert netns.ask(host.ns, there, 80) == f"outbound {text(there)} 80"
        assert netns.ask(host.ns, there, 9000) == f"outbound {text(there)} 9000"


def test_inbound_is_captured_and_the_relay_learns_what_was_dialled(host, peer, family):
    here = host.ns.address(family)
    with host.relay():
        host.apply()
        assert netns.ask(peer, here, 8080) == f"inbound {text(here)} 8080"


def test_tulle_itself_is_not_captured(host, peer, family):
    with host.relay():
        host.apply()
        for uid in (rules.RELAY, rules.CERTD, rules.TELEMETRYD):
            assert netns.ask(host.ns, peer.address(family), 80, uid=uid) == "direct"


def test_exclusions_of_the_configuration(host, peer, family):
    host.configure("capture: {exclude: {ports: [2525], uids: [7001]}}\n")
    there = peer.address(family)
    with host.relay(), netns.Server(host.ns, [2525]):
        host.apply()
        assert netns.ask(host.ns, there, 2525) == "direct"
        assert netns.ask(host.ns, there, 80, uid=7001) == "direct"
        assert netns.ask(host.ns, there, 80, uid=7002).startswith("outbound")
        assert netns.ask(peer, host.ns.address(family), 2525) == "direct"


def test_excluded_blocks_of_addresses_both_ways(host, peer, family):
    host.configure(f"capture: {{exclude: {{cidrs: [{peer.ip4}/32, '{peer.ip6}/128']}}}}\n")
    with host.relay(), netns.Server(host.ns, [8080]):
        host.apply()
        assert netns.ask(host.ns, peer.address(family), 80) == "direct"
        assert netns.ask(peer, host.ns.address(family), 8080) == "direct"


def test_more_ports_than_one_rule_holds(host, peer, family):
    many = list(range(3000, 3040)) + [2525]
    host.configure(f"capture: {{exclude: {{ports: {many}}}}}\n")
    with host.relay(), netns.Server(peer, [3000, 3014, 3015, 3039, 3040]):
        host.apply()
        for port in (3000, 3014, 3015, 3039):
            assert netns.ask(host.ns, peer.address(family), port) == "direct"
        assert netns.ask(host.ns, peer.address(family), 3040).startswith("outbound")


def test_ssh_and_tulles_own_ports_are_exempt(host, peer, family):
    mine = [22, 9464, 15008, 15012, 15021]
    with host.relay(), netns.Server(host.ns, mine):
        host.apply()
        for port in mine:
            assert netns.ask(peer, host.ns.address(family), port) == "direct"
        for port in (22, 15008, 15012):
            assert netns.ask(host.ns, peer.address(family), port) == "direct"


def test_an_application_that_calls_itself_is_not_captured(host, peer, family):
    loopback = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with host.relay(), netns.Server(host.ns, [8080]):
        host.apply()
        assert netns.ask(host.ns, loopback, 8080) == "direct"
        assert netns.ask(host.ns, host.ns.address(family), 8080) == "direct"


def test_what_only_passes_through_is_not_captured(host, peer, tmp_path):
    """A host with containers is a router: what is not addressed to it is none of its business."""
    with netns.namespace(netns.unique("nfrc")) as behind, host.relay():
        netns.run("ip", "link", "add", "eth1", "netns", host.ns.name, "type", "veth", "peer", "name", "eth0", "netns",
                  behind.name)
        host.ns.run("ip", "-batch", "-", input="addr add 10.78.0.1/24 dev eth1\nlink set eth1 up\n")
        behind.run("ip", "-batch", "-", input="addr add 10.78.0.2/24 dev eth0\nlink set eth0 up\n"
                                              "route add default via 10.78.0.1\n")
        peer.run("ip", "route", "add", "10.78.0.0/24", "via", host.ns.ip4)
        host.ns.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        host.apply()
        assert netns.ask(behind, peer.ip4, 80) == "direct"


def test_directions_can_be_switched_off(host, peer):
    with host.relay(), netns.Server(host.ns, [8080]):
        host.configure("capture: {inbound: false}\n")
        host.apply()
        assert netns.ask(peer, host.ns.ip4, 8080) == "direct"
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
        host.configure("capture: {outbound: false}\n")
        host.apply()
        assert netns.ask(host.ns, peer.ip4, 80) == "direct"
        assert netns.ask(peer, host.ns.ip4, 8080).startswith("inbound")


def test_without_a_relay_connections_are_refused(host, peer, family):
    host.apply()
    with pytest.raises(ConnectionRefusedError):
        netns.ask(host.ns, peer.address(family), 80)


# ---- the guard, and IPv6 ----

def test_fail_closed_nothing_leaks_when_somebody_flushes_the_capture(host, peer, family):
    host.configure("capture: {failClosed: true}\n")
    there, here = peer.address(family), host.ns.address(family)
    with host.relay(), netns.Server(host.ns, [8080, 22]):
        host.apply()
        assert netns.ask(host.ns, there, 80).startswith("outbound")
        assert netns.ask(peer, here, 8080).startswith("inbound")
        host.tool(family, "", "-t", "nat", "-F")
        with pytest.raises(ConnectionRefusedError):
            netns.ask(host.ns, there, 80)
        with pytest.raises(ConnectionRefusedError):
            netns.ask(peer, here, 8080)
        assert netns.ask(host.ns, there, 80, uid=rules.RELAY) == "direct"
        assert netns.ask(peer, here, 22) == "direct"
        host.apply()
        assert netns.ask(host.ns, there, 80).startswith("outbound")


def test_ipv6_off_leaves_ipv6_alone(host, peer, backend):
    host.configure(f"steering: {{backend: {backend}, ipv6: off}}\n")
    with host.relay():
        host.apply()
        assert netns.ask(host.ns, peer.ip6, 80) == "direct"
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
        host.check(EQUAL)
        assert "TULLE" not in host.tool(socket.AF_INET6, "-save").stdout


def test_ipv6_reject_refuses_new_connections(host, peer, backend):
    host.configure(f"steering: {{backend: {backend}, ipv6: reject}}\n")
    with host.relay():
        host.apply()
        with pytest.raises(ConnectionRefusedError):
            netns.ask(host.ns, peer.ip6, 80)
        with pytest.raises(ConnectionRefusedError):
            netns.ask(peer, host.ns.ip6, 8080)
        assert netns.ask(host.ns, peer.ip6, 80, uid=rules.RELAY) == "direct"
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")


def test_ipv6_switched_off_later_keeps_live_connections(host, peer, backend):
    with host.relay():
        host.apply()
        with netns.Client(host.ns, peer.ip6, 80) as old:
            host.configure(f"steering: {{backend: {backend}, ipv6: off}}\n")
            host.apply()
            host.check(EQUAL)
            assert old.echo()
            assert netns.ask(host.ns, peer.ip6, 80) == "direct"


# ---- connections that live while the rules change ----

@pytest.mark.parametrize("conntrack", ["cold", "warm"])
def test_a_connection_from_before_survives_the_first_apply(host, peer, family, conntrack):
    if conntrack == "warm":
        host.tool(family, "", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID")
    with host.relay(), netns.Server(host.ns, [8080]), \
            netns.Client(host.ns, peer.address(family), 9000) as out, \
            netns.Client(peer, host.ns.address(family), 8080) as come:
        assert out.greeting == come.greeting == "direct"
        host.apply()
        assert out.echo("still there") and come.echo("still here")
        assert netns.ask(host.ns, peer.address(family), 9000).startswith("outbound")


def test_captured_connections_survive_another_apply(host, peer, family):
    with host.relay():
        host.apply()
        with netns.Client(host.ns, peer.address(family), 80) as out, \
                netns.Client(peer, host.ns.address(family), 8080) as come:
            host.configure("capture: {exclude: {ports: [2525]}}\n")
            host.apply()
            assert out.echo() and come.echo()
            assert out.greeting.startswith("outbound") and come.greeting.startswith("inbound")


def test_remove_lets_live_connections_end(host, peer, family):
    before = host.dump()
    with host.relay():
        host.apply()
        with netns.Client(host.ns, peer.address(family), 80) as old:
            removing = host.ns.popen(rules.NFRULES, "--root", str(host.root), "remove", "--drain=10")
            netns.wait_for(lambda: netns.ask(host.ns, peer.address(family), 80) == "direct")
            time.sleep(0.5)  # a remove that does not wait would be done by now
            assert old.echo("during the drain")
            assert removing.poll() is None
        said, _ = removing.communicate(timeout=10)
        assert removing.returncode == 0, said
    assert "TULLE" not in host.dump() + before


def test_remove_leaves_what_live_connections_need(host, peer, family):
    with host.relay():
        host.apply()
        with netns.Client(host.ns, peer.address(family), 80) as old:
            said = host.nfrules("remove", "--drain=1", status=FAILED)
            assert "1 redirected connection is still live" in said
            assert old.echo("after the drain")
            assert netns.ask(host.ns, peer.address(family), 80) == "direct"
            host.check(ABSENT)
            host.apply()
            assert netns.ask(host.ns, peer.address(family), 80).startswith("outbound")
            assert old.echo("steered again")
            said = host.nfrules("remove", "--now", status=0)
            assert "will hang" in said
            assert "TULLE" not in host.dump()


# ---- waiting for the relay ----

def test_apply_waits_for_the_relay(host, peer):
    waiting = host.ns.popen(rules.NFRULES, "--root", str(host.root), "apply", "--wait-relay=10")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.3)
    assert netns.ask(host.ns, peer.ip4, 80) == "direct"
    with host.relay(ready=True):
        said, _ = waiting.communicate(timeout=10)
        assert waiting.returncode == 0, said
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")


def test_apply_gives_up_waiting_and_changes_nothing(host):
    said = host.nfrules("apply", "--wait-relay=1", status=FAILED)
    assert f"nobody listens on port {OUT}" in said
    host.check(ABSENT)


def test_a_relay_that_listens_and_is_not_ready_is_waited_for(host):
    with netns.Server(host.ns, [OUT, IN]), netns.Server(host.ns, [HEALTH], lambda conn: b"HTTP/1.1 503 No\r\n\r\n"):
        assert "listens, but is not ready" in host.nfrules("apply", "--wait-relay=1", status=FAILED)
    host.check(ABSENT)


def test_fail_closed_decides_what_a_unit_does(host):
    assert "open" in host.nfrules("apply", "--if-closed", status=0)
    host.check(ABSENT)
    host.apply()
    host.nfrules("remove", "--unless-closed", "--now", status=0)
    host.check(ABSENT)
    host.configure("capture: {failClosed: true}")
    host.nfrules("apply", "--if-closed", status=0)
    host.check(0)
    assert "stay" in host.nfrules("remove", "--unless-closed", "--now", status=0)
    host.check(0)
    host.nfrules("remove", "--now", status=0)
    host.check(ABSENT)


def test_both_ports_are_waited_for(host):
    with netns.Server(host.ns, [OUT]):
        assert f"nobody listens on port {IN}" in host.nfrules("apply", "--wait-relay=1", status=FAILED)


# ---- what is refused: the same whatever the backend ----

@pytest.fixture
def alone(tmp_path):
    with netns.namespace(netns.unique("nfa")) as ns:
        yield Host(ns, tmp_path, "nft")


@pytest.mark.parametrize("line", [
    'capture: {exclude: {ports: ["22 -j ACCEPT"]}}',
    'capture: {exclude: {ports: ["22\\n-A OUTPUT -j ACCEPT"]}}',
    'capture: {exclude: {ports: ["\\e[2J"]}}',
    'capture: {exclude: {cidrs: ["10.0.0.0/8 -j ACCEPT"]}}',
    'capture: {exclude: {cidrs: ["10.0.0.0/8\\nCOMMIT"]}}',
    'capture: {exclude: {uids: ["0; true"]}}',
    'capture: {exclude: {ports: [0]}}',
    'capture: {exclude: {ports: [65536]}}',
    'ports: {outbound: "15001 --to-ports 1"}',
    'capture: {outbound: "\'"}',
    'capture: {outbond: true}',
])
def test_iptables_syntax_in_the_configuration_is_refused(alone, line):
    alone.configure(line + "\n")
    for verb in ("plan", "apply", "check"):
        said = alone.nfrules(verb, status=REFUSED)
        assert "tulle.yaml:3:" in said
        assert "\x1b" not in said
    assert "TULLE" not in alone.dump()


@pytest.mark.parametrize("user", ["nobody-of-this-name", "x -j ACCEPT", "a\\nb", "a'b", "-1", "4294967296"])
def test_a_user_that_does_not_exist_is_refused(alone, user):
    (alone.root / "etc/tulle/tulle.yaml").write_text(f'users: {{relayd: "{user}"}}\n', encoding="utf-8")
    said = alone.nfrules("apply", status=REFUSED)
    assert "users.relayd" in said
    assert "TULLE" not in alone.dump()


def test_one_port_for_both_directions_is_refused(alone):
    alone.configure("ports: {outbound: 15001, inbound: 15001}\n")
    alone.nfrules("apply", status=REFUSED)


@pytest.mark.parametrize("args, word", [
    (["apply", "--nonsense"], "nonsense"),
    (["apply", "--now"], "for remove"),
    (["remove", "--wait-relay"], "for apply"),
    (["remove", "--backend=nft"], "both backends"),
    (["apply", "--backend=ebpf"], "nft or legacy"),
    (["apply", "--wait-relay=soon"], "seconds"),
    (["apply", "check"], "unexpected argument"),
    (["install"], "unknown verb"),
    ([], "Usage"),
])
def test_the_command_line_is_strict(alone, args, word):
    assert word in alone.nfrules(*args, status=REFUSED)
