# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests in version control: examples/git, which doc/config-in-git.md explains, against a real repository and a real mesh."""
import os
import pathlib
import subprocess

import mesh
import pytest

EXAMPLES = pathlib.Path(mesh.TOP) / "examples/git"
CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"
OF_TEST = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@mesh.test", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@mesh.test",
           "GIT_CONFIG_GLOBAL": "/dev/null", "PATH": f"{os.path.abspath(mesh.BUILD)}:{os.environ['PATH']}"}


class Repository:
    def __init__(self, path):
        self.path = path
        self.git("init", "-q", "-b", "main")

    def git(self, *words):
        return subprocess.run(["git", "-C", self.path, *words], check=True, capture_output=True, text=True, env=OF_TEST).stdout.strip()

    def commit(self, **files):
        for name, text in files.items():
            file = self.path / name.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.with_suffix(".yaml").write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-qm", "a change")
        return self.git("rev-parse", "HEAD")

    def check(self):
        return subprocess.run([EXAMPLES / "check", self.path], capture_output=True, text=True, env=OF_TEST, timeout=30, check=False)


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


def test_the_check_of_the_ci_finds_a_mistake_in_a_manifest_and_in_a_hosts_file(repository):
    web = mesh.service("web", "shop", CLUSTER_IP, 80, 8080, [("web-1", "10.77.0.2", "web")])
    repository.commit(**{"mesh.d__web": web, "hosts__b__tulle": "trustDomain: mesh.test\n",
                                    "hosts__b__identities": "- {serviceAccount: shop/web, match: {unit: web.service}}\n"})
    done = repository.check()
    assert done.returncode == 0, done.stdout + done.stderr
    repository.commit(**{"mesh.d__web": web.replace("selector", "selectro"), "hosts__b__tulle": "trustDomian: mesh.test\n"})
    done = repository.check()
    assert done.returncode == 1
    assert "mesh.d/web.yaml:6:3: spec.selectro: unknown field; did you mean \"selector\"?" in done.stderr
    assert "hosts/b/tulle.yaml:1:1: trustDomian: unknown field; did you mean \"trustDomain\"?" in done.stderr


def test_a_commit_comes_into_force_and_one_with_a_mistake_does_not(repository):
    with mesh.Mesh(f"g{os.getpid()}", ["a", "b"]) as m:
        m.start_identities({"a": "shop/client", "b": "shop/web"})
        a, b = m["a"], m["b"]
        a.environ["TULLE_ROOT"] = a.root
        b.nginx(8080)
        b.nginx(9090)
        service = mesh.service("web", "shop", CLUSTER_IP, 80, 8080, [("web-1", b.ip, "web")])
        m.manifest("web.yaml", service)
        for host in (a, b):
            host.start_relay()
        assert a.curl(URL).stdout == "hello from b:8080\n"

        def pull():
            return subprocess.run(["ip", "netns", "exec", a.ns.name, EXAMPLES / "pull", repository.path, "main"], capture_output=True,
                                  text=True, env={**OF_TEST, "TULLE_ROOT": a.root, "GIT_CONFIG_COUNT": "1",
                                                  "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}, timeout=60, check=False)

        def link():
            return os.readlink(os.path.join(a.root, "etc/tulle/mesh.d"))

        first = repository.commit(**{"mesh.d__web": service.replace("targetPort: 8080", "targetPort: 9090")})
        done = pull()
        assert done.returncode == 0 and f"pull: {first} is in force" in done.stdout, done.stdout + done.stderr
        assert a.curl(URL).stdout == "hello from b:9090\n"
        assert first in link()
        assert os.path.exists(os.path.join(a.root, "etc/tulle/mesh.d.before/web.yaml"))
        assert pull().stdout == "", "what is in force is not taken again"

        bad = repository.commit(**{"mesh.d__web": service.replace("clusterIPs", "clusterIps")})
        done = pull()
        assert done.returncode == 1 and f"pull: {bad} is not taken" in done.stderr and "did you mean" in done.stderr, done.stderr
        assert first in link()
        assert a.curl(URL).stdout == "hello from b:9090\n"

        last = repository.commit(**{"mesh.d__web": service})
        assert pull().returncode == 0
        assert a.curl(URL).stdout == "hello from b:8080\n"
        kept = {f for f in os.listdir(os.path.join(a.root, "var/lib/tulle-mesh")) if len(f) == 40}
        assert kept == {first, last}

        # a relay that cannot be asked: the link is what it was
        a.daemons["relayd"].stop()
        newer = repository.commit(**{"mesh.d__web": service + "\n"})
        assert pull().returncode == 1 and last in link() and newer not in link()
