# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods as Kubernetes makes them, by "podman kube play": a network namespace of their own, a store of their own.

What stands for Kubernetes here, and what does not: podman runs init containers, the pod's shared network, volumes,
security contexts and memory limits.  It has no projected tokens (a Secret's file stands for one), does not carry out
probes and postStart (the tests ask port 15020 as kubelet would), and knows no native sidecars: pods are classic ones.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/machines"))
import machine  # noqa: E402
from machine import CACHE, wait_for  # noqa: E402,F401  (wait_for is for the tests)

VERSION = "0.1.0"
IMAGE = f"localhost/tulle:{VERSION}"
APP_PACKAGES = "python3,curl,procps,openssl"
APP = "localhost/tulle-test-app:" + hashlib.sha256(APP_PACKAGES.encode()).hexdigest()[:12]
UID = 1337


def app_tar():
    """The application's image: Debian with Python and curl, kept in TULLE_CACHE."""
    tar = CACHE / "pods" / f"app-{APP.split(':')[1]}.tar"
    if not tar.exists():
        print(f"pods: making an image for applications, {tar}, about half a minute", flush=True)
        tar.parent.mkdir(parents=True, exist_ok=True)
        fresh = tar.with_name(f".{os.getpid()}.tar")
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={APP_PACKAGES}", "bookworm", fresh,
                        machine.mirror()], check=True)
        fresh.rename(tar)
    return tar


class Cluster:
    """A machines' Lab with podman in it."""

    def __init__(self, path, archive):
        self.lab = machine.Lab(path)
        self.path = self.lab.path
        self.environment = {**os.environ, "CONTAINERS_CONF": f"{self.path}/containers.conf",
                            "CONTAINERS_STORAGE_CONF": f"{self.path}/storage.conf"}
        try:
            self.prepare(archive)
        except BaseException:
            self.close()
            raise

    def prepare(self, archive):
        (self.path / "containers.conf").write_text(f"""[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{self.path}/podman/tmp"
[network]
network_config_dir = "{self.path}/podman/networks"
""")
        (self.path / "storage.conf").write_text(f"""[storage]
driver = "overlay"
graphroot = "{self.path}/podman/store"
runroot = "{self.path}/podman/run"
""")
        # The machines' bridge: pods and machines are neighbours.  (podman's command line cannot name a bridge.)
        (self.path / "podman/networks").mkdir(parents=True)
        (self.path / "podman/networks/pods.json").write_text(json.dumps({
            "name": "pods", "id": "70" * 32, "driver": "bridge", "network_interface": self.lab.bridge,
            "created": "2026-01-01T00:00:00Z", "ipv6_enabled": True, "internal": False, "dns_enabled": False,
            "subnets": [{"subnet": "10.99.0.0/24", "gateway": "10.99.0.1"}, {"subnet": "fd99::/64", "gateway": "fd99::1"}],
            "ipam_options": {"driver": "host-local"}}))
        self.podman("load", "-q", "-i", archive)
        self.podman("import", "-q", "-c", "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", app_tar(), APP)

    def command(self, *arguments):
        return self.lab.enter("podman", "--log-level", "error", *arguments)

    def podman(self, *arguments, check=True, seconds=120, given=None):
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=seconds, input=given,
                              stdin=subprocess.DEVNULL if given is None else None, env=self.environment, check=False)
        assert not check or done.returncode == 0, f"podman {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def enter(self, *command, **more):
        return subprocess.run(self.lab.enter(*command), capture_output=True, text=True, check=False, **more)

    def play(self, manifests, **more):
        return Pod(self, manifests, **more)

    def close(self):
        try:
            # Without these files podman would ask the machine's own store, and end what is in it.
            if (self.path / "containers.conf").exists() and (self.path / "storage.conf").exists():
                self.podman("pod", "rm", "-f", "-a", "-t", "1", check=False)
                self.podman("rm", "-f", "-a", "-t", "1", check=False)
                self.podman("network", "rm", "-f", "pods", check=False)
                self.podman("unmount", "-a", "-f", check=False)
        finally:
            self.lab.close()


