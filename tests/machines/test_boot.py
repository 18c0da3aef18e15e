# SPDX-License-Identifier: GPL-3.0-or-later
"""
A machine starts and stops.  Its clients talk from the first moment on, and a packet capture on the bridge tells what left it:
with capture.failClosed nothing but the mesh's TLS; without it, the host has its network from the start.
"""
import contextlib
import re
import subprocess
import time

import pytest
from machine import wait_for

SECRET = "secret-of-the-application"

# As early as a program can be: no dependencies, and it asks both a service of the mesh and a stranger, IPv4 and IPv6.
TALKER = """[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/bash -c 'while :; do for to in {targets}; do curl -gs -m 2 -o /dev/null -H "X-Word: {secret}" $to && echo "answer $to $EPOCHREALTIME"; done; sleep 0.05; done'
KillMode=process
SendSIGKILL=no
[Install]
WantedBy=sysinit.target
"""


@contextlib.contextmanager
def capture(lab, path):
    """All packets on the bridge; the file is whole when it is left."""
    tcpdump = subprocess.Popen(lab.enter("tcpdump", "-i", lab.bridge, "-U", "-n", "-w", path, "tcp"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert "listening" in tcpdump.stderr.readline()
    try:
        yield
    finally:
        time.sleep(0.5)
        tcpdump.terminate()
        tcpdump.wait()


def packets(path, expression):
    done = subprocess.run(["tcpdump", "-r", path, "-n", expression], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def plaintext(path):
    return open(path, "rb").read().count(SECRET.encode())


@pytest.fixture(scope="module")
def pair(lab):
    """A web server in the mesh that takes plaintext too, a stranger in the lab, and the machine that starts and stops."""
    web, m = lab.machine("web", 51), lab.machine("boot", 52)
    web.run("apt-get", "install", "-y", "/mnt/old.deb")
    m.run("apt-get", "install", "-y", "/mnt/old.deb")
    web.run("tulle", "init", "--trust-domain", "mesh.example", "--default", "shop/web")
    token = web.out("tulle", "token", "--allow", "shop/boot", "--address", web.address).split()[-1]
    m.run("tulle", "join", token)
    entries = "---\n".join(f"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, namespace: shop}}\n"
                           f"spec: {{address: \"{address}\", serviceAccount: {account}}}\n"
                           for name, account, address in (("web", "web", web.address), ("web6", "web", web.address6),
                                                          ("boot", "boot", m.address)))
    for host in (web, m):
        host.write("/etc/tulle/mesh.d/shop.yaml", entries)
        host.run("tulle", "reload")
    web.run("systemctl", "start", "nginx")
    stranger = subprocess.Popen(lab.enter("python3", "-m", "http.server", "--bind", "::", "-d", "/var/empty", "8080"),
                                cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    targets = (f"http://{web.address}/", f"http://[{web.address6}]/", "http://10.99.0.1:8080/", "http://[fd99::1]:8080/")
    m.write("/etc/systemd/system/talker.service", TALKER.format(targets=" ".join(targets), secret=SECRET))
    m.run("systemctl", "enable", "talker")
    yield web, m
    stranger.kill()
    stranger.wait()


def restart(m):
    """Seconds that the stop took."""
    began = time.monotonic()
    m.stop()
    took = time.monotonic() - began
    m.start()
    return took


def moment(m, unit, what):
    """Microseconds since the machine's start at which a unit was reached (Active) or left (Inactive)."""
    return int(m.out("systemctl", "show", "-p", f"{what}EnterTimestampMonotonic", "--value", unit))


def answers(m):
    """Who answered the talker since the start, in order."""
    return re.findall(r"answer http://(\S+)/ ", m.out("journalctl", "-b", "-u", "talker", "-o", "cat", "--no-pager"))


def test_with_fail_closed_not_one_plaintext_byte_leaves_over_a_restart(pair, lab):
    web, m = pair
    m.write("/etc/tulle/tulle.yaml", m.out("cat", "/etc/tulle/tulle.yaml") +
            "capture: {failClosed: true}\noutboundTrafficPolicy: REGISTRY_ONLY\n")
    m.run("tulle", "check")
    m.run("systemctl", "restart", "tulle-relayd")
    m.run("systemctl", "restart", "tulle-rules")
    m.run("systemctl", "start", "talker")
    wait_for(lambda: answers(m), what="an answer through the mesh")
    pcap = lab.path / "closed.pcap"
    with capture(lab, pcap):
        took = restart(m)
        wait_for(lambda: f"{web.address}" in answers(m), 60, "the mesh after the start")
        wait_for(lambda: f"[{web.address6}]" in answers(m), 60, "the mesh after the start, IPv6")
    assert plaintext(pcap) == 0
    tunnels = packets(pcap, f"host {m.address} and tcp port 15008")
    naked = packets(pcap, f"(src host {m.address} or src host {m.address6}) and (dst port 80 or dst port 8080)")
    print(f"stop {took:.1f} s; {len(tunnels)} packets of tunnels, {len(naked)} to the services' own ports")
    assert tunnels and naked == []
    # The rules are there before the network, and the relay only later.
    hold, network = moment(m, "tulle-hold", "Active"), moment(m, "network-pre.target", "Active")
    assert 0 < hold <= network < moment(m, "tulle-relayd", "Active") < moment(m, "tulle-rules", "Active")
    assert took < 45


def test_without_fail_closed_the_host_has_its_network_from_the_start(pair, lab):
    web, m = pair
    m.run("sed", "-i", "/^capture: /d; /^outboundTrafficPolicy: /d", "/etc/tulle/tulle.yaml")
    m.run("tulle-nfrules", "apply")
    m.run("systemctl", "restart", "tulle-relayd")
    pcap = lab.path / "open.pcap"
    with capture(lab, pcap):
        took = restart(m)
        wait_for(lambda: m.active("tulle-rules") == "active", 30, "the rules")
        wait_for(lambda: len(packets(pcap, f"host {m.address} and tcp port 15008")) > 0, 30, "tunnels")
    assert plaintext(pcap) > 0  # and the capture would have seen it in the test before
    first = answers(m)[:1]
    assert first, "nobody answered"
    lines = m.out("journalctl", "-b", "-u", "talker", "-u", "tulle-relayd", "-o", "short-monotonic", "--no-pager").splitlines()
    talked = next(i for i, line in enumerate(lines) if "answer http" in line)
    started = next(i for i, line in enumerate(lines) if "Started tulle-relayd" in line)
    assert talked < started, "the host had to wait for the relay"
    moments = [moment(m, u, "Active") for u in ("tulle-certd", "tulle-relayd", "tulle-rules", "tulle.target")]
    assert moments == sorted(moments) and moments[0] > 0
    print(f"stop {took:.1f} s; moments {moments}")
    assert took < 45


def test_at_a_shutdown_the_rules_go_before_the_relay(pair):
    _, m = pair
    lines = m.out("journalctl", "-b", "-1", "-o", "cat", "--no-pager", "-u", "tulle*").splitlines()
    rules = max(i for i, line in enumerate(lines) if line.startswith("Stopped tulle-rules"))
    relay = max(i for i, line in enumerate(lines) if line.startswith("Stopping tulle-relayd"))
    assert rules < relay
    assert not any("timed out" in line for line in lines)
