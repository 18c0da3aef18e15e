# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods as members: they join with the token of their service account, by themselves, and are who it says."""
import json
import os
import signal
import shutil
import socket
import stat
import subprocess

import certd
import mesh
import netns
import pytest
import tokens

RELAY = certd.UID["relayd"]
POD = "a0000000-0000-4000-8000-00000000000"


@pytest.fixture(scope="module")
def keys():
    return [tokens.Key("key-1"), tokens.Key("key-2"), tokens.Key("curve", kind="ec")]


@pytest.fixture()
def world():
    w = certd.World()
    yield w
    w.close()


class Cluster:
    """An authority that takes tokens of one cluster, and the pods of it."""

    def __init__(self, world, key, start=True, **issuer):
        self.world = world
        self.key = key
        self.jwks = os.path.join(world.top, "jwks.json")
        self.put(self.jwks, tokens.key_set(key))
        self.authority = world.host("authority", authority=certd.free_port(),
                                    issuers=[{"issuer": tokens.ISSUER, "jwks": self.jwks, **issuer}])
        if start:
            self.authority.start()
            self.root = self.authority.status()["root"]

    @staticmethod
    def put(path, text):
        """As kubelet writes what it projects: in one step."""
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def pod(self, name, token=None, root=None, default="only", key=None, **claims):
        """A pod with a token file; not started."""
        path = os.path.join(self.world.top, name + ".token")
        if token is None:
            token = tokens.token(key or self.key, pod=name, **claims)
        self.put(path, token)
        h = self.world.host(name, f'source: fleet, default: {default}, join: {{address: "127.0.0.1:'
                            f'{self.authority.authority}", root: "{root or self.root}", tokenFile: {path}}}')
        h.configure(h_identity(h), domain=None)
        h.token_file = path
        return h

    def members(self):
        return self.authority.status()["members"]


def h_identity(h):
    with open(h.path("etc/tulle/tulle.yaml"), encoding="utf-8") as f:
        return f.read().split("identity: {", 1)[1].split("}\nusers", 1)[0]


def has(h, ids, seconds=10):
    netns.wait_for(lambda: h.ids(RELAY) == ids, seconds)


def refused(h, sentence, seconds=10):
    """It has not joined, and says why: in status, and to whoever asks for its identity."""
    netns.wait_for(lambda: sentence in h.status()["member"].get("failure", ""), seconds)
    status = h.status()
    assert status["state"] == "not joined" and sentence in status["alarms"][0]["reason"], status
    done = h.tulle("svid", "--timeout", "500ms", uid=RELAY)
    assert done.returncode != 0 and "not joined yet" in done.stderr, done.stderr


def test_a_pod_joins_by_itself_and_is_who_its_token_says(world, keys):
    c = Cluster(world, keys[0])
    p = c.pod("web-1", uid=POD + "1").start()
    has(p, ["ns/shop/sa/web"])
    member = c.members()[0]
    assert member["host"] == "web-1" and member["accounts"] == ["shop/web"], member
    assert member["kubernetes"]["pod"] == "web-1" and member["kubernetes"]["uid"] == POD + "1", member
    assert 3000 < member["remaining"] <= 3600, member
    assert p.status()["trust_domain"] == certd.DOMAIN
    assert c.root in c.authority.tulle("status").stdout  # what an operator copies into identity.join.root
    c.authority.stop()
    done = subprocess.run([mesh.binary("tulle-certd"), "ca", "show", "--root", c.authority.root], capture_output=True, text=True)
    assert f"root {c.root}" in done.stdout, done.stderr


def test_a_token_signed_with_a_curve_will_do(world, keys):
    c = Cluster(world, keys[2])
    has(c.pod("web-1").start(), ["ns/shop/sa/web"])


def test_a_pod_that_lost_its_state_joins_again_as_the_same_member(world, keys):
    c = Cluster(world, keys[0])
    p = c.pod("web-1").start()
    has(p, ["ns/shop/sa/web"])
    before = c.members()
    p.kill()
    shutil.rmtree(p.path("var"))  # the container was started anew
    p.start()
    has(p, ["ns/shop/sa/web"])
    after = c.members()
    assert [m["node"] for m in after] == [m["node"] for m in before] and after[0]["serial"] != before[0]["serial"]
    assert after[0]["rejoins"] == 1
    assert c.authority.lines("a pod joins again with another key: its container was started anew, or its token is used twice")


def test_the_join_of_a_machine_without_anybody_there(world, keys):
    c = Cluster(world, keys[0])
    vm = c.pod("vm", token=c.authority.token("default/db") + "\n").start()
    has(vm, ["ns/default/sa/db"])
    assert "kubernetes" not in c.members()[0]


