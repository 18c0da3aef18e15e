# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of the package on a machine while traffic flows through it, and what it leaves behind."""
import json
import subprocess

import pytest
import residue
from load import Load, Table
from machine import SYSTEM, wait_for

USERS = ("tulle-relayd", "tulle-certd", "tulle-telemetryd")


@pytest.fixture(scope="module")
def outside(lab):
    """A web server next to the machine, for what the machine itself asks for."""
    folder = lab.path / "outside"
    folder.mkdir()
    (folder / "index.html").write_text("outside\n")
    server = subprocess.Popen(lab.enter("python3", "-m", "http.server", "--bind", "::", "-d", folder, "8080"),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield "http://10.99.0.1:8080/", "http://[fd99::1]:8080/"
    server.kill()
    server.wait()


@pytest.fixture(scope="module")
def host(lab):
    m = lab.machine("life", 31)
    yield m
    print(m.journal()[-3000:])


def well(host):
    wait_for(lambda: host.run("tulle", "status", check=False).returncode == 0, 30, "a status without complaint")
    assert host.active("tulle-rules") == "active" and "TULLE_OUT" in host.out("iptables-save")


def authority(host):
    """The sums of the keys: the same as long as the state is."""
    return host.out("bash", "-c", "sha256sum /var/lib/tulle/certd/ca/*.key /var/lib/tulle/certd/seal.key")


def test_a_whole_life_under_traffic_loses_nothing_and_leaves_nothing(host, lab, outside):
    host.run("systemctl", "start", "nginx")
    here, here6 = f"http://{host.address}/", f"http://[{host.address6}]/"
    loads = [Load("in", lab.enter(), here, lab.path / "in"), Load("in, IPv6", lab.enter(), here6, lab.path / "in6"),
             Load("out", host.inside(), outside[0], lab.path / "out"),
             Load("out, IPv6", host.inside(), outside[1], lab.path / "out6")]
    slow = subprocess.Popen(lab.enter("curl", "-s", "-N", "--limit-rate", "1", "-o", "/dev/null", here), env=SYSTEM)
    table = Table(*loads)
    try:
        wait_for(lambda: all(any(r.status == 0 for r in load.requests()) for load in loads), 30, "traffic")
        before = residue.snapshot(host)
        with table.step("before"):
            pass
        with table.step("install"):
            host.run("apt-get", "install", "-y", "/mnt/old.deb")
        with table.step("configure (tulle init)"):
            host.run("tulle", "init", "--default", "shop/life")
            well(host)
        root = authority(host)
        with table.step("upgrade"):
            host.run("apt-get", "install", "-y", "/mnt/new.deb")
            well(host)
        with table.step("downgrade"):
            host.run("apt-get", "install", "-y", "--allow-downgrades", "/mnt/old.deb")
            well(host)
        assert authority(host) == root
        with table.step("remove"):
            host.run("apt-get", "remove", "-y", "tulle")
        assert "TULLE" not in "".join(residue.snapshot(host)["rules"])
        with table.step("reinstall"):
            host.run("apt-get", "install", "-y", "/mnt/old.deb")
            well(host)
        assert authority(host) == root
        with table.step("purge"):
            host.run("apt-get", "purge", "-y", "tulle")
        changed = residue.settled(host, before)
    finally:
        for load in loads:
            load.stop()
        slow.kill()
        slow.wait()
    table.show()
    users = changed.pop("users")
    assert changed == {}, json.dumps(changed, indent=1)
    assert sorted(line.split(":")[0] for line in users) == sorted(f"+ {u}" for u in (*USERS, *USERS, "tulle"))
    for user in USERS:  # locked, and nobody can log in as one
        assert "!" in host.out("getent", "shadow", user).split(":")[1]
        assert host.out("getent", "passwd", user).strip().endswith("/nologin")
    assert table.failed() == []
    assert all(good > 0 for _, _, _, good, _ in table.rows())
