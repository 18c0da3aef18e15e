# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh of many services and a host of many files."""
import os

import pytest

import mesh


@pytest.mark.san
def test_a_configuration_of_four_hundred_services_is_taken_into_use():
    """Sorting so many makes the C library ask how much memory there is: the filter of system calls must let it."""
    with mesh.Mesh(f"big{os.getpid()}", ["a"]) as m:
        a = m["a"]
        m.start_identities({"a": "shop/web"})
        a.manifest("many.yaml", "---\n".join(
            mesh.service(f"s{i}", "shop", f"10.96.{1 + i // 200}.{i % 200 + 1}", 80, 8080,
                         [(f"w{i}", f"10.77.{3 + i // 200}.{i % 200 + 1}", "x")]) for i in range(400)))
        a.start_relay(rules=False)
        status = a.status()["relayd"]
        assert status["starts"] == 1 and len(status["relay"]["config"]["services"]) == 400
