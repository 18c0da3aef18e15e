# SPDX-License-Identifier: GPL-3.0-or-later
"""certd end to end: identities served, renewed, kept over restarts; hosts that join; mistakes."""
import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import certd
import mesh
import netns
import pytest

SHORT_ROOT = 365  # seconds: nodes below it get a sixth of that

WEB_RULE = f"- {{serviceAccount: shop/cart, match: {{uid: \"{certd.WEB}\"}}}}\n"


@pytest.fixture
def world():
    w = certd.World()
    yield w
    w.close()


@pytest.fixture(scope="module", autouse=True)
def lost_fleet():
    """A member and an authority that goes away at once: by the time of its test the node's certificate has expired."""
    w = certd.World()
    pem, key = certd.openssl_root(os.path.join(w.top, "ca"), "short", stamp(-1), stamp(SHORT_ROOT))
    a = w.host("authority", "ttl: 10s", authority=certd.free_port())
    assert a.tulle("ca", "import", "--cert", pem, "--key", key).returncode == 0
    a.start()
    m = member(w, "member", ttl="10s")
    assert m.tulle("join", a.token("default/web-2")).returncode == 0
    joined(m, ["ns/default/sa/web-2"])
    a.kill()
    yield a, m
    w.close()


@pytest.fixture
def solo(world):
    h = world.host("solo", "ttl: 20s, default: ns/default/sa/web-1")
    h.write("identities.yaml", WEB_RULE)
    return h.start()


def verify(folder, purpose="sslserver"):
    return subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", f"{folder}/svid_bundle.pem",
                           "-untrusted", f"{folder}/svid.pem", f"{folder}/svid.pem"], capture_output=True, text=True)


# ---- who gets what -----------------------------------------------------------


@pytest.mark.san
def test_each_caller_gets_what_is_its_own(solo):
    assert solo.ids(certd.WEB) == ["ns/shop/sa/cart"]
    relay = solo.svids(certd.UID["relayd"])
    assert [(s["id"], s["hint"]) for s in relay] == [
        ("spiffe://certd.test/ns/default/sa/web-1", "default/web-1"), ("spiffe://certd.test/ns/shop/sa/cart", "shop/cart")]
    done = solo.tulle("svid", uid=7799)
    assert done.returncode == 1 and "PERMISSION_DENIED" in done.stderr
    line = solo.wait("workload refused")
    assert line["uid"] == 7799 and "line 1: its uid is another" in line["reason"]


def test_why_says_the_same(solo):
    sleeper = subprocess.Popen(["setpriv", f"--reuid={certd.WEB}", "--clear-groups", "sleep", "60"])
    try:
        netns.wait_for(lambda: str(certd.WEB) in open(f"/proc/{sleeper.pid}/status").read())
        done = solo.tulle("why", str(sleeper.pid))
        assert done.returncode == 0 and "gets spiffe://certd.test/ns/shop/sa/cart" in done.stdout
        assert "its connections into the mesh speak as ns/shop/sa/cart, by " in done.stdout
    finally:
        sleeper.kill()
        sleeper.wait()
    done = solo.tulle("why", str(os.getpid()))
    assert done.returncode == 1 and "its uid is another" in done.stdout
    assert "speak as ns/default/sa/web-1, identity.default: no entry fits" in done.stdout


def test_openssl_believes_what_is_served(solo, world):
    folder = os.path.join(world.top, "out")
    os.mkdir(folder)
    os.chown(folder, certd.WEB, certd.WEB)
    assert solo.tulle("svid", "--write", folder, uid=certd.WEB).returncode == 0
    for purpose in ("sslserver", "sslclient"):
        done = verify(folder, purpose)
        assert done.returncode == 0, done.stdout + done.stderr
    assert os.stat(f"{folder}/svid_key.pem").st_mode & 0o777 == 0o600
    public = [subprocess.run(["openssl", *c], capture_output=True, check=True).stdout for c in (
        ("pkey", "-in", f"{folder}/svid_key.pem", "-pubout"), ("x509", "-in", f"{folder}/svid.pem", "-noout", "-pubkey"))]
    assert public[0] == public[1]


