# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts of a mesh with telemetry, and a wire of its own for it that the rules do not capture.

Host a (shop/web) calls CLUSTER_IP, which is nginx on host b (shop/db).  Both send all they have to COLLECTOR, an address
of the bridge's namespace (`wire`), where a test puts the collector that it likes.
"""
import os
import signal

import mesh
import netns

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"
COLLECTOR = "10.99.0.9"
PAGE = "hello from b:8080\n"
WEB, DB = "mesh.test/ns/shop/sa/web", "mesh.test/ns/shop/sa/db"


class Watched:
    def __init__(self, tag):
        self.mesh = mesh.Mesh(tag, ["a", "b"])
        try:
            self._configure()
        except BaseException:
            self.mesh.close()
            raise
        self.a, self.b = self.mesh["a"], self.mesh["b"]
        self.wire = self.mesh.bridge

    def _configure(self):
        m = self.mesh
        m.bridge.run("ip", "addr", "add", f"{COLLECTOR}/24", "dev", "br0")
        for i, host in enumerate(m.hosts.values()):
            host.run("ip", "addr", "add", f"10.99.0.{i + 1}/24", "dev", "eth0")
            host.configure(telemetry={"destinations": [{"otlp": f"http://{COLLECTOR}:4318"}], "traces": "100%",
                                      "access": "all", "metrics": ":9464"},
                           capture={"exclude": {"ports": [22], "cidrs": ["10.99.0.0/24"]}})
            host.environ["OTEL_METRIC_EXPORT_INTERVAL"] = "500"
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)

    def start(self):
        """The relays, then what drains them: the collector should be there by now."""
        for host in self.mesh.hosts.values():
            host.start_relay()
            self.start_telemetryd(host)

    def start_telemetryd(self, host):
        host.start_telemetryd()

    def kill_telemetryd(self, host):
        host.daemons["telemetryd"].kill(signal.SIGKILL)
        assert host.daemons["telemetryd"].stop() == -signal.SIGKILL

    def scrape(self, host):
        return host.scrape()

    def metric(self, host, name, **labels):
        return host.metric(name, **labels)

    def lane(self, host, kind):
        """How it goes with one signal: logs, traces or metrics."""
        return host.status()["telemetryd"]["destinations"][0]["signals"][kind]

    def settle(self):
        """Until the collector has all that was told so far."""
        def done(host):
            t = host.status()["telemetryd"]
            return t["events"]["in_ring"] == 0 and all(
                t["signals"][kind]["in_batch"] == 0 and self.lane(host, kind)["queued"] == 0 for kind in ("logs", "traces"))
        netns.wait_for(lambda: all(done(h) for h in self.mesh.hosts.values()), 40 * mesh.PATIENCE, every=0.1)

    def curl(self, n=1):
        """That many connections from a to the service, one request each; asserts that none fails.

        Returns the bytes of one connection as curl counts them: what it sent, what came.
        """
        done = self.a.curl(f"{URL}?[1-{n}]", "-H", "Connection: close", "-o", "/dev/null", "-w",
                           "%{http_code} %{size_request} %{size_header} %{size_download} %{num_connects}\\n", seconds=60)
        answers = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
        assert len(answers) == n and all(code == 200 and fresh == 1 for code, _, _, _, fresh in answers), done.stdout[-500:]
        return sum(a[1] for a in answers) / n, sum(a[2] + a[3] for a in answers) / n

    def stop_hosts(self):
        """While the collector is still there: telemetryd sends what it has."""
        for host in self.mesh.hosts.values():
            host.close()

    def close(self):
        self.mesh.close()


def forbid(host):
    """A policy on that host that lets nobody in."""
    host.manifest("deny.yaml", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
                               "metadata: {name: nobody, namespace: shop}\nspec: {}\n")
    host.reload()


def forgive(host):
    os.unlink(os.path.join(host.root, "etc/tulle/mesh.d/deny.yaml"))
    host.reload()


class Wire:
    """What mesh.Daemon needs of a host, for a program on the wire itself."""

    def __init__(self, watched):
        self.ns, self.work, self.environ, self.name = watched.wire, watched.mesh.top, {}, "wire"


def wait_for_collector(watched):
    netns.wait_for_port(watched.wire, 4318, 20 * mesh.PATIENCE)
