# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications' pods as an operator writes them, put into the mesh by "tulle inject --sidecar=classic"."""
import json
import pathlib
import subprocess
import sys

import pod

sys.path.insert(0, str(pod.TOP / "tests/e2e"))
import tokens  # noqa: E402

AUTHORITY = 40  # its address ends so

SERVER = r"""import sys
import http.server, os, signal, socket, threading, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status = 200
        if self.path.startswith("/slow"):
            time.sleep(float(self.path.split("/")[2]))
        if self.path == "/health" and os.path.exists("/tmp/sick"):
            status = 500
        body = b"nothing to see here\n"
        self.send_response(status); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
class S(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = False
    request_queue_size = 128
s = S(("::", 8080), H)
def stop(*a):  # as a good server does: no more, and what is under way to its end
    threading.Thread(target=s.shutdown).start()
signal.signal(signal.SIGTERM, stop)
s.serve_forever()
s.server_close()
"""


def config_map(name, files):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files}


def tulle_yaml(identity, **more):
    """JSON is YAML."""
    return json.dumps({"trustDomain": "mesh.example", "identity": identity,
                       "users": {u: str(pod.UID) for u in ("relayd", "certd", "telemetryd")}, **more})


def application(name, command=None, **container):
    """A pod of one container; what an operator has before there is a mesh."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}},
            "spec": {"restartPolicy": "Never", "containers": [{
                "name": "app", "image": pod.APP, "imagePullPolicy": "Never", "command": command or ["python3", "-c", SERVER],
                "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}}, **container}]}}


def inject(manifest, *options):
    """JSON in, JSON out: what "tulle inject" prints for it."""
    done = subprocess.run([pod.TOP / "build/tulle", "inject", "--sidecar", "classic", "--image", pod.IMAGE, "--pull-policy", "Never",
                           "--config-map", manifest["metadata"]["name"] + "-tulle", "--mesh-config-map",
                           manifest["metadata"]["name"] + "-mesh", *options, "-"], input=json.dumps(manifest), capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Mesh:
    """An authority in a pod of its own, the key of a cluster that signs tokens, and pods that are who these say."""

    number = AUTHORITY

    def __init__(self, cluster, accounts):
        self.cluster, self.accounts = cluster, accounts  # {account: the last number of its address}
        self.key = tokens.Key("cluster-1")
        self.files = cluster.path / "authority"
        self.files.mkdir()
        (self.files / "jwks.json").write_text(tokens.key_set(self.key))
        self.authority = cluster.play(self.authority_pod(), number=AUTHORITY)
        status = pod.wait_for(self.authority_status, 15, "the authority")
        self.root = status["root"]

    def authority_pod(self):
        conf = tulle_yaml({"source": "embedded", "default": "ns/tulle-system/sa/authority"}, authority={
            "listen": ":15012", "kubernetes": [{"issuer": tokens.ISSUER, "jwks": "/etc/keys/jwks.json", "audience": "tulle"}]})
        volume = {"name": "keys", "hostPath": {"path": str(self.files)}}
        return [config_map("authority-tulle", {"tulle.yaml": conf}),
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "authority"}, "spec": {"containers": [{
                    "name": "tulle", "image": pod.IMAGE, "imagePullPolicy": "Never", "command": ["/usr/sbin/tulle-certd"],
                    "securityContext": {"runAsUser": pod.UID, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/tulle/config"}, {"name": "keys", "mountPath": "/etc/keys"},
                                     {"name": "run", "mountPath": "/run/tulle"}, {"name": "state", "mountPath": "/var/lib/tulle"}]}],
                    "volumes": [{"name": "config", "configMap": {"name": "authority-tulle"}}, volume, {"name": "run", "emptyDir": {}},
                                {"name": "state", "emptyDir": {}}]}}]

    def authority_status(self):
        done = self.authority.run("tulle", "/usr/bin/tulle", "status", "--json", check=False)
        try:
            return json.loads(done.stdout)["certd"]
        except (ValueError, KeyError):
            return None

    def manifests(self):
        """A file for mesh.d: who is where, and that nobody speaks in plaintext."""
        objects = [{"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
                    "metadata": {"name": "default", "namespace": "shop"}, "spec": {"mtls": {"mode": "STRICT"}}}]
        for account, number in self.accounts.items():
            for suffix, address in (("", f"10.99.0.{number}"), ("6", f"fd99::{number}")):
                objects.append({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
                                "metadata": {"name": account + suffix, "namespace": "shop"},
                                "spec": {"address": address, "serviceAccount": account, "labels": {"app": account}}})
        return {"shop.yaml": "---\n".join(json.dumps(o) + "\n" for o in objects)}

    def token(self, account):
        """podman has no projected tokens: a folder of this machine stands for the volume."""
        folder = pathlib.Path(self.cluster.path) / f"token-{account}"
        folder.mkdir(exist_ok=True)
        (folder / "token").write_text(tokens.token(self.key, account=account, pod=account, uid=f"c0ffee00-{account}"))
        return folder

    def objects(self, account, manifest=None, options=(), change=lambda p: None):
        """[ConfigMaps, Pod] for podman."""
        p = inject(manifest or application(account), *options)
        del p["metadata"]["namespace"], p["metadata"]["annotations"]  # podman takes 63 bytes for an annotation, Kubernetes 256 KiB
        for c in p["spec"]["containers"]:
            c.pop("ports", None)  # podman would open each of them on the machine
        for v in p["spec"]["volumes"]:
            if v["name"] == "tulle-token":
                del v["projected"]
                v["hostPath"] = {"path": str(self.token(account))}
        change(p)
        join = {"address": f"10.99.0.{self.number}:15012", "root": self.root, "tokenFile": "/var/run/secrets/tulle/token"}
        name = p["metadata"]["name"]
        return [config_map(f"{name}-tulle", {"tulle.yaml": tulle_yaml({"source": "fleet", "default": "only", "join": join})}),
                config_map(f"{name}-mesh", self.manifests()), p]

    def play(self, account, *, ready=True, **more):
        p = self.cluster.play(self.objects(account, **more), number=self.accounts[account])
        if ready:
            pod.wait_for(p.ready, 20, f"the readiness of {account}")
        return p
