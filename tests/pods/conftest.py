# SPDX-License-Identifier: GPL-3.0-or-later
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import pod  # noqa: E402
import ground  # noqa: E402  (of tests/machines, where pod finds its Lab)
from ground import debs  # noqa: E402,F401  (a fixture)

NEEDS = ("podman", "buildah", "runc", "conmon", "systemd-nspawn", "mmdebstrap", "dpkg-buildpackage")


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: for .ci/run, too")
    ground.end_as_ctrl_c_does()


def pytest_collection_modifyitems(items):
    ground.skip_or_fail(items, HERE, NEEDS)


@pytest.fixture(scope="session")
def archive():
    """The image, out of this tree; PODS_IMAGE=FILE takes one that is there."""
    if given := os.environ.get("PODS_IMAGE"):
        return given
    subprocess.run([pod.TOP / "scripts/deb"], check=True, capture_output=True)
    subprocess.run([pod.TOP / "scripts/image"], check=True, capture_output=True)
    return str(pod.TOP / f"build/image/tulle-{pod.VERSION}.tar")


@pytest.fixture(scope="module")
def cluster(archive):
    folder = tempfile.mkdtemp(prefix="tulle-pods-")
    c = None
    try:
        c = pod.Cluster(folder, archive)
        yield c
    finally:
        if c is not None:
            c.close()
        shutil.rmtree(folder, ignore_errors=True)
