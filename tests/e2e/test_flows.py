# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows under bad starts, audit, resets, stalls and deadlines: what each leaves behind, and that nothing stays."""
import os
import signal

import pytest

import mesh
import netns

CLUSTER_IP = "10.96.0.1"
URL = f"http://{CLUSTER_IP}/"
PAGE = "hello from b:8080\n"
BAD = "apiVersion: v1\nkind: Servise\nmetadata: {name: x}\n"
NO_CONFIGURATION = "connection refused: no configuration is in force"


def make_pair(tag):
    """web on host a calls db on host b; nothing runs yet but certd and nginx."""
    m = mesh.Mesh(f"{tag}{os.getpid()}", ["a", "b"])
    try:
        m.start_identities({"a": "shop/web", "b": "shop/db"})
        m.manifest("db.yaml", mesh.service("db", "shop", CLUSTER_IP, 80, 8080, [("db-1", m["b"].ip, "db")]))
        m["b"].nginx(8080)
    except BaseException:
        m.close()
        raise
    return m


# ---- a start with files that are no good


def test_a_bad_manifest_at_the_very_first_start_lets_nothing_pass_and_says_so():
    """No last good configuration either: every connection is refused with its reason, in both directions, until a reload."""
    with make_pair("fs") as m:
        a, b = m["a"], m["b"]
        b.start_relay()
        a.manifest("bad.yaml", BAD)
        relayd = a.start("relayd")
        line = relayd.wait_for("configuration refused: there is no old one")
        assert "bad.yaml:2:" in line["problems"] and "Service" in line["problems"]
        assert relayd.wait_for("no configuration is in force: all connections are refused until a reload succeeds")
        a.rules("apply")
        assert a.curl(f"http://{b.ip}:8080/", check=False, seconds=15).returncode != 0  # plain passage is not assumed either
        line = relayd.wait_for(NO_CONFIGURATION)
        assert line["reason"] == "no_configuration" and line["destination"] == f"{b.ip}:8080"
        told = a.tulle("status", check=False)
        assert told.returncode == 1 and "no configuration is in force" in told.stdout and "bad.yaml:2:" in told.stdout
        a.nginx(8081)
        lines = len(relayd.lines(NO_CONFIGURATION))
        assert b.as_app("curl", "-sS", "--max-time", "5", f"http://{a.ip}:8081/", check=False).returncode != 0
        relayd.wait_for(NO_CONFIGURATION, count=lines + 1)
        os.unlink(os.path.join(a.root, "etc/tulle/mesh.d/bad.yaml"))
        a.reload()
        assert a.curl(URL).stdout == PAGE
        status = a.status()["relayd"]
        assert status["ready"] and status["last_error"] == "" and status["last_good"] is None


def test_a_start_with_a_bad_manifest_runs_on_the_last_good_configuration():
    """What was in force when the relay last ran is in force again, policy and all; a crash of the relay process keeps it."""
    with make_pair("fl") as m:
        a = m["a"]
        m["b"].start_relay()
        a.configure(outboundTrafficPolicy="REGISTRY_ONLY")
        a.start_relay()
        assert a.curl(URL).stdout == PAGE
        a.daemons["relayd"].stop()
        a.manifest("bad.yaml", BAD)
        a.configure(outboundTrafficPolicy="ALLOW_ANY")  # of the same refused set: it must not count either
        relayd = a.start("relayd")
        line = relayd.wait_for("running on the last good configuration")
        assert "bad.yaml:2:" in line["refused"]
        relayd.wait_for("ready", 20)
        assert a.curl(URL).stdout == PAGE
        assert a.curl("http://10.96.0.9/", check=False).returncode != 0
        assert relayd.wait_for("outbound connection denied")["reason"] == "not_in_registry"
        told = a.tulle("status", check=False)
        assert told.returncode == 1 and f"running on the last good configuration of {line['accepted']}" in told.stdout
        before = a.status()["relayd"]
        os.kill(before["relay"]["pid"], signal.SIGKILL)
        assert a.curl(URL).stdout == PAGE
        assert a.status()["relayd"]["last_good"] == before["last_good"] == line["accepted"]
        refused = a.reload(check=False)
        assert refused.returncode == 1 and "bad.yaml:2:" in refused.stderr
        assert a.curl(URL).stdout == PAGE
        os.unlink(os.path.join(a.root, "etc/tulle/mesh.d/bad.yaml"))
        a.reload()
        status = a.status()["relayd"]
        assert status["last_good"] is None and status["last_error"] == ""


def test_a_last_good_configuration_that_is_damaged_is_not_used():
    with mesh.Mesh(f"fd{os.getpid()}", ["a"]) as m:
        a = m["a"]
        m.start_identities({"a": "shop/web"})
        a.start_relay(rules=False)
        a.daemons["relayd"].stop()
        kept = os.path.join(a.root, "var/lib/tulle/relayd/last-good")
        assert os.stat(kept).st_uid == mesh.UIDS["relayd"] and os.stat(kept).st_mode & 0o777 == 0o600
        with open(kept, "r+b") as f:
            f.truncate(os.path.getsize(kept) - 1)
        a.manifest("bad.yaml", BAD)
        line = a.start("relayd").wait_for("no configuration is in force: all connections are refused until a reload succeeds")
        assert line["last_good"]
        assert not a.status()["relayd"]["ready"]
