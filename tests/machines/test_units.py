# SPDX-License-Identifier: GPL-3.0-or-later
"""Several systemd units on one machine, each with its own identity, and another machine that knows them apart."""
import json

import pytest
from machine import wait_for

IDENTITIES = """- {serviceAccount: shop/cart, match: {unit: cart.service}}
- {serviceAccount: shop/jobs, match: {unit: jobs@nightly.service}}
- {serviceAccount: shop/web, match: {uid: web}}
"""
# Who may reach which port of the other machine.
PORTS = {"cart": 8001, "jobs": 8002, "web": 8003, "host": 8004}
UNITS = {"cart": ("cart.service", "shopper"), "jobs": ("jobs@nightly.service", "shopper"), "web": ("web.service", "web"),
         "host": ("other.service", "shopper")}
UNIT = """[Service]
Type=oneshot
User={user}
EnvironmentFile=/run/url
ExecStart=/bin/sh -c '/usr/bin/tulle svid >/run/shop/{name}.svid 2>&1; exec /usr/bin/curl -gsf -o /dev/null -m 5 "$URL"'
"""


def entry(name, address, account, ports=None):
    where = f", ports: {{tcp: {ports}}}" if ports else ""
    return f"""apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}, namespace: shop}}
spec: {{address: "{address}", serviceAccount: {account}, labels: {{app: {name}}}{where}}}
---
"""


def policy(name, rules, selector=""):
    chosen = f"selector: {{matchLabels: {{app: {selector}}}}}, " if selector else ""
    return f"""apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: shop}}
spec: {{{chosen}rules: [{rules}]}}
---
"""


def rule(account, port):
    return (f'{{from: [{{source: {{principals: ["mesh.example/ns/shop/sa/{account}"]}}}}], '
            f'to: [{{operation: {{ports: ["{port}"]}}}}]}}')


class Mesh:
    """`many` has the units, `db` the ports that they call."""

    def __init__(self, lab):
        self.lab = lab
        self.db, self.many = lab.machine("db", 21), lab.machine("many", 22)
        for m in (self.db, self.many):
            m.run("apt-get", "install", "-y", "/mnt/old.deb")
        self.many.run("useradd", "--create-home", "--uid", "1500", "shopper")
        self.many.run("useradd", "--system", "web")
        self.many.run("install", "-d", "-m", "0777", "/run/shop")
        self.many.write("/etc/tulle/identities.yaml", IDENTITIES)
        self.db.run("tulle", "init", "--trust-domain", "mesh.example", "--default", "shop/db")
        allow = [w for a in ("cart", "jobs", "web", "host") for w in ("--allow", f"shop/{a}")]
        token = self.db.out("tulle", "token", *allow, "--address", self.db.address).split()[-1]
        self.many.run("tulle", "join", "--default", "shop/host", token)
        rules = ", ".join(rule(a, p) for a, p in PORTS.items())
        text = "".join([
            entry("db", self.db.address, "db"), entry("db6", self.db.address6, "db"),
            policy("db", rules, "db"), policy("db6", rules, "db6"),
            # What the units themselves serve: two at one address, told by port.
            entry("cart", self.many.address, "cart", 9001), entry("jobs", self.many.address, "jobs", 9002),
            policy("cart", '{from: [{source: {principals: ["mesh.example/ns/shop/sa/db"]}}]}', "cart"),
            policy("jobs", '{from: [{source: {principals: ["mesh.example/ns/shop/sa/nobody"]}}]}', "jobs"),
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\n"
            "spec: {mtls: {mode: STRICT}}\n"])
        for m, ports in ((self.db, PORTS.values()), (self.many, (9001, 9002))):
            m.write("/etc/tulle/mesh.d/shop.yaml", text)
            m.run("tulle", "check")
            m.run("tulle", "reload")
            m.write("/etc/nginx/sites-enabled/default", "".join(
                f"server {{ listen {p}; listen [::]:{p}; location / {{ return 200 ok; }} }}\n" for p in ports))
            m.run("systemctl", "restart", "nginx")
        for name, (unit, user) in UNITS.items():
            path = unit.replace("@nightly", "@")
            self.many.write(f"/etc/systemd/system/{path}", UNIT.format(user=user, name=name))
        self.many.run("systemctl", "daemon-reload")
        wait_for(lambda: self.asks("cart", "cart"), what="the first answer")

    def url(self, who, six=False):
        return f"http://[{self.db.address6}]:{PORTS[who]}/" if six else f"http://{self.db.address}:{PORTS[who]}/"

    def asks(self, name, port_of, six=False):
        """Starts the unit, which asks once: does it get an answer at the port that is for <port_of>?"""
        self.many.write("/run/url", f"URL={self.url(port_of, six)}\n")
        return self.many.run("systemctl", "start", UNITS[name][0], check=False).returncode == 0


