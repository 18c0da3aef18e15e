# SPDX-License-Identifier: GPL-3.0-or-later
"""A host, or a pod, that is about to end: it takes nobody new, and serves its own applications to the last."""
import contextlib
import os
import signal
import shutil
import subprocess
import threading
import time

import mesh
import netns
import pytest

SERVICE = "http://10.96.0.1/"
DB = [("db-1", "b"), ("db-2", "c")]


def direct(host):
    return f"http://{host.ip}:8080/"


def build(names, accounts):
    m = mesh.Mesh(f"l{os.getpid()}", names)
    m.start_identities(accounts)
    entries = [(entry, m[host].ip, "db") for entry, host in DB if host in names]
    m.manifest("db.yaml", mesh.service("db", "shop", "10.96.0.1", 80, 8080, entries))
    m.manifest("web.yaml", mesh.service("web", "shop", "10.96.0.2", 80, 8080, [("web-1", m["a"].ip, "web")]))
    return m


def refused(who, where):
    return who.curl(direct(where), check=False, seconds=3).returncode != 0


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def relay_pid(host):
    relay = (host.status().get("relayd") or {}).get("relay")
    return relay["pid"] if relay else 0


# ---- relayd and SIGUSR1


@pytest.fixture
def trio():
    """web on a calls db on b and c."""
    with build(["a", "b", "c"], {"a": "shop/web", "b": "shop/db", "c": "shop/db"}) as m:
        for host in m.hosts.values():
            host.nginx(8080, extra="location = /big { limit_rate 600k; }")
            host.start_relay()
        netns.wait_for(lambda: {m["a"].curl(SERVICE).stdout for _ in range(8)} == {"hello from b:8080\n", "hello from c:8080\n"}, 10)
        yield m


