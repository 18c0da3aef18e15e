# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of deploy/ and what "tulle inject" makes, shown to a real kube-apiserver (1.36) on a real etcd.

There is no kubelet: what the API server accepts is all that this shows.
"""
import json
import os
import shutil
import subprocess
import tempfile

import ground
import pod
import pytest
from pod import wait_for

try:
    import yaml
except ModuleNotFoundError:
    ground.skip_here("needs python3-yaml", module=True)

DEPLOY = pod.TOP / "deploy/kubernetes"
GOLDEN = pod.TOP / "tests/golden/inject"
NAME = f"tulleapi{os.getpid()}"
ADDRESS = "10.98.0.1"
RESOURCES = {"Namespace": ("api/v1", "namespaces"), "ServiceAccount": ("api/v1", "serviceaccounts"), "ConfigMap": ("api/v1", "configmaps"),
             "Service": ("api/v1", "services"), "Pod": ("api/v1", "pods"), "Secret": ("api/v1", "secrets"),
             "Deployment": ("apis/apps/v1", "deployments"), "StatefulSet": ("apis/apps/v1", "statefulsets"),
             "DaemonSet": ("apis/apps/v1", "daemonsets"), "ReplicaSet": ("apis/apps/v1", "replicasets"),
             "Job": ("apis/batch/v1", "jobs"), "CronJob": ("apis/batch/v1", "cronjobs"),
             "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies")}


class Server:
    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="tulle-api-")
        self.running = []
        subprocess.run(["ip", "netns", "add", NAME], check=True)
        for words in ("link set lo up", f"addr add {ADDRESS}/32 dev lo"):
            subprocess.run(["ip", "-n", NAME, *words.split()], check=True)
        key = f"{self.folder}/sa.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        with open(f"{self.folder}/tokens.csv", "w", encoding="ascii") as f:
            f.write("tok-admin,admin,1,system:masters\n")
        self.spawn("etcd", "--data-dir", f"{self.folder}/etcd", "--listen-client-urls", "http://127.0.0.1:12379",
                   "--advertise-client-urls", "http://127.0.0.1:12379", "--listen-peer-urls", "http://127.0.0.1:12380",
                   "--initial-advertise-peer-urls", "http://127.0.0.1:12380", "--initial-cluster", "default=http://127.0.0.1:12380")
        self.spawn(program, "--etcd-servers=http://127.0.0.1:12379", f"--bind-address={ADDRESS}", "--secure-port=16443",
                   f"--cert-dir={self.folder}/certs", "--service-cluster-ip-range=10.96.0.0/16", f"--service-account-key-file={key}",
                   f"--service-account-signing-key-file={key}", "--service-account-issuer=https://tulle.invalid",
                   f"--token-auth-file={self.folder}/tokens.csv", "--authorization-mode=RBAC", f"--advertise-address={ADDRESS}",
                   "--allow-privileged=true", "--disable-admission-plugins=ServiceAccount")
        wait_for(lambda: self.ask("GET", "/readyz")[0] == 200, 90, "a ready API server")

    def spawn(self, *command):
        log = open(f"{self.folder}/{os.path.basename(command[0])}.log", "wb")
        self.running.append(subprocess.Popen(["nsenter", f"--net=/run/netns/{NAME}", "--", *command], stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, cwd=self.folder))

    def ask(self, method, path, body=None):
        """(status, answer, warnings).  By curl, which can be put into the namespace."""
        command = ["nsenter", f"--net=/run/netns/{NAME}", "--", "curl", "-sk", "-m", "20", "-X", method, "-D", "-", "-H",
                   "Authorization: Bearer tok-admin", f"https://{ADDRESS}:16443{path}"]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        done = subprocess.run(command, input=body, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return 0, "", []
        *heads, answer = done.stdout.replace("\r\n", "\n").split("\n\n", 2 if "100 Continue" in done.stdout else 1)
        lines = heads[-1].splitlines()
        return int(lines[0].split()[1]), answer, [x for x in lines if x.lower().startswith("warning:")]

    def create(self, o, dry_run):
        group, plural = RESOURCES[o["kind"]]
        where = "" if o["kind"] == "Namespace" else f"/namespaces/{o['metadata'].get('namespace', 'default')}"
        return self.ask("POST", f"/{group}{where}/{plural}?fieldValidation=Strict" + ("&dryRun=All" if dry_run else ""), json.dumps(o))

    def close(self):
        for p in reversed(self.running):
            p.terminate()
            p.wait(30)
        subprocess.run(["ip", "netns", "del", NAME], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server():
    if shutil.which("etcd") is None:
        ground.skip_here("needs etcd (package etcd-server)")
    program = subprocess.run([pod.TOP / "scripts/peers", "--print", "kubeapi"], capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.exists(program):
        if subprocess.run([pod.TOP / "scripts/peers", "--ready"], capture_output=True, check=False).returncode != 0:
            ground.skip_here("needs Go: scripts/peers --ready says which", unless="SKIP_INTEROP")
        subprocess.run([pod.TOP / "scripts/peers", "kubeapi"], check=True)
    s = Server(program)
    yield s
    s.close()


def objects(path):
    for o in yaml.safe_load_all(path.read_text()):
        if o is None:
            continue
        yield from (o["items"] if o["kind"] == "List" else [o])


def test_a_mistake_is_refused(server):
    """The check itself: strict validation is on, and native sidecars are known."""
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a", "imagee": "b"}]}}
    status, answer, _ = server.create(wrong, True)
    assert status == 400 and "imagee" in answer
    del wrong["spec"]["containers"][0]["imagee"]
    wrong["spec"]["initContainers"] = [{"name": "b", "image": "b", "restartPolicy": "Sometimes"}]
    assert server.create(wrong, True)[0] == 422


def test_every_manifest_of_deploy_is_accepted(server):
    names = sorted(p for p in DEPLOY.glob("*.yaml"))
    made = 0
    for path in sorted(names, key=lambda p: p.name not in ("authority.yaml", "namespace.yaml")):
        for o in objects(path):
            status, answer, warnings = server.create(o, dry_run=o["kind"] != "Namespace")
            assert status == 201, (path.name, o["kind"], answer)
            # Of Pod Security's "restricted" only the init container that writes the rules falls short.
            for w in warnings:
                assert path.name == "shop.injected.yaml" and "PodSecurity" in w, (path.name, w)
                assert "container \\\"tulle\\\"" not in w and "container \\\"web\\\"" not in w and "tulle-init" in w, w
            made += 1
    print(f"{made} objects of {len(names)} files accepted")


def accepted(server, o):
    if o["kind"] == "Pod":  # as the ServiceAccount admission does, which wants accounts that a controller makes
        o["spec"].setdefault("serviceAccountName", "default")
    ns = o["metadata"].get("namespace")
    if ns and server.ask("GET", f"/api/v1/namespaces/{ns}")[0] == 404:
        assert server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns}}, False)[0] == 201
    status, answer, _ = server.create(o, True)
    return status == 201, answer


@pytest.mark.parametrize("kind", ["native", "classic"])
def test_what_was_accepted_is_accepted_after_inject(server, kind):
    """Some golden files are about text, and no whole pods: those say nothing here."""
    made = 0
    for path in sorted(GOLDEN.glob(f"*.{kind}.yaml")):
        for before, after in zip(objects(GOLDEN / path.name.replace(f".{kind}", "")), objects(path), strict=True):
            if before["kind"] not in RESOURCES or not accepted(server, before)[0]:
                continue
            well, answer = accepted(server, after)
            assert well, (path.name, after["kind"], answer)
            made += after != before
    print(f"{made} injected objects accepted, {kind}")
    assert made > 3


def test_the_injected_example_is_what_inject_makes():
    done = subprocess.run([pod.TOP / "build/tulle", "inject", DEPLOY / "shop.yaml"], capture_output=True, text=True, check=True)
    assert done.stdout == (DEPLOY / "shop.injected.yaml").read_text()