REFUSALS = {
    "wrong audience": (dict(aud=["https://kubernetes.default.svc", "vault"]),
                       'it is for audience "https://kubernetes.default.svc" and others, not "tulle"'),
    "audience as text": (dict(aud="vault"), 'it is for audience "vault", not "tulle"'),
    "expired": (dict(exp=1600000000, iat=1599990000), "it has expired,"),
    "not yet": (dict(nbf=4000000000), "it is not yet valid, for"),
    "no end": (dict(exp=None), 'it has no "exp"'),
    "a year": (dict(exp=4000000000), "it was made for "),
    "other issuer": (dict(iss="https://elsewhere.example"),
                     'its issuer "https://elsewhere.example" is none that this authority trusts'),
    "other account": (dict(sub="system:serviceaccount:shop:root"),
                      'its subject and its "kubernetes.io" name different accounts'),
    "no pod": ({"kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "web", "uid": "5a5a-web"}}},
               'it is bound to no pod, and authority.kubernetes does not say "unbound: true" for its issuer'),
    "no account": (dict(sub="user"), 'its subject is "user": it is not the token of a service account'),
}


@pytest.mark.parametrize("what", sorted(REFUSALS))
def test_a_token_that_is_not_good_is_refused_with_the_reason_at_both_ends(world, keys, what):
    changes, sentence = REFUSALS[what]
    c = Cluster(world, keys[0])
    p = c.pod("web-1", **changes).start()
    refused(p, "the authority refuses the token: " + sentence)
    assert sentence in c.authority.wait("refused a host")["reason"]
    assert c.members() == []


def test_a_token_that_is_bound_to_no_pod_is_taken_where_the_issuer_says_so(world, keys):
    c = Cluster(world, keys[0], unbound=True)
    has(c.pod("job", **REFUSALS["no pod"][0]).start(), ["ns/shop/sa/web"])
    assert c.members()[0]["kubernetes"]["uid"] == "", c.members()


def test_many_pods_behind_one_address_join_at_once_and_bad_tokens_are_slowed_down(world, keys):
    """Sixteen good ones are more than a stranger's ten; of sixteen bad ones some are told to come back later."""
    c = Cluster(world, keys[0])
    good = [c.pod(f"web-{i}", uid=f"{POD}-{i}").start() for i in range(16)]
    for p in good:
        has(p, ["ns/shop/sa/web"], 20)
    seen = c.authority.status()["server"]
    assert seen["joins"] == 16 and seen["denied"] == 0, seen
    bad = [c.pod(f"bad-{i}", key=keys[1], uid=f"{POD}-b{i}").start() for i in range(16)]
    netns.wait_for(lambda: any("too many calls" in p.status()["member"].get("failure", "") for p in bad), 20)
    assert len(c.members()) == 16


def test_a_token_of_an_unknown_key_is_refused_until_the_key_set_has_it(world, keys):
    c = Cluster(world, keys[0])
    p = c.pod("web-1", key=keys[1]).start()
    refused(p, 'it is signed by a key that the issuer\'s key set does not have (kid "key-2")')
    c.put(c.jwks, tokens.key_set(keys[0], keys[1]))  # the cluster rolls its keys over
    has(p, ["ns/shop/sa/web"], 20)


def test_a_bad_key_set_leaves_the_old_one_and_is_an_alarm(world, keys):
    c = Cluster(world, keys[0])
    c.put(c.jwks, '{"keys": [')
    has(c.pod("web-1").start(), ["ns/shop/sa/web"])
    assert "not JSON" in c.authority.status()["issuers"][0]["error"]
    assert len(c.authority.lines("the keys of an issuer cannot be used: what was known before stays")) == 1


def test_another_root_than_the_pinned_one_gets_no_token(world, keys):
    c = Cluster(world, keys[0])
    p = c.pod("web-1", root="sha256:" + "00" * 32).start()
    refused(p, "authority 127.0.0.1:")
    assert c.authority.lines("refused a host") == []


def test_several_accounts_are_no_only_one(world, keys):
    c = Cluster(world, keys[0])
    vm = c.pod("vm", token=c.authority.token("default/db", "default/web")).start()
    sentence = 'identity.default is "only", but this host may have 2 accounts'
    assert sentence in vm.wait("there is no default identity")["reason"]
    assert sentence in vm.status()["alarms"][0]["reason"] and vm.ids(RELAY) == []


# ---- key sets from a URL -----------------------------------------------------


class Web:
    """nginx with https for localhost, that shows its key set to who brings the right bearer token."""

    def __init__(self, world, secret="s3cret"):
        self.folder = os.path.join(world.top, "web")
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        self.port, self.proc = certd.free_port(), None
        at = lambda n: os.path.join(self.folder, n)
        self.ca, self.document, self.token = at("cert.pem"), at("jwks"), at("bearer")
        tokens.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", at("key.pem"), "-out", self.ca, "-days", "2",
                       "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        with open(self.token, "w", encoding="utf-8") as f:
            f.write(secret + "\n")
        os.chmod(self.token, 0o644)
        with open(at("nginx.conf"), "w", encoding="utf-8") as f:
            f.write(f"""daemon off; worker_processes 1; pid {at("pid")}; error_log stderr warn; user root;
events {{ worker_connections 64; }}
http {{ access_log {at("access.log")};
 {" ".join(f"{k}_temp_path {at(k)};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))}
 server {{ listen 127.0.0.1:{self.port} ssl; ssl_certificate {self.ca}; ssl_certificate_key {at("key.pem")}; root {self.folder};
  location / {{ if ($http_authorization != "Bearer {secret}") {{ return 401; }} }} }} }}
""")

    def start(self):
        self.proc = subprocess.Popen(["nginx", "-p", self.folder, "-c", os.path.join(self.folder, "nginx.conf")])
        netns.wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) == 0)
        return self

    def stop(self):
        if self.proc:
            self.proc.terminate()
            self.proc.wait()
            self.proc = None

    def asked(self):
        with open(os.path.join(self.folder, "access.log"), encoding="utf-8") as f:
            return len(f.readlines())


