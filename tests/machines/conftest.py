# SPDX-License-Identifier: GPL-3.0-or-later
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import ground  # noqa: E402
import machine  # noqa: E402
from ground import debs  # noqa: E402,F401  (a fixture)

NEEDS = ("systemd-nspawn", "mmdebstrap", "dpkg-buildpackage")


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: for .ci/run, too")
    ground.end_as_ctrl_c_does()


def pytest_collection_modifyitems(items):
    ground.skip_or_fail(items, HERE, NEEDS)


@pytest.fixture(scope="module")
def lab(debs):  # noqa: F811
    folder = tempfile.mkdtemp(prefix="tulle-machines-")
    lab = None
    try:
        (pathlib.Path(folder) / "debs").symlink_to(debs)
        lab = machine.Lab(folder)
        yield lab
    finally:
        if lab is not None:
            lab.close()
        shutil.rmtree(folder, ignore_errors=True)
