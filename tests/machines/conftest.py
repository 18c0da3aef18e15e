# SPDX-License-Identifier: GPL-3.0-or-later
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import machine  # noqa: E402

VERSIONS = ("0.1.0", "0.1.1~test")


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: for .ci/run, too")


def pytest_collection_modifyitems(items):
    for item in items:
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root for machines"))
        elif missing := [c for c in ("systemd-nspawn", "mmdebstrap", "dpkg-buildpackage") if shutil.which(c) is None]:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}"))


@pytest.fixture(scope="session")
def debs():
    """The package twice, under two versions: a folder with old.deb and new.deb; TULLE_DEBS names one that is there already."""
    if ready := os.environ.get("TULLE_DEBS"):
        yield pathlib.Path(ready)
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tulle-debs-"))
    for name, version in zip(("old.deb", "new.deb"), VERSIONS):
        done = subprocess.run([machine.TOP / "scripts/deb", version], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.copy(machine.TOP / "build/deb" / f"tulle_{version}_amd64.deb", folder / name)
    for part in (machine.TOP / "build/deb").glob(f"tulle_{VERSIONS[0]}.*"):  # the source package
        shutil.copy(part, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def lab(debs):
    folder = tempfile.mkdtemp(prefix="tulle-machines-")
    (pathlib.Path(folder) / "debs").symlink_to(debs)
    lab = machine.Lab(folder)
    yield lab
    lab.close()
    shutil.rmtree(folder, ignore_errors=True)