def grpc(host, path, *headers, whole=False):
    """A bare call by curl; the trailers or headers as text.

    With `whole` there is no message: for calls that are refused before one is looked at.  A refusal may overtake the body,
    and RST_STREAM(NO_ERROR) follows it (RFC 9113 8.1); curl 7.88, still sending, drops the whole answer then.
    """
    command = ["setpriv", f"--reuid={certd.WEB}", f"--regid={certd.WEB}", "--clear-groups", "--", "curl", "-sv",
               "--max-time", "2", "--http2-prior-knowledge", "--unix-socket", host.path("run/tulle/identity/workload.sock"),
               "-H", "content-type: application/grpc", "-H", "te: trailers", *[x for h in headers for x in ("-H", h)],
               *(("-X", "POST") if whole else ("--data-binary", "@-")), "-o", "/dev/null", f"http://localhost{path}"]
    return subprocess.run(command, input=b"\0\0\0\0\0", capture_output=True).stderr.decode(errors="replace")


@pytest.mark.san
def test_the_security_header_is_asked_for(solo):
    good = "workload.spiffe.io: true"
    for headers in ((), ("workload.spiffe.io: TRUE",), ("workload.spiffe.io: false",), (good, good)):
        assert "grpc-status: 3" in grpc(solo, "/SpiffeWorkloadAPI/FetchX509SVID", *headers), headers
    assert "grpc-status" not in grpc(solo, "/SpiffeWorkloadAPI/FetchX509SVID", good)  # the stream stays open
    assert "grpc-status" not in grpc(solo, "/SpiffeWorkloadAPI/FetchX509Bundles", good)
    assert "grpc-status: 12" in grpc(solo, "/SpiffeWorkloadAPI/FetchJWTSVID", good, whole=True)


# ---- renewal and restarts ----------------------------------------------------


@pytest.mark.san
def test_renewals_are_pushed_to_open_streams(world):
    h = world.host("solo", "ttl: 10s")
    h.write("identities.yaml", WEB_RULE)
    h.start()
    with h.watching() as answers:
        got = [next(answers)["svids"][0] for _ in range(3)]
    assert len({s["serial"] for s in got}) == 3
    for s, following in zip(got, got[1:]):  # half of the life, a tenth more or less, and the second's fraction
        assert 3 <= following["not_after"] - s["not_after"] <= 7
        assert s["not_after"] - s["not_before"] <= 10 + 60


@pytest.mark.san
def test_a_restart_changes_nothing(solo):
    before = solo.svids()
    for how in (signal.SIGTERM, signal.SIGKILL):
        solo.kill(how)
        solo.start()
        assert solo.svids()[0]["serial"] == before[0]["serial"]
    assert len(solo.lines("root made")) == 1 and len(solo.lines("issuing CA prepared")) == 1


def test_a_long_stop_is_made_up_for_at_the_start(world):
    h = world.host("solo", "ttl: 10s")
    h.write("identities.yaml", WEB_RULE)
    h.start()
    before = h.svids()
    h.kill()
    netns.wait_for(lambda: time.time() > before[0]["not_after"], 20, every=0.1)
    h.start()
    assert h.svids()[0]["serial"] != before[0]["serial"]


def test_the_state_survives_any_cut_of_its_last_bytes(solo):
    journal = solo.path("var/lib/tulle/certd/journal")
    solo.kill()
    with open(journal, "rb") as f:
        whole = f.read()
    pin = None
    for cut in (1, 7, len(whole.splitlines()[-1]) - 1):
        with open(journal, "wb") as f:
            f.write(whole[:-cut])
        solo.start()
        pin = pin or solo.status()["root_pin"]
        assert solo.status()["root_pin"] == pin and solo.ids() == ["ns/shop/sa/cart"]
        solo.kill()


