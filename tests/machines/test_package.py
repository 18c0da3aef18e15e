# SPDX-License-Identifier: GPL-3.0-or-later
"""The package itself: what Debian's tools think of it, and that the same tree gives the same bytes."""
import hashlib
import shutil
import subprocess

import machine
import pytest


@pytest.mark.quick
def test_lintian_has_nothing_to_say(debs):
    done = subprocess.run(["lintian", "--fail-on", "error,warning", debs / "old.deb"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "W:" not in done.stdout, done.stdout + done.stderr


def test_the_same_tree_gives_the_same_bytes_in_another_folder(debs, tmp_path):
    other = tmp_path / "elsewhere"
    subprocess.run(["git", "clone", "-q", machine.TOP, other], check=True)
    # What is not committed yet is built as well: both trees must be the same.
    for line in subprocess.run(["git", "ls-files", "-z", "-m", "-o", "--exclude-standard"], cwd=machine.TOP, capture_output=True,
                               check=True).stdout.split(b"\0"):
        source = machine.TOP / line.decode()
        if line and source.is_file():
            (other / line.decode()).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, other / line.decode())
    done = subprocess.run([other / "scripts/deb", "0.1.0"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    again = other / "build/deb/tulle_0.1.0_amd64.deb"
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256((debs / "old.deb").read_bytes()).digest()
