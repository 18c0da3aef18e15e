# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/pair-up: whoever measures gets two hosts that carry traffic, or is told that there are none."""
import os
import pathlib
import subprocess

import netns
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]

# Programs that do what pair-up waits for, except that the relay never gets an identity.
STUBS = {
    "tulle-certd": 'if [ "$1" = ca ]; then exit 0; fi\necho \'{"message":"ready"}\'\nexec sleep 30\n',
    "tulle-telemetryd": "exec sleep 30\n",
    "tulle-relayd": 'echo "no identity is there"\nexec sleep 30\n',
    "tulle": 'echo \'{"ready": false}\'\n',
    "tulle-nfrules": 'echo "$1" >>"$RIG_WORK/rules"\n',
}


@pytest.fixture
def rig(tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    for name, text in STUBS.items():
        (build / name).write_text("#!/bin/sh\n" + text, encoding="utf-8")
        (build / name).chmod(0o755)
    with netns.pair(f"bench{os.getpid()}") as (a, b):
        env = {**os.environ, "TULLE_BUILD": str(build), "RIG_NS_A": a.name, "RIG_NS_B": b.name, "RIG_ADDR_A": a.ip4, "RIG_ADDR_B": b.ip4,
               "RIG_ORIGIN_PORT": "8080", "RIG_CORE": "0", "RIG_CERTS": str(tmp_path), "RIG_WORK": str(tmp_path),
               "RIG_CLIENT_ID": "spiffe://bench.test/ns/default/sa/client", "RIG_SERVER_ID": "spiffe://bench.test/ns/default/sa/server"}
        try:
            yield lambda script: subprocess.run([TOP / "bench" / script], env=env, capture_output=True, text=True, timeout=60, check=False)
        finally:
            subprocess.run([TOP / "bench/pair-down"], env=env, timeout=30, check=False)


def test_a_relay_that_is_not_ready_is_told_and_not_measured(rig, tmp_path):
    done = rig("pair-up")
    assert done.returncode == 1, done.stdout
    assert "a: tulle-relayd does not become ready:\nno identity is there" in done.stderr
    assert not (tmp_path / "rules").exists() and not done.stdout
