# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay process dies, hangs or cannot be started: the parent brings up the next one, with the right files."""
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

import mesh
import netns

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"
OTHER = "http://10.96.0.2/"
PAGE = "hello from b:8080\n"
# relayd/parent/pulse.h: rounds of two seconds without an answer, and more of them in a build with sanitizers
HUNG_SECONDS = 60 if mesh.sanitized() else 10


SECOND = """apiVersion: v1
kind: Service
metadata: {name: second, namespace: shop}
spec: {clusterIPs: ["10.96.0.2"], selector: {app: db}, ports: [{name: tcp, port: 80, targetPort: 8080}]}
"""


@pytest.fixture
def pair():
    """web on host a calls db on host b."""
    with mesh.Mesh(f"r{os.getpid()}", ["a", "b"]) as m:
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
        for host in m.hosts.values():
            host.start_relay()
        assert m["a"].curl(URL).stdout == PAGE
        yield m


def parent_status(host):
    return host.status()["relayd"]


def relay_pid(host):
    """0: there is none, or it does not answer."""
    relay = (host.status().get("relayd") or {}).get("relay")
    return relay["pid"] if relay else 0


def kill_relay(host, signo=signal.SIGKILL):
    """The pid of the next one."""
    old = relay_pid(host)
    os.kill(old, signo)
    netns.wait_for(lambda: relay_pid(host) not in (0, old) and parent_status(host)["ready"], 10 * mesh.PATIENCE)
    return relay_pid(host)


@contextlib.contextmanager
def no_new_processes(host):
    """fork() fails for the parent, as on a host with too many processes."""
    uid = mesh.UIDS["relayd"]

    def prlimit(*args):
        return host.run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", "prlimit",
                        f"--pid={host.daemons['relayd'].pid}", *args).stdout

    soft, hard = prlimit("--nproc", "--noheadings", "--output=SOFT,HARD").split()
    prlimit(f"--nproc=1:{hard}")
    yield
    prlimit(f"--nproc={soft}:{hard}")


def in_background(call):
    """Starts it; the function that is returned waits for its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()

    def join():
        thread.join(60)
        return result[0]
    return join


def revision(host):
    return parent_status(host)["relay"]["config"]["revision"]


@pytest.mark.san
def test_after_a_refused_reload_and_two_deaths_the_good_set_is_in_force(pair):
    a = pair["a"]
    good = revision(a)
    a.manifest("zbad.yaml", "apiVersion: v1\nkind: Servise\nmetadata: {name: x}\n")
    assert a.reload(check=False).returncode == 1
    for _ in range(2):
        kill_relay(a)
        assert revision(a) == good
        assert "zbad.yaml" in parent_status(a)["last_error"]  # and that the newest files are wrong is not forgotten
        assert a.curl(URL).stdout == PAGE


def test_files_reloaded_while_no_relay_process_runs_are_taken_by_the_next(pair):
    a = pair["a"]
    with no_new_processes(a):
        os.kill(relay_pid(a), signal.SIGKILL)
        a.daemons["relayd"].wait_for("cannot start the relay process: trying again")
        a.manifest("second.yaml", SECOND)
        answer = in_background(lambda: a.reload(check=False))
        time.sleep(1)
    assert answer().returncode == 0  # it waited for the next process, and heard what that one says
    assert a.curl(OTHER).stdout == PAGE
    kill_relay(a)
    assert a.curl(OTHER).stdout == PAGE


def test_files_that_a_process_died_over_are_not_given_to_the_next(pair):
    a = pair["a"]
    good, pid = revision(a), relay_pid(a)
    os.kill(pid, signal.SIGSTOP)  # so it ends while it looks at them
    a.manifest("second.yaml", SECOND)
    answer = in_background(lambda: a.reload(check=False))
    time.sleep(1)
    os.kill(pid, signal.SIGKILL)
    done = answer()
    assert done.returncode == 1 and "ended while it looked" in done.stderr
    netns.wait_for(lambda: relay_pid(a) not in (0, pid) and parent_status(a)["ready"], 10 * mesh.PATIENCE)
    assert revision(a) == good and "ended while it looked" in parent_status(a)["last_error"]
    assert a.curl(URL).stdout == PAGE
    assert a.reload().returncode == 0  # asked for once more they are tried once more
    assert a.curl(OTHER).stdout == PAGE and parent_status(a)["last_error"] == ""


def test_a_relay_process_that_hangs_is_replaced(pair):
    a = pair["a"]
    a.daemons["relayd"].stop()
    a.configure(relay={"workers": 2})
    a.start("relayd").wait_for("ready", 20)
    pid = relay_pid(a)
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    said = a.tulle("status", check=False).stdout
    assert "does not answer" in said and time.monotonic() - began < 5 * mesh.PATIENCE
    netns.wait_for(lambda: relay_pid(a) not in (0, pid), HUNG_SECONDS + 15)
    assert time.monotonic() - began > HUNG_SECONDS / 2  # not at the first breath that it misses
    assert a.daemons["relayd"].lines("the relay process does not answer: killed")
    netns.wait_for(lambda: parent_status(a)["ready"], 10 * mesh.PATIENCE)
    assert a.curl(URL).stdout == PAGE
    assert parent_status(a)["starts"] == 2


def test_a_relay_process_that_works_hard_is_left_alone(pair):
    """Much traffic for longer than it takes to be called hung."""
    a = pair["a"]
    pid = relay_pid(a)
    until = time.monotonic() + 14
    while time.monotonic() < until:
        a.as_app("curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", URL + "big", URL + "big", timeout=120)
    assert relay_pid(a) == pid


def test_a_relay_process_that_cannot_be_started_is_tried_again(pair):
    """SYNs wait until it works."""
    a = pair["a"]
    with no_new_processes(a):
        os.kill(relay_pid(a), signal.SIGKILL)
        a.daemons["relayd"].wait_for("cannot start the relay process: trying again", 10, count=2)
        assert "is not running" in a.tulle("status", check=False).stdout
        page = in_background(lambda: a.curl(URL, seconds=20))
        time.sleep(0.5)
    assert page().stdout == PAGE
    assert relay_pid(a) != 0


def test_what_only_a_start_can_change_is_said_at_a_reload(pair):
    a = pair["a"]
    a.configure(relay={"drain": "5s", "terminationGrace": "10s"}, logLevel="info")
    done = a.reload()
    for field in ("relay.drain", "relay.terminationGrace", "logLevel"):
        assert f"{field}: is another now" in done.stderr
    assert "identity.default" not in done.stderr


def test_a_worker_that_has_drained_still_answers_status(pair):
    """Two workers: while one has a connection left the other has ended its own."""
    a = pair["a"]
    a.daemons["relayd"].stop()
    a.configure(relay={"workers": 2, "drain": "20s", "terminationGrace": "30s"})
    relayd = a.start("relayd")
    relayd.wait_for("ready", 20)
    with a.ns.inside(), netns.as_uid(mesh.APP_UID):
        held = socket.create_connection((CLUSTER_IP, 80), timeout=5)
    netns.wait_for(lambda: sum(w["flows"] for w in parent_status(a)["relay"]["workers"]) == 1)
    relayd.kill(signal.SIGTERM)
    netns.wait_for(lambda: all(w["draining"] for w in parent_status(a)["relay"]["workers"]))
    time.sleep(1)
    relay = parent_status(a)["relay"]
    assert relay is not None and sorted(w["flows"] for w in relay["workers"]) == [0, 1]
    held.close()
    assert relayd.proc.wait(20) == 0


def test_the_limit_of_connections_is_that_of_all_workers(pair):
    """Sixteen in all, four workers: chance gives some worker more than four of them, and every one is let in."""
    a = pair["a"]
    a.daemons["relayd"].stop()
    a.configure(relay={"workers": 4}, limits={"connections": 16})
    a.start("relayd").wait_for("ready", 20)
    held = []
    with a.ns.inside(), netns.as_uid(mesh.APP_UID):
        for _ in range(16):
            held.append(socket.create_connection((CLUSTER_IP, 80), timeout=5))
    for s in held:
        s.sendall(b"GET / HTTP/1.1\r\nHost: db\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 200")
    assert a.curl(URL, check=False).returncode != 0  # the seventeenth
    for s in held:
        s.close()
    netns.wait_for(lambda: a.curl(URL, check=False).returncode == 0)


def silent(a, b, source, n):
    """Connections to b's 15008 past the rules, with a source of their own, that say nothing."""
    a.run("ip", "addr", "add", f"{source}/24", "dev", "eth0")
    held = []
    with a.ns.inside(), netns.as_uid(mesh.UIDS["relayd"]):
        for _ in range(n):
            with contextlib.suppress(ConnectionResetError):  # refused so soon
                held.append(socket.create_connection((b.ip, 15008), timeout=5, source_address=(source, 0)))
    return held


