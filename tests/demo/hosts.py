# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of the demo: network namespaces, the programs in them, and the way to take all of it down.

A host has a network namespace and a mount namespace.  In the latter its root folder, which lies in build/demo, is also
seen as ROOT: so the path is short enough for Unix sockets and open to the daemons' users, wherever the clone lies.
Nothing is mounted outside.

What was started is written to build/demo/state.json at once.  So a demo that was kept, or killed, can be taken down
by a later run: processes by number and start time, namespaces by name.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
DEMO = os.path.join(BUILD, "demo")
STATE = os.path.join(DEMO, "state.json")
LOGS = os.path.join(DEMO, "log")
# Any folder that every system has and that the clone is not in.
ROOT = next(d for d in ("/srv", "/mnt", "/media") if not (TOP + "/").startswith(d + "/"))
APP_UID = 7900
UIDS = {"relayd": 7701, "certd": 7702, "telemetryd": 7703}
TIMEOUT = 30


class Failed(Exception):
    """Something that the story needs did not happen; the text is for people."""


def run(*argv, check=True, **kwargs):
    kwargs.setdefault("timeout", TIMEOUT)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, start_new_session=True, **kwargs)
    except subprocess.TimeoutExpired:
        raise Failed(f"no end after {kwargs['timeout']} s: {' '.join(argv)}") from None
    if check and done.returncode != 0:
        raise Failed(f"exit status {done.returncode}: {' '.join(argv)}\n{done.stdout}{done.stderr}".rstrip())
    return done


def wait_for(what, seconds, text):
    """Waits until what() is true, and returns it."""
    until = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > until:
            raise Failed(f"not within {seconds} s: {text}")
        time.sleep(0.05)


# ---- signals -------------------------------------------------------------------------------------------------------

class Stopped(BaseException):
    """A signal asked us to end."""


class Signals:
    """SIGINT, SIGTERM and SIGHUP end the story as an exception does, once, and never between the start of a process and
    its entry in the list of what is up."""

    ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self):
        self._held, self._came = 0, None

    def listen(self):
        for s in self.ENDING:
            signal.signal(s, self._on_signal)

    def ignore(self):
        """From here on nothing is interrupted: taking down is short."""
        for s in self.ENDING:
            signal.signal(s, signal.SIG_IGN)

    def _on_signal(self, signo, _frame):
        self._came = self._came or signal.Signals(signo).name
        if not self._held:
            self._end()

    def _end(self):
        self.ignore()
        raise Stopped(self._came)

    @contextlib.contextmanager
    def held(self):
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._came:
            self._end()


signals = Signals()


# ---- what is up, and how it goes away ------------------------------------------------------------------------------