@pytest.fixture(scope="module")
def mesh(lab):
    mesh = Mesh(lab)
    yield mesh
    print(mesh.many.journal("tulle-relayd")[-4000:])


@pytest.mark.quick
@pytest.mark.parametrize("six", [False, True], ids=["v4", "v6"])
def test_each_unit_speaks_as_itself(mesh, six):
    """cart and jobs have one user; web is known by its user; whom no entry names is the host.  Each start is another cgroup."""
    reached = {(name, port) for name in UNITS for port in PORTS if mesh.asks(name, port, six)}
    assert reached == {(name, name) for name in UNITS}


def test_the_workload_api_says_the_same(mesh):
    for name in UNITS:
        assert mesh.asks(name, name)
        said = mesh.many.out("cat", f"/run/shop/{name}.svid")
        assert (f"spiffe://mesh.example/ns/shop/sa/{name}" in said) == (name != "host"), said
        assert "PERMISSION_DENIED" in said or name != "host", said


def test_a_user_s_unit_of_the_same_name_is_not_the_system_s(mesh):
    """shopper has a cart.service of his own below user@1500.service."""
    m = mesh.many
    m.run("install", "-d", "-o", "shopper", "-g", "shopper", "/home/shopper/.config/systemd/user", "/run/user/1500")
    m.write("/home/shopper/.config/systemd/user/cart.service", UNIT.format(user="shopper", name="mine").replace("User=shopper\n", ""))
    m.run("install", "-d", "/etc/systemd/system/user@1500.service.d")
    m.write("/etc/systemd/system/user@1500.service.d/x.conf", "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/1500\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "start", "user@1500.service")

    def asks(port):
        m.write("/run/url", f"URL={mesh.url(port)}\n")
        return m.run("setpriv", "--reuid=1500", "--regid=1500", "--clear-groups", "env", "XDG_RUNTIME_DIR=/run/user/1500",
                     "systemctl", "--user", "start", "cart.service", check=False).returncode == 0

    assert not asks("cart")
    assert asks("host"), m.journal()[-3000:]
    assert mesh.asks("cart", "cart")


def test_two_units_at_one_address_are_reached_as_themselves(mesh):
    """Inbound: the port says which of them is meant; each has its own policy, plaintext is refused."""
    def get(m, port):
        return m.get(f"http://{mesh.many.address}:{port}/")

    assert wait_for(lambda: get(mesh.db, 9001) == "200", what="an answer")
    assert get(mesh.db, 9002) == "000"
    tunnels = json.loads(mesh.db.out("tulle", "status", "--json", check=False))["relayd"]["relay"]["workers"]
    names = {t["identity"].rsplit("/", 1)[-1] for w in tunnels for t in w["outbound"]}
    assert names >= {"cart", "jobs"}, names


def test_entries_change_at_a_reload(mesh):
    """An entry goes: its unit is the host from then on.  One for a name that the authority does not allow fails, as nobody."""
    m = mesh.many
    m.write("/etc/tulle/identities.yaml", IDENTITIES.splitlines(keepends=True)[0])
    m.run("tulle", "reload")
    assert not mesh.asks("jobs", "jobs") and mesh.asks("jobs", "host") and mesh.asks("cart", "cart")
    m.write("/etc/tulle/identities.yaml", IDENTITIES + "- {serviceAccount: shop/forbidden, match: {unit: other.service}}\n")
    m.run("tulle", "reload", check=False)
    assert not mesh.asks("host", "host") and mesh.asks("jobs", "jobs")
    told = m.out("journalctl", "-u", "tulle-relayd", "-o", "json", "--no-pager").splitlines()[-1]
    assert json.loads(told)["TULLE_REASON"] == "no_identity", told
    m.write("/etc/tulle/identities.yaml", IDENTITIES)
    m.run("tulle", "reload")
    assert mesh.asks("host", "host") and mesh.asks("web", "web")


def test_why_tells_which_entry_and_whence(mesh):
    m = mesh.many
    pid = m.out("systemctl", "show", "-p", "MainPID", "--value", "nginx").strip()
    said = m.run("tulle", "why", pid, check=False).stdout
    assert "unit nginx.service" in said and "speak as ns/shop/sa/host, identity.default" in said, said
