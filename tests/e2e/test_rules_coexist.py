# SPDX-License-Identifier: GPL-3.0-or-later
"""Steering beside other firewalls, and on kernels that lack something: clean coexistence or a clear error, and the network stays.

The real ufw, firewalld, docker and nftables.service are in tests/machines/test_firewalls.py; here is what can be told apart
quickly: their rules as recorded, their flushes, and programs that answer as a kernel without this or that does.
"""
import json
import shutil
import socket

import pytest

import netns
import rules
from rules import ABSENT, DRIFT, EQUAL, FAILED, REFUSED, Host

BOTH = [socket.AF_INET, socket.AF_INET6]

# What dockerd 20.10.24 of Debian 12 loads at its start, and for one published port: iptables-save, less the counters.
DOCKER = """*filter
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""

# Debian's /etc/nftables.conf, with a policy: start, reload and restart of nftables.service load it.
NFTABLES = """flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname "lo" accept
		meta l4proto ipv6-icmp accept
		tcp dport { 80, 15008 } accept
		tcp dport 15006 ct original proto-dst 80 accept
	}
}
"""


@pytest.fixture(params=["nft", "legacy"])
def backend(request):
    return request.param


@pytest.fixture
def pair():
    with netns.pair(netns.unique("nfx")) as both:
        yield both


@pytest.fixture
def host(pair, tmp_path, backend):
    return Host(pair[0], tmp_path, backend)


@pytest.fixture
def nft_host(pair, tmp_path):
    return Host(pair[0], tmp_path, "nft")


def flush(host):
    """As a firewall does that takes all rules for its own: nft flush ruleset, or every table of the legacy backend."""
    if host.backend == "nft":
        host.ns.run("nft", "flush", "ruleset")
        return
    for family in BOTH:
        for table in ("mangle", "nat", "filter"):
            host.tool(family, "", "-t", table, "-F")
            host.tool(family, "", "-t", table, "-X")


def repair(host, status=EQUAL):
    return host.nfrules("repair", status=status)


def own(host):
    return [line for line in host.dump().splitlines() if "TULLE" in line]


needs_nft = pytest.mark.skipif(shutil.which("nft") is None, reason="nft, of the package nftables, is missing")


# ---- taken away by others, and put back ----

@needs_nft
def test_what_another_firewall_flushed_is_told_and_put_back(host):
    host.apply()
    wanted = own(host)
    assert "as applied" in repair(host)
    flush(host)
    said = host.check(DRIFT)
    assert "another program took them away" in said and "missing     nat OUTPUT -j TULLE_OUT" in said
    said = repair(host)
    assert "repaired" in said and "taken away by another program" in said
    host.check(EQUAL)
    assert own(host) == wanted
    host.tool(socket.AF_INET, "", "-t", "nat", "-D", "OUTPUT", "-j", "TULLE_OUT")  # or one rule of it
    said = repair(host)
    assert "repaired" in said and '"chain":"OUTPUT","rule":"-j TULLE_OUT"' in said
    assert own(host) == wanted


def test_what_was_removed_on_purpose_stays_away(host):
    assert "not applied" in repair(host)
    host.apply()
    host.nfrules("remove", status=0)
    before = host.dump()
    assert "not applied" in repair(host)
    assert host.dump() == before


def test_a_newer_configuration_waits_for_its_apply(host):
    host.apply()
    before = host.dump()
    host.configure("capture: {exclude: {ports: [2525]}}\n")
    assert "the configuration is newer" in repair(host)
    assert host.dump() == before


def test_repair_can_be_switched_off_and_tells_all_the_same(host):
    host.configure(f"steering: {{backend: {host.backend}, repair: false}}\n")
    host.apply()
    host.tool(socket.AF_INET, "", "-t", "nat", "-D", "OUTPUT", "-j", "TULLE_OUT")
    changed = host.dump()
    said = repair(host, DRIFT)
    assert "steering.repair is false" in said and "tulle-nfrules apply" in said
    assert host.dump() == changed


@needs_nft
def test_a_captured_connection_that_is_silent_meanwhile_lives_through_a_reload(nft_host, pair):
    """What is sent while the rules are away goes past the relay, and that connection is lost: doc/steering.md says so."""
    host, peer = nft_host, pair[1]
    with host.relay(), netns.Server(peer, [80]):
        host.ns.run("nft", "-f", "-", input=NFTABLES)
        host.apply()
        with netns.Client(host.ns, peer.ip4, 80) as c:
            assert c.greeting.startswith("outbound") and c.echo()
            host.ns.run("nft", "-f", "-", input=NFTABLES)
            repair(host)
            assert c.echo("back")
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")


# ---- ufw, firewalld ----

# What ufw 0.36.2 leaves in INPUT for "default deny", "allow 80/tcp": iptables-save, less logging and what is not about this.
UFW = """*filter
:INPUT DROP [0:0]
:ufw-before-input - [0:0]
:ufw-user-input - [0:0]
-A INPUT -j ufw-before-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-user-input -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
"""
# What firewalld 1.3.3 has in its table for a zone with the service http.
FIREWALLD = """table inet firewalld {
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		meta l4proto ipv6-icmp accept
		tcp dport 80 accept
		reject with icmpx admin-prohibited
	}
}
"""


def raise_wall(host, wall):
    if wall == "ufw":
        host.tool(socket.AF_INET, "-restore", "--noflush", input=UFW)
    else:
        host.ns.run("nft", "-f", "-", input=FIREWALLD)


@needs_nft
@pytest.mark.parametrize("wall, words", [("ufw", ["ufw allow 15006/tcp"]), ("firewalld", ["its zones close"])])
def test_a_first_apply_beside_a_firewall_needs_a_word(host, pair, wall, words):
    """Refused in one sentence with the ways out, the network as it was; each way out is let through."""
    peer = pair[1]
    raise_wall(host, wall)
    before = host.dump()

    def as_the_firewall_says():
        assert netns.ask(peer, host.ns.ip4, 80) == "direct"
        with pytest.raises(OSError):
            netns.ask(peer, host.ns.ip4, 5432, timeout=1)

    with host.relay(), netns.Server(host.ns, [80, 5432]), netns.Server(peer, [80]):
        for text in ("", "capture: {inboundPorts: []}\n"):
            host.configure(text)
            said = host.nfrules("apply", status=REFUSED)
            for word in (*words, wall, "inboundPorts: [80, 443]", "inboundPorts: all", "inbound: false", "nothing was changed"):
                assert word in said, said
            assert host.dump() == before and "TULLE" not in before
            as_the_firewall_says()
            assert "not applied" in repair(host)
            assert json.loads(host.nfrules("check", "--json", status=ABSENT))["firewalls"][0] in said
        for text in ("capture: {inbound: false}\n", "capture: {inboundPorts: [80]}\n"):
            host.configure(text)
            host.apply()
            host.check(EQUAL)
            assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
            with pytest.raises(OSError):  # what it closes stays closed
                netns.ask(peer, host.ns.ip4, 5432, timeout=1)
            host.nfrules("remove", "--now", status=0)
            as_the_firewall_says()
        host.configure("capture: {inboundPorts: all}\n")
        host.apply()
        if wall == "firewalld":  # what the sentence says, and by the operator's word
            assert netns.ask(peer, host.ns.ip4, 5432).startswith("inbound")
        else:
            with pytest.raises(OSError):
                netns.ask(peer, host.ns.ip4, 80, timeout=1)


@needs_nft
@pytest.mark.parametrize("wall", ["ufw", "firewalld"])
def test_rules_in_force_are_kept_up_to_date_beside_a_firewall(nft_host, wall):
    host = nft_host
    host.apply()
    raise_wall(host, wall)
    host.configure("capture: {exclude: {ports: [2525]}}\n")
    host.apply()
    host.check(EQUAL)
    host.tool(socket.AF_INET, "", "-t", "nat", "-D", "OUTPUT", "-j", "TULLE_OUT")
    assert "repaired" in repair(host)
    host.nfrules("remove", "--now", status=0)
    host.configure("capture: {failClosed: true}\n")  # at boot no rules would let plaintext out
    host.apply("--if-closed")


# ---- a pod's annotations ----

def test_a_long_range_of_ports_is_left_alone(host, pair):
    """What tulle inject makes of exclude-inbound-ports "1024-65535": in the kernel as it was asked for, in both backends."""
    env = ["env", "TULLE_EXCLUDE_INBOUND_PORTS=1024-65535"]
    with host.relay(), netns.Server(host.ns, [80, 5432]):
        for verb in ("apply", "check"):
            status, said = under(host, env, verb)
            assert status == EQUAL, said
        assert netns.ask(pair[1], host.ns.ip4, 5432) == "direct"
        assert netns.ask(pair[1], host.ns.ip4, 80).startswith("inbound")


# ---- docker ----

@pytest.fixture
def docker(pair):
    """A bridge and a container on it, without docker: its rules are loaded by the test."""
    host = pair[0]
    with netns.namespace(netns.unique("ctr")) as container:
        host.run("ip", "-batch", "-", input="link add docker0 type bridge\naddr add 172.17.0.1/16 dev docker0\nlink set docker0 up\n")
        host.run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", container.name)
        host.run("ip", "link", "set", "veth0", "master", "docker0", "up")
        container.run("ip", "-batch", "-", input="addr add 172.17.0.2/16 dev eth0\nlink set eth0 up\n"
                                                 "route add default via 172.17.0.1\n")
        host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield container


@pytest.mark.parametrize("first", ["docker", "tulle"])
def test_docker_and_tulle_in_both_orders(host, pair, docker, first):
    """What the host dials is captured, what containers dial passes, a published port is reached through the relay."""
    peer = pair[1]
    with host.relay(), netns.Server(peer, [80]), netns.Server(docker, [80], lambda c: b"container\n"):
        if first == "docker":
            host.tool(socket.AF_INET, "-restore", "--noflush", input=DOCKER)
            host.apply()
        else:
            host.apply()
            host.tool(socket.AF_INET, "-restore", "--noflush", input=DOCKER)
        host.check(EQUAL)
        assert netns.ask(host.ns, peer.ip4, 80) == f"outbound {peer.ip4} 80"
        assert netns.ask(docker, peer.ip4, 80) == "direct"
        assert netns.ask(peer, host.ns.ip4, 8081) == f"inbound {host.ns.ip4} 8081"
        # ... which connects where the caller wanted to go, as its own user: docker sends it on.
        assert netns.ask(host.ns, host.ns.ip4, 8081, uid=rules.RELAY) == "container"
        host.nfrules("remove", status=0)
        assert netns.ask(peer, host.ns.ip4, 8081) == "container"
        assert netns.ask(docker, peer.ip4, 80) == "direct"
    assert "TULLE" not in host.dump() and host.dump().count("DOCKER-USER") > 1


# ---- nftables.service, and a firewall that drops ----

@needs_nft
def test_nftables_conf_loaded_before_and_after(nft_host, pair):
    host, peer = nft_host, pair[1]
    with host.relay(), netns.Server(peer, [80]):
        host.ns.run("nft", "-f", "-", input=NFTABLES)
        host.apply()
        host.check(EQUAL)
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
        host.ns.run("nft", "-f", "-", input=NFTABLES)  # systemctl reload nftables
        assert netns.ask(host.ns, peer.ip4, 80) == "direct"
        repair(host)
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
        host.nfrules("remove", status=0)
        assert "policy drop" in host.ns.run("nft", "list", "ruleset").stdout


@needs_nft
def test_a_firewall_that_drops_sees_the_inbound_port_and_can_judge_by_the_first(nft_host, pair):
    """doc/steering.md: a host's firewall looks at packets after they were redirected, so at 15006."""
    host, peer = nft_host, pair[1]
    host.ns.run("nft", "-f", "-", input=NFTABLES)
    with host.relay(), netns.Server(host.ns, [80, 5432]):
        host.apply()
        assert netns.ask(peer, host.ns.ip4, 80) == f"inbound {host.ns.ip4} 80"
        for port in (5432, 15006):  # not opened by having opened 15006 for port 80
            with pytest.raises(OSError):
                netns.ask(peer, host.ns.ip4, port, timeout=1)