def test_who_is_turned_away_goes_elsewhere_and_nothing_fails(trio):
    a, b = trio["a"], trio["b"]
    said = []
    under_way = a.spawn("download", ["curl", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{size_download}", direct(b) + "big"])
    time.sleep(0.5)
    for i in range(60):
        if i == 10:
            b.daemons["relayd"].proc.send_signal(signal.SIGUSR1)
        done = a.curl(SERVICE, check=False)
        said.append((done.returncode, done.stdout))
        time.sleep(0.03)
    assert all(code == 0 for code, _ in said), said
    assert {text for _, text in said[30:]} == {"hello from c:8080\n"}, said
    assert under_way.alive() and refused(a, b)
    assert b.curl("http://10.96.0.2/").stdout == "hello from a:8080\n"  # its own, new ones too
    assert under_way.proc.wait(60) == 0 and under_way.log() == str(8 << 20)


def test_the_next_relay_process_takes_nobody_either(trio):
    a, b = trio["a"], trio["b"]
    b.daemons["relayd"].proc.send_signal(signal.SIGUSR1)
    netns.wait_for(lambda: refused(a, b), 10)
    old = relay_pid(b)
    os.kill(old, signal.SIGKILL)
    netns.wait_for(lambda: relay_pid(b) not in (0, old) and b.status()["relayd"]["ready"], 10 * mesh.PATIENCE)
    assert b.curl("http://10.96.0.2/").stdout == "hello from a:8080\n"
    assert refused(a, b)
    pid = relay_pid(b)
    before = cpu_seconds(pid)
    time.sleep(2)
    assert cpu_seconds(pid) - before < 1  # it does not wait for sockets that are shut


# ---- the sidecar


@contextlib.contextmanager
def sidecar_pair(**environment):
    """web on a; b is like a pod: all of its daemons are the sidecar's."""
    with build(["a", "b"], {"a": "shop/web", "b": "shop/db"}) as m:
        a, b = m["a"], m["b"]
        for host in (a, b):
            host.nginx(8080)
        a.start_relay()
        b.daemons["certd"].stop()
        b.configure(relay={"drain": "40s", "terminationGrace": "50s"})
        b.environ.update(environment)
        b.start("sidecar", "--programs", mesh.BUILD)
        b.run(mesh.binary("tulle-sidecar"), "--wait=20", timeout=30)
        b.rules("apply")
        netns.wait_for(lambda: a.curl(direct(b), check=False).returncode == 0, 20)
        yield a, b


def told_to_stop(host):
    host.daemons["sidecar"].proc.send_signal(signal.SIGTERM)
    return time.monotonic()


def ends(host, began):
    status = host.daemons["sidecar"].proc.wait(40 * mesh.PATIENCE)
    assert status == 0
    return time.monotonic() - began


def test_an_application_makes_new_connections_after_it_was_told_to_stop():
    with sidecar_pair(TULLE_DRAIN="6s") as (a, b):
        began = told_to_stop(b)
        time.sleep(2)
        for _ in range(3):
            assert b.curl("http://10.96.0.2/").stdout == "hello from a:8080\n"
        assert refused(a, b)
        assert b.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:15020/healthz/ready", check=False).stdout == "503"
        assert time.monotonic() - began < 6, "too slow to say anything"
        # A relay that dies now is started again, and takes nobody from outside either.
        children = subprocess.run(["ps", "--ppid", str(b.daemons["sidecar"].pid), "-o", "pid=,comm="], capture_output=True, text=True).stdout
        relayd = next(int(line.split()[0]) for line in children.splitlines() if "tulle-relayd" in line)
        os.kill(relayd, signal.SIGKILL)
        netns.wait_for(lambda: b.curl("http://10.96.0.2/", check=False, seconds=1).returncode == 0, 4)
        assert refused(a, b)
        assert ends(b, began) < 12


def test_without_a_drain_the_stop_is_at_once():
    with sidecar_pair(TULLE_DRAIN="0s") as (_, b):
        assert ends(b, told_to_stop(b)) < 3


def test_a_request_that_never_ends_is_cut_within_the_grace():
    with sidecar_pair(TULLE_DRAIN="2s", TULLE_TERMINATION_GRACE="8s") as (a, b):
        b.spawn("silent", ["/usr/bin/python3", "-c", "import socket, time; s = socket.create_server(('', 9000)); c = s.accept(); time.sleep(100)"])
        netns.wait_for_port(b.ns, 9000)
        asked = a.spawn("asked", ["curl", "-sS", "--max-time", "60", f"http://{b.ip}:9000/"])
        time.sleep(1)
        seconds = ends(b, told_to_stop(b))
        assert 4 < seconds < 9, seconds  # 3 s of the 8 are for what follows the relay
        assert asked.proc.wait(10) != 0


# ---- a job


class Processes:
    """A process namespace with a shell in it, which is told what to run: as a pod whose containers share it."""

    def __init__(self, host):
        self.shell = subprocess.Popen(["ip", "netns", "exec", host.ns.name, "unshare", "-pf", "--kill-child", "--mount-proc", "sh"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      stderr=open(os.path.join(host.work, "shell.log"), "ab"))

    def tell(self, line):
        self.shell.stdin.write(line + "\n")
        self.shell.stdin.flush()

    def ask(self, line):
        """The answer, one line; what does not come in time is no answer."""
        late = threading.Timer(30 * mesh.PATIENCE, self.shell.kill)
        late.start()
        self.tell(line)
        answer = self.shell.stdout.readline().strip()
        late.cancel()
        return answer

    def close(self):
        self.shell.stdin.close()
        self.shell.kill()
        self.shell.wait()


@pytest.mark.parametrize("work, least, most", [("{runtime} -c 'exec 3<>{fifo}; read -t 0.05 -u 3; exec /bin/true'", 1, 5), ("/bin/sleep 0.3", 2, 5)])
def test_a_quick_job_ends_its_sidecar_and_one_that_comes_late_is_waited_for(work, least, most):
    with mesh.Mesh(f"l{os.getpid()}", ["a"]) as m:
        m.start_identities({"a": "shop/job"})
        a = m["a"]
        a.daemons["certd"].stop()
        # What runc is called in the container, while it is about to become the container's program.
        runtime, fifo = os.path.join(a.work, "runc:[2:INIT]"), os.path.join(a.work, "fifo")
        shutil.copy("/bin/bash", runtime)
        os.mkfifo(fifo)
        pod = Processes(a)
        try:
            sidecar = mesh.binary("tulle-sidecar")
            pod.tell(f"TULLE_END_WITH_APP=1 {sidecar} --root {a.root} --programs {mesh.BUILD} >/dev/null & S=$!")
            assert pod.ask(f"{sidecar} --wait=20; echo $?") == "0"
            # The application's image takes its time: longer than the sidecar's patience with what it has seen end.
            time.sleep(4)
            assert pod.ask("kill -0 $S && echo there") == "there"
            began = time.monotonic()
            pod.tell(work.format(runtime=runtime, fifo=fifo))
            assert pod.ask("wait $S; echo $?") == "0"
            assert least < time.monotonic() - began < most * mesh.PATIENCE
        finally:
            pod.close()
