# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of machines and tests of pods stand on alike: what they need of this machine, the two packages, and that
whoever ends them early finds nothing left."""
import functools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import machine
import pytest

VERSIONS = ("0.1.0", "0.1.1~test")


def end_as_ctrl_c_does():
    """SIGTERM and SIGINT end the run as Ctrl-C does, fixtures and all; no second one interrupts that.

    SIGINT as well: a shell starts what runs in its background with SIGINT ignored, and Python leaves that so.
    """
    def ended(number, frame):
        for s in (signal.SIGTERM, signal.SIGINT):
            signal.signal(s, lambda *_: None)  # not SIG_IGN, which the programs that clean up would inherit
        raise KeyboardInterrupt(signal.Signals(number).name)
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, ended)


def lacking(commands):
    """What is missing here, in words, or ""."""
    if os.geteuid() != 0:
        return "root"
    return ", ".join(c for c in commands if shutil.which(c) is None)


def skip_or_fail(items, folder, commands):
    """Tests of <folder> that cannot run here are skipped; where CI=true that is an error, as a skipped test looks like a good one."""
    why = lacking(commands)
    ours = [i for i in items if folder in pathlib.Path(i.path).parents]
    if not why or not ours:
        return
    if os.environ.get("CI") == "true":
        raise pytest.UsageError(f"{folder.name}: needs {why}; with CI=true in the environment that is a failure")
    for item in ours:
        item.add_marker(pytest.mark.skip(reason=f"needs {why}"))


def skip_here(why, unless=None, module=False):
    """Skips the test that asks (or its module); fails it where CI=true, but not where the environment has <unless>=1."""
    if os.environ.get("CI") != "true" or (unless and os.environ.get(unless) == "1"):
        pytest.skip(why, allow_module_level=module)
    pytest.fail(f"{why}; with CI=true in the environment that is a failure")


@functools.cache
def packages():
    """The package twice, under two versions: a folder with old.deb and new.deb; TULLE_DEBS names one that is there already."""
    if ready := os.environ.get("TULLE_DEBS"):
        return pathlib.Path(ready)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tulle-debs-"))
    try:
        for name, version in zip(("old.deb", "new.deb"), VERSIONS):
            done = subprocess.run([machine.TOP / "scripts/deb", version], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            shutil.copy(machine.TOP / "build/deb" / f"tulle_{version}_amd64.deb", folder / name)
        for part in (machine.TOP / "build/deb").glob(f"tulle_{VERSIONS[0]}.*"):  # the source package
            shutil.copy(part, folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return folder


def throw_packages_away():
    if packages.cache_info().currsize and "TULLE_DEBS" not in os.environ:
        shutil.rmtree(packages(), ignore_errors=True)
        packages.cache_clear()


@pytest.fixture(scope="session")
def debs():
    yield packages()
    throw_packages_away()
