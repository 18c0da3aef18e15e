# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of machines and pods stand on: it is cleaned up whoever ends it, and what cannot run is not taken for a success."""
import os
import pathlib
import signal
import subprocess
import types

import ground
import machine
import pytest

HELD = """import pathlib, time
def test_held(lab):
    pathlib.Path(__file__).with_name("held").write_text(f"{lab.name} {lab.path}")
    time.sleep(60)
"""


@pytest.mark.quick
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "a limit in time"])
def test_a_run_that_is_ended_leaves_nothing(tmp_path, how):
    (tmp_path / "test_held.py").write_text(HELD)
    (tmp_path / "debs").mkdir()
    run = subprocess.Popen([machine.TOP / "scripts/run-pytest", "held", "--rootdir", tmp_path, "-p", "conftest", tmp_path / "test_held.py"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           env={**os.environ, "PYTHONPATH": str(machine.TOP / "tests/machines"), "TULLE_DEBS": str(tmp_path / "debs"),
                                "LIMIT": "4" if how == "a limit in time" else "300"})
    try:
        machine.wait_for((tmp_path / "held").exists, 30, "a lab")
        machine.wait_for(lambda: (tmp_path / "held").read_text(), 5, "its name")
        name, path = (tmp_path / "held").read_text().split()
        assert os.path.exists(f"/run/netns/{name}") and os.path.exists(path)
        if how.startswith("SIG"):
            run.send_signal(signal.Signals[how])
        said = run.communicate(timeout=30)[0]
    finally:
        run.kill()
    assert run.returncode == 1 and "held: 0 passed, 1 failed, 0 skipped" in said, said
    assert ("ended after 4 s" in said) == (how == "a limit in time"), said
    assert not os.path.exists(f"/run/netns/{name}") and not os.path.exists(path)


@pytest.mark.quick
def test_a_lab_that_fails_half_way_leaves_no_namespace(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.Lab, "ip", lambda self, *a: 1 / 0)
    monkeypatch.setattr(machine.os, "getpid", lambda pid=os.getpid(): f"{pid}half")
    with pytest.raises(ZeroDivisionError):
        machine.Lab(tmp_path)
    assert not os.path.exists(f"/run/netns/tullelab{os.getpid()}")


@pytest.mark.quick
def test_what_cannot_run_is_skipped_and_fails_where_ci_is_true(monkeypatch):
    marks = []
    item = types.SimpleNamespace(path=pathlib.Path(__file__), add_marker=marks.append)
    here = pathlib.Path(__file__).resolve().parent
    monkeypatch.delenv("CI", raising=False)
    ground.skip_or_fail([item], here, ["sh"])
    assert marks == []
    ground.skip_or_fail([item], here.parent / "pods", ["no-such-program"])  # nothing of that folder was asked for
    assert marks == []
    ground.skip_or_fail([item], here, ["sh", "no-such-program"])
    assert marks[0].kwargs == {"reason": "needs no-such-program"}
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.UsageError, match="machines: needs no-such-program"):
        ground.skip_or_fail([item], here, ["sh", "no-such-program"])


@pytest.mark.quick
def test_one_that_cannot_run_is_skipped_and_fails_where_ci_is_true(monkeypatch):
    for ci, switch, outcome in (("", "", pytest.skip.Exception), ("true", "", pytest.fail.Exception), ("true", "1", pytest.skip.Exception)):
        monkeypatch.setenv("CI", ci)
        monkeypatch.setenv("SKIP_INTEROP", switch)
        with pytest.raises(outcome, match="needs Go"):
            ground.skip_here("needs Go", unless="SKIP_INTEROP")
