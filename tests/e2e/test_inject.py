# SPDX-License-Identifier: GPL-3.0-or-later
"""tulle inject and uninject, looked at with another YAML parser than their own."""
import pathlib
import subprocess

import mesh
import pytest
import yaml

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/inject"
INPUTS = sorted(p for p in GOLDEN.glob("*.yaml") if not p.name.endswith((".native.yaml", ".classic.yaml")))
OURS = {"tulle", "tulle-init"}
VOLUMES = {"tulle-config", "tulle-mesh", "tulle-run", "tulle-state", "tulle-token"}


def tulle(*args, stdin=None):
    return subprocess.run([mesh.binary("tulle"), *map(str, args)], input=stdin, capture_output=True, timeout=30, check=False)


def documents(text):
    return [d for d in yaml.safe_load_all(text) if d is not None]


def pods(document):
    """The template of each pod, as Kubernetes' API has them."""
    kind, group = document["kind"], document["apiVersion"].rpartition("/")[0]
    if (kind, group) == ("List", ""):
        for item in document["items"]:
            yield from pods(item)
    elif (kind, group) == ("Pod", ""):
        yield document
    elif (kind, group) in (("Deployment", "apps"), ("StatefulSet", "apps"), ("DaemonSet", "apps"), ("ReplicaSet", "apps"), ("Job", "batch")):
        yield document["spec"]["template"]
    elif (kind, group) == ("CronJob", "batch"):
        yield document["spec"]["jobTemplate"]["spec"]["template"]


def strip(pod):
    """Takes out what is meant to be there, and says whether there was anything."""
    spec, annotations = pod["spec"], (pod.get("metadata") or {}).get("annotations") or {}
    status = annotations.pop("tulle.mesh/status", None)
    if status is None:
        return None
    was = yaml.safe_load(status)
    found = [c["name"] for part in ("initContainers", "containers") for c in spec.get(part) or [] if c["name"] in OURS]
    assert sorted(found) == ["tulle", "tulle-init"]
    assert {v["name"] for v in spec["volumes"] if v["name"].startswith("tulle-")} == VOLUMES
    for part in ("initContainers", "containers", "volumes"):
        spec[part] = [c for c in spec.get(part) or [] if not c["name"] in OURS | VOLUMES]
    for container in (spec["initContainers"] or []) + spec["containers"]:
        for field, handler in was["probes"].get(container["name"], {}).items():
            path = {"livenessProbe": "livez", "readinessProbe": "readyz", "startupProbe": "startupz"}[field]
            assert container[field]["httpGet"] == {"path": f"/app-health/{container['name']}/{path}", "port": 15020}
            # an anchor's value is one object for all its aliases
            container[field] = {**{k: v for k, v in container[field].items() if k != "httpGet"}, **handler}
    for field, value in was["was"].items():
        if field in ("terminationGracePeriodSeconds", "shareProcessNamespace"):
            assert spec[field] != value
            spec[field] = value
    for field in was["made"]:
        if field in ("terminationGracePeriodSeconds", "shareProcessNamespace"):
            del spec[field]
    return was


