# SPDX-License-Identifier: GPL-3.0-or-later
"""make install: what lands where, and that what it says of itself is there."""
import os
import pathlib
import re
import subprocess

import mesh
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
TULLES = ("/etc/tulle", "/run/tulle", "/var/lib/tulle")  # made by tulle init and the daemons
OTHERS = ("/healthz/", "/app-health/", "/var/run/secrets/")  # what the sidecar serves, and a pod's volume


def install(dest, prefix):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    done = subprocess.run(["make", "-C", str(TOP), "install-files", f"BUILD={mesh.BUILD}", f"DESTDIR={dest}", f"PREFIX={prefix}"],
                          capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return pathlib.Path(dest)


@pytest.fixture(scope="module", params=["/usr", "/opt/tulle"])
def prefix(request):
    return request.param


@pytest.fixture(scope="module")
def root(tmp_path_factory, prefix):
    return install(tmp_path_factory.mktemp("dest"), prefix)


def below(root, path):
    return root / path.lstrip("/")


def manuals(root, prefix):
    found = sorted(below(root, f"{prefix}/share/man").rglob("*.[1-8]"))
    assert len(found) >= 6
    return found


def paths_in(text):
    """Every path in a manual page, as a reader would see it; of two parts at least, or of a document."""
    text = re.sub(r"\\(?:f.|&)", "", text).replace("\\-", "-")  # fonts and other invisible things
    for path in re.findall(r"(?<![\w:/.>])(?:/[\w.*-]+){2,}|[\w./-]+\.md\b", re.sub(r"\w+://\S+", "", text)):
        yield path.rstrip(".")


def test_every_path_of_the_manuals_is_there(root, prefix):
    named = 0
    for manual in manuals(root, prefix):
        for path in paths_in(manual.read_text(encoding="utf-8")):
            if path.startswith(TULLES + OTHERS):
                continue
            named += 1
            assert path.startswith("/"), f"{manual.name}: {path}: where is that on a host?"
            assert below(root, path).exists() or os.path.exists(path), f"{manual.name}: {path}"
    assert named >= 3


def test_every_manual_that_is_named_is_there(root, prefix):
    ours = {m.name for m in manuals(root, prefix)}
    texts = [*manuals(root, prefix), *below(root, f"{prefix}/lib/systemd/system").glob("*")]
    texts += below(root, f"{prefix}/share/doc/tulle").rglob("*.md")
    for file in texts:
        for name, section in re.findall(r"\b(tulle[\w.-]*)(?: |\()([1-8])\b", re.sub(r"\\-", "-", file.read_text(encoding="utf-8"))):
            assert f"{name}.{section}" in ours, f"{file.name}: {name}({section})"


def test_units_start_what_was_installed(root, prefix):
    units = list(below(root, f"{prefix}/lib/systemd/system").glob("*.service"))
    assert {u.name for u in units} == {u.name for u in (TOP / "systemd").glob("*.service")}
    for unit in units:
        programs = re.findall(r"^Exec\w+=[-+!@:]*(\S+)", unit.read_text(encoding="utf-8"), re.M)
        assert programs
        for program in programs:
            assert os.access(below(root, program), os.X_OK) or os.access(program, os.X_OK), f"{unit.name}: {program}"
            assert "tulle" not in program or program.startswith(prefix + "/"), f"{unit.name}: {program}"


def test_links_between_documents_lead_somewhere(root, prefix):
    documents = list(below(root, f"{prefix}/share/doc/tulle").rglob("*.md"))
    assert {"README.md", "SECURITY.md", "doc/identity.md", "doc/threat-model.md"} <= {
        str(d.relative_to(below(root, f"{prefix}/share/doc/tulle"))) for d in documents}
    for document in documents:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_examples_are_right(root, prefix):
    examples = below(root, f"{prefix}/share/doc/tulle/examples")
    done = subprocess.run([below(root, f"{prefix}/bin/tulle"), "check", examples / "tulle.yaml", examples / "identities.yaml",
                           examples / "mesh.d"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and " 0 warnings" in done.stdout, done.stdout + done.stderr


def test_nothing_is_writable_for_others_and_programs_run(root, prefix):
    for path in below(root, prefix).rglob("*"):
        assert path.stat().st_mode & 0o022 == 0, path
    for program in ("bin/tulle", "sbin/tulle-relayd", "sbin/tulle-certd", "sbin/tulle-telemetryd", "sbin/tulle-nfrules"):
        done = subprocess.run([below(root, f"{prefix}/{program}"), "--version"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and done.stdout.startswith(os.path.basename(program) + " ")
