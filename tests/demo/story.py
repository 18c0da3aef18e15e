# SPDX-License-Identifier: GPL-3.0-or-later
"""The story that the demo tells, chapter by chapter.  Every figure and every name that is printed was read from the
running system a moment before; what should be so and is not makes the demo fail."""
import collections
import json
import os
import secrets
import shlex
import shutil
import signal
import time

import hosts
import wire
from hosts import APP_UID, BUILD, DEMO, LOGS, ROOT, UIDS, Failed

TRUST_DOMAIN = "demo.tulle"
LIFETIME = 20        # seconds that a certificate lives here
TRAFFIC = 48         # seconds of steady requests: more than two lifetimes
RATE = 20            # requests a second of each of the two clients
COST_REQUESTS = 5000
CAPTURE_KIB = 32768  # the kernel's buffer of tcpdump: several times what is on the wire while it listens
PORT, HBONE, AUTHORITY = 8080, 15008, 15012
SHOP, WEB, WEB_2, STRANGER = "10.77.0.1", "10.77.0.2", "10.77.0.3", "10.79.0.2"
URL = f"http://{WEB}:{PORT}/"
URL_2 = f"http://{WEB_2}:{PORT}/"

CONFIGURATION = f"""\
trustDomain: {TRUST_DOMAIN}
identity: {{source: %(source)s, ttl: {LIFETIME}s, default: ns/demo/sa/%(account)s}}
users: {{relayd: "{UIDS['relayd']}", certd: "{UIDS['certd']}", telemetryd: "{UIDS['telemetryd']}"}}
telemetry: {{destinations: [{{otlp: "http://10.78.0.1:4318"}}], metrics: "127.0.0.1:9464", access: all}}
relay: {{drain: 2s}}
"""

MANIFESTS = f"""\
# Who is where, as whom.
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: web, namespace: demo}}
spec: {{address: "{WEB}", serviceAccount: web, labels: {{app: web}}, ports: {{http: {PORT}}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: web-2, namespace: demo}}
spec: {{address: "{WEB_2}", serviceAccount: web, labels: {{app: web}}, ports: {{http: {PORT}}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: shop, namespace: demo}}
spec: {{address: "{SHOP}", serviceAccount: shop, labels: {{app: shop}}}}
---
# Nothing in plaintext.
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: strict, namespace: demo}}
spec: {{mtls: {{mode: STRICT}}}}
---
# Only the shop may ask the web server.
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: web, namespace: demo}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  action: ALLOW
  rules:
  - from: [{{source: {{principals: ["{TRUST_DOMAIN}/ns/demo/sa/shop"]}}}}]
    to: [{{operation: {{ports: ["{PORT}"]}}}}]
"""


def say(text=""):
    print(text, flush=True)


def quoted(text, limit=12):
    """What a program said, indented."""
    lines = text.rstrip().splitlines()
    for line in lines[:limit]:
        say("    | " + line[:150])
    if len(lines) > limit:
        say(f"    | ... {len(lines) - limit} more lines")


class Traffic:
    """What curl reported, one line a request: status, new connections, bytes of the page."""

    def __init__(self, page):
        self.page, self.requests, self.failed, self.connections = page, 0, 0, 0

    def add(self, text):
        requests = failed = connections = 0
        for line in text.splitlines():
            fields = line.split()
            if len(fields) != 4 or fields[0] != "=":
                continue
            requests += 1
            connections += int(fields[2])
            failed += fields[1] != "200" or int(fields[3]) != len(self.page)
        self.requests += requests
        self.failed += failed
        self.connections += connections
        return requests, failed, connections


WRITE_OUT = "= %{http_code} %{num_connects} %{size_download}\\n"