@needs_nft
def test_only_named_ports_are_captured_inbound(nft_host, pair):
    """capture.inboundPorts: what is not named the firewall judges as it always did."""
    host, peer = nft_host, pair[1]
    host.configure("capture: {inboundPorts: [80]}\n")
    host.ns.run("nft", "-f", "-", input=NFTABLES.replace(" ct original proto-dst 80", ""))
    with host.relay(), netns.Server(host.ns, [80, 5432]):
        host.apply()
        host.check(EQUAL)
        assert netns.ask(peer, host.ns.ip4, 80) == f"inbound {host.ns.ip4} 80"
        with pytest.raises(OSError):
            netns.ask(peer, host.ns.ip4, 5432, timeout=1)
        host.ns.run("nft", "flush", "ruleset")
        repair(host)
        assert netns.ask(peer, host.ns.ip4, 5432) == "direct"


@needs_nft
def test_a_native_table_with_a_redirection_of_its_own(nft_host, pair):
    host, peer = nft_host, pair[1]
    host.ns.run("nft", "-f", "-", input="table ip own { chain out { type nat hook output priority -110; "
                                        "tcp dport 8080 redirect to :3128; }; }\n")
    with host.relay(), netns.Server(peer, [80, 8080]), netns.Server(host.ns, [3128], lambda c: b"own proxy\n"):
        host.apply()
        host.check(EQUAL)
        assert netns.ask(host.ns, peer.ip4, 8080) == "own proxy"
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
        host.nfrules("remove", status=0)
        assert netns.ask(host.ns, peer.ip4, 8080) == "own proxy"


