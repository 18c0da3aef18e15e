# SPDX-License-Identifier: GPL-3.0-or-later
"""Steering: the rules themselves. Applied twice, half applied, changed by hand, left over, locked, and taken away."""
import fcntl
import json
import shutil
import socket
import subprocess
import sys

import pytest

import netns
import rules
from rules import ABSENT, DRIFT, EQUAL, FAILED, REFUSED, RESIDUE, Host

BOTH = [socket.AF_INET, socket.AF_INET6]

FOREIGN = """*nat
:FOREIGN - [0:0]
-A PREROUTING -p tcp --dport 9 -j FOREIGN
-A OUTPUT -d {block} -j FOREIGN
-A FOREIGN -m comment --comment "rules of others; -j TULLE_OUT is only talk" -j RETURN
COMMIT
*filter
-A INPUT -p tcp --dport 7 -j ACCEPT
-A OUTPUT -m comment --comment "-A INPUT \\"-j TULLE_IN" -j ACCEPT
COMMIT
*mangle
-A INPUT -p udp --dport 7 -j ACCEPT
COMMIT
"""


@pytest.fixture(params=["nft", "legacy"])
def backend(request):
    return request.param


@pytest.fixture
def host(tmp_path, backend):
    with netns.namespace(netns.unique("nfs")) as ns:
        # A link that goes nowhere, so that IPv6 is in use.
        ns.run("ip", "-batch", "-", input="link add eth0 type veth peer name eth1\nlink set eth1 up\naddr add fd77::1/64 dev eth0 nodad\n"
                                          "addr add 10.77.0.1/24 dev eth0\nlink set eth0 up\n")
        yield Host(ns, tmp_path, backend)


def add_foreign(host):
    for family, block in zip(BOTH, ("10.9.0.0/16", "fd09::/16")):
        host.tool(family, "-restore", "--noflush", input=FOREIGN.format(block=block))


def other(backend):
    return "legacy" if backend == "nft" else "nft"


# ---- the same again ----

def test_applied_three_times_is_applied_once(host):
    assert "applied" in host.apply()
    first = host.dump()
    assert "unchanged" in host.apply()
    assert "unchanged" in host.apply()
    assert host.dump() == first
    for hook in ("-A OUTPUT -j TULLE_OUT", "-A PREROUTING -j TULLE_IN", "-A INPUT -j TULLE_ANCHOR"):
        assert first.count(hook + "\n") == 2, first  # one a family
    host.check(EQUAL)


def test_every_capture_rule_takes_first_packets_only(host):
    host.apply()
    redirects = [line for line in host.dump().splitlines() if "REDIRECT" in line]
    assert len(redirects) == 4
    assert all("FIN,SYN,RST,ACK SYN" in line for line in redirects)


def test_a_new_configuration_is_drift_until_it_is_applied(host):
    host.apply()
    host.configure("capture: {exclude: {ports: [2525]}}\n")
    said = host.check(DRIFT)
    assert "configuration has changed" in said and "2525" in said
    host.apply()
    host.check(EQUAL)


def test_plan_prints_what_apply_loads_and_touches_nothing(host):
    before = host.dump()
    plan = host.nfrules("plan", status=0)
    assert host.dump() == before
    host.apply()
    now = host.dump()
    for line in plan.splitlines():
        if line.startswith("-A TULLE_"):
            assert line in now
    report = json.loads(host.nfrules("plan", "--json", status=0))
    assert report["families"]["IPv4"]["state"] == "equal"
    # The plan is real restore input: loaded by hand it gives the same rules, less the record of the apply.
    host.nfrules("remove", "--now", status=0)
    for family, name in zip(BOTH, ("IPv4", "IPv6")):
        host.tool(family, "-restore", "--noflush", input=report["families"][name]["restore"])
    assert "record" in host.check(DRIFT)


def test_two_at_once_are_as_one(host):
    host.apply()
    wanted = host.dump()
    host.nfrules("remove", "--now", status=0)
    running = [host.ns.popen(rules.NFRULES, "--root", str(host.root), "apply") for _ in range(4)]
    said = [p.communicate(timeout=30)[0].strip() for p in running]
    assert [p.returncode for p in running] == [0] * 4, said
    assert sorted(said) == ["applied"] + ["unchanged"] * 3
    assert host.dump() == wanted