class Story:
    def __init__(self, state):
        self.state = state
        self.chapter, self.failures, self.checks = 0, [], 0
        self.began = time.monotonic()
        self.secret = "for-nobody-else-" + secrets.token_hex(16)
        self.page = f"<html><body>The price list: {self.secret}</body></html>\n"
        self.traffic = Traffic(self.page)
        self.serials = {}       # host: [every serial that its relay had, in order]
        self.records_path = os.path.join(DEMO, "telemetry.jsonl")

    # ---- telling

    def title(self, text):
        self.chapter += 1
        say(f"\n{self.chapter}. {text}  [{time.monotonic() - self.began:.0f} s]")

    def check(self, good, text):
        self.checks += 1
        if not good:
            self.failures.append(text)
        say(f"  {'ok  ' if good else 'FAIL'} {text}")
        return good

    # ---- chapters

    def tell(self):
        self.set_up()
        self.without()
        self.identities()
        self.mesh()
        self.with_mesh()
        self.rotations()
        self.on_the_wire()  # before the cost: tcpdump would cost, too, and lose packets at that speed
        self.cost()
        self.stranger()
        self.telemetry()

    def set_up(self):
        shutil.rmtree(LOGS, ignore_errors=True)
        os.makedirs(LOGS)
        for name in ("before.pcap", "wire.pcap", "telemetry.jsonl"):
            if os.path.exists(os.path.join(DEMO, name)):
                os.unlink(os.path.join(DEMO, name))
        self.title("Two hosts, and what is around them")
        say(f"""
   host shop                                     host web
   +----------------------+    captured wire     +----------------------+
   | curl   tulle-relayd  |{SHOP} -- {WEB}| tulle-relayd   nginx |
   |        tulle-certd   |                      | tulle-certd          |
   |     tulle-telemetryd |                      | tulle-telemetryd     |
   +----------+-----------+                      +-----+----------+-----+
      10.78.0.2|      a second link each       10.78.0.3|          |10.79.0.1
               +-------------> collector <--------------+          |
                               10.78.0.1                      stranger {STRANGER}
""")
        self.shop, self.web, self.tower, self.outsider = (
            hosts.Host(self.state, name) for name in ("shop", "web", "collector", "stranger"))
        hosts.wire(self.shop, "wire", SHOP, self.web, "wire", WEB)
        self.web.run("ip", "addr", "add", WEB_2 + "/24", "dev", "wire")
        self.tower.run("ip", "link", "add", "br0", "type", "bridge")
        for port, host, ip in (("p1", self.shop, "10.78.0.2"), ("p2", self.web, "10.78.0.3")):
            hosts.run("ip", "link", "add", port, "netns", self.tower.ns, "type", "veth", "peer", "name", "side", "netns", host.ns)
            self.tower.run("ip", "link", "set", port, "master", "br0", "up")
            host.run("ip", "addr", "add", ip + "/24", "dev", "side")
            host.run("ip", "link", "set", "side", "up")
        self.tower.run("ip", "addr", "add", "10.78.0.1/24", "dev", "br0")
        self.tower.run("ip", "link", "set", "br0", "up")
        hosts.wire(self.outsider, "eth0", STRANGER, self.web, "strange", "10.79.0.1")
        self.outsider.run("ip", "route", "add", "10.77.0.0/24", "via", "10.79.0.1")
        self._nginx()
        for host in (self.shop, self.web):
            say(f"   {host.name}: " + ", ".join(
                f"{i['ifname']} {' and '.join(a['local'] for a in i['addr_info'])}" for i in json.loads(host.run("ip", "-j", "-4", "addr").stdout)))
        say(f"   {hosts.run('nginx', '-v').stderr.strip()} on web and {hosts.run('curl', '--version').stdout.split(' (')[0]} on shop; "
            "neither knows of Tulle")

    def _nginx(self):
        where = f"{ROOT}/app"
        self.web.write("app/index.html", self.page)
        self.web.write("app/nginx.conf",
                       f"daemon off; worker_processes 1; pid {where}/pid; error_log stderr warn;\n"
                       "events { worker_connections 1024; }\n"
                       f"http {{ access_log {where}/access.log; keepalive_requests 1000000;\n"
                       + "".join(f" {k}_temp_path {where}/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
                       + f"\n server {{ listen {PORT}; root {where}; }} }}\n")
        self.nginx = self.web.start("nginx", "nginx", "-e", "stderr", "-p", where, "-c", f"{where}/nginx.conf", app=True)
        hosts.wait_for(lambda: self.web.run("ss", "-Hltn", f"sport = :{PORT}").stdout.strip() or self.nginx.poll() is not None,
                       5, "nginx listens")

    def _served(self):
        """Requests that nginx answered, by its own log."""
        with open(os.path.join(self.web.root, "app/access.log"), "rb") as f:
            return sum(1 for _ in f)

    def _capture(self, name):
        path = os.path.join(DEMO, name)
        # Not --immediate-mode: each packet then takes a slot of the kernel's buffer that fits the largest.
        dump = self.web.start("tcpdump-" + name, "tcpdump", "-i", "wire", "-U", "-B", str(CAPTURE_KIB), "-Z", "root", "-w", path, "tcp")
        hosts.wait_for(lambda: "listening on" in self.web.log("tcpdump-" + name) or dump.poll() is not None, 10, "tcpdump listens")
        return dump, path

    @staticmethod
    def _end_capture(dump):
        time.sleep(1.5)  # the kernel hands over what has lain for a second
        dump.send_signal(signal.SIGINT)
        dump.wait(10)

    def _curl(self, url=URL):
        """One request of shop.  (what came, what curl complains of)"""
        done = self.shop.as_app("curl", "-sS", "--max-time", "10", "-w", WRITE_OUT, url, check=False)
        page, _, report = done.stdout.rpartition("= ")
        return page, done.stderr, "= " + report

    def _counted_curl(self, url=URL):
        say(f"   shop$ curl {url}")
        page, error, report = self._curl(url)
        quoted(page + error)
        self.traffic.add(report)
        self.check(page == self.page, "curl got the page")

    def without(self):
        self.title("Without Tulle: the page is read by whoever is on the wire")
        dump, path = self._capture("before.pcap")
        say(f"   shop$ curl {URL}")
        page, error, _ = self._curl()
        quoted(page + error)
        if page != self.page:
            raise Failed("curl does not get the page even without Tulle")
        self._end_capture(dump)
        with open(path, "rb") as f:
            seen = f.read().count(self.secret.encode())
        self.check(seen > 0, f"tcpdump on the wire: the page's text is in the capture {seen} time(s), in the clear")

    def identities(self):
        self.title("Identities: web gets an authority, shop joins it with a token that works once")
        self.dump, self.capture = self._capture("wire.pcap")
        for host, account, source in ((self.web, "web", "embedded"), (self.shop, "shop", "fleet")):
            host.environ = {"OTEL_METRIC_EXPORT_INTERVAL": "2000"}
            host.write("etc/tulle/tulle.yaml", CONFIGURATION % {"account": account, "source": source})
            host.write("etc/tulle/mesh.d/demo.yaml", MANIFESTS)
        done = self.web.tulle("check")
        say("   web$ tulle check")
        quoted(done.stdout)
        say("   web$ tulle init")
        quoted("\n".join(line for line in self.web.tulle("init").stdout.split("\nDone.")[0].splitlines()))
        self.web.daemon("certd", "ready")
        token = self.web.tulle("token", "--allow", "demo/shop", "--address", WEB).stdout.split()[-1]
        say(f"   web$ tulle token --allow demo/shop --address {WEB}")
        quoted(f"{token[:12]}... ({len(token)} characters)")
        self.shop.start("certd", os.path.join(BUILD, "tulle-certd"), "--root", ROOT)
        hosts.wait_for(lambda: os.path.exists(os.path.join(self.shop.root, "run/tulle/certd.sock")), 10, "tulle-certd of shop")
        say("   shop$ tulle join TOKEN")
        quoted(self.shop.tulle("join", token).stdout)
        hosts.wait_for(lambda: '"message":"ready"' in self.shop.log("certd"), 15, "shop has its certificate")
        again = self.web.tulle("token", "--list", "--json").stdout
        left = [t for t in json.loads(again)["tokens"] if len(t["redeemed"]) < t["uses"]]
        self.check(not left, "the token is used up")

    def mesh(self):
        self.title("The mesh goes up: collector, telemetry, relays, and last the steering rules")
        self.tower.start("collect", os.path.join(BUILD, "tulle"), "collect", "--listen", "10.78.0.1:4318", "--out",
                         self.records_path)
        hosts.wait_for(lambda: "receiving OTLP" in self.tower.log("collect"), 5, "tulle collect listens")
        for host in (self.shop, self.web):
            host.daemon("telemetryd", "ready")
            host.daemon("relayd", "ready")
        for host in (self.web, self.shop):
            host.run(os.path.join(BUILD, "tulle-nfrules"), "apply", "--root", ROOT)
            done = host.tulle("rules", check=False)
            say(f"   {host.name}$ tulle rules")
            quoted(done.stdout + done.stderr, 4)
            self.check(done.returncode == 0, f"{host.name}: the rules in the kernel are those that were planned")

    @staticmethod
    def _tunnels(host, direction):
        return [t for w in host.relay().get("workers", []) for t in w[direction]]

    def with_mesh(self):
        self.title("With Tulle: the same curl, the same nginx, another wire")
        self._counted_curl()
        for host, direction, peer in ((self.shop, "outbound", "web"), (self.web, "inbound", "shop")):
            relay = host.relay()
            own = [i["id"] for i in relay.get("identities", [])]
            tunnels = self._tunnels(host, direction)
            self.check(own == [f"spiffe://{TRUST_DOMAIN}/ns/demo/sa/{host.name}"], f"{host.name}'s relay is {', '.join(own) or 'nobody'}")
            there = {t.get("identity") for t in tunnels}
            kinds = {f"{t.get('tls')} {t.get('cipher')}" for t in tunnels}
            self.check(there == {f"spiffe://{TRUST_DOMAIN}/ns/demo/sa/{peer}"},
                       f"  and knows the other end as {', '.join(map(str, there)) or 'nobody'} ({', '.join(kinds)})")
            self.serials[host.name] = [relay["identities"][0]["serial"]] if own else []

    # ---- traffic while certificates change

    def _look_at_serials(self):
        for host in (self.shop, self.web):
            for identity in host.relay().get("identities", []):
                if identity["serial"] not in self.serials[host.name]:
                    self.serials[host.name].append(identity["serial"])

    def _client(self, name, count, *args):
        return self.shop.start(name, "curl", "-sS", "--max-time", "10", "-o", "/dev/null", "-w", WRITE_OUT, *args,
                               f"{URL}?[1-{count}]", app=True)

    def rotations(self):
        self.title(f"{TRAFFIC} seconds of requests, while certificates that live {LIFETIME} s are replaced")
        count = TRAFFIC * RATE
        say(f"   shop$ curl --rate {RATE}/s {URL}?[1-{count}]                            one connection for all")
        say(f"   shop$ curl --rate {RATE}/s -H 'Connection: close' {URL}?[1-{count}]     one for each request")
        before = {name: serials[-1] for name, serials in self.serials.items()}
        served = self._served()
        clients = [self._client("curl-keep", count, "--rate", f"{RATE}/s"),
                   self._client("curl-new", count, "--rate", f"{RATE}/s", "-H", "Connection: close")]
        began = shown = time.monotonic()
        while any(c.poll() is None for c in clients):
            if time.monotonic() - began > TRAFFIC + 20:
                raise Failed("curl does not come to an end")
            self._look_at_serials()
            if time.monotonic() - shown >= 6:
                shown = time.monotonic()
                say(f"   {shown - began:3.0f} s  nginx has answered {self._served() - served:5}   "
                    + "   ".join(f"{n}: certificate no. {len(s)}, ...{s[-1][-8:]}" for n, s in self.serials.items()))
            time.sleep(1)
        self._look_at_serials()
        keep, new = (self.traffic.add(self.shop.log(name)) for name in ("curl-keep", "curl-new"))
        for name, serials in self.serials.items():
            say(f"   {name}: serial number before {before[name]}")
            say(f"   {' ' * len(name)}                after {serials[-1]}")
            self.check(len(serials) > TRAFFIC // LIFETIME and serials[-1] != before[name],
                       f"{name}: {len(serials) - 1} rotations while requests flowed")
        requests, failed = keep[0] + new[0], keep[1] + new[1]
        self.check(requests == 2 * count and failed == 0, f"requests sent {requests}, failed {failed}")
        self.check(keep[2] == 1, f"curl kept {keep[2]} connection open through all rotations")
        self.check(new[2] == count, f"{new[2]} more connections were made meanwhile")
        self.check(self._served() - served == requests, f"nginx answered {self._served() - served}")
        say("   The tunnel of before is still in use.  Another address of web needs a new one, with the certificates of now:")
        before = len(self._tunnels(self.shop, "outbound"))
        self._counted_curl(URL_2)
        tunnels = self._tunnels(self.shop, "outbound")
        self.check(len(tunnels) == before + 1, f"shop's relay has {len(tunnels)} tunnels: {', '.join(t['peer'] for t in tunnels)}")

    # ---- cost

    def _relay_pids(self):
        """{pid: what} of both parents and both relay processes."""
        found = {}
        for host in (self.shop, self.web):
            status = host.status()["relayd"]
            found[status["parent_pid"]] = f"{host.name}: tulle-relayd, parent"
            found[status["relay"]["pid"]] = f"{host.name}: tulle-relayd, relay process"
        return found

    def cost(self):
        self.title(f"What it costs: {COST_REQUESTS} requests, one after the other, over one connection")
        pids = self._relay_pids()
        nginx = [int(p) for p in hosts.run("pgrep", "-P", str(self.nginx.pid)).stdout.split()]
        before = {pid: hosts.cpu_ns(pid) for pid in [*pids, *nginx]}
        began = time.monotonic()
        self._client("curl-cost", COST_REQUESTS).wait(60)
        took = time.monotonic() - began
        spent = {pid: hosts.cpu_ns(pid) - ns for pid, ns in before.items()}
        requests, failed, _ = self.traffic.add(self.shop.log("curl-cost"))
        self.check((requests, failed) == (COST_REQUESTS, 0), f"requests sent {requests}, failed {failed}, in {took:.1f} s")
        for pid, what in pids.items():
            say(f"   {spent[pid] / 1e3 / max(requests, 1):8.2f} us a request  {what} (pid {pid})")
        total = sum(spent[pid] for pid in pids)
        self.check(len(pids) == 4 and total > 0, f"{total / 1e3 / max(requests, 1):.1f} us of CPU a request in all four; nginx "
                   f"itself: {sum(spent[p] for p in nginx) / 1e3 / max(requests, 1):.1f} us")

    # ---- the stranger

    def stranger(self):
        self.title("A third host without an identity tries")
        served, refused_before = self._served(), len(self.web.log_lines("relayd", "warn"))
        key, cert = f"{ROOT}/app/key.pem", f"{ROOT}/app/cert.pem"
        self.outsider.write("app/forged.cnf", "[req]\ndistinguished_name = dn\nx509_extensions = x\nprompt = no\n[dn]\nCN = shop\n"
                            "[x]\nbasicConstraints = critical,CA:FALSE\nkeyUsage = critical,digitalSignature\n"
                            f"subjectAltName = URI:spiffe://{TRUST_DOMAIN}/ns/demo/sa/shop\n")
        self.outsider.as_app("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                             "1", "-config", f"{ROOT}/app/forged.cnf", "-keyout", key, "-out", cert)
        tunnel = f"https://{WEB}:{HBONE}/"
        for text, args in (("the same curl", [URL]),
                           ("TLS, without a certificate", ["-k", tunnel]),
                           ("TLS, with a certificate of its own making that says it is shop", ["-k", "--cert", cert, "--key", key, tunnel])):
            say(f"   stranger$ curl {shlex.join(args)}     ({text})")
            done = self.outsider.as_app("curl", "-sS", "--max-time", "5", *args, check=False)
            quoted(done.stdout + done.stderr)
            self.check(done.returncode not in (0, 28) and self.secret not in done.stdout, f"refused: curl's exit status is {done.returncode}")
        lines = self.web.log_lines("relayd", "warn")[refused_before:]
        say("   web's relay says")
        for line in lines:
            quoted(", ".join(f"{k}: {v}" for k, v in line.items()
                             if v is not None and k not in ("ts", "level", "program")))
        self.check(len(lines) >= 3, f"{len(lines)} refusals in its log, with reasons")
        self.check(self._served() == served, "nginx heard nothing of it")
        say("   and the shop is served as before")
        self._counted_curl()

    # ---- evidence

    def on_the_wire(self):
        self.title("What was on the wire since shop joined")
        self._end_capture(self.dump)
        with open(self.capture, "rb") as f:
            data = f.read()
        counts = [line for line in self.web.log("tcpdump-wire.pcap").splitlines() if "packets" in line]
        say(f"   tcpdump: {', '.join(counts)}; {len(data)} bytes")
        plain = sum(data.count(text) for text in (self.secret.encode(), b"GET /", b"HTTP/1.1"))
        talks = wire.conversations(self.capture)
        lost = wire.lost(self.web.log("tcpdump-wire.pcap"))
        if lost:
            # Half a conversation proves nothing of the mesh, neither for nor against it.
            whole = {key: halves for key, halves in talks.items() if all(h.whole() for h in halves)}
            say(f"   tcpdump was too slow and LOST {lost} packets; of {len(talks)} connections the {len(whole)} that it has whole are judged")
            talks = whole
            if not any(key[2] == HBONE for key in talks):
                self.check(False, f"tcpdump has no tunnel whole, because it lost {lost} packets: nothing is known of the wire.  This is "
                                  "of tcpdump, not of the mesh; try again when the machine is less busy")
                return
        streams = [half.bytes() or b"" for halves in talks.values() for half in halves]
        plain += sum(s.count(text) for s in streams for text in (self.secret.encode(), b"GET /", b"HTTP/1.1"))
        ports, encrypted = collections.Counter(), 0
        versions, names, odd = collections.Counter(), set(), []
        for key, halves in talks.items():
            if not any(h.pieces for h in halves):
                continue
            tls = wire.Tls(halves)
            ports[key[2]] += 1
            if not tls.is_tls or tls.version is None:
                odd.append(key)
                continue
            encrypted += tls.encrypted
            versions[f"{'TLS 1.3' if tls.version == wire.TLS13 else hex(tls.version)}, {wire.CIPHERS.get(tls.cipher, tls.cipher)}"] += 1
            if key[2] == HBONE:
                names.add(tls.name)
        say("   connections with data, by port: " + ", ".join(f"{n} to {p}" for p, n in sorted(ports.items())))
        say("   " + "; ".join(f"{n} times {v}" for v, n in versions.items()))
        say(f"   the name in the clear, by which the other relay chooses its identity: {', '.join(sorted(map(str, names)))}")
        self.check(ports[HBONE] > 0 and not odd and all(v.startswith("TLS 1.3") for v in versions),
                   f"every one of {sum(ports.values())} connections is TLS 1.3 from the first byte to the last" + (f", but {odd[:3]}" if odd else ""))
        self.check(set(ports) <= {HBONE, AUTHORITY}, f"data only to {HBONE} (relays) and {AUTHORITY} (renewals): nothing to {PORT}")
        self.check(encrypted > 0 and plain == 0, f"{encrypted} encrypted bytes; the page, 'GET /' and 'HTTP/1.1': {plain} times")

    def _records(self):
        found = []
        with open(self.records_path, encoding="utf-8") as f:
            for line in f:
                if line.endswith("\n"):
                    found.append(json.loads(line))
        return found

    def telemetry(self):
        self.title("What the collector received, over the second link")
        want = self.traffic.connections

        def of_shop(records):
            return {r["attributes"]["tulle.connection.id"] for r in records
                    if r["signal"] == "log" and r["attributes"].get("tulle.direction") == "outbound"}

        def of_web(records, outcome):
            return {r["attributes"]["tulle.connection.id"] for r in records
                    if r["signal"] == "log" and r["attributes"].get("tulle.direction") == "inbound"
                    and r["attributes"].get("tulle.outcome") == outcome}

        def counted(records):
            """Successful connections by the newest value of the metric of each series."""
            newest = {}
            for r in records:
                if r["signal"] == "metric" and r.get("name") == "tulle.connection.count" \
                        and r["attributes"].get("outcome") == "success":
                    newest[json.dumps([r["attributes"], r["resource"]], sort_keys=True)] = (
                        r["attributes"].get("direction"), int(r["value"]))
            totals = collections.Counter()
            for direction, value in newest.values():
                totals[direction] += value
            return totals

        def there():
            records = self._records()
            totals = counted(records)
            return (min(len(of_shop(records)), len(of_web(records, "success")), totals["inbound"], totals["outbound"]) >= want
                    and of_web(records, "denied"))

        try:
            hosts.wait_for(there, 10, "telemetry of every connection")
        except Failed:
            pass  # the checks below say what is missing
        records = self._records()
        signals = collections.Counter(r["signal"] for r in records)
        bodies = {(r["signal"], r["wire_bytes"], r["raw_bytes"]) for r in records}
        say("   " + ", ".join(f"{n} {s} records" for s, n in sorted(signals.items()))
            + f"; bodies of {sum(b[1] for b in bodies)} bytes on the wire, {sum(b[2] for b in bodies)} unpacked")
        sample = next((r for r in records if r["signal"] == "log" and r["attributes"].get("tulle.direction") == "outbound"), None)
        if sample:
            say("   one of them:")
            for key in ("tulle.source.principal", "tulle.destination.principal", "tulle.outcome", "tulle.tls.mode",
                        "tulle.upstream.address", "tulle.rx_bytes", "tulle.tx_bytes"):
                say(f"    | {key}: {sample['attributes'].get(key)}")
        self.check({r["encoding"] for r in records} == {"zstd"}, "all of it came in OTLP bodies compressed with zstd")
        self.check(len(of_shop(records)) == want, f"curl made {want} connections; shop's relay told of {len(of_shop(records))}")
        self.check(len(of_web(records, "success")) == want, f"  and web's relay of {len(of_web(records, 'success'))}")
        totals = counted(records)
        self.check(totals["outbound"] == totals["inbound"] == want,
                   f"the counters agree: {totals['outbound']} out, {totals['inbound']} in")
        denied = of_web(records, "denied")
        self.check(len(denied) > 0, f"the stranger's plaintext connection is told of, too: {len(denied)} denied")
