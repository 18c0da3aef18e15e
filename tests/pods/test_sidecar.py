# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods in a mesh: podman's, put into it by "tulle inject --sidecar=classic", identities from tokens of service accounts."""
import json
import re
import subprocess
import time

import manifests
import pod
import pytest
from pod import wait_for

IMAGE_MAX_MB = 30
PROBES = {"livenessProbe": {"httpGet": {"path": "/health", "port": 8080}}, "readinessProbe": {"tcpSocket": {"port": 8080}}}


@pytest.fixture(scope="module")
def mesh(cluster):
    return manifests.Mesh(cluster, {"web": 41, "client": 42, "job": 43, "slow": 44})


@pytest.fixture(scope="module")
def web(mesh):
    p = mesh.play("web", manifest=manifests.application("web", **PROBES), options=("--memory", "64Mi:64Mi"))
    yield p
    print(p.logs("tulle")[-4000:])


@pytest.fixture(scope="module")
def client(mesh):
    p = mesh.play("client", options=("--memory", "64Mi:64Mi"))
    yield p
    print(p.logs("tulle")[-4000:])


def url(p, path="/", six=False):
    return f"http://[{p.address6}]:8080{path}" if six else f"http://{p.address}:8080{path}"


def reaches(who, where):
    wait_for(lambda: who.get(url(where)) == "200", 10, f"a request of {who.name} to {where.name}")


@pytest.mark.quick
def test_the_image_is_small_and_has_no_shell(cluster):
    size = int(cluster.podman("image", "inspect", "--format", "{{.Size}}", pod.IMAGE).stdout) / 1e6
    print(f"the image: {size:.1f} MB")
    assert size < IMAGE_MAX_MB
    container = cluster.podman("create", "--pull=never", pod.IMAGE).stdout.strip()
    names = subprocess.run(cluster.command("export", container), capture_output=True, check=True, env=cluster.environment).stdout
    listed = subprocess.run(["tar", "t"], input=names, capture_output=True, check=True).stdout.decode().splitlines()
    assert not [n for n in listed if re.search(r"bin/(sh|bash|dash|apt|apt-get|dpkg|perl|busybox)$", n)]


@pytest.mark.quick
def test_pods_talk_mutual_tls_as_the_accounts_of_their_tokens(mesh, web, client):
    reaches(client, web)
    reaches(web, client)
    for six in (False, True):
        assert client.get(url(web, six=six)) == "200" and web.get(url(client, six=six)) == "200"
    members = {m["host"]: m["accounts"] for m in mesh.authority_status()["members"]}
    assert members["web"] == ["shop/web"] and members["client"] == ["shop/client"], members
    status = json.loads(client.run("tulle", "/usr/bin/tulle", "status", "--json", check=False).stdout)
    assert any(w["outbound"] for w in status["relayd"]["relay"]["workers"])
    # Who has no relay, and so no identity, is refused.
    assert mesh.cluster.enter("curl", "-s", "-m", "3", url(web)).returncode != 0


@pytest.mark.quick
def test_probes_reach_a_strict_application_through_the_sidecar(mesh, web):
    for path in ("/app-health/app/livez", "/app-health/app/readyz"):
        assert web.probe(path)[0] == "200", web.probe(path)
    assert web.probe("/app-health/app/livez", f"[{web.address6}]")[0] == "200"
    assert web.probe("/app-health/nobody/livez")[0] == "404"
    web.run("app", "touch", "/tmp/sick")
    assert web.probe("/app-health/app/livez") == ("500", "status 500\n")
    web.run("app", "rm", "/tmp/sick")
    assert web.probe("/app-health/app/livez")[0] == "200"
    assert web.probe("/healthz/ready")[0] == "200"
    # From outside nobody ends the sidecar.
    said = mesh.cluster.enter("curl", "-s", "-m", "3", "-X", "POST", "-w", "%{http_code}", f"http://{web.address}:15020/quitquitquit")
    assert said.stdout.endswith("403")


@pytest.mark.quick
def test_the_sidecar_has_no_capability_and_writes_nowhere_but_where_it_must(web):
    sidecar = web.pid("tulle")
    pids = [sidecar, *map(int, open(f"/proc/{sidecar}/task/{sidecar}/children", encoding="ascii").read().split())]
    assert len(pids) == 4
    for pid in pids:
        facts = open(f"/proc/{pid}/status", encoding="ascii").read()
        for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", f"Uid:\t{pod.UID}\t{pod.UID}"):
            assert line in facts, (line, facts)
        options = next(line.split()[5] for line in open(f"/proc/{pid}/mountinfo", encoding="ascii") if line.split()[4] == "/")
        assert "ro" in options.split(",")
    limit = web.cluster.podman("inspect", "--format", "{{.HostConfig.Memory}}", web.container("tulle")).stdout.strip()
    assert limit == str(64 << 20)