@pytest.fixture()
def web(world):
    w = Web(world)
    yield w
    w.stop()


def from_url(world, web, key, **issuer):
    c = Cluster(world, key, start=False, jwksCA=web.ca, jwksTokenFile=web.token, **issuer)
    c.authority.issuers[0]["jwks"] = f"https://localhost:{web.port}/jwks"
    c.authority.configure()
    c.authority.start()
    c.root = c.authority.status()["root"]
    return c


def issuer_of(c):
    return c.authority.status()["issuers"][0]


def test_a_key_set_from_a_url_follows_the_cluster_and_outlives_it(world, web, keys):
    Cluster.put(web.document, tokens.key_set(keys[0]))
    web.start()
    c = from_url(world, web, keys[0])
    netns.wait_for(lambda: issuer_of(c)["keys"] == 1)
    has(c.pod("web-1").start(), ["ns/shop/sa/web"])
    # A new key: asked for as soon as a token names it, and not once for each token.
    Cluster.put(web.document, tokens.key_set(keys[0], keys[1]))
    p = c.pod("web-2", key=keys[1], uid="uid-2").start()
    has(p, ["ns/shop/sa/web"], 40)
    assert 2 <= web.asked() <= 5
    # The cluster is away, and this host starts: the last good keys are there.
    web.stop()
    c.authority.stop()
    c.authority.start()
    assert issuer_of(c)["keys"] == 2
    has(c.pod("web-3", uid="uid-3").start(), ["ns/shop/sa/web"])


def test_a_url_that_does_not_deliver_is_told_and_does_not_stop_the_authority(world, web, keys):
    c = from_url(world, web, keys[0])
    netns.wait_for(lambda: issuer_of(c)["error"])
    p = c.pod("web-1").start()
    refused(p, "the authority has no keys of its issuer at present", 30)
    Cluster.put(web.document, tokens.key_set(keys[0]))
    Cluster.put(web.token, "wrong")
    web.start()
    netns.wait_for(lambda: "the server answers 401, not 200" in issuer_of(c)["error"], 30)
    Cluster.put(web.token, "s3cret")
    netns.wait_for(lambda: issuer_of(c)["keys"] == 1, 30)
    has(c.pod("web-2", uid="uid-2").start(), ["ns/shop/sa/web"])
    assert issuer_of(c)["error"] == ""


def test_a_url_that_another_ca_vouches_for_is_not_believed(world, web, keys):
    Cluster.put(web.document, tokens.key_set(keys[0]))
    web.start()
    pem, _ = certd.openssl_root(os.path.join(world.top, "ca"), "other", "20200101000000Z", "20300101000000Z")
    os.chmod(os.path.dirname(pem), 0o755)
    os.chmod(pem, 0o644)
    web.ca = pem
    c = from_url(world, web, keys[0])
    netns.wait_for(lambda: issuer_of(c)["error"])
    assert issuer_of(c)["keys"] == 0 and "no signer" in issuer_of(c)["error"], issuer_of(c)


# ---- sockets for pods without a certd -----------------------------------------


