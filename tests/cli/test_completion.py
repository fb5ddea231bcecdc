"""What shells complete, asked of bash itself; zsh and fish where they are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest

from postamt_sync.cli.completion import Shell, completion
from postamt_sync.cli.main import run
from postamt_sync.cli.verbs import PROGRAM, VERBS, Verb
from postamt_sync.errors import ExitCode
from tests.doubles import verbs as doubles

ASK = """\
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _postamt_sync; echo "${COMPREPLY[*]}"
"""


TYPED = [
    ("set", "setup"),
    ("bootstrap a", "apply"),
    ("bootstrap apply --o", "--out"),
    ("bootstrap apply --config /x --yes --p", "--position"),
    ("bootstrap --debug pl", "plan"),
    ("dovecot user pas", "passwd"),
    ("status --js", "--json"),
    ("bootstrap verify --conf", "--config"),
    ("bootstrap verify --cont", ""),  # an option of another verify
    ("help what", "what-happens"),
    ("nonsense zz", ""),
]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bash") / "postamt-sync"
    path.write_text(completion(Shell.BASH, PROGRAM, VERBS))
    return path


@pytest.mark.parametrize(("typed", "completed"), TYPED)
def test_bash_completes_verbs_and_options(script: Path, typed: str, completed: str) -> None:
    words = [PROGRAM, *typed.split()]
    done = subprocess.run(
        ["bash", "-uc", ASK, "bash", str(script), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == completed


@pytest.mark.parametrize("shell", Shell)
def test_what_is_shown_of_a_verb_is_one_word_of_the_shell(shell: Shell, tmp_path: Path) -> None:
    """Quotes, dollars and colons of a summary end nothing."""
    odd = (Verb("odd", f"{doubles.__name__}:well", 'It\'s $(touch x): `a` "b"; end.'),)
    path = tmp_path / "script"
    path.write_text(completion(shell, PROGRAM, odd))
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", str(path)], check=True)
    subprocess.run([shell, str(path)], check=False, capture_output=True, cwd=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["script"]


@pytest.mark.slow
def test_help_prints_the_completion_of_a_known_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "--completion", "fish"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert all(f" -f -a {verb.name} " in out for verb in VERBS)
    assert run(["help", "--completion", "tcsh"]) == ExitCode.USAGE


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_verbs_and_options(tmp_path: Path) -> None:
    path = tmp_path / "postamt-sync.fish"
    path.write_text(completion(Shell.FISH, PROGRAM, VERBS))
    asked = "; ".join(f"echo '>'; complete -C 'postamt-sync {typed}'" for typed, _ in TYPED)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {path}; {asked}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.stderr == ""
    _, *answers = done.stdout.split(">\n")
    shown = [" ".join(line.split("\t")[0] for line in each.splitlines()) for each in answers]
    assert shown == [completed for _, completed in TYPED]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_verbs_and_options(tmp_path: Path) -> None:
    (tmp_path / "_postamt-sync").write_text(completion(Shell.ZSH, PROGRAM, VERBS))
    (tmp_path / ".zshrc").write_text(
        f"PS1='> '; fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u\n"
        # What the line holds after a Tab is written down by the line editor itself.
        f"tell() {{ print -r -- \"<$BUFFER>\" >> {tmp_path}/told; BUFFER='' }}\n"
        "zle -N tell; bindkey '^T' tell; setopt no_beep no_list_ambiguous; print READY\n"
    )
    shell = pexpect.spawn(
        "zsh",
        ["-i"],
        cwd=str(tmp_path),
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb"},
        encoding="utf-8",
        dimensions=(60, 160),
        timeout=60,
    )
    shell.expect("READY\r")
    for typed, _ in TYPED:
        shell.send(f"postamt-sync {typed}\t\x14")
    told = tmp_path / "told"
    while not told.exists() or len(told.read_text().splitlines()) < len(TYPED):
        shell.expect([".", pexpect.TIMEOUT], timeout=1)
    shell.close(force=True)
    for (typed, completed), line in zip(TYPED, told.read_text().splitlines(), strict=True):
        *before, _ = typed.split()
        wanted = " ".join([PROGRAM, *before, completed]) if completed else f"{PROGRAM} {typed}"
        assert line.strip("<>").rstrip() == wanted
