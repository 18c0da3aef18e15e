# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests reach the fleet: the authority publishes its mesh.d, members follow (issue: one signed generation, last good
copy on disk, the revision shown)."""
import json
import os
import subprocess
import time

import mesh
import netns
import pytest

ACCOUNTS = {"a": "demo/ctl", "b": "demo/shop", "c": "demo/web"}
SERVICE = mesh.service("web", "demo", "10.96.0.10", 80, 8080, [("web-1", "10.77.0.3", "web")])
DENY = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: demo}
spec: {selector: {matchLabels: {app: web}}, action: DENY, rules: [{}]}
"""
COPY = "var/lib/tulle/mesh/manifests"


@pytest.fixture(scope="module")
def fleet():
    """a is the authority and has the manifests; b and c follow it, and have none of their own."""
    with mesh.Mesh("fl", list(ACCOUNTS)) as m:
        for name in "bc":
            m[name].configure(manifests={"source": "authority"})
        m.start_identities(ACCOUNTS)
        m["c"].nginx()
        for host in m.hosts.values():
            host.start_relay()
        yield m


def published(m):
    return m["a"].status()["certd"]["manifests"]["published"]


def publish(m, **files):
    """The authority's mesh.d becomes these files; what tulle reload says."""
    folder = os.path.join(m["a"].root, "etc/tulle/mesh.d")
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    for name, text in files.items():
        m["a"].manifest(name + ".yaml", text)
    return m["a"].tulle("reload", check=False)


def copy(host):
    return host.status()["certd"]["manifests"]["copy"]


def in_force(host):
    """The number of the authority's generation that the relay of this host has, and the revision."""
    relayd = host.status()["relayd"]
    return relayd["manifests"]["number"], (relayd["relay"] or {}).get("config", {}).get("revision")


def follow(m, names="bc", seconds=6):
    """Waits until relays of members have what is published; how long that took."""
    begin = time.monotonic()
    want = published(m)
    for name in names:
        netns.wait_for(lambda h=m[name]: in_force(h) == (want["number"], want["revision"]), seconds * mesh.PATIENCE)
    return time.monotonic() - begin


def reached(host, check=True):
    return host.curl("http://10.96.0.10/", check=check, seconds=3)


def test_a_change_on_the_authority_reaches_members_and_their_traffic_within_seconds(fleet):
    assert publish(fleet, web=SERVICE).returncode == 0
    assert follow(fleet) < 6 * mesh.PATIENCE
    assert in_force(fleet["a"])[1] == published(fleet)["revision"], "the authority's own relay has the same revision"
    assert reached(fleet["b"]).stdout == "hello from c:8080\n"
    before = published(fleet)["number"]
    assert publish(fleet, web=SERVICE, deny=DENY).returncode == 0
    assert published(fleet)["number"] > before
    follow(fleet)
    assert reached(fleet["b"], check=False).returncode != 0
    publish(fleet, web=SERVICE)
    follow(fleet)
    reached(fleet["b"])


def test_a_broken_manifest_on_the_authority_changes_nobody_and_is_told(fleet):
    publish(fleet, web=SERVICE)
    follow(fleet)
    before = {name: in_force(fleet[name]) for name in "bc"}
    done = publish(fleet, web=SERVICE.replace("targetPort", "targetPrt"))
    assert done.returncode == 1
    assert 'certd: not reloaded' in done.stderr and 'did you mean "targetPort"?' in done.stderr, done.stderr
    mesh.sleep(2)
    assert {name: in_force(fleet[name]) for name in "bc"} == before
    reached(fleet["b"])
    text = fleet["a"].tulle("status", check=False).stdout
    assert "mesh.d is not published, members keep what they have" in text and "targetPrt" in text, text
    # Nor does a restart of the authority's certd publish it, or forget what was published.
    fleet["a"].daemons["certd"].stop()
    fleet["a"].start("certd").wait_for("ready", 20)
    assert published(fleet)["number"] == before["b"][0]
    publish(fleet, web=SERVICE)
    assert "not published" not in fleet["a"].tulle("status", check=False).stdout


def test_every_host_shows_the_revision_in_force(fleet):
    publish(fleet, web=SERVICE, deny=DENY.replace("rules: [{}]", 'rules: [{to: [{operation: {ports: ["1"]}}]}]'))
    follow(fleet)
    want = published(fleet)
    for name in "bc":
        text = fleet[name].tulle("status", check=False).stdout
        assert f"generation {want['number']} (revision {want['revision']}) of authority 10.77.0.1:15012, since 20" in text, text
        assert f"manifests  revision {want['revision']}," in text, text
        assert f"revision: {want['revision']}" in fleet[name].tulle("check").stdout
    text = fleet["a"].tulle("status", check=False).stdout
    assert f"published as generation {want['number']} (revision {want['revision']})" in text, text
    assert "2 of 2 members that follow have it" in text, text

    def newest():
        return fleet["a"].tulle("member").stdout.count(f"manifests: generation {want['number']}, the newest") == 2
    netns.wait_for(newest, 5 * mesh.PATIENCE)