def test_an_init_container_needs_no_more_than_two_capabilities(host):
    done = host.ns.run("setpriv", "--bounding-set=-all,+net_admin,+net_raw", "--no-new-privs", rules.NFRULES, "--root",
                       str(host.root), "apply")
    assert "applied" in done.stdout
    host.check(EQUAL)


def test_without_root_it_says_so(host):
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = host.ns.run("sh", "-c", f"cd / && exec {' '.join(user)} {rules.NFRULES} apply", check=False)
    assert done.returncode == REFUSED and "needs root" in done.stderr


def test_the_same_through_the_command_for_people(host):
    tulle = str(rules.BUILD / "tulle")
    root = ["--root", str(host.root)]
    assert "TULLE_OUT" in host.ns.run(tulle, "rules", "plan", *root).stdout
    assert host.ns.run(tulle, "rules", *root, check=False).returncode == ABSENT
    host.apply()
    done = host.ns.run(tulle, "rules", "check", "--json", *root)
    assert json.loads(done.stdout)["state"] == "equal"
    assert host.ns.run(tulle, "rules", "apply", *root, check=False).returncode == REFUSED


# ---- half applied, changed by hand ----

def half_anchor_only(host):
    """Killed after the first commit: the anchor says that it did not finish."""
    for family in BOTH:
        host.tool(family, "-restore", "--noflush", input=(
            "*mangle\n:TULLE_ANCHOR - [0:0]\n-A TULLE_ANCHOR -m conntrack --ctstate INVALID -m comment --comment "
            f'"tulle:1:{host.backend}:{"0" * 32}:pending"\n-A INPUT -j TULLE_ANCHOR\nCOMMIT\n'))
    return DRIFT


def half_one_family(host):
    host.apply()
    host.tool(socket.AF_INET, "", "-t", "nat", "-D", "OUTPUT", "-j", "TULLE_OUT")
    host.tool(socket.AF_INET, "", "-t", "nat", "-D", "PREROUTING", "-j", "TULLE_IN")
    for chain in ("TULLE_OUT", "TULLE_IN"):
        host.tool(socket.AF_INET, "", "-t", "nat", "-F", chain)
        host.tool(socket.AF_INET, "", "-t", "nat", "-X", chain)
    return DRIFT


def half_before_the_record(host):
    """Killed before the last commit: all is there, but the anchor does not know."""
    host.apply()
    for family in BOTH:
        host.tool(family, "-restore", "--noflush", input=(
            "*mangle\n:TULLE_ANCHOR - [0:0]\n-A TULLE_ANCHOR -m conntrack --ctstate INVALID -m comment --comment "
            f'"tulle:1:{host.backend}:{"0" * 32}:pending"\nCOMMIT\n'))
    return DRIFT


def half_chains_without_jumps(host):
    for family in BOTH:
        host.tool(family, "-restore", "--noflush", input="*nat\n:TULLE_OUT - [0:0]\n-A TULLE_OUT -o lo -j RETURN\nCOMMIT\n")
    return ABSENT


def half_two_jumps(host):
    host.apply()
    host.tool(socket.AF_INET6, "", "-t", "nat", "-A", "OUTPUT", "-j", "TULLE_OUT")
    host.tool(socket.AF_INET6, "", "-t", "nat", "-A", "OUTPUT", "-j", "TULLE_OUT")
    return DRIFT


@pytest.mark.parametrize("half", [half_anchor_only, half_one_family, half_before_the_record, half_chains_without_jumps,
                                  half_two_jumps])
def test_half_applied_is_told_and_repaired(host, half):
    add_foreign(host)
    host.check(half(host))
    host.apply()
    host.check(EQUAL)
    wanted = host.dump()
    host.nfrules("remove", "--now", status=0)
    host.apply()
    assert host.dump() == wanted


def flush(host, family):
    host.tool(family, "", "-t", "nat", "-F")
    return "missing     nat OUTPUT -j TULLE_OUT"


