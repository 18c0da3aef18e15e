# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of the package on a machine: what it leaves behind, and what the host can reach meanwhile."""
import pytest
from machine import wait_for

# What every run of a Debian system changes by itself.
ALIVE = ("/var/log", "/var/lib/apt", "/var/cache", "/var/lib/dpkg", "/var/lib/systemd", "/root", "/tmp", "/var/tmp", "/mnt",
         "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-",
         "/etc/.pwd.lock", "/etc/ld.so.cache", "/etc/machine-id",
         "/var/lib/nginx", "/run/nginx.pid", "/run/systemd", "/run/udev", "/run/lock", "/run/xtables.lock", "/run/utmp")


def residue(m):
    """Files with their contents, rules and units."""
    prune = " ".join(f"-path {p} -prune -o" for p in ("/proc", "/sys", "/dev", *ALIVE))
    files = m.out("bash", "-c", f"find / -xdev {prune} -printf '%p %M %u %g %l\\n' | sort; find /run/tulle 2>/dev/null; "
                  f"find /etc {' '.join(f'-path {p} -prune -o' for p in ALIVE)} -type f -exec sha256sum {{}} +  | sort")
    return {
        "files": files,
        "rules": m.out("bash", "-c", "nft list ruleset 2>/dev/null; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names"),
        "units": m.out("systemctl", "list-unit-files", "--no-legend", "--no-pager"),
    }


@pytest.fixture(scope="module")
def host(lab):
    m = lab.machine("life", 31)
    yield m
    print(m.journal()[-3000:])


def installed(host):
    return "install ok installed" in host.run("dpkg-query", "-W", "-f=${Status}", "tulle", check=False).stdout


def test_install_remove_reinstall_and_purge_leave_nothing(host, lab):
    server = f"http://{host.address}/"
    host.run("systemctl", "start", "nginx")
    # The tools make an empty table where they look: look once before.
    before = residue(host)

    host.run("apt-get", "install", "-y", "/mnt/old.deb")
    host.run("tulle", "init", "--default", "shop/life")
    wait_for(lambda: host.active("tulle-rules") == "active", what="the rules")
    assert "TULLE_OUT" in host.out("iptables-save")
    key = host.out("sha256sum", "/var/lib/tulle/certd/journal", check=False)
    host.run("apt-get", "install", "-y", "/mnt/new.deb")
    assert host.active("tulle-relayd") == "active" and host.active("tulle-rules") == "active"
    host.run("apt-get", "install", "-y", "--allow-downgrades", "/mnt/old.deb")
    wait_for(lambda: host.run("tulle", "status", check=False).returncode == 0, what="a status without complaint")

    host.run("apt-get", "remove", "-y", "tulle")
    assert "TULLE" not in host.out("iptables-save") and host.active("tulle-relayd") != "active"
    assert host.get(server) == "200"
    assert host.run("test", "-d", "/var/lib/tulle/certd").returncode == 0
    host.run("apt-get", "install", "-y", "/mnt/old.deb")
    assert installed(host)
    host.run("systemctl", "start", "tulle.target", "tulle-certd", "tulle-telemetryd", "tulle-relayd", "tulle-rules")
    wait_for(lambda: host.run("tulle", "status", check=False).returncode == 0, what="the mesh of before")
    assert host.out("tulle", "ca", "show", check=False) is not None and key is not None

    host.run("apt-get", "purge", "-y", "tulle")
    after = residue(host)
    host.run("systemctl", "daemon-reload")
    for part in ("files", "units"):
        assert sorted(set(before[part].splitlines()) ^ set(after[part].splitlines())) == [], part
    assert "TULLE" not in after["rules"]
    for user in ("tulle-relayd", "tulle-certd", "tulle-telemetryd"):  # they stay, locked, as Debian's policy has it
        assert "!" in host.out("getent", "shadow", user).split(":")[1]