# ---- the other backend in use by others ----

@needs_nft
@pytest.mark.parametrize("ours, theirs", [("nft", "legacy"), ("legacy", "nft")])
def test_rules_of_others_in_the_other_backend_go_on_working(pair, tmp_path, ours, theirs):
    host, peer = Host(pair[0], tmp_path, ours), pair[1]
    blocked = ["-A", "OUTPUT", "-p", "tcp", "-d", peer.ip4, "--dport", "2525", "-j", "REJECT"]
    host.tool(socket.AF_INET, "", *blocked, backend=theirs)
    with host.relay(), netns.Server(peer, [80, 2525]):
        host.apply()
        host.check(EQUAL)
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
        with pytest.raises(OSError):  # the relay's own connection meets the rule of the others
            netns.ask(host.ns, peer.ip4, 2525, uid=rules.RELAY, timeout=2)
        host.nfrules("remove", status=0)
        assert netns.ask(host.ns, peer.ip4, 80) == "direct"
        with pytest.raises(OSError):
            netns.ask(host.ns, peer.ip4, 2525, timeout=2)


# ---- what a kernel may lack ----

def stand_in(host, script):
    """A command prefix: inside, the tools of the host's backend are <script>, which may go on with the real one as $real."""
    multi = f"/usr/sbin/xtables-{host.backend}-multi"
    real, fake = host.root / "multi", host.root / "fake"
    shutil.copy(multi, real)
    fake.write_text(f"#!/bin/bash\nname=${{0##*/}}\nreal() {{ (exec -a \"$name\" {real} \"$@\"); }}\n{script}\nreal \"$@\"\n",
                    encoding="utf-8")
    fake.chmod(0o755)
    return ["unshare", "-m", "sh", "-c", f'mount --bind {fake} {multi} && exec "$@"', "sh"]