def flush_both(host, _):
    for family in BOTH:
        flush(host, family)
    return "missing     nat PREROUTING -j TULLE_IN"


def flush_chain(host, family):
    host.tool(family, "", "-t", "nat", "-F", "TULLE_IN")
    return "missing     nat TULLE_IN"


def delete_jump(host, family):
    host.tool(family, "", "-t", "nat", "-D", "OUTPUT", "-j", "TULLE_OUT")
    return "missing     nat OUTPUT -j TULLE_OUT"


def insert_before_the_jump(host, family):
    host.tool(family, "", "-t", "nat", "-I", "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")
    return "not-first   nat OUTPUT -j TULLE_OUT"


def delete_rule(host, family):
    host.tool(family, "", "-t", "nat", "-D", "TULLE_OUT", "1")
    return f"missing     nat TULLE_OUT -m owner --uid-owner {rules.RELAY}"


def add_rule(host, family):
    host.tool(family, "", "-t", "nat", "-I", "TULLE_OUT", "-j", "RETURN")
    return "unexpected  nat TULLE_OUT -j RETURN"


def reorder(host, family):
    host.tool(family, "", "-t", "nat", "-D", "TULLE_IN", "-i", "lo", "-j", "RETURN")
    host.tool(family, "", "-t", "nat", "-A", "TULLE_IN", "-i", "lo", "-j", "RETURN")
    return "order       nat TULLE_IN"


def delete_anchor(host, family):
    host.tool(family, "", "-t", "mangle", "-F", "TULLE_ANCHOR")
    return "record"


@pytest.mark.parametrize("family", BOTH, ids=["v4", "v6"])
@pytest.mark.parametrize("by_hand", [flush, flush_both, flush_chain, delete_jump, insert_before_the_jump, delete_rule,
                                     add_rule, reorder, delete_anchor])
def test_changed_by_hand_is_told_and_repaired(host, family, by_hand):
    host.apply()
    wanted = host.dump()
    assert "drift" not in host.check(EQUAL)
    told = by_hand(host, family)
    changed = host.dump()
    assert told in host.check(DRIFT)
    assert host.dump() == changed
    assert "applied" in host.apply()
    host.check(EQUAL)
    if by_hand is insert_before_the_jump:
        host.tool(family, "", "-t", "nat", "-D", "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")
    assert host.dump() == wanted


def test_the_ruleset_flushed_by_nftables_service(host):
    if host.backend != "nft":
        pytest.skip("flush ruleset leaves legacy rules alone")
    host.apply()
    wanted = host.dump()
    host.tool(socket.AF_INET, "", "-t", "mangle", "-F")
    for table in ("mangle", "nat"):
        for family in BOTH:
            host.tool(family, "-restore", input=f"*{table}\nCOMMIT\n")
    assert "took them away" in host.check(DRIFT)
    host.apply()
    assert host.dump() == wanted


def test_check_tells_scripts(host):
    host.apply()
    report = json.loads(host.nfrules("check", "--json", status=EQUAL))
    assert report["state"] == "equal" and report["differences"] == []
    delete_jump(host, socket.AF_INET)
    report = json.loads(host.nfrules("check", "--json", status=DRIFT))
    assert report["families"]["IPv4"]["state"] == "drift" and report["families"]["IPv6"]["state"] == "equal"
    assert report["differences"] == [{"family": "IPv4", "difference": "missing", "table": "nat", "chain": "OUTPUT",
                                      "rule": "-j TULLE_OUT"}]


# ---- others' rules, and nothing left behind ----

def test_remove_leaves_the_dump_as_it_was(host):
    add_foreign(host)
    before = host.dump()
    host.configure("capture: {failClosed: true}\n")
    host.apply()
    host.check(EQUAL)
    assert host.dump() != before
    assert "removed" in host.nfrules("remove", status=0)
    assert host.dump() == before
    assert "nothing to remove" in host.nfrules("remove", status=0)
    host.check(ABSENT)