def test_while_the_authority_is_away_a_member_starts_on_its_copy(fleet):
    publish(fleet, web=SERVICE)
    follow(fleet)
    want = in_force(fleet["b"])
    b = fleet["b"]
    fleet["a"].daemons["certd"].stop()
    try:
        b.daemons["relayd"].stop()
        b.daemons["certd"].stop()
        os.unlink(os.path.join(b.root, "var/lib/tulle/relayd/last-good"))  # it is certd's copy that counts, not the relay's
        b.start("certd").wait_for("ready", 20)
        b.start("relayd").wait_for("ready", 20)
        assert in_force(b) == want and copy(b)["number"] == want[0]
        reached(b)
        netns.wait_for(lambda: "maybe behind: the authority was not heard" in b.tulle("status", check=False).stdout,
                       15 * mesh.PATIENCE)
    finally:
        fleet["a"].start("certd").wait_for("ready", 20)
    # And what it publishes when it is back arrives by itself.
    publish(fleet, web=SERVICE + "# back\n")
    follow(fleet, seconds=25)


def test_a_copy_that_was_tampered_with_is_refused(fleet):
    publish(fleet, web=SERVICE, deny=DENY)
    follow(fleet)
    b = fleet["b"]
    old = open(os.path.join(b.root, COPY), "rb").read()
    publish(fleet, web=SERVICE)
    follow(fleet)
    want = in_force(b)
    good = open(os.path.join(b.root, COPY), "rb").read()
    with open(os.path.join(b.root, COPY), "wb") as f:
        f.write(good.replace(b"targetPort: 8080", b"targetPort: 8081"))
    netns.wait_for(lambda: "its files are not those that were signed" in (b.status()["relayd"]["last_error"] or ""), 5)
    assert in_force(b) == want
    reached(b)
    assert "its files are not those that were signed" in b.tulle("check", check=False).stderr
    # certd knows which generation was the last: an older one is refused at its start, for all its signature.
    b.daemons["certd"].stop()
    with open(os.path.join(b.root, COPY), "wb") as f:
        f.write(old)
    b.start("certd").wait_for("ready", 20)
    assert b.daemons["certd"].lines("this host's copy of the manifests is refused: the authority is asked for them")
    follow(fleet, "b")
    assert copy(b)["number"] == want[0] and copy(b)["trouble"] == ""
    reached(b)


def test_a_full_disk_leaves_the_old_manifests_and_is_told(fleet):
    publish(fleet, web=SERVICE)
    follow(fleet)
    b = fleet["b"]
    want = in_force(b)
    b.daemons["certd"].stop()
    folder = os.path.join(b.root, "var/lib/tulle/mesh")
    kept = open(os.path.join(b.root, COPY), "rb").read()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={(len(kept) + 4095) // 4096 * 4096},mode=0755,uid={mesh.UIDS['certd']}",
                    "tulle-test", folder], check=True)
    try:
        with open(os.path.join(b.root, COPY), "wb") as f:
            f.write(kept)
        os.chown(os.path.join(b.root, COPY), mesh.UIDS["certd"], mesh.UIDS["certd"])
        b.start("certd").wait_for("ready", 20)
        publish(fleet, web=SERVICE + "# " + "x" * 8000 + "\n")
        netns.wait_for(lambda: "No space left on device" in copy(b)["trouble"], 10 * mesh.PATIENCE)
        assert in_force(b) == want
        text = b.tulle("status", check=False).stdout
        assert "BEHIND: the authority has" in text and "No space left on device" in text, text
        netns.wait_for(lambda: "No space left on device" in fleet["a"].tulle("member").stdout, 20 * mesh.PATIENCE)
        reached(b)
    finally:
        b.daemons["certd"].stop()
        subprocess.run(["umount", folder], check=True)
        b.start("certd").wait_for("ready", 20)
    follow(fleet, "b", seconds=15)