def plain(value):
    """As a manifest without what is as good as absent."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v not in (None, [], {}) and plain(v) not in (None, [], {})}
    return [plain(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("mode", ["native", "classic"])
@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_only_what_is_meant_to_differs(path, mode):
    text = path.read_bytes()
    done = tulle("inject", "--sidecar", mode, path)
    assert done.returncode == 0, done.stderr
    before, after = documents(text), documents(done.stdout)
    changed = [strip(p) for d in after for p in pods(d)]
    assert any(changed)
    assert plain(after) == plain(before)
    back = tulle("uninject", "-", stdin=done.stdout)
    assert back.returncode == 0 and back.stdout == text and back.stderr == b""


def test_lines_that_are_not_about_tulle_stay_where_they_are():
    """A diff has insertions, and replacements of probes and the grace only."""
    done = tulle("inject", GOLDEN / "deployment.yaml")
    lines = done.stdout.decode().splitlines()
    kept = [line for line in (GOLDEN / "deployment.yaml").read_text(encoding="utf-8").splitlines() if line in lines]
    lost = [line.strip() for line in (GOLDEN / "deployment.yaml").read_text(encoding="utf-8").splitlines() if line not in lines]
    assert [line for line in lines if line in kept][:5] == kept[:5]
    assert lost == ["terminationGracePeriodSeconds: 10   # was enough", "tcpSocket: {port: 6379}", "grpc:", "port: 9000", "service: shop",
                    "path: /healthz   # of the shop", "port: http", "scheme: HTTPS", "httpHeaders:", "- name: X-Probe", 'value: "yes"',
                    "readinessProbe: {tcpSocket: {port: 8081}, periodSeconds: 5}"]
    assert b"raised from 10 to 25" in done.stderr


@pytest.mark.parametrize("mode", ["native", "classic"])
@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_what_was_written_anew_since_comes_back_by_its_values(path, mode):
    """As kubectl get prints it: another order of keys, no comments, other quotes."""
    done = tulle("inject", "--sidecar", mode, path)
    anew = yaml.safe_dump_all(documents(done.stdout), sort_keys=True).encode()
    back = tulle("uninject", "-", stdin=anew)
    assert back.returncode == 0, back.stderr
    assert plain(documents(back.stdout)) == plain(documents(path.read_bytes()))
    assert b"written anew" in back.stderr


def test_an_edit_made_since_stays():
    done = tulle("inject", GOLDEN / "deployment.yaml")
    edited = done.stdout.replace(b"image: shop:1", b"image: shop:2").replace(b"terminationGracePeriodSeconds: 25", b"terminationGracePeriodSeconds: 90")
    back = documents(tulle("uninject", "-", stdin=edited).stdout)[1]["spec"]["template"]["spec"]
    assert back["containers"][0]["image"] == "shop:2" and back["terminationGracePeriodSeconds"] == 90
    assert [c["name"] for c in back["initContainers"]] == ["migrate", "cache"]


def test_a_refusal_prints_nothing_and_the_rest_is_told_on_standard_error(tmp_path):
    done = tulle("inject", GOLDEN / "refused/two-pods.yaml")
    assert done.returncode == 1 and done.stdout == b""
    assert len(done.stderr.splitlines()) == 3 and all(b"two-pods.yaml:" in line for line in done.stderr.splitlines())
    done = tulle("inject", tmp_path / "none.yaml")
    assert (done.returncode, done.stdout) == (1, b"") and b"No such file" in done.stderr
    for wrong in (["--sidecar", "other"], ["--cpu", "much"], ["--memory", "64"  "MB"], ["--image", "a b"], ["--drain", "2h"],
                  ["--termination-grace", "1s"], ["--identity", "none"], ["--pull-policy", "always"], ["--socket-volume", "/../x"]):
        done = tulle("inject", *wrong, GOLDEN / "pod.yaml")
        assert (done.returncode, done.stdout) == (2, b""), wrong
        assert wrong[0].encode() in done.stderr


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_without_a_status_only_that_is_missing(path):
    """For podman."""
    whole, without = (documents(tulle("inject", "--sidecar", "classic", *more, path).stdout) for more in ([], ["--no-status"]))
    for d in whole:
        for p in pods(d):
            (p.get("metadata", {}).get("annotations") or {}).pop("tulle.mesh/status", None)
    assert plain(without) == plain(whole) and any(plain(d) != plain(e) for d, e in zip(without, documents(path.read_bytes())))
    twice = tulle("inject", "-", stdin=yaml.safe_dump_all(without).encode())
    assert twice.returncode == 1 and b"is the name of Tulle's own container" in twice.stderr


def test_what_has_no_pod_is_printed_as_it_is():
    text = b"# nothing\r\n---\nkind: Service\napiVersion: v1\n...\n---\n"
    done = tulle("inject", "-", stdin=text)
    assert (done.returncode, done.stdout) == (0, text) and b"no pod is taken into the mesh" in done.stderr
