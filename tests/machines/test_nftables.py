# SPDX-License-Identifier: GPL-3.0-or-later
"""Tulle beside nftables.service, whose every step flushes all rules of the host; and what puts them back."""
import firewall
import pytest
from machine import wait_for


@pytest.fixture(scope="module")
def host(lab):
    host = firewall.Host(lab, "nftables", 42, "nftables")
    yield host
    print(host.m.journal("tulle-rules*")[-3000:])


@pytest.mark.quick
def test_nftables_service_flushes_and_the_timer_puts_back(host):
    """Its start, reload and stop flush all there is; nobody outside loses the host, and the rules are back within the timer's round."""
    m = host.m
    for verb in ("start", "reload", "stop"):
        m.run("systemctl", "stop", "tulle-rules-check.timer")
        m.run("systemctl", verb, "nftables")
        assert host.check() == 3  # drift: it is told
        said = m.run("tulle", "status", check=False).stdout
        assert "differ from the plan" in said, said
        assert host.get() == "200"
        m.run("systemctl", "start", "tulle-rules-check.timer")
        if verb == "start":
            wait_for(lambda: host.check() == 0, 30, "the timer")
        else:
            host.repair()
        assert host.is_captured()
    assert "taken away by another program" in m.journal("tulle-rules-check")
    assert "as applied" not in m.journal("tulle-rules-check")  # it speaks when there is something to say


def test_with_a_drop_in_nftables_service_brings_them_back_at_once(host):
    """doc/steering.md has it."""
    m = host.m
    m.run("mkdir", "-p", "/etc/systemd/system/nftables.service.d")
    m.write("/etc/systemd/system/nftables.service.d/tulle.conf",
            "[Service]\nExecStartPost=-/usr/sbin/tulle-nfrules repair\nExecReload=-/usr/sbin/tulle-nfrules repair\n"
            "ExecStopPost=-/usr/sbin/tulle-nfrules repair\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "stop", "tulle-rules-check.timer")
    try:
        for verb in ("start", "reload", "restart", "stop"):
            m.run("systemctl", verb, "nftables")
            assert host.check() == 0, verb
    finally:
        m.run("rm", "-r", "/etc/systemd/system/nftables.service.d")
        m.run("systemctl", "daemon-reload")
        m.run("systemctl", "start", "tulle-rules-check.timer")


def test_a_removal_stays_one_while_the_timer_runs(host):
    m = host.m
    m.run("systemctl", "stop", "tulle-rules")
    assert m.active("tulle-rules-check.timer") == "inactive"
    m.run("systemctl", "start", "tulle-rules-check.service")
    assert host.check() == 4 and host.get() == "200"
    m.run("systemctl", "start", "tulle-rules")
    assert m.active("tulle-rules-check.timer") == "active"
    m.run("tulle-nfrules", "remove", "--now")  # by hand, in need
    m.run("systemctl", "start", "tulle-rules-check.service")
    assert host.check() == 4
    m.run("tulle-nfrules", "apply")
