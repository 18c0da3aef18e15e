# SPDX-License-Identifier: GPL-3.0-or-later
"""Several services on one host: whose connection it is decides as whom it speaks."""
import os

import pytest

import mesh
import netns

SERVICE, SERVICE6 = "10.96.0.1", "fd96::1"
USERS = {"cart": 7911, "jobs": 7912, "stranger": 7913, "late": 7914, "shared": 7915}
ALLOW = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: who, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: {0}}}}}
  rules:
  - from: [{{source: {{principals: [{1}]}}}}]
"""
ENTRIES = [{"serviceAccount": "shop/cart", "match": {"uid": str(USERS["cart"])}},
           {"serviceAccount": "shop/jobs", "match": {"uid": str(USERS["jobs"])}},
           {"serviceAccount": "shop/cart", "match": {"unit": "cart.service", "uid": str(USERS["shared"])}},
           {"serviceAccount": "shop/jobs", "match": {"unit": "jobs.service"}}]


def principal(account):
    return f"mesh.test/ns/shop/sa/{account}"


def tunnels(host, way="outbound"):
    return [t for w in host.status()["relayd"]["relay"]["workers"] for t in w[way]]


def callers(host):
    """Who has a tunnel into this host."""
    return {t.get("identity", "").rsplit("/", 1)[-1] for t in tunnels(host, "inbound")}


def program(host, who, argv, folder=None):
    """A program of a user; <folder>: of a cgroup to be in."""
    uid = USERS[who]
    enter = ["sh", "-c", f'echo $$ >{folder}/cgroup.procs && exec "$@"', "sh"] if folder else []
    return netns.run("nsenter", f"--net=/run/netns/{host.ns.name}", *enter, "setpriv", f"--reuid={uid}", f"--regid={uid}",
                     "--clear-groups", "--", *argv, check=False)


def ask(host, who, url=f"http://{SERVICE}/", unit=None):
    return program(host, who, ["curl", "-sS", "--max-time", str(5 * mesh.PATIENCE), url], unit)


@pytest.fixture
def slice_of_tests():
    """A folder in the unified hierarchy that looks as if systemd had made it; units are folders in it."""
    top = "/sys/fs/cgroup" if os.path.exists("/sys/fs/cgroup/cgroup.procs") else "/sys/fs/cgroup/unified"
    if not os.access(os.path.join(top, "cgroup.procs"), os.W_OK):
        pytest.skip("no unified cgroup hierarchy that could be written to")
    where = os.path.join(top, f"tulle{os.getpid()}.slice")
    os.mkdir(where)
    yield where
    for folder, _, _ in os.walk(where, topdown=False):
        os.rmdir(folder)


def unit(where, *names):
    path = os.path.join(where, *names)
    os.makedirs(path, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def pair():
    """Host a has many services, host b the one that they call, and which may be called by cart alone."""
    with mesh.Mesh(f"o{os.getpid()}", ["a", "b"]) as m:
        a, b = m["a"], m["b"]
        a.identities(ENTRIES)
        m.start_identities({"a": "shop/host", "b": "shop/db"})
        m.manifest("shop.yaml", "---\n".join([
            mesh.service("db", "shop", SERVICE, 80, 8080, [("db-1", b.ip, "db")]),
            mesh.service("db6", "shop", SERVICE6, 80, 8080, [("db-6", b.ip6, "db")]),
            mesh.service("own", "shop", "10.96.0.2", 80, 8080, [("own-1", a.ip, "own")])]))
        allow = ALLOW.format("db", f'"{principal("cart")}"')
        m.manifest("policy.yaml", allow + allow.replace("who", "who6").replace("app: db", "app: db6")
                   + allow.replace("who", "whom").replace("app: db", "app: own"))
        for host in (a, b):
            host.run("ip", "-6", "route", "add", "fd96::/64", "dev", "eth0")
            host.nginx(8080)
            host.start_relay(uid=0)
        yield m


@pytest.mark.parametrize("url", [f"http://{SERVICE}/", f"http://[{SERVICE6}]/", "http://10.96.0.2/"],
                         ids=["v4", "v6", "same-host"])
def test_who_calls_is_the_user_of_the_socket(pair, url):
    """cart may, jobs may not, and whom no entry names is the host itself, who may not either."""
    a = pair["a"]
    assert ask(a, "cart", url).stdout.startswith("hello from ")
    assert ask(a, "jobs", url).returncode != 0
    assert ask(a, "stranger", url).returncode != 0
    assert ask(a, "cart", url).stdout.startswith("hello from ")


def test_each_identity_has_tunnels_of_its_own(pair):
    a, b = pair["a"], pair["b"]
    for who in ("cart", "jobs", "stranger"):
        ask(a, who)
    assert callers(b) >= {"cart", "jobs", "host"}


def test_an_ipv6_socket_that_speaks_ipv4_is_told_as_any(pair):
    """Java, and many others, know sockets of one kind only: "::ffff:10.96.0.1"."""
    script = (f"import socket; s = socket.socket(socket.AF_INET6); s.settimeout(5); s.connect(('::ffff:{SERVICE}', 80)); "
              "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(b'hello from' in s.recv(4096) + s.recv(4096))")

    def told(who):
        return pair["a"].run("setpriv", f"--reuid={USERS[who]}", "--clear-groups", "--", "/usr/bin/python3", "-c", script,
                             check=False).stdout.strip()

    assert told("cart") == "True"
    assert told("jobs") != "True"


def test_a_program_that_hangs_up_at_once_is_known_or_nobody(pair, slice_of_tests):
    """It connects, sends and closes before anybody has looked.  As cart it arrives (not all of it if the machine is busy), as
    jobs never, whatever the kernel has forgotten."""
    script = (f"import contextlib, socket\nfor i in range(50):\n s = socket.create_connection(('{SERVICE}', 80))\n"
              " with contextlib.suppress(OSError):\n"  # who is nobody may have been reset already
              "  s.sendall(b'GET /quick HTTP/1.0\\r\\n\\r\\n')\n s.close()\n")
    log = os.path.join(pair["b"].work, "nginx-8080/access.log")

    def arrived(name):
        """How many, once no connection is under way any more."""
        pair["a"].identities([{"serviceAccount": f"shop/{name}", "match": {"unit": "quick.service"}}])
        pair["a"].reload()
        before = open(log, encoding="ascii").read().count("GET /quick")
        assert program(pair["a"], "stranger", ["/usr/bin/python3", "-c", script], unit(slice_of_tests, "quick.service")).returncode == 0
        for host in pair.hosts.values():
            netns.wait_for(lambda h=host: all(w["flows"] == 0 for w in h.status()["relayd"]["relay"]["workers"]), 10 * mesh.PATIENCE)
        return open(log, encoding="ascii").read().count("GET /quick") - before

    assert arrived("jobs") == 0
    assert 0 < arrived("cart") <= 50
    pair["a"].identities(ENTRIES)
    pair["a"].reload()


def test_a_reload_changes_who_new_connections_are(pair):
    """An entry comes, and goes: its user is somebody else from then on.  Without a certificate he is nobody."""
    a = pair["a"]
    assert ask(a, "late").returncode != 0
    a.identities([*ENTRIES, {"serviceAccount": "shop/cart", "match": {"uid": str(USERS["late"])}}])
    a.tulle("reload")
    assert ask(a, "late").stdout.startswith("hello from ")
    a.identities(ENTRIES)
    a.tulle("reload")
    assert ask(a, "late").returncode != 0


def test_an_identity_without_a_certificate_is_not_replaced_by_another(pair):
    """The relay knows the entry, and certd has not got it: the connection fails as no_identity, and nobody is called."""
    a = pair["a"]
    a.identities([*ENTRIES, {"serviceAccount": "shop/missing", "match": {"uid": str(USERS["late"])}}])
    a.reload()  # the relay alone
    before = len(a.daemons["relayd"].lines("outbound connection failed"))
    assert ask(a, "late").returncode != 0
    netns.wait_for(lambda: len(a.daemons["relayd"].lines("outbound connection failed")) > before, 5 * mesh.PATIENCE)
    line = a.daemons["relayd"].lines("outbound connection failed")[-1]
    assert line["reason"] == "no_identity" and line["as"] == "ns/shop/sa/missing"
    a.identities(ENTRIES)
    a.reload()


def test_two_units_of_one_user_are_told_apart(pair, slice_of_tests):
    """cart.service and jobs.service run as one user; whatever lies below a unit is the unit."""
    a, where = pair["a"], slice_of_tests
    assert ask(a, "shared", unit=unit(where, "cart.service")).stdout.startswith("hello from ")
    assert ask(a, "shared", unit=unit(where, "jobs.service")).returncode != 0
    assert ask(a, "shared", unit=unit(where, "cart.service", "worker", "1")).stdout.startswith("hello from ")
    assert ask(a, "shared").returncode != 0
    assert ask(a, "stranger", unit=unit(where, "cart.service")).returncode != 0  # the entry has a user as well
    assert callers(pair["b"]) >= {"cart", "jobs", "host"}


def test_a_unit_that_starts_again_is_the_same_one(pair, slice_of_tests):
    """Each start gives it another cgroup."""
    a, where = pair["a"], slice_of_tests
    for _ in range(3):
        folder = unit(where, "cart.service")
        assert ask(a, "shared", unit=folder).stdout.startswith("hello from ")
        netns.wait_for(lambda f=folder: not open(os.path.join(f, "cgroup.procs"), encoding="ascii").read(), 5)
        os.rmdir(folder)


def test_a_user_s_unit_of_the_same_name_is_not_the_system_s(pair, slice_of_tests):
    a, where = pair["a"], slice_of_tests
    manager = unit(where, f"tulle{os.getpid()}-1000.slice", "user@1000.service", "app.slice", "cart.service")
    container = unit(where, "0123456789ab", "cart.service")
    assert ask(a, "shared", unit=manager).returncode != 0
    assert ask(a, "shared", unit=container).returncode != 0
    assert ask(a, "shared", unit=unit(where, "cart.service")).stdout.startswith("hello from ")