def test_handshakes_that_never_end_keep_nobody_else_out(pair):
    """Who only reaches the port must not take the place of this host's own connections and of members."""
    a, b = pair["a"], pair["b"]
    a.nginx(8080)
    b.daemons["relayd"].stop()
    b.configure(limits={"connections": 16})
    relayd = b.start("relayd")
    relayd.wait_for("ready", 20)
    held = silent(a, b, "10.77.0.50", 40)
    try:
        line = relayd.wait_for("connection refused: a limit is reached")
        assert line["limit"] == "handshakes of one source" and line["peer"] == "10.77.0.50"
        assert a.curl(URL).stdout == PAGE  # a member's new tunnel, inbound
        assert b.curl(f"http://{a.ip}:8080/").stdout == "hello from a:8080\n"  # outbound
        for i in range(51, 56):
            held += silent(a, b, f"10.77.0.{i}", 16)
        netns.wait_for(lambda: any(line["limit"] == "handshakes" for line in
                                   relayd.lines("connection refused: a limit is reached")))
        assert a.curl(URL).stdout == PAGE  # over the tunnel that there is
        assert b.curl(f"http://{a.ip}:8080/").stdout == "hello from a:8080\n"
    finally:
        for s in held:
            s.close()


def test_more_addresses_than_can_be_told_leave_the_old_list_in_force(pair):
    """A list that is cut would lose workloads, and with them their policies: it is said instead."""
    b = pair["b"]
    b.run("ip", "-batch", "-", input="".join(f"addr add 10.99.{i // 250}.{i % 250 + 1}/32 dev eth0\n" for i in range(3001)))
    line = b.daemons["relayd"].wait_for("addresses of this host: the old list stays", 15)
    assert "more than 3000" in line["reason"]
    assert "more than 3000 addresses" in b.tulle("status", check=False).stdout
    assert parent_status(b)["addresses"]["known"] < 10
    assert pair["a"].curl(URL).stdout == PAGE  # the workload is still ours
    assert b.reload().returncode == 0
    b.run("ip", "-4", "addr", "flush", "dev", "eth0", "to", "10.99.0.0/16")
    b.daemons["relayd"].wait_for("addresses of this host can be read again", 15)
    assert parent_status(b)["addresses"]["error"] == ""
