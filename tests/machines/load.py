# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic that flows while something is done to a machine: requests one after the other, each on a connection of its own, each
written down with its time, so that afterwards every step can be asked how many there were and how many failed."""
import collections
import contextlib
import subprocess
import time

from machine import SYSTEM

# One line a request: when it began, its HTTP status (000: none), curl's exit status.
LOOP = """while :; do
  began=$EPOCHREALTIME
  code=$(curl -gs -o /dev/null -w '%{http_code}' -m 5 --fail "$1"); status=$?
  echo "$began $code $status"
  sleep "$2"
done"""

Request = collections.namedtuple("Request", "began code status")


class Load:
    """Begins at once; `prefix` is what runs a command where the client is, `pause` the seconds between two requests."""

    def __init__(self, name, prefix, url, path, pause=0.02):
        self.name, self.path = name, path
        self.file = open(path, "wb")
        self.process = subprocess.Popen([*prefix, "bash", "-c", LOOP, "load", url, str(pause)], stdin=subprocess.DEVNULL, stdout=self.file,
                                        stderr=subprocess.DEVNULL, env=SYSTEM)

    def requests(self):
        for line in open(self.path, encoding="ascii").read().splitlines():
            words = line.split()
            if len(words) == 3:
                yield Request(float(words[0]), words[1], int(words[2]))

    def between(self, begin, end):
        """How many were good, and those that were not."""
        seen = [r for r in self.requests() if begin <= r.began < end]
        return sum(r.status == 0 for r in seen), [r for r in seen if r.status != 0]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.file.close()


class Table:
    """Steps under one or more loads, printed as a table (pytest -s shows it)."""

    def __init__(self, *loads):
        self.loads, self.steps = loads, []

    @contextlib.contextmanager
    def step(self, name, after=1.5):
        """What is done within, and `after` seconds more."""
        began = time.time()
        yield
        took = time.time() - began
        time.sleep(after)
        self.steps.append((name, took, began, time.time()))

    def rows(self):
        """(step, load, seconds, good, failed requests)"""
        for name, took, begin, end in self.steps:
            for load in self.loads:
                yield (name, load.name, took, *load.between(begin, end))

    def show(self):
        for name, load, took, good, bad in self.rows():
            codes = "" if not bad else "  " + " ".join(sorted({f"curl {r.status}, HTTP {r.code}" for r in bad}))
            print(f"{name:34} {load:26} {took:6.1f} s {good:5} good {len(bad):3} failed{codes}")

    def failed(self):
        return [(name, load, bad) for name, load, _, _, bad in self.rows() if bad]
