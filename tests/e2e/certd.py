# SPDX-License-Identifier: GPL-3.0-or-later
"""tulle-certd by itself: hosts without a network of their own, on loopback."""
import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import mesh
import netns
import pytest

UID = {"certd": 7712, "relayd": 7711, "telemetryd": 7713}
WEB = 7720
DOMAIN = "certd.test"


def whole(token):
    """A token that was changed, with check characters that fit again."""
    text = token.rsplit(".", 1)[0]
    return text + "." + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:3]).decode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Host:
    """A root folder and the certd in it."""

    def __init__(self, top, name, identity="", authority=None, extra="", issuers=None):
        self.issuers = issuers  # authority.kubernetes
        self.root = os.path.join(top, name)
        self.authority = authority
        self.proc = None
        self.log_path = os.path.join(top, name + ".log")
        os.makedirs(os.path.join(self.root, "etc/tulle"))
        os.chmod(self.root, 0o755)
        self.configure(identity, extra=extra)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def configure(self, identity="", domain=DOMAIN, extra=""):
        listen = f'"127.0.0.1:{self.authority}"' if self.authority else '"off"'
        issuers = f", kubernetes: {json.dumps(self.issuers)}" if self.issuers else ""
        users = ", ".join(f'{k}: "{v}"' for k, v in UID.items())
        self.write("tulle.yaml", (f"trustDomain: {domain}\n" if domain else "") +
                   f"identity: {{{identity}}}\nusers: {{{users}}}\nauthority: {{listen: {listen}{issuers}}}\n{extra}")

    def write(self, name, text):
        with open(self.path("etc/tulle", name), "w", encoding="utf-8") as f:
            f.write(text)

    def start(self, ready=True, wrap=()):
        self.log_file = open(self.log_path, "ab")
        self.proc = subprocess.Popen([*wrap, mesh.binary("tulle-certd"), "--root", self.root], stdin=subprocess.DEVNULL,
                                     stdout=self.log_file, stderr=self.log_file)
        if ready:
            self.wait("ready", count=self.starts() + 1)
        return self

    def starts(self):
        return getattr(self, "_starts", 0)

    def kill(self, signo=signal.SIGKILL):
        if self.proc is None:
            return None
        if self.proc.poll() is None:
            self.proc.send_signal(signo)
        try:
            code = self.proc.wait(10 * mesh.PATIENCE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            code = self.proc.wait()
        self.log_file.close()
        self._starts = len(self.lines("ready"))
        self.proc = None
        assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()[-6000:]
        return code

    def stop(self):
        return self.kill(signal.SIGTERM)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def lines(self, message):
        found = []
        for text in self.log().splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if line.get("message") == message:
                    found.append(line)
        return found

    def wait(self, message, count=1, seconds=10):
        def there():
            assert self.proc is None or self.proc.poll() is None or len(self.lines(message)) >= count, self.log()[-3000:]
            return len(self.lines(message)) >= count
        netns.wait_for(there, seconds * mesh.PATIENCE)
        return self.lines(message)[-1]

    def tulle(self, verb, *args, uid=None, input=None, timeout=60):
        as_user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"] if uid else []
        return subprocess.run([*as_user, mesh.binary("tulle"), verb, "--root", self.root, *args], capture_output=True,
                              text=True, input=input, timeout=timeout)

    def svids(self, uid=WEB):
        done = self.tulle("svid", "--json", "--timeout", f"{500 * mesh.PATIENCE}ms", uid=uid)
        return json.loads(done.stdout)["svids"] if done.returncode == 0 else []

    @contextlib.contextmanager
    def watching(self, uid=WEB, seconds=60):
        """The answers of `tulle svid --watch` as they come: next() on it.  A test that waits in vain fails after <seconds>."""
        argv = ["setpriv", f"--reuid={uid}", "--clear-groups", "--", mesh.binary("tulle"), "svid", "--root", self.root,
                "--json", "--watch"]
        watch = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        late = threading.Event()

        def give_up():
            late.set()
            watch.kill()

        def answers():
            for line in watch.stdout:
                yield json.loads(line)
            pytest.fail(f"svid --watch: not all that was waited for came within {seconds} s" if late.is_set()
                        else f"svid --watch ended by itself: {watch.wait()}")

        timer = threading.Timer(seconds * mesh.PATIENCE, give_up)
        timer.start()
        try:
            yield answers()
        finally:
            timer.cancel()
            watch.kill()
            watch.wait()
            watch.stdout.close()

    def ids(self, uid=WEB):
        return [s["id"].split("/", 3)[3] for s in self.svids(uid)]

    def status(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path("run/tulle/certd.sock"))
            s.sendall(b'{"command":"status"}\n')
            return json.loads(s.makefile().readline())["result"]

    def token(self, *allow, args=()):
        done = self.tulle("token", "--json", *[x for a in allow for x in ("--allow", a)], *args)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["token"]


class World:
    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="tc-", dir="/tmp")
        os.chmod(self.top, 0o755)
        self.hosts = []

    def host(self, name, *args, **kwargs):
        h = Host(self.top, name, *args, **kwargs)
        self.hosts.append(h)
        return h

    def close(self):
        for h in self.hosts:
            h.stop()  # in good order, so that a sanitizer build looks for leaks
        shutil.rmtree(self.top)


def openssl_root(folder, name, begin, end, domain=DOMAIN):
    """A self-signed root valid from <begin> to <end> (YYYYMMDDHHMMSSZ)."""
    os.makedirs(folder, exist_ok=True)
    at = lambda n: os.path.join(folder, name + n)
    with open(at(".cnf"), "w", encoding="utf-8") as f:
        f.write(f"""[ca]
default_ca = c
[c]
database = {at('.index')}
rand_serial = yes
new_certs_dir = {folder}
default_md = sha256
policy = p
x509_extensions = x
[p]
commonName = supplied
[x]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
subjectAltName = URI:spiffe://{domain}
[req]
distinguished_name = d
[d]
""")
    open(at(".index"), "w").close()
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", at(".key")], **quiet)
    subprocess.run(["openssl", "req", "-new", "-config", at(".cnf"), "-key", at(".key"), "-subj", f"/CN={name}", "-out",
                    at(".csr")], **quiet)
    subprocess.run(["openssl", "ca", "-batch", "-selfsign", "-config", at(".cnf"), "-keyfile", at(".key"), "-in", at(".csr"),
                    "-out", at(".pem"), "-notext", "-startdate", begin, "-enddate", end], **quiet)
    return at(".pem"), at(".key")