def test_apply_and_repair_leave_the_rules_of_others_alone(host):
    add_foreign(host)
    foreign = [line for line in host.dump().splitlines() if "TULLE_OUT" not in line or "talk" in line]
    host.apply()
    host.tool(socket.AF_INET, "", "-t", "nat", "-F", "TULLE_OUT")
    host.apply()
    now = host.dump().splitlines()
    assert [line for line in foreign if line not in now] == []


def test_remove_needs_no_configuration(host):
    host.apply()
    (host.root / "etc/tulle/tulle.yaml").write_text("- this is: [broken\n", encoding="utf-8")
    assert "removed" in host.nfrules("remove", status=0)
    assert "TULLE" not in host.dump()


def kernel(host):
    """All that nft and both iptables say of the namespace.  The legacy tool is only run where it would create nothing."""
    said = [host.ns.run("nft", "--stateless", "list", "ruleset").stdout]
    for names in ("ip_tables_names", "ip6_tables_names"):
        said.append(host.ns.run("sh", "-c", f"cat /proc/net/{names} 2>/dev/null", check=False).stdout)
    if any(said[1:]):
        said.append(host.dump("legacy"))
    return said + [host.dump("nft")]


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft, of the package nftables, is missing")
@pytest.mark.parametrize("others", [False, True], ids=["empty", "with rules of others"])
def test_remove_where_nothing_was_applied_touches_nothing(host, others):
    """Not even a table: what looks at the rules, and what would take them away, must not create what it looks for."""
    if others:
        add_foreign(host)
    before = kernel(host)
    for args in (["remove"], ["remove", "--now"], ["remove", "--json"]):
        assert "nothing to remove" in host.nfrules(*args, status=0)
        assert kernel(host) == before


def test_remove_takes_away_what_an_older_version_left(host):
    add_foreign(host)
    before = host.dump()
    for family in BOTH:
        host.tool(family, "-restore", "--noflush", input=(
            "*nat\n:TULLE_OLD - [0:0]\n:TULLE_OLDER - [0:0]\n-A TULLE_OLD -p tcp -j TULLE_OLDER\n-A TULLE_OLDER -j RETURN\n"
            "-I OUTPUT 1 -p tcp -j TULLE_OLD\n-A FOREIGN -p tcp -j TULLE_OLDER\n-A OUTPUT -g TULLE_OLDER\nCOMMIT\n"))
    host.nfrules("remove", status=0)
    assert host.dump() == before


def test_rules_of_another_version_are_told_and_replaced(host):
    for family in BOTH:
        host.tool(family, "-restore", "--noflush", input=(
            "*mangle\n:TULLE_ANCHOR - [0:0]\n:TULLE_OLD - [0:0]\n-A TULLE_ANCHOR -m conntrack --ctstate INVALID -m comment "
            '--comment "tulle:9:whatever it means"\n-A INPUT -j TULLE_ANCHOR\n-A INPUT -j TULLE_OLD\nCOMMIT\n'))
    assert "another version" in host.check(RESIDUE)
    host.apply()
    host.check(EQUAL)
    assert "TULLE_OLD" not in host.dump()


def test_rules_in_the_other_backend_are_residue(host, backend):
    host.apply()
    host.configure(f"steering: {{backend: {other(backend)}}}\n")
    said = host.check(RESIDUE)
    assert "remove" in said
    assert "remove" in host.nfrules("apply", status=REFUSED)
    host.nfrules("remove", status=0)
    host.apply()
    host.check(EQUAL)
    assert "TULLE" not in host.dump() and "TULLE" in host.dump(other(backend))


# ---- the backend ----

def test_the_backend_is_remembered(host, backend):
    host.apply()
    host.configure("", backend=False)
    host.check(EQUAL)
    assert "unchanged" in host.apply()


def test_legacy_is_chosen_where_others_use_it(host):
    if host.backend == "nft":
        pytest.skip("one backend is enough")
    add_foreign(host)
    host.configure("", backend=False)
    host.apply()
    assert "TULLE" in host.dump("legacy") and "TULLE" not in host.dump("nft")


