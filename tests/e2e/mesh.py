# SPDX-License-Identifier: GPL-3.0-or-later
"""A real mesh of a few hosts: namespaces on one bridge, the real daemons in each, real rules.

    with mesh.Mesh("t1", ["a", "b"]) as m:
        m.start()                       # authority on the first host, the others join with a token
        m["b"].manifests(**{"db.yaml": TEXT}); m["b"].reload()
        m["a"].curl("http://10.96.0.1/")

Every host has a root folder of its own below a temporary one and fixed numeric ids; what a test starts ends with
it, by process id, and the namespaces are always removed.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import netns

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TULLE_BUILD") or os.path.join(TOP, "build")
UIDS = {"relayd": 7701, "certd": 7702, "telemetryd": 7703}
APP_UID = 7900
DOMAIN = "mesh.test"
CLUSTER_NET = "10.96.0.0/16"


def binary(name):
    return os.path.join(BUILD, name)


def sanitized():
    """A build that is several times slower: be patient with it."""
    return os.path.abspath(BUILD) != os.path.join(TOP, "build")


PATIENCE = 4 if sanitized() else 1


class Daemon:
    """A process of a host, its log in a file."""

    def __init__(self, host, name, argv, uid=None):
        self.host, self.name = host, name
        self.log_path = os.path.join(host.work, name + ".log")
        self.log_file = open(self.log_path, "ab")
        self.log_from = self.log_file.tell()  # what an earlier process of this name said is not its word
        enter = ["ip", "netns", "exec", host.ns.name] if uid is None else [
            "nsenter", f"--net=/run/netns/{host.ns.name}", "setpriv", f"--reuid={uid}", f"--regid={uid}",
            "--clear-groups", "--"]
        self.proc = subprocess.Popen([*enter, *argv], stdin=subprocess.DEVNULL, stdout=self.log_file,
                                     stderr=self.log_file, env={**os.environ, **host.environ})

    @property
    def pid(self):
        return self.proc.pid

    def alive(self):
        return self.proc.poll() is None

    def log(self):
        with open(self.log_path, "rb") as f:
            f.seek(self.log_from)
            return f.read().decode(errors="replace")

    def lines(self, message=None):
        """The JSON lines of the log, those with one message if it is given."""
        found = []
        for text in self.log().splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if message is None or line.get("message") == message:
                    found.append(line)
        return found

    def wait_for(self, message, seconds=10, count=1):
        try:
            netns.wait_for(lambda: len(self.lines(message)) >= count or not self.alive(), seconds * PATIENCE)
        except AssertionError:
            raise AssertionError(f"{self.name} did not say {message!r}; it said\n{self.log()[-4000:]}") from None
        lines = self.lines(message)
        assert len(lines) >= count, f"{self.name} ended; it said\n{self.log()[-4000:]}"
        return lines[-1]

    def kill(self, signo=signal.SIGKILL):
        if self.alive():
            self.proc.send_signal(signo)

    def stop(self, seconds=15):
        """SIGTERM, and SIGKILL if that is not enough; the exit status."""
        if self.alive():
            self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.log_file.close()
        return self.proc.returncode


class Host:
    def __init__(self, mesh, name, number):
        self.mesh, self.name = mesh, name
        self.ns = netns.Netns(f"{mesh.tag}-{name}")
        self.ip, self.ip6 = f"10.77.0.{number}", f"fd77::{number}"
        self.root = os.path.join(mesh.top, name)
        self.work = os.path.join(mesh.top, name + ".work")
        self.daemons, self.environ = {}, {}
        self.settings = {}
        os.makedirs(os.path.join(self.root, "etc/tulle/mesh.d"))
        os.makedirs(os.path.join(self.root, "run/tulle"))
        os.makedirs(self.work)
        for d in (mesh.top, self.root):
            os.chmod(d, 0o755)

    def connect(self, bridge):
        veth = f"v{self.name}"
        netns.run("ip", "link", "add", veth, "netns", bridge.name, "type", "veth", "peer", "name", "eth0", "netns",
                  self.ns.name)
        bridge.run("ip", "link", "set", veth, "master", "br0", "up")
        self.ns.run("ip", "-batch", "-", input=f"addr add {self.ip}/24 dev eth0\naddr add {self.ip6}/64 dev eth0 nodad\n"
                                               "link set eth0 up\nroute add default dev eth0\n"
                                               f"route add {CLUSTER_NET} dev eth0\n")

    # ---- configuration

    def write(self, path, text, mode=0o644):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def configure(self, **settings):
        """Writes tulle.yaml: the test's settings over those of every test host."""
        self.settings.update(settings)
        merged = {"trustDomain": DOMAIN, "users": UIDS, "logLevel": "debug", **self.settings}
        merged["users"] = {k: str(v) for k, v in merged["users"].items()}
        self.write("etc/tulle/tulle.yaml", json.dumps(merged, indent=1) + "\n")  # JSON is YAML

    def identities(self, entries):
        self.write("etc/tulle/identities.yaml", json.dumps(entries, indent=1) + "\n")

    def manifest(self, name, text):
        self.write(f"etc/tulle/mesh.d/{name}", text)

    # ---- programs

    def run(self, *argv, **kwargs):
        """A program in this host, as root."""
        return self.ns.run(*argv, **kwargs)

    def tulle(self, verb, *args, **kwargs):
        return self.run(binary("tulle"), verb, "--root", self.root, *args, **kwargs)

    def as_app(self, *argv, **kwargs):
        """A program of an application's user."""
        return self.run("setpriv", f"--reuid={APP_UID}", f"--regid={APP_UID}", "--clear-groups", "--", *argv, **kwargs)

    def curl(self, url, *args, check=True, seconds=10):
        return self.as_app("curl", "-sS", "--max-time", str(seconds * PATIENCE), *args, url, check=check,
                           timeout=seconds * PATIENCE + 10)

    def status(self):
        return json.loads(self.tulle("status", "--json", check=False).stdout)

    def metric(self, name, **labels):
        """What /metrics of telemetryd says: the sum of all the metric's series that have these labels."""
        want = [f'{k}="{v}"' for k, v in labels.items()]
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.scrape().splitlines()
                   if line.startswith((name + "{", name + " ")) and all(w in line for w in want))

    def scrape(self):
        return self.run("curl", "-sS", "http://127.0.0.1:9464/metrics").stdout

    def start_telemetryd(self):
        self.start("telemetryd").wait_for("attached to the relay", 20)

    def start(self, name, *args, wrap=(), uid=None):
        """A daemon of Tulle; <wrap> is a program that runs it (prlimit, strace).

        With a uid (0 as well) it sees the machine's /sys, which "ip netns exec" hides.
        """
        assert name not in self.daemons or not self.daemons[name].alive(), f"{name} runs already"
        argv = [*wrap, binary("tulle-" + name), "--root", self.root, *args]
        self.daemons[name] = Daemon(self, name, argv, uid=uid)
        return self.daemons[name]

    def public(self, path):
        """A copy of a program where every user may run it: the clone may lie below a private folder."""
        copy = os.path.join(self.mesh.top, "bin", os.path.basename(path))
        if not os.path.exists(copy):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(path, copy)
            os.chmod(os.path.dirname(copy), 0o755)
            os.chmod(copy, 0o755)
        return copy

    def spawn(self, name, argv, uid=APP_UID):
        """An application, by default of the application's user."""
        self.daemons[name] = Daemon(self, name, argv, uid=uid)
        return self.daemons[name]

    def rules(self, verb, *args, **kwargs):
        return self.run(binary("tulle-nfrules"), verb, "--root", self.root, *args, **kwargs)

    def reload(self, check=True):
        return self.tulle("reload", "relayd", check=check)

    def start_relay(self, rules=True, **kwargs):
        relayd = self.start("relayd", **kwargs)
        relayd.wait_for("ready", 20)
        if rules:
            self.rules("apply")
        return relayd

    # ---- the origin: nginx with a page that says where it is

    def nginx(self, port=8080, text=None, extra=""):
        where = os.path.join(self.work, f"nginx-{port}")
        os.makedirs(where, exist_ok=True)
        with open(os.path.join(where, "index.html"), "w", encoding="utf-8") as f:
            f.write(text or f"hello from {self.name}:{port}\n")
        with open(os.path.join(where, "big"), "wb") as f:
            f.write(os.urandom(1 << 20) * 8)
        conf = os.path.join(where, "nginx.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"daemon off; worker_processes 1; pid {where}/pid; error_log stderr warn;\n"
                    "events { worker_connections 4096; }\n"
                    f"http {{ access_log {where}/access.log; keepalive_requests 1000000;\n"
                    + "".join(f" {k}_temp_path {where}/{k};" for k in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
                    + f"\n server {{ listen {port}; listen [::]:{port}; root {where}; {extra} }} }}\n")
        for d in (where, *[os.path.join(where, f) for f in os.listdir(where)]):
            os.chown(d, APP_UID, APP_UID)
        d = self.spawn(f"nginx-{port}", ["nginx", "-p", where, "-c", conf])
        netns.wait_for_port(self.ns, port)
        return d

    def close(self):
        for d in reversed(list(self.daemons.values())):
            d.stop()
        self.ns.remove()


class Mesh:
    def __init__(self, tag, names=("a", "b")):
        self.tag = tag
        self.top = tempfile.mkdtemp(prefix="tulle-", dir=os.environ.get("TULLE_TEST_TMP"))
        self.hosts = {}
        self.bridge = None
        try:
            self.bridge = netns.Netns(f"{tag}-wire")
            self.bridge.run("ip", "link", "add", "br0", "type", "bridge")
            self.bridge.run("ip", "link", "set", "br0", "up")
            for i, name in enumerate(names):
                self.hosts[name] = Host(self, name, i + 1)
                self.hosts[name].connect(self.bridge)
                self.hosts[name].configure()
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name):
        return self.hosts[name]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.dump()
        self.close()

    def dump(self):
        """What the daemons said last, when a test fails."""
        for host in self.hosts.values():
            for d in host.daemons.values():
                text = d.log()[-3000:]
                print(f"---- {host.name}: {d.name} (pid {d.pid}, {'running' if d.alive() else d.proc.returncode})\n{text}")

    def start_identities(self, accounts, ttl="1h"):
        """Authority on the first host, the others join; accounts: {host: "ns/sa"}, its default identity.

        A host without an account is left out.
        """
        first, *others = [self.hosts[name] for name in accounts]
        for host in (first, *others):
            host.configure(identity={"source": "embedded" if host is first else "fleet", "ttl": ttl,
                                     "default": "ns/{}/sa/{}".format(*accounts[host.name].split("/"))})
        first.tulle("init")
        first.start("certd").wait_for("ready", 20)
        for host in others:
            host.tulle("init", "--member")
            host.start("certd")
            netns.wait_for(lambda h=host: os.path.exists(os.path.join(h.root, "run/tulle/certd.sock")), 10 * PATIENCE)
            host.tulle("join", self.token(accounts[host.name]))
            host.daemons["certd"].wait_for("ready", 20)

    def token(self, *accounts):
        """A one-time token of the first host's authority."""
        first = next(iter(self.hosts.values()))
        allow = [word for account in accounts for word in ("--allow", account)]
        return first.tulle("token", *allow, "--address", f"{first.ip}:15012").stdout.split()[-1]

    def manifest(self, name, text):
        for host in self.hosts.values():
            host.manifest(name, text)

    def close(self):
        for host in self.hosts.values():
            with contextlib.suppress(Exception):
                host.close()
        if self.bridge is not None:
            self.bridge.remove()
        shutil.rmtree(self.top, ignore_errors=True)


def service(name, namespace, cluster_ip, port, target, workloads):
    """A Service, and the WorkloadEntries behind it: [(name, address, account or None)]."""
    docs = [f"""apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  clusterIPs: ["{cluster_ip}"]
  selector: {{app: {name}}}
  ports: [{{name: tcp, port: {port}, targetPort: {target}}}]
"""]
    for entry, address, account in workloads:
        sa = f"  serviceAccount: {account}\n" if account else ""
        docs.append(f"""apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {entry}, namespace: {namespace}}}
spec:
  address: "{address}"
  labels: {{app: {name}}}
{sa}""")
    return "---\n".join(docs)


def sleep(seconds):
    time.sleep(seconds * PATIENCE)