def test_a_folder_that_becomes_unreadable_is_told_and_nothing_changes(fleet):
    publish(fleet, web=SERVICE)
    follow(fleet)
    want = {name: in_force(fleet[name]) for name in "abc"}
    folder = os.path.join(fleet["a"].root, "etc/tulle/mesh.d")
    os.chmod(folder, 0o700)  # root's, and the daemons are not
    try:
        done = fleet["a"].tulle("reload", check=False)
        assert done.returncode == 1
        assert done.stderr.count("mesh.d: cannot be read: Permission denied") == 2, done.stderr  # of certd, of relayd
        mesh.sleep(2)
        assert {name: in_force(fleet[name]) for name in "abc"} == want
        reached(fleet["b"])
        assert fleet["a"].curl("http://10.77.0.3:8080/").stdout == "hello from c:8080\n"
    finally:
        os.chmod(folder, 0o755)
    assert fleet["a"].tulle("reload").returncode == 0


def test_a_member_with_files_of_its_own_ignores_the_authority(fleet):
    c = fleet["c"]
    publish(fleet, web=SERVICE)
    follow(fleet)
    c.manifest("own.yaml", SERVICE)
    done = c.tulle("reload")
    assert "mesh.d: is ignored: manifests.source is authority" in done.stderr, done.stderr
    assert in_force(c)[0] == published(fleet)["number"]
    c.configure(manifests={"source": "files"})
    try:
        c.tulle("reload")
        assert in_force(c)[0] == 0 and c.status()["certd"]["manifests"]["source"] == "files"
        own = in_force(c)
        publish(fleet, web=SERVICE, deny=DENY)
        follow(fleet, "b")
        mesh.sleep(2)
        assert in_force(c) == own
        assert "from mesh.d of this host" in c.tulle("status", check=False).stdout
    finally:
        c.configure(manifests={"source": "authority"})
        c.tulle("reload")
    follow(fleet)
    os.unlink(os.path.join(c.root, "etc/tulle/mesh.d/own.yaml"))


def test_a_banned_member_gets_nothing_new(fleet):
    publish(fleet, web=SERVICE)
    follow(fleet)
    node = json.loads(fleet["b"].tulle("status", "--json", check=False).stdout)["certd"]["member"]["node"].rsplit("/", 1)[1]
    want = in_force(fleet["b"])
    fleet["a"].tulle("member", "ban", node)
    try:
        publish(fleet, web=SERVICE + "# after the ban\n")
        follow(fleet, "c")
        mesh.sleep(3)
        assert in_force(fleet["b"]) == want and copy(fleet["b"])["number"] == want[0]
    finally:
        fleet["a"].tulle("member", "unban", node)
    fleet["b"].daemons["certd"].stop()  # it would ask again within a minute
    fleet["b"].start("certd").wait_for("ready", 20)
    follow(fleet)


def test_an_authority_that_was_restored_from_a_backup_is_noticed_and_published_anew(fleet):
    publish(fleet, web=SERVICE)
    follow(fleet)
    a = fleet["a"]
    a.daemons["certd"].stop()
    state = os.path.join(a.root, "var/lib/tulle/certd")
    subprocess.run(["cp", "-a", state, state + ".backup"], check=True)
    a.start("certd").wait_for("ready", 20)
    publish(fleet, web=SERVICE + "# after the backup\n")
    follow(fleet)
    newer = in_force(fleet["b"])
    a.daemons["certd"].stop()
    subprocess.run(["rm", "-r", state], check=True)
    os.rename(state + ".backup", state)
    for name in os.listdir(os.path.join(a.root, "etc/tulle/mesh.d")):
        os.unlink(os.path.join(a.root, "etc/tulle/mesh.d", name))
    a.manifest("web.yaml", SERVICE)  # of the backup, too: nothing new to publish
    a.start("certd").wait_for("ready", 20)
    assert published(fleet)["number"] < newer[0]
    netns.wait_for(lambda: "was it restored from a backup?" in a.tulle("status", check=False).stdout, 30 * mesh.PATIENCE)
    netns.wait_for(lambda: "was it restored from a backup?" in copy(fleet["b"])["trouble"], 30 * mesh.PATIENCE)
    assert in_force(fleet["b"]) == newer, "an older generation never replaces a newer one"
    a.tulle("reload", "certd")
    assert published(fleet)["number"] > newer[0]
    follow(fleet, seconds=40)
    assert in_force(fleet["b"])[0] > newer[0]


def test_a_host_that_nobody_joined_publishes_in_silence():
    """Its relay says what is wrong with mesh.d; certd, which may not even be able to read it, reloads."""
    with mesh.Mesh("fs", ["a"]) as m:
        m.start_identities({"a": "demo/ctl"})
        m["a"].start_relay(rules=False)
        m["a"].manifest("web.yaml", SERVICE.replace("targetPort", "targetPrt"))
        done = m["a"].tulle("reload", check=False)
        assert done.returncode == 1 and "certd: reloaded" in done.stdout, done.stdout + done.stderr
        assert done.stderr.count("targetPrt") == 1, done.stderr
        assert m["a"].status()["certd"]["state"] == "ready"
