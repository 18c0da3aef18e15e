# SPDX-License-Identifier: GPL-3.0-or-later
"""One voice for all command lines: --help, --version and what is wrong look alike, whichever program is asked."""
import pathlib
import re
import subprocess

import mesh
import pytest

DAEMONS = ["tulle-relayd", "tulle-certd", "tulle-telemetryd"]
PROGRAMS = ["tulle", "tulle-nfrules", *DAEMONS]
TOP = pathlib.Path(__file__).resolve().parents[2]
VERBS = re.findall(r"^VERB\((\w+),", (TOP / "ctl/verbs.def").read_text(encoding="utf-8"), re.M)


def ask(program, *args):
    return subprocess.run([mesh.binary(program), *args], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)


def refused(done, *lines):
    """Exit status 2, nothing on standard output, and these lines on standard error: texts, or patterns."""
    assert (done.returncode, done.stdout) == (2, ""), done
    said = done.stderr.splitlines()
    assert len(said) == len(lines) and all(re.fullmatch(p, s) for p, s in zip(lines, said)), (lines, said)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_has_one_shape(program):
    done = ask(program, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"Usage: {program} ")
    assert "  --help, --version" in lines
    assert any(re.fullmatch(r"  --root DIR +a prefix of /etc/tulle, /run/tulle and /var/lib/tulle", line) for line in lines)
    assert lines[-1] == f"{program}({1 if program == 'tulle' else 8}) says more."
    assert max(len(line) for line in lines) <= 100
    assert ask(program, "-h").stdout == done.stdout
    if program in DAEMONS:
        assert lines[0].startswith(f"Usage: {program} [--root DIR] [--log-level LEVEL]")
        assert "  --log-level LEVEL  debug, info, notice, warn or error (else logLevel of tulle.yaml)" in lines


@pytest.mark.parametrize("program", PROGRAMS)
def test_version_is_name_and_number(program):
    done = ask(program, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", done.stdout)
    assert done.stdout.split()[1] == ask("tulle", "--version").stdout.split()[1]


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_wrong_is_told_alike(program):
    hint = f"Try '{program} --help'\\."
    refused(ask(program, "--nonsense"), f"{program}: unrecognized option '--nonsense'", hint)
    word = "unexpected argument" if program in DAEMONS else "unknown verb"
    refused(ask(program, "nonsense"), f"{program}: {word} 'nonsense'.*", hint)
    if program == "tulle":
        return
    for root in ("relative", "/" + "x" * 72):
        refused(ask(program, "--root", root), f"{program}: --root {root}: an absolute path of at most 72 bytes is needed", hint)
    refused(ask(program, "--root"), f"{program}: option '--root' requires an argument", hint)
    if program in DAEMONS:
        refused(ask(program, "--log-level", "loud"), f"{program}: --log-level loud: debug, info, notice, warn or error is needed", hint)


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_speak_as_programs_do(verb):
    name = "tulle-certd ca" if verb == "ca" else f"tulle {verb}"
    hint = f"Try '{name} --help'\\."
    done = ask("tulle", verb, "--help")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"Usage: {name} ")
    refused(ask("tulle", verb, "--nonsense"), f"{name}: unrecognized option '--nonsense'", hint)
    refused(ask("tulle", verb, "--root", "relative"), f"{name}: --root relative: an absolute path of at most 72 bytes is needed", hint)


@pytest.mark.parametrize("program", DAEMONS)
def test_the_level_of_the_command_line_wins_over_the_file(program, tmp_path):
    (tmp_path / "etc/tulle").mkdir(parents=True)
    (tmp_path / "etc/tulle/tulle.yaml").write_text("logLevel: debug\nusers: {relayd: nobody-here, certd: nobody-here, "
                                                   "telemetryd: nobody-here}\n", encoding="utf-8")
    done = ask(program, "--root", str(tmp_path), "--log-level", "error")
    assert done.returncode == 1 and "nobody-here" in done.stderr
    assert not re.search(r'"level":"(debug|info|notice|warn)"', done.stderr), done.stderr
