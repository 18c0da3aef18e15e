# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with systemd: systemd-nspawn containers on a bridge in a network namespace of their own.

A lab is the namespace and the bridge; a machine is a Debian root file system with an overlay of its own on top, so that
what a test does to it is gone with it.  The root file system is made once and kept in TULLE_CACHE.
"""
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("TULLE_CACHE") or pathlib.Path.home() / ".cache/tulle")
PACKAGES = ("systemd,systemd-sysv,dbus,iproute2,iptables,procps,curl,kmod,udev,nftables,nginx-light,ncat,libnghttp2-14,libyaml-0-2,"
            "libjansson4,libzstd1,libprotobuf-c1,libcap-ng0,libseccomp2,libmnl0,apt-utils")
SYSTEM = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}


def wait_for(condition, seconds=15, what="it"):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)


def mirror():
    for name in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"):
        if os.path.exists(name):
            for line in open(name, encoding="utf-8"):
                words = line.split()
                if words[:1] == ["URIs:"]:
                    return words[1]
                if words[:1] == ["deb"]:
                    return words[1]
    return "http://deb.debian.org/debian"


def root_file_system(more=""):
    """A Debian 12 with PACKAGES and <more>; what comes with a service of its own does not start by itself."""
    packages = ",".join(p for p in (PACKAGES, more) if p)
    digest = hashlib.sha256(packages.encode()).hexdigest()[:12]
    root = CACHE / "machines" / digest
    if root.exists():
        return root
    print(f"machines: making a root file system in {root}, about half a minute", flush=True)
    fresh = root.with_name(f"{digest}.{os.getpid()}")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", fresh, mirror()], check=True)
    for verb, unit in (("enable", "systemd-networkd"), ("mask", "systemd-networkd-wait-online.service"), ("disable", "nginx")):
        subprocess.run(["chroot", fresh, "systemctl", "-q", verb, unit], check=True)
    quiet = [u for u in ("ufw", "firewalld", "nftables", "docker.service", "docker.socket", "containerd")
             if (fresh / "lib/systemd/system" / (u if "." in u else u + ".service")).exists()]
    if quiet:
        subprocess.run(["chroot", fresh, "systemctl", "-q", "disable", *quiet], check=True)
    (fresh / "etc/hostname").unlink(missing_ok=True)
    (fresh / "etc/machine-id").write_text("")
    fresh.rename(root)
    return root


class Lab:
    """A namespace with a bridge; `path` is a folder of its own."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.name = f"tullelab{os.getpid()}"
        self.bridge = "br-vm"
        self.machines = []
        try:
            subprocess.run(["ip", "netns", "add", self.name], check=True)
            self.ip("link", "set", "lo", "up")
            self.ip("link", "add", self.bridge, "type", "bridge")
            self.ip("addr", "add", "10.99.0.1/24", "dev", self.bridge)
            self.ip("addr", "add", "fd99::1/64", "dev", self.bridge, "nodad")
            self.ip("link", "set", self.bridge, "up")
        except BaseException:
            self.close()
            raise

    def ip(self, *arguments):
        subprocess.run(["ip", "-n", self.name, *arguments], check=True)

    def enter(self, *command):
        # Not "ip netns exec": that hides the cgroups.
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *map(str, command)]

    def machine(self, name, number, packages=""):
        m = Machine(self, name, number, root_file_system(packages))
        self.machines.append(m)
        m.start()
        return m

    def close(self):
        for m in self.machines:
            m.destroy()
        if os.path.exists(f"/run/netns/{self.name}"):
            subprocess.run(["ip", "netns", "del", self.name], check=False)