@pytest.mark.quick
def test_nothing_readable_passes_between_the_pods(mesh, web, client):
    reaches(client, web)
    lab = mesh.cluster.lab
    capture = subprocess.Popen(lab.enter("tcpdump", "-i", lab.bridge, "-U", "-s", "0", "-w", "-", "tcp", "and", "host", web.address),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    for _ in range(10):
        assert client.get(url(web)) == "200"
    time.sleep(1)
    capture.terminate()
    seen = capture.communicate(timeout=10)[0]
    assert len(seen) > 5000 and b"nothing to see here" not in seen and b"GET /" not in seen


LOAD = """end=$(($(date +%s) + {seconds})); good=0; bad=0
while [ $(date +%s) -lt $end ]; do
  if curl -gs -o /dev/null -m 5 --fail {url}; then good=$((good + 1)); else bad=$((bad + 1)); fi
done; echo $good $bad"""


def under_load(client, where, what, seconds=6):
    load = subprocess.Popen(client.cluster.command("exec", client.container("app"), "bash", "-c", LOAD.format(seconds=seconds, url=where)),
                            stdout=subprocess.PIPE, text=True, env=client.cluster.environment)
    time.sleep(1)
    what()
    return tuple(map(int, load.communicate(timeout=60)[0].split()))


def daemons(p):
    """{name: pid on this machine}; the kernel keeps 15 bytes of a name."""
    sidecar = p.pid("tulle")
    pids = open(f"/proc/{sidecar}/task/{sidecar}/children", encoding="ascii").read().split()
    return {open(f"/proc/{pid}/comm", encoding="ascii").read().strip(): int(pid) for pid in pids}


def test_the_init_container_runs_again_under_traffic_and_nothing_fails(mesh, web, client):
    reaches(client, web)

    def again():
        for p in (web, client):
            done = mesh.cluster.podman("run", "--rm", "--pull=never", "--pod", p.name, "--user", "0",
                                       "--cap-drop=all", "--cap-add=NET_ADMIN", "--read-only", "--volumes-from", p.container("tulle"),
                                       "-e", "XTABLES_LOCKFILE=/run/tulle/xtables.lock", "--entrypoint", "/usr/sbin/tulle-nfrules",
                                       pod.IMAGE, "apply")
            assert done.returncode == 0

    good, bad = under_load(client, url(web), again)
    print(f"tulle-init again in both pods: {good} requests, {bad} failed")
    assert good > 20 and bad == 0


@pytest.mark.parametrize("name", ["tulle-certd", "tulle-telemetry", "tulle-relayd"])
def test_a_daemon_that_dies_is_back_and_the_application_keeps_its_network(web, client, name):
    reaches(client, web)
    before = daemons(web)
    good, bad = under_load(client, url(web), lambda: subprocess.run(["kill", "-KILL", str(before[name])], check=True))
    print(f"{name} killed in the pod: {good} requests, {bad} failed")
    wait_for(lambda: daemons(web).get(name) not in (None, before[name]), 10, f"another {name}")
    wait_for(web.ready, 10, "readiness")
    # A relay whose parent is killed gives its ports back and is started again: what comes in these some milliseconds is refused.
    assert good > 20 and bad <= (10 if name == "tulle-relayd" else 0)
    reaches(web, client)


def test_a_job_ends_and_so_does_its_pod(mesh, web):
    work = ["bash", "-c", f"for i in $(seq 100); do curl -s --fail -m 2 {url(web)} && exit 0; sleep 0.1; done; exit 1"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job", "namespace": "shop"},
           "spec": {"template": {"metadata": {"labels": {"app": "job"}}, "spec": manifests.application("job", command=work)["spec"]}}}
    injected = manifests.inject(job)["spec"]["template"]
    assert injected["spec"]["shareProcessNamespace"] is True

    def as_pod(p):  # podman of Debian 12 plays no Job: its pod, as the Job's controller would make it
        p["spec"].update(shareProcessNamespace=True, containers=[
            {**c, "env": next(i["env"] for i in injected["spec"]["containers"] if i["name"] == c["name"])} if c["name"] == "tulle" else c
            for c in p["spec"]["containers"]])

    p = mesh.play("job", manifest=manifests.application("job", command=work), change=as_pod, ready=False)
    wait_for(lambda: p.state("app")[1] is not None, 20, "the end of the work")
    assert p.state("app") == ("exited", 0), p.logs("app")
    wait_for(lambda: p.state("tulle")[1] is not None, 10, "the end of the sidecar")
    assert p.state("tulle") == ("exited", 0), p.logs("tulle")
    p.remove()


def test_a_request_under_way_when_the_pod_is_stopped_is_answered(mesh, client):
    slow = mesh.play("slow", options=("--drain", "10s"))
    reaches(client, slow)
    asked = subprocess.Popen(mesh.cluster.command("exec", client.container("app"), "curl", "-s", "-m", "20", url(slow, "/slow/4")),
                             stdout=subprocess.PIPE, text=True, env=mesh.cluster.environment)
    time.sleep(1)
    began = time.monotonic()
    stopped = slow.stop(25)
    seconds = time.monotonic() - began
    assert "nothing to see here" in asked.communicate(timeout=30)[0], slow.logs("tulle")
    assert stopped == {"tulle": 0, "app": 0} and seconds < 20, slow.logs("tulle")
    print(f"the pod ended {seconds:.1f} s after it was told to, with a request of 4 s under way")
    slow.remove()
