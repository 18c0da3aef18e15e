# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of `tulle` by which an authority is run: tokens, members, renewals."""
import json
import os
import re
import socket

import certd
import mesh
import netns
import pytest

RELAY = certd.UID["relayd"]


@pytest.fixture
def world():
    w = certd.World()
    yield w
    w.close()


@pytest.fixture
def authority(world):
    return world.host("authority", "ttl: 20s, default: ns/default/sa/web-1", authority=certd.free_port()).start()


def member(world, authority, name):
    h = world.host(name, f"source: fleet, ttl: 1h, default: ns/default/sa/{name}").start()
    assert h.tulle("join", authority.token(f"default/{name}")).returncode == 0
    netns.wait_for(lambda: h.ids(RELAY) == [f"ns/default/sa/{name}"], 5 * mesh.PATIENCE)
    return h


def members(authority):
    return json.loads(ok(authority.tulle("member", "--json")))


def ok(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def no(done, word, status=1):
    assert done.returncode == status and word in done.stderr, (done.returncode, done.stdout, done.stderr)


def test_members_are_listed(world, authority):
    assert ok(authority.tulle("member")) == "no host has joined\n"
    assert members(authority) == []
    member(world, authority, "db")
    listed, = members(authority)
    line, = ok(authority.tulle("member", "list")).splitlines()
    assert re.fullmatch(rf"{listed['node']}  {re.escape(socket.gethostname())}, \d+ days left, allows default/db; manifests: its own, or "
                        "not heard of since tulle-certd started", line)
    assert listed["accounts"] == ["default/db"] and listed["banned"] is False


@pytest.mark.san
def test_a_member_is_banned_and_served_again(world, authority):
    m = member(world, authority, "db")
    node = members(authority)[0]["node"]
    assert ok(authority.tulle("member", "ban", node)).startswith(f"banned: {node} ")
    assert members(authority)[0]["banned"] is True and ", BANNED, " in ok(authority.tulle("member"))
    refused = m.tulle("renew", "--timeout", "20s")
    assert refused.returncode == 1 and "FAILED   spiffe://certd.test/ns/default/sa/db: " in refused.stdout, refused.stdout
    assert m.ids(RELAY) == ["ns/default/sa/db"]  # what it has ends with its life
    assert json.loads(ok(authority.tulle("member", "unban", node[:8], "--json"))) == {
        "done": "unban", "node": node, "host": socket.gethostname()}
    assert "renewed  spiffe://certd.test/ns/default/sa/db, serial " in ok(m.tulle("renew"))


def test_a_forgotten_member_gets_nothing_until_it_joins_again(world, authority):
    m = member(world, authority, "db")
    assert ok(authority.tulle("member", "forget", socket.gethostname())).startswith("forgotten: ")
    assert members(authority) == []
    assert m.tulle("renew").returncode == 1
    assert m.tulle("join", authority.token("default/db")).returncode == 0
    netns.wait_for(lambda: m.tulle("renew", "--timeout", "1s").returncode == 0, 20 * mesh.PATIENCE)


def test_who_is_meant_must_be_clear(world, authority):
    for name in ("db", "cart"):
        member(world, authority, name)
    nodes = [m["node"] for m in members(authority)]
    no(authority.tulle("member", "ban", socket.gethostname()), "more than one")  # both are this machine
    no(authority.tulle("member", "ban", nodes[0][:3]), "fits no member")         # too short to be meant
    no(authority.tulle("member", "ban", "nobody"), "fits no member")
    no(authority.tulle("member", "ban"), "one member is needed", 2)
    no(authority.tulle("member", "ban", *nodes), "one member is needed", 2)
    no(authority.tulle("member", "expel", nodes[0]), "list, ban, unban or forget", 2)
    assert [m["banned"] for m in members(authority)] == [False, False]


def test_only_root_and_certd_may_change_what_there_is(world, authority):
    member(world, authority, "db")
    node = members(authority)[0]["node"]
    for args in (("member", "ban", node), ("renew",), ("token", "--revoke", "x")):
        done = authority.tulle(*args, uid=certd.WEB)
        assert done.returncode == 1 and "is for root" in done.stderr, (args, done.stderr)
    assert members(authority)[0]["banned"] is False


def test_members_are_the_authoritys(world, authority):
    m = member(world, authority, "db")
    no(m.tulle("member"), "listed on its authority")


@pytest.mark.san
def test_renew_gives_every_identity_a_new_key_and_serial(world):
    h = world.host("solo", "default: ns/default/sa/web-1")
    h.write("identities.yaml", f"- {{serviceAccount: shop/cart, match: {{uid: \"{certd.WEB}\"}}}}\n")
    h.start()
    before = {s["id"]: s["serial"] for s in h.svids(RELAY)}
    told = json.loads(ok(h.tulle("renew", "--json")))
    assert (told["failed"], told["waiting"], len(told["renewed"])) == ([], [], 2)
    after = {s["id"]: s["serial"] for s in h.svids(RELAY)}
    assert {r["id"]: r["serial"] for r in told["renewed"]} == after
    assert before.keys() == after.keys() and not set(before.values()) & set(after.values())


def test_renew_tells_when_the_authority_is_away(world, authority):
    m = member(world, authority, "db")
    serial = m.svids(RELAY)[0]["serial"]
    authority.stop()
    done = m.tulle("renew")
    assert done.returncode == 1 and "FAILED" in done.stdout and "authority" in done.stdout, done.stdout
    assert m.svids(RELAY)[0]["serial"] == serial
    no(m.tulle("renew", "--timeout", "soon"), "a duration", 2)


def test_a_token_is_taken_back(world, authority):
    made = json.loads(ok(authority.tulle("token", "--json", "--allow", "default/db")))
    assert made["id"] in ok(authority.tulle("token", "--list"))
    assert json.loads(ok(authority.tulle("token", "--revoke", made["id"], "--json"))) == {"revoked": made["id"]}
    assert "no token is open" in ok(authority.tulle("token", "--list"))
    no(authority.tulle("token", "--revoke", made["id"]), "no such token")
    h = world.host("db", "source: fleet, default: ns/default/sa/db").start()
    no(h.tulle("join", made["token"]), "refused the token")


def test_without_certd_each_verb_says_how_to_start_it(world):
    h = world.host("solo")
    for verb in (("member",), ("renew",), ("token", "--list")):
        no(h.tulle(*verb), "tulle-certd is not running")


def test_join_writes_the_trust_domain_that_init_left_open(world, authority):
    """tulle init --member without --trust-domain cannot know it; the users of the test are put in by hand."""
    h = world.host("later", "source: fleet")
    os.unlink(h.path("etc/tulle/tulle.yaml"))
    ok(h.tulle("init", "--member", "--default", "default/later"))
    made = read(h, "tulle.yaml")
    assert "# trustDomain: mesh.example" in made and "manifests: {source: authority}" in made
    users = ", ".join(f'{k}: "{v}"' for k, v in certd.UID.items())
    h.write("tulle.yaml", made + f"users: {{{users}}}\n")
    h.start()
    said = ok(h.tulle("join", authority.token("default/later")))
    assert "manifests: those that the authority publishes (manifests.source: authority)" in said
    now = read(h, "tulle.yaml")
    assert f"\ntrustDomain: {certd.DOMAIN}\n" in now and "mesh.example" not in now
    assert now.endswith(f"users: {{{users}}}\n"), "what somebody added stays"
    ok(h.tulle("reload", "certd"))


def test_join_says_what_a_written_tulle_yaml_lacks(world, authority):
    h = world.host("written", "source: fleet, default: ns/default/sa/written")
    h.configure("source: fleet, default: ns/default/sa/written", domain="")
    before = read(h, "tulle.yaml")
    h.start()
    done = h.tulle("join", authority.token("default/written"))
    assert done.returncode == 0
    assert f'names no trust domain; this host is of "{certd.DOMAIN}" now: write trustDomain: {certd.DOMAIN} there' in done.stderr
    assert "write manifests: {source: authority} into tulle.yaml" in done.stdout
    assert read(h, "tulle.yaml") == before


def read(host, name):
    with open(host.path("etc/tulle", name), encoding="utf-8") as f:
        return f.read()