class Machine:
    def __init__(self, lab, name, number, root):
        self.lab, self.name, self.root = lab, name, root
        self.address, self.address6 = f"10.99.0.{number}", f"fd99::{number}"
        self.id = f"{lab.name}-{name}"
        self.layers = lab.path / name
        for layer in ("up", "work", "top"):
            (self.layers / layer).mkdir(parents=True)
        self.top = self.layers / "top"
        self.process = None
        self.groups = []

    def start(self):
        """Boots; returns when it is up and has its addresses, which systemd-networkd gives it."""
        network = self.layers / "up/etc/systemd/network"
        network.mkdir(parents=True, exist_ok=True)
        (network / "10-host0.network").write_text(
            f"[Match]\nName=host0\n[Network]\nAddress={self.address}/24\nAddress={self.address6}/64\n"
            "LinkLocalAddressing=no\nIPv6AcceptRA=no\nIPv6DuplicateAddressDetection=0\n")
        log = open(self.layers / "log", "wb")
        memory = next((line.split(":")[2].strip() for line in open("/proc/self/cgroup", encoding="ascii") if ":memory:" in line), "")
        self.groups = [f"/sys/fs/cgroup/{h}/{self.id}" for h in ("systemd", "unified") if os.path.isdir(f"/sys/fs/cgroup/{h}")]
        if os.path.isdir("/sys/fs/cgroup/memory"):
            self.groups.append(f"/sys/fs/cgroup/memory{memory}/{self.id}")
        for g in self.groups:
            os.makedirs(g, exist_ok=True)
        script = (f"for g in {' '.join(self.groups)}; do echo $$ >$g/cgroup.procs; done; "
                  f"mount -t overlay overlay -o lowerdir={self.root},upperdir={self.layers}/up,"
                  f"workdir={self.layers}/work {self.top} && exec " + " ".join(self.lab.enter(
                      "systemd-nspawn", "-q", "-D", self.top, "--boot", "-M", self.name, f"--hostname={self.name}",
                      "--register=no", "--keep-unit", f"--network-bridge={self.lab.bridge}", "--resolv-conf=off",
                      "--link-journal=no", f"--bind-ro={self.lab.path}/debs:/mnt")))
        self.process = subprocess.Popen(["unshare", "-m", "bash", "-c", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}, start_new_session=True)
        self.pid = wait_for(self._leader, what=f"the start of {self.name}")
        wait_for(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"), 60,
                 f"the boot of {self.name}")
        wait_for(lambda: self.address6 in (said := self.out("ip", "addr", "show", "dev", "host0")) and self.address in said, 15,
                 f"the addresses of {self.name}")

    def _leader(self):
        assert self.process.poll() is None, (self.layers / "log").read_text(errors="replace")[-2000:]
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        words = open(children, encoding="ascii").read().split()
        return int(words[0]) if words else None

    def inside(self, *command):
        return ["nsenter", "-t", str(self.pid), "-a", "--", *map(str, command)]

    def run(self, *command, check=True, seconds=120, given=None):
        done = subprocess.run(self.inside(*command), capture_output=True, text=True, timeout=seconds, env=SYSTEM, input=given,
                              stdin=subprocess.DEVNULL if given is None else None)
        assert not check or done.returncode == 0, f"{self.name}: {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def out(self, *command, **more):
        return self.run(*command, **more).stdout

    def spawn(self, *command):
        return subprocess.Popen(self.inside(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=SYSTEM)

    def write(self, path, text):
        self.run("tee", path, given=text)

    def get(self, url, seconds=5):
        """The status of one request, "000" if there was none."""
        return self.run("curl", "-gs", "-o", "/dev/null", "-w", "%{http_code}", "-m", seconds, url, check=False).stdout

    def active(self, unit):
        return self.run("systemctl", "is-active", unit, check=False).stdout.strip()

    def journal(self, unit="tulle*"):
        return self.out("journalctl", "-u", unit, "-o", "cat", "--no-pager")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        # A process that was started inside from outside may hold the machine's network for a moment longer.
        subprocess.run(["ip", "-n", self.lab.name, "link", "del", f"vb-{self.name}"], check=False, capture_output=True)

    def destroy(self):
        if self.process is not None and self.process.poll() is None:
            self.stop()
        for g in self.groups:
            for folder, _, _ in os.walk(g, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
        shutil.rmtree(self.layers, ignore_errors=True)