def test_looking_creates_no_legacy_table(host):
    """The legacy tool creates the table that it is asked for, and the next look would find it in use."""
    host.configure("", backend=False)
    for _ in range(2):
        host.check(ABSENT)
        host.nfrules("plan", status=0)
    host.nfrules("remove", status=0)
    assert host.ns.run("cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names").stdout == ""
    host.apply()
    assert "TULLE" in host.dump("nft")


# ---- a mistake in the file at a boot ----

GUARD = "TULLE_GUARD_OUT"


def boot(host):
    """What tulle-hold does, after the kernel has forgotten everything."""
    host.nfrules("remove", "--now", "--root", str(host.root / "none"), status=0)  # which leaves the notes of this root alone
    return host.nfrules("apply", "--if-closed", status=None), host.dump()


def test_what_failed_closed_does_so_at_a_boot_with_a_mistake_in_the_file(host):
    copy = host.root / "var/lib/tulle/rules/last-good.yaml"
    closed = "capture: {failClosed: true, exclude: {ports: [2525]}}\n"
    host.configure(closed)
    host.apply()
    assert copy.stat().st_mode & 0o777 == 0o600 and "failClosed" in copy.read_text(encoding="utf-8")
    host.configure("capture: {failClosed: true, exclude: {ports: [2626]}}\ntrustDomian: x\n")
    said, dump = boot(host)
    assert "trustDomian" in said and "last-good.yaml" in said and "mend" in said, said
    assert GUARD in dump and "2525" in dump
    assert "2525" in copy.read_text(encoding="utf-8")  # what is broken is not kept
    host.nfrules("apply", status=REFUSED)              # nobody else takes the copy
    host.configure("")                                 # open on purpose: nothing is closed any more
    host.apply()
    assert not copy.exists() and GUARD not in host.dump()
    host.configure("trustDomian: x\n")
    said, dump = boot(host)
    assert GUARD not in dump and "TULLE" not in dump


def test_rules_that_were_removed_do_not_come_back_closed(host):
    copy = host.root / "var/lib/tulle/rules/last-good.yaml"
    host.configure("capture: {failClosed: true}\n")
    host.apply()
    host.nfrules("remove", "--unless-closed", status=0)
    assert copy.exists()  # they stay, and so does it
    host.nfrules("remove", status=0)
    assert not copy.exists()


def test_a_copy_that_is_not_roots_is_not_taken(host):
    host.configure("capture: {failClosed: true}\n")
    host.apply()
    shutil.chown(host.root / "var/lib/tulle/rules/last-good.yaml", rules.RELAY)
    host.configure("trustDomian: x\n")
    said, dump = boot(host)
    assert "TULLE" not in dump, said


# ---- the lock, and what fails ----

def hold_lock(tmp_path):
    f = open(tmp_path / "xtables.lock", "w", encoding="ascii")  # pylint: disable=consider-using-with
    fcntl.flock(f, fcntl.LOCK_EX)
    return f


def test_a_held_lock_is_a_bounded_failure(host, tmp_path, monkeypatch):
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "xtables.lock"))
    with hold_lock(tmp_path):
        if host.backend == "nft":  # takes no lock
            host.apply()
            return
        said = host.nfrules("apply", status=FAILED)
        assert "lock" in said and "nothing was changed" in said
        host.check(ABSENT)
    host.apply()


def test_a_lock_given_back_in_time_is_waited_for(host, tmp_path, monkeypatch):
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "xtables.lock"))
    if host.backend == "nft":
        pytest.skip("nft takes no lock")
    lock = hold_lock(tmp_path)
    applying = host.ns.popen(rules.NFRULES, "--root", str(host.root), "apply")
    with pytest.raises(subprocess.TimeoutExpired):
        applying.wait(1.2)
    lock.close()
    said, _ = applying.communicate(timeout=10)
    assert applying.returncode == 0, said
    host.check(EQUAL)


def folder_in_the_place_of(lock):
    lock.mkdir(parents=True)


def link_in_the_place_of(lock):
    lock.parent.mkdir(parents=True)
    (lock.parent / "elsewhere").touch()
    lock.symlink_to("elsewhere")


