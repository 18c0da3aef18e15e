# SPDX-License-Identifier: GPL-3.0-or-later
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pod  # noqa: E402

NEEDS = ("podman", "buildah", "runc", "conmon", "mmdebstrap", "dpkg-buildpackage")


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: for .ci/run, too")


def pytest_collection_modifyitems(items):
    for item in items:
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root for pods"))
        elif missing := [c for c in NEEDS if shutil.which(c) is None]:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}"))


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
    c = pod.Cluster(folder, archive)
    yield c
    c.close()
    shutil.rmtree(folder, ignore_errors=True)