def start_time(pid):
    """Together with the number it names a process for good; None: there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class State:
    def __init__(self):
        self.owner = [os.getpid(), start_time(os.getpid())]
        self.namespaces, self.processes, self.hosts, self.kept = [], [], {}, False

    @classmethod
    def load(cls):
        state = cls()
        try:
            with open(STATE, encoding="utf-8") as f:
                state.__dict__.update(json.load(f))
        except (OSError, ValueError):
            return None
        return state

    def save(self):
        os.makedirs(DEMO, exist_ok=True)
        with open(STATE + ".new", "w", encoding="utf-8") as f:
            json.dump(self.__dict__, f)
        os.replace(STATE + ".new", STATE)

    def add_process(self, pid):
        self.processes.append([pid, start_time(pid)])
        self.save()

    def owner_lives(self):
        return start_time(self.owner[0]) == self.owner[1]

    def alive(self):
        return [pid for pid, began in self.processes if began is not None and start_time(pid) == began]

    def _end(self, pid, signo, seconds):
        """Sends a signal; is the process gone after so long?"""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signo)
        until = time.monotonic() + seconds
        while pid in self.alive() and time.monotonic() < until:
            reap()
            time.sleep(0.02)
        return pid not in self.alive()

    def take_down(self):
        # Last come, first gone, one by one: who sends telemetry still finds who receives it.
        for pid in reversed(self.alive()):
            if not self._end(pid, signal.SIGTERM, 4):
                self._end(pid, signal.SIGKILL, 2)
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
        for host in self.hosts:
            shutil.rmtree(os.path.join(DEMO, host), ignore_errors=True)  # keys, too
        with contextlib.suppress(OSError):
            os.unlink(STATE)


def reap():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


# ---- hosts ---------------------------------------------------------------------------------------------------------

class Host:
    """A machine of the story; <mesh>: with a root folder for Tulle."""

    def __init__(self, state, name):
        self.state, self.name = state, name
        self.ns = f"tulle-d{os.getpid()}-{name}"
        self.root = os.path.join(DEMO, name)
        self.environ = {}
        shutil.rmtree(self.root, ignore_errors=True)
        for d in ("", "etc/tulle/mesh.d", "run/tulle", "var/lib/tulle", "app"):
            os.makedirs(os.path.join(self.root, d), 0o755)
        os.chown(os.path.join(self.root, "app"), APP_UID, APP_UID)
        state.namespaces.append(self.ns)
        state.hosts[name] = None
        state.save()
        run("ip", "netns", "add", self.ns)
        # Holds the mount namespace, and with it the folder at its place.
        self.holder = self._popen("holder", ["nsenter", f"--net=/run/netns/{self.ns}", "unshare", "--mount", "--propagation",
                                             "private", "sh", "-c",
                                             'mount --bind "$1" "$2" && echo up && exec sleep infinity', "sh", self.root, ROOT])
        wait_for(lambda: "up" in self.log("holder") or self.holder.poll() is not None, 5, f"a mount namespace for {name}")
        if self.holder.poll() is not None:
            raise Failed(f"no mount namespace for {name}: {self.log('holder').strip()}")
        state.hosts[name] = {"ns": self.ns, "holder": self.holder.pid}
        state.save()
        self.run("ip", "link", "set", "lo", "up")

    def enter(self):
        return ["nsenter", f"--net=/run/netns/{self.ns}", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--"]

    def run(self, *argv, **kwargs):
        return run(*self.enter(), *argv, **kwargs)

    def as_app(self, *argv, **kwargs):
        return self.run(*self._app(), *argv, **kwargs)

    @staticmethod
    def _app():
        return ["setpriv", f"--reuid={APP_UID}", f"--regid={APP_UID}", "--clear-groups", "--"]

    def tulle(self, verb, *args, **kwargs):
        return self.run(os.path.join(BUILD, "tulle"), verb, "--root", ROOT, *args, **kwargs)

    def status(self):
        return json.loads(self.tulle("status", "--json", check=False).stdout)

    def relay(self):
        """What the running relay says of itself; {} while there is none."""
        return (self.status().get("relayd") or {}).get("relay") or {}

    def start(self, name, *argv, app=False):
        """A program in the background, its words in a log file."""
        return self._popen(name, [*self.enter(), *(self._app() if app else []), *argv])

    def daemon(self, name, ready):
        """One of ours; <ready> is the message that it waits for."""
        process = self.start(name, os.path.join(BUILD, f"tulle-{name}"), "--root", ROOT)
        wait_for(lambda: f'"message":"{ready}"' in self.log(name) or process.poll() is not None, 15,
                 f"{self.name}: tulle-{name} says '{ready}'; its log is {self.log_path(name)}")
        if process.poll() is not None:
            raise Failed(f"{self.name}: tulle-{name} ended: {self.log(name)[-800:]}")
        return process

    def _popen(self, name, argv):
        with open(self.log_path(name), "ab") as log, signals.held():
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                       env={**os.environ, **self.environ})
            self.state.add_process(process.pid)
        return process

    def log_path(self, name):
        return os.path.join(LOGS, f"{self.name}-{name}.log")

    def log(self, name):
        with open(self.log_path(name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_lines(self, name, level=None):
        """Lines of JSON that a daemon wrote."""
        found = []
        for text in self.log(name).splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if level is None or line.get("level") == level:
                    found.append(line)
        return found

    def write(self, path, text):
        with open(os.path.join(self.root, path), "w", encoding="utf-8") as f:
            f.write(text)


def wire(a, name_a, ip_a, b, name_b, ip_b):
    """A cable between two hosts."""
    run("ip", "link", "add", name_a, "netns", a.ns, "type", "veth", "peer", "name", name_b, "netns", b.ns)
    for host, name, ip in ((a, name_a, ip_a), (b, name_b, ip_b)):
        host.run("ip", "addr", "add", ip + "/24", "dev", name)
        host.run("ip", "link", "set", name, "up")


# ---- what processes cost -------------------------------------------------------------------------------------------

def cpu_ns(pid):
    """CPU time of a process, of all its threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total
