# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods' cluster itself."""
import os
import subprocess

import pod
import pytest


@pytest.mark.quick
def test_a_cluster_that_fails_half_way_leaves_no_namespace(tmp_path, monkeypatch):
    name = f"tullelab{os.getpid()}half"
    monkeypatch.setattr(pod.machine.os, "getpid", lambda pid=os.getpid(): f"{pid}half")
    with pytest.raises(AssertionError, match="no-such-image"):
        pod.Cluster(tmp_path, tmp_path / "no-such-image.tar")
    assert not os.path.exists(f"/run/netns/{name}")
    # podman mounts its store on itself, and keeps that.
    subprocess.run(["umount", tmp_path / "podman/store/overlay"], check=False, stderr=subprocess.DEVNULL)
