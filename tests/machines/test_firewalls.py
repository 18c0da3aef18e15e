# SPDX-License-Identifier: GPL-3.0-or-later
"""Tulle beside ufw, firewalld and docker, the real ones, on a real machine; nftables.service is in test_nftables.py."""
import time

import firewall
import pytest
from machine import wait_for

PACKAGES = "nftables,ufw,firewalld,docker.io"


@pytest.fixture(scope="module")
def host(lab):
    host = firewall.Host(lab, "fw", 41, PACKAGES)
    yield host
    print(host.m.journal("tulle-rules*")[-3000:])


@pytest.fixture(autouse=True)
def no_firewall(request):
    """Each test ends without the firewall that it was about, and with the rules."""
    yield
    host = request.getfixturevalue("host")
    host.m.run("ufw", "--force", "disable", check=False)
    host.m.run("systemctl", "stop", "nftables", "firewalld", "docker.socket", "docker", check=False)
    host.m.run("iptables", "-P", "FORWARD", "ACCEPT")
    host.capture_only()
    assert host.check() == 0 and host.get() == "200"


def refused(host, words):
    """Without capture.inboundPorts: kept up to date while in force, else refused in these words; the unit fails once, quietly."""
    m = host.m
    host.capture_only()
    assert host.check() == 0
    captured = host.inbound()
    assert m.run("systemctl", "restart", "tulle-rules", check=False).returncode != 0
    time.sleep(7)  # RestartSec= is 5
    assert m.active("tulle-rules") == "failed" and host.check() == 4
    assert m.out("systemctl", "show", "-p", "NRestarts", "--value", "tulle-rules").strip() == "0"
    assert words in m.journal("tulle-rules") and "nothing was changed" in m.journal("tulle-rules")
    for command in (("init",), ("join", "no-token")):
        done = m.run("tulle", *command, check=False)
        assert done.returncode == 1 and words in done.stderr and "nothing was started" in done.stderr, done.stderr
    host.get()
    assert host.inbound() == captured
    m.write("/etc/tulle/tulle.yaml", host.plain_yaml + "capture: {inboundPorts: [80]}\n")
    m.run("systemctl", "start", "tulle-rules")


def test_ufw(host):
    m = host.m
    host.capture_only(80)
    for port in ("22", "80", "15006", "15008"):
        m.run("ufw", "allow", f"{port}/tcp")
    m.run("ufw", "--force", "enable")
    assert host.check() == 0 and host.is_captured()
    assert host.get(5432) == "000"  # 15006 is open for what is captured, and nothing else
    assert host.get(15006) == "000"
    m.run("ufw", "reload")
    assert host.check() == 0 and host.is_captured()
    m.run("systemctl", "restart", "tulle-rules")  # ours after theirs
    assert host.check() == 0 and host.is_captured()
    refused(host, "ufw allow 15006/tcp")
    assert host.check() == 0 and host.is_captured()
    m.run("ufw", "delete", "allow", "15006/tcp")
    assert host.get() == "000"  # what the page says that happens without it
    m.run("ufw", "--force", "disable")
    assert host.check() == 0 and host.is_captured()


def test_firewalld(host):
    m = host.m
    m.run("systemctl", "stop", "tulle-rules-check.timer")  # the test is the timer
    m.run("systemctl", "start", "firewalld")
    wait_for(lambda: host.check() == 3, what="the flush")  # it comes a moment after the start is over
    m.run("firewall-cmd", "--state")
    host.repair()
    # It lets in whatever was redirected: all that is captured is open, whatever its zones say.  README's limits have it.
    assert host.get(5432) == "200"
    host.capture_only(80)
    assert host.get(5432) == "000" and host.is_captured()
    refused(host, "its zones close")
    assert host.get(5432) == "000" and host.is_captured()
    for verb in ("--reload", "--complete-reload"):
        m.run("firewall-cmd", verb)
        assert host.check() == 3
        host.repair()
        assert host.get(5432) == "000" and host.is_captured()
    m.run("systemctl", "stop", "firewalld")
    host.repair()
    assert host.is_captured()
    m.run("systemctl", "start", "tulle-rules-check.timer")


def test_docker(host):
    m = host.m
    for command in (("start", "docker"), ("restart", "docker"), ("restart", "tulle-rules"), ("restart", "docker")):
        m.run("systemctl", *command)
        assert m.active("docker") == "active" and host.check() == 0, command
        assert host.is_captured()
    assert "DOCKER-USER" in m.out("iptables-save")
    m.run("systemctl", "stop", "tulle-rules")
    assert "DOCKER-USER" in m.out("iptables-save") and "TULLE" not in m.out("iptables-save")
    m.run("systemctl", "start", "tulle-rules")


def test_after_a_boot_tulle_comes_behind_the_firewalls(host):
    m = host.m
    m.run("systemctl", "enable", "nftables")
    m.stop()
    m.start()
    host.other = m.spawn("ncat", "-lk", "-p", "5432", "--sh-exec", "printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'")
    m.run("systemctl", "start", "nginx")
    try:
        wait_for(lambda: m.active("tulle-rules") == "active", 30, "the rules")
        assert m.active("nftables") == "active" and host.check() == 0 and host.is_captured()
    finally:
        m.run("systemctl", "disable", "nftables")
