# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of Tulle beside firewalls share."""
import json
import subprocess

from machine import wait_for


class Host:
    """A machine with Tulle, nginx on port 80 and a second server on 5432, and a client outside that has no Tulle."""

    def __init__(self, lab, name, number, packages):
        self.lab, self.m = lab, lab.machine(name, number, packages)
        m = self.m
        m.run("apt-get", "install", "-y", "/mnt/old.deb")
        m.run("tulle", "init", "--default", "shop/web")
        m.run("systemctl", "start", "nginx")
        self.other = m.spawn("ncat", "-lk", "-p", "5432", "--sh-exec", "printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'")
        self.plain_yaml = m.out("cat", "/etc/tulle/tulle.yaml")
        wait_for(lambda: m.active("tulle-rules") == "active", what="the rules")

    def get(self, port=80, address=None):
        """From outside: the status, "000" if nothing came."""
        url = f"http://{address or self.m.address}:{port}/"
        return subprocess.run(self.lab.enter("curl", "-gs", "-o", "/dev/null", "-w", "%{http_code}", "-m", "3", url),
                              capture_output=True, text=True, check=False).stdout

    def check(self):
        return self.m.run("tulle-nfrules", "check", check=False).returncode

    def inbound(self):
        return json.loads(self.m.out("tulle", "traffic", "--json"))["inbound"]["connections"]

    def is_captured(self):
        before = self.inbound()
        return self.get() == "200" and self.inbound() == before + 1

    def repair(self):
        self.m.run("systemctl", "start", "tulle-rules-check.service")
        assert self.check() == 0

    def capture_only(self, *ports):
        text = f"capture: {{inboundPorts: {list(ports)}}}\n" if ports else ""
        self.m.write("/etc/tulle/tulle.yaml", self.plain_yaml + text)
        self.m.run("systemctl", "reload", "tulle-rules")