def under(host, prefix, *args):
    done = host.ns.run(*prefix, rules.NFRULES, "--root", str(host.root), *args, check=False)
    return done.returncode, done.stdout + done.stderr


NO_NAT = {
    "legacy": """if [[ $name == iptables-legacy-restore ]]; then input=$(cat); if [[ $input == *"*nat"* ]]; then
echo "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nat'

Error occurred at line: 1" >&2; exit 2; fi; real "$@" <<<"$input"; exit; fi""",
    "nft": """if [[ $name == iptables-nft-restore ]]; then input=$(cat); if [[ $input == *"*nat"* ]]; then
echo "iptables-nft-restore v1.8.9 (nf_tables):
line 1: CHAIN_ADD failed (No such file or directory): chain PREROUTING" >&2; exit 4; fi; real "$@" <<<"$input"; exit; fi""",
}
NO_OWNER = """if [[ $name == iptables-*-restore ]]; then input=$(cat); if [[ $input == *"-m owner"* ]]; then
echo "Warning: Extension owner revision 0 not supported, missing kernel module?
$name: line 9: RULE_APPEND failed (No such file or directory): rule in chain TULLE_OUT" >&2; exit 4; fi; real "$@" <<<"$input"; exit; fi"""


def network_as_before(host, peer, status, said, *words):
    """Refused or taken back, in words that name what is missing; nothing is left; who dials gets through."""
    assert status in (FAILED, REFUSED), said
    for word in words:
        assert word in said, said
    assert "TULLE" not in host.dump()
    assert netns.ask(host.ns, peer.ip4, 80) == "direct"
    assert netns.ask(host.ns, peer.ip6, 80) == "direct"
    assert "not applied" in repair(host)