def socket_of(h, name):
    return h.path("run/tulle/identity/pods", name, "workload.sock")


def at_socket(h, name, uid=None, path=None):
    done = h.tulle("svid", "--json", "--timeout", "500ms", "--socket", path or socket_of(h, name), uid=uid)
    return [s["id"].split("/", 3)[3] for s in json.loads(done.stdout)["svids"]] if done.returncode == 0 else done.stderr


POD_SOCKETS = """- {serviceAccount: shop/cart, match: {socket: c1}}
- {serviceAccount: shop/db, match: {socket: d1}}
- {serviceAccount: shop/host, match: {uid: 7720}}
"""


def node(world):
    h = world.host("node", "default: ns/shop/sa/node")
    h.write("identities.yaml", POD_SOCKETS)
    return h


def test_each_pods_socket_gives_the_one_identity_and_follows_a_reload(world):
    h = node(world).start()
    netns.wait_for(lambda: at_socket(h, "c1") == ["ns/shop/sa/cart"])
    assert at_socket(h, "d1") == ["ns/shop/sa/db"]
    # The host's own: its relay gets neither, and nobody else is anybody by having the path.
    assert sorted(h.ids(RELAY)) == ["ns/shop/sa/host", "ns/shop/sa/node"]
    assert "shop" not in at_socket(h, "c1", uid=certd.WEB)
    folder = h.path("run/tulle/identity/pods")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(os.path.join(folder, "c1")).st_mode) == 0o755
    assert stat.S_IMODE(os.stat(socket_of(h, "c1")).st_mode) == 0o666
    # A pod goes, another comes.
    h.write("identities.yaml", POD_SOCKETS.replace("d1", "d2"))
    assert h.tulle("reload", "certd").returncode == 0
    netns.wait_for(lambda: at_socket(h, "d2") == ["ns/shop/sa/db"])
    assert sorted(os.listdir(folder)) == ["c1", "d2"] and at_socket(h, "c1") == ["ns/shop/sa/cart"]
    # What an earlier run left is gone, what stays is served again in the same folder: that one is mounted.
    inode = os.stat(os.path.join(folder, "c1")).st_ino
    h.stop()
    h.write("identities.yaml", POD_SOCKETS.replace("d1", "d3"))
    h.start()
    netns.wait_for(lambda: at_socket(h, "c1") == ["ns/shop/sa/cart"])
    assert sorted(os.listdir(folder)) == ["c1", "d3"] and os.stat(os.path.join(folder, "c1")).st_ino == inode


def test_a_caller_without_a_number_is_served_at_a_pods_socket_and_only_there(world):
    h = node(world).start(wrap=["unshare", "--pid", "--fork"])  # certd sees no process of ours
    mounted = os.path.join(world.top, "mounted")  # what a pod has, whose users may go there
    os.symlink(os.path.dirname(socket_of(h, "c1")), mounted)
    netns.wait_for(lambda: at_socket(h, "c1", path=mounted + "/workload.sock") == ["ns/shop/sa/cart"])
    done = h.tulle("svid", "--timeout", "500ms")
    assert done.returncode != 0 and "namespace" in done.stderr, done.stderr
    # unshare ends with its child, and not the other way round (--kill-child is undone by the change of user).
    with open(f"/proc/{h.proc.pid}/task/{h.proc.pid}/children", encoding="ascii") as f:
        os.kill(int(f.read()), signal.SIGTERM)
    assert h.proc.wait(10) == 0


@pytest.mark.parametrize("entry, sentence", [
    ("{serviceAccount: a/b, match: {socket: ../x}}", 'match.socket: is "../x"; a name (letters, digits, ., - and _, at most 63 bytes) is needed'),
    ("{serviceAccount: a/b, match: {socket: .x}}", "a name (letters"),
    ("{serviceAccount: a/b, match: {socket: x, uid: 0}}", "match.socket: stands alone"),
    ("{serviceAccount: a/b, match: {socket: c1}}", 'match.socket: "c1" is the socket of line 1 already'),
])
def test_a_socket_that_is_not_right_is_named_and_the_old_ones_stay(world, entry, sentence):
    h = node(world).start()
    netns.wait_for(lambda: at_socket(h, "c1") == ["ns/shop/sa/cart"])
    h.write("identities.yaml", POD_SOCKETS + "- " + entry + "\n")
    done = h.tulle("reload", "certd")
    assert done.returncode != 0 and sentence in done.stderr and "identities.yaml:4:" in done.stderr, done.stderr
    assert at_socket(h, "c1") == ["ns/shop/sa/cart"] and sorted(os.listdir(h.path("run/tulle/identity/pods"))) == ["c1", "d1"]