@pytest.mark.san
@pytest.mark.parametrize("where", ["begin", "middle", "end"])
def test_damage_is_no_cut_and_costs_nothing_but_the_start(world, where):
    """Not one key is swept, no root is made: with the byte mended, or the folder restored, all is as it was."""
    h = world.host("authority", "ttl: 20s, default: ns/default/sa/a", authority=certd.free_port())
    h.start()
    for _ in range(3):
        h.token("default/web-2")
    pin, tokens = h.status()["root_pin"], [t["id"] for t in h.status()["tokens"]]
    h.kill()
    state = h.path("var/lib/tulle/certd")
    journal = os.path.join(state, "journal")
    with open(journal, "rb") as f:
        good = f.read()
    records = good.splitlines(keepends=True)
    at = {"begin": 20, "middle": len(b"".join(records[:len(records) // 2])) + 20, "end": len(good) - 1}[where]
    bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
    with open(journal, "wb") as f:
        f.write(bad)
    keys = sorted(os.listdir(f"{state}/ca"))
    text = refused(h)
    line = h.lines("the journal is damaged: a record is not as it was written")[-1]
    assert line["file"] == journal and good[:line["offset"]].count(b"\n") == good[:at].count(b"\n") == line["records_before"]
    assert "restore that folder from a backup" in text and f"mv {state} somewhere-else" in text
    assert "mv " in h.tulle("ca", "show").stderr
    assert sorted(os.listdir(f"{state}/ca")) == keys and open(journal, "rb").read() == bad
    os.rename(journal, journal + ".bad")  # half of the way out is none: the keys would be swept
    assert "keys of some" in refused(h)
    assert sorted(os.listdir(f"{state}/ca")) == keys
    h.kill()
    with open(journal, "wb") as f:
        f.write(good)
    h.start()
    assert h.status()["root_pin"] == pin and [t["id"] for t in h.status()["tokens"]] == tokens
    h.kill()
    os.rename(state, state + ".given-up")  # the whole of it, and that is somebody's decision
    h.start()
    assert h.status()["root_pin"] != pin and h.status()["tokens"] == []


def test_what_must_be_secret_is(solo):
    state = solo.path("var/lib/tulle/certd")
    assert os.stat(state).st_mode & 0o777 == 0o700 and os.stat(state).st_uid == certd.UID["certd"]
    for folder, _, files in os.walk(state):
        for name in files:
            assert os.stat(os.path.join(folder, name)).st_mode & 0o077 == 0, name
    with open(f"/proc/{solo.proc.pid}/status", encoding="utf-8") as f:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    assert fields["Uid"].split()[1] == str(certd.UID["certd"]) and int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    sealed = open(os.path.join(state, "svids"), "rb").read()
    assert b"chain" not in sealed and b"PRIVATE" not in sealed


# ---- configuration -----------------------------------------------------------


@pytest.mark.san
def test_reload_adds_and_drops_identities_on_open_streams(solo):
    with solo.watching() as answers:
        assert len(next(answers)["svids"]) == 1
        solo.write("identities.yaml", WEB_RULE + f"- {{serviceAccount: shop/jobs, match: {{uid: \"{certd.WEB}\"}}}}\n")
        done = solo.tulle("reload", "certd")
        assert done.returncode == 0, done.stderr
        netns.wait_for(lambda: len(next(answers)["svids"]) == 2)
    solo.write("identities.yaml", "")
    assert solo.tulle("reload", "certd").returncode == 0
    assert solo.ids() == []


@pytest.mark.parametrize("name,text,place", [
    ("identities.yaml", "- {serviceAccount: shop, match: {uid: 5}}\n", "identities.yaml:1:"),
    ("identities.yaml", "- {serviceAccount: shop/cart, match: {}}\n", "identities.yaml:1:"),
    ("identities.yaml", "- {serviceAccount: shop/cart, match: {uid: no-such-user}}\n", "identities.yaml:1:"),
    ("identities.yaml", "- serviceAccount: shop/cart\n  match: {binary: /usr/bin/cart}\n", "identities.yaml:2:11"),
    ("tulle.yaml", "trustDomain: certd.test\nidentty: {}\n", "tulle.yaml:2:1"),
    ("tulle.yaml", "trustDomain: other.test\n", "trustDomain"),
    ("tulle.yaml", "trustDomain: certd.test\nidentity: {ttl: 200h}\n", "sixth"),
])
def test_a_bad_file_is_refused_and_the_old_set_stays(solo, name, text, place):
    solo.write(name, text)
    done = solo.tulle("reload", "certd")
    assert done.returncode == 1 and place in done.stderr, done.stderr
    assert solo.ids() == ["ns/shop/sa/cart"]
    solo.proc.send_signal(signal.SIGHUP)
    solo.wait("not reloaded, the old configuration stays")
    assert solo.ids() == ["ns/shop/sa/cart"]


def test_reload_tells_scripts_what_became_of_each(solo):
    done = solo.tulle("reload", "--json")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    told = json.loads(done.stdout)
    assert told["certd"] == {"state": "reloaded", "text": ""} and told["relayd"]["state"] == "not running"
    assert solo.tulle("reload", "--json", "relayd").returncode == 1
    solo.write("identities.yaml", "- {serviceAccount: shop, match: {uid: 5}}\n")
    done = solo.tulle("reload", "--json", "certd")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and list(told) == ["certd"]
    assert told["certd"]["state"] == "refused" and "identities.yaml:1:" in told["certd"]["text"]


def refused(h, seconds=10):
    h.start(ready=False)
    assert h.proc.wait(seconds * mesh.PATIENCE) == 1
    return h.log()


def test_a_bad_start_says_where(world):
    h = world.host("bad")
    h.write("tulle.yaml", "trustDomain: certd.test\nidentity:\n  ttl: soon\n")
    assert "tulle.yaml:3:8" in refused(h)


def test_lengths_that_do_not_fit_are_an_error_at_the_start(world):
    assert "sixth of the issuing CA" in refused(world.host("long", "ttl: 200h"))


def test_a_busy_port_is_named(world):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        h = world.host("busy", authority=s.getsockname()[1])
        text = refused(h)
    assert f"127.0.0.1:{h.authority}" in text and "somebody else listens there" in text


def test_a_second_one_is_kept_out(solo):
    done = subprocess.run([mesh.binary("tulle-certd"), "--root", solo.root], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "another tulle-certd answers there already" in done.stderr
    assert solo.ids() == ["ns/shop/sa/cart"]


def test_an_unwritable_run_folder_is_named(world):
    h = world.host("run")
    os.makedirs(h.path("run"))
    open(h.path("run/tulle"), "w").close()
    assert "/run/tulle/identity" in refused(h)


def test_a_missing_user_is_named(world):
    h = world.host("user")
    h.write("tulle.yaml", "users: {certd: no-such-user}\n")
    assert 'no user "no-such-user"' in refused(h)


def test_the_command_line():
    certd_binary = mesh.binary("tulle-certd")
    for args, code in ((["--help"], 0), (["--version"], 0), (["--nonsense"], 2), (["extra"], 2), (["--root", "relative"], 2),
                       (["ca"], 2), (["ca", "import"], 2), (["ca", "--help"], 0)):
        done = subprocess.run([certd_binary, *args], capture_output=True, text=True, timeout=10)
        assert done.returncode == code, (args, done)
        assert done.stdout if code == 0 else done.stderr
    for verb in ("init", "token", "join", "svid", "why"):
        assert subprocess.run([mesh.binary("tulle"), verb, "--help"], capture_output=True).returncode == 0
        assert subprocess.run([mesh.binary("tulle"), verb, "--nonsense"], capture_output=True).returncode == 2


def test_a_trust_domain_is_made_up_once(world):
    h = world.host("solo")
    h.configure("default: ns/default/sa/x", domain=None)
    h.start()
    td = h.status()["trust_domain"]
    assert td.endswith(".tulle.internal") and len(td.split(".")[0]) == 32
    h.stop()
    h.start()
    assert h.status()["trust_domain"] == td


def test_term_ends_it_in_good_order(solo):
    assert solo.stop() == 0


# ---- ca import ---------------------------------------------------------------


def stamp(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%SZ")


@pytest.mark.san
def test_two_hosts_import_one_root(world):
    pem, key = certd.openssl_root(os.path.join(world.top, "ca"), "shared", stamp(-5), stamp(30 * 86400))
    roots = []
    for name in ("one", "two"):
        h = world.host(name, f"ttl: 1h, default: ns/default/sa/{name}")
        done = h.tulle("ca", "import", "--cert", pem, "--key", key)
        assert done.returncode == 0, done.stderr
        assert h.tulle("ca", "import", "--cert", pem, "--key", key).returncode == 0  # again
        h.start()
        folder = os.path.join(world.top, name + ".out")
        os.mkdir(folder)
        os.chown(folder, certd.UID["relayd"], certd.UID["relayd"])
        assert h.tulle("svid", "--write", folder, uid=certd.UID["relayd"]).returncode == 0
        assert verify(folder).returncode == 0
        roots.append(open(f"{folder}/svid_bundle.pem").read().strip())
        assert "running" in h.tulle("ca", "import", "--cert", pem, "--key", key).stderr
    assert roots[0] == roots[1] == open(pem).read().strip()


def test_a_root_that_is_none_is_refused(world):
    folder = os.path.join(world.top, "ca")
    pem, key = certd.openssl_root(folder, "good", stamp(-5), stamp(30 * 86400))
    old, old_key = certd.openssl_root(folder, "old", stamp(-100), stamp(-10))
    foreign, foreign_key = certd.openssl_root(folder, "foreign", stamp(-5), stamp(86400), domain="foreign.test")
    h = world.host("one")
    for cert, its_key, says in ((pem, old_key, "not the certificate's"), (old, old_key, "expired"),
                                (foreign, foreign_key, "another trust domain"), (key, key, "CERTIFICATE"),
                                (pem, "/no/such/file", "/no/such/file")):
        done = h.tulle("ca", "import", "--cert", cert, "--key", its_key)
        assert done.returncode == 1 and says in done.stderr, done.stderr
    assert h.tulle("ca", "import", "--cert", pem, "--key", key).returncode == 0
    other, other_key = certd.openssl_root(folder, "other", stamp(-5), stamp(30 * 86400))
    assert "--replace" in h.tulle("ca", "import", "--cert", other, "--key", other_key).stderr
    assert h.tulle("ca", "import", "--replace", "--cert", other, "--key", other_key).returncode == 0


# ---- joining -----------------------------------------------------------------


@pytest.fixture
def authority(world):
    return world.host("authority", "ttl: 20s, default: ns/default/sa/web-1", authority=certd.free_port()).start()


def member(world, name, ttl="20s", account="web-2"):
    return world.host(name, f"source: fleet, ttl: {ttl}, default: ns/default/sa/{account}").start()


RELAY = certd.UID["relayd"]


def joined(host, ids, seconds=5):
    netns.wait_for(lambda: host.ids(RELAY) == ids, seconds * mesh.PATIENCE)


@pytest.mark.san
def test_a_host_joins_and_gets_what_its_token_allows(world, authority):
    m = member(world, "member")
    done = m.tulle("svid", "--timeout", "500ms", uid=RELAY)
    assert done.returncode == 1 and "UNAVAILABLE" in done.stderr  # it will have one
    m.write("identities.yaml", WEB_RULE)
    assert m.tulle("reload", "certd").returncode == 0
    token = authority.token("default/web-2")
    done = m.tulle("join", "-", input=token + "\n")
    assert done.returncode == 0 and "joined trust domain certd.test" in done.stdout, done.stderr
    joined(m, ["ns/default/sa/web-2"])
    assert m.ids(certd.WEB) == []  # shop/cart was not in the token
    assert "did not allow" in m.wait("no certificate")["reason"]
    assert authority.wait("refused a certificate")["account"] == "shop/cart"
    first = m.svids(RELAY)[0]["serial"]
    netns.wait_for(lambda: m.svids(RELAY)[0]["serial"] != first, 15)  # renewed over mutual TLS
    status = authority.status()
    assert [x["accounts"] for x in status["members"]] == [["default/web-2"]] and status["server"]["joins"] == 1
    assert token.split(".")[2] not in authority.log() + m.log()


def test_a_token_works_once_but_again_for_the_same_host(world, authority):
    one, two = member(world, "one"), member(world, "two")
    token = authority.token("default/web-2")
    assert one.tulle("join", token).returncode == 0
    assert one.tulle("join", token).returncode == 0
    done = two.tulle("join", token)
    assert done.returncode == 1 and "refused the token: it has been used already" in done.stderr
    assert authority.wait("a spent join token was presented by another host")
    assert "spent" in authority.wait("refused a host")["reason"]
    assert two.ids(RELAY) == []
    assert two.tulle("join", authority.token("default/web-2")).returncode == 0
    joined(two, ["ns/default/sa/web-2"])


@pytest.mark.san
def test_tokens_that_are_no_good(world, authority):
    m = member(world, "member")
    token = authority.token("default/web-2", args=("--ttl", "5s"))
    other = "A" if token[30] != "A" else "B"
    for bad, says in (("nonsense", "begins with"), (token[:40], "not whole"), (token.rsplit(".", 4)[0], "not whole"),
                      (token[:-1], "not whole"), (token[:30] + other + token[31:], "not whole: it was cut or mistyped")):
        done = m.tulle("join", bad)
        assert done.returncode == 1 and says in done.stderr, done.stderr
    assert not authority.lines("refused a host")  # nobody was asked
    parts = token.split(".", 5)
    pin = parts[3][:-2] + ("A" if parts[3][-2] != "A" else "B") + parts[3][-1]
    done = m.tulle("join", certd.whole(".".join([*parts[:3], pin, *parts[4:]])))  # somebody else's root
    assert done.returncode == 1 and "no root with the pinned key" in done.stderr, done.stderr
    done = m.tulle("join", certd.whole(".".join([*parts[:5], f"127.0.0.1_{certd.free_port()}.x"])))
    assert done.returncode == 1 and "authority 127.0.0.1" in done.stderr, done.stderr
    forged = parts[2][:-2] + ("A" if parts[2][-2] != "A" else "B") + parts[2][-1]
    done = m.tulle("join", certd.whole(".".join([*parts[:2], forged, *parts[3:]])))
    assert done.returncode == 1 and "refused the token" in done.stderr
    assert "proof" in authority.wait("refused a host")["reason"]
    revoked = authority.token("default/web-2")
    assert authority.tulle("token", "--revoke", revoked.split(".")[1]).returncode == 0
    assert m.tulle("join", revoked).returncode == 1
    assert authority.wait("refused a host", count=2)["reason"] == "no such token"
    netns.wait_for(lambda: authority.tulle("token", "--list").stdout == "no token is open\n", 10)
    done = m.tulle("join", token)
    assert done.returncode == 1 and re.search(r"the token: it expired at 20\S+Z, \d+ s ago by this host's clock; make another", done.stderr)
    page = m.tulle("status").stdout
    assert "the last tulle join failed: the authority refused the token: it expired at" in page, page
    assert authority.wait("refused a host", count=3)["reason"] in ("the token has expired", "no such token")  # it may be swept
    for args in (("--allow", "nonsense"), ("--allow", "a/b", "--ttl", "200h"), ("--allow", "a/b", "--uses", "0")):
        assert authority.tulle("token", *args).returncode == 1
    assert m.tulle("token", "--allow", "a/b").returncode == 1


def test_the_member_outlives_its_authority(world, authority):
    m = member(world, "member")
    assert m.tulle("join", authority.token("default/web-2")).returncode == 0
    joined(m, ["ns/default/sa/web-2"])
    serial = m.svids(RELAY)[0]["serial"]
    authority.kill()
    m.kill()
    m.start()  # a restart while the authority is away: from the sealed cache, at once
    assert m.svids(RELAY)[0]["serial"] == serial
    m.wait("no certificate", seconds=15)  # past half of its life, nobody renews it
    assert m.svids(RELAY)[0]["serial"] == serial
    netns.wait_for(lambda: m.status()["state"] == "degraded", 15)
    m.wait("a certificate is not renewed", seconds=15)
    authority.start()
    netns.wait_for(lambda: [s["serial"] for s in m.svids(RELAY)] not in ([serial], []), 10)
    assert m.status()["state"] == "ready"


def test_an_expired_one_is_not_handed_out_and_the_stream_stays(world, authority):
    m = world.host("member", "source: fleet, ttl: 10s, default: ns/default/sa/web-2").start()
    assert m.tulle("join", authority.token("default/web-2")).returncode == 0
    joined(m, ["ns/default/sa/web-2"])
    with m.watching(RELAY) as answers:
        first = next(answers)
        authority.kill()
        netns.wait_for(lambda: m.status()["state"] == "down", 15)
        done = m.tulle("svid", "--timeout", "1s", uid=RELAY)
        assert done.returncode == 1 and "UNAVAILABLE" in done.stderr
        authority.start()
        last = first
        while last["svids"][0]["not_after"] < time.time() + 5:  # the same stream gets the new one
            last = next(answers)
        assert last["svids"][0]["serial"] != first["svids"][0]["serial"]


def test_a_banned_member_gets_nothing_new(world, authority):
    m = member(world, "member")
    assert m.tulle("join", authority.token("default/web-2")).returncode == 0
    joined(m, ["ns/default/sa/web-2"])
    node = authority.status()["members"][0]["node"]
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(authority.path("run/tulle/certd.sock"))
        s.sendall(json.dumps({"command": "member", "args": {"do": "ban", "node": node}}).encode() + b"\n")
        assert json.loads(s.makefile().readline())["ok"]
    assert "banned" in authority.wait("refused a host", seconds=15)["reason"]
    assert "PERMISSION_DENIED" in m.wait("no certificate", seconds=5)["reason"]
    netns.wait_for(lambda: any("PERMISSION_DENIED" in line and not line.startswith("ok") for line in status_lines(m)), 20, every=0.3)


def test_a_host_with_an_authority_of_its_own_can_join(world, authority):
    m = world.host("member", "ttl: 20s, default: ns/default/sa/web-2").start()
    before = m.svids(RELAY)[0]["serial"]
    assert m.tulle("join", authority.token("default/web-2")).returncode == 0
    netns.wait_for(lambda: [s["serial"] for s in m.svids(RELAY)] not in ([before], []), 5)
    assert m.status()["source"] == "fleet"
    m.kill()
    m.start()
    assert m.status()["source"] == "fleet"


def test_another_trust_domains_authority_is_refused(world, authority):
    m = world.host("member")
    m.configure("source: fleet, default: ns/default/sa/web-2", domain="other.test")
    m.start()
    done = m.tulle("join", authority.token("default/web-2"))
    assert done.returncode == 1 and "certd.test" in done.stderr and "other.test" in done.stderr


def test_a_host_that_has_joined_refuses_another_trust_domains_token_and_neither_loses(world, authority):
    m = world.host("member")
    m.configure("source: fleet, default: ns/default/sa/web-2", domain=None)
    m.start()
    assert m.tulle("join", authority.token("default/web-2")).returncode == 0
    joined(m, ["ns/default/sa/web-2"])
    serial = m.svids(RELAY)[0]["serial"]
    other = world.host("other", "default: ns/default/sa/x", authority=certd.free_port())
    other.configure("default: ns/default/sa/x", domain="other.test")
    other.start()
    token = other.token("default/web-2")
    done = m.tulle("join", token)
    assert done.returncode == 1 and "the token is for trust domain other.test, and this host has joined certd.test" in done.stderr
    assert m.svids(RELAY)[0]["serial"] == serial and m.tulle("renew").returncode == 0
    third = world.host("third")
    third.configure("source: fleet, default: ns/default/sa/web-2", domain="other.test")
    third.start()
    assert third.tulle("join", token).returncode == 0  # it is as good as it was


def test_strangers_are_slowed_down(world, authority):
    m = member(world, "member")
    parts = authority.token("default/web-2").split(".", 4)
    bad = certd.whole(".".join([parts[0], parts[1], parts[2][::-1][:21] + "A", *parts[3:]]))
    for _ in range(12):
        last = m.tulle("join", bad)
    assert last.returncode == 1 and "RESOURCE_EXHAUSTED" in last.stderr, last.stderr


@pytest.mark.parametrize("garbage, ends", [
    (b"GET / HTTP/1.1\r\n\r\n", False), (b"\x16\x03\x01\x02\x00\x01", True), (b"\x16\x03\x01\x02\x00\x01", False),
    (bytes(range(256)), False), (b"", True), (b"", False),
], ids=["http1", "cut hello", "hello that stalls", "garbage", "nothing", "silence"])
def test_garbage_at_the_authoritys_port_does_no_harm(world, authority, garbage, ends):
    """Hung up on: at once, or by the deadline of the handshake if nothing more comes."""
    with socket.create_connection(("127.0.0.1", authority.authority)) as s:
        s.settimeout(13 * mesh.PATIENCE)
        with contextlib.suppress(ConnectionError):
            s.sendall(garbage)
            if ends:
                s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
    m = member(world, "member")
    assert m.tulle("join", authority.token("default/web-2")).returncode == 0


# ---- tulle init --------------------------------------------------------------


def test_init_sets_up_a_host_once(world):
    root = os.path.join(world.top, "new")
    os.makedirs(os.path.join(root, "etc/tulle"))
    os.chmod(root, 0o755)
    run = lambda *args: subprocess.run([mesh.binary("tulle"), "init", "--root", root, *args], capture_output=True, text=True)
    done = run("--trust-domain", "init.test", "--default", "shop/web", "--dry-run")
    assert done.returncode == 0 and "would" in done.stdout and os.listdir(os.path.join(root, "etc/tulle")) == []
    # A test has no user tulle-certd: say who instead, before the authority is made.
    with open(os.path.join(root, "etc/tulle/tulle.yaml"), "w", encoding="utf-8") as f:
        f.write(f"trustDomain: init.test\nidentity: {{default: ns/shop/sa/web}}\nusers: {{certd: \"{certd.UID['certd']}\"}}\n")
    kept = open(os.path.join(root, "etc/tulle/tulle.yaml")).read()
    for _ in range(2):
        done = run()
        assert done.returncode == 0, done.stderr
        assert "Done.  Next:" in done.stdout
    assert open(os.path.join(root, "etc/tulle/tulle.yaml")).read() == kept
    assert os.path.exists(os.path.join(root, "etc/tulle/identities.yaml"))
    done = run("--trust-domain", "other.test")
    assert done.returncode == 1 and "init.test" in done.stderr
    shown = subprocess.run([mesh.binary("tulle"), "ca", "show", "--root", root, "--json"], capture_output=True, text=True)
    assert json.loads(shown.stdout)["cas"][0]["tier"] == "root"


def test_what_init_writes_is_right(world):
    root = os.path.join(world.top, "new")
    run = lambda *args: subprocess.run([mesh.binary("tulle"), "init", "--root", root, *args], capture_output=True, text=True)
    run("--trust-domain", "init.test", "--default", "shop/web")  # the user may be missing; the files are there
    text = open(os.path.join(root, "etc/tulle/tulle.yaml")).read()
    assert "trustDomain: init.test\n" in text and "default: ns/shop/sa/web\n" in text
    checked = subprocess.run([mesh.binary("tulle"), "check", os.path.join(root, "etc/tulle/tulle.yaml"),
                              os.path.join(root, "etc/tulle/identities.yaml")], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    shutil.rmtree(root)
    run("--member", "--default", "shop/web")
    assert "source: fleet" in open(os.path.join(root, "etc/tulle/tulle.yaml")).read()


def test_verbs_say_how_to_start_certd(world):
    h = world.host("off")
    for verb, args in (("join", ["tulle1.x"]), ("token", ["--allow", "a/b"]), ("why", ["1"])):
        done = h.tulle(verb, *args)
        assert done.returncode == 1 and "systemctl start tulle-certd" in done.stderr
    done = h.tulle("svid")
    assert done.returncode == 1 and "is tulle-certd running?" in done.stderr


# ---- what has been waiting since the beginning ---------------------------------


def status_lines(h):
    """Those of certd, from a page on which the relay is missing: that is not what is looked at here."""
    done = h.tulle("status")
    assert done.returncode == 1
    return [line for line in done.stdout.splitlines() if line.split()[1] in ("certd", "node", "authority", "clock")]


def test_status_says_what_is_wrong_with_identity(world, authority):
    m = member(world, "member", ttl="10s")
    line, = status_lines(m)
    assert line.startswith("FAIL") and "not joined" in line and "tulle join TOKEN" in line
    assert m.tulle("join", authority.token("default/web-2")).returncode == 0
    joined(m, ["ns/default/sa/web-2"])
    line, = status_lines(m)
    assert line.startswith("ok") and "ready" in line
    authority.kill()
    netns.wait_for(lambda: any(line.startswith("FAIL") and "expired" in line for line in status_lines(m)), 30, every=0.3)
    lines = status_lines(m)
    assert any("down" in line for line in lines) and any("certificates are not renewed" in line for line in lines), lines
    m.kill()
    line, = status_lines(m)
    assert line.startswith("FAIL") and "start tulle-certd" in line


class StandIn:
    """Answers "status" in certd's place."""

    def __init__(self, h, answer):
        self.path, self.answer = h.path("run/tulle/certd.sock"), answer
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.listener.accept()
                with conn:
                    conn.makefile().readline()
                    conn.sendall(json.dumps({"ok": True, "result": self.answer}).encode() + b"\n")


@pytest.mark.parametrize("skew,remaining,failure,says", [
    (0, 90000, "", [("ok", "certd", "ready")]),
    (75, 90000, "", [("ok", "certd", "ready"), ("warn", "clock", "75 s behind the authority's")]),
    (-75, 90000, "", [("ok", "certd", "ready"), ("warn", "clock", "75 s ahead of the authority's")]),
    (0, 90000, "it is banned", [("ok", "certd", "ready"), ("warn", "authority", "it is banned")]),
    (0, -5, "it is banned", [("ok", "certd", "ready"), ("FAIL", "node", "has expired"), ("FAIL", "authority", "it is banned")]),
])
def test_status_says_what_a_member_should_know(world, skew, remaining, failure, says):
    h = world.host("member")
    StandIn(h, {"state": "ready", "source": "fleet", "trust_domain": "t.test", "alarms": [], "member": {
        "joined": True, "authority": "10.0.0.1:15012", "remaining": remaining, "failure": failure, "clock_skew": skew}})
    lines = status_lines(h)
    assert len(lines) == len(says), lines
    for line, (mark, what, text) in zip(lines, says):
        assert line.split()[:2] == [mark, what] and text in line


def test_a_node_whose_certificate_expired_comes_back_by_itself(lost_fleet):
    a, m = lost_fleet
    netns.wait_for(lambda: m.status()["member"]["remaining"] < -1, SHORT_ROOT / 6 + 10, every=0.5)
    assert m.ids(RELAY) == []
    a.start()
    joined(m, ["ns/default/sa/web-2"], seconds=20)
    assert a.lines("late renewal")
    assert len(m.lines("the node's certificate was not renewed")) < 20