def test_a_kernel_without_nat_tables(host, pair):
    with netns.Server(pair[1], [80]):
        status, said = under(host, stand_in(host, NO_NAT[host.backend]), "apply")
        network_as_before(host, pair[1], status, said, "iptable_nat" if host.backend == "legacy" else "nft_chain_nat", "steering:",
                          "everything was taken back")


def test_a_kernel_without_the_owner_match(host, pair):
    with netns.Server(pair[1], [80]):
        status, said = under(host, stand_in(host, NO_OWNER), "apply")
        network_as_before(host, pair[1], status, said, "xt_owner", "everything was taken back")


def test_a_system_without_iptables(host, pair):
    nothing = host.root / "nothing"
    nothing.touch(mode=0o600)
    prefix = ["unshare", "-m", "sh", "-c", f'for t in nft legacy; do mount --bind {nothing} /usr/sbin/xtables-$t-multi; done; exec "$@"',
              "sh"]
    with netns.Server(pair[1], [80]):
        status, said = under(host, prefix, "apply")
        network_as_before(host, pair[1], status, said, "is not installed (package iptables)")


def test_a_process_without_the_capability(host, pair):
    prefix = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    with netns.Server(pair[1], [80]):
        status, said = under(host, prefix, "apply")
        network_as_before(host, pair[1], status, said, "NET_ADMIN")


NO_IPV6_TABLES = """if [[ $name == ip6tables-* ]]; then
echo "$name: can't initialize ip6tables table \\`nat': Address family not supported by protocol" >&2; exit 3; fi"""


def without_ipv6(host):
    host.ns.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")


@pytest.mark.parametrize("kernel", ["addresses switched off", "no tables either"])
def test_a_host_without_ipv6_is_steered_in_ipv4(host, pair, kernel):
    """disable_ipv6=1, and a kernel that has no IPv6 at all: nothing could leave that way, so it does not matter."""
    peer = pair[1]
    without_ipv6(host)
    prefix = stand_in(host, NO_IPV6_TABLES if kernel == "no tables either" else "")
    with netns.Server(host.ns, [rules.OUT, rules.IN], rules.relay_greeting, uid=rules.RELAY), netns.Server(peer, [80]):
        status, said = under(host, prefix, "apply")
        assert status == EQUAL, said
        if kernel == "no tables either":
            assert "IPv6 is not in use here" in said
        assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
        status, said = under(host, prefix, "check", "--json")
        assert status == EQUAL and json.loads(said)["state"] == "equal", said
        assert "as applied" in under(host, prefix, "repair")[1]
        assert under(host, prefix, "remove")[0] in (0, FAILED)
        assert netns.ask(host.ns, peer.ip4, 80) == "direct"


@pytest.mark.parametrize("v6, status", [("on", REFUSED), ("reject", REFUSED), ("off", EQUAL)])
def test_ipv6_in_use_and_no_tables_for_it(host, pair, v6, status):
    """on: no silent bypass. reject: it cannot be refused either. off: by the operator's word it passes."""
    peer = pair[1]
    host.configure(f"steering: {{backend: {host.backend}, ipv6: {v6}}}\n")
    with host.relay(), netns.Server(peer, [80]):
        got, said = under(host, stand_in(host, NO_IPV6_TABLES), "apply")
        assert got == status, said
        if status == REFUSED:
            assert "ipv6: off" in said, said
            assert netns.ask(host.ns, peer.ip4, 80) == "direct"
            assert "TULLE" not in host.tool(socket.AF_INET, "-save").stdout
        else:
            assert netns.ask(host.ns, peer.ip4, 80).startswith("outbound")
        assert netns.ask(host.ns, peer.ip6, 80) == "direct"
