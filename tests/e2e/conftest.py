# SPDX-License-Identifier: GPL-3.0-or-later
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


def pytest_configure(config):
    config.addinivalue_line("markers", "san: also run with the sanitizer builds (a fast subset)")


def pytest_collection_modifyitems(items):
    """Namespaces need root: without it these tests are skipped, and the summary says so."""
    if os.geteuid() == 0:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason="needs root for network namespaces"))