def own_volumes(manifests):
    """podman's emptyDir is a volume of the whole machine, known by its name: each pod gets names of its own."""
    manifests = json.loads(json.dumps(manifests))
    for o in manifests:
        if o["kind"] != "Pod":
            continue
        empty = {v["name"] for v in o["spec"].get("volumes", ()) if "emptyDir" in v}
        places = [o["spec"].get("volumes", ())]
        places += [c.get("volumeMounts", ()) for kind in ("initContainers", "containers") for c in o["spec"].get(kind, ())]
        for place in places:
            for v in place:
                if v["name"] in empty:
                    v["name"] = f"{o['metadata']['name']}-{v['name']}"
    return manifests


class Pod:
    """One pod of <manifests>, a list of Kubernetes objects of which one is a Pod; address 10.99.0.<number>, fd99::<number>."""

    def __init__(self, cluster, manifests, number):
        self.cluster, self.manifests = cluster, own_volumes(manifests)
        self.name = next(o["metadata"]["name"] for o in manifests if o["kind"] == "Pod")
        self.address, self.address6 = f"10.99.0.{number}", f"fd99::{number}"
        self.file = cluster.path / f"{self.name}.yaml"
        self.file.write_text("---\n".join(json.dumps(o) + "\n" for o in self.manifests))
        began = time.monotonic()
        self.played = cluster.podman("kube", "play", "-q", "--network", f"pods:ip={self.address},ip={self.address6}", self.file,
                                     check=False)
        self.seconds = time.monotonic() - began
        assert self.played.returncode == 0, self.played.stdout + self.played.stderr + self.all_logs()

    def container(self, name):
        return f"{self.name}-{name}"

    def pid(self, container):
        return int(self.cluster.podman("inspect", "--format", "{{.State.Pid}}", self.container(container)).stdout)

    def state(self, container):
        """("running", None) or ("exited", status)."""
        said = self.cluster.podman("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", self.container(container)).stdout
        status, code = said.split()
        return status, None if status == "running" else int(code)

    def logs(self, container):
        done = self.cluster.podman("logs", self.container(container), check=False)
        return done.stdout + done.stderr

    def all_logs(self):
        names = self.cluster.podman("ps", "-a", "--format", "{{.Names}}", check=False).stdout.split()
        return "".join(f"-- {n}\n{self.cluster.podman('logs', n, check=False).stderr[-3000:]}" for n in names
                       if n.startswith(self.name) and not n.endswith("-infra"))

    def run(self, container, *command, check=True, seconds=60, given=None):
        done = self.cluster.podman("exec", *(["-i"] if given is not None else []), self.container(container), *map(str, command),
                                   check=False, seconds=seconds, given=given)
        assert not check or done.returncode == 0, f"{self.name}: {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def inside(self, *command, **more):
        """A program of this machine in the pod's network."""
        return subprocess.run(["nsenter", "-t", str(self.pid("tulle")), "-n", "--", *map(str, command)], capture_output=True, text=True,
                              check=False, **more)

    def get(self, url, container="app", seconds=5):
        """The status of one request by the application, "000" if there was none."""
        return self.run(container, "curl", "-gs", "-o", "/dev/null", "-w", "%{http_code}", "-m", seconds, url, check=False).stdout

    def probe(self, path, address=None):
        """As kubelet would: from outside, in plaintext, at the pod's address.  (status, body)."""
        said = self.cluster.enter("curl", "-gs", "-m", "5", "-w", "\n%{http_code}", f"http://{address or self.address}:15020{path}").stdout
        body, _, status = said.rpartition("\n")
        return status, body

    def ready(self):
        return self.probe("/healthz/ready")[0] == "200"

    def stop(self, seconds=30):
        """As kubelet does: all containers are told at once, and the pod's network goes last.  {container: its status}

        Not "podman stop": when one container of several that are being stopped has ended, it kills the rest of the pod.
        """
        names = [c["name"] for o in self.manifests if o["kind"] == "Pod" for c in o["spec"]["containers"]]
        self.cluster.podman("kill", "-s", "TERM", *map(self.container, names))
        wait_for(lambda: all(self.state(n)[1] is not None for n in names), seconds, f"the end of {self.name}")
        return {n: self.state(n)[1] for n in names}

    def remove(self):
        self.cluster.podman("pod", "rm", "-f", "-t", "1", self.name, check=False)