def file_above(lock):
    lock.parent.parent.mkdir(parents=True)
    lock.parent.touch()


@pytest.mark.parametrize("wrong, why", [(folder_in_the_place_of, "Is a directory"), (link_in_the_place_of, "symbolic link"),
                                        (file_above, "Not a directory")])
def test_a_lock_that_cannot_be_taken_is_an_error(host, wrong, why):
    """Without the lock two could change the rules at once: that is said, not risked."""
    wrong(host.root / "run/tulle/nfrules.lock")
    before = host.dump()
    for verb in ("apply", "remove"):
        said = host.nfrules(verb, status=FAILED)
        assert f"{host.root}/run/tulle/nfrules.lock" in said and why in said and "nothing was changed" in said, said
    assert '"result": "no lock"' in host.nfrules("apply", "--json", status=FAILED)
    assert host.dump() == before


HOLD = """import fcntl, os, sys, time
os.setuid({uid})
os.umask(0)
lock = "{lock}"
if "{kind}" == "folder":
    os.makedirs(lock + "/full")
    f = os.open(lock, os.O_RDONLY)
else:
    f = os.open(lock, os.O_RDWR | os.O_CREAT)
    os.write(f, b"{note}")
fcntl.flock(f, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_daemon_cannot_keep_root_from_its_rules_by_holding_the_lock(host, kind):
    """/run/tulle is every daemon's: one that was broken into makes the lock first, holds it, and forges the note in it."""
    run = host.root / "run/tulle"
    run.mkdir(parents=True)
    for path in (host.root, *list(host.root.parents)[:-2]):
        path.chmod(0o755)
    shutil.chown(run, 0, rules.CERTD)
    run.chmod(0o1775)
    holder = host.ns.popen("setpriv", f"--regid={rules.CERTD}", "--clear-groups", sys.executable, "-c", HOLD.format(
        uid=rules.RELAY, lock=run / "nfrules.lock", kind=kind, note="applied 1700000000"))
    try:
        assert holder.stdout.readline().strip() == "held"
        assert "not applied" in host.nfrules("repair", status=0)  # the note is nobody's
        # as the unit runs it: root without the right to ignore modes
        done = host.ns.run("setpriv", "--bounding-set=-all,+net_admin,+net_raw", rules.NFRULES, "--root", str(host.root), "apply")
        assert "applied" in done.stdout
        assert (run / "nfrules.lock").stat().st_uid == 0
        host.check(EQUAL)
        assert "removed" in host.nfrules("remove", "--now", status=0)
        assert "TULLE" not in host.dump()
    finally:
        holder.kill()
        holder.communicate()


def test_on_a_read_only_disk_it_goes_on_without_a_lock_and_says_so(host):
    """An init container with a read-only root: nobody else can hold a lock there either."""
    (host.root / "run").mkdir()
    read_only = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o ro none {host.root}/run && exec "$@"', "sh"]
    done = host.ns.run(*read_only, rules.NFRULES, "--root", str(host.root), "apply")
    assert "applied" in done.stdout and "read-only" in done.stderr and "without the lock" in done.stderr
    host.check(EQUAL)


def with_tool_that_refuses(host, word, tool="restore"):
    """A command prefix: inside, iptables-restore for IPv4 refuses input with <word> in it. Only for that process tree."""
    multi = f"/usr/sbin/xtables-{host.backend}-multi"
    real, fake = host.root / "multi", host.root / "fake"
    shutil.copy(multi, real)
    fake.write_text(f"""#!/bin/bash
if [ "${{0##*/}}" != iptables-{host.backend}-{tool} ]; then exec -a "$0" {real} "$@"; fi
input=$(cat)
if [[ $input == *"{word}"* ]]; then echo refused by the test >&2; exit 1; fi
(exec -a "$0" {real} "$@") <<<"$input"
""", encoding="utf-8")
    fake.chmod(0o755)
    return ["unshare", "-m", "sh", "-c", f'mount --bind {fake} {multi} && exec "$@"', "sh"]


