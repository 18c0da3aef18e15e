# SPDX-License-Identifier: GPL-3.0-or-later
"""The package itself: what Debian's tools think of it, and that the same tree gives the same bytes."""
import hashlib
import shutil
import subprocess

import machine
import pytest
from machine import wait_for

VERSION = "0.1.0"


@pytest.mark.quick
def test_lintian_has_nothing_to_say(debs):
    """Of the source, nor of the binary."""
    done = subprocess.run(["lintian", "--fail-on", "error,warning", debs / f"tulle_{VERSION}.dsc", debs / "old.deb"],
                          capture_output=True, text=True, check=False)
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


def needs(*commands):
    if missing := [c for c in commands if shutil.which(c) is None]:
        pytest.skip(f"needs {', '.join(missing)}")


def test_piuparts_finds_nothing_left(debs, tmp_path):
    """In a system that has systemd already: what that leaves behind is not ours."""
    needs("piuparts")
    base = tmp_path / "base.tar.gz"
    subprocess.run(["tar", "-C", machine.root_file_system(), "-I", "gzip -1", "-cf", base, "."], check=True)
    done = subprocess.run(["piuparts", "-d", "bookworm", "-m", machine.mirror(), "--no-eatmydata", "-b", base,
                           "-I", "/var/cache/debconf/tmp.ci",  # apt-utils', of any package with templates
                           debs / "old.deb"],
                          capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "PASS: All tests." in done.stdout + done.stderr


def test_autopkgtest_passes(debs, tmp_path):
    """In a chroot, where units do not run: that part is the next test's."""
    needs("autopkgtest")
    testbed, source, results = tmp_path / "testbed", tmp_path / "source", tmp_path / "results"
    subprocess.run(["cp", "-a", machine.root_file_system(), testbed], check=True)
    (testbed / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (testbed / "usr/sbin/policy-rc.d").chmod(0o755)
    shutil.copytree(machine.TOP / "packaging/debian", source / "debian")
    script = 'mount -t proc proc "$1/proc" && exec autopkgtest -U -o "$4" -B "$2" "$3/" -- chroot "$1"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", testbed, debs / "old.deb", source, results],
                          capture_output=True, text=True, check=False)
    said = (results / "summary").read_text() if (results / "summary").exists() else ""
    details = "".join(p.read_text(errors="replace")[-3000:] for p in results.glob("*-std*")) if results.exists() else ""
    assert done.returncode == 2, done.stdout[-3000:] + said + details  # 2: all that ran is well, some were skipped
    assert {tuple(line.split()[:2]) for line in said.splitlines()} == {
        ("one-host-mesh", "PASS"), ("smoke", "PASS"), ("units", "SKIP")}


def test_the_part_of_autopkgtest_that_wants_units_passes_on_a_machine(lab):
    m = lab.machine("units", 41)
    m.run("apt-get", "install", "-y", "/mnt/old.deb")
    m.write("/root/units", (machine.TOP / "packaging/debian/tests/units").read_text())
    m.run("sh", "/root/units")
    wait_for(lambda: m.active("tulle.target") == "inactive", what="the end of it all")
