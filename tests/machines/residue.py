# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine is made of, as text that can be compared: files, rules, routes, units, users, processes."""
import re
import time

# What a Debian system changes by itself while a package comes and goes; everything else is compared to the byte.
EXCLUDED = {
    "/var/log": "logs: journald, apt, dpkg, nginx",
    "/var/lib/dpkg": "dpkg's own list of what is there, and its old copy",
    "/var/lib/apt": "apt's own lists and what was asked for by name",
    "/var/cache": "apt's and ldconfig's, made again at any time",
    "/var/lib/systemd": "what deb-systemd-helper and systemd remember; looked at below for our own names",
    "/var/backups": "dpkg's daily copies",
    "/tmp": "PrivateTmp= of whatever runs",
    "/var/tmp": "PrivateTmp= of whatever runs",
    "/var/lib/nginx": "the web server that is under load",
    "/etc/passwd": "the system users stay, as Debian does it: looked at on their own",
    "/etc/group": "as above",
    "/etc/shadow": "as above",
    "/etc/gshadow": "as above",
    "/etc/passwd-": "as above, the copy of before",
    "/etc/group-": "as above",
    "/etc/shadow-": "as above",
    "/etc/gshadow-": "as above",
    "/etc/.pwd.lock": "the lock of whoever adds a user",
    "/run/systemd": "what systemd keeps of every unit and job; units are compared on their own",
    "/run/agetty.reload": "agetty's, when systemd-networkd sees an address",
    "/run/udev": "udev's, of network devices",
    "/run/xtables.lock": "iptables' own lock, made by whoever lists rules",
    "/run/lock": "locks of other programs",
    "/run/utmp": "who is logged in",
    "/run/mount": "mount's own",
    "/run/dbus": "dbus",
}

RULES = """for f in iptables ip6tables; do for b in nft legacy; do echo "== $f $b"; $f-$b-save 2>/dev/null | grep -v '^#'; done; done
echo == nft; nft list ruleset"""
ROUTES = "ip rule; ip -6 rule; ip route show table all; ip -6 route show table all"


def files(m):
    """One line a file: path, type and mode, owner, group, link; and one a regular file: its sum."""
    prune = " ".join(f"-path {p} -prune -o" for p in ("/proc", "/sys", "/dev", "/mnt", *EXCLUDED))
    listing = m.out("bash", "-c", f"find / {prune} -printf '%p %M %u %g %l\\n'")
    sums = m.out("bash", "-c", f"find / {prune} -type f -print0 | xargs -0 sha256sum")
    ours = m.out("bash", "-c", "find /var/lib/systemd /run/systemd /tmp /var/tmp -iname '*tulle*'")
    return listing.splitlines() + [" ".join(reversed(line.split("  ", 1))) for line in sums.splitlines()] + ours.splitlines()


def snapshot(m):
    """A dictionary of lists of lines."""
    return {
        "files": files(m),
        "rules": rules(m),
        "routes": m.out("bash", "-c", ROUTES).splitlines(),
        "unit files": m.out("systemctl", "list-unit-files", "--no-legend", "--no-pager").splitlines(),
        "units of Tulle": m.out("systemctl", "list-units", "--all", "--no-legend", "--plain", "tulle*").splitlines(),
        "processes": m.out("bash", "-c", "ps -eo user:20,args | grep -i '[t]ulle' || true").splitlines(),
        "users": [line for name in ("passwd", "group") for line in m.out("getent", name).splitlines()],
    }


def rules(m):
    """
    Without counters, which live traffic moves, and without tables that hold no rule and let everything pass: iptables makes
    such a table wherever it is asked to look or write, and never takes one away.
    """
    text = m.out("bash", "-c", RULES)
    text = re.sub(r"^\*\w+\n(:\w+ ACCEPT .*\n)*COMMIT\n", "", text, flags=re.M)
    text = re.sub(r"^table ip6? \w+ \{\n(\tchain \w+ \{\n\t\ttype .* policy accept;\n\t\}\n\n?)*\}\n", "", text, flags=re.M)
    return [line.split(" [")[0] if line.startswith(":") else line for line in text.splitlines()]


def difference(before, after):
    """What changed, by part, as lines that begin with - or +."""
    changed = {}
    for part, old in before.items():
        a, b = set(old), set(after[part])
        if a != b:
            changed[part] = [f"- {line}" for line in sorted(a - b)] + [f"+ {line}" for line in sorted(b - a)]
    return changed


def settled(m, before, seconds=5):
    """The difference, once it has stopped to shrink: systemd forgets a unit a moment after it was asked to."""
    end = time.monotonic() + seconds
    while (changed := difference(before, snapshot(m))) and time.monotonic() < end:
        time.sleep(1)
    return changed