@pytest.mark.parametrize("before", ["nothing", "older plan"])
def test_a_failure_half_way_takes_everything_back(host, before):
    """The last commit but the record fails, after all of IPv6 and two tables of IPv4 were changed."""
    add_foreign(host)
    if before == "older plan":
        host.configure("capture: {exclude: {ports: [2525]}}\n")
        host.apply()
    dump = host.dump()
    host.configure("capture: {failClosed: true}\n")
    said = host.ns.run(*with_tool_that_refuses(host, "multiport --dports 22,15008,15012 -j RETURN\n-A TULLE_OUT -o lo"),
                       rules.NFRULES, "--root", str(host.root), "apply", check=False)
    assert said.returncode == FAILED, said.stdout + said.stderr
    assert "refused by the test" in said.stderr and "everything was taken back" in said.stderr
    assert host.dump() == dump
    host.apply()
    host.check(EQUAL)


def test_ipv6_that_cannot_be_steered_refuses_all_or_is_left_alone(host):
    """No silent bypass: where IPv6 is in use, its failure is a refusal; where it is not, a note."""
    prefix = with_tool_that_refuses(host, "*nat")
    script = host.root / "fake"
    script.write_text(script.read_text(encoding="utf-8").replace("!= iptables-", "!= ip6tables-"), encoding="utf-8")
    command = [*prefix, rules.NFRULES, "--root", str(host.root), "apply"]
    said = host.ns.run(*command, check=False)
    assert said.returncode == REFUSED and "ipv6: off" in said.stderr
    assert "TULLE" not in host.dump()
    host.ns.run("ip", "-6", "addr", "flush", "dev", "eth0")
    host.ns.run("ip", "-6", "addr", "flush", "dev", "eth1")
    said = host.ns.run(*command)
    assert "IPv6 is not in use here" in said.stderr
    host.check(EQUAL)
    host.ns.run("ip", "addr", "add", "fd77::1/64", "dev", "eth0", "nodad")
    host.check(DRIFT)


def test_remove_does_not_take_what_it_cannot_read_for_nothing(host):
    """The tool that lists the rules fails: that is no "nothing to remove"."""
    host.apply()
    before = host.dump()
    prefix = with_tool_that_refuses(host, "", "save")  # any input
    command = [*prefix, rules.NFRULES, "--root", str(host.root), "remove"]
    said = host.ns.run(*command, "--unless-closed", check=False)  # IPv4 alone says whether they fail closed
    assert said.returncode == FAILED and "they stay" in said.stderr, said.stdout + said.stderr
    assert host.dump() == before
    said = host.ns.run(*command, "--json", check=False)  # IPv6 is taken away, IPv4 cannot be looked at
    assert said.returncode == FAILED, said.stdout + said.stderr
    assert f"could not look at IPv4, {host.backend}" in said.stderr and "refused by the test" in said.stderr
    assert '"removed in part"' in said.stdout
    said = host.ns.run(*command, check=False)
    assert said.returncode == FAILED and "nothing to remove" not in said.stdout, said.stdout
    assert "TULLE" in host.tool(socket.AF_INET, "-save").stdout
    assert "removed" in host.nfrules("remove", status=0)
    assert "TULLE" not in host.dump()


def test_remove_keeps_what_live_connections_need_if_it_cannot_count_them(host):
    host.apply()
    aside = host.root / "proc"
    aside.mkdir()
    blind = ["unshare", "-m", "sh", "-ec",  # a /proc of its own, where the list of sockets is a folder
             f'mount --bind /proc {aside}; mount -t tmpfs none /proc; mkdir -p /proc/net/tcp; ln -s {aside}/self /proc/self; '
             f'ln -s {aside}/self/net/ip_tables_names {aside}/self/net/ip6_tables_names /proc/net; exec "$@"', "sh"]
    command = [*blind, rules.NFRULES, "--root", str(host.root), "remove"]
    said = host.ns.run(*command, check=False)
    assert said.returncode == FAILED and "cannot be counted" in said.stderr, said.stdout + said.stderr
    assert "TULLE_ANCHOR" in host.dump()
    said = host.ns.run(*command, "--now")
    assert "removed" in said.stdout and "TULLE" not in host.dump()
